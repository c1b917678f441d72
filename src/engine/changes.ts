/**
 * Changes of the configuration, and the operational events that tell of them: written in the transaction that makes them,
 * told to the feed after it.
 */
import type { ProjectId } from "../domain/id.ts"
import { type Actor, type Change, noteChange, recordChange } from "../store/changes.ts"
import type { Commit } from "../store/commit.ts"
import type { Database } from "../store/database.ts"
import type { Emitted, Telling, Tidings } from "../store/ledger.ts"
import { assertOpen, stillOpen } from "../store/projects.ts"
import type { Step } from "../store/step.ts"
import type { Store } from "../store/store.ts"
import type { Feed } from "./feed.ts"

/** What changed, without its place in the order, which it gets when it is written. */
export interface NewChange {
  readonly project: ProjectId
  readonly kind: string
  readonly subject: string
  readonly by: Actor
  readonly facts?: Readonly<Record<string, unknown>>
  /** How the subject stood before and after, as JSON text without any secret; left out where there is no such thing. */
  readonly before?: string
  readonly after?: string
}

/** Writes a change down in the transaction that it was given with; throws ProjectRemoved where its project is going. */
export type Note = (change: NewChange) => Promise<void>

/** Says what is known of a change only while it is made. */
export type Say = (more: Pick<NewChange, "before" | "after" | "facts">) => void

/** The same as a step, in the commit that it was given with. */
export type NoteStep = (change: NewChange) => Step<void>

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
        await assertOpen(tx, change.project)
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

  /**
   * Runs work and its one change in one transaction, then tells the feed. What the change was before and after, the work
   * says where only it knows.
   */
  together<T>(change: NewChange, work: (tx: Database, say: Say) => Promise<T>): Promise<T> {
    return this.inTransaction(async (tx, note) => {
      let more: Partial<NewChange> = {}
      const result = await work(tx, said => {
        more = said
      })
      await note({ ...change, ...more })
      return result
    })
  }

  /** Runs a step with the changes that it notes in the next commit of the ledger, then tells the feed of them. */
  async inCommit<T>(work: (commit: Commit, note: NoteStep) => Step<T>): Promise<T> {
    const { now, ledger } = this.#store
    let written: Change[] = []
    const result = await ledger.inNextCommit(commit => {
      // A commit that another one has crossed is made once more.
      written = []
      return work(commit, function* (change) {
        yield* stillOpen(change.project)
        const noted: Change = { id: yield* commit.nextId(), at: now(), facts: {}, ...change }
        yield* noteChange(noted)
        written.push(noted)
      })
    })
    for (const change of written) this.#feed.changed(change)
    return result
  }
}
