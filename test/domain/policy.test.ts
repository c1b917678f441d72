/**
 * Policies: the presets, what the API may set, and what every status comes to. The golden table of bands and reasons is
 * test/golden/policy-bands.json; after a change that is meant, write it anew with
 *
 *     UPDATE_GOLDEN=1 node --test test/domain/policy.test.ts
 *
 * and read the difference against the table in the documentation of policies.
 */
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { test } from "node:test"
import { decide } from "../../src/domain/decide.ts"
import {
  bandOf,
  type Policy,
  type PolicyInput,
  policyToJson,
  presetNames,
  presets,
  presetVerification,
  resolvePolicy,
} from "../../src/domain/policy.ts"

const WEEK_MS = 7 * 86_400_000
const golden = new URL("../golden/policy-bands.json", import.meta.url)

/** Runs of statuses that come to the same: from, to, band, reason (null for delivered). */
type Run = [from: number, to: number, band: string, reason: string | null]

function bandRuns(policy: Policy): Run[] {
  const runs: Run[] = []
  for (let status = 100; status <= 599; status++) {
    const band = bandOf(policy, status)
    const reason = reasonFor(policy, status)
    const last = runs.at(-1)
    if (last && last[2] === band && last[3] === reason) last[1] = status
    else runs.push([status, status, band, reason])
  }
  return runs
}

function reasonFor(policy: Policy, status: number): string | null {
  const progress = { id: { event: 1, integration: 2 }, attempt: 1, charged: 0, acceptedAt: 0 }
  const next = decide(policy, progress, { kind: "answered", status, retryAfterMs: null, facts: { status } }, 0)
  const expected = { success: "delivered", stop: "failed", retry: "retrying" } as const
  assert.equal(next.status, expected[bandOf(policy, status)], `${policy.preset}: ${status}`)
  return next.status === "delivered" ? null : next.reason.code
}

test("every status from 100 to 599 has the band and the reason of the golden table, for each preset", () => {
  const runs = Object.fromEntries(presetNames.map(name => [name, bandRuns(presets[name])]))
  if (process.env.UPDATE_GOLDEN) {
    const tables = Object.entries(runs).map(
      ([name, rows]) => `  "${name}": [\n${rows.map(row => `    ${JSON.stringify(row)}`).join(",\n")}\n  ]`,
    )
    writeFileSync(golden, `{\n${tables.join(",\n")}\n}\n`)
  }
  assert.deepEqual(runs, JSON.parse(readFileSync(golden, "utf8")))
})

test("with the default preset 2xx is success and everything else a failure (SW-20)", () => {
  for (let status = 100; status <= 599; status++) {
    assert.equal(bandOf(presets.standard, status) === "success", status >= 200 && status <= 299)
  }
})

test("a status that is no HTTP status is tried again", () => {
  for (const status of [0, 99, 600, 999]) assert.equal(bandOf(presets.subscription, status), "retry")
})

test("the presets are those of the documentation", () => {
  const seconds = (...values: number[]) => values.map(value => value * 1_000)
  const protection = {
    enabled: true,
    window_ms: 60_000,
    min_attempts: 10,
    rest_ms: 5_000,
    longest_rest_ms: 300_000,
    on_skip: "wait",
  }
  const never = { warn_after_ms: null, disable_after_ms: null, stop_retries_after_ms: null }
  const shared = {
    max_per_second: null,
    max_concurrent: 10,
    keep_response_bytes: 16_384,
    protection,
    ordered: false,
    ordered_on_failure: "skip",
    budget: null,
  }
  const day = 86_400_000
  const expected = {
    standard: {
      preset: "standard",
      timeout_ms: 15_000,
      success: "200-299",
      stop: "410",
      on_gone: "disable",
      // Cumulative: 5 s, 5:05, 35:05, 2:35:05, 7:35:05, 17:35:05, 31:35:05, 51:35:05, 75:35:05 (SW-27).
      retry_delays_ms: seconds(5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400),
      jitter: { down: 0.1, up: 0.1, last_up: 0.1 },
      ...shared,
      long_failure: { ...never, warn_after_ms: 2 * day, disable_after_ms: 5 * day },
    },
    subscription: {
      preset: "subscription",
      timeout_ms: 10_000,
      success: "200-399",
      stop: "400-404",
      on_gone: "as_status",
      retry_delays_ms: seconds(60, 139, 321, 742, 1_716, 3_968, 9_175, 21_217, 49_062),
      jitter: { down: 0.1, up: 0.1, last_up: 0 },
      ...shared,
      long_failure: { ...never, stop_retries_after_ms: day },
    },
    revenuecat: {
      preset: "revenuecat",
      timeout_ms: 60_000,
      success: "200",
      stop: "none",
      on_gone: "as_status",
      retry_delays_ms: seconds(300, 600, 1_200, 2_400, 4_800),
      jitter: { down: 0, up: 0, last_up: 0 },
      ...shared,
      protection: { ...protection, enabled: false },
      long_failure: { ...never, warn_after_ms: day / 8 },
    },
    device: {
      preset: "device",
      timeout_ms: 20_000,
      success: "200-299",
      stop: "none",
      on_gone: "as_status",
      retry_delays_ms: seconds(30, 60),
      jitter: { down: 0, up: 0, last_up: 0 },
      ...shared,
      protection: { ...protection, on_skip: "use_retry" },
      long_failure: never,
    },
  }
  assert.deepEqual(Object.fromEntries(presetNames.map(name => [name, policyToJson(presets[name])])), expected)
  assert.deepEqual(presetVerification, { standard: "json", subscription: "json", revenuecat: "none", device: "none" })
})

function accepted(input: PolicyInput, longestMs = WEEK_MS): Policy {
  const resolved = resolvePolicy(input, longestMs)
  assert.ok(resolved.kind === "policy", JSON.stringify(resolved))
  return resolved.policy
}

function refused(input: PolicyInput, longestMs = WEEK_MS): string[] {
  const resolved = resolvePolicy(input, longestMs)
  assert.ok(resolved.kind === "faults", JSON.stringify(input))
  for (const fault of resolved.faults) assert.match(fault.message, /^[^ ].*[^ ]\.$/)
  return resolved.faults.map(fault => fault.pointer)
}

test("a policy starts from its preset, and every field can be changed", () => {
  assert.deepEqual(accepted({}), presets.standard)
  for (const preset of presetNames) assert.deepEqual(accepted({ preset }), presets[preset])
  const changed = accepted({
    preset: "subscription",
    timeout_ms: 1_000,
    success: "200-299,304",
    stop: "none",
    on_gone: "disable",
    retry_delays_ms: [0, 1_000],
    jitter: 0.5,
    max_per_second: 0.5,
    max_concurrent: 1_000,
    keep_response_bytes: 0,
    protection: { window_ms: 1_000, min_attempts: 2, rest_ms: 400_000, on_skip: "use_retry" },
    long_failure: { warn_after_ms: 60_000, stop_retries_after_ms: null },
    ordered: true,
    ordered_on_failure: "stop",
    budget: "account",
  })
  assert.deepEqual(changed, {
    preset: "subscription",
    timeoutMs: 1_000,
    success: [
      [200, 299],
      [304, 304],
    ],
    stop: [],
    onGone: "disable",
    retryDelaysMs: [0, 1_000],
    jitter: { down: 0.5, up: 0.5, lastUp: 0.5 },
    maxPerSecond: 0.5,
    maxConcurrent: 1_000,
    keepResponseBytes: 0,
    protection: {
      enabled: true,
      windowMs: 1_000,
      minAttempts: 2,
      restMs: 400_000,
      // No rest can be shorter than the first.
      longestRestMs: 400_000,
      onSkip: "use_retry",
    },
    longFailure: { warnAfterMs: 60_000, disableAfterMs: null, stopRetriesAfterMs: null },
    ordered: true,
    onFailedInLine: "stop",
    budget: "account",
  })
  assert.deepEqual(accepted({ jitter: { down: 0.2, up: 0.3 } }).jitter, { down: 0.2, up: 0.3, lastUp: 0.3 })
  assert.deepEqual(accepted({ jitter: { down: 0, up: 0.3, last_up: 0.1 } }).jitter, { down: 0, up: 0.3, lastUp: 0.1 })
  assert.deepEqual(accepted({ retry_delays_ms: [] }).retryDelaysMs, [])
})

test("a policy that is shown can be sent back as it is", () => {
  for (const preset of presetNames) assert.deepEqual(accepted(policyToJson(presets[preset])), presets[preset])
})

test("numbers outside their bounds are refused by name", () => {
  const bounds: readonly (readonly [keyof PolicyInput, good: readonly number[], bad: readonly number[]])[] = [
    ["timeout_ms", [1_000, 120_000], [999, 120_001, 1_500.5, Number.NaN]],
    ["max_concurrent", [1, 1_000], [0, 1_001, 1.5, -1]],
    ["max_per_second", [0.001, 100_000], [0, -1, 100_001, Number.NaN, Number.POSITIVE_INFINITY]],
    ["keep_response_bytes", [0, 131_072], [-1, 131_073, 0.5]],
    ["jitter", [0, 0.5], [-0.1, 0.51, Number.NaN]],
  ]
  for (const [field, good, bad] of bounds) {
    for (const value of good) accepted({ [field]: value })
    for (const value of bad) assert.deepEqual(refused({ [field]: value }), [`/${field}`], `${field} ${value}`)
  }
  assert.deepEqual(refused({ jitter: { down: 0.6, up: 0 } }), ["/jitter"])
  assert.deepEqual(accepted({ max_per_second: null }).maxPerSecond, null)
})

test("a delay that is no whole number of ms is refused by its place, and so are more than 50", () => {
  assert.deepEqual(refused({ retry_delays_ms: [0, -1, 5, 0.5] }), ["/retry_delays_ms/1", "/retry_delays_ms/3"])
  assert.deepEqual(refused({ retry_delays_ms: Array(51).fill(1) }), ["/retry_delays_ms"])
  assert.equal(accepted({ retry_delays_ms: Array(50).fill(1) }).retryDelaysMs.length, 50)
})

test("no schedule may outlast the payload's retention, jitter included", () => {
  assert.deepEqual(refused({ retry_delays_ms: [WEEK_MS], jitter: 0.1 }), ["/retry_delays_ms"])
  accepted({ retry_delays_ms: [WEEK_MS], jitter: 0 })
  accepted({ retry_delays_ms: [WEEK_MS], jitter: { down: 0.1, up: 0.1, last_up: 0 } })
  // The default schedule needs 75:35:05 and a tenth.
  assert.deepEqual(refused({}, 3 * 86_400_000), ["/retry_delays_ms"])
  accepted({ preset: "subscription" }, 86_400_000)
  assert.deepEqual(refused({ preset: "subscription" }, 86_399_999), ["/retry_delays_ms"])
})

test("a status in both success and stop is refused, at the field that its writer touched", () => {
  assert.deepEqual(refused({ success: "200-299", stop: "299-404" }), ["/stop"])
  assert.deepEqual(refused({ preset: "subscription", success: "200-401" }), ["/success"])
  assert.deepEqual(refused({ preset: "subscription", stop: "300-404" }), ["/stop"])
})

test("a 410 cannot be a success and switch the integration off", () => {
  assert.deepEqual(refused({ success: "200-499", stop: "none" }), ["/success"])
  assert.deepEqual(refused({ success: "200-499", stop: "none", on_gone: "disable" }), ["/on_gone"])
  accepted({ success: "200-499", stop: "none", on_gone: "as_status" })
})

test("a policy under which nothing could ever be delivered is refused", () => {
  assert.deepEqual(refused({ success: "none" }), ["/success"])
  assert.deepEqual(refused({ success: "" }), ["/success"])
})

test("statuses that cannot be read are refused, with all other faults at once", () => {
  assert.deepEqual(refused({ timeout_ms: 1, success: "2xx", stop: "404-400" }), ["/timeout_ms", "/success", "/stop"])
})
