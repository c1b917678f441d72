/** What a diagnosis is made of, read from tallies, the last attempts and what waits: no question scans deliveries. */
import { DAY_MS, HOUR_MS } from "../domain/duration.ts"
import { type EventId, firstIdAt, type IntegrationId, type ProjectId } from "../domain/id.ts"
import { normaliseMessage } from "../domain/normalise-message.ts"
import type { AnyTried } from "../domain/own-trouble.ts"
import { type FailingRun, type Hour, RUN_COUNTED, type Tried, WAITING_COUNTED } from "../domain/picture.ts"
import { DUE } from "../domain/queue.ts"
import type { ReasonCode } from "../domain/reason.ts"
import { isUntallied, waysOf } from "./arrival-tallies.ts"
import { list, sql } from "./database.ts"
import { METADATA_MS } from "./kept.ts"
import type { Reader } from "./reader.ts"
import { hourOf } from "./tallies.ts"

/** How far back the hours go: three weeks, so that a weekday has two others to be held against. */
export const HOURS_SHOWN = 21 * 24
/** How many of the last attempts are looked at. */
const ATTEMPTS_SHOWN = 50

/** One integration of a project. */
export interface Asked {
  readonly project: ProjectId
  readonly integration: IntegrationId
  readonly now: number
}

/**
 * What was counted of an integration in each of the last hours, the oldest first, the running one last; and of what has not
 * been tallied yet, in the same moment. Primary keys.
 */
export async function hoursOf(db: Reader, { project, integration, now }: Asked): Promise<Hour[]> {
  const newest = hourOf(now)
  const oldest = newest - (HOURS_SHOWN - 1) * HOUR_MS
  const rows = await db.query<HourRow>(sql`
    select hour, outcome, reason, sum(count) as count, null as targets, null as withheld from delivery_tally
    where project_id = ${project} and integration_id = ${integration} and hour between ${oldest} and ${newest}
    group by 1, 2, 3
    union all
    select e.received_at - e.received_at % ${HOUR_MS} as hour, '', '', count(*), e.targets, e.withheld from event e
    where e.project_id = ${project} and ${isUntallied} and e.received_at between ${oldest} and ${newest + HOUR_MS - 1}
    group by 1, 5, 6`)
  const counts = rows.flatMap(({ targets, withheld, ...row }) =>
    targets === null || withheld === null
      ? [row]
      : waysOf({ targets, withheld }).flatMap(way => (way.integration === integration ? [{ ...row, ...way }] : [])),
  )
  const byHour = Map.groupBy(counts, row => row.hour)
  return Array.from({ length: HOURS_SHOWN }, (_, i) => {
    const at = oldest + i * HOUR_MS
    const counted = byHour.get(at) ?? []
    const total = (outcome: string) =>
      counted.reduce((sum, row) => (row.outcome === outcome ? sum + row.count : sum), 0)
    const byReason = (outcome: string) => {
      const sums: Partial<Record<ReasonCode, number>> = {}
      for (const row of counted.filter(one => one.outcome === outcome)) {
        const reason = row.reason as ReasonCode
        sums[reason] = (sums[reason] ?? 0) + row.count
      }
      return sums
    }
    return {
      at,
      routed: total("routed"),
      delivered: total("delivered"),
      failed: byReason("failed"),
      withheld: byReason("withheld"),
      success: total("success"),
      errors: byReason("error"),
      skipped: total("skipped"),
    }
  })
}

/** A sum of the tally; or events that have not been tallied, by where they went and did not go. */
interface HourRow {
  readonly hour: number
  readonly outcome: string
  readonly reason: string
  readonly count: number
  readonly targets: string | null
  readonly withheld: string | null
}

interface TriedRow {
  readonly id: number
  readonly event_id: number
  readonly started_at: number
  readonly outcome: string
  readonly reason: ReasonCode | null
  readonly status: number | null
  readonly message: string | null
}

/** The last attempts of an integration, tests apart, the newest first. Indexes attempt_succeeded and attempt_failed. */
export async function lastTried(db: Reader, { project, integration, now }: Asked): Promise<Tried[]> {
  const since = firstIdAt(now - METADATA_MS)
  const last = (which: ReturnType<typeof sql>) =>
    db.query<TriedRow>(sql`
      select a.id, a.event_id, a.started_at, a.outcome, a.reason, a.status, a.message
      from attempt a join event e on e.project_id = ${project} and e.id = a.event_id
      where a.integration_id = ${integration} and ${which} and a.id >= ${since} and e.test = 0
      order by a.id desc limit ${ATTEMPTS_SHOWN}`)
  const rows = [
    ...(await last(sql`a.outcome = 'success'`)),
    ...(await last(sql`a.outcome <> 'success' and a.outcome = 'error'`)),
  ]
  return rows
    .sort((a, b) => b.id - a.id)
    .slice(0, ATTEMPTS_SHOWN)
    .map(row => ({
      at: row.started_at,
      event: row.event_id,
      isSuccess: row.outcome === "success",
      reason: row.reason,
      status: row.status,
      message: normaliseMessage(row.message ?? ""),
    }))
}

/** The failures since the last success; null where the last attempt got through, or none was made. The same indexes. */
export async function failingRun(db: Reader, { project, integration, now }: Asked): Promise<FailingRun | null> {
  const oldest = firstIdAt(now - METADATA_MS)
  const [success] = await db.query<{ id: number; started_at: number }>(sql`
    select a.id, a.started_at
    from attempt a join event e on e.project_id = ${project} and e.id = a.event_id
    where a.integration_id = ${integration} and a.outcome = 'success' and a.id >= ${oldest} and e.test = 0
    order by a.id desc limit 1`)
  const after = success?.id ?? oldest
  const failures = sql`
    from attempt a join event e on e.project_id = ${project} and e.id = a.event_id
    where a.integration_id = ${integration} and a.outcome <> 'success' and a.outcome = 'error' and a.id > ${after}
      and e.test = 0`
  const [first] = await db.query<{ started_at: number }>(sql`select a.started_at ${failures} order by a.id limit 1`)
  if (first === undefined) return null
  const [row] = await db.query<{ attempts: number; events: number; last_at: number }>(sql`
    select count(*) as attempts, count(distinct event_id) as events, max(started_at) as last_at
    from (select a.event_id, a.started_at ${failures} order by a.id desc limit ${RUN_COUNTED}) f`)
  return {
    since: first.started_at,
    lastAt: row?.last_at ?? first.started_at,
    attempts: row?.attempts ?? 1,
    events: row?.events ?? 1,
    lastSuccessAt: success?.started_at ?? null,
  }
}

/** What waits for an integration, and what has been under way for long. Indexes delivery_due and delivery_sending. */
export async function waitingOf(
  db: Reader,
  integration: IntegrationId,
): Promise<{
  readonly total: number
  readonly oldestEvent: number | null
  readonly oldestDueAt: number | null
  readonly oldestSendingAt: number | null
}> {
  const [waiting] = await db.query<{ total: number; oldest: number | null; due_at: number | null }>(sql`
    select count(*) as total, min(event_id) as oldest,
      (
        select next_at from delivery
        where integration_id = ${integration} and queue = ${DUE} and next_at is not null
        order by next_at limit 1
      ) as due_at
    from (
      select event_id from delivery where integration_id = ${integration} and next_at is not null limit ${WAITING_COUNTED}
    ) w`)
  const [sending] = await db.query<{ at: number | null }>(sql`
    select min(updated_at) as at from delivery where claim is not null and integration_id = ${integration}`)
  return {
    total: waiting?.total ?? 0,
    oldestEvent: waiting?.oldest ?? null,
    oldestDueAt: waiting?.due_at ?? null,
    oldestSendingAt: sending?.at ?? null,
  }
}

/**
 * Types of events that came into a project since an hour, with their apps (0: none), those that have not been tallied yet
 * too. Primary keys.
 */
export async function typesArrived(
  db: Reader,
  project: ProjectId,
  since: number,
): Promise<{ readonly type: string; readonly app: number; readonly count: number }[]> {
  return db.query(sql`
    select type, app, sum(events) as count from (
      select type, app_id as app, events from ingest_tally
      where project_id = ${project} and hour >= ${hourOf(since)} and events > 0
      union all
      select e.type, coalesce(e.app_id, 0) as app, 1 as events from event e
      where e.project_id = ${project} and ${isUntallied} and e.received_at >= ${hourOf(since)}
    ) came
    group by 1, 2 order by count desc limit 500`)
}

/** Fields for want of which events were withheld in the last 24 hours. Index failure_group_by_last. */
export async function fieldsMissing(
  db: Reader,
  { integration, now }: Asked,
): Promise<{ readonly field: string; readonly count: number }[]> {
  const rows = await db.query<{ message: string; count: number }>(sql`
    select message, count from failure_group
    where integration_id = ${integration} and last_at > ${now - DAY_MS} and reason = 'missing_data' and message <> ''
    order by count desc limit 20`)
  return rows.map(({ message, count }) => ({ field: message, count }))
}

/** The last attempts at all integrations, of all projects, since a time, the newest first. Primary key, its end. */
export async function triedLately(db: Reader, since: number): Promise<AnyTried[]> {
  const rows = await db.query<{ integration: number; url: string; reason: ReasonCode | null }>(sql`
    select integration_id as integration, url, reason from attempt
    where id >= ${firstIdAt(since)} and started_at >= ${since} and outcome <> 'interrupted' and url is not null
    order by id desc limit ${TRIED_LATELY}`)
  // Without the port: services of one host die together.
  return rows.map(({ url, ...row }) => ({ ...row, host: (url.split("/")[0] ?? "").replace(/:\d+$/, "") }))
}

/** Enough to see whether anything is reached at all. */
const TRIED_LATELY = 500

/** When an integration got through last, and when it failed for the first time after that. Indexes of `attempt`. */
export async function lastReached(
  db: Reader,
  integration: IntegrationId,
  now: number,
): Promise<{ readonly lastSuccessAt: number | null; readonly failingSince: number }> {
  const oldest = firstIdAt(now - METADATA_MS)
  const [success] = await db.query<{ id: number; started_at: number }>(sql`
    select id, started_at from attempt
    where integration_id = ${integration} and outcome = 'success' and id >= ${oldest} order by id desc limit 1`)
  const [failure] = await db.query<{ started_at: number }>(sql`
    select started_at from attempt
    where integration_id = ${integration} and outcome <> 'success' and id > ${success?.id ?? oldest}
    order by id limit 1`)
  return { lastSuccessAt: success?.started_at ?? null, failingSince: failure?.started_at ?? now }
}

/** Names of API keys by their ids. Primary key. */
export async function keyNames(db: Reader, project: ProjectId, keys: readonly number[]): Promise<Map<number, string>> {
  if (keys.length === 0) return new Map()
  const rows = await db.query<{ id: number; name: string }>(sql`
    select id, name from api_key where id in ${list(keys)} and project_id = ${project}`)
  return new Map(rows.map(({ id, name }) => [id, name]))
}

/** Attempts that failed in a stretch of time, by what they failed with; as far as they were counted. Index attempt_failed. */
export async function errorsBetween(
  db: Reader,
  asked: Asked & { readonly from: number; readonly to: number },
): Promise<ErrorCount[]> {
  const { project, integration, from, to, now } = asked
  const rows = await db.query<{
    reason: ReasonCode
    status: number | null
    class: string | null
    code: string | null
    count: number
    first_at: number
    last_at: number
  }>(sql`
    select reason, status, class, code, count(*) as count, min(started_at) as first_at, max(started_at) as last_at
    from (
      select a.reason, a.status, a.class, a.code, a.started_at
      from attempt a join event e on e.project_id = ${project} and e.id = a.event_id
      where a.integration_id = ${integration} and a.outcome <> 'success' and a.reason is not null
        and a.id >= ${firstIdAt(Math.max(from, now - METADATA_MS))} and a.id < ${firstIdAt(to)} and e.test = 0
      order by a.id desc limit ${ERRORS_COUNTED}
    ) f
    group by 1, 2, 3, 4 order by count desc`)
  return rows.map(({ first_at, last_at, ...row }) => ({ ...row, firstAt: first_at, lastAt: last_at }))
}

/** How many failed attempts a report counts. */
export const ERRORS_COUNTED = 20_000

export interface ErrorCount {
  readonly reason: ReasonCode
  readonly status: number | null
  readonly class: string | null
  readonly code: string | null
  readonly count: number
  readonly firstAt: number
  readonly lastAt: number
}

/** Ids of the last failed attempts in a stretch of time, tests apart, with their events. Index attempt_failed. */
export async function failedBetween(
  db: Reader,
  asked: Asked & { readonly from: number; readonly to: number; readonly limit: number },
): Promise<
  { readonly attempt: number; readonly event: EventId; readonly type: string; readonly device: string | null }[]
> {
  const { project, integration, from, to, limit, now } = asked
  return db.query(sql`
    select a.id as attempt, a.event_id as event, e.type, e.device_id as device
    from attempt a join event e on e.project_id = ${project} and e.id = a.event_id
    where a.integration_id = ${integration} and a.outcome <> 'success'
      and a.id >= ${firstIdAt(Math.max(from, now - METADATA_MS))} and a.id < ${firstIdAt(to)} and e.test = 0
    order by a.id desc limit ${limit}`)
}

/** The switches of an integration since a time: on, off, paused, a new secret. Index change_by_project. */
export async function switchesSince(
  db: Reader,
  project: ProjectId,
  subject: string,
  since: number,
): Promise<{ readonly at: number; readonly kind: string; readonly by_kind: string; readonly by_id: string | null }[]> {
  return db.query(sql`
    select at, kind, by_kind, by_id from change
    where project_id = ${project} and id >= ${firstIdAt(since)} and subject = ${subject}
      and kind not in ('integration.updated', 'integration.created', 'integration.verification_asked',
        'integration.tested', 'integration.emptied', 'integration.secret_read')
    order by id desc limit 50`)
}

/** When anything got through to an integration last, tests apart; null where nothing did in 30 days. Index attempt_succeeded. */
export async function lastSuccessAt(db: Reader, { project, integration, now }: Asked): Promise<number | null> {
  const [row] = await db.query<{ started_at: number }>(sql`
    select a.started_at
    from attempt a join event e on e.project_id = ${project} and e.id = a.event_id
    where a.integration_id = ${integration} and a.outcome = 'success' and a.id >= ${firstIdAt(now - METADATA_MS)}
      and e.test = 0
    order by a.id desc limit 1`)
  return row?.started_at ?? null
}
