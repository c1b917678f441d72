/**
 * What happened in a project, in the one order of ids: accepted events, attempts and changes. The stream reads everything
 * from here, so that it shows what is on disk and nothing else, and can go on after any position.
 *
 * With one process, ids are made in the commit that stores what they name, so that whoever sees one of them committed sees
 * all before it. With several, that holds up to the horizon (engine/horizon.ts).
 */
import type { DeliveryStatus, Facts, Reason } from "../domain/delivery.ts"
import type { Environment, Withheld } from "../domain/event.ts"
import { type AppId, firstIdAt, formatId, type IntegrationId, type ProjectId, parseId } from "../domain/id.ts"
import type { ReasonCode } from "../domain/reason.ts"
import { type AttemptRow, type AttemptSummary, attemptColumns, attemptOfRow } from "./attempt-reads.ts"
import { type Change, changesAfter } from "./changes.ts"
import { list, raw, sql } from "./database.ts"
import { type EventFilter, eventConditions, matchesType } from "./event-filter.ts"
import { type EventSummary, type SummaryRow, summaryColumns, summaryOfRow } from "./event-reads.ts"
import { METADATA_MS } from "./kept.ts"
import type { Reader } from "./reader.ts"

/** One thing that happened. `id` is its place in the one order of all of them. */
export type StreamItem = EventItem | AttemptItem | ChangeItem

export interface EventItem {
  readonly kind: "event"
  readonly id: number
  readonly event: EventSummary
  readonly targets: readonly IntegrationId[]
  readonly withheld: Withheld
}

export interface AttemptItem {
  readonly kind: "attempt"
  readonly id: number
  readonly attempt: AttemptSummary
  readonly event: {
    readonly type: string
    readonly environment: Environment
    readonly app: AppId | null
    readonly source: string
    readonly profileId: string | null
    readonly deviceId: string | null
    readonly test: boolean
  }
  /** As it stands when it is read, which may be later than right after this attempt. */
  readonly delivery: {
    readonly status: DeliveryStatus
    readonly reason: Reason | null
    readonly nextAt: number | null
    readonly isLast: boolean
  }
}

export interface ChangeItem {
  readonly kind: "change"
  readonly id: number
  readonly change: Change
}

/** What a listener asks for; every member that is there has to hold. */
export type StreamFilter = Pick<
  EventFilter,
  "type" | "app" | "environment" | "source" | "profileId" | "deviceId" | "integration"
> & {
  /** Which changes: all; those of integrations, event types, apps and recoveries; none. All where it is left out. */
  readonly changes?: "all" | "configuration" | "none"
}

/** A stretch of the order: its items, and the id up to which they are complete. */
export interface StreamPage {
  readonly items: readonly StreamItem[]
  readonly reached: number
}

/** A position in the order: the thing that stands there; the project itself where nothing has happened in it yet. */
export interface Place {
  readonly kind: StreamItem["kind"] | "project"
  readonly id: number
}

const prefixes = { event: "evt", attempt: "att", change: "chg", project: "prj" } as const

/** A position as text: the id of the thing that stands there. */
export function formatPosition({ kind, id }: Place): string {
  return formatId(prefixes[kind], id)
}

/**
 * The greatest id that is committed, up to `upTo`, and the last thing at hand of the project: one look at each key, in one
 * snapshot.
 */
export async function streamEnd(
  db: Reader,
  project: ProjectId,
  upTo = Number.MAX_SAFE_INTEGER,
): Promise<{ readonly id: number; readonly last: Place }> {
  const [row] = await db.query<{
    event: number | null
    change: number | null
    attempt: number | null
    own: number | null
  }>(
    sql`
    select
      (select id from event where project_id = ${project} and id <= ${upTo} order by id desc limit 1) as event,
      (select id from change where project_id = ${project} and id <= ${upTo} order by id desc limit 1) as change,
      (select id from attempt where id <= ${upTo} order by id desc limit 1) as attempt,
      (select project_id from attempt where id <= ${upTo} order by id desc limit 1) as own`,
  )
  const places: Place[] = [
    { kind: "project", id: project },
    { kind: "event", id: row?.event ?? 0 },
    { kind: "change", id: row?.change ?? 0 },
    // Attempts stand in one table for all projects; another project's is no position of this one.
    { kind: "attempt", id: row?.own === project ? (row.attempt ?? 0) : 0 },
  ]
  const last = places.reduce((a, b) => (b.id > a.id ? b : a))
  return { id: Math.max(last.id, row?.attempt ?? 0), last }
}

/** Where to go on: after an id; or nowhere, because it is too old, or no position of this project in this database. */
export type Resumption =
  | { readonly kind: "after"; readonly id: number }
  | { readonly kind: "too_old" }
  | { readonly kind: "unknown" }

/** What a listener that sees a part of the project only may go on after: its own events, and attempts at its integrations. */
export interface OwnPositions {
  readonly filter: Pick<EventFilter, "app" | "environment" | "source">
  readonly integrations: readonly IntegrationId[]
}

/** Ids of a time are committed by so much later at the latest; what is handed out twice for that is known by its id. */
const SETTLED_MS = 60_000

/** A position that names nothing, for who must not learn what happened last: a time by which all was handed out. */
export interface TimePosition {
  readonly text: string
  /** The id that it stands before. */
  readonly id: number
}

export function timePosition(now: number): TimePosition {
  const at = now - SETTLED_MS
  return { text: `tim_${at}`, id: firstIdAt(at) }
}

/**
 * Finds a position such as `evt_…` again. `own`: only among these, or at a time, so that nothing is told of what others
 * have. Keys of event, attempt and change.
 */
export async function findPosition(
  db: Reader,
  project: ProjectId,
  text: string,
  now: number,
  own: OwnPositions | null = null,
): Promise<Resumption> {
  const time = own === null ? null : /^tim_(\d{13})$/.exec(text)
  if (time !== null) {
    const at = Number(time[1])
    if (at < now - METADATA_MS) return { kind: "too_old" }
    return at > now ? { kind: "unknown" } : { kind: "after", id: firstIdAt(at) - 1 }
  }
  for (const kind of ["event", "attempt", "change", "project"] as const) {
    const id = parseId(prefixes[kind], text)
    if (id === undefined) continue
    if (id < firstIdAt(now - METADATA_MS)) return { kind: "too_old" }
    return (await (own === null ? exists(db, project, { kind, id }) : isOwn(db, project, { kind, id }, own)))
      ? { kind: "after", id }
      : { kind: "unknown" }
  }
  return { kind: "unknown" }
}

async function exists(db: Reader, project: ProjectId, { kind, id }: Place): Promise<boolean> {
  if (kind === "project") return id === project
  const rows = await db.query(sql`select id from ${raw(kind)} where id = ${id} and project_id = ${project}`)
  return rows.length > 0
}

async function isOwn(
  db: Reader,
  project: ProjectId,
  { kind, id }: Place,
  { filter, integrations }: OwnPositions,
): Promise<boolean> {
  if (kind === "project") return id === project
  if (kind === "change") return false
  const rows = await db.query(
    kind === "event"
      ? sql`select e.id from event e where e.id = ${id} and e.project_id = ${project} and ${eventConditions(filter)}`
      : sql`
        select a.id from attempt a join event e on e.project_id = a.project_id and e.id = a.event_id
        where a.id = ${id} and a.project_id = ${project} and a.integration_id in ${list(integrations)}
          and ${eventConditions(filter)}`,
  )
  return rows.length > 0
}

/**
 * What happened after an id, up to and with `upTo` (committed, and no further than the horizon), as far as `rows` rows of each kind go; oldest
 * first. Keys of event, attempt (of all projects) and change.
 */
export async function readStream(
  db: Reader,
  asked: {
    readonly project: ProjectId
    readonly after: number
    readonly upTo: number
    readonly filter: StreamFilter
    readonly rows: number
  },
): Promise<StreamPage> {
  const { project, after, filter, rows } = asked
  const { integration, ...ofEvent } = filter
  const reached = await edgeOf(db, asked)
  const events = await db.query<EventItemRow>(sql`
    select ${summaryColumns}, e.targets, e.withheld from event e
    where e.project_id = ${project} and e.id > ${after} and e.id <= ${reached} and ${eventConditions(filter)}`)
  const attempts = await db.query<AttemptItemRow>(sql`
    select ${attemptColumns}, e.type, e.environment, e.app_id, e.source, e.profile_id, e.device_id, e.test,
      d.status as d_status, d.reason as d_reason, d.facts as d_facts, d.next_at as d_next_at,
      d.last_attempt_id = a.id as is_last
    from attempt a
      join event e on e.project_id = a.project_id and e.id = a.event_id
      join delivery d on d.integration_id = a.integration_id and d.event_id = a.event_id
    where a.id > ${after} and a.id <= ${reached} and a.project_id = ${project} and ${eventConditions(ofEvent)}
      and ${integration === undefined ? sql`true` : sql`a.integration_id = ${integration}`}`)
  const changes = await changesAfter(db, project, after, rows)
  const items: StreamItem[] = [
    ...events.map(eventItem),
    ...attempts.map(attemptItem),
    ...changes
      .filter(change => change.id <= reached)
      .map(changeItem)
      .filter(item => matches(filter, item)),
  ]
  return { items: items.sort((a, b) => a.id - b.id), reached }
}

/** Whether a listener asks for an item: what the conditions of `readStream` say, for items that were read for all. */
export function matches(filter: StreamFilter, item: StreamItem): boolean {
  const { type, app, environment, source, profileId, deviceId, integration, changes = "all" } = filter
  if (item.kind === "change") {
    if (changes === "none" || (changes === "configuration" && !isConfiguration(item.change))) return false
    // A change is about no event; of an integration it is only where it is that which changed.
    const asksForEvents = [type, app, environment, source, profileId, deviceId].some(member => member !== undefined)
    return !asksForEvents && (integration === undefined || item.change.subject === formatId("int", integration))
  }
  const { event } = item
  return (
    (type === undefined || matchesType(event.type, type)) &&
    (app === undefined || (item.kind === "event" ? item.event.appId : item.event.app) === app) &&
    (environment === undefined || event.environment === environment) &&
    (source === undefined || event.source === source) &&
    (profileId === undefined || event.profileId === profileId) &&
    (deviceId === undefined || event.deviceId === deviceId) &&
    (integration === undefined || integrationsOf(item).includes(integration))
  )
}

/** Of what `integrations:read` reads; others are of keys, people and the project itself. */
function isConfiguration({ kind }: Change): boolean {
  return ["integration.", "event_type.", "app.", "recovery."].some(prefix => kind.startsWith(prefix))
}

function integrationsOf(item: EventItem | AttemptItem): readonly IntegrationId[] {
  if (item.kind === "attempt") return [item.attempt.delivery.integration]
  return [...item.targets, ...Object.values(item.withheld).flat()]
}

/** The last id of a page: where the first of the kinds has had its rows. */
async function edgeOf(
  db: Reader,
  { project, after, upTo, rows }: { project: ProjectId; after: number; upTo: number; rows: number },
): Promise<number> {
  const skipped = rows - 1
  const [row] = await db.query<{ event: number | null; attempt: number | null; change: number | null }>(sql`
    select
      (select id from event where project_id = ${project} and id > ${after} and id <= ${upTo}
        order by id limit 1 offset ${skipped}) as event,
      (select id from attempt where id > ${after} and id <= ${upTo} order by id limit 1 offset ${skipped}) as attempt,
      (select id from change where project_id = ${project} and id > ${after} and id <= ${upTo}
        order by id limit 1 offset ${skipped}) as change`)
  return Math.min(row?.event ?? upTo, row?.attempt ?? upTo, row?.change ?? upTo)
}

type EventItemRow = SummaryRow & { readonly targets: string; readonly withheld: string }

function eventItem(row: EventItemRow): EventItem {
  const event = summaryOfRow(row)
  return {
    kind: "event",
    id: event.id,
    event,
    targets: JSON.parse(row.targets) as IntegrationId[],
    withheld: JSON.parse(row.withheld) as Withheld,
  }
}

interface AttemptItemRow extends AttemptRow {
  readonly type: string
  readonly environment: Environment
  readonly app_id: number | null
  readonly source: string
  readonly profile_id: string | null
  readonly device_id: string | null
  readonly test: number
  readonly d_status: DeliveryStatus
  readonly d_reason: ReasonCode | null
  readonly d_facts: string | null
  readonly d_next_at: number | null
  readonly is_last: number | null
}

function attemptItem(row: AttemptItemRow): AttemptItem {
  return {
    kind: "attempt",
    id: row.id,
    attempt: attemptOfRow(row),
    event: {
      type: row.type,
      environment: row.environment,
      app: row.app_id,
      source: row.source,
      profileId: row.profile_id,
      deviceId: row.device_id,
      test: row.test === 1,
    },
    delivery: {
      status: row.d_status,
      reason: row.d_reason === null ? null : { code: row.d_reason, facts: JSON.parse(row.d_facts ?? "{}") as Facts },
      nextAt: row.d_next_at,
      isLast: row.is_last === 1,
    },
  }
}

function changeItem(change: Change): ChangeItem {
  return { kind: "change", id: change.id, change }
}
