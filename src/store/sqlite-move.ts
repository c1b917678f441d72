/**
 * Moves of deliveries that no attempt has caused: ended because their integration is off or gone or their payload's time
 * is over, or retried by hand.
 */
import type { Reason } from "../domain/delivery.ts"
import type { DeliveryId, EventId, IntegrationId, ProjectId } from "../domain/id.ts"
import { DUE } from "../domain/queue.ts"
import { isRed } from "../domain/reason.ts"
import type { Commit } from "./sqlite-ledger.ts"
import { endBlocks, queueInLine, release } from "./sqlite-line.ts"

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
export function endWaiting(commit: Commit, lane: IntegrationId, reason: Reason, limit: number): number {
  const rows = commit.db.statements.text(selectWaiting).all(lane, limit) as unknown as WaitingRow[]
  for (const row of rows) failWaiting(commit, lane, row, reason)
  const left = limit - rows.length
  return rows.length + (left > 0 ? endBlocks(commit, lane, left) : 0)
}

/** What holds deliveries so long that their payloads' time may be over: a paused integration, or one blocking their line. */
export type Holder = "pause" | "block"

/**
 * Fails those of an integration's deliveries of these events that are still held and whose payload's time is over at
 * `at`; gives how many there were. Those behind one in a line take their turn, paused or not. Primary key of `delivery`.
 */
export function endExpired(
  commit: Commit,
  lane: IntegrationId,
  events: readonly EventId[],
  { at, held }: { readonly at: number; readonly held: Holder },
): number {
  const { statements } = commit.db
  if (held === "pause" && statements.text(selectPaused).get(lane) === undefined) return 0
  const select = statements.text(held === "pause" ? selectExpired : selectExpired + isBlocked)
  let ended = 0
  for (const event of events) {
    const row = select.get(lane, event, at) as unknown as (WaitingRow & { payload_expires_at: number }) | undefined
    if (row === undefined) continue
    failWaiting(commit, lane, row, payloadExpired(row.payload_expires_at))
    ended++
  }
  return ended
}

/** Why a delivery fails whose payload's time is over. */
export function payloadExpired(expiredAt: number): Reason {
  return { code: "payload_expired", facts: { expired_at: expiredAt } }
}

/** Fails one waiting delivery, and counts it; gives the event that takes its turn in the line of its ordering key. */
export function failWaiting(commit: Commit, lane: IntegrationId, row: WaitingRow, reason: Reason): EventId | null {
  const { db, tallies, now } = commit
  const ended = db.statements
    .text(failDelivery)
    .get(reason.code, JSON.stringify(reason.facts), now, lane, row.event_id) as unknown as RecoveredRow | undefined
  if (typeof ended?.recovery_id === "number") {
    tallies.recovery({ recovery: ended.recovery_id, integration: lane, outcome: "failed", reason: reason.code })
  }
  const released = row.ordering_key === null ? null : release(commit, lane, row.ordering_key)
  const from = row.status === "pending" ? "n_open" : "n_retrying"
  db.statements.text(moveCount(from, "n_failed")).run(row.project_id, row.event_id)
  const event = db.statements.text(selectDimensions).get(row.project_id, row.event_id) as unknown as Dimensions
  if (event.test === 1) return released
  tallies.delivery({
    project: row.project_id,
    integration: lane,
    at: now,
    app: event.app_id,
    environment: event.environment,
    type: event.type,
    outcome: "failed",
    reason: reason.code,
  })
  return released
}

/** Makes a delivery due now with its schedule anew, in any state but `sending`. */
export function retryOne(
  { db, tallies, now }: Commit,
  delivery: DeliveryId,
  project: ProjectId,
): "due" | "sending" | "absent" | "payload_expired" {
  const row = db.statements.text(selectState).get(delivery.integration, delivery.event, project) as unknown as
    | StateRow
    | undefined
  if (row === undefined) return "absent"
  if (row.status === "sending") return "sending"
  if (row.payload_expires_at <= now) return "payload_expired"
  const queue = queueInLine(db, delivery, row.ordering_key)
  db.statements
    .text(makeDue)
    .run(queue === DUE ? "queued" : "waiting_turn", now, queue, now, delivery.integration, delivery.event)
  const from = countOf(row)
  const isUnderWay = row.status === "pending" || row.status === "retrying" || row.status === "skipped"
  if (row.recovery_id !== null && isUnderWay) {
    const { integration } = delivery
    tallies.recovery({ recovery: row.recovery_id, integration, outcome: "taken", reason: "" })
  }
  if (from !== "n_open") db.statements.text(moveCount(from, "n_open")).run(project, delivery.event)
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
export function moveCount(from: Count, to: Exclude<Count, null>): string {
  const less = from === null ? "" : `${from} = ${from} - 1, `
  return `update event set ${less}${to} = ${to} + 1 where project_id = ? and id = ?`
}

interface Dimensions {
  readonly app_id: number | null
  readonly environment: string
  readonly type: string
  readonly test: number
}

const selectWaiting = `
  select event_id, project_id, status, ordering_key from delivery
  where integration_id = ? and next_at is not null order by queue, next_at, event_id limit ?`

const selectPaused = "select 1 from integration where id = ? and paused = 1"

const selectExpired = `
  select d.event_id, d.project_id, d.status, d.ordering_key, e.payload_expires_at
  from delivery d join event e on e.project_id = d.project_id and e.id = d.event_id
  where d.integration_id = ? and d.event_id = ? and d.next_at is not null and e.payload_expires_at <= ?`

const isBlocked = `
  and d.queue = 1 and exists (
    select 1 from delivery b indexed by delivery_blocking
    where b.integration_id = d.integration_id and b.ordering_key = d.ordering_key and b.status = 'failed' and b.queue = 1)`

const failDelivery = `
  update delivery set status = 'failed', reason = ?, facts = ?, next_at = null, queue = 0, updated_at = ?
  where integration_id = ? and event_id = ?
  returning recovery_id`

const selectDimensions = "select app_id, environment, type, test from event where project_id = ? and id = ?"

const selectState = `
  select d.status, d.reason, d.ordering_key, d.recovery_id, e.payload_expires_at
  from delivery d join event e on e.project_id = d.project_id and e.id = d.event_id
  where d.integration_id = ? and d.event_id = ? and d.project_id = ?`

const makeDue = `
  update delivery set status = 'pending', reason = ?, facts = null, next_at = ?, queue = ?, revision = null,
    recovery_id = null, schedule_attempts = 0, charged = 0, updated_at = ?
  where integration_id = ? and event_id = ?`
