/**
 * How much is done at a time, so that a piece takes about as long as it should, on fast disks and slow ones. Pieces hold
 * up everything else while they last.
 */

/** The sizes that pieces may have, and how long one should take. */
export interface PaceLimits {
  readonly first: number
  readonly most: number
  readonly pieceMs: number
}

export class Pace {
  readonly #limits: PaceLimits
  #size: number

  constructor(limits: PaceLimits) {
    this.#limits = limits
    this.#size = limits.first
  }

  /** How much the next piece takes. */
  get size(): number {
    return this.#size
  }

  /** Notes how long the last piece took: the next one is larger by a quarter at most, smaller by as much as it takes. */
  took(ms: number): void {
    const { most, pieceMs } = this.#limits
    const factor = Math.min(1.25, pieceMs / Math.max(ms, 0.01))
    this.#size = Math.max(10, Math.min(most, Math.ceil(this.#size * factor)))
  }
}
