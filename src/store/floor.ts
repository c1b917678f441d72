/**
 * The floor of ids, by which several processes agree on how far the order of ids is final. A commit begins by taking its
 * transaction number, then sees that its ids are above the floor (begin_1). So once the floor has been raised, and a number
 * taken after that, whoever may still commit an id up to the floor has a smaller number; when all smaller numbers are over,
 * nothing can appear up to the floor any more.
 */
import { sql } from "./database.ts"
import type { Reader } from "./reader.ts"

/** How far the floor stays behind now: commits that are under way keep their ids, as a rule. */
export const FLOOR_BEHIND_MS = 250

/** A floor that becomes final when all transactions below a number are over. */
export interface NotedFloor {
  readonly floor: number
  readonly number: number
}

export class Floor {
  readonly #db: Reader

  constructor(db: Reader) {
    this.#db = db
  }

  /** Raises it: nobody begins a commit with ids up to `to` any more. It never comes down. */
  async raise(to: number): Promise<void> {
    await this.#db.query(sql`select raise_floor_1(${to})`)
  }

  /** Where it stands, and a number that is greater than that of anybody who has begun below it. */
  async note(): Promise<NotedFloor> {
    const [row] = await this.#db.query<{ floor_id: number; noted: number }>(sql`select * from note_floor_1()`)
    if (row === undefined) throw new Error("The floor of ids gave no answer.")
    return { floor: row.floor_id, number: row.noted }
  }

  /** The number below which all transactions are over, and show what they have done to whoever reads from now on. */
  async over(): Promise<number> {
    const [row] = await this.#db.query<{ xmin: number }>(
      sql`select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin`,
    )
    return row?.xmin ?? 0
  }
}
