/** What inboxes got is written in the ledger's commits: a busy integration that is duplicated onto one costs no fsync of its own. */
import { statusOfTurn } from "../domain/answer-script.ts"
import type { IntegrationId } from "../domain/id.ts"
import type { SignatureVerdict } from "../domain/signature-verdict.ts"
import type { Commit } from "./commit.ts"
import { sql } from "./database.ts"
import { INBOX_REQUESTS_KEPT } from "./kept.ts"
import { change, row, type Step } from "./step.ts"

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
export function* keepInboxRequest(
  commit: Commit,
  request: NewInboxRequest,
): Step<{ readonly id: number; readonly status: number } | undefined> {
  const { integration, at, method, headers, body, bodyBytes, signature, script, delayMs } = request
  const there = yield* row(sql`select 1 as it from integration where id = ${integration} and removed_at is null`)
  if (there === undefined) return undefined
  const turn = script.length === 0 ? 1 : yield* nextTurn(integration, script)
  const status = statusOfTurn(script, turn) ?? request.status
  const id = yield* commit.nextId()
  const state: AnswerState = delayMs === 0 ? "sent" : "waiting"
  yield* change(sql`
    insert into inbox_request (
      id, integration_id, at, method, headers, body, body_bytes, signature, status, delay_ms, answer
    ) values (
      ${id}, ${integration}, ${at}, ${method}, ${JSON.stringify(headers)}, ${body}, ${bodyBytes},
      ${JSON.stringify(signature)}, ${status}, ${delayMs}, ${state}
    )`)
  // Index: inbox_request_by_integration, here and below.
  yield* change(sql`
    delete from inbox_request
    where integration_id = ${integration} and id <= (
      select id from inbox_request where integration_id = ${integration} order by id desc
      limit 1 offset ${INBOX_REQUESTS_KEPT})`)
  return { id, status }
}

function* nextTurn(inbox: IntegrationId, script: readonly number[]): Step<number> {
  const taken = yield* row<{ played: number }>(sql`
    insert into inbox_script (integration_id, script, played) values (${inbox}, ${script.join(",")}, 1)
    on conflict (integration_id) do update set
      played = case when inbox_script.script = excluded.script then inbox_script.played + 1 else 1 end,
      script = excluded.script
    returning played`)
  return taken?.played ?? 1
}

/** Writes down what became of an answer that had to wait. */
export function* endInboxAnswer(id: number, state: Exclude<AnswerState, "waiting">): Step<void> {
  yield* change(sql`update inbox_request set answer = ${state} where id = ${id}`)
}

/** Takes away some of an inbox's requests up to an id, oldest first; gives how many went. */
export function emptyInbox(integration: IntegrationId, upTo: number, limit: number): Step<number> {
  return change(sql`
    delete from inbox_request
    where id in (
      select id from inbox_request where integration_id = ${integration} and id <= ${upTo} order by id limit ${limit})`)
}

/** Lets an inbox's script begin anew. */
export function* forgetTurns(integration: IntegrationId): Step<void> {
  yield* change(sql`delete from inbox_script where integration_id = ${integration}`)
}
