/**
 * Why a delivery, a withholding or an attempt stands where it stands: its reason in words, filled with the facts that were
 * kept and those that are known now.
 */
import { type Static, Type } from "typebox"
import { outcomeOf } from "../domain/decide.ts"
import type { Facts, Reason } from "../domain/delivery.ts"
import type { Environment } from "../domain/event.ts"
import { formatId, type IntegrationId } from "../domain/id.ts"
import { describeReason, type ReasonCode, type ReasonContext, reasonCodes } from "../domain/reason.ts"
import type { Lane } from "../engine/lane.ts"
import type { AttemptSummary, KeptExchange } from "../store/attempt-reads.ts"
import { credentialsChangedAt, type DeliveryRecord } from "../store/delivery-reads.ts"
import type { Context } from "./context.ts"

export const ReasonView = Type.Object({
  code: Type.Enum([...reasonCodes], { description: "Each has its section in docs/reference/reasons.md." }),
  title: Type.String(),
  colour: Type.Enum(["plain", "grey", "amber", "red"], {
    description: "red: someone has to act. amber: Waybill is still trying. grey: nothing to do. plain: on its way.",
  }),
  what: Type.String({ description: "What happened." }),
  causes: Type.String({ description: "The likely causes." }),
  advice: Type.String({ description: "What to do." }),
  links: Type.Array(
    Type.Object({
      rel: Type.Enum(["setting", "docs"]),
      href: Type.String(),
      pointer: Type.Optional(Type.String({ description: "JSON pointer of the field there that mends it." })),
    }),
  ),
})
export type ReasonView = Static<typeof ReasonView>

/** What is known of a delivery where one of its attempts is described. */
export type AttemptsDelivery = Pick<DeliveryRecord, "status" | "reason" | "nextAt"> & {
  readonly environment: Environment
  readonly type: string
}

/** What reasons are described with. */
export type ReasonsContext = Pick<Context, "store" | "directory" | "now"> & {
  readonly engine: Pick<Context["engine"], "lanes">
}

/** Describes the reasons of one answer; what it looked up once it keeps. */
export class Reasons {
  readonly #context: ReasonsContext
  readonly #credentialsChanged = new Map<IntegrationId, Promise<number | null>>()
  #lanes: ReadonlyMap<IntegrationId, Lane> | undefined

  constructor(context: ReasonsContext) {
    this.#context = context
  }

  /** Null for a delivery that was delivered or is being sent. */
  async ofDelivery(delivery: DeliveryRecord): Promise<ReasonView | null> {
    const reason = this.#reasonNow(delivery)
    if (reason === null) return null
    const { integration } = delivery.id
    const { environment, type } = delivery.event
    const facts = { ordering_key: delivery.orderingKey, ...(await this.#factsNow(reason, integration, environment)) }
    return this.#describe(reason, integration, {
      status: delivery.status,
      nextAt: delivery.nextAt,
      facts: { environment, type, ...facts },
    })
  }

  /** Of an integration that did not get an event at all. */
  async ofWithheld(
    event: { readonly environment: Environment; readonly type: string },
    integration: IntegrationId,
    code: ReasonCode,
  ): Promise<ReasonView> {
    const reason: Reason = { code, facts: {} }
    const { environment, type } = event
    const facts = { environment, type, ...(await this.#factsNow(reason, integration, environment)) }
    return this.#describe(reason, integration, { status: "withheld", nextAt: null, facts })
  }

  /** Null for an attempt that succeeded. The last one of a delivery says what follows from it, the others do not. */
  async ofAttempt(
    attempt: AttemptSummary,
    delivery: AttemptsDelivery,
    isLast: boolean,
    exchange: KeptExchange | undefined,
  ): Promise<ReasonView | null> {
    if (attempt.reason === null) return null
    const { integration } = attempt.delivery
    const { environment, type } = delivery
    const isThatOfDelivery = isLast && delivery.reason?.code === attempt.reason
    const kept = isThatOfDelivery ? delivery.reason.facts : factsOfAttempt(attempt, exchange)
    const reason: Reason = { code: attempt.reason, facts: kept }
    return this.#describe(reason, integration, {
      status: isLast ? delivery.status : "retrying",
      nextAt: isLast ? delivery.nextAt : null,
      facts: { environment, type, ...(await this.#factsNow(reason, integration, environment)) },
    })
  }

  /** What waits in the store as `queued` may be held back by what only the engine knows: a pause, a rate. */
  #reasonNow({ id, status, reason, nextAt }: DeliveryRecord): Reason | null {
    const { directory, now } = this.#context
    const live = directory.integration(id.integration)
    if (status !== "pending" || reason?.code !== "queued" || live === undefined) return reason
    if (live.integration.paused) return { code: "paused", facts: {} }
    const { maxPerSecond, maxConcurrent } = live.integration.policy
    const lane = this.#lane(id.integration)
    const isDue = nextAt !== null && nextAt <= now()
    if (maxPerSecond === null || lane === undefined || !isDue || lane.inFlight >= maxConcurrent) return reason
    // A place is free and nothing holds the lane, so that only the rate can be what it waits for.
    return lane.roomAt(now()) < 1 ? { code: "waiting_rate", facts: { max_per_second: maxPerSecond } } : reason
  }

  async #factsNow({ code, facts }: Reason, integration: IntegrationId, environment: Environment): Promise<Facts> {
    const { directory } = this.#context
    const live = directory.integration(integration)
    switch (code) {
      case "not_verified": {
        const verification = live?.record.verification[environment]
        return { checked_at: verification?.checkedAt ?? null, detail: verification?.message ?? null }
      }
      case "integration_disabled":
        return { off_at: live?.record.disabledAt ?? null, by: live?.record.disabledBy ?? null }
      case "integration_removed":
        return { off_at: directory.integrationName(integration)?.removedAt ?? null }
      case "rejected":
        if (facts.status !== 401 && facts.status !== 403) return {}
        return { credentials_changed_at: await this.#changedAt(integration) }
      default:
        return {}
    }
  }

  #describe(reason: Reason, integration: IntegrationId, context: ReasonContext): ReasonView {
    const text = describeReason(reason, { ...context, integration: formatId("int", integration) })
    return { ...text, links: text.links.map(link => ({ ...link })) }
  }

  #changedAt(integration: IntegrationId): Promise<number | null> {
    let changedAt = this.#credentialsChanged.get(integration)
    if (changedAt === undefined) {
      changedAt = credentialsChangedAt(this.#context.store.reads, integration)
      this.#credentialsChanged.set(integration, changedAt)
    }
    return changedAt
  }

  #lane(integration: IntegrationId): Lane | undefined {
    this.#lanes ??= new Map(this.#context.engine.lanes().map(lane => [lane.id, lane]))
    return this.#lanes.get(integration)
  }
}

/** What an attempt's own record says: the same facts that the reason was kept with, as far as they can be told again. */
function factsOfAttempt(attempt: AttemptSummary, exchange: KeptExchange | undefined): Facts {
  const { status, error, timings, url } = attempt
  const host = url === null ? {} : { host: url.split("/")[0] ?? url }
  if (error !== null) {
    const { class: errorClass, phase, code } = error
    return { ...host, class: errorClass, phase, ...(code === "" ? {} : { error: code }) }
  }
  if (status === null || timings === null) return host
  const answer = {
    status,
    headers: exchange?.response?.headers ?? [],
    body: exchange?.response?.body ?? new Uint8Array(0),
    truncated: attempt.truncated,
    incomplete: attempt.incomplete,
  }
  const endedAt = attempt.startedAt + timings.totalMs
  return { ...host, ...outcomeOf({ kind: "answered", answer, sentHeaders: [], timings }, endedAt).facts }
}
