/**
 * How long what is kept can be read. Reads expire exactly, at the end of their time; the bytes go some hours later, so
 * every read holds its rows against the clock, and finds a table that was dropped already empty.
 */
import { DAY_MS } from "../domain/duration.ts"
import { type Sql, sql } from "./database.ts"

/** Events, deliveries and attempts (product.md, "What is kept, and how long"). */
export const METADATA_MS = 30 * DAY_MS
/** Requests that ingest refused. */
export const REJECTIONS_MS = 7 * DAY_MS
/** How many of them a project keeps. */
export const REJECTIONS_KEPT = 1_000
/** Requests that came to an inbox. */
export const INBOX_REQUESTS_MS = 7 * DAY_MS
/** How many of them an inbox keeps. */
export const INBOX_REQUESTS_KEPT = 1_000

/** Whether an event, from a table called `e`, can still be read; its deliveries and attempts can as long as it can. */
export function isReadable(now: number): Sql {
  return sql`e.received_at > ${now - METADATA_MS}`
}

/** Rows from a table of a part; none where retention has dropped the table, which may happen at any moment. */
export async function rowsOfPart<Row>(query: Promise<Row[]>): Promise<Row[]> {
  try {
    return await query
  } catch (error) {
    if (
      error instanceof Error &&
      /no such table: (payload|exchange)_\d+|"(payload|exchange)_\d+" does not exist/.test(error.message)
    )
      return []
    throw error
  }
}
