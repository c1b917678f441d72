/**
 * The tallier tallies what was accepted, a second behind (store/arrival-tallies.ts): in short pieces, each in one commit, as
 * far as the order of ids is final. Of several processes over one database the one that leads does it; where two of them do
 * for a moment, each takes what the other has left. Nothing is written while nothing comes in.
 */
import type { EventId } from "../domain/id.ts"
import type { Log } from "../log.ts"
import { nextUntallied, tallyArrivals, untallied } from "../store/arrival-tallies.ts"
import { leads } from "../store/leader.ts"
import type { Store } from "../store/store.ts"
import { type Horizon, horizonOf } from "./horizon.ts"

const EVERY_MS = 1_000

export class Tallier {
  readonly #store: Store
  readonly #log: Log
  readonly #horizon: Horizon
  /** The last event that there was a run ago: whoever has drawn an id up to there has committed it, as a rule. */
  #before: EventId = 0
  /** The embedded engine's last id a run ago; and that at which nothing was left, twice, as a transaction may have been open. */
  #lastId = -1
  #doneAt = -1
  #isAiling = false
  #isStopping = false
  #timer: NodeJS.Timeout | undefined
  #run: Promise<void> = Promise.resolve()
  #giveUp: () => void = () => undefined

  constructor({ store, log }: { readonly store: Store; readonly log: Log }) {
    this.#store = store
    this.#log = log
    this.#horizon = horizonOf(store)
  }

  /** Tallies now, and from now on every second. */
  start(): void {
    this.#isStopping = false
    this.#run = this.#runUnasked().then(() => {
      if (!this.#isStopping) this.#timer = setTimeout(() => this.start(), EVERY_MS).unref()
    })
  }

  /** Finishes the piece that is under way. Where nobody else goes on, what is left is tallied too. */
  async stop(): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#timer)
    this.#giveUp()
    await this.#run
    if (this.#store.engine === "sqlite") await this.#tally(Number.MAX_SAFE_INTEGER).catch(() => undefined)
  }

  /** Tallies what is final of that which has come in. */
  async runOnce(): Promise<void> {
    const { engine, reads, ids } = this.#store
    const lastId = ids.last
    if (engine === "sqlite" && lastId === this.#doneAt) return
    const left = (await leads(this.#store)) ? await untallied(reads) : null
    // On the embedded engine what is committed is final, and of that it reads nothing else.
    const wanted = engine === "sqlite" ? (left?.upTo ?? 0) : this.#before
    this.#before = left?.upTo ?? 0
    if (left !== null && wanted > 0) await this.#tally(Math.min(left.upTo, await this.#final(wanted)))
    if (left === null && lastId === this.#lastId) this.#doneAt = lastId
    this.#lastId = lastId
  }

  async #runUnasked(): Promise<void> {
    // What is there to be freed comes first.
    if (this.#store.ballast.isSpent) return
    try {
      await this.runOnce()
      this.#isAiling = false
    } catch (error) {
      if (!this.#isAiling) this.#log.warn({ err: error }, "what came in could not be tallied; it is tried again")
      this.#isAiling = true
    }
  }

  async #tally(upTo: EventId): Promise<void> {
    const { engine, reads, ledger } = this.#store
    for (let some = await nextUntallied(reads, upTo); some !== null; some = await nextUntallied(reads, upTo)) {
      const now = some
      await ledger.inNextCommit(() => tallyArrivals(now))
      if (this.#isStopping && engine === "postgres") return
    }
  }

  /** How far the order of ids is final, once it is up to one; or when this ends. */
  #final(wanted: EventId): Promise<EventId> {
    const horizon = this.#horizon
    if (horizon.at >= wanted || this.#isStopping) return Promise.resolve(horizon.at)
    horizon.saw(wanted)
    return new Promise(resolve => {
      this.#giveUp = () => {
        unfollow()
        resolve(horizon.at)
      }
      const unfollow = horizon.follow(() => {
        if (horizon.at >= wanted) this.#giveUp()
      })
    })
  }
}
