/**
 * What accepting comes to in the tallies: how many events came in, to whom each was routed, and from whom it was withheld.
 * It is no part of accepting. It follows from the events' own rows, which are tallied a moment later, many at a time, in the
 * order of their ids: a commit that moves the marker adds what lies between, so that each event counts once whatever happens.
 * Who reads a tally adds what lies beyond the marker.
 *
 * Counted as they are accepted, events cost a row for each integration that exists, and all processes wait for each other's
 * (measured with twelve: 60 µs of Node and 60 µs of PostgreSQL an event, 20 µs on the embedded engine; now 4).
 */
import { HOUR_MS } from "../domain/duration.ts"
import type { Withheld } from "../domain/event.ts"
import type { EventId, IntegrationId, ProjectId } from "../domain/id.ts"
import type { ReasonCode } from "../domain/reason.ts"
import { join, list, type Sql, sql } from "./database.ts"
import type { Reader } from "./reader.ts"
import { change, row, rows, type Step } from "./step.ts"
import type { TallySheet } from "./tallies.ts"

/** How many events are tallied together: about 3 ms of the embedded writer's time. */
const PIECE = 1_000
/** Rows of a tally that one statement adds to; what is left goes one by one, so that there are two texts. */
const TOGETHER = 25

/** Events that have not been tallied: those of these projects up to one of them. */
export interface Untallied {
  readonly projects: readonly ProjectId[]
  readonly upTo: EventId
}

/** Up to which event all have been tallied. */
export async function talliedUpTo(db: Reader): Promise<EventId> {
  const [marker] = await db.query<{ event_id: EventId }>(sql`select event_id from tally_marker`)
  return marker?.event_id ?? 0
}

/** The events that have not been tallied up to one, all of them; null where there are none. Primary key of `event`. */
export async function untallied(db: Reader, upTo: EventId = Number.MAX_SAFE_INTEGER): Promise<Untallied | null> {
  return beyond(db, await talliedUpTo(db), upTo)
}

/** So many of them, the oldest, as are tallied together. Up to there nothing may appear any more. Primary key of `event`. */
export async function nextUntallied(db: Reader, upTo: EventId): Promise<Untallied | null> {
  const after = await talliedUpTo(db)
  const all = await beyond(db, after, upTo)
  if (all === null) return null
  const each = Math.max(1, Math.floor(PIECE / all.projects.length))
  const [found] = await db.query<{ last: EventId | null }>(sql`
    select min((
      select e.id from event e
      where e.project_id = p.id and e.id > ${after} and e.id <= ${all.upTo} order by e.id limit 1 offset ${each - 1}
    )) as last
    from project p where p.id in ${list(all.projects)}`)
  return { ...all, upTo: found?.last ?? all.upTo }
}

async function beyond(db: Reader, after: EventId, upTo: EventId): Promise<Untallied | null> {
  const found = await db.query<{ project: ProjectId; last: EventId }>(sql`
    select project, last from (
      select p.id as project, (
        select e.id from event e where e.project_id = p.id and e.id > ${after} and e.id <= ${upTo} order by e.id desc limit 1
      ) as last
      from project p
    ) n
    where last is not null`)
  if (found.length === 0) return null
  return { projects: found.map(({ project }) => project), upTo: Math.max(...found.map(({ last }) => last)) }
}

interface ArrivedRow {
  readonly project_id: ProjectId
  readonly hour: number
  readonly source: string
  readonly key_id: number
  readonly app_id: number
  readonly environment: string
  readonly type: string
  readonly targets: string
  readonly withheld: string
  readonly events: number
  readonly bytes: number
}

/** Tallies them, those left out that somebody else has tallied meanwhile. */
export function* tallyArrivals({ projects, upTo }: Untallied): Step<void> {
  const marker = yield* row<{ event_id: EventId }>(sql`select event_id from tally_marker for update`)
  if (marker === undefined) throw new Error("The table tally_marker has lost its row.")
  if (marker.event_id >= upTo) return
  // As they are written, before any JSON is taken apart: a thousand events are some dozens of these. Primary key of `event`.
  const arrived = yield* rows<ArrivedRow>(sql`
    select project_id, received_at - received_at % ${HOUR_MS} as hour, source, coalesce(key_id, 0) as key_id,
      coalesce(app_id, 0) as app_id, environment, type, targets, withheld, count(*) as events, sum(payload_bytes) as bytes
    from event
    where project_id in ${list(projects)} and id > ${marker.event_id} and id <= ${upTo} and test = 0
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9`)
  yield* addIngest(arrived)
  yield* addDeliveries(arrived)
  yield* change(sql`update tally_marker set event_id = ${upTo}`)
}

function* addIngest(arrived: readonly ArrivedRow[]): Step<void> {
  const sums = new Map<string, { one: ArrivedRow; events: number; bytes: number }>()
  for (const one of arrived) {
    const key = JSON.stringify([one.project_id, one.hour, one.key_id, one.app_id, one.type, one.source])
    const { events = 0, bytes = 0 } = sums.get(key) ?? {}
    sums.set(key, { one, events: events + one.events, bytes: bytes + one.bytes })
  }
  for (const some of together([...sums.values()])) {
    const values = some.map(
      ({ one, events, bytes }) =>
        sql`(${one.project_id}, ${one.hour}, ${one.source}, ${one.key_id}, ${one.app_id}, ${one.type}, ${events}, ${bytes}, 0)`,
    )
    yield* change(sql`
      insert into ingest_tally (project_id, hour, source, key_id, app_id, type, events, bytes, refused)
      values ${join(values, ", ")}
      on conflict (project_id, hour, source, key_id, app_id, type)
      do update set events = ingest_tally.events + excluded.events, bytes = ingest_tally.bytes + excluded.bytes`)
  }
}

function* addDeliveries(arrived: readonly ArrivedRow[]): Step<void> {
  // Senders may have thousands of sources: they are put together before the integrations are looked at.
  const alike = new Map<string, { one: ArrivedRow; events: number }>()
  for (const one of arrived) {
    const { project_id, hour, app_id, environment, type, targets, withheld } = one
    const key = JSON.stringify([project_id, hour, app_id, environment, type, targets, withheld])
    alike.set(key, { one, events: (alike.get(key)?.events ?? 0) + one.events })
  }
  const sums = new Map<string, { one: ArrivedRow; way: Way; events: number }>()
  for (const { one, events } of alike.values()) {
    for (const way of waysOf(one)) {
      const { integration, outcome, reason } = way
      const { project_id, hour, app_id, environment, type } = one
      const key = `${project_id}|${integration}|${hour}|${app_id}|${environment}|${outcome}|${reason}|${type}`
      sums.set(key, { one, way, events: (sums.get(key)?.events ?? 0) + events })
    }
  }
  for (const some of together([...sums.values()])) {
    const values = some.map(
      ({ one: { project_id, hour, app_id, environment, type }, way: { integration, outcome, reason }, events }) =>
        sql`(${project_id}, ${integration}, ${hour}, ${app_id}, ${environment}, ${type}, ${outcome}, ${reason}, ${events})`,
    )
    yield* change(sql`
      insert into delivery_tally (project_id, integration_id, hour, app_id, environment, type, outcome, reason, count)
      values ${join(values, ", ")}
      on conflict (project_id, integration_id, hour, app_id, environment, type, outcome, reason)
      do update set count = delivery_tally.count + excluded.count`)
  }
}

/** What became of an event at one integration as it was accepted. */
interface Way {
  readonly integration: IntegrationId
  readonly outcome: "routed" | "withheld"
  readonly reason: "" | ReasonCode
}

/** Where an event went and did not go, from its columns. */
export function waysOf({ targets, withheld }: { readonly targets: string; readonly withheld: string }): readonly Way[] {
  const ways = (JSON.parse(targets) as IntegrationId[]).map(
    (integration): Way => ({ integration, outcome: "routed", reason: "" }),
  )
  for (const [reason, integrations = []] of Object.entries(JSON.parse(withheld) as Withheld)) {
    for (const integration of integrations) {
      ways.push({ integration, outcome: "withheld", reason: reason as ReasonCode })
    }
  }
  return ways
}

/** Which events lie beyond the marker, as the moment of the statement has it: `event` is `e`. */
export const isUntallied: Sql = sql`e.id > (select event_id from tally_marker) and e.test = 0`

/** An event whose targets somebody changes. */
export interface Retargeted {
  readonly project_id: ProjectId
  readonly id: EventId
  readonly app_id: number | null
  readonly environment: string
  readonly type: string
  readonly received_at: number
  readonly test: number
  /** The marker, as it was when the event was read. */
  readonly tallied: EventId
}

/**
 * An event goes to one more integration than it was accepted for, from which it was withheld for a reason or not (1), or no
 * longer does (-1). Where it has not been tallied yet its row will tell the tally what is not so; the difference is noted now.
 */
export function* makeUpFor(
  tallies: TallySheet,
  event: Retargeted,
  { integration, reason, by }: { integration: IntegrationId; reason: ReasonCode | null; by: 1 | -1 },
): Step<void> {
  if (event.id <= event.tallied || event.test === 1) return
  // Until this commit is over nobody tallies.
  const marker = yield* row<{ event_id: EventId }>(sql`select event_id from tally_marker for update`)
  if (marker !== undefined && event.id <= marker.event_id) return
  const { project_id: project, received_at: at, app_id: app, environment, type } = event
  const tally = { project, integration, at, app, environment, type }
  tallies.delivery({ ...tally, outcome: "routed", reason: "" }, -by)
  if (reason !== null) tallies.delivery({ ...tally, outcome: "withheld", reason }, by)
}

function* together<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let i = 0; i < all.length; ) {
    const size = all.length - i < TOGETHER ? 1 : TOGETHER
    yield all.slice(i, i + size)
    i += size
  }
}
