/**
 * How many requests a minute a credential may make: a bucket that holds a minute's worth and fills evenly, so that a burst
 * is served and the rate holds. Where several processes share a quota each of them gives out its part.
 */
import { MINUTE_MS } from "./duration.ts"

/** A bucket as it stood at a time. */
export interface Level {
  /** Requests that are left; a part of one while it fills. */
  readonly left: number
  /** Ms since 1970. */
  readonly at: number
}

/** What is left now. A clock that was set back fills nothing. */
export function levelAt(level: Level | undefined, perMinute: number, processes: number, now: number): Level {
  const share = perMinute / processes
  // Less than one would let nothing through, ever.
  const most = Math.max(1, share)
  if (level === undefined) return { left: most, at: now }
  const filled = (Math.max(0, now - level.at) * share) / MINUTE_MS
  return { left: Math.min(most, level.left + filled), at: now }
}

/** In how many whole seconds a further request is there to be had. */
export function secondsToNext({ left }: Level, perMinute: number, processes: number): number {
  const missing = Math.floor(left) + 1 - left
  return Math.max(1, Math.ceil((missing * MINUTE_MS * processes) / perMinute / 1_000))
}
