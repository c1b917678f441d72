/**
 * The search index: events by profile, device, source record and destination record. It follows the events at a short
 * distance and is written in sorted batches, because a random key put straight into a large index dirties a page of
 * its own in every commit (measured: 22 of 58 us an event; in batches 4). What it has not reached yet is read from
 * the events themselves, so that a search never misses one; after a crash it catches up from there.
 */
import { firstIdAt } from "../domain/id.ts"
import type { SqliteDatabase } from "./sqlite.ts"

/** The fields that can be searched by exact value, with the numbers that stand in `search_entry.field`. */
export const searchFields = { profile_id: 1, device_id: 2, source_record: 3, destination_record: 4 } as const
export type SearchField = keyof typeof searchFields

interface Entry {
  readonly project: number
  readonly field: number
  readonly value: string
  readonly event: number
}

/** A batch is written when it has so many entries or its first one is so old. */
const BATCH_ENTRIES = 4_000
const BATCH_AGE_MS = 1_000
/** A segment takes so many entries (about 1.5 MB), so that a batch meets few pages. */
const SEGMENT_ENTRIES = 50_000

export class SearchIndex {
  readonly #db: SqliteDatabase
  #entries: Entry[] = []
  #oldestAt = 0
  #segment: { id: number; entries: number } | undefined

  constructor(db: SqliteDatabase) {
    this.#db = db
  }

  /** Notes an entry; it is written with one of the next commits. */
  add(project: number, field: SearchField, value: string, event: number, now: number): void {
    if (this.#entries.length === 0) this.#oldestAt = now
    this.#entries.push({ project, field: searchFields[field], value, event })
  }

  /** Whether a batch waits that is full or old enough. */
  isDue(now: number): boolean {
    if (this.#entries.length >= BATCH_ENTRIES) return true
    // Either way: a clock that was put back must not keep a batch waiting until it shows the old time again.
    return this.#entries.length > 0 && Math.abs(now - this.#oldestAt) >= BATCH_AGE_MS
  }

  get waiting(): number {
    return this.#entries.length
  }

  /** Writes what waits, inside the transaction that is open, and says up to which event the index reaches now. */
  write(indexedUpTo: number): void {
    const entries = this.#entries
    if (entries.length === 0) return
    entries.sort(compareEntries)
    const segment = this.#openSegment()
    const insert = this.#db.statements.text("insert or ignore into search_entry values (?, ?, ?, ?, ?)")
    for (const { project, field, value, event } of entries) insert.run(segment.id, project, field, value, event)
    segment.entries += entries.length
    this.#db.statements
      .text("update search_segment set entries = ?, indexed_up_to = max(indexed_up_to, ?) where id = ?")
      .run(segment.entries, indexedUpTo, segment.id)
    this.#written = this.#written.concat(entries)
    this.#entries = []
  }

  /** After a rollback what was written is not there: it waits again. */
  rolledBack(): void {
    this.#entries = this.#written.concat(this.#entries)
    this.#written = []
    this.#segment = undefined
  }

  committed(): void {
    this.#written = []
  }

  /** After a start: notes the entries of events that were accepted after the last batch. Gives how many events. */
  catchUp(now: number): number {
    const reached = this.#db.statements.text("select max(indexed_up_to) as id from search_segment").get()
    const events = this.#db.statements.text(selectUnindexed).all(Number(reached?.id ?? 0)) as unknown as Unindexed[]
    for (const event of events) {
      if (event.profile_id !== null) this.add(event.project_id, "profile_id", event.profile_id, event.id, now)
      if (event.device_id !== null) this.add(event.project_id, "device_id", event.device_id, event.id, now)
      if (event.source_record !== null) this.add(event.project_id, "source_record", event.source_record, event.id, now)
    }
    const records = this.#db.statements.text(selectRecords).all(firstIdAt(now - 600_000)) as unknown as RecordRow[]
    for (const r of records) this.add(r.project_id, "destination_record", r.record_id, r.event_id, now)
    return events.length
  }

  #written: Entry[] = []

  #openSegment(): { id: number; entries: number } {
    if (this.#segment === undefined) {
      const row = this.#db.statements.text("select id, entries from search_segment order by id desc limit 1").get()
      if (row !== undefined) this.#segment = { id: Number(row.id), entries: Number(row.entries) }
    }
    if (this.#segment === undefined || this.#segment.entries >= SEGMENT_ENTRIES) {
      const id = (this.#segment?.id ?? 0) + 1
      this.#db.statements.text("insert into search_segment (id, entries, indexed_up_to) values (?, 0, 0)").run(id)
      this.#segment = { id, entries: 0 }
    }
    return this.#segment
  }
}

function compareEntries(a: Entry, b: Entry): number {
  if (a.project !== b.project) return a.project - b.project
  if (a.field !== b.field) return a.field - b.field
  if (a.value !== b.value) return a.value < b.value ? -1 : 1
  return a.event - b.event
}

interface Unindexed {
  readonly project_id: number
  readonly id: number
  readonly profile_id: string | null
  readonly device_id: string | null
  readonly source_record: string | null
}

interface RecordRow {
  readonly project_id: number
  readonly event_id: number
  readonly record_id: string
}

const selectUnindexed = `
  select e.project_id, e.id, e.profile_id, e.device_id, e.source_record
  from project p join event e on e.project_id = p.id
  where e.id > ?`

// Destination records come with the settlement, after their event: those of the last minutes are noted again.
const selectRecords = `
  select a.project_id, d.event_id, d.record_id
  from attempt a join delivery d on d.integration_id = a.integration_id and d.event_id = a.event_id
  where a.id > ? and d.record_id is not null`
