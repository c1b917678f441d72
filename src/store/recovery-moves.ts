/**
 * What a recovery moves, in the commit that is open: deliveries that were over wait again, withheld and missing events
 * get one, and how far the recovery is moves with them, so that nothing is queued twice whatever happens in between.
 * What it queued and nobody has sent can be given back: everything is then as it was before.
 */
import type { Withheld } from "../domain/event.ts"
import type { EventId, IntegrationId, ProjectId, RecoveryId } from "../domain/id.ts"
import { resolvePolicy } from "../domain/policy.ts"
import { DUE, IN_LINE, RECOVERED } from "../domain/queue.ts"
import { isRed, type ReasonCode } from "../domain/reason.ts"
import type { Standing } from "../domain/recovery.ts"
import { makeUpFor, type Retargeted } from "./arrival-tallies.ts"
import type { Commit } from "./commit.ts"
import { raw, sql } from "./database.ts"
import type { Snapshot } from "./integrations.ts"
import { queueInLine, release } from "./line.ts"
import { countOf, moveCount } from "./move.ts"
import { withheldReason } from "./recovery-look.ts"
import { maskedAt } from "./sealed-payloads.ts"
import { change, row, rows, type Step } from "./step.ts"
import type { RecoveryOutcome } from "./tallies.ts"
import { along } from "./walk.ts"

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

/**
 * Queues a piece; gives how many were queued, null where the recovery no longer runs, or is elsewhere, or where its
 * integration was switched off or removed: what waits there has ended, and nobody would end what came later.
 */
export function* queuePiece(commit: Commit, piece: RecoveryPiece): Step<number | null> {
  const { tallies, now } = commit
  const { recovery, integration } = piece
  const lane = yield* row<LaneRow>(sql`
    select r.state, l.reached from recovery_lane l join recovery r on r.id = l.recovery_id
    where l.recovery_id = ${recovery} and l.integration_id = ${integration} for update of l`)
  if (lane === undefined || lane.state !== "running" || lane.reached !== piece.from) return null
  // Whoever asks for the piece may not have heard of it yet; whoever switches it off now waits for this commit.
  if (piece.sends.length > 0 && (yield* readIntegration(integration))?.enabled === 0) return null
  let queued = 0
  for (const send of piece.sends) {
    const isDelivery = send.standing.kind === "delivery"
    const isQueued = isDelivery ? yield* requeue(commit, piece, send) : yield* insert(commit, piece, send)
    if (isQueued) queued++
  }
  const count = (outcome: RecoveryOutcome, reason: string, n: number) => {
    if (n > 0) tallies.recovery({ recovery, integration, outcome, reason }, n)
  }
  count("queued", "", queued)
  count("changed", "", piece.sends.length - queued)
  for (const { outcome, reason, count: n } of piece.counts) count(outcome, reason, n)
  for (const event of piece.again) {
    yield* change(sql`
      delete from recovery_returned
      where recovery_id = ${recovery} and integration_id = ${integration} and event_id = ${event}`)
  }
  yield* change(sql`
    update recovery_lane set reached = ${piece.reached}, is_through = ${piece.isThrough ? 1 : 0}
    where recovery_id = ${recovery} and integration_id = ${integration}`)
  yield* change(sql`update recovery set updated_at = ${now} where id = ${recovery}`)
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
function* requeue(commit: Commit, { recovery, project, integration }: RecoveryPiece, send: Send): Step<boolean> {
  const { now } = commit
  const { event, standing } = send
  // Primary keys.
  const stored = yield* row<StoredRow>(sql`
    select d.status, d.reason, d.facts, d.queue, d.ordering_key, d.revision, d.schedule_attempts, d.charged,
      d.recovery_id, e.payload_expires_at, ${maskedAt} as masked_at
    from delivery d join event e on e.project_id = d.project_id and e.id = d.event_id
    where d.integration_id = ${integration} and d.event_id = ${event} and d.project_id = ${project} for update of d`)
  if (stored === undefined || standing.kind !== "delivery" || stored.status !== standing.status) return false
  if (stored.status !== "failed" && stored.status !== "delivered" && stored.status !== "withheld") return false
  if (stored.recovery_id === recovery || stored.payload_expires_at <= now || stored.masked_at !== null) return false
  const before: Before = {
    kind: "delivery",
    status: stored.status,
    reason: stored.reason,
    facts: stored.facts,
    revision: stored.revision,
    tries: stored.schedule_attempts,
    charged: stored.charged,
    blocks: stored.status === "failed" && stored.queue === IN_LINE,
    recovery: stored.recovery_id,
  }
  const isBehind = (yield* queueInLine(commit, { integration, event }, stored.ordering_key)) === IN_LINE
  yield* change(sql`
    update delivery set
      status = 'pending', reason = ${isBehind ? "waiting_turn" : "queued"}, facts = null, next_at = ${now},
      queue = ${isBehind ? IN_LINE : RECOVERED}, revision = ${send.keepsRevision ? stored.revision : null},
      recovery_id = ${recovery}, before_recovery = ${JSON.stringify(before)}, schedule_attempts = 0, charged = 0,
      updated_at = ${now}
    where integration_id = ${integration} and event_id = ${event}`)
  yield* change(moveCount(countOf(stored), "n_open", project, event))
  return true
}

/** An event gets a delivery to an integration that it was withheld from, or that knew nothing of it. */
function* insert(commit: Commit, { recovery, project, integration }: RecoveryPiece, send: Send): Step<boolean> {
  const { tallies, now } = commit
  const { event, standing, orderingKey } = send
  const stored = yield* readEvent(project, event)
  if (stored === undefined || stored.payload_expires_at <= now || stored.masked_at !== null) return false
  const reason = withheldReason(stored.withheld, integration)
  if (reason !== (standing.kind === "withheld" ? standing.reason : null)) return false
  const there = yield* row(sql`
    select 1 as it from delivery where integration_id = ${integration} and event_id = ${event}`)
  if (there !== undefined) return false
  const before: Before = reason === null ? { kind: "missing" } : { kind: "withheld", reason }
  const isBehind = (yield* queueInLine(commit, { integration, event }, orderingKey)) === IN_LINE
  yield* change(sql`
    insert into delivery (
      integration_id, event_id, project_id, status, reason, next_at, ordering_key, queue, recovery_id, before_recovery,
      created_at, updated_at
    ) values (
      ${integration}, ${event}, ${project}, 'pending', ${isBehind ? "waiting_turn" : "queued"}, ${now}, ${orderingKey},
      ${isBehind ? IN_LINE : RECOVERED}, ${recovery}, ${JSON.stringify(before)}, ${now}, ${now}
    )`)
  const red = reason !== null && isRed(reason) ? 1 : 0
  const targets = JSON.stringify([...(JSON.parse(stored.targets) as number[]), integration])
  yield* change(sql`
    update event set
      targets = ${targets}, withheld = ${without(stored.withheld, integration)}, n_red = n_red - ${red},
      n_open = n_open + 1
    where project_id = ${project} and id = ${event}`)
  yield* makeUpFor(tallies, stored, { integration, reason, by: 1 })
  const { app_id: app, environment, type } = stored
  tallies.delivery({ project, integration, at: now, app, environment, type, outcome: "routed", reason: "" })
  return true
}

function readEvent(project: ProjectId, event: EventId): Step<EventRow | undefined> {
  return row<EventRow>(sql`
    select e.project_id, e.id, e.type, e.environment, e.app_id, e.received_at, e.test, e.targets, e.withheld,
      e.payload_expires_at, ${maskedAt} as masked_at, (select event_id from tally_marker) as tallied
    from event e
    where e.project_id = ${project} and e.id = ${event} for update of e`)
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
export function* giveBack(commit: Commit, { recovery, integration, toResume, limit }: GiveBack): Step<number> {
  const { tallies, now } = commit
  const waiting: WaitingRow[] = []
  for (const status of ["pending", "skipped"]) {
    waiting.push(
      ...(yield* rows<WaitingRow>(sql`
        select event_id, project_id, status, ordering_key, before_recovery, created_at
        from delivery${along("delivery_recovering")}
        where recovery_id = ${recovery} and integration_id = ${integration} and status = ${status}
          and schedule_attempts = 0
          and recovery_id is not null and status in ('pending', 'sending', 'retrying', 'skipped')
        limit ${limit - waiting.length} for update`)),
    )
  }
  waiting.sort((a, b) => b.event_id - a.event_id)
  for (const one of waiting) {
    yield* putBack(commit, integration, one)
    if (!toResume) continue
    yield* change(sql`
      insert into recovery_returned (recovery_id, integration_id, event_id)
      values (${recovery}, ${integration}, ${one.event_id}) on conflict do nothing`)
  }
  if (waiting.length > 0) {
    tallies.recovery({ recovery, integration, outcome: "returned", reason: "" }, waiting.length)
    yield* change(sql`update recovery set updated_at = ${now} where id = ${recovery}`)
  }
  return waiting.length
}

function* putBack(commit: Commit, integration: IntegrationId, waiting: WaitingRow): Step<void> {
  const { now } = commit
  const { event_id: event, project_id: project, ordering_key: key } = waiting
  const before = JSON.parse(waiting.before_recovery) as Before
  const from = waiting.status === "pending" ? "n_open" : "n_retrying"
  const less = raw(`${from} = ${from} - 1`)
  if (before.kind === "delivery") {
    const { status, reason, facts, revision, tries, charged, recovery } = before
    // Where the policy has been changed since, nobody would ever end the block.
    const blocks = before.blocks && (yield* holdsLines(integration))
    yield* change(sql`
      update delivery set
        status = ${status}, reason = ${reason}, facts = ${facts}, next_at = null, queue = ${blocks ? IN_LINE : DUE},
        revision = ${revision}, schedule_attempts = ${tries}, charged = ${charged}, recovery_id = ${recovery},
        before_recovery = null, updated_at = ${now}
      where integration_id = ${integration} and event_id = ${event}`)
    const to = countOf({ status, reason })
    yield* change(
      to === null
        ? sql`update event set ${less} where project_id = ${project} and id = ${event}`
        : moveCount(from, to, project, event),
    )
    if (!blocks && key !== null) yield* release(commit, integration, key)
    return
  }
  yield* change(sql`delete from delivery where integration_id = ${integration} and event_id = ${event}`)
  const stored = yield* readEvent(project, event)
  if (stored === undefined) return
  const targets = JSON.stringify((JSON.parse(stored.targets) as number[]).filter(id => id !== integration))
  const reason = before.kind === "withheld" ? before.reason : null
  const withheld = reason === null ? stored.withheld : including(stored.withheld, integration, reason)
  const red = reason !== null && isRed(reason) ? 1 : 0
  yield* change(sql`
    update event set targets = ${targets}, withheld = ${withheld}, n_red = n_red + ${red}, ${less}
    where project_id = ${project} and id = ${event}`)
  yield* makeUpFor(commit.tallies, stored, { integration, reason, by: -1 })
  const { app_id: app, environment, type } = stored
  // In the hour in which it was counted.
  commit.tallies.delivery(
    { project, integration, at: waiting.created_at, app, environment, type, outcome: "routed", reason: "" },
    -1,
  )
  if (key !== null) yield* release(commit, integration, key)
}

/** Forgets a recovery and what it counted. */
export function* removeRecovery(id: RecoveryId): Step<void> {
  for (const table of ["recovery_returned", "recovery_tally", "recovery_lane"]) {
    yield* change(sql`delete from ${raw(table)} where recovery_id = ${id}`)
  }
  yield* change(sql`delete from recovery where id = ${id}`)
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

/** What nobody can change until the commit is over. Primary key. */
function readIntegration(id: IntegrationId): Step<IntegrationRow | undefined> {
  return row<IntegrationRow>(sql`select enabled, snapshot from integration where id = ${id} for update`)
}

/** Whether the policy of today has what fails hold those behind it of its key. */
function* holdsLines(id: IntegrationId): Step<boolean> {
  const stored = yield* readIntegration(id)
  if (stored === undefined) return true
  const { policy } = JSON.parse(stored.snapshot) as Pick<Snapshot, "policy">
  const resolved = resolvePolicy(policy, Number.POSITIVE_INFINITY)
  return resolved.kind === "policy" && resolved.policy.ordered && resolved.policy.onFailedInLine === "stop"
}

interface IntegrationRow {
  readonly enabled: number
  readonly snapshot: string
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
  readonly masked_at: number | null
}

interface EventRow extends Retargeted {
  readonly targets: string
  readonly withheld: string
  readonly payload_expires_at: number
  readonly masked_at: number | null
}

interface WaitingRow {
  readonly event_id: number
  readonly project_id: number
  readonly status: "pending" | "skipped"
  readonly ordering_key: string | null
  readonly before_recovery: string
  readonly created_at: number
}
