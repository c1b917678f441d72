/**
 * Operational events and mails, made ready to be written down along with what they tell of. An operational event is routed
 * as any other. It carries the environment of the endpoint or event that it is about, production where it is about an
 * integration as a whole; and no app, but for a failed delivery, which carries that of its event.
 */
import type { Environment } from "../domain/event.ts"
import { type AppId, formatId } from "../domain/id.ts"
import type { MailCause, MailContent } from "../domain/operational-mail.ts"
import { OPERATIONAL_SOURCE, type OperationalData, type OperationalEvent } from "../domain/operational-types.ts"
import { route } from "../domain/route.ts"
import type { Arrival, Mail } from "../store/ledger.ts"
import type { Directory, LiveIntegration } from "./directory.ts"

/** What an operational event is about, beyond its integration. */
export interface About {
  readonly environment?: Environment
  readonly app?: string | null
  readonly appId?: AppId | null
  /** Its integration is switched off by the same commit, so that it would get the event no more. */
  readonly isGoingOff?: boolean
}

export interface OperationalParts {
  readonly directory: Directory
  readonly now: () => number
  /** Whether there is somewhere to hand mails over. */
  readonly hasMail: boolean
}

export class Operational {
  readonly #parts: OperationalParts

  constructor(parts: OperationalParts) {
    this.#parts = parts
  }

  /** The event on its way into the store. */
  event(live: LiveIntegration, { type, data }: OperationalEvent, about: About = {}): Arrival {
    const { directory, now } = this.#parts
    const { id, project } = live.record
    const { environment = "production", app = null, appId = null, isGoingOff = false } = about
    const receivedAt = now()
    const draft: Arrival["draft"] = {
      type,
      payload: { kind: "json", text: JSON.stringify(data) },
      externalId: null,
      source: OPERATIONAL_SOURCE,
      occurredAt: receivedAt,
      environment,
      app,
      profileId: null,
      deviceId: null,
      sourceRecord: null,
      // So that an integration that keeps order gets what happened to another in its order.
      orderingKey: formatId("int", id),
      historical: false,
      cloud: null,
    }
    const others = directory.routing(project).filter(other => !isGoingOff || other.id !== id)
    const routed = route({ ...draft, project, appId, receivedAt, occurredAt: receivedAt }, others)
    return {
      project,
      key: null,
      draft,
      fingerprint: null,
      idempotencyKey: null,
      appId,
      receivedAt,
      test: false,
      payloadDays: directory.payloadDays(project),
      targets: routed.deliver.map(integration => ({
        integration,
        claim: null,
        ordered: directory.integration(integration)?.integration.policy.ordered === true,
      })),
      withheld: routed.withheld,
      red: routed.red,
    }
  }

  /** The same mail to the people of the project; none where they named no address, or mail is not set up. */
  mails(live: LiveIntegration, cause: MailCause, event: MailContent["event"]): readonly Mail[] {
    const { directory, now, hasMail } = this.#parts
    const { id, project } = live.record
    if (!hasMail || (directory.project(project)?.alertEmails ?? []).length === 0) return []
    const at = now()
    const day = new Date(at).toISOString().slice(0, 10)
    const content: MailContent = { cause, at, event }
    return [{ key: `mail:${formatId("int", id)}:${cause}:${day}`, project, content: JSON.stringify(content) }]
  }
}

/** How operational events name an integration. */
export function referTo({ record, integration }: LiveIntegration): OperationalData["integration"] {
  return { id: formatId("int", record.id), name: integration.name, connector: integration.connector }
}

/** Whether anybody gets an event, or would but for a state that someone has to mend. */
export function isAskedFor({ targets, red }: Arrival): boolean {
  return targets.length > 0 || red > 0
}
