/** Changes of the configuration: written in the transaction that makes them, told to the feed after it. */
import type { ProjectId } from "../domain/id.ts"
import { type Actor, type Change, recordChange } from "../store/changes.ts"
import type { Database } from "../store/database.ts"
import type { Store } from "../store/store.ts"
import type { Feed } from "./feed.ts"

/** What changed, without its place in the order, which it gets when it is written. */
export interface NewChange {
  readonly project: ProjectId
  readonly kind: string
  readonly subject: string
  readonly by: Actor
  readonly facts?: Readonly<Record<string, unknown>>
}

export class Changes {
  readonly #store: Store
  readonly #feed: Feed
  #written: Change[] = []

  constructor(store: Store, feed: Feed) {
    this.#store = store
    this.#feed = feed
  }

  /** Writes a change down in an open transaction. */
  async record(tx: Database, change: NewChange): Promise<void> {
    const { ids, now } = this.#store
    const written: Change = { id: ids.next(), at: now(), facts: {}, ...change }
    await recordChange(tx, written)
    this.#written.push(written)
  }

  /** Runs work and its change in one transaction, then tells the feed. */
  async together<T>(change: NewChange, work: (tx: Database) => Promise<T>): Promise<T> {
    const result = await this.#store.db.transaction(async tx => {
      const value = await work(tx)
      await this.record(tx, change)
      return value
    })
    this.publish()
    return result
  }

  /** Tells the feed what was written, once its transaction is over. */
  publish(): void {
    const written = this.#written
    this.#written = []
    for (const change of written) this.#feed.changed(change)
  }
}
