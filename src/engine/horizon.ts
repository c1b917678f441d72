/**
 * The horizon: how far the order of ids is final. Nothing with an id up to there can appear any more, so that whoever reads
 * on in the order of ids may go as far and leaves nothing out.
 *
 * With one process everything is final as soon as it is committed, since it makes its ids in the order of its commits. With
 * several (store/floor.ts):
 *
 *     raise the floor → note it, and a number → all smaller numbers are over → the horizon stands at the floor
 *
 * No clock is trusted: one that is ahead raises the floor early, and the others go on with greater ids; one that is behind
 * raises it late, and `saw` helps. A process that is stopped, or a long transaction anywhere on the server, keeps the horizon
 * where it is: the stream waits, and says nothing wrong.
 */
import { firstIdAt } from "../domain/id.ts"
import { StoreUnavailable } from "../store/database.ts"
import { FLOOR_BEHIND_MS, type Floor, type NotedFloor } from "../store/floor.ts"
import type { Store } from "../store/store.ts"

const SAMPLE_MS = 200
/** While older transactions are under way, it is asked again after so long. */
const ASK_AGAIN_MS = 20
/** Floors that wait for older transactions to end: more would say nothing new. */
const MOST_NOTED = 50
/** Whoever wants to begin at the horizon waits no longer for it to move. */
const MOVE_MS = 10_000

export interface Horizon {
  /** Whether everything that is committed is final. */
  readonly isAtOnce: boolean
  /** The greatest id that is final, as far as it is known; it moves only while somebody follows. */
  readonly at: number
  /** Has it move from now on, until the function that it gives is called. `moved` hears each time that it has. */
  follow(moved: () => void): () => void
  /** Notes an id that is committed, so that it becomes final however far its maker's clock is ahead of this process's. */
  saw(id: number): void
  /**
   * Has it move to an id at least, and gives where it stands then, as found out after this call. Commits that are just under
   * way with smaller ids are repeated for it. Throws StoreUnavailable where it takes too long.
   */
  reach(id: number): Promise<number>
}

/** The horizon of a store. */
export function horizonOf({ floor, now }: Pick<Store, "floor" | "now">): Horizon {
  return floor === null ? atOnce : new SampledHorizon(floor, now)
}

const atOnce: Horizon = {
  isAtOnce: true,
  at: Number.MAX_SAFE_INTEGER,
  follow: () => () => undefined,
  saw: () => undefined,
  reach: () => Promise.resolve(Number.MAX_SAFE_INTEGER),
}

type Noted = NotedFloor & {
  /** How many were noted before it. */
  readonly place: number
}

/** Somebody who waits for a floor to become final that is noted after so many, and is an id at least. */
interface Waiting {
  readonly place: number
  readonly id: number
  resolve(at: number): void
}

class SampledHorizon implements Horizon {
  readonly isAtOnce = false
  readonly #floor: Floor
  readonly #now: () => number
  readonly #followers = new Set<() => void>()
  readonly #waiting = new Set<Waiting>()
  #at = 0
  #standsAt = 0
  #noted: Noted[] = []
  #places = 0
  /** The greatest id that was seen; and that of the last sample, which is no commit's that is just under way. */
  #seen = 0
  #seenBefore = 0
  #timer: NodeJS.Timeout | undefined
  #isSampling = false

  constructor(floor: Floor, now: () => number) {
    this.#floor = floor
    this.#now = now
  }

  get at(): number {
    return this.#at
  }

  follow(moved: () => void): () => void {
    // A function of its own for each: the same may follow twice.
    const follower = () => moved()
    this.#followers.add(follower)
    if (!this.#isSampling && this.#timer === undefined) void this.#sample()
    return () => this.#followers.delete(follower)
  }

  saw(id: number): void {
    this.#seen = Math.max(this.#seen, id)
  }

  reach(id: number): Promise<number> {
    const unfollow = this.follow(() => undefined)
    return new Promise<number>((resolve, reject) => {
      const waiting: Waiting = {
        // What is being noted just now may have been read before this.
        place: this.#places + 1,
        id,
        resolve: at => {
          clearTimeout(limit)
          this.#waiting.delete(waiting)
          resolve(at)
        },
      }
      const limit = setTimeout(() => {
        this.#waiting.delete(waiting)
        reject(new StoreUnavailable("unavailable", new Error("A long transaction keeps the stream from going on.")))
      }, MOVE_MS)
      this.#waiting.add(waiting)
    }).finally(unfollow)
  }

  /** Notes a floor, and sees whether it is final, until it is or the next has to be noted; again while somebody follows. */
  async #sample(): Promise<void> {
    this.#isSampling = true
    this.#timer = undefined
    const startedAt = performance.now()
    const passedMs = () => performance.now() - startedAt
    try {
      await this.#note()
      await this.#ask()
      while (this.#noted.length > 0 && passedMs() < SAMPLE_MS && this.#followers.size > 0) {
        await new Promise(resolve => setTimeout(resolve, ASK_AGAIN_MS))
        await this.#ask()
      }
    } catch {
      // The database is not there: whoever reads from it says so.
    }
    this.#isSampling = false
    if (this.#followers.size === 0) return
    const waitMs = this.#waiting.size > 0 ? 0 : SAMPLE_MS - passedMs()
    this.#timer = setTimeout(() => void this.#sample(), Math.max(ASK_AGAIN_MS, waitMs)).unref()
  }

  /** Raises the floor, and notes where it stands. */
  async #note(): Promise<void> {
    if (this.#noted.length >= MOST_NOTED) return
    const asked = [...this.#waiting].map(({ id }) => id)
    const to = Math.max(firstIdAt(this.#now() - FLOOR_BEHIND_MS), this.#seenBefore, ...asked)
    this.#seenBefore = this.#seen
    if (to > this.#standsAt) await this.#floor.raise(to)
    const noted = await this.#floor.note()
    this.#standsAt = noted.floor
    this.#noted.push({ ...noted, place: this.#places++ })
  }

  /** Sees which of the floors that were noted are final by now. */
  async #ask(): Promise<void> {
    const over = await this.#floor.over()
    const final = this.#noted.findLast(({ number }) => number <= over)
    if (final === undefined) return
    this.#noted = this.#noted.filter(({ place }) => place > final.place)
    const hasMoved = final.floor > this.#at
    this.#at = Math.max(this.#at, final.floor)
    if (hasMoved) for (const moved of [...this.#followers]) moved()
    for (const one of [...this.#waiting]) {
      if (final.place >= one.place && this.#at >= one.id) one.resolve(this.#at)
    }
  }
}
