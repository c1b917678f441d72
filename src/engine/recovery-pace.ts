/**
 * How fast recoveries go: one rate for all of them, which follows how busy the process is, and with what.
 *
 * What waits for a busy process waits by 1 / (1 - busy share). For live events to wait no more than half as long again
 * (standards.md, F-52), a recovery may take a third of the time that they leave. Where there are none, it takes most of it.
 */
import { performance } from "node:perf_hooks"

/** What the process did over some time: the share of it that was busy, and the attempts it made. */
export interface Busyness {
  readonly share: number
  readonly live: number
  readonly recovered: number
}

/** The share of the time that live events leave, with some of them about and with none. */
const SHARE_OF_REST = { beside: 1 / 3, alone: 3 / 4 }
/** A live event is taken in as well as sent. */
const WORK_OF_LIVE = 2
/** Events a second: at first, and at least, so that a recovery gets on whatever else goes on. */
const FIRST_RATE = 500
const LEAST_RATE = 50
const MOST_RATE = 20_000
/** Shorter, and it would follow every single commit. */
const MEASURE_MS = 200
/** How long ago a live event may have been for others to be expected. */
const LIVE_MS = 3_000
/** What was not used is kept for so long: a burst is what makes others wait. */
const KEPT_MS = 100

/** The rate that follows. `isUsedUp`: all of it was used, or it says nothing of what a higher one would do. */
export function nextRate(
  rate: number,
  { share, live, recovered }: Busyness,
  { hasLive, isUsedUp }: { readonly hasLive: boolean; readonly isUsedUp: boolean },
): number {
  const work = recovered + WORK_OF_LIVE * live
  const own = work === 0 ? 0 : (share * recovered) / work
  const target = (1 - (share - own)) * (hasLive ? SHARE_OF_REST.beside : SHARE_OF_REST.alone)
  const factor = Math.min(1.25, Math.max(0.5, target / Math.max(own, 0.001)))
  if (factor > 1 && !isUsedUp) return rate
  return Math.min(MOST_RATE, Math.max(LEAST_RATE, rate * factor))
}

export class RecoveryPace {
  #rate = FIRST_RATE
  #allowance = 0
  #isUsedUp = false
  #at = performance.now()
  #measuredAt = this.#at
  #measured = performance.eventLoopUtilization()
  #live = 0
  #recovered = 0
  #liveAt = Number.NEGATIVE_INFINITY

  /** Notes an attempt, of a recovered delivery or of another one. */
  attempted(isRecovered: boolean): void {
    if (isRecovered) this.#recovered++
    else {
      this.#live++
      this.#liveAt = performance.now()
    }
  }

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
    const { utilization: share } = performance.eventLoopUtilization(measured, this.#measured)
    const busyness = { share, live: this.#live, recovered: this.#recovered }
    const hasLive = now - this.#liveAt < LIVE_MS
    // After a long rest it says how things were before: the rate of then is as good as any.
    if (now - this.#measuredAt < 10 * MEASURE_MS)
      this.#rate = nextRate(this.#rate, busyness, { hasLive, isUsedUp: this.#isUsedUp })
    this.#measured = measured
    this.#measuredAt = now
    this.#live = 0
    this.#recovered = 0
    this.#isUsedUp = false
  }
}
