/**
 * Searches events, newest first. Where a filter names a value that an index knows, the index gives the candidates; else
 * the search walks back through the project's events by their ids, which carry their time.
 *
 *   external_id                              own_id
 *   destination_record, source_record,       the search index, newest segments first, and what it has not reached yet
 *     device_id, profile_id
 *   status = failed                          event_by_need
 *   anything else                            primary key of event, backwards
 */
import { type EventId, firstIdAt, type IntegrationId, type ProjectId } from "../domain/id.ts"
import type { ReasonCode } from "../domain/reason.ts"
import { list, type Sql, sql } from "./database.ts"
import { type EventFilter, eventConditions } from "./event-filter.ts"
import { type EventSummary, type SummaryRow, summaryColumns, summaryOfRow } from "./event-reads.ts"
import { firstTargets } from "./first-targets.ts"
import { isReadable, METADATA_MS } from "./kept.ts"
import type { Reader } from "./reader.ts"
import { withheldReason } from "./recovery-look.ts"
import { eventIdsByRecord, eventIdsByValue, type Span } from "./search-reads.ts"
import { along, inWindows, pageOf, type Step, searchedBackTo } from "./walk.ts"

export interface EventSearch {
  readonly project: ProjectId
  readonly filter: EventFilter
  /** Only events with smaller ids: where the page before ended. */
  readonly before?: EventId | undefined
  readonly limit: number
  readonly now: number
  /** The search ends soon after so much time, with what it has by then. */
  readonly budgetMs: number
}

export interface EventPage {
  readonly events: readonly EventSummary[]
  /** `before` of the next page; null at the end. */
  readonly next: EventId | null
  /** Set where the search stopped for time: everything received at this time or later was searched. */
  readonly searchedBackTo: number | null
}

/** How much later than its receipt an event's id can be made: an accept that waited for the disk, a clock set back. */
export const ID_LAG_MS = 60_000

/** The ids that a filter's times leave; what is received at a time has an id of that time or a little later. */
export function spanOf(
  from: number | undefined,
  to: number | undefined,
  before: EventId | undefined,
  now: number,
): Span {
  const latest = to === undefined ? Number.MAX_SAFE_INTEGER : firstIdAt(to + ID_LAG_MS)
  return {
    lowest: firstIdAt(Math.max(from ?? 0, now - METADATA_MS)),
    before: Math.min(before ?? Number.MAX_SAFE_INTEGER, latest),
  }
}

/** One page of the events that a filter lets through. */
export async function searchEvents(db: Reader, search: EventSearch): Promise<EventPage> {
  const { limit, budgetMs } = search
  const page = await pageOf(stepsOf(db, search), limit, budgetMs)
  const last = page.found.at(-1)
  return {
    events: page.found,
    next: page.hasMore ? nextOf(page.reached, last?.id, search.before) : null,
    searchedBackTo: page.reached === null ? null : searchedBackTo(page.reached),
  }
}

/** Where the next page begins. An index may have been looked at from above where this page began. */
function nextOf(reached: EventId | null, last: EventId | undefined, before: EventId | undefined): EventId | null {
  return reached === null ? (last ?? null) : Math.min(reached, before ?? reached)
}

function stepsOf(db: Reader, search: EventSearch): AsyncIterable<Step<EventSummary>> {
  const { filter, before, now } = search
  const span = spanOf(filter.from, filter.to, before, now)
  if (filter.externalId !== undefined) return byOwnId(db, search, span, filter.externalId)
  const ids = candidates(db, search, span)
  if (ids !== undefined) return byCandidates(db, search, ids)
  return byWalk(db, search, span)
}

/** Walks back. With `status = failed` along event_by_need, else along the primary key. */
function byWalk(db: Reader, search: EventSearch, { lowest, before: start }: Span): AsyncIterable<Step<EventSummary>> {
  const { project, filter } = search
  const onlyFailed = filter.status === "failed"
  let before = start
  return inWindows({ first: 2_000, most: 32_000 }, async rows => {
    const edge = await edgeOfWindow(db, { project, lowest, before, rows, onlyFailed })
    const found = await selectEvents(db, search, sql`e.id >= ${edge ?? lowest} and e.id < ${before}`, onlyFailed)
    if (edge !== null) before = edge
    return { found, reached: edge }
  })
}

/**
 * The id of the last event of a window of so many rows; null where no more are left than that. Primary key, or
 * event_by_need, backwards.
 */
export async function edgeOfWindow(
  db: Reader,
  window: Span & { readonly project: ProjectId; readonly rows: number; readonly onlyFailed: boolean },
): Promise<EventId | null> {
  const { project, lowest, before, rows, onlyFailed } = window
  const [edge] = await db.query<{ id: number }>(sql`
    select id from event${onlyFailed ? along("event_by_need") : sql``}
    where project_id = ${project} and id >= ${lowest} and id < ${before} ${onlyFailed ? sql`and needs_action = 1` : sql``}
    order by id desc limit 1 offset ${rows - 1}`)
  return edge?.id ?? null
}

/** Primary key of own_id: one id may be there once per source. */
async function* byOwnId(
  db: Reader,
  search: EventSearch,
  span: Span,
  externalId: string,
): AsyncGenerator<Step<EventSummary>> {
  const rows = await db.query<{ event_id: number }>(sql`
    select event_id from own_id
    where project_id = ${search.project} and external_id = ${externalId}
      and event_id >= ${span.lowest} and event_id < ${span.before}`)
  const ids = rows.map(row => row.event_id)
  yield { found: await selectCandidates(db, search, ids), reached: null }
}

/** What the search index gives for the field of the filter that mostly is the rarest; undefined where it has none. */
function candidates(
  db: Reader,
  { project, filter }: EventSearch,
  span: Span,
): AsyncIterable<Step<EventId>> | undefined {
  const { destinationRecord, sourceRecord, deviceId, profileId } = filter
  if (destinationRecord !== undefined) return eventIdsByRecord(db, project, destinationRecord, span)
  if (sourceRecord !== undefined) return eventIdsByValue(db, project, "source_record", sourceRecord, span)
  if (deviceId !== undefined) return eventIdsByValue(db, project, "device_id", deviceId, span)
  if (profileId !== undefined) return eventIdsByValue(db, project, "profile_id", profileId, span)
  return undefined
}

async function* byCandidates(
  db: Reader,
  search: EventSearch,
  steps: AsyncIterable<Step<EventId>>,
): AsyncGenerator<Step<EventSummary>> {
  for await (const { found, reached } of steps) yield { found: await selectCandidates(db, search, found), reached }
}

function selectCandidates(db: Reader, search: EventSearch, ids: readonly EventId[]): Promise<EventSummary[]> {
  return ids.length === 0 ? Promise.resolve([]) : selectEvents(db, search, sql`e.id in ${list(ids)}`)
}

/** At most one more than a page takes, so that it is known whether more follow. Primary key, or event_by_need. */
async function selectEvents(
  db: Reader,
  { project, filter, limit, now }: EventSearch,
  which: Sql,
  onlyFailed = false,
): Promise<EventSummary[]> {
  const rows = await db.query<SummaryRow>(sql`
    select ${summaryColumns} from event e${onlyFailed ? along("event_by_need") : sql``}
    where e.project_id = ${project} and ${which} and ${isReadable(now)} and ${eventConditions(filter)}
    order by e.id desc limit ${limit + 1}`)
  return rows.map(summaryOfRow)
}

/**
 * The records that destinations gave for events, by event: of the first 20 integrations that each went to; of these alone
 * where `within` names them. Primary keys.
 */
export async function destinationRecords(
  db: Reader,
  project: ProjectId,
  events: readonly EventId[],
  within?: readonly IntegrationId[],
): Promise<Map<EventId, { readonly integration: IntegrationId; readonly record: string }[]>> {
  if (events.length === 0) return new Map()
  const rows = await db.query<{ event_id: number; integration_id: number; record_id: string }>(sql`
    select d.event_id, d.integration_id, d.record_id
    from ${firstTargets({ project, events, most: 20, within })} f
      join delivery d on d.integration_id = f.integration_id and d.event_id = f.event_id
    where d.record_id is not null
    order by f.event_id, f.place`)
  const records = new Map<EventId, { integration: IntegrationId; record: string }[]>()
  for (const { event_id, integration_id, record_id } of rows) {
    const entry = { integration: integration_id, record: record_id }
    const known = records.get(event_id)
    if (known === undefined) records.set(event_id, [entry])
    else known.push(entry)
  }
  return records
}

/** Why an integration did not get some events, by event. Primary key of `event`. */
export async function withheldFrom(
  db: Reader,
  project: ProjectId,
  integration: IntegrationId,
  events: readonly EventId[],
): Promise<Map<EventId, ReasonCode>> {
  if (events.length === 0) return new Map()
  const rows = await db.query<{ id: number; withheld: string }>(sql`
    select id, withheld from event where project_id = ${project} and id in ${list(events)} and withheld <> '{}'`)
  return new Map(
    rows.flatMap(({ id, withheld }) => {
      const code = withheldReason(withheld, integration)
      return code === null ? [] : [[id, code]]
    }),
  )
}
