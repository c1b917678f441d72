/** The requests that may be under way at a time in all, and the lanes that are due and wait for one of these places. */
import type { Lane } from "./lane.ts"

export class Places {
  readonly #most: number
  readonly #wake: (lane: Lane) => void
  readonly #starved = new Set<Lane>()
  #taken = 0

  /** `wake` looks after a lane once more when a place is free. */
  constructor(most: number, wake: (lane: Lane) => void) {
    this.#most = most
    this.#wake = wake
  }

  /** How many more requests may begin. */
  get free(): number {
    return this.#most - this.#taken
  }

  get taken(): number {
    return this.#taken
  }

  take(places: number): void {
    this.#taken += places
  }

  giveBack(places: number): void {
    this.#taken -= places
    if (this.#starved.size === 0 || this.free < 1) return
    for (const lane of this.#starved) this.#wake(lane)
    this.#starved.clear()
  }

  /** A lane is due and has found no place: no time brings it one, only an ending of another's. */
  waitFor(lane: Lane): void {
    this.#starved.add(lane)
  }
}
