/**
 * The database's clock, as one process sees it: the only clock by which anything is due, kept or signed where several
 * processes share a database, so that what their machines believe the time to be does not matter (F-22). It is measured
 * every now and then against the process's monotonic clock, which tells the time in between.
 */

/** What the database's clock showed in ms since 1970, between two readings of the process's own. */
export interface Reading {
  readonly sentAt: number
  readonly at: number
  readonly receivedAt: number
}

/** Readings among which the best is chosen. */
const KEPT = 8
/** How far two clocks of machines drift apart, in ms for each ms: a good reading of long ago is worth less than it was. */
const DRIFT = 1e-4
/** Readings that contradict each other by more: the database's clock was set, or it is another server by now. */
const SET_MS = 50
/** Until so far back it stands still instead of going back; farther back it goes at once. */
const STANDS_STILL_MS = 1_000

export class PostgresClock {
  readonly #monotonicNow: () => number
  #readings: readonly Reading[] = []
  /** What the database's clock is ahead of the process's own. */
  #ahead = 0
  #last = 0

  /** `monotonicNow`: a clock of the process that only ever goes forward, in ms. */
  constructor(monotonicNow: () => number) {
    this.#monotonicNow = monotonicNow
  }

  /** Reads the process's clock: what a reading begins and ends with. */
  monotonicNow(): number {
    return this.#monotonicNow()
  }

  /** Takes a reading into account. */
  read(reading: Reading): void {
    const agreeing = this.#readings.filter(
      other => Math.abs(aheadOf(other) - aheadOf(reading)) <= doubtOf(other, reading),
    )
    // The newest is right where they contradict each other.
    this.#readings = [...agreeing, reading].slice(-KEPT)
    const now = this.#monotonicNow()
    const best = this.#readings.reduce((a, b) => (errorOf(b, now) < errorOf(a, now) ? b : a))
    this.#ahead = aheadOf(best)
  }

  /** The time in whole ms since 1970. It goes back only where the database's clock was put back. */
  now(): number {
    const at = Math.floor(this.#monotonicNow() + this.#ahead)
    if (at < this.#last && at > this.#last - STANDS_STILL_MS) return this.#last
    this.#last = at
    return at
  }
}

/** As if it had been read in the middle of the way there and back. */
function aheadOf({ sentAt, at, receivedAt }: Reading): number {
  return at - (sentAt + receivedAt) / 2
}

function errorOf({ sentAt, receivedAt }: Reading, now: number): number {
  return (receivedAt - sentAt) / 2 + (now - receivedAt) * DRIFT
}

function doubtOf(a: Reading, b: Reading): number {
  return SET_MS + errorOf(a, b.receivedAt) + errorOf(b, b.receivedAt)
}
