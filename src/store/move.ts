/**
 * Moves of deliveries that no attempt has caused: ended because their integration is off or gone or their payload's time
 * is over, or retried by hand.
 */
import type { Reason } from "../domain/delivery.ts"
import type { DeliveryId, EventId, IntegrationId, ProjectId } from "../domain/id.ts"
import { DUE } from "../domain/queue.ts"
import { isRed } from "../domain/reason.ts"
import type { Commit } from "./commit.ts"
import { raw, type Sql, sql } from "./database.ts"
import { endBlocks, queueInLine, release } from "./line.ts"
import { maskedAt } from "./sealed-payloads.ts"
import { change, row, rows, type Step } from "./step.ts"
import { along } from "./walk.ts"

/** A delivery that waits, as far as failing it needs to know it. */
export interface WaitingRow {
  readonly event_id: number
  readonly project_id: number
  readonly status: "pending" | "retrying" | "skipped"
  readonly ordering_key: string | null
}

/**
 * Fails up to `limit` waiting deliveries of a lane that is off or gone, then ends the blocks of its lines: with nothing
 * left behind them there is nothing to hold, and when it is switched on again its keys begin anew. Gives how many rows
 * it was. Index delivery_due.
 */
export function* endWaiting(commit: Commit, lane: IntegrationId, reason: Reason, limit: number): Step<number> {
  const waiting = yield* rows<WaitingRow>(sql`
    select event_id, project_id, status, ordering_key from delivery
    where integration_id = ${lane} and next_at is not null order by queue, next_at, event_id limit ${limit} for update`)
  for (const one of waiting) yield* failWaiting(commit, lane, one, reason)
  const left = limit - waiting.length
  return waiting.length + (left > 0 ? yield* endBlocks(commit, lane, left) : 0)
}

/** What holds deliveries so long that their payloads' time may be over: a paused integration, or one blocking their line. */
export type Holder = "pause" | "block"

/**
 * Fails those of an integration's deliveries of these events that are still held and whose payload's time is over at
 * `at`; gives how many there were. Those behind one in a line take their turn, paused or not. Primary key of `delivery`.
 */
export function* endExpired(
  commit: Commit,
  lane: IntegrationId,
  events: readonly EventId[],
  { at, held }: { readonly at: number; readonly held: Holder },
): Step<number> {
  if (held === "pause") {
    const paused = yield* row(sql`select 1 as it from integration where id = ${lane} and paused = 1`)
    if (paused === undefined) return 0
  }
  let ended = 0
  for (const event of events) {
    const expired = yield* row<WaitingRow & { payload_expires_at: number }>(sql`
      select d.event_id, d.project_id, d.status, d.ordering_key, e.payload_expires_at
      from delivery d join event e on e.project_id = d.project_id and e.id = d.event_id
      where d.integration_id = ${lane} and d.event_id = ${event} and d.next_at is not null
        and e.payload_expires_at <= ${at} ${held === "pause" ? sql`` : isBlocked} for update of d`)
    if (expired === undefined) continue
    yield* failWaiting(commit, lane, expired, payloadExpired(expired.payload_expires_at))
    ended++
  }
  return ended
}

const isBlocked = sql`
  and d.queue = 1 and exists (
    select 1 from delivery b${along("delivery_blocking")}
    where b.integration_id = d.integration_id and b.ordering_key = d.ordering_key and b.status = 'failed' and b.queue = 1)`

/** Why a delivery fails whose payload's time is over. */
export function payloadExpired(expiredAt: number): Reason {
  return { code: "payload_expired", facts: { expired_at: expiredAt } }
}

/** Fails one waiting delivery, and counts it; gives the event that takes its turn in the line of its ordering key. */
export function* failWaiting(
  commit: Commit,
  lane: IntegrationId,
  waiting: WaitingRow,
  reason: Reason,
): Step<EventId | null> {
  const { tallies, now } = commit
  const { event_id: event, project_id: project } = waiting
  const ended = yield* row<RecoveredRow>(sql`
    update delivery set
      status = 'failed', reason = ${reason.code}, facts = ${JSON.stringify(reason.facts)}, next_at = null, queue = 0,
      updated_at = ${now}
    where integration_id = ${lane} and event_id = ${event}
    returning recovery_id`)
  if (typeof ended?.recovery_id === "number") {
    tallies.recovery({ recovery: ended.recovery_id, integration: lane, outcome: "failed", reason: reason.code })
  }
  const key = waiting.ordering_key
  const released = key === null ? null : yield* release(commit, lane, key)
  const from = waiting.status === "pending" ? "n_open" : "n_retrying"
  yield* change(moveCount(from, "n_failed", project, event))
  const of = yield* row<Dimensions>(sql`
    select app_id, environment, type, test from event where project_id = ${project} and id = ${event}`)
  if (of === undefined || of.test === 1) return released
  tallies.delivery({
    ...{ project, integration: lane, at: now, app: of.app_id, environment: of.environment, type: of.type },
    outcome: "failed",
    reason: reason.code,
  })
  return released
}

/** Makes a delivery due now with its schedule anew, in any state but `sending`. */
export function* retryOne(
  commit: Commit,
  delivery: DeliveryId,
  project: ProjectId,
): Step<"due" | "sending" | "absent" | "payload_expired" | "payload_masked"> {
  const { tallies, now } = commit
  const { integration, event } = delivery
  const found = yield* row<StateRow>(sql`
    select d.status, d.reason, d.ordering_key, d.recovery_id, e.payload_expires_at, ${maskedAt} as masked_at
    from delivery d join event e on e.project_id = d.project_id and e.id = d.event_id
    where d.integration_id = ${integration} and d.event_id = ${event} and d.project_id = ${project} for update of d`)
  if (found === undefined) return "absent"
  if (found.status === "sending") return "sending"
  if (found.payload_expires_at <= now) return "payload_expired"
  if (found.masked_at !== null) return "payload_masked"
  const queue = yield* queueInLine(commit, delivery, found.ordering_key)
  yield* change(sql`
    update delivery set
      status = 'pending', reason = ${queue === DUE ? "queued" : "waiting_turn"}, facts = null, next_at = ${now},
      queue = ${queue}, revision = null, recovery_id = null, schedule_attempts = 0, charged = 0, updated_at = ${now}
    where integration_id = ${integration} and event_id = ${event}`)
  const from = countOf(found)
  const isUnderWay = found.status === "pending" || found.status === "retrying" || found.status === "skipped"
  if (found.recovery_id !== null && isUnderWay) {
    tallies.recovery({ recovery: found.recovery_id, integration, outcome: "taken", reason: "" })
  }
  if (from !== "n_open") yield* change(moveCount(from, "n_open", project, event))
  return "due"
}

type Count = "n_open" | "n_retrying" | "n_failed" | "n_delivered" | "n_red" | null

interface RecoveredRow {
  readonly recovery_id: number | null
}

interface StateRow extends RecoveredRow {
  readonly status: "pending" | "sending" | "delivered" | "retrying" | "failed" | "skipped" | "withheld"
  readonly reason: Parameters<typeof isRed>[0] | null
  readonly payload_expires_at: number
  readonly masked_at: number | null
  readonly ordering_key: string | null
}

/** Which of the event's counts a delivery stands in; a grey withholding stands in none. */
export function countOf({ status, reason }: Pick<StateRow, "status" | "reason">): Count {
  switch (status) {
    case "pending":
    case "sending":
      return "n_open"
    case "retrying":
    case "skipped":
      return "n_retrying"
    case "failed":
      return "n_failed"
    case "delivered":
      return "n_delivered"
    case "withheld":
      return reason !== null && isRed(reason) ? "n_red" : null
  }
}

/** Moves one delivery of an event from one of its counts to another. */
export function moveCount(from: Count, to: Exclude<Count, null>, project: ProjectId, event: EventId): Sql {
  const less = from === null ? "" : `${from} = ${from} - 1, `
  return sql`update event set ${raw(`${less}${to} = ${to} + 1`)} where project_id = ${project} and id = ${event}`
}

interface Dimensions {
  readonly app_id: number | null
  readonly environment: string
  readonly type: string
  readonly test: number
}
