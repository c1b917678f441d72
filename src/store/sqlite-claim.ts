/** Claim on SQLite: the oldest due deliveries of a lane, marked as being sent, in the commit that is open. */
import type { Event } from "../domain/event.ts"
import type { DeliveryId, IntegrationId } from "../domain/id.ts"
import { DUE, type Queue } from "../domain/queue.ts"
import type { Claim, Claimed, TallyKey } from "./ledger.ts"
import { type EventRow, eventColumnNames, eventOfRow, isMasked, type PayloadRow, payloadOfRow } from "./rows.ts"
import { openSealed, type SealedRow, selectSealed } from "./sealed-payloads.ts"
import { runNow } from "./sqlite.ts"
import type { SqliteCommit } from "./sqlite-ledger.ts"
import { rows } from "./step.ts"

interface DueRow {
  readonly event_id: number
  readonly project_id: number
  readonly status: "pending" | "retrying" | "skipped"
  readonly revision: number | null
  readonly attempts: number
  readonly schedule_attempts: number
  readonly charged: number
  readonly last_attempt_id: number | null
  readonly created_at: number
  readonly next_at: number | null
  readonly queue: Queue
  readonly ordering_key: string | null
  readonly recovery_id: number | null
}

export interface Wanted {
  readonly fence: number
  readonly room: number
  readonly now: number
  readonly queue: Queue
}

/** Takes up to `room` deliveries of a queue of the lane that are due at `now`, oldest first. */
export function claimDue(commit: SqliteCommit, lane: IntegrationId, { fence, room, now, queue }: Wanted): Claimed {
  const { db } = commit
  const due = db.statements
    .text(selectDue)
    .all(lane, queue, Math.min(now, Number.MAX_SAFE_INTEGER), room) as unknown as DueRow[]
  const take = db.statements.text(markSending)
  const claims = due.map(row => {
    // By the clock: `now` says up to when, and is Infinity where a time is only a place in the order.
    take.run(fence, commit.now, lane, row.event_id)
    // Being tried again, the event is in processing again: its status follows in the same commit.
    if (row.status !== "pending") db.statements.text(reopenEvent).run(row.project_id, row.event_id)
    return claimOfRow(commit, lane, fence, row)
  })
  const next = db.statements.text(selectNext).get(lane, queue)?.next_at
  return { claims, nextAt: typeof next === "number" ? next : null }
}

/** Takes one delivery that waits for its time and is due; null where it is not, or no longer. Primary key. */
export function claimOne(commit: SqliteCommit, { integration, event }: DeliveryId, fence: number): Claim | null {
  const { db, now } = commit
  const row = db.statements.text(selectOne).get(integration, event, DUE, now) as unknown as DueRow | undefined
  if (row === undefined) return null
  db.statements.text(markSending).run(fence, now, integration, event)
  if (row.status !== "pending") db.statements.text(reopenEvent).run(row.project_id, event)
  return claimOfRow(commit, integration, fence, row)
}

/** Claims under an older fencing number than this start's. Index delivery_sending (claim). */
export function lostClaims(commit: SqliteCommit, fence: number, limit: number): Claim[] {
  const lost = commit.db.statements.text(selectLost).all(fence, limit) as unknown as (DueRow & LostRow)[]
  return lost.map(row => claimOfRow(commit, row.integration_id, row.claim, row))
}

interface LostRow {
  readonly integration_id: number
  readonly claim: number
}

function claimOfRow(commit: SqliteCommit, lane: IntegrationId, claim: number, row: DueRow): Claim {
  const { event, type, environment, app, test, privacy, gone } = readEvent(commit, row.project_id, row.event_id)
  return {
    delivery: { event: row.event_id, integration: lane },
    claim,
    event,
    privacy,
    gone,
    project: row.project_id,
    revision: row.revision,
    attempts: row.attempts,
    scheduleAttempts: row.schedule_attempts,
    charged: row.charged,
    lastAttempt: row.last_attempt_id,
    createdAt: row.created_at,
    dueAt: row.next_at ?? row.created_at,
    queue: row.queue,
    orderingKey: row.ordering_key,
    recovery: row.recovery_id,
    tally: { app, environment, type, test },
  }
}

interface ReadEvent extends Pick<Claim, "event" | "privacy" | "gone">, TallyKey {}

function readEvent(commit: SqliteCommit, project: number, id: number): ReadEvent {
  const { db, parts } = commit
  const row = db.statements.text(selectEvent).get(project, id) as unknown as EventRow
  const part = row.payload_part
  const stored = parts.has(part) ? (db.statements.text(selectPayload(part)).get(id) as unknown) : undefined
  const payload = payloadOfRow(part, stored as PayloadRow | undefined)
  const tally = { type: row.type, environment: row.environment, app: row.app_id, test: row.test === 1 }
  if (payload !== undefined && isMasked(payload)) return { ...tally, ...openWhole(commit, row) }
  const event: Event | null = payload === undefined ? null : eventOfRow(row, payload)
  return { ...tally, event }
}

/** What is masked where it is read goes out whole, or not at all. */
function openWhole({ db, seal, now }: SqliteCommit, row: EventRow): Pick<Claim, "event" | "privacy" | "gone"> {
  const [sealed] = runNow(db, rows<SealedRow>(selectSealed([{ project: row.project_id, event: row.id }])))
  const opened = openSealed(seal, sealed, now)
  if (opened.kind === "gone") return { event: null, gone: opened.facts }
  return { event: eventOfRow(row, opened.payload), privacy: opened.privacy }
}

// Index delivery_due (integration_id, queue, next_at, event_id).
const selectDue = `
  select event_id, project_id, status, revision, attempts, schedule_attempts, charged, last_attempt_id, created_at,
    next_at, queue, ordering_key, recovery_id
  from delivery
  where integration_id = ? and queue = ? and next_at <= ?
  order by next_at, event_id
  limit ?`

const selectOne = `
  select event_id, project_id, status, revision, attempts, schedule_attempts, charged, last_attempt_id, created_at,
    next_at, queue, ordering_key, recovery_id
  from delivery
  where integration_id = ? and event_id = ? and queue = ? and next_at <= ?`

const selectNext = `
  select min(next_at) as next_at from delivery where integration_id = ? and queue = ? and next_at is not null`

const selectLost = `
  select integration_id, claim, event_id, project_id, status, revision, attempts, schedule_attempts, charged,
    last_attempt_id, created_at, next_at, queue, ordering_key, recovery_id
  from delivery
  where claim < ? and claim is not null
  limit ?`

const markSending = `
  update delivery set status = 'sending', reason = null, next_at = null, queue = 0, claim = ?, updated_at = ?
  where integration_id = ? and event_id = ?`

const reopenEvent = "update event set n_retrying = n_retrying - 1, n_open = n_open + 1 where project_id = ? and id = ?"

const selectEvent = `select ${eventColumnNames} from event e where e.project_id = ? and e.id = ?`

function selectPayload(part: number): string {
  return `select kind, data, media_type from payload_${part} where event_id = ?`
}
