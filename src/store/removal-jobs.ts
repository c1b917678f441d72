/**
 * Jobs that take away what is there: all of a project, or what is kept of a person. Each writes down how far it is in the
 * commits that remove, so that any start goes on where the last one was, and what it counted is what went.
 *
 *     due ──nothing is left──→ done
 */
import type { ProjectId } from "../domain/id.ts"
import { type Database, sql } from "./database.ts"
import type { Reader } from "./reader.ts"
import { change, row, type Step } from "./step.ts"

export type RemovalKind = "project_removal" | "erasure"

/** How many rows went, by what they were. */
export type RemovedCounts = Readonly<Record<string, number>>

export interface RemovalJob {
  readonly id: number
  readonly kind: RemovalKind
  /** One job of each key. */
  readonly key: string
  /** Null for the removal of a project, which takes away whatever names it. */
  readonly project: ProjectId | null
  readonly state: "due" | "done"
  /** What is asked for and how far it is, as JSON. */
  readonly cursor: string
  readonly removed: RemovedCounts
  readonly createdAt: number
  /** Of a job that is done: when that was. */
  readonly updatedAt: number
}

interface JobRow {
  readonly id: number
  readonly kind: RemovalKind
  readonly key: string
  readonly project_id: number | null
  readonly state: RemovalJob["state"]
  readonly cursor: string
  readonly progress: string
  readonly created_at: number
  readonly updated_at: number
}

/** Writes a job down; false where there is one of its key. */
export async function insertRemovalJob(
  db: Database,
  { id, kind, key, project, cursor, createdAt }: Omit<RemovalJob, "state" | "removed" | "updatedAt">,
): Promise<boolean> {
  const rows = await db.query(sql`
    insert into job (id, project_id, kind, key, state, due_at, cursor, progress, created_at, updated_at)
    values (${id}, ${project}, ${kind}, ${key}, 'due', ${createdAt}, ${cursor}, '{}', ${createdAt}, ${createdAt})
    on conflict (key) do nothing returning id`)
  return rows.length > 0
}

const columns = sql`id, kind, key, project_id, state, cursor, progress, created_at, updated_at`

/** Jobs that are not done, oldest first. Index job_due. */
export async function openRemovalJobs(db: Reader): Promise<RemovalJob[]> {
  const rows = await db.query<JobRow>(sql`
    select ${columns} from job where state = 'due' and kind in ('project_removal', 'erasure') order by id`)
  return rows.map(jobOfRow)
}

/** The job of a key. Index job.key. */
export async function findRemovalJob(db: Reader, key: string): Promise<RemovalJob | undefined> {
  const rows = await db.query<JobRow>(sql`select ${columns} from job where key = ${key}`)
  return rows.map(jobOfRow)[0]
}

/** An erasure of a project. Primary key. */
export async function readErasure(db: Reader, project: ProjectId, id: number): Promise<RemovalJob | undefined> {
  const rows = await db.query<JobRow>(sql`
    select ${columns} from job where id = ${id} and kind = 'erasure' and project_id = ${project}`)
  return rows.map(jobOfRow)[0]
}

/** Removals of projects, under way and done, newest first. Index job_by_kind. */
export async function listProjectRemovals(db: Reader): Promise<RemovalJob[]> {
  const rows = await db.query<JobRow>(sql`
    select ${columns} from job where kind = 'project_removal' and project_id is null order by id desc`)
  return rows.map(jobOfRow)
}

/** Whether a job stands as it was written down last; nobody else writes it down until the commit is over. Primary key. */
export function* isAsLeft({ id, cursor, removed }: RemovalJob): Step<boolean> {
  const found = yield* row(sql`
    select 1 as it from job
    where id = ${id} and state = 'due' and cursor = ${cursor} and progress = ${JSON.stringify(removed)} for update`)
  return found !== undefined
}

/** Writes down how far a job is. */
export function* saveRemoval(job: RemovalJob, now: number): Step<void> {
  yield* change(sql`
    update job set cursor = ${job.cursor}, progress = ${JSON.stringify(job.removed)}, updated_at = ${now}
    where id = ${job.id} and state = 'due'`)
}

/** Ends a job. Its key and what is still known of it afterwards are those that it is given. */
export function* endRemoval(job: RemovalJob, now: number): Step<void> {
  yield* change(sql`
    update job set state = 'done', key = ${job.key}, cursor = ${job.cursor}, progress = ${JSON.stringify(job.removed)},
      updated_at = ${now}
    where id = ${job.id} and state = 'due'`)
}

/** What was removed, together. */
export function addCounts(a: RemovedCounts, b: RemovedCounts): RemovedCounts {
  const sum: Record<string, number> = { ...a }
  for (const [name, count] of Object.entries(b)) if (count > 0) sum[name] = (sum[name] ?? 0) + count
  return sum
}

function jobOfRow({ project_id: project, progress, created_at, updated_at, ...row }: JobRow): RemovalJob {
  const removed = JSON.parse(progress) as RemovedCounts
  return { ...row, project, removed, createdAt: created_at, updatedAt: updated_at }
}
