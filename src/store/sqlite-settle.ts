/** Settle on SQLite: the attempt, always; the delivery's next state, where the claim still holds; in one commit. */
import type { Next } from "../domain/delivery.ts"
import type { AttemptId } from "../domain/id.ts"
import { DUE, IN_LINE } from "../domain/queue.ts"
import { isRed } from "../domain/reason.ts"
import { keepLane } from "./lanes.ts"
import type { Settled, Settlement } from "./ledger.ts"
import { release } from "./line.ts"
import { maskOver } from "./sealed-payloads.ts"
import { attemptFlags, blocks, chargeOf, endedKey, mayMask, switchOffOf, talliesOf } from "./settle.ts"
import { runNow } from "./sqlite.ts"
import type { SqliteCommit } from "./sqlite-ledger.ts"
import { tell } from "./sqlite-tell.ts"
import { switchOff } from "./switch-off.ts"

/** Records one attempt and moves its delivery on. */
export function settleOne(commit: SqliteCommit, settlement: Settlement): Settled {
  const attempt = settlement.attempt === null ? null : recordAttempt(commit, settlement, settlement.attempt)
  const { next, claim, consequences } = settlement
  if (consequences?.lane !== undefined) runNow(commit.db, keepLane(claim.delivery.integration, consequences.lane))
  const off = switchOffOf(settlement)
  const change = off === null ? null : runNow(commit.db, switchOff(commit.steps, settlement.claim, off))
  const emitted = [...tell(commit, consequences ?? {}), ...(off === null || change === null ? [] : tell(commit, off))]
  if (!moveOn(commit, settlement, attempt)) return { kind: "lease-lost", attempt, change, released: null, emitted }
  for (const { kind, tally } of talliesOf(settlement, commit.now)) {
    if (kind === "recovery") commit.tallies.recovery(tally)
    else commit.tallies.delivery(tally)
  }
  if (next.status !== "delivered" && !claim.tally.test) commit.tallies.failures.settled(commit.now, settlement, attempt)
  const { project } = claim
  if (mayMask(settlement)) runNow(commit.db, maskOver(commit.steps, { project, event: claim.delivery.event }))
  const key = endedKey(settlement)
  const released = key === null ? null : runNow(commit.db, release(commit.steps, claim.delivery.integration, key))
  return { kind: "moved", attempt, change, released, emitted }
}

function recordAttempt(
  { db, ids, parts, now }: SqliteCommit,
  { claim, attemptReason, payloadDays }: Settlement,
  attempt: NonNullable<Settlement["attempt"]>,
): AttemptId {
  const id: AttemptId = ids.next()
  const { exchange } = attempt
  const answer = exchange?.kind === "answered" ? exchange.answer : null
  const broken = exchange?.kind === "broken" ? exchange : null
  const timings = exchange?.timings
  let part: number | null = null
  if (exchange !== null) {
    const requestHeaders = JSON.stringify(attempt.requestHeaders.map(h => [h.name, h.secret ? null : h.value]))
    const responseHeaders = answer === null ? null : JSON.stringify(answer.headers)
    const texts = [requestHeaders, responseHeaders ?? "", attempt.requestBody ?? ""]
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), answer?.body.length ?? 0)
    part = parts.partFor(payloadDays, now, bytes)
    db.statements
      .text(`insert into exchange_${part} values (?, ?, ?, ?, ?)`)
      .run(id, requestHeaders, attempt.requestBody, responseHeaders, answer === null ? null : answer.body)
  }
  db.statements
    .text(insertAttempt)
    .run(
      id,
      claim.project,
      claim.delivery.integration,
      claim.delivery.event,
      attempt.number,
      claim.lastAttempt,
      attempt.startedAt,
      attempt.outcome,
      attemptReason?.code ?? null,
      answer?.status ?? null,
      broken?.class ?? null,
      broken?.phase ?? null,
      broken?.code ?? null,
      broken?.message ?? null,
      (answer?.truncated ? attemptFlags.truncated : 0) | (answer?.incomplete ? attemptFlags.incomplete : 0),
      attempt.revision,
      attempt.process,
      attempt.url,
      timings?.dnsMs ?? null,
      timings?.connectMs ?? null,
      timings?.tlsMs ?? null,
      timings?.waitMs ?? null,
      timings?.bodyMs ?? null,
      timings?.totalMs ?? null,
      part,
      claim.recovery,
    )
  return id
}

function moveOn({ db, search, now }: SqliteCommit, settlement: Settlement, attempt: AttemptId | null): boolean {
  const { claim, next } = settlement
  const reason = next.status === "delivered" ? null : next.reason
  const made = attempt === null ? 0 : 1
  const { changes } = db.statements
    .text(moveDelivery)
    .run(
      next.status,
      reason?.code ?? null,
      reason === null ? null : JSON.stringify(reason.facts),
      next.status === "retrying" || next.status === "skipped" ? Math.ceil(next.at) : null,
      next.status === "skipped" ? next.queue : blocks(settlement) ? IN_LINE : DUE,
      settlement.attempt?.revision ?? claim.revision,
      claim.attempts + made,
      claim.scheduleAttempts + made,
      claim.charged + chargeOf(settlement),
      attempt ?? claim.lastAttempt,
      settlement.recordId,
      next.status === "skipped" ? 1 : 0,
      now,
      claim.delivery.integration,
      claim.delivery.event,
      claim.claim,
    )
  if (changes === 0) return false
  const { recordId } = settlement
  if (recordId !== null) search.add(claim.project, "destination_record", recordId, claim.delivery.event)
  const red = next.status === "withheld" && isRed(next.reason.code)
  db.statements.text(red ? countRed : countOnEvent[next.status]).run(claim.project, claim.delivery.event)
  return true
}

const insertAttempt = `
  insert into attempt (
    id, project_id, integration_id, event_id, number, previous_id, started_at, outcome, reason, status, class, phase,
    code, message, flags, revision, process, url, dns_ms, connect_ms, tls_ms, wait_ms, body_ms, total_ms, exchange_part,
    recovery_id
  ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const moveDelivery = `
  update delivery set
    status = ?, reason = ?, facts = ?, next_at = ?, queue = ?, claim = null, revision = ?, attempts = ?, schedule_attempts = ?,
    charged = ?, last_attempt_id = ?, record_id = coalesce(?, record_id),
    before_recovery = iif(?, before_recovery, null), updated_at = ?
  where integration_id = ? and event_id = ? and claim = ?`

/** A delivery that was being sent counted as open. */
const countOnEvent: Record<Next["status"], string> = {
  delivered: "update event set n_open = n_open - 1, n_delivered = n_delivered + 1 where project_id = ? and id = ?",
  retrying: "update event set n_open = n_open - 1, n_retrying = n_retrying + 1 where project_id = ? and id = ?",
  skipped: "update event set n_open = n_open - 1, n_retrying = n_retrying + 1 where project_id = ? and id = ?",
  failed: "update event set n_open = n_open - 1, n_failed = n_failed + 1 where project_id = ? and id = ?",
  withheld: "update event set n_open = n_open - 1 where project_id = ? and id = ?",
}
const countRed = "update event set n_open = n_open - 1, n_red = n_red + 1 where project_id = ? and id = ?"
