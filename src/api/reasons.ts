/**
 * Why a delivery, a withholding or an attempt stands where it stands: its reason in words, filled with the facts that were
 * kept and those that are known now.
 */
import { type Static, Type } from "typebox"
import { findConnector } from "../connectors/index.ts"
import { outcomeOf } from "../domain/decide.ts"
import type { Facts, Reason } from "../domain/delivery.ts"
import type { Environment } from "../domain/event.ts"
import { formatDeliveryId, formatId, type IntegrationId } from "../domain/id.ts"
import type { Policy } from "../domain/policy.ts"
import { describeReason, type ReasonCode, type ReasonContext, reasonCodes } from "../domain/reason.ts"
import { causeOfFiltered } from "../domain/route.ts"
import type { Lane } from "../engine/lane.ts"
import type { AttemptSummary, KeptExchange } from "../store/attempt-reads.ts"
import { credentialsChangedAt, type DeliveryRecord } from "../store/delivery-reads.ts"
import { type SnapshotInForce, snapshotInForce } from "../store/integrations.ts"
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
  readonly #snapshots = new Map<IntegrationId, SnapshotInForce>()
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
    const { behind } = delivery
    const line = behind === null ? {} : { behind: formatDeliveryId(behind.id), behind_status: behind.status }
    const facts = {
      ordering_key: delivery.orderingKey,
      ...line,
      ...(await this.#factsNow(reason, integration, environment)),
    }
    return this.#describe(reason, integration, {
      status: delivery.status,
      nextAt: this.nextAttemptAt(delivery),
      facts: { environment, type, ...facts },
    })
  }

  /** Of an integration that did not get an event at all. */
  async ofWithheld(
    event: { readonly environment: Environment; readonly type: string; readonly receivedAt: number },
    integration: IntegrationId,
    code: ReasonCode,
  ): Promise<ReasonView> {
    const { environment, type, receivedAt } = event
    const facts = code === "filtered" ? await this.#whyFiltered(integration, environment, receivedAt) : {}
    const reason: Reason = { code, facts }
    const surroundings = { environment, type, ...(await this.#factsNow(reason, integration, environment)) }
    return this.#describe(reason, integration, { status: "withheld", nextAt: null, facts: surroundings })
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
    const lane = this.#lane(id.integration)
    if (reason !== null && isHeld(status, reason))
      return { ...reason, facts: { ...reason.facts, ...this.#restFacts(lane, reason) } }
    if (status !== "pending" || reason?.code !== "queued" || live === undefined) return reason
    if (live.integration.paused) return { code: "paused", facts: {} }
    const at = now()
    if (lane === undefined || nextAt === null || nextAt > at) return reason
    return lane.gate.isClearAt(at)
      ? (rateReason(lane, live.integration.policy, at) ?? reason)
      : (blockReason(lane, at) ?? reason)
  }

  /** When the next attempt is due; of what waits for its endpoint, when that is tried again, as far as it is known. */
  nextAttemptAt({ id, status, reason, nextAt }: DeliveryRecord): number | null {
    if (reason === null || !isHeld(status, reason)) return nextAt
    const facts = { ...reason.facts, ...this.#restFacts(this.#lane(id.integration), reason) }
    const { probe_at, until_at } = facts
    const at = typeof probe_at === "number" ? probe_at : typeof until_at === "number" ? until_at : null
    return at === null || at < this.#context.now() ? null : at
  }

  /** How its endpoint stands now, which may be other than when it was held back. */
  #restFacts(lane: Lane | undefined, { facts }: Reason): Facts {
    const views = lane?.gate.view(this.#context.now()) ?? []
    const view = views.find(({ origin }) => new URL(origin).host === facts.host)
    if (view === undefined) return {}
    const { state, pausedUntil } = view
    return { probe_at: state.state === "open" ? state.until : null, until_at: pausedUntil }
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

  async #whyFiltered(integration: IntegrationId, environment: Environment, receivedAt: number): Promise<Facts> {
    const record = this.#context.directory.integration(integration)?.record
    // What has not been touched since is at hand: an event may be withheld from a thousand.
    const isAsThen = record !== undefined && record.updatedAt < receivedAt
    const snapshot = isAsThen ? record.snapshot : await this.#snapshotAt(integration, receivedAt)
    const connector = snapshot === undefined ? undefined : findConnector(snapshot.connector)
    if (snapshot === undefined || connector === undefined) return {}
    return { cause: causeOfFiltered(environment, connector.environments(snapshot.config)) }
  }

  /** Read once for the events in a row that it routed. */
  async #snapshotAt(integration: IntegrationId, at: number): Promise<SnapshotInForce["snapshot"] | undefined> {
    const known = this.#snapshots.get(integration)
    if (known !== undefined && at > known.after && at <= known.until) return known.snapshot
    const found = await snapshotInForce(this.#context.store.reads, integration, at)
    if (found !== undefined) this.#snapshots.set(integration, found)
    return found?.snapshot
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

/** Whether a delivery waits for its endpoint, and not for a time of its own: then the skip has used up a retry. */
function isHeld(status: DeliveryRecord["status"], { code, facts }: Reason): boolean {
  return status === "skipped" && (code !== "sleeping" || facts.try === undefined)
}

/** What keeps back what is due in a lane whose endpoint is in trouble; null where it only waits for its turn. */
function blockReason(lane: Lane, now: number): Reason | null {
  const block = lane.gate.blockAt(now)
  if (block === null) return null
  const { origin, state, pausedUntil } = block
  const { host } = new URL(origin)
  if (pausedUntil !== null) return { code: "waiting_rate", facts: { cause: "asked", host, until_at: pausedUntil } }
  if (state.state !== "open" && state.state !== "probing") return null
  const { since: since_at, errors, successes } = state
  const probe_at = state.state === "open" ? state.until : null
  return { code: "sleeping", facts: { host, since_at, errors, successes, probe_at } }
}

/** The rate that keeps back what is due where a place is free; null where none does. */
function rateReason(lane: Lane, policy: Pick<Policy, "maxPerSecond">, now: number): Reason | null {
  if (lane.inFlight >= lane.places || lane.roomAt(now) >= 1) return null
  const usedUpUntil = lane.budget?.usedUpUntil(now) ?? null
  if (usedUpUntil !== null) return { code: "waiting_rate", facts: { cause: "budget", until_at: usedUpUntil } }
  if (policy.maxPerSecond === null && lane.budget === null) return null
  return { code: "waiting_rate", facts: { max_per_second: policy.maxPerSecond } }
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
