/** Requests that ingest refused, remembered in small batches: a sender that is wrong all the time costs a commit now and then. */
import type { Log } from "../log.ts"
import { insertRejections, type NewRejection } from "../store/rejections.ts"
import type { Store } from "../store/store.ts"

const FLUSH_MS = 250
/** Between two flushes no more are kept than a project's list holds. */
const MOST = 1_000

export class Rejections {
  readonly #store: Store
  readonly #log: Log
  #waiting: NewRejection[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(store: Store, log: Log) {
    this.#store = store
    this.#log = log
  }

  /** Remembers one; it can be read within a quarter of a second. */
  note(rejection: NewRejection): void {
    if (this.#waiting.length < MOST) this.#waiting.push(rejection)
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref()
  }

  /** Writes what waits. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length === 0) return
    try {
      await insertRejections(this.#store.db, this.#store.ids, waiting)
    } catch (error) {
      this.#log.warn({ err: error, count: waiting.length }, "refused requests could not be remembered")
    }
  }
}
