/**
 * Changes of the configuration, and the operational events that tell of them: written in the transaction that makes them,
 * told to the feed after it.
 */
import type { ProjectId } from "../domain/id.ts"
import { type Actor, type Change, recordChange } from "../store/changes.ts"
import type { Database } from "../store/database.ts"
import type { Emitted, Telling, Tidings } from "../store/ledger.ts"
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

/** Accepts operational events in the transaction that it was given with. */
export type Tell = (tidings: Tidings) => Promise<void>

export class Changes {
  readonly #store: Store
  readonly #feed: Feed
  readonly #setGoing: (emitted: readonly Emitted[]) => void

  /** `setGoing` has operational events delivered, once they are on the disk. */
  constructor(store: Store, feed: Feed, setGoing: (emitted: readonly Emitted[]) => void) {
    this.#store = store
    this.#feed = feed
    this.#setGoing = setGoing
  }

  /** Runs work in one transaction with the changes that it notes and what it tells, then tells the feed of them. */
  async inTransaction<T>(work: (tx: Database, note: Note, tell: Tell) => Promise<T>): Promise<T> {
    const { ids, now, ledger } = this.#store
    const written: Change[] = []
    let told: Telling | undefined
    const done = ledger.transaction(tx => {
      const telling = ledger.telling(tx)
      told = telling
      const note: Note = async change => {
        const noted: Change = { id: ids.next(), at: now(), facts: {}, ...change }
        await recordChange(tx, noted)
        written.push(noted)
      }
      return work(tx, note, tidings => telling.tell(tidings))
    })
    // Before anybody else's turn, whom its parts would mislead.
    const result = await done.catch((error: unknown) => {
      told?.rolledBack()
      throw error
    })
    for (const change of written) this.#feed.changed(change)
    this.#setGoing(told?.emitted ?? [])
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
