/**
 * The search index: events by profile, device, source record and destination record. It follows the events at a short
 * distance and is written in sorted batches, because a random key put straight into a large index dirties a page of
 * its own in every commit (measured: 22 of 58 us an event; in batches 4). What it has not reached yet is read from
 * the events themselves, so that a search never misses one; after a start it catches up from there.
 *
 * How far it reaches also moves where nothing has a value to index: else every search and every start would read all
 * that ever came (measured with 200,000 events without one: a start read for 0.3 s and held 83 MB, a search by
 * destination record took 90 ms).
 */
import { firstIdAt, timeOfId } from "../domain/id.ts"
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

/** A batch is written when it has so many entries or the index has been behind for so long. */
const BATCH_ENTRIES = 4_000
const BATCH_AGE_MS = 1_000
/** After a start so many rows are read at a time: those of a millisecond, 4,096 at most, are fewer. */
const PAGE = 10_000
/** The first stretch of time that is read then; what comes after it is longer or shorter, as its rows are many. */
const FIRST_STRETCH_MS = 60_000
/** A segment takes so many entries (about 1.5 MB), so that a batch meets few pages. */
const SEGMENT_ENTRIES = 50_000

export class SearchIndex {
  readonly #db: SqliteDatabase
  #entries: Entry[] = []
  /** What the commit that is open has written. */
  #written: Entry[] = []
  #writtenUpTo: number | undefined
  /** The entries of all events and attempts up to this id are on disk. */
  #reached = 0
  /** Since when there has been something beyond. */
  #behindSince: number | undefined
  #segment: { id: number; entries: number } | undefined

  constructor(db: SqliteDatabase) {
    this.#db = db
  }

  /** Notes an entry; it is written with one of the next commits. */
  add(project: number, field: SearchField, value: string, event: number): void {
    this.#entries.push({ project, field: searchFields[field], value, event })
  }

  /**
   * Whether a batch waits that is full, or the index has not reached the last id for long enough. Asked at the end of
   * each commit, so that what has nothing to index costs a comparison.
   */
  isDue(now: number, lastId: number): boolean {
    if (this.#entries.length >= BATCH_ENTRIES) return true
    if (!this.#isBehind(lastId)) return false
    this.#behindSince ??= now
    // Either way: a clock that was put back must not keep a batch waiting until it shows the old time again.
    return Math.abs(now - this.#behindSince) >= BATCH_AGE_MS
  }

  /**
   * Writes what waits, inside the transaction that is open, and says up to which id the index reaches now. Ids of events
   * and attempts are made in their own commit, and commits follow one another: up to there nothing can come any more.
   */
  write(indexedUpTo: number): void {
    if (!this.#isBehind(indexedUpTo)) return
    const entries = this.#entries
    entries.sort(compareEntries)
    const segment = this.#openSegment()
    const insert = this.#db.statements.text("insert or ignore into search_entry values (?, ?, ?, ?, ?)")
    for (const { project, field, value, event } of entries) insert.run(segment.id, project, field, value, event)
    segment.entries += entries.length
    this.#db.statements
      .text("update search_segment set entries = ?, indexed_up_to = max(indexed_up_to, ?) where id = ?")
      .run(segment.entries, indexedUpTo, segment.id)
    this.#written = this.#written.concat(entries)
    this.#writtenUpTo = indexedUpTo
    this.#entries = []
  }

  /** After a rollback what was written is not there: it waits again. */
  rolledBack(): void {
    this.#entries = this.#written.concat(this.#entries)
    this.#written = []
    this.#writtenUpTo = undefined
    this.#segment = undefined
  }

  committed(): void {
    if (this.#writtenUpTo === undefined) return
    this.#reached = this.#writtenUpTo
    this.#behindSince = undefined
    this.#written = []
    this.#writtenUpTo = undefined
  }

  /**
   * After a start: writes the entries of what was committed after the last batch, up to the last id. Stretch by stretch,
   * each a commit, so that it holds few of them however far behind a folder is; one of an earlier version may be by all of
   * its events, since the index moved only with an entry then (200,000 without one: 0.15 s, once).
   */
  catchUp(lastId: number): void {
    const segment = this.#db.statements.text("select max(indexed_up_to) as id from search_segment").get()
    this.#reached = Number(segment?.id ?? 0)
    let after = this.#reached
    let stretchMs = FIRST_STRETCH_MS
    while (after < lastId) {
      const upTo = Math.min(firstIdAt(timeOfId(after) + stretchMs), lastId)
      if (!this.#addStretch(after, upTo)) {
        stretchMs = Math.ceil(stretchMs / 2)
        continue
      }
      if (this.#entries.length > 0 || upTo === lastId) this.#db.immediate(() => this.write(upTo))
      this.committed()
      after = upTo
      stretchMs *= 2
    }
  }

  /** Notes the entries of what was committed between two ids; false where that is more than a page. */
  #addStretch(after: number, upTo: number): boolean {
    const { statements } = this.#db
    const events = statements.text(selectUnindexed).all(after, upTo, PAGE + 1) as unknown as Unindexed[]
    if (events.length > PAGE) return false
    const records = statements.text(selectRecords).all(after, upTo, PAGE + 1) as unknown as RecordRow[]
    if (records.length > PAGE) return false
    for (const event of events) {
      if (event.profile_id !== null) this.add(event.project_id, "profile_id", event.profile_id, event.id)
      if (event.device_id !== null) this.add(event.project_id, "device_id", event.device_id, event.id)
      if (event.source_record !== null) this.add(event.project_id, "source_record", event.source_record, event.id)
    }
    for (const r of records) this.add(r.project_id, "destination_record", r.record_id, r.event_id)
    return true
  }

  #isBehind(lastId: number): boolean {
    return this.#entries.length > 0 || lastId > (this.#writtenUpTo ?? this.#reached)
  }

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

/** Primary key of `event`, for each project. */
const selectUnindexed = `
  select e.project_id, e.id, e.profile_id, e.device_id, e.source_record
  from project p cross join event e on e.project_id = p.id
  where e.id > ? and e.id <= ? and (e.profile_id is not null or e.device_id is not null or e.source_record is not null)
  limit ?`

/** Destination records come with an attempt, in its commit. Primary keys. */
const selectRecords = `
  select a.project_id, d.event_id, d.record_id
  from attempt a cross join delivery d on d.integration_id = a.integration_id and d.event_id = a.event_id
  where a.id > ? and a.id <= ? and d.record_id is not null
  limit ?`
