/**
 * Mails that wait to be sent: jobs that were written down in the commit of what they tell of (sqlite-tell.ts). One that has
 * been sent stays for a while, so that no second one of its key is written down.
 *
 *     due ── begun ──▶ running ── handed over, or nobody knows ──▶ done
 *      ▲                  │
 *      └── not taken ─────┘
 */
import type { ProjectId } from "../domain/id.ts"
import { type Database, type Sql, sql } from "./database.ts"
import type { Store } from "./store.ts"

/** A mail that is due. */
export interface DueMail {
  readonly id: number
  readonly key: string
  readonly project: ProjectId
  /** What it tells, as JSON. */
  readonly content: string
  /** How often it was not taken. */
  readonly refusals: number
}

/** The place that what a mail shows alone is sealed for. */
export function mailPlace(key: string): string {
  return `mail/${key}`
}

/** How mail stands. */
export interface MailCounts {
  readonly waiting: number
  /** When the oldest that waits was written down. */
  readonly oldest_at: number | null
  readonly last_done_at: number | null
}

interface Row {
  readonly id: number
  readonly key: string
  readonly project_id: number
  readonly cursor: string
  readonly progress: string
}

/** Up to `limit` mails that are due at `at`, oldest first. Index job_due. */
export async function dueMails(db: Database, at: number, limit: number): Promise<DueMail[]> {
  const rows = await db.query<Row>(sql`
    select id, key, project_id, cursor, progress from job
    where state = 'due' and due_at <= ${at} and kind = 'mail' order by due_at, id limit ${limit}`)
  return rows.map(row => ({
    id: row.id,
    key: row.key,
    project: row.project_id,
    content: row.cursor,
    refusals: (JSON.parse(row.progress) as { refusals?: number }).refusals ?? 0,
  }))
}

/** When the next mail is due; null where none waits. */
export async function nextMailAt(db: Database): Promise<number | null> {
  const [row] = await db.query<{ at: number | null }>(sql`
    select min(due_at) as at from job where state = 'due' and kind = 'mail'`)
  return row?.at ?? null
}

/** A mail, and the fencing number of the process that sends it. */
export interface Sending {
  readonly id: number
  readonly fence: number
}

/**
 * Writes down that a mail is being handed over: whoever finds it so later does not know whether it was taken. False where
 * it is no longer due: another process is at it.
 */
export async function beginMail(db: Database, { id, fence }: Sending, at: number): Promise<boolean> {
  const rows = await db.query(sql`
    update job set state = 'running', fence = ${fence}, updated_at = ${at} where id = ${id} and state = 'due' returning id`)
  return rows.length > 0
}

/** Not begun by another process, and not ended. */
function isOurs({ id, fence }: Sending): Sql {
  return sql`id = ${id} and (state = 'due' or (state = 'running' and fence = ${fence}))`
}

/** A mail that was not taken is tried again at `dueAt`. */
export async function putOffMail(
  db: Database,
  mail: Sending,
  put: { readonly dueAt: number; readonly refusals: number; readonly at: number },
): Promise<void> {
  const progress = JSON.stringify({ refusals: put.refusals })
  await db.query(sql`
    update job set state = 'due', due_at = ${put.dueAt}, progress = ${progress}, updated_at = ${put.at}
    where ${isOurs(mail)}`)
}

/** Ends a mail; `report` says what became of it. */
export async function endMail(db: Database, mail: Sending, report: string, at: number): Promise<void> {
  await db.query(sql`
    update job set state = 'done', report = ${JSON.stringify(report)}, updated_at = ${at} where ${isOurs(mail)}`)
}

/** Ends mails that a process was handing over when it ended; gives their keys. */
export async function endUnknownMails(
  { db, engine, fence }: Pick<Store, "db" | "engine" | "fence">,
  report: string,
  at: number,
): Promise<string[]> {
  const isOver =
    engine === "sqlite"
      ? sql`fence < ${fence}`
      : sql`not exists (select 1 from node n where n.id = job.fence and n.expires_at > clock_timestamp())`
  const rows = await db.query<{ key: string }>(sql`
    update job set state = 'done', report = ${JSON.stringify(report)}, updated_at = ${at}
    where kind = 'mail' and state = 'running' and ${isOver} returning key`)
  return rows.map(row => row.key)
}

/** Lets go of mails that were done before. */
export async function removeDoneMails(db: Database, before: number): Promise<void> {
  await db.query(sql`delete from job where kind = 'mail' and state = 'done' and updated_at < ${before}`)
}

/** How mail stands; jobs are few. */
export async function countMails(db: Database): Promise<MailCounts> {
  const [row] = await db.query<MailCounts>(sql`
    select count(*) filter (where state <> 'done') as waiting,
      min(created_at) filter (where state <> 'done') as oldest_at,
      max(updated_at) filter (where state = 'done') as last_done_at
    from job where kind = 'mail'`)
  return row ?? { waiting: 0, oldest_at: null, last_done_at: null }
}
