/**
 * What follows from an attempt. `outcomeOf` says what an exchange came to, `decide` what happens next: pure functions,
 * so that every rule of a policy is a table in a test.
 *
 *     exchange → outcome → delivered | retrying (when?) | failed | withheld
 */
import { headerValues, locationOf, namedField } from "./answer-hints.ts"
import type { AttemptOutcome, DeliveryProgress, Facts, Next, Outcome } from "./delivery.ts"
import { DAY_MS } from "./duration.ts"
import type { Answer, Exchange } from "./exchange.ts"
import { bandOf, type Policy } from "./policy.ts"
import { type ReasonCode, reasonOfError } from "./reason.ts"
import { parseRetryAfter } from "./retry-after.ts"
import { retryDelayMs } from "./schedule.ts"
import { formatStatuses, withoutStatus } from "./status-ranges.ts"

/** The longest that a `Retry-After` is obeyed: one day, or a slip of the pen there would hold an event for years. */
export const RETRY_AFTER_CAP_MS = DAY_MS

/** Our own faults mostly pass in a moment; a machine that stays in trouble is asked once a minute. */
const FIRST_FAULT_DELAY_MS = 1_000
const LONGEST_FAULT_DELAY_MS = 60_000

/** Errors that no other attempt would mend. */
const finalErrors: readonly ReasonCode[] = ["blocked_address", "request_invalid"]
const timeouts: readonly ReasonCode[] = ["timeout_connect", "timeout_response", "timeout_body"]

/** What an exchange came to. `now` is the time of the answer, from which `Retry-After` counts. */
export function outcomeOf(exchange: Exchange, now: number): Outcome {
  if (exchange.kind === "answered") return answered(exchange.answer, now)
  const { class: errorClass, phase, code, token } = exchange
  const error = code === "" ? {} : { error: code }
  const facts: Facts = { class: errorClass, phase, ...error, ...(token === undefined ? {} : tokenFacts(exchange)) }
  return { kind: "unreachable", reason: reasonOfError(errorClass, phase), facts }
}

/** What is known of a token endpoint that gave no token. Its status is no answer of the endpoint, so it decides nothing. */
function tokenFacts({ token, message }: Exchange & { readonly kind: "broken" }): Facts {
  if (token === undefined) return {}
  const { host, cause, status, retryAfterMs } = token
  return {
    host,
    party: "token_endpoint",
    cause,
    detail: message.replace(/\.$/, ""),
    ...(status === null ? {} : { token_status: status }),
    ...(retryAfterMs === null ? {} : { retry_after_ms: retryAfterMs }),
  }
}

/** How an attempt counts in the history. What never became a request (`unsendable`, `withheld`) counts as an error. */
export function attemptOutcome(outcome: Outcome, policy: Pick<Policy, "success" | "stop">): AttemptOutcome {
  switch (outcome.kind) {
    case "answered":
      return bandOf(policy, outcome.status) === "success" ? "success" : "error"
    case "interrupted":
      return "interrupted"
    case "unreachable":
      return outcome.reason === "sender_fault" ? "sender_fault" : "error"
    case "unsendable":
    case "withheld":
      return "error"
  }
}

/** The reason for an answer that was no success, by its status. */
export function reasonOfStatus(status: number): ReasonCode {
  if (status === 429) return "rate_limited"
  if (status === 408 || status === 425 || (status >= 500 && status <= 599)) return "server_error"
  return status >= 400 && status <= 499 ? "rejected" : "unexpected_status"
}

/** What happens to a delivery after an attempt that ended at `now`. */
export function decide(policy: Policy, progress: DeliveryProgress, outcome: Outcome, now: number): Next {
  switch (outcome.kind) {
    case "answered":
      return afterAnswer(policy, progress, outcome, now)
    case "unreachable":
      return afterError(policy, progress, outcome, now)
    case "unsendable":
      return failed(outcome.reason, outcome.facts)
    case "withheld":
      return { status: "withheld", reason: { code: outcome.reason, facts: outcome.facts } }
    case "interrupted":
      return { status: "retrying", reason: { code: "interrupted", facts: outcome.facts }, at: now, charged: false }
  }
}

function answered(answer: Answer, now: number): Outcome {
  const { status } = answer
  const retryAfterMs = parseRetryAfter(headerValues(answer, "retry-after"), now)
  const location = status >= 300 && status <= 399 ? locationOf(answer) : null
  const field = status === 400 || status === 422 ? namedField(answer) : null
  const facts: Facts = {
    status,
    ...(retryAfterMs === null ? {} : { retry_after_ms: retryAfterMs }),
    ...(location === null ? {} : { location }),
    ...(field === null ? {} : { field }),
  }
  return { kind: "answered", status, retryAfterMs, facts }
}

function afterAnswer(
  policy: Policy,
  progress: DeliveryProgress,
  outcome: Outcome & { kind: "answered" },
  now: number,
): Next {
  const { status, retryAfterMs } = outcome
  const band = bandOf(policy, status)
  if (band === "success") return { status: "delivered" }
  if (status === 410 && policy.onGone === "disable") return { ...failed("gone", outcome.facts), disable: true }
  const code = reasonOfStatus(status)
  const facts = { ...outcome.facts, ...bandFacts(policy, code), status }
  if (band === "stop") return failed(code, { ...facts, ended: "stop" })
  return retryOrFail(policy, progress, code, facts, now, retryAfterMs ?? 0)
}

function afterError(
  policy: Policy,
  progress: DeliveryProgress,
  outcome: Outcome & { kind: "unreachable" },
  now: number,
): Next {
  const { reason, facts } = outcome
  if (finalErrors.includes(reason)) return failed(reason, facts)
  if (reason === "sender_fault") {
    return {
      status: "retrying",
      reason: { code: reason, facts },
      at: now + faultDelayMs(progress, facts),
      charged: false,
    }
  }
  const limit = timeouts.includes(reason) ? { limit_ms: policy.timeoutMs } : {}
  const askedMs = typeof facts.retry_after_ms === "number" ? facts.retry_after_ms : 0
  return retryOrFail(policy, progress, reason, { ...limit, ...facts }, now, askedMs)
}

/** The next retry of the schedule, no earlier than the other side asked; failed where the schedule is used up. */
function retryOrFail(
  policy: Policy,
  progress: DeliveryProgress,
  code: ReasonCode,
  outcomeFacts: Facts,
  now: number,
  askedMs: number,
): Next {
  const facts = { ...outcomeFacts, try: progress.charged + 1, tries: policy.retryDelaysMs.length + 1 }
  const delayMs = retryDelayMs(policy, progress.id, progress.charged)
  if (delayMs === null) return failed(code, { ...facts, ended: "exhausted" })
  const at = now + Math.max(delayMs, Math.min(askedMs, RETRY_AFTER_CAP_MS))
  return { status: "retrying", reason: { code, facts }, at, charged: true }
}

function failed(code: ReasonCode, facts: Facts): Next & { status: "failed" } {
  return { status: "failed", reason: { code, facts }, disable: false }
}

/**
 * 1, 2, 4 … 60 s. The fact `faults` says how many there were in a row, this one included; without it, the attempts that
 * were not charged stand for them.
 */
function faultDelayMs(progress: DeliveryProgress, facts: Facts): number {
  const faults = typeof facts.faults === "number" ? facts.faults : progress.attempt - progress.charged
  return Math.min(LONGEST_FAULT_DELAY_MS, FIRST_FAULT_DELAY_MS * 2 ** Math.max(0, faults - 1))
}

/** What the policy makes of statuses, where the advice speaks of it. */
function bandFacts(policy: Policy, code: ReasonCode): Facts {
  // A 410 that switches the integration off refuses every event, so nobody is told to answer it to refuse one.
  const stop = policy.onGone === "disable" ? withoutStatus(policy.stop, 410) : policy.stop
  return {
    ...(code === "unexpected_status" ? { success: formatStatuses(policy.success) } : {}),
    ...(code === "rate_limited" && policy.maxPerSecond !== null ? { max_per_second: policy.maxPerSecond } : {}),
    ...(code !== "rate_limited" && stop.length > 0 ? { stop: formatStatuses(stop) } : {}),
  }
}
