/**
 * Rounds over jobs that people have asked for and that the store keeps: for as long as some are open each round takes them a
 * piece further, by whichever process leads. Where none is open it waits until somebody asks for one; of what was asked for
 * at another process it finds out by itself.
 */
import { setTimeout as rest } from "node:timers/promises"
import type { Log } from "../log.ts"
import { StoreUnavailable } from "../store/database.ts"
import { leads } from "../store/leader.ts"
import type { Store } from "../store/store.ts"

export interface RoundsOptions<Job> {
  readonly store: Store
  readonly log: Log
  /** What they are over, as the log says it: "recoveries". */
  readonly what: string
  /** The jobs that are open. */
  readonly open: () => Promise<readonly Job[]>
  /** Takes them further, or hears that none is open here; gives how long to rest, in ms. */
  readonly round: (open: readonly Job[]) => Promise<number>
}

/** How soon what was asked of another process is noticed. */
const NOTICE_MS = 500
const RETRY_MS = 1_000

export class Rounds<Job> {
  readonly #options: RoundsOptions<Job>
  #isStopping = true
  #running: Promise<void> | undefined
  /** Ends the rest. */
  #wake = Promise.withResolvers<void>()

  constructor(options: RoundsOptions<Job>) {
    this.#options = options
  }

  /** Whether a round that is under way should end with its piece. */
  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Goes on with what an earlier start has left. */
  start(): void {
    this.#isStopping = false
    this.#running = this.#run()
  }

  /** Finishes the piece that is under way. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.wake()
    await this.#running
  }

  /** Something was asked for: the next round comes now. */
  wake(): void {
    this.#wake.resolve()
  }

  async #run(): Promise<void> {
    const { store, log, what, open, round } = this.#options
    while (!this.#isStopping) {
      this.#wake = Promise.withResolvers<void>()
      try {
        const jobs = (await leads(store)) ? await open() : []
        const restMs = await round(jobs)
        if (jobs.length > 0) await this.#restOrWake(restMs)
        else if (store.engine === "postgres") await this.#restOrWake(NOTICE_MS)
        // Nothing is asked for: until somebody does.
        else await this.#wake.promise
      } catch (error) {
        if (this.#isStopping) return
        if (error instanceof StoreUnavailable) log.warn({ err: error }, `${what} wait for the database`)
        else log.error({ err: error }, `${what} could not go on; trying again in a second`)
        await this.#restOrWake(RETRY_MS)
      }
    }
  }

  async #restOrWake(ms: number): Promise<void> {
    const over = new AbortController()
    await Promise.race([rest(ms, undefined, { signal: over.signal }).catch(() => undefined), this.#wake.promise])
    over.abort()
  }
}
