/**
 * Ordered delivery on SQLite: the line of an ordering key. Its first stands among what is due, or is being sent; all
 * others wait in a queue of their own and cost nothing until the one before them has ended. As it all stands in the
 * rows, order holds over retries, restarts and lost claims.
 *
 *   accepted ──line is free──→ in front ──has ended──→ out, and the next one behind takes its turn
 *          └─line is taken─→ behind        └─has failed, and blocks──→ in front until it is retried or released
 *
 * Every commit keeps that (integration, key) has one in front at the most, and one behind only where there is one in front.
 * So whoever makes a delivery wait asks `queueInLine`, and whoever ends one calls `release`. Whether a delivery stands in a
 * line is settled when it is accepted: switching `ordered` off or on changes nothing for those that wait.
 */
import type { DeliveryId, EventId, IntegrationId, ProjectId } from "../domain/id.ts"
import { DUE, IN_LINE, RECOVERED } from "../domain/queue.ts"
import type { SqliteDatabase } from "./sqlite.ts"
import type { Commit } from "./sqlite-ledger.ts"

/** Whether someone stands in the line of a key already, on its way or blocking it. Index delivery_in_line. */
export function isLineTaken(db: SqliteDatabase, lane: IntegrationId, key: string): boolean {
  return db.statements.text(selectAny).get(lane, key) !== undefined
}

/** The queue of a delivery that comes back into the line of its key, as by a retry: another may be under way. */
export function queueInLine(db: SqliteDatabase, { integration, event }: DeliveryId, key: string | null): number {
  if (key === null) return DUE
  return db.statements.text(selectOtherInFront).get(integration, key, event) === undefined ? DUE : IN_LINE
}

/** Ends up to `limit` blocks of a lane, so that its lines go on; gives how many there were. Index delivery_blocking. */
export function endBlocks(commit: Commit, lane: IntegrationId, limit: number): number {
  const { statements } = commit.db
  const rows = statements.text(selectBlocks).all(lane, limit) as unknown as BlockingRow[]
  for (const { event_id: event, ordering_key: key } of rows) {
    statements.text(endBlock).run(commit.now, lane, event)
    release(commit, lane, key)
  }
  return rows.length
}

/** Has the next in the line of a key take its turn, unless one is in front still; gives its event. */
export function release({ db, now }: Commit, lane: IntegrationId, key: string): EventId | null {
  const { statements } = db
  if (statements.text(selectFront).get(lane, key) !== undefined) return null
  const row = statements.text(selectBehind).get(lane, key) as { event_id: number } | undefined
  if (row === undefined) return null
  statements.text(takeTurn).run(now, lane, row.event_id)
  return row.event_id
}

/** Ends the block of a failed delivery; the event that takes its turn, null where none waits, undefined where it blocks none. */
export function unblock(commit: Commit, delivery: DeliveryId, project: ProjectId): EventId | null | undefined {
  const { integration, event } = delivery
  const { statements } = commit.db
  const row = statements.text(selectBlocking).get(integration, event, project) as { ordering_key: string } | undefined
  if (row === undefined) return undefined
  statements.text(endBlock).run(commit.now, integration, event)
  return release(commit, integration, row.ordering_key)
}

interface BlockingRow {
  readonly event_id: number
  readonly ordering_key: string
}

// Without the name of the index SQLite walks along the whole lane: see `along` in walk.ts.
const selectAny = `
  select 1 from delivery indexed by delivery_in_line
  where integration_id = ? and ordering_key = ? and in_line in (1, 2) limit 1`

const selectOtherInFront = `
  select 1 from delivery indexed by delivery_in_line
  where integration_id = ? and ordering_key = ? and in_line = 1 and event_id <> ? limit 1`

const selectFront = `
  select 1 from delivery indexed by delivery_in_line
  where integration_id = ? and ordering_key = ? and in_line = 1 limit 1`

const selectBehind = `
  select event_id from delivery indexed by delivery_in_line
  where integration_id = ? and ordering_key = ? and in_line = 2 order by event_id limit 1`

// What a recovery queued keeps its rank, or one key's backlog would run ahead of what comes in.
const takeTurn = `
  update delivery set
    queue = iif(recovery_id is null, ${DUE}, ${RECOVERED}), next_at = min(next_at, ?1), updated_at = ?1, reason = case reason when 'waiting_turn' then 'queued' else reason end
  where integration_id = ?2 and event_id = ?3`

// Primary key.
const selectBlocking = `
  select ordering_key from delivery
  where integration_id = ? and event_id = ? and project_id = ? and in_line = 1
    and status = 'failed'`

const selectBlocks = `
  select event_id, ordering_key from delivery indexed by delivery_blocking
  where integration_id = ? and status = 'failed' and queue = 1 limit ?`

const endBlock = `update delivery set queue = ${DUE}, updated_at = ? where integration_id = ? and event_id = ?`
