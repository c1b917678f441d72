/**
 * Searches deliveries, newest event first. Which index gives the candidates depends on what is asked:
 *
 *   an event                     its integrations, as they stand on it
 *   a destination record         the search index, then each event's integrations
 *   a recovery                   delivery_recovered
 *   an integration               delivery_failed for `failed`, delivery_due for what waits (delivery_in_line in the line of
 *                                an ordering key), else the primary key backwards
 *   none of them                 the project's events backwards (event_by_need for `failed`), then their integrations
 */
import type { DeliveryStatus } from "../domain/delivery.ts"
import type { DeliveryId, EventId, IntegrationId, ProjectId, RecoveryId } from "../domain/id.ts"
import type { ReasonCode } from "../domain/reason.ts"
import { join, list, type Sql, sql } from "./database.ts"
import { type DeliveryRecord, type DeliveryRow, deliveryColumns, deliveryOfRow } from "./delivery-reads.ts"
import { type EventFilter, eventConditions } from "./event-filter.ts"
import { edgeOfWindow, spanOf } from "./event-search.ts"
import { isReadable } from "./kept.ts"
import type { Reader } from "./reader.ts"
import { eventIdsByRecord, type Span } from "./search-reads.ts"
import { along, inWindows, pageOf, type Step, searchedBackTo } from "./walk.ts"

/** Every member that is there has to hold. */
export interface DeliveryFilter {
  readonly integration?: IntegrationId | undefined
  /** One of these. */
  readonly integrations?: readonly IntegrationId[] | undefined
  readonly event?: EventId | undefined
  readonly status?: DeliveryStatus | undefined
  readonly reason?: ReasonCode | undefined
  readonly record?: string | undefined
  /** The recovery that made it due last. */
  readonly recovery?: RecoveryId | undefined
  /** It is delivered in the order of this key. */
  readonly orderingKey?: string | undefined
  /** Its event was received at this time or later, ms since 1970. */
  readonly from?: number | undefined
  /** Its event was received before this time. */
  readonly to?: number | undefined
  /** What else has to hold of its event. */
  readonly of?: Pick<EventFilter, "app" | "environment" | "source"> | undefined
}

export interface DeliverySearch {
  readonly project: ProjectId
  readonly filter: DeliveryFilter
  /** Only what follows after this one: where the page before ended. */
  readonly after?: DeliveryId | undefined
  readonly limit: number
  readonly now: number
  readonly budgetMs: number
}

export interface DeliveryPage {
  readonly deliveries: readonly DeliveryRecord[]
  /** `after` of the next page; null at the end. */
  readonly next: DeliveryId | null
  /** Set where the search stopped for time. */
  readonly searchedBackTo: number | null
}

/** So many waiting deliveries are sorted by event in a few ms; with more of them, walking back finds a page sooner. */
const SORTED_AT_MOST = 5_000

/** One page of the deliveries that a filter lets through. */
export async function searchDeliveries(db: Reader, search: DeliverySearch): Promise<DeliveryPage> {
  const page = await pageOf(await stepsOf(db, search), search.limit, search.budgetMs)
  const last = page.found.at(-1)?.id
  // Behind an event that is no longer asked for: every integration's id is greater than 0.
  const resumeAt = page.reached === null ? null : { event: page.reached, integration: 0 }
  return {
    deliveries: page.found,
    next: page.hasMore ? (resumeAt ?? last ?? null) : null,
    searchedBackTo: page.reached === null ? null : searchedBackTo(page.reached),
  }
}

async function stepsOf(db: Reader, search: DeliverySearch): Promise<AsyncIterable<Step<DeliveryRecord>>> {
  const { project, filter, after, now } = search
  const { integration, event, record } = filter
  // The event at which the page before ended may have more of them, so it is looked at again.
  const span = spanOf(filter.from, filter.to, after === undefined ? undefined : after.event + 1, now)
  if (event !== undefined) return ofEvents(db, search, once([event]))
  if (record !== undefined) return ofEvents(db, search, eventIdsByRecord(db, project, record, span))
  if (filter.recovery !== undefined) return alongRecovery(db, search, filter.recovery, span)
  if (integration === undefined) return acrossIntegrations(db, search, span)
  if (filter.status === "pending" || filter.status === "retrying" || filter.status === "skipped") {
    const waiting = await waitingEvents(db, integration, filter.orderingKey, span)
    if (waiting !== null) return atIntegration(db, search, integration, once(waiting))
  }
  return alongIntegration(db, search, integration, span)
}

/** Deliveries of events that are known by id. Primary keys. */
async function* ofEvents(
  db: Reader,
  search: DeliverySearch,
  events: AsyncIterable<Step<EventId>>,
): AsyncGenerator<Step<DeliveryRecord>> {
  for await (const { found, reached } of events) {
    yield { found: found.length === 0 ? [] : await selectOfEvents(db, search, sql`e.id in ${list(found)}`), reached }
  }
}

/** Walks back through the project's events. Windows are small: each event may have gone to a thousand integrations. */
function acrossIntegrations(db: Reader, search: DeliverySearch, span: Span): AsyncIterable<Step<DeliveryRecord>> {
  const { lowest } = span
  const onlyFailed = search.filter.status === "failed"
  let { before } = span
  return inWindows({ first: 100, most: 16_000 }, async rows => {
    const edge = await edgeOfWindow(db, { project: search.project, lowest, before, rows, onlyFailed })
    const found = await selectOfEvents(db, search, sql`e.id >= ${edge ?? lowest} and e.id < ${before}`, onlyFailed)
    if (edge !== null) before = edge
    return { found, reached: edge }
  })
}

/** Walks back along one integration. Index delivery_failed for `failed`, else the primary key. */
function alongIntegration(
  db: Reader,
  search: DeliverySearch,
  integration: IntegrationId,
  { lowest, before: start }: Span,
): AsyncIterable<Step<DeliveryRecord>> {
  const onlyFailed = search.filter.status === "failed"
  let before = start
  return inWindows({ first: 2_000, most: 32_000 }, async rows => {
    const [edge] = await db.query<{ event_id: number }>(sql`
      select event_id from delivery${onlyFailed ? along("delivery_failed") : sql``}
      where integration_id = ${integration} and event_id >= ${lowest} and event_id < ${before}
        ${onlyFailed ? sql`and status = 'failed'` : sql``}
      order by event_id desc limit 1 offset ${rows - 1}`)
    const within = sql`d.event_id >= ${edge?.event_id ?? lowest} and d.event_id < ${before}`
    const found = await selectAtIntegration(db, search, integration, within, onlyFailed)
    if (edge !== undefined) before = edge.event_id
    return { found, reached: edge?.event_id ?? null }
  })
}

/** Walks back along what a recovery made due. Index delivery_recovered, then the primary key of `event`. */
function alongRecovery(
  db: Reader,
  search: DeliverySearch,
  recovery: RecoveryId,
  { lowest, before: start }: Span,
): AsyncIterable<Step<DeliveryRecord>> {
  const { project, limit } = search
  let before = start
  return inWindows({ first: 2_000, most: 32_000 }, async rows => {
    const [edge] = await db.query<{ event_id: number }>(sql`
      select event_id from delivery${along("delivery_recovered")}
      where recovery_id = ${recovery} and event_id >= ${lowest} and event_id < ${before}
      order by event_id desc limit 1 offset ${rows - 1}`)
    const found = await db.query<DeliveryRow>(sql`
      select ${deliveryColumns}
      from delivery d${along("delivery_recovered")} join event e on e.project_id = d.project_id and e.id = d.event_id
      where d.recovery_id = ${recovery} and d.event_id >= ${edge?.event_id ?? lowest} and d.event_id < ${before}
        and d.project_id = ${project} and ${conditions(search)}
      order by d.event_id desc, d.integration_id desc limit ${limit + 1}`)
    if (edge !== undefined) before = edge.event_id
    return { found: found.map(deliveryOfRow), reached: edge?.event_id ?? null }
  })
}

async function* atIntegration(
  db: Reader,
  search: DeliverySearch,
  integration: IntegrationId,
  events: AsyncIterable<Step<EventId>>,
): AsyncGenerator<Step<DeliveryRecord>> {
  for await (const { found, reached } of events) {
    const which = sql`d.event_id in ${list(found)}`
    yield { found: found.length === 0 ? [] : await selectAtIntegration(db, search, integration, which), reached }
  }
}

/**
 * Events that wait at an integration, or in a line of it, newest first; null where they are too many to sort. Index
 * delivery_due, or delivery_in_line.
 */
async function waitingEvents(
  db: Reader,
  integration: IntegrationId,
  key: string | undefined,
  span: Span,
): Promise<EventId[] | null> {
  const which =
    key === undefined
      ? sql` where integration_id = ${integration} and next_at is not null`
      : sql`${along("delivery_in_line")}
        where integration_id = ${integration} and ordering_key = ${key} and in_line in (1, 2)`
  const rows = await db.query<{ event_id: number }>(
    sql`select event_id from delivery${which} limit ${SORTED_AT_MOST + 1}`,
  )
  if (rows.length > SORTED_AT_MOST) return null
  return rows
    .map(row => row.event_id)
    .filter(id => id >= span.lowest && id < span.before)
    .sort((a, b) => b - a)
}

/** In pieces, so that no statement has thousands of values. */
async function* once(ids: readonly EventId[]): AsyncGenerator<Step<EventId>> {
  for (let at = 0; at < ids.length; at += 250) {
    const found = ids.slice(at, at + 250)
    yield { found, reached: at + 250 < ids.length ? (found.at(-1) ?? null) : null }
  }
}

/** Primary key of `event`, or event_by_need; then that of `delivery`. */
function selectOfEvents(db: Reader, search: DeliverySearch, which: Sql, onlyFailed = false): Promise<DeliveryRecord[]> {
  const found = sql`
    from event e${onlyFailed ? along("event_by_need") : sql``}
      cross join json_each(e.targets) t
      join delivery d on d.integration_id = t.value and d.event_id = e.id
    where e.project_id = ${search.project} and ${which} ${onlyFailed ? sql`and e.needs_action = 1` : sql``}`
  return select(db, search, found, sql`e.id desc, d.integration_id desc`)
}

/** Primary key of `delivery`, or delivery_failed; then that of `event`. */
function selectAtIntegration(
  db: Reader,
  search: DeliverySearch,
  integration: IntegrationId,
  which: Sql,
  onlyFailed = false,
): Promise<DeliveryRecord[]> {
  const found = sql`
    from delivery d${onlyFailed ? along("delivery_failed") : sql``}
      join event e on e.project_id = d.project_id and e.id = d.event_id
    where d.integration_id = ${integration} and ${which} and d.project_id = ${search.project}`
  return select(db, search, found, sql`d.event_id desc`)
}

/** Those of what was found that the search asks for: at most one more than a page takes, so that it is known of more. */
async function select(db: Reader, search: DeliverySearch, found: Sql, order: Sql): Promise<DeliveryRecord[]> {
  const rows = await db.query<DeliveryRow>(sql`
    select ${deliveryColumns} ${found} and ${conditions(search)} order by ${order} limit ${search.limit + 1}`)
  return rows.map(deliveryOfRow)
}

function conditions({ filter, after, now }: DeliverySearch): Sql {
  const all: Sql[] = [isReadable(now)]
  if (filter.integration !== undefined) all.push(sql`d.integration_id = ${filter.integration}`)
  if (filter.integrations !== undefined) {
    all.push(filter.integrations.length === 0 ? sql`false` : sql`d.integration_id in ${list(filter.integrations)}`)
  }
  if (filter.status !== undefined) all.push(statusCondition(filter.status))
  if (filter.reason !== undefined) all.push(sql`d.reason = ${filter.reason}`)
  if (filter.recovery !== undefined) all.push(sql`d.recovery_id = ${filter.recovery}`)
  if (filter.record !== undefined) all.push(sql`d.record_id = ${filter.record}`)
  if (filter.orderingKey !== undefined) all.push(sql`d.ordering_key = ${filter.orderingKey}`)
  if (filter.from !== undefined) all.push(sql`e.received_at >= ${filter.from}`)
  if (filter.to !== undefined) all.push(sql`e.received_at < ${filter.to}`)
  if (filter.of !== undefined) all.push(eventConditions(filter.of))
  if (after !== undefined) {
    all.push(
      sql`(d.event_id < ${after.event} or (d.event_id = ${after.event} and d.integration_id < ${after.integration}))`,
    )
  }
  return join(all, " and ")
}

/** As text of ours where an index asks for exactly that text. */
function statusCondition(status: DeliveryStatus): Sql {
  return status === "failed" ? sql`d.status = 'failed'` : sql`d.status = ${status}`
}
