/**
 * How fast recoveries go: as fast as leaves the process a good part of its time, so that live events find it idle. One
 * rate for all recoveries, which follows how busy the event loop was lately.
 */
import { performance } from "node:perf_hooks"

/** The share of its time that the process may be busy while a recovery runs; above that, live events begin to wait. */
const BUSY_SHARE = 0.5
/** Events a second: at first, and at least, so that a recovery gets on whatever else goes on. */
const FIRST_RATE = 500
const LEAST_RATE = 20
const MOST_RATE = 20_000
/** The busy share is measured over so long; shorter, it would follow every single commit. */
const MEASURE_MS = 100
/** What was not used is kept for so long: a burst is what makes others wait. */
const KEPT_MS = 100

/** The rate that follows: lower by as much as the process was too busy, higher where all of it was used and there is room. */
export function nextRate(rate: number, busy: number, isUsedUp: boolean): number {
  if (busy > BUSY_SHARE) return Math.max(LEAST_RATE, rate * Math.max(0.5, BUSY_SHARE / busy))
  return isUsedUp ? Math.min(MOST_RATE, rate * 1.15) : rate
}

export class RecoveryPace {
  #rate = FIRST_RATE
  #allowance = 0
  #isUsedUp = false
  #at = performance.now()
  #measuredAt = this.#at
  #measured = performance.eventLoopUtilization()

  /** How many events may be queued now. */
  get allowance(): number {
    const now = performance.now()
    this.#measure(now)
    const most = Math.max(1, (this.#rate * KEPT_MS) / 1_000)
    this.#allowance = Math.min(most, this.#allowance + (this.#rate * (now - this.#at)) / 1_000)
    this.#at = now
    return Math.floor(this.#allowance)
  }

  /** Notes that so many were queued. */
  took(events: number): void {
    this.#allowance -= events
    if (this.#allowance < 1) this.#isUsedUp = true
  }

  #measure(now: number): void {
    if (now - this.#measuredAt < MEASURE_MS) return
    const measured = performance.eventLoopUtilization()
    const busy = performance.eventLoopUtilization(measured, this.#measured).utilization
    // After a long rest it says how things were before: the rate of then is as good as any.
    if (now - this.#measuredAt < 10 * MEASURE_MS) this.#rate = nextRate(this.#rate, busy, this.#isUsedUp)
    this.#measured = measured
    this.#measuredAt = now
    this.#isUsedUp = false
  }
}
