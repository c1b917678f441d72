/**
 * Parts: the tables that hold payloads and exchanges, one pair for each stretch of a day and retention class. They lie
 * apart from what is searched and updated, and what expires together goes together. A part is closed when it has had its
 * share, so that looking through one is never long.
 */
import { DAY_MS } from "../domain/duration.ts"
import type { SqliteDatabase } from "./sqlite.ts"

/**
 * The retention class of payloads that have outlived their own because a delivery still needs them: these parts are
 * looked through at the end of each day, so that a payload goes within a day of when it is last needed.
 */
export const HELD_CLASS = 0

/** Bounds of a part. */
export interface PartLimits {
  readonly rows: number
  readonly bytes: number
}

interface OpenPart {
  readonly id: number
  readonly day: number
  rows: number
  bytes: number
}

/** Finds the part that takes a row now, and makes a new one when the day is over or the part is full. */
export class Parts {
  readonly #db: SqliteDatabase
  readonly #limits: PartLimits
  readonly #open = new Map<number, OpenPart>()
  /** Undefined where it has to be read again. */
  #known: Set<number> | undefined

  constructor(db: SqliteDatabase, limits: PartLimits) {
    this.#db = db
    this.#limits = limits
    // A part that was open when the process ended is not written to again: its counts are not known.
    db.connection.exec("update part set closed = 1 where closed = 0")
  }

  /** The part for a row of so many bytes with this retention, inside the transaction that is open. */
  partFor(retentionDays: number, now: number, bytes: number): number {
    const day = Math.floor(now / DAY_MS)
    let part = this.#open.get(retentionDays)
    if (part === undefined || part.day !== day || part.rows >= this.#limits.rows || part.bytes >= this.#limits.bytes) {
      part = this.#make(retentionDays, day, now)
    }
    part.rows++
    part.bytes += bytes
    return part.id
  }

  /** Whether a part is still there: events go on naming theirs when it has been dropped. */
  has(id: number): boolean {
    this.#known ??= this.#readKnown()
    return this.#known.has(id)
  }

  /** Sees to it that nothing more is put into a part, also when the clock goes back to its day. */
  close(id: number): void {
    for (const [retentionDays, part] of this.#open) if (part.id === id) this.#open.delete(retentionDays)
    this.#db.statements.text("update part set closed = 1 where id = ?").run(id)
  }

  /** Drops a part that was closed, with all that is still in it. */
  drop(id: number): void {
    this.#db.connection.exec(`drop table payload_${id}; drop table exchange_${id}`)
    this.#db.statements.text("delete from part where id = ?").run(id)
    this.#known?.delete(id)
  }

  /** After a rollback the parts made in that transaction are gone, and those dropped are back: look again. */
  forget(): void {
    this.#open.clear()
    this.#known = undefined
  }

  #make(retentionDays: number, day: number, now: number): OpenPart {
    const { connection, statements } = this.#db
    statements.text("update part set closed = 1 where closed = 0 and retention_days = ?").run(retentionDays)
    // Rows are put in until the day is over, so the last of them expires a retention after that.
    const expiresAt = (day + 1 + retentionDays) * DAY_MS
    const { id } = statements
      .text("insert into part (retention_days, opened_at, expires_at) values (?, ?, ?) returning id")
      .get(retentionDays, now, expiresAt) as { id: number }
    // The project finds the event of a payload when its part is due to go.
    connection.exec(`
      create table payload_${id} (
        event_id integer not null primary key, project_id integer not null, kind text not null, data any, media_type text
      ) strict;
      create table exchange_${id} (
        attempt_id integer not null primary key,
        request_headers text not null, request_body any, response_headers text, response_body blob
      ) strict`)
    const part = { id, day, rows: 0, bytes: 0 }
    this.#open.set(retentionDays, part)
    this.#known?.add(id)
    return part
  }

  #readKnown(): Set<number> {
    return new Set(
      this.#db.statements
        .text("select id from part")
        .all()
        .map(row => Number(row.id)),
    )
  }
}
