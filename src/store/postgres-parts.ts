/**
 * Partitions on PostgreSQL. Events, deliveries, attempts and search entries lie by the day in their ids; payloads and
 * exchanges in parts, by day and retention class: see parts.ts and migrations/postgres/003_partitions.sql.
 */

import type { CommitParts } from "./commit.ts"
import { sql } from "./database.ts"
import type { PostgresDatabase } from "./postgres.ts"
import { change, rows, type Step } from "./step.ts"

const DAY_MS = 86_400_000
/** Classes of retention: a part's id is its day times this, and the class. */
const CLASSES = 1_000

/** Days since 1970. */
export function dayOf(timeMs: number): number {
  return Math.floor(timeMs / DAY_MS)
}

export class PostgresParts implements CommitParts {
  readonly #db: PostgresDatabase
  readonly #known = new Set<number>()
  readonly #days = new Set<number>()

  constructor(db: PostgresDatabase) {
    this.#db = db
  }

  /** The part for what is stored now with this retention; it need not be there yet. */
  numberOf(retentionDays: number, now: number): number {
    return dayOf(now) * CLASSES + Math.min(retentionDays, CLASSES - 1)
  }

  /** Makes the day of `now` and the parts for these classes, where they are not known to be there. */
  async ensure(retentionDays: Iterable<number>, now: number): Promise<void> {
    const day = dayOf(now)
    if (!this.#days.has(day)) {
      await this.#db.query(sql`select make_day_1(${day})`)
      this.#days.add(day)
    }
    for (const days of retentionDays) {
      const part = this.numberOf(days, now)
      if (this.#known.has(part)) continue
      await this.#db.query(makePart(part, days, now))
      this.#known.add(part)
    }
  }

  /** After an error that may come of a partition that is not there: looks again before the next batch. */
  forget(): void {
    this.#known.clear()
    this.#days.clear()
  }

  *partFor(retentionDays: number, now: number): Step<number> {
    const part = this.numberOf(retentionDays, now)
    if (!this.#known.has(part)) yield* rows(makePart(part, retentionDays, now))
    return part
  }

  *close(id: number): Step<void> {
    yield* change(sql`update part set closed = 1 where id = ${id}`)
  }

  *drop(id: number): Step<void> {
    yield* rows(sql`select drop_part_1(${id})`)
    this.#known.delete(id)
  }
}

function makePart(part: number, retentionDays: number, now: number) {
  // Rows are put in until the day is over, so the last of them expires a retention after that.
  const expiresAt = (dayOf(now) + 1 + retentionDays) * DAY_MS
  return sql`select make_part_1(${part}, ${retentionDays}, ${now}, ${expiresAt})`
}
