/**
 * What a token of the portal sees: the events of its app, and of integrations those that are this app's own. Others that the
 * owner has set up, for several apps or for all, are the owner's affair: neither they nor what became of an event there is
 * shown, and an event stands as it stands at those that are.
 */
import { type EventCounts, eventStatus, type Withheld } from "../domain/event.ts"
import type { AppId, IntegrationId } from "../domain/id.ts"
import { isRed, type ReasonCode } from "../domain/reason.ts"
import type { LiveIntegration } from "../engine/directory.ts"
import { type EventSummary, readRouting } from "../store/event-reads.ts"
import { type EventPage, type EventSearch, searchEvents } from "../store/event-search.ts"
import { METADATA_MS } from "../store/kept.ts"
import { countOf } from "../store/move.ts"
import { ownedSince, type Standing, standingAt } from "../store/portal-reads.ts"
import type { Reader } from "../store/reader.ts"
import type { EventItem, StreamItem } from "../store/stream-reads.ts"
import type { Caller } from "./access.ts"
import type { Context } from "./context.ts"

/** The integrations that a caller sees; null: all of its project. */
export type Sight = ReadonlySet<IntegrationId> | null

/** Whether an integration is seen. */
export function isSeen(sight: Sight, integration: IntegrationId): boolean {
  return sight === null || sight.has(integration)
}

/** A look that holds as long as the integration is what it is: one that is changed is another object in the directory. */
const owned = new WeakMap<LiveIntegration, Promise<number>>()

/**
 * The integrations of an app alone. One that was for others too is seen once nothing is kept of that time: its counts and
 * messages would tell of them.
 */
export async function integrationsOfApp(
  { directory, store, now }: Pick<Context, "directory" | "store" | "now">,
  { project }: Pick<Caller, "project">,
  app: AppId,
): Promise<ReadonlySet<IntegrationId>> {
  const seen = new Set<IntegrationId>()
  for (const live of directory.integrationsOf(project)) {
    const { id, snapshot } = live.record
    if (snapshot.apps.length !== 1 || snapshot.apps[0] !== app) continue
    const look = owned.get(live) ?? ownedSince(store.reads, id, app, now() - METADATA_MS)
    owned.set(live, look)
    look.catch(() => owned.delete(live))
    const since = await look
    if (since === 0 || since <= now() - METADATA_MS) seen.add(id)
  }
  return seen
}

/** What of a routing is seen. */
export function routingWithin<R extends { readonly targets: readonly IntegrationId[]; readonly withheld: Withheld }>(
  sight: Sight,
  routing: R,
): R {
  if (sight === null) return routing
  const within = (ids: readonly IntegrationId[]) => ids.filter(id => sight.has(id))
  const withheld = Object.fromEntries(
    Object.entries(routing.withheld).flatMap(([code, ids]) => {
      const left = within(ids)
      return left.length === 0 ? [] : [[code, left]]
    }),
  )
  return { ...routing, targets: within(routing.targets), withheld }
}

/** Events as they stand where it is seen. */
export async function summariesWithin<S extends EventSummary>(
  { store }: Pick<Context, "store">,
  sight: Sight,
  events: readonly S[],
): Promise<S[]> {
  return sight === null ? [...events] : (await lookAt(store.reads, sight, events)).map(({ event }) => event)
}

/** An event as it stands where it is seen, and what stands there. */
interface Looked<S> {
  readonly event: S
  readonly withheld: Withheld
  readonly standing: readonly Standing[]
}

async function lookAt<S extends EventSummary>(
  reads: Reader,
  sight: ReadonlySet<IntegrationId>,
  events: readonly S[],
): Promise<Looked<S>[]> {
  const [first] = events
  if (first === undefined) return []
  const ids = events.map(({ id }) => id)
  const routings = await readRouting(reads, first.project, ids)
  const byEvent = Map.groupBy(await standingAt(reads, [...sight], ids), ({ event_id }) => event_id)
  return events.map(event => {
    const { targets, withheld } = routingWithin(sight, routings.get(event.id) ?? { targets: [], withheld: {} })
    const there = byEvent.get(event.id) ?? []
    const counts: Counting = { ...none, red: redIn(withheld, targets) }
    for (const one of there) {
      const column = countOf(one)
      if (column !== null) counts[columns[column]]++
    }
    return { event: as(event, counts), withheld, standing: there }
  })
}

/** An event of the stream as it stood, where it is seen, when it came in. */
export function arrivalWithin(sight: Sight, item: EventItem): EventItem {
  if (sight === null) return item
  const { targets, withheld } = routingWithin(sight, item)
  const counts = { ...none, open: targets.length, red: redIn(withheld, targets) }
  return { ...item, targets, withheld, event: as(item.event, counts) }
}

/** Whether a message of the stream is of an integration that is seen. */
export function tells(sight: Sight, item: StreamItem): boolean {
  return (
    sight === null || item.kind === "event" || (item.kind === "attempt" && sight.has(item.attempt.delivery.integration))
  )
}

/** How many pages are looked through for those that stand as is asked: what is left is on the next page. */
const PAGES_READ = 8

/**
 * Searches events that stand, where it is seen, as is asked. What failed, a reason and a record are looked for there only, so
 * that neither the pages nor how far a search came tell what stands elsewhere; for any other status all events of the app
 * are looked at, a few pages at a time.
 */
export async function searchWithin(
  context: Pick<Context, "store">,
  sight: Sight,
  search: EventSearch,
): Promise<EventPage> {
  const { reads } = context.store
  if (sight === null) return searchEvents(reads, search)
  const { status, reason, destinationRecord: record } = search.filter
  const isAsked = ({ event, withheld, standing }: Looked<EventSummary>) =>
    (status === undefined || event.status === status) &&
    (reason === undefined || withheld[reason] !== undefined || standing.some(one => one.reason === reason)) &&
    (record === undefined || standing.some(one => one.record_id === record))
  const isExact = status === undefined && reason === undefined && record === undefined
  const filter = { ...search.filter, status: status === "failed" ? status : undefined, within: [...sight] }
  const found: EventSummary[] = []
  let before = search.before
  for (let page = 1; ; page++) {
    const { events, next, searchedBackTo } = await searchEvents(reads, { ...search, filter, before })
    const looked = await lookAt(reads, sight, events)
    found.push(...looked.filter(isAsked).map(({ event }) => event))
    if (found.length > search.limit || (found.length === search.limit && next !== null)) {
      const kept = found.slice(0, search.limit)
      return { events: kept, next: kept.at(-1)?.id ?? null, searchedBackTo: null }
    }
    if (next === null || searchedBackTo !== null || isExact) {
      return { events: found, next, searchedBackTo }
    }
    if (page === PAGES_READ) return { events: found, next, searchedBackTo: events.at(-1)?.receivedAt ?? null }
    before = next
  }
}

type Counting = { -readonly [Name in keyof EventCounts]: number }

const none: Readonly<Counting> = { open: 0, retrying: 0, failed: 0, delivered: 0, red: 0 }

const columns = {
  n_open: "open",
  n_retrying: "retrying",
  n_failed: "failed",
  n_delivered: "delivered",
  n_red: "red",
} as const

/** An event with other counts, and the status that they come to. With which of the owner's keys it came is not told. */
function as<S extends EventSummary>(event: S, counts: EventCounts): S {
  return { ...event, counts, status: eventStatus(counts), key: null }
}

/** Those that have a delivery since (it was replayed) stand there. */
function redIn(withheld: Withheld, targets: readonly IntegrationId[]): number {
  const entries = Object.entries(withheld) as [ReasonCode, readonly IntegrationId[]][]
  return entries.reduce(
    (sum, [code, ids]) => sum + (isRed(code) ? ids.filter(id => !targets.includes(id)).length : 0),
    0,
  )
}
