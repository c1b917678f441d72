/**
 * Whether PostgreSQL can be written, its disk among it. On a full disk one row may still find a place on a page that is
 * there, when events do not: once the disk was full it counts as full until many rows, on pages of their own, were written.
 */
import { type Database, StoreUnavailable, sql } from "./database.ts"
import type { PostgresDatabase } from "./postgres.ts"
import { writeProbe } from "./probe.ts"

/** With their index they take some 2 MiB: what comes in next does not fill the disk again at once. */
const MANY_ROWS = 30_000

export class PostgresRoom {
  #wasFull = false

  /** Hears of what failed. */
  met({ reason }: StoreUnavailable): void {
    if (reason === "full") this.#wasFull = true
  }

  /** Writes; rejects with what keeps events from being stored. */
  async probe(db: PostgresDatabase, at: number): Promise<void> {
    try {
      if (!this.#wasFull) return await writeProbe(db, at)
      await db.transaction(tx => writeMany(tx, at))
      this.#wasFull = false
    } catch (error) {
      throw (await isOfStandby(db, error)) ? new StoreUnavailable("standby", error) : error
    }
  }
}

/** The table begins anew, on pages that have to be found for it before the old ones are let go. */
async function writeMany(tx: Database, at: number): Promise<void> {
  await tx.query(sql`truncate probe`)
  await tx.query(sql`insert into probe (id, at) select n, ${at} from generate_series(1, ${MANY_ROWS}) n`)
}

/** A standby says no more than that it is read-only. */
async function isOfStandby(db: PostgresDatabase, error: unknown): Promise<boolean> {
  if (!(error instanceof StoreUnavailable) || error.reason !== "read_only") return false
  try {
    const [row] = await db.query<{ is_standby: number }>(sql`select pg_is_in_recovery() as is_standby`)
    return row?.is_standby === 1
  } catch {
    return false
  }
}
