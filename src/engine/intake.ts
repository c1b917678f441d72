/**
 * Intake: an event that was read becomes an event that is stored. It finds the app, holds the event against the
 * catalogue where the project is strict, asks the router who gets it, and stores all of that in one commit.
 */
import type { Event, EventDraft, Privacy } from "../domain/event.ts"
import type { AppId, IntegrationId, KeyId, ProjectId } from "../domain/id.ts"
import { maskPayload, privateFieldsOf } from "../domain/private-fields.ts"
import { DUE } from "../domain/queue.ts"
import { route } from "../domain/route.ts"
import { ConfigurationChanged } from "../store/configuration.ts"
import { StoreUnavailable } from "../store/database.ts"
import type { Accepted, Arrival, Claim, Ledger, Target } from "../store/ledger.ts"
import type { Directory } from "./directory.ts"
import type { Engine } from "./engine.ts"
import type { Feed } from "./feed.ts"

/** For how long an event is routed anew where the configuration changes under it each time. */
const ROUTING_MS = 5_000

/** An event as the border hands it over. */
export interface Incoming {
  readonly project: ProjectId
  readonly key: KeyId | null
  readonly draft: EventDraft
  /** Needed where the event has an id of its own or the request an idempotency key. */
  readonly fingerprint: string | null
  readonly idempotencyKey: string | null
  readonly receivedAt: number
  /** Fields that are private whatever the configuration says: those of an event that is sent once more. */
  readonly privateFields?: readonly string[]
}

/** Why an event was not taken: what the project's own rules refuse, or that the project is no more. */
export interface Refusal {
  readonly kind: "refused"
  readonly code: "unknown_type" | "unknown_app" | "schema_mismatch" | "unauthorized"
  readonly errors: readonly { readonly pointer: string; readonly message: string }[]
}

export class Intake {
  readonly #ledger: Ledger
  readonly #directory: Directory
  readonly #engine: Engine
  readonly #feed: Feed

  constructor(parts: { ledger: Ledger; directory: Directory; engine: Engine; feed: Feed }) {
    this.#ledger = parts.ledger
    this.#directory = parts.directory
    this.#engine = parts.engine
    this.#feed = parts.feed
  }

  /** Stores an event and sets its deliveries going; resolves when it is on disk. Throws StoreUnavailable. */
  async accept(incoming: Incoming): Promise<Accepted | Refusal> {
    const startedAt = performance.now()
    for (;;) {
      try {
        return await this.#accept(incoming)
      } catch (error) {
        if (!(error instanceof ConfigurationChanged)) throw error
        if (performance.now() - startedAt > ROUTING_MS) throw new StoreUnavailable("unavailable", error)
        // Another process has changed the configuration since it was read here: the event is routed by that.
        await this.#directory.catchUp()
      }
    }
  }

  async #accept(incoming: Incoming): Promise<Accepted | Refusal> {
    if (this.#directory.refuses(incoming.project, incoming.draft) !== undefined) {
      // By today's configuration, before it is said.
      await this.#directory.catchUp()
      const refusal = this.#directory.refuses(incoming.project, incoming.draft)
      if (refusal !== undefined) return refusal
    }
    const { app } = incoming.draft
    // Only the first event of an app waits for this.
    const appId =
      app === null ? null : (this.#directory.appId(incoming.project, app) ?? (await this.#makeApp(incoming, app)))
    // Removed while the app was made.
    if (this.#directory.project(incoming.project) === undefined)
      return this.#directory.refuses(incoming.project, incoming.draft) ?? this.#accept(incoming)
    const arrival = { ...this.#arrival(incoming, appId), routedBy: this.#directory.version }
    let accepted: Accepted | undefined
    try {
      accepted = (await this.#ledger.accept([arrival]))[0]
    } catch (error) {
      this.#giveBack(arrival)
      throw error
    }
    if (accepted === undefined) throw new Error("The ledger gave no answer for an arrival.")
    if (accepted.kind === "new") this.#setGoing(arrival, accepted.event)
    else this.#giveBack(arrival)
    return accepted
  }

  #makeApp({ project, receivedAt }: Incoming, name: string): Promise<number> {
    return this.#directory.makeApp(project, name, receivedAt)
  }

  /**
   * Stores an event marked as a test for one integration, whatever its rules and state, and gives the claim with which
   * the engine sends it.
   */
  async acceptTest(incoming: Incoming, integration: IntegrationId, fence: number): Promise<Claim> {
    const { app } = incoming.draft
    const appId = app === null ? null : (this.#directory.appId(incoming.project, app) ?? null)
    const target: Target = { integration, claim: fence, ordered: false }
    const arrival = this.#arrivalFor(incoming, appId, { targets: [target], withheld: {}, red: 0, test: true })
    const [accepted] = await this.#ledger.accept([arrival])
    if (accepted?.kind !== "new") throw new Error("A test event has no id of its own, so it cannot be a repeat.")
    this.#feed.accepted(asRead(arrival, accepted.event), [integration], {})
    return firstClaim(arrival, accepted.event, integration, fence)
  }

  #arrival(incoming: Incoming, appId: AppId | null): Arrival {
    const { project, draft, receivedAt } = incoming
    const occurredAt = draft.occurredAt ?? receivedAt
    const routed = route({ ...draft, project, appId, receivedAt, occurredAt }, this.#directory.routing(project))
    const targets = routed.deliver.map(integration => this.#target(integration, draft, receivedAt))
    return this.#arrivalFor(incoming, appId, { targets, withheld: routed.withheld, red: routed.red, test: false })
  }

  /** One that is delivered in order never takes the way past the queue: whether another of its key is before it shows in the commit. */
  #target(integration: IntegrationId, { orderingKey }: EventDraft, receivedAt: number): Target {
    const ordered =
      orderingKey !== null && this.#directory.integration(integration)?.integration.policy.ordered === true
    return { integration, claim: ordered ? null : this.#engine.reserve(integration, receivedAt), ordered }
  }

  #arrivalFor(
    incoming: Incoming,
    appId: AppId | null,
    routing: Pick<Arrival, "targets" | "withheld" | "red" | "test">,
  ) {
    const { project, key, draft, fingerprint, idempotencyKey, receivedAt } = incoming
    const payloadDays = this.#directory.payloadDays(project)
    const arrival = { project, key, draft, fingerprint, idempotencyKey, appId, receivedAt, payloadDays, ...routing }
    const privacy = this.#privacyOf(incoming)
    return privacy === undefined ? arrival : { ...arrival, privacy }
  }

  /** What is private of an event; its receivers, and the rules that chose them, see it whole. */
  #privacyOf({ project, draft, privateFields = [] }: Incoming): Privacy | undefined {
    const today = this.#directory.privateFields(project, draft.type)
    const fields = privateFields.length === 0 ? today : privateFieldsOf([...privateFields, ...(today?.pointers ?? [])])
    const masked = fields === null ? null : maskPayload(draft.payload, fields)
    return fields === null || masked === null ? undefined : { pointers: fields.pointers, masked }
  }

  #setGoing(arrival: Arrival, event: Event): void {
    for (const { integration, claim } of arrival.targets) {
      if (claim === null) this.#engine.expect(integration, arrival.receivedAt)
      else this.#engine.send(firstClaim(arrival, event, integration, claim))
    }
    const targets = arrival.targets.map(target => target.integration)
    this.#feed.accepted(asRead(arrival, event), targets, arrival.withheld)
  }

  #giveBack(arrival: Arrival): void {
    for (const { integration, claim } of arrival.targets) if (claim !== null) this.#engine.giveBack(integration)
  }
}

/** The event as those who read it see it. */
function asRead({ privacy }: Arrival, event: Event): Event {
  return privacy === undefined ? event : { ...event, payload: privacy.masked }
}

/** The claim of a delivery that was stored as being sent already. */
function firstClaim(arrival: Arrival, event: Event, integration: IntegrationId, fence: number): Claim {
  const { draft, appId: app, test } = arrival
  return {
    delivery: { event: event.id, integration },
    claim: fence,
    event,
    privacy: arrival.privacy,
    project: arrival.project,
    revision: null,
    attempts: 0,
    scheduleAttempts: 0,
    charged: 0,
    lastAttempt: null,
    createdAt: arrival.receivedAt,
    dueAt: arrival.receivedAt,
    queue: DUE,
    orderingKey: null,
    recovery: null,
    tally: { app, environment: draft.environment, type: draft.type, test },
  }
}
