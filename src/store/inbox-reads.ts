/** What inboxes got, as it is read. */
import type { IntegrationId } from "../domain/id.ts"
import type { SignatureVerdict } from "../domain/signature-verdict.ts"
import { sql } from "./database.ts"
import type { AnswerState, NewInboxRequest } from "./inbox.ts"
import { INBOX_REQUESTS_MS } from "./kept.ts"
import type { Reader } from "./reader.ts"

/** A request that came to an inbox, and what it was answered with. */
export interface InboxRequest extends Omit<NewInboxRequest, "integration" | "script"> {
  readonly id: number
  readonly answer: AnswerState
}

/** Bodies of one page together: what the reader's thread, and the answer, have to hold at a time. */
const PAGE_BYTES = 4_194_304

/** A process that ended while an answer waited never sends it: known when it is as late as this. */
const LATE_MS = 5_000

/**
 * Requests of an inbox older than `before`, newest first, and whether there are older ones. A page ends early where its
 * bodies become too much; it holds one at least. Index: inbox_request_by_integration.
 */
export async function listInboxRequests(
  db: Reader,
  asked: { readonly integration: IntegrationId; readonly before: number; readonly limit: number; readonly now: number },
): Promise<{ readonly requests: readonly InboxRequest[]; readonly more: boolean }> {
  const { integration, before, limit, now } = asked
  // SQLite knows how long a blob is without reading it.
  const found = await db.query<{ readonly id: number; readonly bytes: number }>(sql`
    select id, length(body) as bytes from inbox_request
    where integration_id = ${integration} and id < ${before} and at > ${now - INBOX_REQUESTS_MS}
    order by id desc limit ${limit + 1}`)
  let bytes = 0
  const page = found.slice(0, limit).filter((request, i) => {
    bytes += request.bytes
    return i === 0 || bytes <= PAGE_BYTES
  })
  const [newest, oldest] = [page.at(0), page.at(-1)]
  if (newest === undefined || oldest === undefined) return { requests: [], more: false }
  const rows = await db.query<InboxRow>(sql`
    select id, at, method, headers, body, body_bytes, signature, status, delay_ms, answer from inbox_request
    where integration_id = ${integration} and id between ${oldest.id} and ${newest.id} order by id desc`)
  return { requests: rows.map(row => requestOf(row, now)), more: found.length > page.length }
}

/** The greatest id among the requests of an inbox; 0 where it is empty. */
export async function lastInboxRequest(db: Reader, integration: IntegrationId): Promise<number> {
  const [row] = await db.query<{ readonly id: number | null }>(sql`
    select max(id) as id from inbox_request where integration_id = ${integration}`)
  return row?.id ?? 0
}

interface InboxRow {
  readonly id: number
  readonly at: number
  readonly method: string
  readonly headers: string
  readonly body: Uint8Array
  readonly body_bytes: number
  readonly signature: string
  readonly status: number
  readonly delay_ms: number
  readonly answer: AnswerState
}

function requestOf(row: InboxRow, now: number): InboxRequest {
  const isLost = row.answer === "waiting" && now > row.at + row.delay_ms + LATE_MS
  return {
    id: row.id,
    at: row.at,
    method: row.method,
    headers: JSON.parse(row.headers) as InboxRequest["headers"],
    body: row.body,
    bodyBytes: row.body_bytes,
    signature: JSON.parse(row.signature) as SignatureVerdict,
    status: row.status,
    delayMs: row.delay_ms,
    answer: isLost ? "not_sent" : row.answer,
  }
}
