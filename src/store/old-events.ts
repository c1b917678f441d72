/**
 * The end of events: their deliveries with the attempts first, then the events themselves and the ids that senders gave
 * them, oldest first and little by little, each piece in the commit that is open. A piece that was cut short leaves
 * events that have lost deliveries, which nobody can read any more; the next one goes on from there.
 */
import type { EventId, IntegrationId, ProjectId } from "../domain/id.ts"
import type { Commit } from "./commit.ts"
import { sql } from "./database.ts"
import { release } from "./line.ts"
import { failWaiting, payloadExpired, type WaitingRow } from "./move.ts"
import { change, row, rows, type Step } from "./step.ts"

/** How many rows a piece removed. */
export interface RemovedEvents {
  readonly event: number
  readonly delivery: number
  readonly attempt: number
  /** Deliveries that still waited and failed before they went. */
  readonly ended: number
  /** Integrations in which something is due now that stood behind one of them in the line of its ordering key. */
  readonly released: readonly IntegrationId[]
  /** False where nothing more of this project is due. */
  readonly more: boolean
}

/** What is due: what a project received up to `receivedUpTo`, and everything up to the event `first`; about `rows` of it. */
export interface DueEvents {
  readonly project: ProjectId
  /** All integrations of the project, removed ones too. */
  readonly integrations: readonly IntegrationId[]
  readonly first: EventId
  readonly receivedUpTo: number
  readonly rows: number
}

/** Removes a piece of what is due. */
export function* removeOldEvents(commit: Commit, due: DueEvents): Step<RemovedEvents> {
  const last = yield* lastDue(due)
  if (last === null) return { event: 0, delivery: 0, attempt: 0, ended: 0, released: [], more: false }
  const released: IntegrationId[] = []
  const removed = { delivery: 0, attempt: 0, ended: 0, released }
  for (const integration of due.integrations) {
    const left = due.rows - removed.delivery - removed.attempt
    if (left <= 0) return { ...removed, event: 0, more: true }
    const piece = yield* removeDeliveries(commit, integration, last, left)
    removed.delivery += piece.delivery
    removed.attempt += piece.attempt
    removed.ended += piece.ended
    if (piece.released) released.push(integration)
    if (!piece.all) return { ...removed, event: 0, more: true }
  }
  yield* change(sql`
    delete from own_id
    where (project_id, external_id, source) in (
      select project_id, external_id, source from event
      where project_id = ${due.project} and id <= ${last} and external_id is not null)`)
  const event = yield* change(sql`delete from event where project_id = ${due.project} and id <= ${last}`)
  return { ...removed, event, more: true }
}

/**
 * The last of the oldest events that are all due. What came in while the clock was ahead holds up what is behind it
 * until its own time has come: late, and never early. An event that is being sent at this moment stays, since whoever
 * sends it has yet to settle it.
 */
function* lastDue({ project, first, receivedUpTo, rows: limit }: DueEvents): Step<EventId | null> {
  // Primary key of event.
  const oldest = yield* rows<OldestRow>(sql`
    select id, received_at from event where project_id = ${project} order by id limit ${limit}`)
  // Index delivery_sending: as many rows as there are requests under way.
  const sending = yield* row<{ event_id: EventId | null }>(sql`
    select min(event_id) as event_id from delivery where claim is not null`)
  const before = sending?.event_id ?? Number.POSITIVE_INFINITY
  let last: EventId | null = null
  for (const { id, received_at } of oldest) {
    if ((id > first && received_at > receivedUpTo) || id >= before) break
    last = id
  }
  return last
}

/** Removes an integration's oldest deliveries up to an event, with their attempts: about `limit` rows. */
function* removeDeliveries(
  commit: Commit,
  integration: IntegrationId,
  upTo: EventId,
  limit: number,
): Step<{ delivery: number; attempt: number; ended: number; released: boolean; all: boolean }> {
  // Primary keys.
  const found = yield* rows<OldDeliveryRow>(sql`
    select d.event_id, d.project_id, d.status, d.ordering_key, d.next_at, d.attempts, e.payload_expires_at
    from delivery d join event e on e.project_id = d.project_id and e.id = d.event_id
    where d.integration_id = ${integration} and d.event_id <= ${upTo} order by d.event_id limit ${limit} for update of d`)
  let [taken, size, ended] = [0, 0, 0]
  const lines = new Set<string>()
  const turns: (EventId | null)[] = []
  for (const old of found) {
    // A delivery's attempts go together, however many somebody has asked for by hand.
    if (size >= limit) break
    if (old.next_at !== null) {
      turns.push(yield* failWaiting(commit, integration, old, payloadExpired(old.payload_expires_at)))
      ended++
    }
    if (old.ordering_key !== null) lines.add(old.ordering_key)
    taken++
    size += 1 + old.attempts
  }
  const last = found[taken - 1]?.event_id
  if (last === undefined) return { delivery: 0, attempt: 0, ended, released: false, all: true }
  // A delivery's attempts are a chain from its last one.
  const attempt = yield* change(sql`
    with recursive old (id) as (
      select last_attempt_id from delivery
      where integration_id = ${integration} and event_id <= ${last} and last_attempt_id is not null
      union all
      select a.previous_id from old join attempt a on a.id = old.id
      where a.previous_id is not null
    )
    delete from attempt where id in (select id from old)`)
  yield* change(sql`delete from delivery where integration_id = ${integration} and event_id <= ${last}`)
  // One that blocked its line goes with its event, which was there to act upon for all that time: nothing would end it later.
  for (const key of lines) turns.push(yield* release(commit, integration, key))
  const released = turns.some(event => event !== null && event > last)
  return { delivery: taken, attempt, ended, released, all: taken === found.length && found.length < limit }
}

interface OldestRow {
  readonly id: number
  readonly received_at: number
}

interface OldDeliveryRow extends WaitingRow {
  readonly next_at: number | null
  readonly attempts: number
  readonly payload_expires_at: number
}
