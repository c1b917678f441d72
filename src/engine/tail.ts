/**
 * The tail of what happens in a project: reads what is newly on disk once for all who follow, and hands it to them in
 * order. The feed only wakes it, since a feed may miss what was stored (an attempt whose claim was lost, another process);
 * the store is what is shown, as far as its order is final (horizon.ts).
 *
 *   a follower behind the tail reads the store by itself, up to `at`
 *   a follower that stands exactly at `at` attaches, and is handed everything that comes after
 */
import type { ProjectId } from "../domain/id.ts"
import type { Log } from "../log.ts"
import type { Reader } from "../store/reader.ts"
import { type Place, readStream, type StreamItem, streamEnd } from "../store/stream-reads.ts"
import type { Feed } from "./feed.ts"
import type { Horizon } from "./horizon.ts"

/** After a hint so much more is waited for: a page of many costs little more than one of few. */
const GATHER_MS = 50
/** Without a hint it looks by itself so often. */
const LOOK_MS = 500
/** The same where the horizon moves by itself: what is beyond it has to be seen first where clocks differ. */
const LOOK_BEYOND_MS = 200
/** Rows of each kind that are read at a time. */
const PAGE_ROWS = 500
/** What is committed and not final for so long is worth a word. */
const TOLD_AFTER_MS = 5_000

export interface TailParts {
  readonly reads: Reader
  readonly horizon: Horizon
  readonly feed: Feed
  readonly project: ProjectId
  readonly log: Log
}

export interface Follower {
  /** Takes all that happened after what it was handed before, complete up to the id `reached`. */
  take(items: readonly StreamItem[], reached: number): void
}

export class Tail {
  readonly #reads: Reader
  readonly #horizon: Horizon
  readonly #project: ProjectId
  readonly #log: Log
  readonly #followers = new Set<Follower>()
  readonly #unlisten: () => void
  /** Since when something that is committed waits to become final, ms of the process's clock; and whether that was told. */
  #waitsSince: number | undefined
  #waitedAt = 0
  #hasTold = false
  #at: number
  #last: Place
  #timer: NodeJS.Timeout | undefined
  #isHinted = false
  #isReading = false
  /** The last look found nothing beyond `at`. */
  #isAtEnd = true
  /** The store did not answer the last time, which was told. */
  #isCut = false
  #isStopped = false

  /** Begins at the end of what is on disk now. */
  static async open(parts: TailParts): Promise<Tail> {
    const { reads, horizon, project } = parts
    // Everything that was answered before is behind it.
    const end = await streamEnd(reads, project)
    return new Tail(parts, await streamEnd(reads, project, await horizon.reach(end.id)))
  }

  private constructor({ reads, horizon, feed, project, log }: TailParts, end: Awaited<ReturnType<typeof streamEnd>>) {
    this.#reads = reads
    this.#horizon = horizon
    this.#project = project
    this.#log = log
    this.#at = end.id
    this.#last = end.last
    this.#unlisten = this.#horizon.isAtOnce
      ? feed.listen(item => {
          // A skip is not among what is read.
          if (item.project === project && item.kind !== "skip") this.#hint(GATHER_MS)
        })
      : // It has gathered for a while, as it moves.
        this.#horizon.follow(() => this.#hint(0))
    this.#sleep(this.#lookMs)
  }

  /** The id up to which everything was handed out. */
  get at(): number {
    return this.#at
  }

  /** The last thing that happened, as far as it was handed out. */
  get last(): Place {
    return this.#last
  }

  /**
   * Whether all before an id was handed out: it stands before `at`, or nothing is beyond that. Ids are made before they are
   * seen here, so that one of this very moment is never covered for sure; one of a minute ago is.
   */
  covers(id: number): boolean {
    return id <= this.#at + 1 || this.#isAtEnd
  }

  /** Hands everything after `at` to a follower that has had everything up to it. */
  attach(follower: Follower): void {
    this.#followers.add(follower)
  }

  detach(follower: Follower): void {
    this.#followers.delete(follower)
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#unlisten()
    this.#followers.clear()
  }

  get #lookMs(): number {
    return this.#horizon.isAtOnce ? LOOK_MS : LOOK_BEYOND_MS
  }

  #hint(waitMs: number): void {
    if (this.#isHinted || this.#isStopped) return
    this.#isHinted = true
    if (!this.#isReading) this.#sleep(waitMs)
  }

  #sleep(ms: number): void {
    clearTimeout(this.#timer)
    if (!this.#isStopped) this.#timer = setTimeout(() => void this.#look(), ms).unref()
  }

  async #look(): Promise<void> {
    this.#isReading = true
    this.#isAtEnd = false
    this.#isHinted = false
    try {
      const end = await streamEnd(this.#reads, this.#project)
      this.#horizon.saw(end.id)
      const upTo = Math.min(end.id, this.#horizon.at)
      while (this.#at < upTo && !this.#isStopped) await this.#readPage(upTo)
      this.#isAtEnd = this.#at >= end.id
      this.#tellOfWaiting(!this.#isAtEnd)
      this.#isCut = false
    } catch (error) {
      if (!this.#isStopped && !this.#isCut) this.#log.warn({ err: error }, "the stream could not be read; trying again")
      this.#isCut = true
    } finally {
      this.#isReading = false
      this.#sleep(this.#isCut ? LOOK_MS : this.#isHinted ? GATHER_MS : this.#lookMs)
    }
  }

  /** Something keeps what is committed from becoming final: says so, once for each time. */
  #tellOfWaiting(isWaiting: boolean): void {
    if (!isWaiting || this.#at !== this.#waitedAt) {
      this.#waitsSince = isWaiting ? performance.now() : undefined
      this.#waitedAt = this.#at
      this.#hasTold = false
      return
    }
    const waitedMs = performance.now() - (this.#waitsSince ?? 0)
    if (this.#hasTold || waitedMs < TOLD_AFTER_MS) return
    this.#hasTold = true
    this.#log.warn(
      { waited_ms: Math.round(waitedMs) },
      "the stream waits: a transaction that began earlier is still open on the database server (pg_stat_activity says whose)",
    )
  }

  async #readPage(upTo: number): Promise<void> {
    const asked = { project: this.#project, after: this.#at, upTo, filter: {}, rows: PAGE_ROWS }
    const { items, reached } = await readStream(this.#reads, asked)
    // From here on without a pause: whoever compares a position with `at` sees it before or after all of this.
    this.#at = reached
    this.#last = items.at(-1) ?? this.#last
    for (const follower of [...this.#followers]) follower.take(items, reached)
  }
}
