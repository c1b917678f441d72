/**
 * Searches events that stand, where it is seen, as is asked. What failed, a reason and a record are looked for there only, so
 * that neither the pages nor how far a search came tell what stands elsewhere; for any other status all events of the app
 * are looked at, a few pages at a time.
 */
import type { EventSummary } from "../store/event-reads.ts"
import { type EventPage, type EventSearch, searchEvents } from "../store/event-search.ts"
import type { Context } from "./context.ts"
import { type Looked, lookAt, type Sight } from "./portal-sight.ts"

/** How many pages are looked through for those that stand as is asked: what is left is on the next page. */
const PAGES_READ = 8

/** One page of the events that a filter lets through, as they stand where it is seen. */
export async function searchWithin(
  context: Pick<Context, "store">,
  sight: Sight,
  search: EventSearch,
): Promise<EventPage> {
  const { reads } = context.store
  if (sight === null) return searchEvents(reads, search)
  const { status, reason, destinationRecord: record } = search.filter
  // Asked for anything else, the store finds what is shown here, and no more.
  const mayDiffer = status !== undefined || reason !== undefined || record !== undefined
  const filter = { ...search.filter, status: status === "failed" ? status : undefined, within: [...sight] }
  const found: EventSummary[] = []
  let before = search.before
  for (let read = 1; ; read++) {
    const page = await searchEvents(reads, { ...search, filter, before })
    const looked = await lookAt(reads, sight, page.events)
    found.push(...looked.filter(one => standsAsAsked(search, one)).map(({ event }) => event))
    if (isFull(found, page, search.limit)) return full(found, search.limit)
    if (isOver(page) || !mayDiffer) return asRead(found, page)
    if (read === PAGES_READ) return lookedEnough(found, page)
    before = page.next ?? undefined
  }
}

function standsAsAsked({ filter }: EventSearch, { event, withheld, standing }: Looked<EventSummary>): boolean {
  const { status, reason, destinationRecord: record } = filter
  return (
    (status === undefined || event.status === status) &&
    (reason === undefined || withheld[reason] !== undefined || standing.some(one => one.reason === reason)) &&
    (record === undefined || standing.some(one => one.record_id === record))
  )
}

/** There are as many as a page takes, and more may follow. */
function isFull(found: readonly EventSummary[], { next }: EventPage, limit: number): boolean {
  return found.length > limit || (found.length === limit && next !== null)
}

/** The next page begins after the last that is shown. */
function full(found: readonly EventSummary[], limit: number): EventPage {
  const events = found.slice(0, limit)
  return { events, next: events.at(-1)?.id ?? null, searchedBackTo: null }
}

/** The store has no more, or stopped for time. */
function isOver({ next, searchedBackTo }: EventPage): boolean {
  return next === null || searchedBackTo !== null
}

/** It ends where the store's last page does. */
function asRead(found: readonly EventSummary[], { next, searchedBackTo }: EventPage): EventPage {
  return { events: found, next, searchedBackTo }
}

/** Enough pages were looked through: it says how far it came, and the next page goes on from there. */
function lookedEnough(found: readonly EventSummary[], { events, next }: EventPage): EventPage {
  return { events: found, next, searchedBackTo: events.at(-1)?.receivedAt ?? null }
}
