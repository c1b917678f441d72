/** Durable jobs: what Waybill does by itself over a longer time, with how far it is and what came of it last. */
import type { Ids } from "../domain/id.ts"
import { type Database, sql } from "./database.ts"

export interface Job {
  readonly kind: string
  /** One job of each key. */
  readonly key: string
  readonly state: "due" | "running"
  /** When it runs next, or began to run. */
  readonly dueAt: number
  /** The fencing number of the start that runs it. */
  readonly fence: number
  /** Where it goes on from, as JSON. */
  readonly cursor: string | null
  /** What this run has done so far, as JSON. */
  readonly progress: string
  /** What the last whole run came to, as JSON. */
  readonly report: string | null
}

/** Writes a job down as it stands. */
export async function saveJob(db: Database, ids: Ids, job: Job, now: number): Promise<void> {
  const { kind, key, state, dueAt, fence, cursor, progress, report } = job
  await db.query(sql`
    insert into job (id, kind, key, state, due_at, fence, cursor, progress, report, created_at, updated_at)
    values (${ids.next()}, ${kind}, ${key}, ${state}, ${dueAt}, ${fence}, ${cursor}, ${progress}, ${report}, ${now}, ${now})
    on conflict (key) do update set
      state = excluded.state, due_at = excluded.due_at, fence = excluded.fence, cursor = excluded.cursor,
      progress = excluded.progress, report = excluded.report, updated_at = excluded.updated_at`)
}

/** The job of a key; undefined where it has never run. */
export async function readJob(db: Pick<Database, "query">, key: string): Promise<Job | undefined> {
  const rows = await db.query<JobRow>(sql`
    select kind, key, state, due_at, fence, cursor, progress, report from job where key = ${key}`)
  return rows.map(({ due_at, ...job }) => ({ ...job, dueAt: due_at }))[0]
}

interface JobRow extends Omit<Job, "dueAt"> {
  readonly due_at: number
}
