/**
 * What an attempt brings about beyond its delivery: the state of the lane that a restart has to find again, what follows
 * from a long failure, and the operational events and mails that tell people. It is added to the settlement, so that it
 * is written in the same commit.
 *
 * What becomes of a delivery of an operational event causes no operational event, whatever it is, or they would go on for
 * good; it has its consequences all the same, and mails tell of them. Only the end of a failing time that was told of is
 * told of too: it can happen once for each.
 */
import { isReservedType } from "../domain/event-names.ts"
import { formatDeliveryId, formatId, type IntegrationId } from "../domain/id.ts"
import {
  afterError,
  type Health,
  hasBeenLong,
  healthOfText,
  healthToText,
  isWithoutRetries,
  type LongFailureStep,
} from "../domain/long-failure.ts"
import type { MailedEvent } from "../domain/operational-mail.ts"
import type { OperationalData, OperationalEvent } from "../domain/operational-types.ts"
import type { Change } from "../domain/protection.ts"
import { describeReason, type ReasonCode, type ReasonText } from "../domain/reason.ts"
import type {
  Arrival,
  Consequences,
  KeptLane,
  LaneRecord,
  Ledger,
  Mail,
  Settlement,
  SwitchOff,
} from "../store/ledger.ts"
import type { Directory, LiveIntegration } from "./directory.ts"
import { isAskedFor, type Operational, referTo } from "./operational.ts"

/** What protection has to say after an attempt or a skip. */
export interface LaneNews {
  /** The states of all origins of the lane as JSON, where one has changed. */
  readonly protection?: string | null
  readonly rate?: string | null
  /** What people are told of, in the order in which it came. */
  readonly turns?: readonly Turn[]
}

/**
 * `opened`: an origin began to rest; the counts it was judged by, and when it is probed. `closed`: it is back to normal,
 * after it had rested since then.
 */
export type Turn = { readonly origin: string } & Exclude<Change, { kind: "moved" }>

/** Works out what follows from settlements, lane by lane. */
export interface Aftermath {
  /** The settlement with what follows from it. `news`: what protection has to say, null where nothing changed. */
  of(settlement: Settlement, news: LaneNews | null): Settlement
}

/** Keeps the news of the lane, and draws no other conclusion. */
export const plainAftermath: Aftermath = { of: (settlement, news) => withLane(settlement, lanePartOf(news)) }

export interface AftermathParts {
  readonly ledger: Pick<Ledger, "keepLane">
  readonly directory: Directory
  readonly operational: Operational
  readonly now: () => number
  /** A hash that tells nothing of what it was made of. */
  readonly keyedHash: (text: string) => string
}

/** What the engine remembers of a lane. */
interface Memory {
  health: Health | null
  lastSuccessAt: number | null
  /** The last error as it stands on the disk: between two of them no more than a minute is forgotten by a restart. */
  keptErrorAt: number
}

const KEPT_EVERY_MS = 60_000
/** How deliveries end that no person would look for one by one: what happened to their integration is told instead. */
const endedWithTheirIntegration: readonly ReasonCode[] = ["integration_disabled", "integration_removed"]

/** Watches every lane for a long failure, and has people told. */
export class WatchfulAftermath implements Aftermath {
  readonly #parts: AftermathParts
  readonly #lanes = new Map<IntegrationId, Memory>()

  constructor(parts: AftermathParts) {
    this.#parts = parts
  }

  /** Goes on from what lanes kept, and from when each last had a success. Call it before anything is sent in them. */
  load(kept: readonly KeptLane[], lastSuccesses: ReadonlyMap<IntegrationId, number>): void {
    for (const { integration, health: text } of kept) {
      const health = healthOfText(text)
      const lastSuccessAt = lastSuccesses.get(integration) ?? null
      this.#lanes.set(integration, { health, lastSuccessAt, keptErrorAt: health?.lastErrorAt ?? 0 })
    }
  }

  /** How an integration has been failing; null where it is well. */
  healthOf(id: IntegrationId): Health | null {
    return this.#lanes.get(id)?.health ?? null
  }

  /** Forgets a failing time, as where a person switches the integration on again, or its endpoint has been verified. */
  async beginAnew(id: IntegrationId): Promise<void> {
    this.hasBegunAnew(id)
    // Settlements that know of it were asked for before this is, and are written before it. Also where nothing is known of
    // it here: another process may send for the integration.
    await this.#parts.ledger.keepLane(id, { health: null })
  }

  /** The same, where another process has had it switched on, and has written so. */
  hasBegunAnew(id: IntegrationId): void {
    const memory = this.#lanes.get(id)
    if (memory !== undefined) memory.health = null
  }

  of(settlement: Settlement, news: LaneNews | null): Settlement {
    const { claim, attempt, next } = settlement
    // Hot path: a success of an integration that is well leaves one number in memory.
    if (attempt?.outcome === "success" && news === null) {
      const memory = this.#memory(claim.delivery.integration)
      if (memory.health === null && !claim.tally.test) {
        memory.lastSuccessAt = this.#parts.now()
        return settlement
      }
    }
    const live = this.#parts.directory.integration(claim.delivery.integration)
    if (live === undefined || claim.tally.test) return withLane(settlement, lanePartOf(news))
    const work = new Work(live, settlement, news, this.#parts)
    if (attempt?.outcome === "success") this.#afterSuccess(work)
    if (next.status === "failed" && next.disable) this.#switchOff(work, "gone", null)
    // What was under way when it was switched off says nothing of the time after.
    else if (attempt?.outcome === "error" && live.integration.enabled) this.#afterError(work)
    for (const turn of news?.turns ?? []) {
      if (turn.kind === "opened") work.tellSleeping(turn)
      else work.tellAwake(turn)
    }
    // Last, as a long failure may have ended it.
    work.tellFailed()
    return work.result()
  }

  #afterSuccess(work: Work): void {
    const memory = this.#memory(work.live.record.id)
    const { health } = memory
    memory.lastSuccessAt = this.#parts.now()
    if (health === null) return
    memory.health = null
    work.keep({ health: null })
    if (hasBeenLong(health)) work.tellRecovered(health)
  }

  #afterError(work: Work): void {
    const { live } = work
    const { record, integration } = live
    const memory = this.#memory(record.id)
    const at = this.#parts.now()
    const error = {
      at,
      lastSuccessAt: memory.lastSuccessAt,
      endpoints: this.#endpointsOf(live, memory.health),
      revision: record.revision,
    }
    const { health, steps } = afterError(memory.health, error, integration.policy)
    if (steps.includes("disable")) {
      this.#switchOff(work, "long_failure", health)
      return
    }
    const isTold = health.isTold || (steps.length > 0 && !work.isQuiet)
    const isNew = memory.health === null || memory.health.failingSince !== health.failingSince
    memory.health = { ...health, isTold }
    if (isNew || steps.length > 0 || Math.abs(at - memory.keptErrorAt) >= KEPT_EVERY_MS) {
      memory.keptErrorAt = at
      work.keep({ health: healthToText(memory.health) })
    }
    for (const step of steps) work.tellFailing(step, health)
    if (isWithoutRetries(health, integration.policy)) work.endRetries(health)
  }

  /** Whoever switches it on again begins anew. */
  #switchOff(work: Work, cause: SwitchOff["cause"], health: Health | null): void {
    const memory = this.#memory(work.live.record.id)
    if (memory.health !== null) work.keep({ health: null })
    memory.health = null
    work.switchOff(cause, health)
  }

  #memory(id: IntegrationId): Memory {
    let memory = this.#lanes.get(id)
    if (memory === undefined) {
      memory = { health: null, lastSuccessAt: null, keptErrorAt: 0 }
      this.#lanes.set(id, memory)
    }
    return memory
  }

  /** URLs, credentials and headers, so that mending them begins anew. Worked out once for each revision that fails. */
  #endpointsOf({ record, settings }: LiveIntegration, health: Health | null): string {
    if (health !== null && health.revision === record.revision) return health.endpoints
    const { production = null, sandbox = null } = settings
    return this.#parts.keyedHash(JSON.stringify([production, sandbox])).slice(0, 16)
  }
}

/** One settlement, and what gathers around it. */
class Work {
  readonly live: LiveIntegration
  /** Its delivery is that of an operational event, which causes no other. */
  readonly isQuiet: boolean
  readonly #parts: AftermathParts
  #settlement: Settlement
  #lane: LaneRecord | null
  #switchOff: SwitchOff | null = null
  readonly #emits: Arrival[] = []
  readonly #mails: Mail[] = []

  constructor(live: LiveIntegration, settlement: Settlement, news: LaneNews | null, parts: AftermathParts) {
    this.live = live
    this.isQuiet = isReservedType(settlement.claim.tally.type)
    this.#parts = parts
    this.#settlement = settlement
    this.#lane = lanePartOf(news)
  }

  keep(part: LaneRecord): void {
    this.#lane = { ...this.#lane, ...part }
  }

  /** Nothing is retried until something gets through; the attempt that has just been made is as it was. */
  endRetries(health: Health): void {
    const { next } = this.#settlement
    if (next.status !== "retrying" || !next.charged) return
    const facts = { ...next.reason.facts, failing_since_at: health.failingSince }
    const reason = { code: "no_recent_success", facts } as const
    this.#settlement = { ...this.#settlement, next: { status: "failed", reason, disable: false } }
  }

  tellFailing(step: LongFailureStep, health: Health): void {
    const isWarning = step === "warn"
    const { disableAfterMs } = this.live.integration.policy.longFailure
    const event: MailedEvent = {
      type: "waybill.integration.failing",
      data: {
        integration: this.#integration(),
        consequence: isWarning ? "warned" : "retries_stopped",
        failing_since: timeText(health.failingSince),
        last_success_at: health.lastSuccessAt === null ? null : timeText(health.lastSuccessAt),
        failed_attempts: health.errors,
        last_error: this.#lastError(),
        disabled_after_ms: disableAfterMs,
        advice: isWarning ? this.#reason().advice : describe("no_recent_success", this.live).advice,
      },
    }
    this.#emit(event)
    this.#mails.push(...this.#parts.operational.mails(this.live, isWarning ? "failing" : "retries_stopped", event))
  }

  tellRecovered(health: Health): void {
    const event: MailedEvent = {
      type: "waybill.integration.recovered",
      data: {
        integration: this.#integration(),
        after: "long_failure",
        since: timeText(health.failingSince),
        failed_attempts: health.errors,
        origin: null,
      },
    }
    if (health.isTold) this.#emits.push(this.#parts.operational.event(this.live, event))
    this.#mails.push(...this.#parts.operational.mails(this.live, "recovered", event))
  }

  tellSleeping({ origin, errors, successes, probeAt }: Extract<Turn, { kind: "opened" }>): void {
    this.#emit({
      type: "waybill.integration.sleeping",
      data: {
        integration: this.#integration(),
        message: "Sleeping, too many errors, please wait and try again",
        origin,
        errors,
        successes,
        probe_at: timeText(probeAt),
        advice: describe("sleeping", this.live).advice,
      },
    })
  }

  tellAwake({ origin, openedAt }: Extract<Turn, { kind: "closed" }>): void {
    this.#emit({
      type: "waybill.integration.recovered",
      data: {
        integration: this.#integration(),
        after: "sleeping",
        since: timeText(openedAt),
        failed_attempts: null,
        origin,
      },
    })
  }

  switchOff(cause: SwitchOff["cause"], health: Health | null): void {
    const event: MailedEvent = {
      type: "waybill.integration.disabled",
      data: {
        integration: this.#integration(),
        cause,
        by: null,
        failing_since: health === null ? null : timeText(health.failingSince),
        failed_attempts: health?.errors ?? null,
        last_error: this.#lastError(),
        advice: (cause === "gone" ? this.#reason() : describe("integration_disabled", this.live)).advice,
      },
    }
    const { operational } = this.#parts
    this.#switchOff = {
      cause,
      emits: this.isQuiet ? [] : [operational.event(this.live, event, { isGoingOff: true })],
      mails: operational.mails(this.live, cause, event),
    }
  }

  /** A failed delivery is told of where somebody asks for it. */
  tellFailed(): void {
    const { claim, next, attempt } = this.#settlement
    if (this.isQuiet || next.status !== "failed" || endedWithTheirIntegration.includes(next.reason.code)) return
    const { integration, delivery, ...last } = { integration: this.#integration(), ...this.#lastError() }
    const event: OperationalEvent = {
      type: "waybill.delivery.failed",
      data: {
        integration,
        event: {
          id: last.event,
          type: claim.tally.type,
          external_id: claim.event?.externalId ?? null,
          source_record: claim.event?.sourceRecord ?? null,
        },
        delivery,
        attempts: claim.attempts + (attempt === null ? 0 : 1),
        reason: last.reason,
        status: last.status,
        what: last.what,
        advice: this.#reason().advice,
      },
    }
    const environment = claim.tally.environment === "sandbox" ? "sandbox" : "production"
    const about = { environment, app: claim.event?.app ?? null, appId: claim.tally.app } as const
    const arrival = this.#parts.operational.event(this.live, event, { ...about, isGoingOff: this.#switchOff !== null })
    if (isAskedFor(arrival)) this.#emits.push(arrival)
  }

  result(): Settlement {
    const switchOff = this.#switchOff
    if (this.#emits.length === 0 && this.#mails.length === 0 && switchOff === null) {
      return withLane(this.#settlement, this.#lane)
    }
    const consequences: Consequences = {
      ...this.#settlement.consequences,
      ...(this.#lane === null ? {} : { lane: this.#lane }),
      ...(switchOff === null ? {} : { switchOff }),
      emits: this.#emits,
      mails: this.#mails,
    }
    return { ...this.#settlement, consequences }
  }

  #emit(event: OperationalEvent): void {
    if (!this.isQuiet) this.#emits.push(this.#parts.operational.event(this.live, event))
  }

  #integration(): OperationalData["integration"] {
    return referTo(this.live)
  }

  #reason(): ReasonText {
    const { next } = this.#settlement
    if (next.status === "delivered") throw new Error("What was delivered has no reason.")
    const integration = formatId("int", this.live.record.id)
    return describeReason(next.reason, { status: next.status, nextAt: null, integration })
  }

  #lastError() {
    const { claim, next } = this.#settlement
    const status = next.status === "delivered" ? undefined : next.reason.facts["status"]
    const { code, what } = this.#reason()
    return {
      event: formatId("evt", claim.delivery.event),
      delivery: formatDeliveryId(claim.delivery),
      reason: code,
      status: typeof status === "number" ? status : null,
      what,
    }
  }
}

function describe(code: ReasonCode, { record, integration }: LiveIntegration): ReasonText {
  const facts = integration.policy.maxPerSecond === null ? {} : { max_per_second: integration.policy.maxPerSecond }
  return describeReason({ code, facts }, { status: "failed", nextAt: null, integration: formatId("int", record.id) })
}

function lanePartOf(news: LaneNews | null): LaneRecord | null {
  if (news === null) return null
  const { protection, rate } = news
  if (protection === undefined && rate === undefined) return null
  return { ...(protection === undefined ? {} : { protection }), ...(rate === undefined ? {} : { rate }) }
}

function withLane(settlement: Settlement, lane: LaneRecord | null): Settlement {
  return lane === null ? settlement : { ...settlement, consequences: { ...settlement.consequences, lane } }
}

function timeText(at: number): string {
  return new Date(at).toISOString()
}

/**
 * The settlement of a lane that is not held any more. How its endpoints stand is written down by whoever holds it next, or
 * when it is handed over; its failing time as well, unless it `isLeaving` only: then the next holder has yet to read it.
 */
export function afterHolding(settlement: Settlement, isLeaving: boolean): Settlement {
  if (settlement.consequences?.lane === undefined) return settlement
  const { lane, ...consequences } = settlement.consequences
  if (!isLeaving || lane.health === undefined) return { ...settlement, consequences }
  return { ...settlement, consequences: { ...consequences, lane: { health: lane.health } } }
}
