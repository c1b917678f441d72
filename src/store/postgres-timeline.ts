/**
 * Which course of its history a database is on: each promotion of a standby begins another, with a greater number. A server
 * with a smaller one than this process has met before is an old primary that came back. It takes writes like any other, and
 * what is written there nobody will read.
 */
import type pg from "pg"
import { StoreUnavailable } from "./database.ts"

interface Course {
  /** The same on a primary and all its standbys. */
  readonly system: string
  /** Null on a standby, which takes no writes. */
  readonly timeline: number | null
}

export class Timeline {
  #system = ""
  #newest = 0

  /** Looks at the server of a new connection; throws StoreUnavailable where it is an old primary. Behind a pooler that is the server of this moment. */
  async check(client: Pick<pg.ClientBase, "query">): Promise<void> {
    const course = await courseOf(client)
    if (course === null || course.timeline === null) return
    const { system, timeline } = course
    if (system === this.#system && timeline < this.#newest) {
      const said = `This server is on timeline ${timeline}, while timeline ${this.#newest} has been written to.`
      throw new StoreUnavailable("old_primary", new Error(said))
    }
    this.#system = system
    this.#newest = timeline
  }
}

/** Null where the server does not say, as some that are run by others. */
async function courseOf(client: Pick<pg.ClientBase, "query">): Promise<Course | null> {
  try {
    // The number stands in front of the names of the log's files; what pg_controldata shows follows a checkpoint later.
    const { rows } = await client.query<Course>(`
      select (select system_identifier::text from pg_control_system()) as system,
        case when not pg_is_in_recovery() then
          ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::integer
        end as timeline`)
    return rows[0] ?? null
  } catch {
    return null
  }
}
