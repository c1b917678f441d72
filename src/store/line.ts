/**
 * Ordered delivery: the line of an ordering key. Its first stands among what is due, or is being sent; all others wait in
 * a queue of their own and cost nothing until the one before them has ended. As it all stands in the rows, order holds
 * over retries, restarts and lost claims.
 *
 *   accepted ──line is free──→ in front ──has ended──→ out, and the next one behind takes its turn
 *          └─line is taken─→ behind        └─has failed, and blocks──→ in front until it is retried or released
 *
 * Every commit keeps that (integration, key) has one in front at the most, and one behind only where there is one in front.
 * So whoever makes a delivery wait asks `queueInLine`, and whoever ends one calls `release`. Whether a delivery stands in a
 * line is settled when it is accepted: switching `ordered` off or on changes nothing for those that wait.
 */
import type { DeliveryId, EventId, IntegrationId, ProjectId } from "../domain/id.ts"
import { DUE, IN_LINE, type Queue, RECOVERED } from "../domain/queue.ts"
import type { Commit } from "./commit.ts"
import { raw, type Sql, sql } from "./database.ts"
import { change, row, rows, type Step } from "./step.ts"
import { along } from "./walk.ts"

// Without the name of the index SQLite walks along the whole lane: see `along` in walk.ts.
const inLine = along("delivery_in_line")
const blocking = along("delivery_blocking")

// As text of ours: PostgreSQL takes values that stand in a case for text.
const due = raw(String(DUE))
const recovered = raw(String(RECOVERED))

/** The queue of a delivery that comes back into the line of its key, as by a retry: another may be under way. */
export function* queueInLine(commit: Commit, { integration, event }: DeliveryId, key: string | null): Step<Queue> {
  if (key === null) return DUE
  yield* commit.lockLine(integration, key)
  const other = yield* row(sql`
    select 1 as it from delivery${inLine}
    where integration_id = ${integration} and ordering_key = ${key} and in_line = 1 and event_id <> ${event} limit 1`)
  return other === undefined ? DUE : IN_LINE
}

/** Ends up to `limit` blocks of a lane, so that its lines go on; gives how many there were. Index delivery_blocking. */
export function* endBlocks(commit: Commit, lane: IntegrationId, limit: number): Step<number> {
  const found = yield* rows<{ event_id: EventId; ordering_key: string }>(sql`
    select event_id, ordering_key from delivery${blocking}
    where integration_id = ${lane} and status = 'failed' and queue = 1 limit ${limit}`)
  for (const { event_id: event, ordering_key: key } of found) {
    yield* change(endBlock(commit, { integration: lane, event }))
    yield* release(commit, lane, key)
  }
  return found.length
}

/** Has the next in the line of a key take its turn, unless one is in front still; gives its event. */
export function* release(commit: Commit, lane: IntegrationId, key: string): Step<EventId | null> {
  yield* commit.lockLine(lane, key)
  const front = yield* row(sql`
    select 1 as it from delivery${inLine}
    where integration_id = ${lane} and ordering_key = ${key} and in_line = 1 limit 1`)
  if (front !== undefined) return null
  const behind = yield* row<{ event_id: EventId }>(sql`
    select event_id from delivery${inLine}
    where integration_id = ${lane} and ordering_key = ${key} and in_line = 2 order by event_id limit 1`)
  if (behind === undefined) return null
  // What a recovery queued keeps its rank, or one key's backlog would run ahead of what comes in.
  yield* change(sql`
    update delivery set
      queue = case when recovery_id is null then ${due} else ${recovered} end,
      next_at = case when next_at < ${commit.now} then next_at else ${commit.now} end,
      updated_at = ${commit.now},
      reason = case reason when 'waiting_turn' then 'queued' else reason end
    where integration_id = ${lane} and event_id = ${behind.event_id}`)
  return behind.event_id
}

/** Ends the block of a failed delivery; the event that takes its turn, null where none waits, undefined where it blocks none. */
export function* unblock(commit: Commit, delivery: DeliveryId, project: ProjectId): Step<EventId | null | undefined> {
  const { integration, event } = delivery
  // Primary key.
  const found = yield* row<{ ordering_key: string }>(sql`
    select ordering_key from delivery
    where integration_id = ${integration} and event_id = ${event} and project_id = ${project} and in_line = 1
      and status = 'failed' for update`)
  if (found === undefined) return undefined
  yield* change(endBlock(commit, delivery))
  return yield* release(commit, integration, found.ordering_key)
}

function endBlock({ now }: Commit, { integration, event }: DeliveryId): Sql {
  return sql`
    update delivery set queue = ${DUE}, updated_at = ${now}
    where integration_id = ${integration} and event_id = ${event}`
}
