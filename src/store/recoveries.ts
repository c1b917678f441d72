/** Recoveries as they are kept: what was asked for, how far each one is, what came of what it queued. */
import type { Environment } from "../domain/event.ts"
import type { AppId, IntegrationId, ProjectId, RecoveryId } from "../domain/id.ts"
import type { RecoveryAsk, RecoveryState } from "../domain/recovery.ts"
import type { Actor } from "./changes.ts"
import { type Database, list, raw, type Sql, sql } from "./database.ts"
import type { Reader } from "./reader.ts"
import type { RecoveryOutcome } from "./tallies.ts"
import { along } from "./walk.ts"

export interface RecoveryRecord {
  readonly id: RecoveryId
  readonly project: ProjectId
  readonly state: RecoveryState
  readonly ask: RecoveryAsk
  /** The last event that it looks at. */
  readonly upTo: number
  readonly by: Actor
  readonly createdAt: number
  readonly updatedAt: number
  /** When nothing was left to do; null before. */
  readonly endedAt: number | null
  readonly lanes: readonly RecoveryLane[]
}

/** How far a recovery is at one integration. */
export interface RecoveryLane {
  readonly integration: IntegrationId
  /** Events up to this one have been looked at. */
  readonly reached: number
  readonly isThrough: boolean
}

/** How many came to what, and why. */
export interface RecoveryCount {
  readonly recovery: RecoveryId
  readonly integration: IntegrationId
  readonly outcome: RecoveryOutcome
  readonly reason: string
  readonly count: number
}

/** What a recovery has on its way at an integration. */
export interface OnTheirWay {
  readonly recovery: RecoveryId
  readonly integration: IntegrationId
  /** Not sent yet. */
  readonly waiting: number
  readonly sending: number
  /** Sent without success, and to be tried again by the schedule. */
  readonly retrying: number
}

/** Writes a new recovery down with where it begins at each integration. */
export async function insertRecovery(db: Database, record: RecoveryRecord): Promise<void> {
  const { id, project, state, ask, upTo, by, createdAt } = record
  await db.query(sql`
    insert into recovery (id, project_id, state, asked, up_to, by_kind, by_id, created_at, updated_at)
    values (${id}, ${project}, ${state}, ${JSON.stringify(ask)}, ${upTo}, ${by.kind}, ${by.id}, ${createdAt}, ${createdAt})`)
  for (const { integration, reached } of record.lanes) {
    await db.query(sql`
      insert into recovery_lane (recovery_id, integration_id, reached) values (${id}, ${integration}, ${reached})`)
  }
}

/** Puts a recovery into a state, if it is in one of `from` still; says whether it was. */
export async function setRecoveryState(
  db: Database,
  id: RecoveryId,
  { from, to, now }: { readonly from: readonly RecoveryState[]; readonly to: RecoveryState; readonly now: number },
): Promise<boolean> {
  const rows = await db.query<{ id: number }>(sql`
    update recovery set state = ${to}, updated_at = ${now}
    where id = ${id} and state in ${list(from)} returning id`)
  return rows.length > 0
}

/** Notes that nothing of a recovery is left to do. */
export async function endRecovery(db: Database, id: RecoveryId, now: number): Promise<void> {
  await db.query(sql`update recovery set ended_at = ${now}, updated_at = ${now} where id = ${id}`)
  await db.query(sql`delete from recovery_returned where recovery_id = ${id}`)
}

/** One recovery of a project; undefined where it has none of that id. Primary key. */
export async function readRecovery(
  db: Reader,
  project: ProjectId,
  id: RecoveryId,
): Promise<RecoveryRecord | undefined> {
  return (await select(db, sql`r.id = ${id} and r.project_id = ${project}`))[0]
}

/** A project's recoveries, newest first. Index recovery_by_project. */
export async function listRecoveries(
  db: Reader,
  project: ProjectId,
  page: {
    readonly before: number
    readonly limit: number
    /** Only those that were asked for of one app, or environment; null: all. */
    readonly app?: AppId | null
    readonly environment?: Environment | null
  },
): Promise<RecoveryRecord[]> {
  const { before, limit, app = null, environment = null } = page
  return select(
    db,
    sql`r.project_id = ${project} and r.id < ${before}
      and ${app === null ? sql`true` : sql`r.asked like ${`%"app":${app},%`}`}
      and ${environment === null ? sql`true` : sql`r.asked like ${`%"environment":"${environment}",%`}`}
    order by r.id desc limit ${limit}`,
  )
}

/** Those that something is left to do for, oldest first. Index recovery_open. */
export async function openRecoveries(db: Reader): Promise<RecoveryRecord[]> {
  return select(db, sql`r.ended_at is null order by r.id`)
}

/** Those that ended up to a time. Index recovery_by_end. */
export async function oldRecoveries(db: Reader, upTo: number): Promise<RecoveryId[]> {
  const rows = await db.query<{ id: number }>(sql`
    select id from recovery where ended_at is not null and ended_at <= ${upTo} order by ended_at limit 1000`)
  return rows.map(row => row.id)
}

/** How many of a project have not ended. Index recovery_open. */
export async function countOpen(db: Reader, project: ProjectId): Promise<number> {
  const [row] = await db.query<{ count: number }>(sql`
    select count(*) as count from recovery where ended_at is null and project_id = ${project}`)
  return row?.count ?? 0
}

/** What came of the events of some recoveries. Primary key. */
export async function readCounts(db: Reader, recoveries: readonly RecoveryId[]): Promise<RecoveryCount[]> {
  if (recoveries.length === 0) return []
  return db.query<RecoveryCount>(sql`
    select recovery_id as recovery, integration_id as integration, outcome, reason, count from recovery_tally
    where recovery_id in ${list(recoveries)}`)
}

/** What some recoveries have on their way, at all integrations or at one. Index delivery_recovering. */
export async function onTheirWay(
  db: Reader,
  recoveries: readonly RecoveryId[],
  integration?: IntegrationId,
): Promise<OnTheirWay[]> {
  if (recoveries.length === 0) return []
  const there = integration === undefined ? sql`` : sql`and integration_id = ${integration}`
  const rows = await db.query<StatusCount>(sql`
    select recovery_id, integration_id, status, count(*) as count
    from delivery${along("delivery_recovering")}
    where recovery_id in ${list(recoveries)} ${there} and ${isRecovering}
    group by recovery_id, integration_id, status`)
  return [...Map.groupBy(rows, row => `${row.recovery_id}/${row.integration_id}`).values()].flatMap(group => {
    const [first] = group
    if (first === undefined) return []
    const count = (...statuses: readonly string[]) =>
      group.reduce((sum, row) => sum + (statuses.includes(row.status) ? row.count : 0), 0)
    return {
      recovery: first.recovery_id,
      integration: first.integration_id,
      waiting: count("pending", "skipped"),
      sending: count("sending"),
      retrying: count("retrying"),
    }
  })
}

/** Up to `limit` events that a pause gave back and that have not been looked at again. Primary key. */
export async function readReturned(
  db: Reader,
  recovery: RecoveryId,
  integration: IntegrationId,
  limit: number,
): Promise<number[]> {
  const rows = await db.query<{ event_id: number }>(sql`
    select event_id from recovery_returned
    where recovery_id = ${recovery} and integration_id = ${integration} order by event_id limit ${limit}`)
  return rows.map(row => row.event_id)
}

/** The condition of the index delivery_recovering, word for word, or SQLite does not see that it is the same. */
export const isRecovering: Sql = raw(
  "recovery_id is not null and status in ('pending', 'sending', 'retrying', 'skipped')",
)

interface StatusCount {
  readonly recovery_id: number
  readonly integration_id: number
  readonly status: string
  readonly count: number
}

interface RecoveryRow {
  readonly id: number
  readonly project_id: number
  readonly state: RecoveryState
  readonly asked: string
  readonly up_to: number
  readonly by_kind: Actor["kind"]
  readonly by_id: string | null
  readonly created_at: number
  readonly updated_at: number
  readonly ended_at: number | null
}

interface LaneRow {
  readonly recovery_id: number
  readonly integration_id: number
  readonly reached: number
  readonly is_through: number
}

async function select(db: Reader, which: Sql): Promise<RecoveryRecord[]> {
  const rows = await db.query<RecoveryRow>(sql`
    select r.id, r.project_id, r.state, r.asked, r.up_to, r.by_kind, r.by_id, r.created_at, r.updated_at, r.ended_at
    from recovery r where ${which}`)
  if (rows.length === 0) return []
  const lanes = await db.query<LaneRow>(sql`
    select recovery_id, integration_id, reached, is_through from recovery_lane
    where recovery_id in ${list(rows.map(row => row.id))} order by recovery_id, integration_id`)
  const byRecovery = Map.groupBy(lanes, lane => lane.recovery_id)
  return rows.map(row => ({
    id: row.id,
    project: row.project_id,
    state: row.state,
    ask: JSON.parse(row.asked) as RecoveryAsk,
    upTo: row.up_to,
    by: { kind: row.by_kind, id: row.by_id },
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    endedAt: row.ended_at,
    lanes: (byRecovery.get(row.id) ?? []).map(lane => ({
      integration: lane.integration_id,
      reached: lane.reached,
      isThrough: lane.is_through === 1,
    })),
  }))
}
