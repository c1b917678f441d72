/**
 * What a recovery moves, in the commit that is open: deliveries that were over wait again, withheld and missing events
 * get one, and how far the recovery is moves with them, so that nothing is queued twice whatever happens in between.
 * What it queued and nobody has sent can be given back: everything is then as it was before.
 */
import type { Withheld } from "../domain/event.ts"
import type { EventId, IntegrationId, ProjectId, RecoveryId } from "../domain/id.ts"
import { DUE, IN_LINE, RECOVERED } from "../domain/queue.ts"
import { isRed, type ReasonCode } from "../domain/reason.ts"
import type { Standing } from "../domain/recovery.ts"
import { withheldReason } from "./recovery-look.ts"
import type { Commit } from "./sqlite-ledger.ts"
import { queueInLine, release } from "./sqlite-line.ts"
import { countOf, moveCount } from "./sqlite-move.ts"
import type { RecoveryOutcome } from "./tallies.ts"

/** A piece of a recovery at one integration: what is queued, what is counted, how far it is then. */
export interface RecoveryPiece {
  readonly recovery: RecoveryId
  readonly project: ProjectId
  readonly integration: IntegrationId
  /** Where the piece goes on from: it is for nothing where the recovery is elsewhere by now. */
  readonly from: EventId
  readonly reached: EventId
  readonly isThrough: boolean
  readonly sends: readonly Send[]
  /** Of those that a pause had given back: they are not to be looked at again. */
  readonly again: readonly EventId[]
  readonly counts: readonly { readonly outcome: RecoveryOutcome; readonly reason: string; readonly count: number }[]
}

/** An event that is to be sent again. */
export interface Send {
  readonly event: EventId
  readonly standing: Standing
  /** Set where its integration delivers in the order of keys: used where it has no delivery yet. */
  readonly orderingKey: string | null
  /** Its request is made with the revision of before. */
  readonly keepsRevision: boolean
}

/** Queues a piece; gives how many were queued, null where the recovery no longer runs, or is elsewhere. */
export function queuePiece(commit: Commit, piece: RecoveryPiece): number | null {
  const { db, tallies, now } = commit
  const { recovery, integration } = piece
  const lane = db.statements.text(selectLane).get(recovery, integration) as unknown as LaneRow | undefined
  if (lane === undefined || lane.state !== "running" || lane.reached !== piece.from) return null
  let queued = 0
  for (const send of piece.sends) {
    const isQueued = send.standing.kind === "delivery" ? requeue(commit, piece, send) : insert(commit, piece, send)
    if (isQueued) queued++
  }
  const count = (outcome: RecoveryOutcome, reason: string, n: number) => {
    if (n > 0) tallies.recovery({ recovery, integration, outcome, reason }, n)
  }
  count("queued", "", queued)
  count("changed", "", piece.sends.length - queued)
  for (const { outcome, reason, count: n } of piece.counts) count(outcome, reason, n)
  const forget = db.statements.text(deleteReturned)
  for (const event of piece.again) forget.run(recovery, integration, event)
  db.statements.text(moveLane).run(piece.reached, piece.isThrough ? 1 : 0, recovery, integration)
  db.statements.text(touchRecovery).run(now, recovery)
  return queued
}

/** What a delivery was, as `before_recovery` keeps it. */
type Before =
  | { readonly kind: "withheld"; readonly reason: ReasonCode }
  | { readonly kind: "missing" }
  | {
      readonly kind: "delivery"
      readonly status: "failed" | "delivered" | "withheld"
      readonly reason: ReasonCode | null
      readonly facts: string | null
      readonly revision: number | null
      readonly tries: number
      readonly charged: number
      /** It held those behind it of its ordering key. */
      readonly blocks: boolean
      readonly recovery: number | null
    }

/** A delivery that was over waits again, unless it is no longer what it was when it was found. */
function requeue({ db, now }: Commit, { recovery, project, integration }: RecoveryPiece, send: Send): boolean {
  const { event, standing } = send
  const row = db.statements.text(selectDelivery).get(integration, event, project) as unknown as StoredRow | undefined
  if (row === undefined || standing.kind !== "delivery" || row.status !== standing.status) return false
  if (row.status !== "failed" && row.status !== "delivered" && row.status !== "withheld") return false
  if (row.recovery_id === recovery || row.payload_expires_at <= now) return false
  const before: Before = {
    kind: "delivery",
    status: row.status,
    reason: row.reason,
    facts: row.facts,
    revision: row.revision,
    tries: row.schedule_attempts,
    charged: row.charged,
    blocks: row.status === "failed" && row.queue === IN_LINE,
    recovery: row.recovery_id,
  }
  const isBehind = queueInLine(db, { integration, event }, row.ordering_key) === IN_LINE
  db.statements
    .text(makeDue)
    .run(
      isBehind ? "waiting_turn" : "queued",
      now,
      isBehind ? IN_LINE : RECOVERED,
      send.keepsRevision ? row.revision : null,
      recovery,
      JSON.stringify(before),
      now,
      integration,
      event,
    )
  db.statements.text(moveCount(countOf(row), "n_open")).run(project, event)
  return true
}

/** An event gets a delivery to an integration that it was withheld from, or that knew nothing of it. */
function insert(commit: Commit, { recovery, project, integration }: RecoveryPiece, send: Send): boolean {
  const { db, tallies, now } = commit
  const { event, standing, orderingKey } = send
  const row = db.statements.text(selectEvent).get(project, event) as unknown as EventRow | undefined
  if (row === undefined || row.payload_expires_at <= now) return false
  const reason = withheldReason(row.withheld, integration)
  if (reason !== (standing.kind === "withheld" ? standing.reason : null)) return false
  if (db.statements.text(selectAny).get(integration, event) !== undefined) return false
  const before: Before = reason === null ? { kind: "missing" } : { kind: "withheld", reason }
  const isBehind = queueInLine(db, { integration, event }, orderingKey) === IN_LINE
  db.statements
    .text(insertDelivery)
    .run(
      integration,
      event,
      project,
      isBehind ? "waiting_turn" : "queued",
      now,
      orderingKey,
      isBehind ? IN_LINE : RECOVERED,
      recovery,
      JSON.stringify(before),
      now,
      now,
    )
  const red = reason !== null && isRed(reason) ? 1 : 0
  const targets = [...(JSON.parse(row.targets) as number[]), integration]
  db.statements.text(moveIn).run(JSON.stringify(targets), without(row.withheld, integration), red, project, event)
  const { app_id: app, environment, type } = row
  tallies.delivery({ project, integration, at: now, app, environment, type, outcome: "routed", reason: "" })
  return true
}

/** What is given back. */
export interface GiveBack {
  readonly recovery: RecoveryId
  readonly integration: IntegrationId
  /** They are looked at again when the recovery is resumed. */
  readonly toResume: boolean
  readonly limit: number
}

/**
 * Gives back up to `limit` deliveries that wait for their first try since they were queued; gives how many there were.
 * The last events first: those in front of a line keep the others where they are. Index delivery_recovering.
 */
export function giveBack(commit: Commit, { recovery, integration, toResume, limit }: GiveBack): number {
  const { db, tallies, now } = commit
  const rows: WaitingRow[] = []
  for (const status of ["pending", "skipped"]) {
    const left = limit - rows.length
    rows.push(
      ...(db.statements.text(selectWaiting).all(recovery, integration, status, left) as unknown as WaitingRow[]),
    )
  }
  rows.sort((a, b) => b.event_id - a.event_id)
  const keep = db.statements.text(insertReturned)
  for (const row of rows) {
    putBack(commit, integration, row)
    if (toResume) keep.run(recovery, integration, row.event_id)
  }
  if (rows.length > 0) {
    tallies.recovery({ recovery, integration, outcome: "returned", reason: "" }, rows.length)
    db.statements.text(touchRecovery).run(now, recovery)
  }
  return rows.length
}

function putBack(commit: Commit, integration: IntegrationId, row: WaitingRow): void {
  const { db, now } = commit
  const { event_id: event, project_id: project } = row
  const before = JSON.parse(row.before_recovery) as Before
  const from = row.status === "pending" ? "n_open" : "n_retrying"
  if (before.kind === "delivery") {
    const { status, reason, facts, revision, tries, charged, blocks, recovery } = before
    db.statements
      .text(restoreDelivery)
      .run(status, reason, facts, blocks ? IN_LINE : DUE, revision, tries, charged, recovery, now, integration, event)
    const to = countOf({ status, reason })
    db.statements.text(to === null ? leaveCount(from) : moveCount(from, to)).run(project, event)
    if (!blocks && row.ordering_key !== null) release(commit, integration, row.ordering_key)
    return
  }
  db.statements.text(deleteDelivery).run(integration, event)
  const stored = db.statements.text(selectEvent).get(project, event) as unknown as EventRow
  const targets = (JSON.parse(stored.targets) as number[]).filter(id => id !== integration)
  const reason = before.kind === "withheld" ? before.reason : null
  const withheld = reason === null ? stored.withheld : including(stored.withheld, integration, reason)
  db.statements
    .text(moveOut(from))
    .run(JSON.stringify(targets), withheld, reason !== null && isRed(reason) ? 1 : 0, project, event)
  if (row.ordering_key !== null) release(commit, integration, row.ordering_key)
}

/** Forgets a recovery and what it counted. */
export function removeRecovery({ db }: Commit, id: RecoveryId): void {
  for (const text of deletions) db.statements.text(text).run(id)
}

/** Withholdings without those of an integration. */
function without(json: string, integration: IntegrationId): string {
  const entries = Object.entries(JSON.parse(json) as Withheld).map(
    ([code, ids]) => [code, (ids ?? []).filter(id => id !== integration)] as const,
  )
  return JSON.stringify(Object.fromEntries(entries.filter(([, ids]) => ids.length > 0)))
}

function including(json: string, integration: IntegrationId, reason: ReasonCode): string {
  const withheld = JSON.parse(json) as Withheld
  return JSON.stringify({ ...withheld, [reason]: [...(withheld[reason] ?? []), integration] })
}

interface LaneRow {
  readonly state: string
  readonly reached: number
}

interface StoredRow {
  readonly status: "pending" | "sending" | "delivered" | "retrying" | "failed" | "skipped" | "withheld"
  readonly reason: ReasonCode | null
  readonly facts: string | null
  readonly queue: number
  readonly ordering_key: string | null
  readonly revision: number | null
  readonly schedule_attempts: number
  readonly charged: number
  readonly recovery_id: number | null
  readonly payload_expires_at: number
}

interface EventRow {
  readonly type: string
  readonly environment: string
  readonly app_id: number | null
  readonly targets: string
  readonly withheld: string
  readonly payload_expires_at: number
}

interface WaitingRow {
  readonly event_id: number
  readonly project_id: number
  readonly status: "pending" | "skipped"
  readonly ordering_key: string | null
  readonly before_recovery: string
}

const selectLane = `
  select r.state, l.reached from recovery_lane l join recovery r on r.id = l.recovery_id
  where l.recovery_id = ? and l.integration_id = ?`

const moveLane = "update recovery_lane set reached = ?, is_through = ? where recovery_id = ? and integration_id = ?"
const touchRecovery = "update recovery set updated_at = ? where id = ?"
const deleteReturned = "delete from recovery_returned where recovery_id = ? and integration_id = ? and event_id = ?"
const insertReturned = `
  insert into recovery_returned (recovery_id, integration_id, event_id) values (?, ?, ?) on conflict do nothing`

const deletions = [
  "delete from recovery_returned where recovery_id = ?",
  "delete from recovery_tally where recovery_id = ?",
  "delete from recovery_lane where recovery_id = ?",
  "delete from recovery where id = ?",
]

// Primary keys.
const selectDelivery = `
  select d.status, d.reason, d.facts, d.queue, d.ordering_key, d.revision, d.schedule_attempts, d.charged, d.recovery_id,
    e.payload_expires_at
  from delivery d join event e on e.project_id = d.project_id and e.id = d.event_id
  where d.integration_id = ? and d.event_id = ? and d.project_id = ?`

const makeDue = `
  update delivery set status = 'pending', reason = ?, facts = null, next_at = ?, queue = ?, revision = ?, recovery_id = ?,
    before_recovery = ?, schedule_attempts = 0, charged = 0, updated_at = ?
  where integration_id = ? and event_id = ?`

const selectEvent = `
  select type, environment, app_id, targets, withheld, payload_expires_at from event where project_id = ? and id = ?`
const selectAny = "select 1 from delivery where integration_id = ? and event_id = ?"

const insertDelivery = `
  insert into delivery (
    integration_id, event_id, project_id, status, reason, next_at, ordering_key, queue, recovery_id, before_recovery,
    created_at, updated_at
  ) values (?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?)`

const moveIn = `
  update event set targets = ?, withheld = ?, n_red = n_red - ?, n_open = n_open + 1 where project_id = ? and id = ?`

const selectWaiting = `
  select event_id, project_id, status, ordering_key, before_recovery from delivery indexed by delivery_recovering
  where recovery_id = ? and integration_id = ? and status = ? and schedule_attempts = 0
    and recovery_id is not null and status in ('pending', 'sending', 'retrying', 'skipped')
  limit ?`

const restoreDelivery = `
  update delivery set status = ?, reason = ?, facts = ?, next_at = null, queue = ?, revision = ?, schedule_attempts = ?,
    charged = ?, recovery_id = ?, before_recovery = null, updated_at = ?
  where integration_id = ? and event_id = ?`
const deleteDelivery = "delete from delivery where integration_id = ? and event_id = ?"

function leaveCount(from: "n_open" | "n_retrying"): string {
  return `update event set ${from} = ${from} - 1 where project_id = ? and id = ?`
}

function moveOut(from: "n_open" | "n_retrying"): string {
  return `
    update event set targets = ?, withheld = ?, n_red = n_red + ?, ${from} = ${from} - 1 where project_id = ? and id = ?`
}
