/**
 * A walk back through what is kept, newest first, that always ends in time: it looks at a window of rows after the other
 * and, when its time is over, says how far back it came, so that the next page goes on from there.
 */
import { timeOfId } from "../domain/id.ts"
import { raw, type Sql } from "./database.ts"

/** What a step of a walk found. */
export interface Step<Found> {
  /** Newest first, older than all before. */
  readonly found: readonly Found[]
  /** Everything from this event id on has been looked at; null: there is nothing further back. */
  readonly reached: number | null
}

/** One page of what a walk found. */
export interface WalkPage<Found> {
  readonly found: readonly Found[]
  /** True where more may follow after the last one of this page, or after where the search stopped. */
  readonly hasMore: boolean
  /** The walk stopped for time: the event id from which on everything was looked at. */
  readonly reached: number | null
}

/** How many rows a window has at first, and at most. */
export interface WindowSizes {
  readonly first: number
  readonly most: number
}

/** A window that takes longer keeps other readers waiting. */
const WINDOW_MS = 20

/**
 * Has a table read along a partial index. Without statistics of the table SQLite takes the primary key instead and walks
 * past a million rows to find ten. PostgreSQL always has statistics and knows no such words.
 */
export function along(
  index:
    | "event_by_need"
    | "delivery_failed"
    | "delivery_in_line"
    | "delivery_blocking"
    | "delivery_recovered"
    | "delivery_recovering"
    | "attempt_succeeded"
    | "attempt_failed",
): Sql {
  return raw(` indexed by ${index}`)
}

/** Gathers a page of `limit`, or what was found when `budgetMs` was over. */
export async function pageOf<Found>(
  steps: AsyncIterable<Step<Found>>,
  limit: number,
  budgetMs: number,
): Promise<WalkPage<Found>> {
  const endsAt = performance.now() + budgetMs
  const found: Found[] = []
  for await (const step of steps) {
    found.push(...step.found)
    if (found.length > limit) return { found: found.slice(0, limit), hasMore: true, reached: null }
    if (step.reached === null) break
    if (performance.now() >= endsAt) return { found, hasMore: true, reached: step.reached }
  }
  return { found, hasMore: false, reached: null }
}

/** The time (ms since 1970) down to which a walk that reached this event id has seen everything that was received. */
export function searchedBackTo(reached: number): number {
  // An id is made at or after its event was received: what is older than this id's millisecond was received before it.
  return timeOfId(reached) + 1
}

/** Looks at windows whose size follows from how long the one before took. */
export async function* inWindows<Found>(
  sizes: WindowSizes,
  look: (rows: number) => Promise<Step<Found>>,
): AsyncGenerator<Step<Found>> {
  let rows = sizes.first
  for (;;) {
    const startedAt = performance.now()
    const step = await look(rows)
    yield step
    if (step.reached === null) return
    const tookMs = performance.now() - startedAt
    rows = Math.round(Math.min(sizes.most, Math.max(sizes.first / 4, rows * (tookMs < WINDOW_MS ? 2 : 0.5))))
  }
}
