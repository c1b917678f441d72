/**
 * The tail of what happens in a project: reads what is newly on disk once for all who follow, and hands it to them in
 * order. The feed only wakes it, since a feed may miss what was stored (an attempt whose claim was lost, another process);
 * the store is what is shown.
 *
 *   a follower behind the tail reads the store by itself, up to `at`
 *   a follower that stands exactly at `at` attaches, and is handed everything that comes after
 */
import type { ProjectId } from "../domain/id.ts"
import type { Log } from "../log.ts"
import type { Reader } from "../store/reader.ts"
import { type Place, readStream, type StreamItem, streamEnd } from "../store/stream-reads.ts"
import type { Feed } from "./feed.ts"

/** After a hint so much more is waited for: a page of many costs little more than one of few. */
const GATHER_MS = 50
/** Without a hint it looks by itself so often. */
const LOOK_MS = 500
/** Rows of each kind that are read at a time. */
const PAGE_ROWS = 500

export interface Follower {
  /** Takes all that happened after what it was handed before, complete up to the id `reached`. */
  take(items: readonly StreamItem[], reached: number): void
}

export class Tail {
  readonly #reads: Reader
  readonly #project: ProjectId
  readonly #log: Log
  readonly #followers = new Set<Follower>()
  readonly #unlisten: () => void
  #at: number
  #last: Place
  #timer: NodeJS.Timeout | undefined
  #isHinted = false
  #isReading = false
  #isStopped = false

  /** Begins at the end of what is on disk now. */
  static async open(parts: { reads: Reader; feed: Feed; project: ProjectId; log: Log }): Promise<Tail> {
    return new Tail(parts, await streamEnd(parts.reads, parts.project))
  }

  private constructor(
    { reads, feed, project, log }: { reads: Reader; feed: Feed; project: ProjectId; log: Log },
    end: Awaited<ReturnType<typeof streamEnd>>,
  ) {
    this.#reads = reads
    this.#project = project
    this.#log = log
    this.#at = end.id
    this.#last = end.last
    this.#unlisten = feed.listen(item => {
      // A skip is not among what is read.
      if (item.project === project && item.kind !== "skip") this.#hint()
    })
    this.#sleep(LOOK_MS)
  }

  /** The id up to which everything was handed out. */
  get at(): number {
    return this.#at
  }

  /** The last thing that happened, as far as it was handed out. */
  get last(): Place {
    return this.#last
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

  #hint(): void {
    if (this.#isHinted || this.#isStopped) return
    this.#isHinted = true
    if (!this.#isReading) this.#sleep(GATHER_MS)
  }

  #sleep(ms: number): void {
    clearTimeout(this.#timer)
    if (!this.#isStopped) this.#timer = setTimeout(() => void this.#look(), ms)
  }

  async #look(): Promise<void> {
    this.#isReading = true
    this.#isHinted = false
    try {
      const end = await streamEnd(this.#reads, this.#project)
      while (this.#at < end.id && !this.#isStopped) await this.#readPage(end.id)
    } catch (error) {
      if (!this.#isStopped) this.#log.warn({ err: error }, "the stream could not be read; trying again")
    } finally {
      this.#isReading = false
      this.#sleep(this.#isHinted ? GATHER_MS : LOOK_MS)
    }
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
