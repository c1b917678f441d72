/**
 * Answers to configuration calls that came with an `Idempotency-Key`, kept for their repeats: each is written in the
 * transaction of what it tells of, so that there is never one without the other.
 */
import { DAY_MS } from "../domain/duration.ts"
import type { ProjectId } from "../domain/id.ts"
import { type Database, sql } from "./database.ts"
import type { Reader } from "./reader.ts"

/** How long a repeat is answered again. */
export const KEPT_ANSWER_MS = DAY_MS

/** What a call is known by. */
export interface CallName {
  readonly project: ProjectId
  /** Method and path of its route. */
  readonly route: string
  readonly key: string
}

export interface KeptAnswer {
  /** A keyed hash of the request. */
  readonly fingerprint: string
  readonly status: number
  /** The body, sealed for `placeOf` the call. */
  readonly sealed: string
  /** Until when the call may still be running, in ms since 1970, and its answer be no more than a beginning; null: it is over. */
  readonly runningUntil: number | null
  readonly createdAt: number
}

/** The place that an answer is sealed for. */
export function placeOf({ project, route, key }: CallName): string {
  // Routes hold no quotes, so that no two calls have one place.
  return `kept_answer/${project}/${route} ${JSON.stringify(key)}`
}

/** The answer that was given to a call after a time; undefined where there is none. Primary key. */
export async function readKeptAnswer(
  db: Reader,
  { project, route, key }: CallName,
  after: number,
): Promise<KeptAnswer | undefined> {
  const [row] = await db.query<{
    readonly fingerprint: string
    readonly status: number
    readonly sealed: string
    readonly running_until: number | null
    readonly created_at: number
  }>(sql`
    select fingerprint, status, sealed, running_until, created_at from kept_answer
    where project_id = ${project} and route = ${route} and key = ${key} and created_at > ${after}`)
  if (row === undefined) return undefined
  const { fingerprint, status, sealed, running_until: runningUntil, created_at: createdAt } = row
  return { fingerprint, status, sealed, runningUntil, createdAt }
}

/** Keeps an answer; false where another call has kept one under that name meanwhile. Call it in the call's transaction. */
export async function keepAnswer(
  db: Database,
  { project, route, key }: CallName,
  { fingerprint, status, sealed, runningUntil, createdAt }: KeptAnswer,
): Promise<boolean> {
  await db.query(sql`
    delete from kept_answer
    where project_id = ${project} and route = ${route} and key = ${key} and created_at <= ${createdAt - KEPT_ANSWER_MS}`)
  const rows = await db.query(sql`
    insert into kept_answer (project_id, route, key, fingerprint, status, sealed, running_until, created_at)
    values (${project}, ${route}, ${key}, ${fingerprint}, ${status}, ${sealed}, ${runningUntil}, ${createdAt})
    on conflict (project_id, route, key) do nothing returning key`)
  return rows.length > 0
}

/** Writes the whole answer in the place of its beginning. */
export async function finishAnswer(
  db: Database,
  { project, route, key }: CallName,
  { status, sealed }: Pick<KeptAnswer, "status" | "sealed">,
): Promise<void> {
  await db.query(sql`
    update kept_answer set status = ${status}, sealed = ${sealed}, running_until = null
    where project_id = ${project} and route = ${route} and key = ${key}`)
}
