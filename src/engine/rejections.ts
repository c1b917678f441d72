/** Requests that ingest refused, remembered in small batches: a sender that is wrong all the time costs a commit now and then. */
import type { Log } from "../log.ts"
import { insertRejections, type NewRejection, REJECTED_BODY_BYTES } from "../store/rejections.ts"
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
  note(rejection: Omit<NewRejection, "bodyBytes">): void {
    if (this.#waiting.length < MOST) {
      const { body } = rejection
      // A copy of what is kept: the bodies themselves, a thousand of them, would not be bounded by anything.
      const start = Uint8Array.from(body.subarray(0, REJECTED_BODY_BYTES))
      this.#waiting.push({ ...rejection, body: start, bodyBytes: body.length })
    }
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
