/**
 * A policy: what counts as success, the time limit, the retry schedule, rate and concurrency. Presets are data, starting
 * points of which every field can be changed.
 */
import {
  resolveTrouble,
  type TroubleInput,
  type TroubleJson,
  type TroublePolicy,
  troubleFaults,
  troublePresets,
  troubleToJson,
} from "./policy-trouble.ts"
import { longestScheduleMs } from "./schedule.ts"
import { formatDuration } from "./sentence.ts"
import { formatStatuses, includesStatus, overlapOf, parseStatuses, type StatusRanges } from "./status-ranges.ts"

/** The presets, the default first. */
export const presetNames = ["standard", "subscription", "revenuecat", "device"] as const
export type PresetName = (typeof presetNames)[number]

/** A policy with every field set. */
export interface Policy extends TroublePolicy {
  readonly preset: PresetName
  /** From the first byte of the connection to the end of the answer, in ms. */
  readonly timeoutMs: number
  /** Inclusive ranges of statuses. */
  readonly success: StatusRanges
  readonly stop: StatusRanges
  /** What a 410 does: it switches the integration off, or is a status like any other. */
  readonly onGone: "disable" | "as_status"
  /** The delay before each retry. The schedule is this long and no longer. */
  readonly retryDelaysMs: readonly number[]
  /** Share of a delay by which it may be shorter or longer. `lastUp` is the share for the last delay, upwards. */
  readonly jitter: { readonly down: number; readonly up: number; readonly lastUp: number }
  /** No limit where null. */
  readonly maxPerSecond: number | null
  readonly maxConcurrent: number
  /** How much of an answer's body is kept. */
  readonly keepResponseBytes: number
}

/** A policy as the API takes it: a preset (`standard` where none is named) and what is to differ from it. */
export interface PolicyInput extends TroubleInput {
  readonly preset?: PresetName
  readonly timeout_ms?: number
  /** Statuses such as `"200-299,304"`. */
  readonly success?: string
  /** The same; `""` or `"none"` for no status at all. */
  readonly stop?: string
  readonly on_gone?: Policy["onGone"]
  readonly retry_delays_ms?: readonly number[]
  /** One share for all directions, or each by itself; `last_up` is `up` where it is not given. */
  readonly jitter?: number | { readonly down: number; readonly up: number; readonly last_up?: number }
  /** Null: no limit. */
  readonly max_per_second?: number | null
  readonly max_concurrent?: number
  readonly keep_response_bytes?: number
}

/** A policy as the API shows it: every field, whether it came from the preset or not. */
export interface PolicyJson extends Required<Omit<PolicyInput, keyof TroubleInput>>, TroubleJson {
  readonly jitter: { readonly down: number; readonly up: number; readonly last_up: number }
}

/** A mistake in a policy: where (JSON pointer into the policy object) and a sentence. */
export interface PolicyFault {
  readonly pointer: string
  readonly message: string
}

/** What a status means: delivered, failed without a retry, or worth another try. */
export type Band = "success" | "stop" | "retry"

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

const common = { maxPerSecond: null, maxConcurrent: 10, keepResponseBytes: 16 * 1024 } as const

/** Standard Webhooks' recommendations, and the ways of Adapty, RevenueCat and Particle, for those who come from there. */
export const presets: Readonly<Record<PresetName, Policy>> = {
  // Standard Webhooks recommends its success, 410, schedule and jitter (SW-20, SW-22, SW-26, SW-27).
  standard: {
    ...common,
    ...troublePresets.standard,
    preset: "standard",
    timeoutMs: 15 * SECOND,
    success: [[200, 299]],
    stop: [[410, 410]],
    onGone: "disable",
    retryDelaysMs: [
      5 * SECOND,
      5 * MINUTE,
      30 * MINUTE,
      2 * HOUR,
      5 * HOUR,
      10 * HOUR,
      14 * HOUR,
      20 * HOUR,
      24 * HOUR,
    ],
    jitter: { down: 0.1, up: 0.1, lastUp: 0.1 },
  },
  // Adapty's: nine retries, each 2.3125 times as long as the one before, exactly 24 h together and never longer.
  subscription: {
    ...common,
    ...troublePresets.subscription,
    preset: "subscription",
    timeoutMs: 10 * SECOND,
    success: [[200, 399]],
    stop: [[400, 404]],
    onGone: "as_status",
    retryDelaysMs: [60, 139, 321, 742, 1_716, 3_968, 9_175, 21_217, 49_062].map(seconds => seconds * SECOND),
    jitter: { down: 0.1, up: 0.1, lastUp: 0 },
  },
  revenuecat: {
    ...common,
    ...troublePresets.revenuecat,
    preset: "revenuecat",
    timeoutMs: 60 * SECOND,
    success: [[200, 200]],
    stop: [],
    onGone: "as_status",
    retryDelaysMs: [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, 80 * MINUTE],
    jitter: { down: 0, up: 0, lastUp: 0 },
  },
  // Particle's.
  device: {
    ...common,
    ...troublePresets.device,
    preset: "device",
    timeoutMs: 20 * SECOND,
    success: [[200, 299]],
    stop: [],
    onGone: "as_status",
    retryDelaysMs: [30 * SECOND, 60 * SECOND],
    jitter: { down: 0, up: 0, lastUp: 0 },
  },
}

/** Each preset in words, for whoever has to choose one: whose ways they are, and for what they are right. */
export const presetWords: Readonly<Record<PresetName, { readonly title: string; readonly description: string }>> = {
  standard: {
    title: "Standard Webhooks",
    description:
      "For endpoints of your own and most others. Tries for days, and switches the integration off when the endpoint says that it is gone.",
  },
  subscription: {
    title: "As Adapty does it",
    description:
      "For receivers of subscription events that were built for Adapty. Redirects count as received, 400 and 404 are not tried again, and it gives up after a day.",
  },
  revenuecat: {
    title: "As RevenueCat does it",
    description:
      "For receivers that were built for RevenueCat. Only 200 counts as received, and the last try comes two and a half hours later.",
  },
  device: {
    title: "As Particle does it",
    description:
      "For readings of devices, of which a late one is worth little. Two more tries within minutes; an endpoint that keeps failing is left alone, and what comes meanwhile is skipped.",
  },
}

/** The `config.verification` that goes with a preset, where the integration does not say it. */
export const presetVerification: Readonly<Record<PresetName, "json" | "none">> = {
  standard: "json",
  subscription: "json",
  revenuecat: "none",
  device: "none",
}

/** The band of a status. Whatever is in neither of the two that a policy names is tried again. */
export function bandOf(policy: Pick<Policy, "success" | "stop">, status: number): Band {
  if (includesStatus(policy.success, status)) return "success"
  return includesStatus(policy.stop, status) ? "stop" : "retry"
}

/**
 * The policy that an input describes, or every fault in it. `longestMs` is the payload's retention: no schedule may
 * outlast it, or there would be nothing left to send. A policy that was saved is read with `Infinity`: it was accepted
 * once, and a retention that is shorter now must not change it.
 */
export function resolvePolicy(
  input: PolicyInput,
  longestMs: number,
):
  | { readonly kind: "policy"; readonly policy: Policy }
  | { readonly kind: "faults"; readonly faults: readonly PolicyFault[] } {
  const preset = presets[input.preset ?? "standard"]
  const success = parseStatuses(input.success ?? formatStatuses(preset.success))
  const stop = parseStatuses(input.stop ?? formatStatuses(preset.stop))
  const policy: Policy = {
    ...resolveTrouble(preset, input),
    preset: preset.preset,
    timeoutMs: input.timeout_ms ?? preset.timeoutMs,
    success: success.kind === "ranges" ? success.ranges : [],
    stop: stop.kind === "ranges" ? stop.ranges : [],
    onGone: input.on_gone ?? preset.onGone,
    retryDelaysMs: input.retry_delays_ms ?? preset.retryDelaysMs,
    jitter: input.jitter === undefined ? preset.jitter : jitterOf(input.jitter),
    maxPerSecond: input.max_per_second === undefined ? preset.maxPerSecond : input.max_per_second,
    maxConcurrent: input.max_concurrent ?? preset.maxConcurrent,
    keepResponseBytes: input.keep_response_bytes ?? preset.keepResponseBytes,
  }
  const faults = [
    ...boundFaults(policy),
    ...(success.kind === "fault" ? [{ pointer: "/success", message: success.message }] : successFaults(policy, input)),
    ...(stop.kind === "fault" ? [{ pointer: "/stop", message: stop.message }] : []),
    ...scheduleFaults(policy, longestMs),
    ...troubleFaults(policy),
  ]
  return faults.length > 0 ? { kind: "faults", faults } : { kind: "policy", policy }
}

/** The policy as the API shows it. `resolvePolicy` reads it back to the same policy. */
export function policyToJson(policy: Policy): PolicyJson {
  return {
    preset: policy.preset,
    timeout_ms: policy.timeoutMs,
    success: formatStatuses(policy.success),
    stop: formatStatuses(policy.stop),
    on_gone: policy.onGone,
    retry_delays_ms: policy.retryDelaysMs,
    jitter: { down: policy.jitter.down, up: policy.jitter.up, last_up: policy.jitter.lastUp },
    max_per_second: policy.maxPerSecond,
    max_concurrent: policy.maxConcurrent,
    keep_response_bytes: policy.keepResponseBytes,
    ...troubleToJson(policy),
  }
}

function jitterOf(jitter: NonNullable<PolicyInput["jitter"]>): Policy["jitter"] {
  if (typeof jitter === "number") return { down: jitter, up: jitter, lastUp: jitter }
  return { down: jitter.down, up: jitter.up, lastUp: jitter.last_up ?? jitter.up }
}

function boundFaults(policy: Policy): PolicyFault[] {
  const rate = policy.maxPerSecond
  const rateIsGood = rate === null || (rate > 0 && rate <= 100_000)
  const rateMessage = `max_per_second must be above 0 and at most 100,000, or null for no limit; it is ${rate}.`
  return [
    ...wholeNumber("/timeout_ms", policy.timeoutMs, 1_000, 120_000),
    ...wholeNumber("/max_concurrent", policy.maxConcurrent, 1, 1_000),
    ...wholeNumber("/keep_response_bytes", policy.keepResponseBytes, 0, 128 * 1024),
    ...(rateIsGood ? [] : [fault("/max_per_second", rateMessage)]),
  ]
}

function wholeNumber(pointer: string, value: number, least: number, most: number): PolicyFault[] {
  if (Number.isInteger(value) && value >= least && value <= most) return []
  const bounds = `${least.toLocaleString("en")} to ${most.toLocaleString("en")}`
  return [fault(pointer, `${pointer.slice(1)} must be a whole number from ${bounds}; it is ${value}.`)]
}

/**
 * A status may have one meaning only. Were success simply to win, a policy would hold a rule that never applies, and
 * what is accepted is never ignored.
 */
function successFaults(policy: Policy, input: PolicyInput): PolicyFault[] {
  if (policy.success.length === 0) {
    return [fault("/success", "success must name at least one status, or nothing could ever be delivered.")]
  }
  const both = overlapOf(policy.success, policy.stop)
  if (both.length > 0) {
    const message = `${formatStatuses(both)} is in both success and stop; take it out of one (stop may be "none").`
    // The field that the writer touched, since the other one may be the preset's.
    return [fault(input.stop === undefined ? "/success" : "/stop", message)]
  }
  if (policy.onGone === "disable" && includesStatus(policy.success, 410)) {
    const message = '410 is in success, so it cannot switch the integration off; set on_gone to "as_status".'
    return [fault(input.on_gone === undefined ? "/success" : "/on_gone", message)]
  }
  return []
}

function scheduleFaults(policy: Policy, longestMs: number): PolicyFault[] {
  const { retryDelaysMs, jitter } = policy
  const faults: PolicyFault[] = []
  if (retryDelaysMs.length > 50) faults.push(fault("/retry_delays_ms", "retry_delays_ms must have at most 50 delays."))
  for (const [index, delay] of retryDelaysMs.entries()) {
    if (Number.isSafeInteger(delay) && delay >= 0) continue
    const message = `A delay must be a whole number of ms, 0 or more; this one is ${delay}.`
    faults.push(fault(`/retry_delays_ms/${index}`, message))
  }
  if (Object.values(jitter).some(share => !(share >= 0 && share <= 0.5))) {
    const message = "jitter must be from 0 to 0.5: the share by which a delay may be shorter or longer."
    faults.push(fault("/jitter", message))
  }
  const longest = longestScheduleMs(policy)
  if (faults.length === 0 && longest > longestMs) {
    const lengths = `The delays come to ${formatDuration(longest)} with jitter, the payload is kept for ${formatDuration(longestMs)}`
    faults.push(fault("/retry_delays_ms", `${lengths}; no schedule may outlast it.`))
  }
  return faults
}

function fault(pointer: string, message: string): PolicyFault {
  return { pointer, message }
}
