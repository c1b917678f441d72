/** Requests that ingest refused: kept for a while, so that a sender's mistakes can be seen from this side too. */
import type { Ids, KeyId, ProjectId } from "../domain/id.ts"
import { type Database, sql } from "./database.ts"
import { REJECTIONS_KEPT, REJECTIONS_MS } from "./kept.ts"
import type { Reader } from "./reader.ts"
import { hourOf } from "./tallies.ts"

/** How much of a refused body is kept. */
export const REJECTED_BODY_BYTES = 1_024

/** A refused request, with the problem document that it was answered with. */
export interface NewRejection {
  readonly project: ProjectId
  readonly key: KeyId | null
  readonly at: number
  readonly problem: {
    readonly status: number
    readonly code: string
    readonly detail: string
    readonly errors?: readonly { readonly pointer: string; readonly message: string }[]
  }
  /** Method and path, without the query. */
  readonly request: string
  /** Its first KiB is kept. */
  readonly body: Uint8Array
  /** How long it was in all, where `body` is only its beginning. */
  readonly bodyBytes?: number
  /** How many events it counts for: those that were refused of a batch. 1 where it is left out. */
  readonly events?: number
}

export interface Rejection {
  readonly id: number
  readonly key: KeyId | null
  readonly at: number
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly errors: readonly { readonly pointer: string; readonly message: string }[]
  readonly request: string
  /** Its first KiB. */
  readonly body: Uint8Array
  /** How long it was in all. */
  readonly bodyBytes: number
}

/** Keeps some and counts them; what is more than a project keeps goes, the oldest first. Index: rejection_by_project. */
export async function insertRejections(db: Database, ids: Ids, rejections: readonly NewRejection[]): Promise<void> {
  await db.transaction(async tx => {
    for (const rejection of rejections) {
      const { project, key, at, problem, request, body, bodyBytes = body.length, events = 1 } = rejection
      const { status, code, detail, errors = [] } = problem
      const start = body.subarray(0, REJECTED_BODY_BYTES)
      await tx.query(sql`
        insert into rejection (id, project_id, key_id, at, status, code, detail, errors, request, body, body_bytes)
        values (${ids.next()}, ${project}, ${key}, ${at}, ${status}, ${code}, ${detail}, ${JSON.stringify(errors)},
          ${request}, ${start}, ${bodyBytes})`)
      await tx.query(sql`
        insert into ingest_tally (project_id, hour, source, key_id, app_id, type, events, bytes, refused)
        values (${project}, ${hourOf(at)}, '', ${key ?? 0}, 0, '', 0, ${bodyBytes}, ${events})
        on conflict (project_id, hour, source, key_id, app_id, type) do update set
          bytes = ingest_tally.bytes + excluded.bytes, refused = ingest_tally.refused + excluded.refused`)
    }
    for (const project of new Set(rejections.map(rejection => rejection.project))) {
      await tx.query(sql`
        delete from rejection
        where project_id = ${project} and id <= (
          select id from rejection where project_id = ${project} order by id desc limit 1 offset ${REJECTIONS_KEPT})`)
    }
  })
}

interface RejectionRow {
  readonly id: number
  readonly key_id: number | null
  readonly at: number
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly errors: string
  readonly request: string
  readonly body: Uint8Array
  readonly body_bytes: number
}

/** Refused requests of a project older than `before`, newest first. Index: rejection_by_project. */
export async function listRejections(
  db: Reader,
  asked: {
    readonly project: ProjectId
    /** Only those that came with this key; null: all. */
    readonly key?: KeyId | null
    readonly before: number
    readonly limit: number
    readonly now: number
  },
): Promise<Rejection[]> {
  const { project, key = null, before, limit, now } = asked
  const rows = await db.query<RejectionRow>(sql`
    select id, key_id, at, status, code, detail, errors, request, body, body_bytes from rejection
    where project_id = ${project} and id < ${before} and at > ${now - REJECTIONS_MS}
      and ${key === null ? sql`true` : sql`key_id = ${key}`}
    order by id desc limit ${limit}`)
  return rows.map(row => ({
    id: row.id,
    key: row.key_id,
    at: row.at,
    status: row.status,
    code: row.code,
    detail: row.detail,
    errors: JSON.parse(row.errors) as Rejection["errors"],
    request: row.request,
    body: row.body,
    bodyBytes: row.body_bytes,
  }))
}
