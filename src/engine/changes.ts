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

/** Writes a change down in the transaction that it was given with. */
export type Note = (change: NewChange) => Promise<void>

export class Changes {
  readonly #store: Store
  readonly #feed: Feed

  constructor(store: Store, feed: Feed) {
    this.#store = store
    this.#feed = feed
  }

  /** Runs work in one transaction with the changes that it notes, then tells the feed of them. */
  async inTransaction<T>(work: (tx: Database, note: Note) => Promise<T>): Promise<T> {
    const { db, ids, now } = this.#store
    const written: Change[] = []
    const result = await db.transaction(tx =>
      work(tx, async change => {
        const noted: Change = { id: ids.next(), at: now(), facts: {}, ...change }
        await recordChange(tx, noted)
        written.push(noted)
      }),
    )
    for (const change of written) this.#feed.changed(change)
    return result
  }

  /** Runs work and its one change in one transaction, then tells the feed. */
  together<T>(change: NewChange, work: (tx: Database) => Promise<T>): Promise<T> {
    return this.inTransaction(async (tx, note) => {
      const result = await work(tx)
      await note(change)
      return result
    })
  }
}
