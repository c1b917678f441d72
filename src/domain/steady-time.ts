/**
 * The time by which things are let go. What has gone cannot be had back, so a clock that leaps ahead is not believed at
 * once: this time runs no faster than the monotonic clock until the leap has shown that it lasts (F-21). A machine that
 * was off, or asleep, looks just the same; there it only means that what became due meanwhile goes a little later.
 */
import { HOUR_MS } from "./duration.ts"

/** The steady time at one moment, and what it takes to work out the next. */
export interface SteadyTime {
  /** Ms since 1970; never ahead of the clock, nor of the clock as it ran before. */
  readonly at: number
  /** The monotonic clock at that moment, in ms. */
  readonly monotonicMs: number
  /** How far the clock is ahead, and since when (monotonic); null where it is in line. */
  readonly leap: { readonly byMs: number; readonly sinceMs: number } | null
}

/** What the two clocks say at a moment. */
export interface ClockReading {
  readonly wallMs: number
  readonly monotonicMs: number
}

/** After this long a leap of any size is believed. */
export const LONGEST_DOUBT_MS = 6 * HOUR_MS

/** A leap is the same as before while it differs by no more than this: clocks drift, and are slewed by NTP. */
const SAME_LEAP_MS = 60_000

/** The steady time now. A leap ahead is believed once it has lasted as long as it is wide, or six hours; a step back at once. */
export function steadyTime(before: SteadyTime, { wallMs, monotonicMs }: ClockReading): SteadyTime {
  const expected = before.at + Math.max(0, monotonicMs - before.monotonicMs)
  if (wallMs <= expected) return { at: wallMs, monotonicMs, leap: null }
  const byMs = wallMs - expected
  const isSame = before.leap !== null && Math.abs(byMs - before.leap.byMs) <= SAME_LEAP_MS
  const leap = isSame && before.leap !== null ? before.leap : { byMs, sinceMs: monotonicMs }
  const lastedMs = monotonicMs - leap.sinceMs
  if (lastedMs >= Math.min(byMs, LONGEST_DOUBT_MS)) return { at: wallMs, monotonicMs, leap: null }
  return { at: expected, monotonicMs, leap }
}
