/**
 * Partitions on PostgreSQL. Events, deliveries, attempts and search entries lie by the day in their ids; payloads and
 * exchanges in parts, by day and retention class: see parts.ts and migrations/postgres/003_partitions.sql.
 */

import { DAY_MS } from "../domain/duration.ts"
import { type Ids, timeOfId } from "../domain/id.ts"
import type { CommitParts } from "./commit.ts"
import { type Database, sql } from "./database.ts"
import { HELD_CLASS } from "./parts.ts"
import type { PostgresDatabase } from "./postgres.ts"
import type { Reader } from "./reader.ts"
import { change, rows, type Step } from "./step.ts"

/** Partitions are made this many days before they are needed. */
export const DAYS_AHEAD = 2
/** Classes of retention: a part's id is its day times this, and the class. */
const CLASSES = 1_000

/** Days since 1970. */
export function dayOf(timeMs: number): number {
  return Math.floor(timeMs / DAY_MS)
}

/** The part of a day and retention class. */
export function partNumber(day: number, retentionDays: number): number {
  return day * CLASSES + Math.min(retentionDays, CLASSES - 1)
}

export class PostgresParts implements CommitParts {
  readonly #db: PostgresDatabase
  readonly #ids: Pick<Ids, "last">
  readonly #known = new Set<number>()
  readonly #days = new Set<number>()

  constructor(db: PostgresDatabase, ids: Pick<Ids, "last">) {
    this.#db = db
    this.#ids = ids
  }

  /** The part for what is stored now with this retention; it need not be there yet. */
  numberOf(retentionDays: number, now: number): number {
    return partNumber(dayOf(now), retentionDays)
  }

  /** Makes the day of `now` and the parts for these classes, where they are not known to be there. */
  async ensure(retentionDays: Iterable<number>, now: number): Promise<void> {
    // Ids may be ahead of the clock, and on another day: where it was turned back, or another process's is ahead.
    for (const day of new Set([dayOf(now), dayOf(Math.max(now, timeOfId(this.#ids.last)))])) {
      if (this.#days.has(day)) continue
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

/** Makes the partitions of today and the days after it, and for tomorrow the parts of all classes that are in use today. */
export async function makeAhead(db: Pick<Database, "query">, now: number): Promise<void> {
  const today = dayOf(now)
  for (let day = today; day <= today + DAYS_AHEAD; day++) await db.query(sql`select make_day_1(${day})`)
  const classes = await db.query<{ retention_days: number }>(sql`
    select retention_days from part
    where id >= ${today * CLASSES} and id < ${(today + 1) * CLASSES} and retention_days <> ${HELD_CLASS}`)
  for (const { retention_days: days } of classes) {
    await db.query(makePart((today + 1) * CLASSES + Math.min(days, CLASSES - 1), days, now + DAY_MS))
  }
}

/** How many days after that of `now` have their partitions without a gap; less than 1: tomorrow's are missing. */
export async function daysAhead(reads: Reader, now: number): Promise<number> {
  const today = dayOf(now)
  const rows = await reads.query<{ id: number }>(sql`
    select id from search_segment where id > ${today} and id <= ${today + DAYS_AHEAD} order by id`)
  return rows.filter(({ id }, i) => id === today + 1 + i).length
}

/** Makes a part where there is none. */
export function makePart(part: number, retentionDays: number, now: number) {
  // Rows are put in until the day is over, so the last of them expires a retention after that.
  const expiresAt = (dayOf(now) + 1 + retentionDays) * DAY_MS
  return sql`select make_part_1(${part}, ${retentionDays}, ${now}, ${expiresAt})`
}
