/**
 * Long failure: since when nothing gets through to an integration, and what follows from that by its policy. Only attempts
 * are evidence: an integration without traffic is not failing, and a stretch in which nothing was tried counts for no more
 * than the longest pause that trying makes. So neither a clock that leaps, nor a week off, makes a failure look long.
 *
 *     well ── error ──▶ failing ── error, long after ──▶ warned · retries stopped · switched off
 *      ▲                   │
 *      └───── success ─────┘   recovered, where somebody had been told
 */
import { HOUR_MS } from "./duration.ts"
import type { LongFailurePolicy } from "./policy-trouble.ts"

/** What is known of an integration to which nothing gets through; null stands for one that is well. Times in ms since 1970. */
export interface Health {
  /** The first error after the last success. */
  readonly failingSince: number
  readonly lastErrorAt: number
  /** Null where none is known. */
  readonly lastSuccessAt: number | null
  /** For how long attempts bear witness that nothing got through. Never more than the time since `failingSince`. */
  readonly failedForMs: number
  readonly errors: number
  readonly warnedAt: number | null
  readonly retriesStoppedAt: number | null
  /** An operational event has told of it, so that one has to tell of its end. */
  readonly isTold: boolean
  /** The endpoints that failed, and the revision that had them: others begin anew. */
  readonly endpoints: string
  readonly revision: number
}

/** The policy's fields that a long failure is judged by. */
export interface LongFailureRules {
  readonly longFailure: LongFailurePolicy
  readonly retryDelaysMs: readonly number[]
  readonly jitter: { readonly up: number }
}

/** An attempt that ended with an error of the endpoint. */
export interface EndpointError {
  readonly at: number
  /** The last success that is known of. */
  readonly lastSuccessAt: number | null
  readonly endpoints: string
  readonly revision: number
}

/** What follows: the owner is told, nothing is retried by itself any more, or the integration is switched off. */
export type LongFailureStep = "warn" | "stop_retries" | "disable"

/** Gaps between attempts up to this count whole: somebody who sends something every few hours has traffic. */
const WITNESSED_GAP_MS = 6 * HOUR_MS

/** Health after an error of the endpoint, and what follows from it, each step once for a failing time. */
export function afterError(
  before: Health | null,
  error: EndpointError,
  rules: LongFailureRules,
): { readonly health: Health; readonly steps: readonly LongFailureStep[] } {
  const { at, endpoints, revision } = error
  if (before === null || before.endpoints !== endpoints) return { health: beginning(error), steps: [] }
  // A clock that was put back says nothing of how long it was.
  const gapMs = Math.min(Math.max(0, at - before.lastErrorAt), longestGapMs(rules))
  const failing: Health = {
    ...before,
    failingSince: Math.min(before.failingSince, at),
    lastErrorAt: at,
    failedForMs: before.failedForMs + gapMs,
    errors: before.errors + 1,
    revision,
  }
  const isLongerThan = (ms: number | null) => ms !== null && failing.failedForMs >= ms
  const { warnAfterMs, disableAfterMs, stopRetriesAfterMs } = rules.longFailure
  if (isLongerThan(disableAfterMs)) return { health: failing, steps: ["disable"] }
  const steps: LongFailureStep[] = []
  if (failing.warnedAt === null && isLongerThan(warnAfterMs)) steps.push("warn")
  if (failing.retriesStoppedAt === null && isLongerThan(stopRetriesAfterMs)) steps.push("stop_retries")
  const health: Health = {
    ...failing,
    warnedAt: steps.includes("warn") ? at : failing.warnedAt,
    retriesStoppedAt: steps.includes("stop_retries") ? at : failing.retriesStoppedAt,
  }
  return { health, steps }
}

/** Whether nothing is retried by itself; first attempts are made all the same. A policy that no longer says so ends it. */
export function isWithoutRetries(
  { failedForMs }: Health,
  { longFailure }: Pick<LongFailureRules, "longFailure">,
): boolean {
  const { stopRetriesAfterMs } = longFailure
  return stopRetriesAfterMs !== null && failedForMs >= stopRetriesAfterMs
}

/** Whether a success now ends something that people were told of, by an event or by mail. */
export function hasBeenLong({ warnedAt, retriesStoppedAt }: Health): boolean {
  return warnedAt !== null || retriesStoppedAt !== null
}

/** The longest pause between two attempts that a policy makes by itself; what is longer was a time without any. */
function longestGapMs({ retryDelaysMs, jitter }: LongFailureRules): number {
  return Math.max(WITNESSED_GAP_MS, Math.ceil(Math.max(0, ...retryDelaysMs) * (1 + jitter.up)))
}

function beginning({ at, lastSuccessAt, endpoints, revision }: EndpointError): Health {
  return {
    failingSince: at,
    lastErrorAt: at,
    lastSuccessAt,
    failedForMs: 0,
    errors: 1,
    warnedAt: null,
    retriesStoppedAt: null,
    isTold: false,
    endpoints,
    revision,
  }
}

/** Health as a lane keeps it. */
export function healthToText(health: Health): string {
  return JSON.stringify(health)
}

/** The health that a text of before holds; null, which is well, where there is none or it cannot be read. */
export function healthOfText(text: string | null): Health | null {
  if (text === null) return null
  const kept = JSON.parse(text) as Partial<Health>
  const { failingSince, lastErrorAt, failedForMs, errors, endpoints, revision } = kept
  if (typeof failingSince !== "number" || typeof lastErrorAt !== "number" || typeof failedForMs !== "number")
    return null
  if (typeof errors !== "number" || typeof endpoints !== "string" || typeof revision !== "number") return null
  return {
    failingSince,
    lastErrorAt,
    lastSuccessAt: kept.lastSuccessAt ?? null,
    failedForMs,
    errors,
    warnedAt: kept.warnedAt ?? null,
    retriesStoppedAt: kept.retriesStoppedAt ?? null,
    isTold: kept.isTold ?? false,
    endpoints,
    revision,
  }
}
