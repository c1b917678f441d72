/**
 * Mails that wait to be sent: jobs that were written down in the commit of what they tell of (sqlite-tell.ts). One that has
 * been sent stays for a while, so that no second one of its key is written down.
 *
 *     due ── begun ──▶ running ── handed over, or nobody knows ──▶ done
 *      ▲                  │
 *      └── not taken ─────┘
 */
import type { ProjectId } from "../domain/id.ts"
import { type Database, sql } from "./database.ts"

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

/** Writes down that a mail is being handed over: whoever finds it so later does not know whether it was taken. */
export async function beginMail(db: Database, id: number, fence: number, at: number): Promise<void> {
  await db.query(sql`update job set state = 'running', fence = ${fence}, updated_at = ${at} where id = ${id}`)
}

/** A mail that was not taken is tried again at `dueAt`. */
export async function putOffMail(
  db: Database,
  id: number,
  put: { readonly dueAt: number; readonly refusals: number; readonly at: number },
): Promise<void> {
  const progress = JSON.stringify({ refusals: put.refusals })
  await db.query(sql`
    update job set state = 'due', due_at = ${put.dueAt}, progress = ${progress}, updated_at = ${put.at} where id = ${id}`)
}

/** Ends a mail; `report` says what became of it. */
export async function endMail(db: Database, id: number, report: string, at: number): Promise<void> {
  await db.query(sql`
    update job set state = 'done', report = ${JSON.stringify(report)}, updated_at = ${at} where id = ${id}`)
}

/** Ends mails that an earlier start was handing over when it ended; gives their keys. */
export async function endUnknownMails(db: Database, fence: number, report: string, at: number): Promise<string[]> {
  const rows = await db.query<{ key: string }>(sql`
    update job set state = 'done', report = ${JSON.stringify(report)}, updated_at = ${at}
    where kind = 'mail' and state = 'running' and fence < ${fence} returning key`)
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
