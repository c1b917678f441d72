/**
 * The erasure of a person: every event with their profile's id goes, with all that was made of it. The search index knows
 * which events those are. What waits to be sent ends first, what is being sent is waited for; tallies stay, which name
 * nobody. Then their traces are looked for in what does not hang on an event: refused requests, inboxes, entries of the index.
 */
import type { EventId, IntegrationId, ProjectId } from "../domain/id.ts"
import { parseId } from "../domain/id.ts"
import { mentions } from "../domain/mentions.ts"
import type { Commit } from "./commit.ts"
import { join, list, sql } from "./database.ts"
import { release } from "./line.ts"
import { failWaiting, type WaitingRow } from "./move.ts"
import {
  type AttemptPlace,
  counted,
  integrationsOf,
  type RemovalParts,
  type RemovalPiece,
  removeAttemptRows,
  removeFromParts,
  segments,
} from "./project-removal.ts"
import type { Reader } from "./reader.ts"
import { addCounts, type RemovedCounts } from "./removal-jobs.ts"
import { searchFields } from "./search.ts"
import { change, row, rows, type Step } from "./step.ts"
import { along } from "./walk.ts"

/** Whom to erase: what came in up to an event. */
export interface Erased {
  readonly project: ProjectId
  readonly profile: string
  readonly upTo: EventId
}

/** Events that one piece looks at, with a dozen rows each. */
const PIECE = 25
/** Rows that are looked at together, on the reader. */
const PAGE = 1_000
/** Of those that have a body. */
const BODIES = 20

const onlyRead: RemovalPiece = { removed: {}, ms: 0 }
const mustWait: RemovalPiece = { removed: {}, ms: 0, mustWait: true }

/** Has the events go. `found` hears of the events of each piece before it, so that it can be written down with it. */
export async function* eraseEvents(
  parts: RemovalParts,
  erased: Erased,
  found: (events: readonly EventId[]) => void,
): AsyncGenerator<RemovalPiece> {
  const { reads } = parts.store
  // What the index still gathers is written, and then it knows all of them.
  yield await parts.piece(function* (commit) {
    yield* commit.scrub()
    return {}
  })
  for (let left = true; left; ) {
    left = false
    for (const segment of await segments(reads)) {
      for (let after: EventId | null = 0; after !== null; ) {
        const events = await eventsIn(reads, erased, { segment, after })
        yield onlyRead
        after = events.length < PIECE ? null : (events.at(-1) ?? null)
        if (events.length === 0) continue
        found(events)
        let released: readonly IntegrationId[] = []
        const piece = await parts.piece(function* (commit) {
          yield* commit.scrub()
          const done = yield* erase(commit, erased, { segment, events })
          left ||= done.isLeft
          released = done.released
          return done.removed
        })
        yield { ...piece, released, table: "event" }
      }
    }
    if (left) yield mustWait
  }
}

/** Events of a profile that a segment names. Primary key of search_entry. */
async function eventsIn(
  db: Reader,
  { project, profile, upTo }: Erased,
  place: { readonly segment: number; readonly after: EventId },
): Promise<EventId[]> {
  const found = await db.query<{ event_id: EventId }>(sql`
    select event_id from search_entry
    where segment = ${place.segment} and project_id = ${project} and field = ${searchFields.profile_id}
      and value = ${profile} and event_id > ${place.after} and event_id <= ${upTo}
    order by event_id limit ${PIECE}`)
  return found.map(({ event_id: event }) => event)
}

interface EventRow {
  readonly id: EventId
  readonly part: number
  readonly source: string
  readonly external_id: string | null
  readonly device_id: string | null
  readonly source_record: string | null
  readonly targets: string
}

interface DeliveryRow extends WaitingRow {
  readonly next_at: number | null
  readonly claim: number | null
  readonly record_id: string | null
  readonly last_attempt_id: number | null
}

/** Some events of one segment. Those that are being sent, or have not been tallied, are left for later. Primary keys. */
function* erase(
  commit: Commit,
  { project, profile }: Erased,
  { segment, events }: { readonly segment: number; readonly events: readonly EventId[] },
): Step<{ readonly removed: RemovedCounts; readonly isLeft: boolean; readonly released: readonly IntegrationId[] }> {
  const stored = yield* rows<EventRow>(sql`
    select id, payload_part as part, source, external_id, device_id, source_record, targets from event
    where project_id = ${project} and id in ${list(events)}`)
  const tallied = (yield* row<{ event_id: EventId }>(sql`select event_id from tally_marker`))?.event_id ?? 0
  const lanes = new Map<IntegrationId, EventId[]>()
  for (const { id, targets } of stored) {
    for (const lane of JSON.parse(targets) as IntegrationId[]) lanes.set(lane, [...(lanes.get(lane) ?? []), id])
  }
  const left = new Set<EventId>(stored.flatMap(({ id }) => (id > tallied ? [id] : [])))
  const released = new Set<IntegrationId>()
  const deliveries = new Map<IntegrationId, readonly DeliveryRow[]>()
  let ended = 0
  // In one order everywhere, so that two of them never wait for each other.
  for (const [lane, of] of [...lanes].sort(([a], [b]) => a - b)) {
    const found = yield* rows<DeliveryRow>(sql`
      select event_id, project_id, status, ordering_key, next_at, claim, record_id, last_attempt_id from delivery
      where integration_id = ${lane} and event_id in ${list(of)} order by event_id for update`)
    deliveries.set(lane, found)
    for (const one of found) {
      if (one.claim !== null) left.add(one.event_id)
      if (one.next_at === null) continue
      ended++
      if ((yield* failWaiting(commit, lane, one, { code: "person_erased", facts: {} })) !== null) released.add(lane)
    }
  }
  const gone = stored.filter(({ id }) => !left.has(id))
  let removed: RemovedCounts = { delivery_ended: ended }
  for (const [lane, of] of deliveries) {
    const own = of.filter(({ event_id: event }) => !left.has(event))
    removed = addCounts(removed, yield* eraseDeliveries(lane, own))
    for (const key of new Set(own.flatMap(({ ordering_key: key }) => (key === null ? [] : [key])))) {
      if ((yield* release(commit, lane, key)) !== null) released.add(lane)
    }
  }
  removed = addCounts(removed, yield* eraseRows(project, gone))
  const entries = [
    ...events.map(event => ({ field: searchFields.profile_id, value: profile, event })),
    ...gone.map(({ id, device_id: value }) => ({ field: searchFields.device_id, value, event: id })),
    ...gone.map(({ id, source_record: value }) => ({ field: searchFields.source_record, value, event: id })),
    ...[...deliveries.values()].flat().map(({ event_id: event, record_id: value }) => {
      return { field: searchFields.destination_record, value, event }
    }),
  ].flatMap(({ value, ...entry }) => (value === null || left.has(entry.event) ? [] : [{ ...entry, value }]))
  removed = addCounts(removed, { search_entry: yield* removeEntries({ segment, project }, entries) })
  return { removed, isLeft: left.size > 0, released: [...released] }
}

interface Entry {
  readonly field: number
  readonly value: string
  readonly event: EventId
}

/** Some of the entries that a segment has of a project. Primary key of search_entry. */
function* removeEntries(
  { segment, project }: { readonly segment: number; readonly project: ProjectId },
  entries: readonly Entry[],
): Step<number> {
  let removed = 0
  for (let i = 0; i < entries.length; i += 100) {
    const some = entries
      .slice(i, i + 100)
      .map(({ field, value, event }) => sql`(field = ${field} and value = ${value} and event_id = ${event})`)
    removed += yield* change(sql`
      delete from search_entry where segment = ${segment} and project_id = ${project} and (${join(some, " or ")})`)
  }
  return removed
}

/** Deliveries of one integration with their attempts, which are a chain from the last one. */
function* eraseDeliveries(lane: IntegrationId, found: readonly DeliveryRow[]): Step<RemovedCounts> {
  if (found.length === 0) return {}
  const events = list(found.map(({ event_id: event }) => event))
  const attempts: AttemptPlace[] = []
  let ids = found.flatMap(({ last_attempt_id: id }) => (id === null ? [] : [id]))
  while (ids.length > 0) {
    const level = yield* rows<AttemptPlace & { previous_id: number | null }>(sql`
      select id, exchange_part, previous_id from attempt where id in ${list(ids)}`)
    attempts.push(...level)
    ids = level.flatMap(({ previous_id: id }) => (id === null ? [] : [id]))
  }
  const removed = yield* removeAttemptRows(attempts)
  // The last of a group is shown with it.
  yield* change(sql`delete from failure_group where integration_id = ${lane} and event_id in ${events}`)
  const delivery = yield* change(sql`delete from delivery where integration_id = ${lane} and event_id in ${events}`)
  return addCounts(removed, { delivery })
}

/** Events with what was sent in with them, and the ids that senders gave them. */
function* eraseRows(project: ProjectId, events: readonly EventRow[]): Step<RemovedCounts> {
  if (events.length === 0) return {}
  const ids = list(events.map(({ id }) => id))
  const payload = yield* removeFromParts("payload", "event_id", events)
  yield* change(sql`delete from sealed_payload where project_id = ${project} and event_id in ${ids}`)
  for (const { source, external_id: own, id } of events) {
    if (own === null) continue
    yield* change(sql`
      delete from own_id
      where project_id = ${project} and external_id = ${own} and source = ${source} and event_id = ${id}`)
  }
  yield* change(sql`
    delete from recovery_returned
    where recovery_id in (select id from recovery where project_id = ${project}) and event_id in ${ids}`)
  const event = yield* change(sql`delete from event where project_id = ${project} and id in ${ids}`)
  return { event, payload }
}

/** What is left of a person elsewhere, after their events. `first`: the oldest of those; null where there were none. */
export async function* eraseTraces(
  parts: RemovalParts,
  erased: Erased,
  first: EventId | null,
): AsyncGenerator<RemovalPiece> {
  if (first !== null) {
    yield* lostEntries(parts, erased, first)
    yield* lostAttempts(parts, erased, first)
    yield* lostIdempotency(parts, erased)
  }
  yield* rejections(parts, erased)
  yield* inboxRequests(parts, erased, first)
  const { project, profile } = erased
  yield await parts.piece(() =>
    counted("profile", sql`delete from profile where project_id = ${project} and id = ${profile}`),
  )
}

/** Whether the event that a row names, by this column, is still there. */
function isThere(project: ProjectId, column: "s.event_id" | "a.event_id" | "i.event_id") {
  const id = { parts: [column], values: [] }
  return sql`case when exists (select 1 from event e where e.project_id = ${project} and e.id = ${id}) then 1 else 0 end`
}

/**
 * Entries of events that have gone: those of theirs that stand in another segment, and what retention has left of others, which
 * nothing tells apart. Primary keys.
 */
async function* lostEntries(
  parts: RemovalParts,
  { project, upTo }: Erased,
  first: EventId,
): AsyncGenerator<RemovalPiece> {
  type Found = { readonly field: number; readonly value: string; readonly event_id: EventId; readonly is_there: number }
  for (const segment of await segments(parts.store.reads, first)) {
    const of = sql`segment = ${segment} and project_id = ${project}`
    let after: Pick<Found, "field" | "value" | "event_id"> | undefined = { field: 2, value: "", event_id: 0 }
    while (after !== undefined) {
      const page: readonly Found[] = await parts.store.reads.query<Found>(sql`
        select field, value, event_id, ${isThere(project, "s.event_id")} as is_there from search_entry s
        where ${of} and (field, value, event_id) > (${after.field}, ${after.value}, ${after.event_id})
        order by field, value, event_id limit ${PAGE}`)
      yield onlyRead
      const lost = page
        .filter(entry => entry.is_there === 0 && entry.event_id <= upTo)
        .map(({ field, value, event_id: event }) => ({ field, value, event }))
      if (lost.length > 0) {
        yield await parts.piece(function* (commit) {
          yield* commit.scrub()
          return { leftover: yield* removeEntries({ segment, project }, lost) }
        })
      }
      after = page.length < PAGE ? undefined : page.at(-1)
    }
  }
}

/**
 * Attempts that hang on no delivery, as whoever made them no longer held the claim; and what retention has left of others.
 * Index attempt_succeeded or attempt_failed.
 */
async function* lostAttempts(parts: RemovalParts, { project }: Erased, first: EventId): AsyncGenerator<RemovalPiece> {
  type Found = AttemptPlace & { readonly is_there: number }
  for (const lane of await integrationsOf(parts.store.reads, project)) {
    for (const of of [
      sql`${along("attempt_succeeded")} where a.outcome = 'success'`,
      sql`${along("attempt_failed")} where a.outcome <> 'success'`,
    ]) {
      for (let after: number | null = first; after !== null; ) {
        const page: readonly Found[] = await parts.store.reads.query<Found>(sql`
          select a.id, a.exchange_part, ${isThere(project, "a.event_id")} as is_there from attempt a${of}
            and a.integration_id = ${lane} and a.id > ${after}
          order by a.id limit ${PAGE}`)
        yield onlyRead
        const lost = page.filter(attempt => attempt.is_there === 0)
        for (let i = 0; i < lost.length; i += 100) {
          const some = lost.slice(i, i + 100)
          yield await parts.piece(function* (commit) {
            yield* commit.scrub()
            const { attempt = 0 } = yield* removeAttemptRows(some)
            return { leftover: attempt }
          })
        }
        after = page.length < PAGE ? null : (page.at(-1)?.id ?? null)
      }
    }
  }
}

/** Keys that senders gave requests whose events have gone. Primary keys. */
async function* lostIdempotency(parts: RemovalParts, { project }: Erased): AsyncGenerator<RemovalPiece> {
  type Found = { readonly key: string; readonly event_id: number | null; readonly is_there: number }
  for (let after: string | null = ""; after !== null; ) {
    const page: readonly Found[] = await parts.store.reads.query<Found>(sql`
      select i.key, i.event_id, ${isThere(project, "i.event_id")} as is_there from idempotency i
      where i.project_id = ${project} and i.key > ${after} order by i.key limit ${PAGE}`)
    yield onlyRead
    const lost = page.filter(one => one.event_id !== null && one.is_there === 0).map(({ key }) => key)
    if (lost.length > 0) {
      yield await parts.piece(() =>
        counted("idempotency", sql`delete from idempotency where project_id = ${project} and key in ${list(lost)}`),
      )
    }
    after = page.length < PAGE ? null : (page.at(-1)?.key ?? null)
  }
}

/** Refused requests that name the person. Index rejection_by_project. */
async function* rejections(parts: RemovalParts, { project, profile, upTo }: Erased): AsyncGenerator<RemovalPiece> {
  type Found = { readonly id: number; readonly detail: string; readonly errors: string; readonly body: Uint8Array }
  for (let after: number | null = 0; after !== null; ) {
    const page: readonly Found[] = await parts.store.reads.query<Found>(sql`
      select id, detail, errors, body from rejection
      where project_id = ${project} and id > ${after} and id <= ${upTo} order by id limit ${BODIES}`)
    yield onlyRead
    const named = page.filter(one => [one.detail, one.errors, textOf(one.body)].some(text => mentions(text, profile)))
    yield* removeAll(parts, "rejection", named)
    after = page.length < BODIES ? null : (page.at(-1)?.id ?? null)
  }
}

/** What inboxes got of events that have gone, or that names the person. Index inbox_request_by_integration. */
async function* inboxRequests(
  parts: RemovalParts,
  { project, profile, upTo }: Erased,
  first: EventId | null,
): AsyncGenerator<RemovalPiece> {
  type Found = { readonly id: number; readonly headers: string; readonly body: Uint8Array }
  for (const lane of await integrationsOf(parts.store.reads, project)) {
    for (let after: number | null = 0; after !== null; ) {
      const page: readonly Found[] = await parts.store.reads.query<Found>(sql`
        select id, headers, body from inbox_request
        where integration_id = ${lane} and id > ${after} order by id limit ${BODIES}`)
      yield onlyRead
      const events = new Map(page.map(one => [one.id, eventOf(one.headers)]))
      const asked = [...events.values()].filter(event => event !== undefined)
      const there = new Set(
        (
          await parts.store.reads.query<{ id: EventId }>(sql`
            select id from event where project_id = ${project} and id in ${list(asked)}`)
        ).map(({ id }) => id),
      )
      const isOfErased = (one: Found) => {
        const event = events.get(one.id)
        if (event !== undefined) return first !== null && event >= first && event <= upTo && !there.has(event)
        return one.id <= upTo && (mentions(one.headers, profile) || mentions(textOf(one.body), profile))
      }
      yield* removeAll(parts, "inbox_request", page.filter(isOfErased))
      after = page.length < BODIES ? null : (page.at(-1)?.id ?? null)
    }
  }
}

/** The event that a request to an inbox says it is of. */
function eventOf(headers: string): EventId | undefined {
  const pairs = JSON.parse(headers) as readonly (readonly [name: string, value: string | null])[]
  const [, id] = pairs.find(([name]) => name.toLowerCase() === "webhook-id") ?? []
  return id === undefined || id === null ? undefined : parseId("evt", id)
}

async function* removeAll(
  parts: RemovalParts,
  table: "rejection" | "inbox_request",
  found: readonly { readonly id: number }[],
): AsyncGenerator<RemovalPiece> {
  if (found.length === 0) return
  const ids = list(found.map(({ id }) => id))
  const name = { parts: [table], values: [] }
  yield await parts.piece(function* (commit) {
    yield* commit.scrub()
    return { [table]: yield* change(sql`delete from ${name} where id in ${ids}`) }
  })
}

function textOf(body: Uint8Array): string {
  return Buffer.from(body).toString("utf8")
}
