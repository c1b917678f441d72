/**
 * So many a second, spread evenly: a tenth of a second's worth may go at once, and what was late makes up for a tenth of a
 * second. Over a minute that keeps to the rate, however unevenly it is asked.
 */
export class Allowance {
  readonly perSecond: number
  #tokens: number
  /** Null until it is first asked. */
  #refilledAt: number | null

  /** `full`: the first may go at once. Else they build up from `now` on, as after a restart: what went before it is not known. */
  constructor(perSecond: number, full: boolean, now: number | null = null) {
    this.perSecond = perSecond
    this.#tokens = full ? Math.max(1, perSecond / 10) : 0
    this.#refilledAt = now
  }

  /** How many may go at `now`, ms since 1970. */
  roomAt(now: number): number {
    this.#refill(now)
    return Math.max(0, Math.floor(this.#tokens + ROUNDING))
  }

  take(count: number): void {
    this.#tokens -= count
  }

  giveBack(count: number): void {
    this.#tokens += count
  }

  /** When the next may go, at the earliest now. */
  opensAt(now: number): number {
    if (this.roomAt(now) >= 1) return now
    return now + Math.ceil(((1 - this.#tokens) / this.perSecond) * 1_000)
  }

  #refill(now: number): void {
    // A clock that went back refills nothing, and one that leapt ahead no more than there is room for.
    const elapsedMs = Math.max(0, now - (this.#refilledAt ?? now))
    const most = Math.max(this.#tokens, 1 + this.perSecond / 10)
    this.#tokens = Math.min(most, this.#tokens + (elapsedMs * this.perSecond) / 1_000)
    this.#refilledAt = now
  }
}

/** Sums of fractions fall short of a whole by this at most. */
const ROUNDING = 1e-9
