/** Durations that are promised, on machines that have other work to do. */
import assert from "node:assert/strict"
import { monitorEventLoopDelay } from "node:perf_hooks"

/** How late this process has been at most: that is no fault of what it tests. */
const lag = monitorEventLoopDelay({ resolution: 5 })
lag.enable()

/** Asserts that a duration is what was promised, within 50 ms and the lag of this process itself. */
export function assertAround(actualMs: number, expectedMs: number): void {
  const lagMs = Math.max(0, lag.max / 1e6 - 10)
  // A timer counts from when the turn of the loop began in which it was set: a late process sees it end early, too.
  const isAround = actualMs >= expectedMs - 5 - lagMs && actualMs <= expectedMs + 50 + lagMs
  assert.ok(isAround, `${actualMs} ms instead of ${expectedMs} ms (this process was late by ${Math.round(lagMs)} ms)`)
}

/** Asserts that something took no longer than it may, lag of this process aside. */
export function assertWithin(actualMs: number, atMostMs: number): void {
  const lagMs = Math.max(0, lag.max / 1e6 - 10)
  assert.ok(actualMs <= atMostMs + lagMs, `${actualMs} ms instead of at most ${atMostMs} ms`)
}
