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

/** The same as a question to the store takes it: only these integrations; undefined: all of them. */
export function seenOnly(sight: Sight): readonly IntegrationId[] | undefined {
  return sight === null ? undefined : [...sight]
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
export interface Looked<S> {
  readonly event: S
  readonly withheld: Withheld
  readonly standing: readonly Standing[]
}

/** Events as they stand where it is seen, with what stands there. */
export async function lookAt<S extends EventSummary>(
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
