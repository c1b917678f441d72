/** Reads the search index: the ids of events by an exact value, newest first, with what the index has not reached yet. */
import type { EventId, ProjectId } from "../domain/id.ts"
import { list, raw, sql } from "./database.ts"
import type { Reader } from "./reader.ts"
import { type SearchField, searchFields } from "./search.ts"
import type { Step } from "./walk.ts"

/** Ids from `lowest` up to but without `before`. */
export interface Span {
  readonly lowest: EventId
  readonly before: EventId
}

/** How many ids a step gives. */
const BATCH = 250
/** Segments that are looked at together: few at first, since the newest events are mostly what is asked for. */
const FIRST_SEGMENTS = 8
const MOST_SEGMENTS = 256

interface Segment {
  readonly id: number
  readonly indexed_up_to: number
}

/** Events by a value that they came with. */
export async function* eventIdsByValue(
  db: Reader,
  project: ProjectId,
  field: Exclude<SearchField, "destination_record">,
  value: string,
  span: Span,
): AsyncGenerator<Step<EventId>> {
  const segments = await segmentsDown(db)
  const indexedUpTo = segments[0]?.indexed_up_to ?? 0
  const unindexed = { lowest: Math.max(span.lowest, indexedUpTo + 1), before: span.before }
  yield* inBatches(unindexed, indexedUpTo + 1, within => unindexedIds(db, { project, field, value, span: within }))
  const rest = { lowest: span.lowest, before: Math.min(span.before, indexedUpTo + 1) }
  let size = FIRST_SEGMENTS
  for (let at = 0; at < segments.length; at += size, size = Math.min(size * 2, MOST_SEGMENTS)) {
    const group = segments.slice(at, at + size)
    // Segments follow one another as the events do, so that the next older one holds none of what comes after it.
    const older = segments[at + size]
    const isLast = older === undefined || older.indexed_up_to < span.lowest
    yield* inBatches(rest, isLast ? null : older.indexed_up_to + 1, within =>
      entryIds(db, { project, field, value, span: within, segments: group }),
    )
    if (isLast) return
  }
  if (segments.length === 0) yield { found: [], reached: null }
}

/**
 * Events by the record that a destination gave for one of them. Records come with an attempt, so that those of old events
 * stand in new segments too: all segments are looked at for each step.
 */
export async function* eventIdsByRecord(
  db: Reader,
  project: ProjectId,
  record: string,
  span: Span,
): AsyncGenerator<Step<EventId>> {
  const segments = await segmentsDown(db)
  const recent = await recentRecordIds(db, project, record, segments[0]?.indexed_up_to ?? 0)
  yield* inBatches(span, null, async within => {
    const ids = new Set(recent.filter(id => id >= within.lowest && id < within.before))
    for (let at = 0; at < segments.length; at += MOST_SEGMENTS) {
      const group = segments.slice(at, at + MOST_SEGMENTS)
      const field = "destination_record"
      const found = await entryIds(db, { project, field, value: record, span: within, segments: group })
      for (const id of found) ids.add(id)
    }
    return [...ids].sort((a, b) => b - a).slice(0, BATCH)
  })
}

/** Asks for batches of ids until one is not full; `reached` stands for the end of the span in the last step. */
async function* inBatches(
  span: Span,
  reached: EventId | null,
  ask: (within: Span) => Promise<readonly EventId[]>,
): AsyncGenerator<Step<EventId>> {
  let { before } = span
  for (;;) {
    const found = before > span.lowest ? await ask({ lowest: span.lowest, before }) : []
    const last = found.at(-1)
    if (last === undefined || found.length < BATCH) {
      yield { found, reached }
      return
    }
    yield { found, reached: last }
    before = last
  }
}

/** All segments, the newest first: one for each 50,000 entries. */
function segmentsDown(db: Reader): Promise<Segment[]> {
  return db.query<Segment>(sql`select id, indexed_up_to from search_segment order by id desc`)
}

interface Asked {
  readonly project: ProjectId
  readonly field: SearchField
  readonly value: string
  readonly span: Span
}

/** Primary key of search_entry, once for each segment. An event may stand in two of them after a restart. */
async function entryIds(
  db: Reader,
  { project, field, value, span, segments }: Asked & { readonly segments: readonly Segment[] },
): Promise<readonly EventId[]> {
  const rows = await db.query<{ event_id: number }>(sql`
    select distinct event_id from search_entry
    where segment in ${list(segments.map(segment => segment.id))} and project_id = ${project}
      and field = ${searchFields[field]} and value = ${value}
      and event_id >= ${span.lowest} and event_id < ${span.before}
    order by event_id desc limit ${BATCH}`)
  return rows.map(row => row.event_id)
}

/** Events above the last one that is indexed: those of about a second. Primary key of `event`. */
async function unindexedIds(db: Reader, { project, field, value, span }: Asked): Promise<readonly EventId[]> {
  const rows = await db.query<{ id: number }>(sql`
    select id from event
    where project_id = ${project} and id >= ${span.lowest} and id < ${span.before} and ${raw(field)} = ${value}
    order by id desc limit ${BATCH}`)
  return rows.map(row => row.id)
}

/** Records of the attempts that the index has not reached: those of about a second. Primary keys. */
async function recentRecordIds(
  db: Reader,
  project: ProjectId,
  record: string,
  indexedUpTo: number,
): Promise<readonly EventId[]> {
  const rows = await db.query<{ event_id: number }>(sql`
    select d.event_id
    from attempt a join delivery d on d.integration_id = a.integration_id and d.event_id = a.event_id
    where a.id > ${indexedUpTo} and a.project_id = ${project} and d.record_id = ${record}`)
  return rows.map(row => row.event_id)
}
