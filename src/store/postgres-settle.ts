/** Settle on PostgreSQL: a batch of attempts, what they did to their deliveries, and what is counted, in one round trip. */
import type { AttemptId, Ids } from "../domain/id.ts"
import { DUE, IN_LINE } from "../domain/queue.ts"
import { isRed } from "../domain/reason.ts"
import type { Sql } from "./database.ts"
import { alikeOf } from "./failures.ts"
import type { Settlement } from "./ledger.ts"
import { Columns, tallyColumns, verb } from "./postgres-columns.ts"
import type { PostgresParts } from "./postgres-parts.ts"
import { attemptFlags, blocks, chargeOf, talliesOf } from "./settle.ts"
import { hourOf } from "./tallies.ts"

const settlementColumns = {
  integration: "bigint",
  event: "bigint",
  project: "bigint",
  claim: "bigint",
  status: "text",
  reason: "text",
  facts: "text",
  nextAt: "bigint",
  queue: "bigint",
  revision: "bigint",
  attempts: "bigint",
  schedule: "bigint",
  charged: "bigint",
  last: "bigint",
  record: "text",
  keeps: "bigint",
  count: "text",
} as const
const attemptColumns = {
  id: "bigint",
  i: "bigint",
  number: "bigint",
  previous: "bigint",
  started: "bigint",
  outcome: "text",
  reason: "text",
  status: "bigint",
  class: "text",
  phase: "text",
  code: "text",
  message: "text",
  flags: "bigint",
  revision: "bigint",
  process: "text",
  url: "text",
  dns: "double precision",
  connect: "double precision",
  tls: "double precision",
  wait: "double precision",
  body: "double precision",
  total: "double precision",
  part: "bigint",
  recovery: "bigint",
  request: "text",
  requestBody: "bytea",
  response: "text",
  responseBody: "bytea",
} as const
const recoveryColumns = {
  i: "bigint",
  recovery: "bigint",
  integration: "bigint",
  outcome: "text",
  reason: "text",
} as const
const failureColumns = {
  i: "bigint",
  id: "bigint",
  project: "bigint",
  integration: "bigint",
  reason: "text",
  status: "bigint",
  message: "text",
  at: "bigint",
  event: "bigint",
  attempt: "bigint",
} as const

/** first, at, then the columns. */
const settle = verb("settle_1", 2, settlementColumns, attemptColumns, tallyColumns, recoveryColumns, failureColumns)

/** What a batch is settled with, and the ids of its attempts, null where none was made. */
export interface SettleCall {
  readonly statement: Sql
  readonly attempts: readonly (AttemptId | null)[]
}

/** Forms the call for a batch; the parts of its exchanges have been made. Ids are drawn now. */
export function settleCall(
  settlements: readonly Settlement[],
  ids: Ids,
  parts: PostgresParts,
  now: number,
): SettleCall {
  const rows = new Columns(settlementColumns)
  const made = new Columns(attemptColumns)
  const tallies = new Columns(tallyColumns)
  const recoveries = new Columns(recoveryColumns)
  const failures = new Columns(failureColumns)
  const attempts: (AttemptId | null)[] = []
  const first = ids.next()
  for (const [index, settlement] of settlements.entries()) {
    const i = index + 1
    const { claim, next } = settlement
    const { integration, event } = claim.delivery
    const attempt = settlement.attempt === null ? null : addAttempt(made, i, settlement, ids.next(), parts, now)
    attempts.push(attempt)
    const reason = next.status === "delivered" ? null : next.reason
    const tries = attempt === null ? 0 : 1
    rows.add({
      integration,
      event,
      project: claim.project,
      claim: claim.claim,
      status: next.status,
      reason: reason?.code ?? null,
      facts: reason === null ? null : JSON.stringify(reason.facts),
      nextAt: next.status === "retrying" || next.status === "skipped" ? Math.ceil(next.at) : null,
      queue: next.status === "skipped" ? next.queue : blocks(settlement) ? IN_LINE : DUE,
      revision: settlement.attempt?.revision ?? claim.revision,
      attempts: claim.attempts + tries,
      schedule: claim.scheduleAttempts + tries,
      charged: claim.charged + chargeOf(settlement),
      last: attempt ?? claim.lastAttempt,
      record: settlement.recordId,
      keeps: next.status === "skipped" ? 1 : 0,
      count: countName(settlement),
    })
    for (const tally of talliesOf(settlement, now)) {
      if (tally.kind === "recovery") recoveries.add({ i, ...tally.tally })
      else tallies.add({ i, ...tally.tally, hour: hourOf(tally.tally.at), app: tally.tally.app ?? 0 })
    }
    const alike = next.status !== "delivered" && !claim.tally.test ? alikeOf(settlement) : null
    if (alike === null) continue
    failures.add({
      i,
      id: ids.next(),
      project: claim.project,
      ...alike,
      status: alike.status ?? 0,
      at: settlement.attempt?.startedAt ?? now,
      event,
      attempt,
    })
  }
  const values = [
    ...[first, now, ...rows.arrays, ...made.arrays],
    ...[...tallies.arrays, ...recoveries.arrays, ...failures.arrays],
  ]
  return { statement: settle(values), attempts }
}

function addAttempt(
  made: Columns<typeof attemptColumns>,
  i: number,
  { claim, attempt, attemptReason, payloadDays }: Settlement,
  id: AttemptId,
  parts: PostgresParts,
  now: number,
): AttemptId | null {
  if (attempt === null) return null
  const { exchange, requestBody } = attempt
  const answer = exchange?.kind === "answered" ? exchange.answer : null
  const broken = exchange?.kind === "broken" ? exchange : null
  const timings = exchange?.timings
  const requestHeaders = attempt.requestHeaders.map(h => [h.name, h.secret ? null : h.value])
  made.add({
    id,
    i,
    number: attempt.number,
    previous: claim.lastAttempt,
    started: attempt.startedAt,
    outcome: attempt.outcome,
    reason: attemptReason?.code ?? null,
    status: answer?.status ?? null,
    class: broken?.class ?? null,
    phase: broken?.phase ?? null,
    code: broken?.code ?? null,
    message: broken?.message ?? null,
    flags: (answer?.truncated ? attemptFlags.truncated : 0) | (answer?.incomplete ? attemptFlags.incomplete : 0),
    revision: attempt.revision,
    process: attempt.process,
    url: attempt.url,
    dns: timings?.dnsMs ?? null,
    connect: timings?.connectMs ?? null,
    tls: timings?.tlsMs ?? null,
    wait: timings?.waitMs ?? null,
    body: timings?.bodyMs ?? null,
    total: timings?.totalMs ?? null,
    part: exchange === null ? null : parts.numberOf(payloadDays, now),
    recovery: claim.recovery,
    request: exchange === null ? null : JSON.stringify(requestHeaders),
    requestBody,
    response: answer === null ? null : JSON.stringify(answer.headers),
    responseBody: answer?.body ?? null,
  })
  return id
}

/** Which of the event's counts a delivery stands in from then on; null for a grey withholding, which stands in none. */
function countName({ next }: Settlement): string | null {
  switch (next.status) {
    case "delivered":
      return "n_delivered"
    case "retrying":
    case "skipped":
      return "n_retrying"
    case "failed":
      return "n_failed"
    case "withheld":
      return isRed(next.reason.code) ? "n_red" : null
  }
}
