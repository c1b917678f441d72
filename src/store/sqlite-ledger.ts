/**
 * The ledger on SQLite. Everything that asks for a commit within one turn of the event loop shares it: a commit costs
 * one fsync, whether it holds one event or three hundred.
 */
import type { Reason } from "../domain/delivery.ts"
import type { DeliveryId, EventId, Ids, IntegrationId, ProjectId } from "../domain/id.ts"
import { DUE } from "../domain/queue.ts"
import type { Ballast } from "./ballast.ts"
import { StoreUnavailable } from "./database.ts"
import type {
  Accepted,
  Arrival,
  Claim,
  Claimed,
  Emitted,
  KeptLane,
  LaneRecord,
  Ledger,
  Settled,
  Settlement,
  Tidings,
  WaitingPlace,
} from "./ledger.ts"
import { type PartLimits, Parts } from "./parts.ts"
import type { SearchIndex } from "./search.ts"
import type { SqliteDatabase } from "./sqlite.ts"
import { acceptOne } from "./sqlite-accept.ts"
import { claimDue, claimOne, lostClaims } from "./sqlite-claim.ts"
import { bringForward } from "./sqlite-clock.ts"
import { keepLane, keptLanes } from "./sqlite-lanes.ts"
import { endBlocks, unblock } from "./sqlite-line.ts"
import { endWaiting, retryOne } from "./sqlite-move.ts"
import { settleOne } from "./sqlite-settle.ts"
import { tell } from "./sqlite-tell.ts"
import { TallySheet } from "./tallies.ts"

/** What the steps of a commit share. */
export interface Commit {
  readonly db: SqliteDatabase
  readonly ids: Ids
  readonly parts: Parts
  readonly tallies: TallySheet
  readonly search: SearchIndex
  readonly now: number
}

/** A piece of work that waits for the next commit. */
interface Waiting {
  run(commit: Commit): void
  /** Called after the commit is on disk. */
  done(): void
  failed(error: unknown): void
}

/** What is told within a transaction. */
export interface Telling {
  readonly emitted: readonly Emitted[]
  readonly tell: (tidings: Tidings) => void
  readonly rolledBack: () => void
}

/** Told after every commit, for the metrics. */
export interface CommitWatcher {
  committed(works: number, durationMs: number): void
}

export interface SqliteLedgerOptions {
  readonly db: SqliteDatabase
  readonly ids: Ids
  readonly search: SearchIndex
  readonly now: () => number
  /** This start's fencing number. */
  readonly fence: number
  readonly partLimits: PartLimits
  /** While it is spent nothing is accepted. */
  readonly ballast?: Pick<Ballast, "isSpent"> | undefined
  readonly watcher?: CommitWatcher | undefined
}

export class SqliteLedger implements Ledger {
  readonly #db: SqliteDatabase
  readonly #ids: Ids
  readonly #parts: Parts
  readonly #search: SearchIndex
  readonly #now: () => number
  readonly #fence: number
  readonly #ballast: Pick<Ballast, "isSpent"> | undefined
  readonly #watcher: CommitWatcher | undefined
  #waiting: Waiting[] = []
  #scheduled = false

  constructor(options: SqliteLedgerOptions) {
    this.#db = options.db
    this.#ids = options.ids
    this.#search = options.search
    this.#now = options.now
    this.#fence = options.fence
    this.#parts = new Parts(options.db, options.partLimits)
    this.#ballast = options.ballast
    this.#watcher = options.watcher
  }

  async accept(arrivals: readonly Arrival[]): Promise<readonly Accepted[]> {
    if (this.#ballast?.isSpent) throw new StoreUnavailable("full", undefined)
    return this.inNextCommit(commit => arrivals.map(arrival => acceptOne(commit, arrival)))
  }

  claim(lane: IntegrationId, fence: number, room: number, now: number, queue = DUE): Promise<Claimed> {
    return this.inNextCommit(commit => claimDue(commit, lane, { fence, room, now, queue }))
  }

  claimOne(delivery: DeliveryId, fence: number): Promise<Claim | null> {
    return this.inNextCommit(commit => claimOne(commit, delivery, fence))
  }

  settle(settlements: readonly Settlement[]): Promise<readonly Settled[]> {
    return this.inNextCommit(commit => settlements.map(settlement => settleOne(commit, settlement)))
  }

  endWaiting(lane: IntegrationId, reason: Reason, limit: number): Promise<number> {
    return this.inNextCommit(commit => endWaiting(commit, lane, reason, limit))
  }

  retry(delivery: DeliveryId, project: ProjectId): Promise<"due" | "sending" | "absent" | "payload_expired"> {
    return this.inNextCommit(commit => retryOne(commit, delivery, project))
  }

  bringForward(lane: IntegrationId, from: WaitingPlace | null, limit: number): Promise<WaitingPlace | null> {
    return this.inNextCommit(commit => bringForward(commit, lane, from, limit))
  }

  keepLane(lane: IntegrationId, record: LaneRecord): Promise<void> {
    return this.inNextCommit(commit => keepLane(commit, lane, record))
  }

  lanes(): Promise<readonly KeptLane[]> {
    return this.inNextCommit(keptLanes)
  }

  unblock(delivery: DeliveryId, project: ProjectId): Promise<EventId | null | undefined> {
    return this.inNextCommit(commit => unblock(commit, delivery, project))
  }

  endBlocks(lane: IntegrationId, limit: number): Promise<number> {
    return this.inNextCommit(commit => endBlocks(commit, lane, limit))
  }

  lost(limit: number): Promise<readonly Claim[]> {
    return this.inNextCommit(commit => lostClaims(commit, this.#fence, limit))
  }

  /**
   * Tells of what somebody else's transaction does, in that transaction: call `tell` while it is open, and `rolledBack`
   * where it was undone.
   */
  telling(): Telling {
    const emitted: Emitted[] = []
    return {
      emitted,
      tell: tidings => {
        const tallies = new TallySheet()
        const [db, ids, parts, search, now] = [this.#db, this.#ids, this.#parts, this.#search, this.#now()]
        emitted.push(...tell({ db, ids, parts, tallies, search, now }, tidings))
        tallies.write(db)
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

  /** Runs a short piece of work in the next commit, together with whatever else waits for it; resolves when it is on disk. */
  inNextCommit<T>(work: (commit: Commit) => T): Promise<T> {
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

  /** Runs works in one commit; gives the error that undid it, or undefined. */
  #commit(works: readonly Waiting[]): unknown {
    const startedAt = performance.now()
    const tallies = new TallySheet()
    try {
      this.#db.immediate(() => {
        const [now, search] = [this.#now(), this.#search]
        const commit = { db: this.#db, ids: this.#ids, parts: this.#parts, tallies, search, now }
        for (const work of works) work.run(commit)
        tallies.write(this.#db)
        if (search.isDue(now)) search.write(this.#ids.last)
      })
    } catch (error) {
      this.#parts.forget()
      this.#search.rolledBack()
      return error
    }
    this.#search.committed()
    this.#watcher?.committed(works.length, performance.now() - startedAt)
    for (const work of works) work.done()
    return undefined
  }
}
