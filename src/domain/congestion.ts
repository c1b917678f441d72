/**
 * How many requests an endpoint bears at a time, learned from its answers: halved when it shows strain, one more for each
 * round of successes, up to what the policy allows (additive increase, multiplicative decrease, as TCP does it).
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

/** The limit after an attempt that showed strain. `underWay`: requests at that moment, this one included. */
export function cut(
  before: Congestion | null,
  seen: { readonly startedAt: number; readonly now: number; readonly underWay: number },
): Congestion {
  const { startedAt, now, underWay } = seen
  // A cut that lies ahead was made before the clock was put back.
  if (before !== null && before.cutAt <= now && startedAt <= before.cutAt) return before
  const borne = before === null ? underWay : Math.min(before.limit, Math.max(underWay, 1))
  return { limit: Math.max(1, borne / 2), cutAt: now }
}

/** The limit after a success; null once the policy's own is reached. */
export function grow(before: Congestion, places: number): Congestion | null {
  const limit = before.limit + 1 / before.limit
  return limit >= places ? null : { ...before, limit }
}
