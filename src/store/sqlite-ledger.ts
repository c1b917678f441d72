/**
 * The ledger on SQLite. Everything that asks for a commit within one turn of the event loop shares it: a commit costs
 * one fsync, whether it holds one event or three hundred.
 */
import type { DeliveryId, Ids, IntegrationId } from "../domain/id.ts"
import { DUE } from "../domain/queue.ts"
import type { Ballast } from "./ballast.ts"
import type { Commit, CommitParts } from "./commit.ts"
import { type Database, StoreUnavailable } from "./database.ts"
import {
  type Accepted,
  type Arrival,
  type Claim,
  type Claimed,
  type Emitted,
  Ledger,
  type Settled,
  type Settlement,
  type Telling,
} from "./ledger.ts"
import { type PartLimits, Parts } from "./parts.ts"
import type { Seal } from "./seal.ts"
import type { SearchIndex } from "./search.ts"
import { runNow, type SqliteDatabase } from "./sqlite.ts"
import { acceptOne } from "./sqlite-accept.ts"
import { claimDue, claimOne, lostClaims } from "./sqlite-claim.ts"
import { settleOne } from "./sqlite-settle.ts"
import { tell } from "./sqlite-tell.ts"
import { given, type Step } from "./step.ts"
import { TallySheet } from "./tallies.ts"
import type { CommitWatcher } from "./watcher.ts"

/** A commit of this engine: what its own text needs, and what the steps that both engines share need. */
export interface SqliteCommit {
  readonly db: SqliteDatabase
  readonly ids: Ids
  readonly parts: Parts
  readonly tallies: TallySheet
  readonly search: SearchIndex
  readonly seal: Seal
  readonly now: number
  readonly steps: Commit
}

/** A piece of work that waits for the next commit. */
interface Waiting {
  run(commit: SqliteCommit): void
  /** Called after the commit is on disk. */
  done(): void
  failed(error: unknown): void
}

export interface SqliteLedgerOptions {
  readonly db: SqliteDatabase
  readonly ids: Ids
  readonly search: SearchIndex
  readonly seal: Seal
  readonly now: () => number
  /** This start's fencing number. */
  readonly fence: number
  readonly partLimits: PartLimits
  /** While it is spent nothing is accepted. */
  readonly ballast?: Pick<Ballast, "isSpent"> | undefined
  readonly watcher?: CommitWatcher | undefined
}

export class SqliteLedger extends Ledger {
  readonly #db: SqliteDatabase
  readonly #ids: Ids
  readonly #parts: Parts
  readonly #search: SearchIndex
  readonly #seal: Seal
  readonly #now: () => number
  readonly #fence: number
  readonly #ballast: Pick<Ballast, "isSpent"> | undefined
  readonly #watcher: CommitWatcher | undefined
  #waiting: Waiting[] = []
  /** Whether what is removed in this commit is overwritten. */
  #isScrubbing = false
  #scheduled = false

  constructor(options: SqliteLedgerOptions) {
    super()
    this.#db = options.db
    this.#ids = options.ids
    this.#search = options.search
    this.#seal = options.seal
    this.#now = options.now
    this.#fence = options.fence
    this.#parts = new Parts(options.db, options.partLimits)
    this.#ballast = options.ballast
    this.#watcher = options.watcher
  }

  async accept(arrivals: readonly Arrival[]): Promise<readonly Accepted[]> {
    if (this.#ballast?.isSpent) throw new StoreUnavailable("full", undefined)
    return this.#inNextCommit(commit => arrivals.map(arrival => acceptOne(commit, arrival)))
  }

  claim(lane: IntegrationId, fence: number, room: number, now: number, queue = DUE): Promise<Claimed> {
    return this.#inNextCommit(commit => claimDue(commit, lane, { fence, room, now, queue }))
  }

  claimOne(delivery: DeliveryId, fence: number): Promise<Claim | null> {
    return this.#inNextCommit(commit => claimOne(commit, delivery, fence))
  }

  settle(settlements: readonly Settlement[]): Promise<readonly Settled[]> {
    return this.#inNextCommit(commit => settlements.map(settlement => settleOne(commit, settlement)))
  }

  lost(limit: number): Promise<readonly Claim[]> {
    return this.#inNextCommit(commit => lostClaims(commit, this.#fence, limit))
  }

  inNextCommit<T>(work: (commit: Commit) => Step<T>): Promise<T> {
    return this.#inNextCommit(commit => runNow(commit.db, work(commit.steps)))
  }

  transaction<T>(work: (tx: Database) => Promise<T>): Promise<T> {
    return this.#db.transaction(work)
  }

  telling(_tx: Database): Telling {
    const emitted: Emitted[] = []
    return {
      emitted,
      tell: async tidings => {
        const commit = this.#open(this.#now())
        emitted.push(...tell(commit, tidings))
        runNow(this.#db, commit.tallies.write(commit.steps))
      },
      // A part that was made in it is gone.
      rolledBack: () => {
        if (emitted.length > 0) this.#parts.forget()
      },
    }
  }

  /** How many pieces of work wait for the next commit. */
  get waiting(): number {
    return this.#waiting.length
  }

  #open(now: number): SqliteCommit {
    const [db, ids, parts, search, tallies] = [this.#db, this.#ids, this.#parts, this.#search, new TallySheet()]
    const commit: SqliteCommit = {
      ...{ db, ids, parts, search, tallies, now, seal: this.#seal },
      steps: {
        now,
        tallies,
        parts: stepsOf(parts),
        nextId: () => given(ids.next()),
        scrub: () => given(this.#scrub()),
        // The commit has the database to itself.
        lockLine: () => given(undefined),
        tell: tidings => given(tell(commit, tidings)),
      },
    }
    return commit
  }

  /** Runs a short piece of work in the next commit, together with whatever else waits for it; resolves when it is on disk. */
  #inNextCommit<T>(work: (commit: SqliteCommit) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let result: T
      this.#waiting.push({
        run: commit => {
          result = work(commit)
        },
        done: () => resolve(result),
        failed: reject,
      })
      if (!this.#scheduled) {
        this.#scheduled = true
        setImmediate(() => this.#flush())
      }
    })
  }

  #flush(): void {
    if (this.#db.busy) {
      void this.#db.idle().then(() => this.#flush())
      return
    }
    this.#scheduled = false
    const works = this.#waiting
    this.#waiting = []
    const error = this.#commit(works)
    if (error === undefined) return
    // One piece may have spoilt the commit for all: each on its own, so that only the bad one fails.
    const alone = works.length > 1 && !(error instanceof StoreUnavailable)
    for (const work of works) {
      const failure = alone ? this.#commit([work]) : error
      if (failure !== undefined) work.failed(failure)
    }
  }

  #scrub(): void {
    if (!this.#isScrubbing) this.#db.connection.exec("pragma secure_delete = on")
    this.#isScrubbing = true
    this.#search.write(this.#ids.last)
  }

  #scrubbed(): void {
    if (this.#isScrubbing) this.#db.connection.exec("pragma secure_delete = off")
    this.#isScrubbing = false
  }

  /** Runs works in one commit; gives the error that undid it, or undefined. */
  #commit(works: readonly Waiting[]): unknown {
    const startedAt = performance.now()
    try {
      this.#db.immediate(() => {
        const commit = this.#open(this.#now())
        for (const work of works) work.run(commit)
        runNow(this.#db, commit.tallies.write(commit.steps))
        if (this.#search.isDue(commit.now, this.#ids.last)) this.#search.write(this.#ids.last)
      })
    } catch (error) {
      this.#parts.forget()
      this.#search.rolledBack()
      return error
    } finally {
      this.#scrubbed()
    }
    this.#search.committed()
    this.#watcher?.committed(works.length, performance.now() - startedAt)
    for (const work of works) work.done()
    return undefined
  }
}

function stepsOf(parts: Parts): CommitParts {
  return {
    partFor: (retentionDays, now, bytes) => given(parts.partFor(retentionDays, now, bytes)),
    close: id => given(parts.close(id)),
    drop: id => given(parts.drop(id)),
  }
}
