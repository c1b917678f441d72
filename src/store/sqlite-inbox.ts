/** What inboxes got is written in the ledger's commits: a busy integration that is duplicated onto one costs no fsync of its own. */
import { statusOfTurn } from "../domain/answer-script.ts"
import type { IntegrationId } from "../domain/id.ts"
import type { SignatureVerdict } from "../domain/signature-verdict.ts"
import { INBOX_REQUESTS_KEPT } from "./kept.ts"
import type { Commit } from "./sqlite-ledger.ts"

/** Whether the answer to a request still waits, went out, or never will. */
export type AnswerState = "waiting" | "sent" | "not_sent"

/** A request that came to an inbox. */
export interface NewInboxRequest {
  readonly integration: IntegrationId
  readonly at: number
  readonly method: string
  /** As they came, in order; null in place of a value that is secret. */
  readonly headers: readonly (readonly [name: string, value: string | null])[]
  /** Its beginning. */
  readonly body: Uint8Array
  /** How long it was in all. */
  readonly bodyBytes: number
  readonly signature: SignatureVerdict
  /** What it is answered with: one status, or in turn those of a script. */
  readonly status: number
  readonly script: readonly number[]
  readonly delayMs: number
}

/** Keeps a request, and says what it is answered with; undefined where the integration has been removed. */
export function keepInboxRequest(
  { db, ids }: Commit,
  request: NewInboxRequest,
): { readonly id: number; readonly status: number } | undefined {
  const { integration, at, method, headers, body, bodyBytes, signature, script, delayMs } = request
  if (db.statements.text(selectIntegration).get(integration) === undefined) return undefined
  const turn = script.length === 0 ? 1 : nextTurn(integration, script)
  const status = statusOfTurn(script, turn) ?? request.status
  const id = ids.next()
  const state: AnswerState = delayMs === 0 ? "sent" : "waiting"
  db.statements
    .text(insertRequest)
    .run(
      ...[id, integration, at, method, JSON.stringify(headers), body, bodyBytes],
      ...[JSON.stringify(signature), status, delayMs, state],
    )
  db.statements.text(deleteOldest).run(integration, integration, INBOX_REQUESTS_KEPT)
  return { id, status }

  function nextTurn(inbox: IntegrationId, statuses: readonly number[]): number {
    return Number(db.statements.text(takeTurn).get(inbox, statuses.join(","))?.played ?? 1)
  }
}

/** Writes down what became of an answer that had to wait. */
export function endInboxAnswer({ db }: Commit, id: number, state: Exclude<AnswerState, "waiting">): void {
  db.statements.text(updateAnswer).run(state, id)
}

/** Takes away some of an inbox's requests up to an id, oldest first; gives how many went. */
export function emptyInbox({ db }: Commit, integration: IntegrationId, upTo: number, limit: number): number {
  return Number(db.statements.text(deleteSome).run(integration, upTo, limit).changes)
}

/** Lets an inbox's script begin anew. */
export function forgetTurns({ db }: Commit, integration: IntegrationId): void {
  db.statements.text(deleteScript).run(integration)
}

const selectIntegration = "select 1 from integration where id = ? and removed_at is null"

const takeTurn = `
  insert into inbox_script (integration_id, script, played) values (?, ?, 1)
  on conflict do update set played = case when script = excluded.script then played + 1 else 1 end, script = excluded.script
  returning played`

const insertRequest = `
  insert into inbox_request (id, integration_id, at, method, headers, body, body_bytes, signature, status, delay_ms, answer)
  values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// Index: inbox_request_by_integration, here and below.
const deleteOldest = `
  delete from inbox_request
  where integration_id = ? and id <= (
    select id from inbox_request where integration_id = ? order by id desc limit 1 offset ?)`

const updateAnswer = "update inbox_request set answer = ? where id = ?"

const deleteSome = `
  delete from inbox_request
  where id in (select id from inbox_request where integration_id = ? and id <= ? order by id limit ?)`

const deleteScript = "delete from inbox_script where integration_id = ?"
