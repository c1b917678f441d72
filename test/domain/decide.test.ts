import assert from "node:assert/strict"
import { test } from "node:test"
import { attemptOutcome, decide, outcomeOf, reasonOfStatus } from "../../src/domain/decide.ts"
import type { DeliveryProgress, Facts, Next, Outcome } from "../../src/domain/delivery.ts"
import type { Answer, ErrorClass, Exchange, Phase } from "../../src/domain/exchange.ts"
import { type Policy, presetNames, presets } from "../../src/domain/policy.ts"
import type { ReasonCode } from "../../src/domain/reason.ts"

const NOW = Date.UTC(2026, 10, 21, 10, 0, 0)
const HOUR_MS = 3_600_000
const noJitter = { down: 0, up: 0, lastUp: 0 }

function progress(over: Partial<DeliveryProgress> = {}): DeliveryProgress {
  return {
    id: { event: 374_000_000_000_001, integration: 370_000_000_000_002 },
    attempt: 1,
    charged: 0,
    acceptedAt: NOW,
    ...over,
  }
}

function status(code: number, retryAfterMs: number | null = null, facts: Facts = {}): Outcome {
  return { kind: "answered", status: code, retryAfterMs, facts: { status: code, ...facts } }
}

function unreachable(reason: ReasonCode, facts: Facts = {}): Outcome {
  return { kind: "unreachable", reason, facts }
}

function exchange(over: Partial<Answer>): Exchange {
  const answer = { status: 200, headers: [], body: new Uint8Array(), truncated: false, incomplete: false, ...over }
  return { kind: "answered", answer, sentHeaders: [], timings: noTimings }
}

const noTimings = { dnsMs: null, connectMs: null, tlsMs: null, waitMs: null, bodyMs: null, totalMs: 1 }

function broken(errorClass: ErrorClass, phase: Phase, code = ""): Exchange {
  return { kind: "broken", class: errorClass, phase, code, message: "it broke", sentHeaders: [], timings: noTimings }
}

/** Fails a delivery over and over, turning the clock to each next attempt: the times of all attempts, from 0, and the end. */
function runOut(
  policy: Policy,
  outcome: (attempt: number) => Outcome,
  id = progress().id,
): { times: number[]; end: Next } {
  const times: number[] = []
  let now = NOW
  let charged = 0
  for (let attempt = 1; attempt <= 1_000; attempt++) {
    times.push(now - NOW)
    const next = decide(policy, progress({ id, attempt, charged }), outcome(attempt), now)
    if (next.status !== "retrying") return { times, end: next }
    assert.ok(next.at >= now)
    now = next.at
    if (next.charged) charged++
  }
  throw new Error("it never ends")
}

test("the standard schedule makes ten attempts at the times of Standard Webhooks (SW-27)", () => {
  const { times, end } = runOut({ ...presets.standard, jitter: noJitter }, () => status(503))
  const hms = (h: number, m: number, s: number) => ((h * 60 + m) * 60 + s) * 1_000
  assert.deepEqual(times, [
    0,
    hms(0, 0, 5),
    hms(0, 5, 5),
    hms(0, 35, 5),
    hms(2, 35, 5),
    hms(7, 35, 5),
    hms(17, 35, 5),
    hms(31, 35, 5),
    hms(51, 35, 5),
    hms(75, 35, 5),
  ])
  assert.deepEqual(end, {
    status: "failed",
    reason: { code: "server_error", facts: { status: 503, try: 10, tries: 10, ended: "exhausted" } },
    disable: false,
  })
})

test("each preset makes its own number of attempts, and every delay stays within its jitter", () => {
  for (const name of presetNames) {
    const policy = presets[name]
    for (let event = 1; event <= 50; event++) {
      const { times, end } = runOut(policy, () => unreachable("connection_refused"), { event, integration: 7 })
      assert.equal(times.length, policy.retryDelaysMs.length + 1)
      assert.equal(end.status, "failed")
      for (const [i, delay] of policy.retryDelaysMs.entries()) {
        const share = ((times[i + 1] ?? 0) - (times[i] ?? 0)) / delay - 1
        assert.ok(
          share >= -policy.jitter.down - 0.001 && share <= policy.jitter.up,
          `${name}, retry ${i + 1}: ${share}`,
        )
      }
    }
  }
})

test("the subscription schedule ends within 24 h whatever the jitter", () => {
  for (let event = 1; event <= 1_000; event++) {
    const { times } = runOut(presets.subscription, () => status(500), { event, integration: 7 })
    assert.ok((times.at(-1) ?? 0) <= 24 * HOUR_MS)
  }
})

test("a success is delivered, also when it is the last try", () => {
  assert.deepEqual(decide(presets.standard, progress(), status(204), NOW), { status: "delivered" })
  assert.deepEqual(decide(presets.subscription, progress({ attempt: 10, charged: 9 }), status(302), NOW), {
    status: "delivered",
  })
})

test("a status in the stop band fails at once, with the reason of the status", () => {
  assert.deepEqual(decide(presets.subscription, progress(), status(404, 5_000), NOW), {
    status: "failed",
    reason: { code: "rejected", facts: { status: 404, stop: "400-404", ended: "stop" } },
    disable: false,
  })
})

test("a 410 switches the integration off where the policy says so, whatever its stop band", () => {
  const gone = { status: "failed", reason: { code: "gone", facts: { status: 410 } }, disable: true }
  assert.deepEqual(decide(presets.standard, progress(), status(410), NOW), gone)
  assert.deepEqual(decide({ ...presets.standard, stop: [] }, progress(), status(410), NOW), gone)
})

test("a 410 is a status like any other where the policy says so", () => {
  for (const name of ["subscription", "revenuecat", "device"] as const) {
    const next = decide(presets[name], progress(), status(410), NOW)
    assert.ok(next.status === "retrying")
    assert.equal(next.reason.code, "rejected")
  }
  const stopped = decide({ ...presets.standard, onGone: "as_status" }, progress(), status(410), NOW)
  assert.ok(stopped.status === "failed")
  assert.deepEqual([stopped.reason.code, stopped.disable], ["rejected", false])
})

test("nobody is told to refuse an event with a 410 that would switch the integration off", () => {
  const factsOf = (policy: Policy) => {
    const next = decide(policy, progress(), status(404), NOW)
    return next.status === "delivered" ? {} : next.reason.facts
  }
  assert.equal(factsOf(presets.standard).stop, undefined)
  assert.equal(factsOf({ ...presets.standard, onGone: "as_status" }).stop, "410")
  assert.equal(factsOf({ ...presets.standard, stop: [[409, 411]] }).stop, "409,411")
})

test("the reason follows the status", () => {
  const reasons: Partial<Record<ReasonCode, readonly number[]>> = {
    server_error: [408, 425, 500, 501, 502, 503, 504, 599],
    rate_limited: [429],
    rejected: [400, 401, 403, 404, 405, 407, 409, 410, 413, 415, 418, 422, 426, 451, 499],
    unexpected_status: [100, 101, 103, 199, 201, 204, 299, 300, 301, 304, 308, 399, 600, 999],
  }
  for (const [reason, statuses] of Object.entries(reasons)) {
    for (const code of statuses ?? []) assert.equal(reasonOfStatus(code), reason, String(code))
  }
})

test("Retry-After is obeyed on any answer that is retried, never shortens the schedule, and is capped at 24 h (SW-25)", () => {
  const policy = { ...presets.standard, jitter: noJitter }
  const waits = (retryAfterMs: number, charged: number, code = 503) => {
    const next = decide(policy, progress({ charged }), status(code, retryAfterMs), NOW)
    assert.ok(next.status === "retrying")
    return next.at - NOW
  }
  for (const code of [301, 404, 408, 429, 500, 503]) assert.equal(waits(120_000, 0, code), 120_000)
  assert.equal(waits(0, 0), 5_000)
  assert.equal(waits(1_000, 1), 300_000)
  assert.equal(waits(HOUR_MS, 0), HOUR_MS)
  assert.equal(waits(1e12, 0), 24 * HOUR_MS)
  assert.equal(waits(Number.MAX_SAFE_INTEGER, 8), 24 * HOUR_MS)
})

test("Retry-After gives no retry beyond the schedule, and its wait is told in the facts", () => {
  const last = decide(presets.device, progress({ charged: 2, attempt: 3 }), status(503, 1_000), NOW)
  assert.equal(last.status, "failed")
  const outcome = outcomeOf(
    exchange({
      status: 429,
      headers: [
        ["retry-after", "30"],
        ["retry-after", "90"],
      ],
    }),
    NOW,
  )
  assert.deepEqual(outcome, {
    kind: "answered",
    status: 429,
    retryAfterMs: 90_000,
    facts: { status: 429, retry_after_ms: 90_000 },
  })
})

test("a date in Retry-After counts from the time of the answer", () => {
  const headers = [["retry-after", new Date(NOW + HOUR_MS).toUTCString()]] as const
  const outcome = outcomeOf(exchange({ status: 503, headers }), NOW)
  const next = decide(presets.standard, progress(), outcome, NOW)
  assert.ok(next.status === "retrying")
  assert.equal(next.at, NOW + HOUR_MS)
})

test("a rate limit tells the rate that is set here", () => {
  const next = decide({ ...presets.standard, maxPerSecond: 50 }, progress(), status(429), NOW)
  assert.ok(next.status === "retrying")
  assert.deepEqual(next.reason, { code: "rate_limited", facts: { status: 429, max_per_second: 50, try: 1, tries: 10 } })
})

test("every network error and timeout is tried again by the schedule, timeouts with the limit that they missed", () => {
  const errors: readonly ReasonCode[] = [
    "dns_failed",
    "connection_refused",
    "connection_reset",
    "tls_failed",
    "protocol_error",
    "network_error",
    "timeout_connect",
    "timeout_response",
    "timeout_body",
  ]
  for (const reason of errors) {
    const next = decide(presets.device, progress(), unreachable(reason), NOW)
    const limit = reason.startsWith("timeout") ? { limit_ms: 20_000 } : {}
    assert.deepEqual(next, {
      status: "retrying",
      reason: { code: reason, facts: { ...limit, try: 1, tries: 3 } },
      at: NOW + 30_000,
      charged: true,
    })
  }
})

test("an address that is not allowed and a request that cannot be formed fail at once", () => {
  for (const reason of ["blocked_address", "request_invalid"] as const) {
    assert.deepEqual(decide(presets.standard, progress(), unreachable(reason), NOW), {
      status: "failed",
      reason: { code: reason, facts: {} },
      disable: false,
    })
  }
  const unsendable = decide(
    presets.standard,
    progress(),
    { kind: "unsendable", reason: "mapping_failed", facts: { field: "url" } },
    NOW,
  )
  assert.deepEqual(unsendable, {
    status: "failed",
    reason: { code: "mapping_failed", facts: { field: "url" } },
    disable: false,
  })
})

test("what a rule forbids while building is withheld", () => {
  const next = decide(presets.standard, progress(), { kind: "withheld", reason: "opted_out", facts: {} }, NOW)
  assert.deepEqual(next, { status: "withheld", reason: { code: "opted_out", facts: {} } })
})

test("an interrupted attempt is tried again at once and not charged, also when no retry is left", () => {
  for (const charged of [0, 2]) {
    const next = decide(
      presets.device,
      progress({ charged, attempt: charged + 1 }),
      { kind: "interrupted", facts: {} },
      NOW,
    )
    assert.deepEqual(next, { status: "retrying", reason: { code: "interrupted", facts: {} }, at: NOW, charged: false })
  }
})

test("our own fault is tried again after 1, 2, 4 … 60 s and never charged", () => {
  const waits = Array.from({ length: 9 }, (_, i) => {
    const next = decide(presets.device, progress({ attempt: i + 1 }), unreachable("sender_fault"), NOW)
    assert.ok(next.status === "retrying" && !next.charged)
    return (next.at - NOW) / 1_000
  })
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60])
  const told = decide(presets.device, progress({ attempt: 5_000 }), unreachable("sender_fault", { faults: 2 }), NOW)
  assert.ok(told.status === "retrying")
  assert.equal(told.at - NOW, 2_000)
  const long = decide(presets.device, progress({ attempt: 5_000 }), unreachable("sender_fault"), NOW)
  assert.ok(long.status === "retrying")
  assert.equal(long.at - NOW, 60_000)
})

test("interruptions and our own faults use up no retry of the schedule", () => {
  const outcomes = (attempt: number): Outcome => {
    if (attempt % 3 === 1) return { kind: "interrupted", facts: {} }
    return attempt % 3 === 2 ? unreachable("sender_fault") : status(500)
  }
  const { times, end } = runOut(presets.device, outcomes)
  assert.equal(times.length, 9)
  assert.ok(end.status === "failed")
  assert.equal(end.reason.code, "server_error")
})

test("attempts are counted by what they came to", () => {
  const counted = (outcome: Outcome) => attemptOutcome(outcome, presets.subscription)
  assert.equal(counted(status(200)), "success")
  assert.equal(counted(status(302)), "success")
  assert.equal(counted(status(404)), "error")
  assert.equal(counted(status(500)), "error")
  assert.equal(counted(unreachable("timeout_response")), "error")
  assert.equal(counted(unreachable("sender_fault")), "sender_fault")
  assert.equal(counted({ kind: "interrupted", facts: {} }), "interrupted")
  assert.equal(counted({ kind: "unsendable", reason: "request_invalid", facts: {} }), "error")
})

test("an exchange that broke off keeps its class, phase and raw code for the reason's text", () => {
  const outcome = outcomeOf(broken("DNS_NOT_FOUND", "dns", "ENOTFOUND"), NOW)
  assert.deepEqual(outcome, unreachable("dns_failed", { class: "DNS_NOT_FOUND", phase: "dns", error: "ENOTFOUND" }))
  const noCode = outcomeOf(broken("PROTOCOL_ERROR", "headers"), NOW)
  assert.deepEqual(noCode, unreachable("protocol_error", { class: "PROTOCOL_ERROR", phase: "headers" }))
})

test("an answer's verdict is its status, though its body was cut off", () => {
  const outcome = outcomeOf(exchange({ status: 200, incomplete: true, truncated: true }), NOW)
  assert.deepEqual(decide(presets.standard, progress(), outcome, NOW), { status: "delivered" })
})

test("a redirect brings its Location, a refusal the field that it names", () => {
  const redirect = outcomeOf(exchange({ status: 301, headers: [["location", "https://new.example/hook?k=1"]] }), NOW)
  assert.deepEqual(redirect.facts, { status: 301, location: "https://new.example/hook" })
  const body = new TextEncoder().encode('{"errors":[{"field":"email"}]}')
  for (const code of [400, 422]) assert.equal(outcomeOf(exchange({ status: code, body }), NOW).facts.field, "email")
  assert.deepEqual(outcomeOf(exchange({ status: 500, body }), NOW).facts, { status: 500 })
})
