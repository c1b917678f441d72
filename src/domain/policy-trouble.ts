/**
 * What a policy says of an endpoint in trouble: protection, what follows from a long failure, and what becomes of a line
 * whose first has failed. The rest of a policy stands in policy.ts.
 */
import { formatDuration } from "./sentence.ts"

/** When an endpoint is left alone, and for how long. Kept by origin of the URL (scheme, host and port). */
export interface ProtectionPolicy {
  readonly enabled: boolean
  /** Attempts that ended longer ago than this are not judged by. */
  readonly windowMs: number
  /** Fewer attempts than this within the window judge nothing. */
  readonly minAttempts: number
  /** The rest before the first probe; it doubles while probes fail, up to the longest. */
  readonly restMs: number
  readonly longestRestMs: number
  /** A delivery that is held back waits until the endpoint is back, or uses up a retry of its schedule (Particle's way). */
  readonly onSkip: "wait" | "use_retry"
}

/** What follows when nothing gets through for long; null: nothing. In ms since the first failure after the last success. */
export interface LongFailurePolicy {
  /** The owner is told. */
  readonly warnAfterMs: number | null
  /** The integration is switched off. */
  readonly disableAfterMs: number | null
  /** Nothing is retried by itself until one delivery succeeds. */
  readonly stopRetriesAfterMs: number | null
}

/** What becomes of those behind a delivery of their ordering key that has failed for good. */
export type LineRule = "skip" | "stop"

export interface TroublePolicy {
  readonly protection: ProtectionPolicy
  readonly longFailure: LongFailurePolicy
  /** One after another per ordering key. */
  readonly ordered: boolean
  readonly onFailedInLine: LineRule
  /** Integrations of a project that name the same budget share the rate that the other side grants. */
  readonly budget: string | null
}

/** The same as the API takes it. */
export interface TroubleInput {
  readonly protection?: Partial<TroubleJson["protection"]>
  readonly long_failure?: Partial<TroubleJson["long_failure"]>
  readonly ordered?: boolean
  readonly ordered_on_failure?: LineRule
  readonly budget?: string | null
}

/** The same as the API shows it. */
export interface TroubleJson {
  readonly protection: {
    readonly enabled: boolean
    readonly window_ms: number
    readonly min_attempts: number
    readonly rest_ms: number
    readonly longest_rest_ms: number
    readonly on_skip: "wait" | "use_retry"
  }
  readonly long_failure: {
    readonly warn_after_ms: number | null
    readonly disable_after_ms: number | null
    readonly stop_retries_after_ms: number | null
  }
  readonly ordered: boolean
  readonly ordered_on_failure: LineRule
  readonly budget: string | null
}

/** A mistake: where (JSON pointer into the policy) and a sentence. */
export interface TroubleFault {
  readonly pointer: string
  readonly message: string
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const protection: ProtectionPolicy = {
  enabled: true,
  windowMs: MINUTE,
  minAttempts: 10,
  restMs: 5 * SECOND,
  longestRestMs: 5 * MINUTE,
  onSkip: "wait",
}
/** An endpoint that is never left alone. */
export const noProtection: ProtectionPolicy = { ...protection, enabled: false }
const nothing: LongFailurePolicy = { warnAfterMs: null, disableAfterMs: null, stopRetriesAfterMs: null }
const common = { protection, ordered: false, onFailedInLine: "skip", budget: null } as const

/** Each preset's. */
export const troublePresets = {
  standard: { ...common, longFailure: { ...nothing, warnAfterMs: 2 * DAY, disableAfterMs: 5 * DAY } },
  // Adapty: after 24 h without a success nothing is retried until one gets through.
  subscription: { ...common, longFailure: { ...nothing, stopRetriesAfterMs: DAY } },
  // RevenueCat writes at most one mail a day; its schedule is over after 2 h 35 min.
  revenuecat: {
    ...common,
    protection: noProtection,
    longFailure: { ...nothing, warnAfterMs: 3 * HOUR },
  },
  device: { ...common, protection: { ...protection, onSkip: "use_retry" }, longFailure: nothing },
} as const satisfies Readonly<Record<string, TroublePolicy>>

/** What a preset and an input come to. */
export function resolveTrouble(preset: TroublePolicy, input: TroubleInput): TroublePolicy {
  const { protection: from, longFailure: long } = preset
  const { protection: given = {}, long_failure: after = {} } = input
  return {
    protection: {
      enabled: given.enabled ?? from.enabled,
      windowMs: given.window_ms ?? from.windowMs,
      minAttempts: given.min_attempts ?? from.minAttempts,
      restMs: given.rest_ms ?? from.restMs,
      longestRestMs: given.longest_rest_ms ?? Math.max(from.longestRestMs, given.rest_ms ?? 0),
      onSkip: given.on_skip ?? from.onSkip,
    },
    longFailure: {
      warnAfterMs: after.warn_after_ms === undefined ? long.warnAfterMs : after.warn_after_ms,
      disableAfterMs: after.disable_after_ms === undefined ? long.disableAfterMs : after.disable_after_ms,
      stopRetriesAfterMs:
        after.stop_retries_after_ms === undefined ? long.stopRetriesAfterMs : after.stop_retries_after_ms,
    },
    ordered: input.ordered ?? preset.ordered,
    onFailedInLine: input.ordered_on_failure ?? preset.onFailedInLine,
    budget: input.budget === undefined ? preset.budget : input.budget,
  }
}

/** As the API shows it; `resolveTrouble` reads it back to the same. */
export function troubleToJson({ protection: p, longFailure: l, ...rest }: TroublePolicy): TroubleJson {
  return {
    protection: {
      enabled: p.enabled,
      window_ms: p.windowMs,
      min_attempts: p.minAttempts,
      rest_ms: p.restMs,
      longest_rest_ms: p.longestRestMs,
      on_skip: p.onSkip,
    },
    long_failure: {
      warn_after_ms: l.warnAfterMs,
      disable_after_ms: l.disableAfterMs,
      stop_retries_after_ms: l.stopRetriesAfterMs,
    },
    ordered: rest.ordered,
    ordered_on_failure: rest.onFailedInLine,
    budget: rest.budget,
  }
}

/** What contradicts itself. Bounds of single fields are the schema's. */
export function troubleFaults({ protection: p, longFailure: l }: TroublePolicy): TroubleFault[] {
  const faults: TroubleFault[] = []
  if (p.longestRestMs < p.restMs) {
    const lengths = `longest_rest_ms (${formatDuration(p.longestRestMs)}) is shorter than rest_ms (${formatDuration(p.restMs)})`
    faults.push({ pointer: "/protection/longest_rest_ms", message: `${lengths}; a rest only ever grows.` })
  }
  if (l.warnAfterMs !== null && l.disableAfterMs !== null && l.warnAfterMs >= l.disableAfterMs) {
    const message = `warn_after_ms (${formatDuration(l.warnAfterMs)}) must come before disable_after_ms (${formatDuration(l.disableAfterMs)}), or the warning would come too late to act on.`
    faults.push({ pointer: "/long_failure/warn_after_ms", message })
  }
  return faults
}
