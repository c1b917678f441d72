/**
 * How many requests an endpoint bears at a time, learned from its answers: halved when it shows strain, one more for each
 * round of successes, up to what the policy allows (additive increase, multiplicative decrease, as TCP does it). Never
 * fewer than a tenth of what the policy allows: an endpoint that answers 503 to a third of its requests, quickly, is not
 * overrun, and would else be left with one at a time. Leaving it alone altogether is protection's part.
 */
import type { Outcome } from "./delivery.ts"
import type { ReasonCode } from "./reason.ts"

/** A limit below that of the policy; null stands for none. A fraction counts once it has grown to a whole. */
export interface Congestion {
  readonly limit: number
  /** Requests that began before say nothing new: they met the same crowd that the cut has answered. */
  readonly cutAt: number
}

const strainedStatuses: readonly number[] = [429, 502, 503, 504]
const timeouts: readonly ReasonCode[] = ["timeout_connect", "timeout_response", "timeout_body"]

/** Whether an attempt says that the endpoint has more to do than it can take (SW-24). */
export function showsStrain(outcome: Outcome): boolean {
  if (outcome.kind === "answered") return strainedStatuses.includes(outcome.status)
  return outcome.kind === "unreachable" && timeouts.includes(outcome.reason)
}

/** Of the policy's places, so many are left however often strain shows; one at the least. */
const LEAST_SHARE = 0.1

/**
 * The limit after an attempt that showed strain. `underWay`: requests at that moment, this one included; `places`: what
 * the policy allows.
 */
export function cut(
  before: Congestion | null,
  seen: { readonly startedAt: number; readonly now: number; readonly underWay: number; readonly places: number },
): Congestion {
  const { startedAt, now, underWay, places } = seen
  // A cut that lies ahead was made before the clock was put back.
  if (before !== null && before.cutAt <= now && startedAt <= before.cutAt) return before
  const borne = before === null ? underWay : Math.min(before.limit, Math.max(underWay, 1))
  return { limit: Math.max(1, places * LEAST_SHARE, borne / 2), cutAt: now }
}

/** The limit after a success; null once the policy's own is reached. */
export function grow(before: Congestion, places: number): Congestion | null {
  const limit = before.limit + 1 / before.limit
  return limit >= places ? null : { ...before, limit }
}
