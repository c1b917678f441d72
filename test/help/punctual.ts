/** Durations that are promised, on machines that have other work to do. */
import assert from "node:assert/strict"
import { monitorEventLoopDelay } from "node:perf_hooks"

const RESOLUTION_MS = 5
const lag = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
lag.enable()

/** What is late just now is not in what was measured so far: an answer may be read before the timers have their turn. */
let lastTickAt = performance.now()
setInterval(() => {
  lastTickAt = performance.now()
}, RESOLUTION_MS).unref()

/** How late this process has been at most, in ms: that is no fault of what it tests. */
function mostLate(): number {
  return Math.max(0, lag.max / 1e6 - 2 * RESOLUTION_MS, performance.now() - lastTickAt - 2 * RESOLUTION_MS)
}

/** Asserts that a duration is what was promised, within 50 ms and the lag of this process itself. */
export function assertAround(actualMs: number, expectedMs: number): void {
  const lagMs = mostLate()
  // A timer counts from when the turn of the loop began in which it was set: a late process sees it end early, too.
  const isAround = actualMs >= expectedMs - 5 - lagMs && actualMs <= expectedMs + 50 + lagMs
  assert.ok(isAround, `${actualMs} ms instead of ${expectedMs} ms (this process was late by ${Math.round(lagMs)} ms)`)
}

/** Asserts that something took no longer than it may, lag of this process aside. */
export function assertWithin(actualMs: number, atMostMs: number): void {
  const lagMs = mostLate()
  assert.ok(actualMs <= atMostMs + lagMs, `${actualMs} ms instead of at most ${atMostMs} ms`)
}
