/**
 * Whether what came to a receiver came in order, key by key, where several processes took the events in. Events of one key
 * that were on their way in at the same time have no order; one that was answered before the other was sent comes first.
 */
import type { ProducerEntry } from "./producer.ts"
import type { Receipt } from "./receiver.ts"

/** When an event was first sent in, and when it was first answered with 202; ms since 1970. */
interface Entry {
  readonly sentAt: number
  readonly acceptedAt: number
}

/** What came out of its order: one before the one in front of it was done, or before one that was accepted earlier. */
export function disorderAcross(receipts: readonly Receipt[], entries: readonly ProducerEntry[]): string[] {
  const known = entriesById(entries)
  const byKey = Map.groupBy(
    receipts.toSorted((a, b) => a.at - b.at),
    ({ key }) => key,
  )
  return [...byKey].flatMap(([key, requests]) => [...overtakings(key, requests), ...reversals(key, requests, known)])
}

/** A request for another event while the one before it had no 2xx yet. */
function overtakings(key: string | null, requests: readonly Receipt[]): string[] {
  const done = new Set<string>()
  return requests.flatMap((request, i) => {
    const before = requests[i - 1]
    if (before !== undefined && before.status !== null && before.status <= 299) done.add(before.externalId)
    // What a crash repeats was done before.
    if (before === undefined || before.externalId === request.externalId || done.has(request.externalId)) return []
    return done.has(before.externalId) ? [] : [`${key}: ${request.externalId} before ${before.externalId} was accepted`]
  })
}

/** An event that came before another whose 202 had been given before it was sent. */
function reversals(key: string | null, requests: readonly Receipt[], known: ReadonlyMap<string, Entry>): string[] {
  const first = new Map<string, number>()
  for (const { externalId, at } of requests) if (!first.has(externalId)) first.set(externalId, at)
  const arrived = [...first.keys()]
  const found: string[] = []
  // The earliest 202 of all that come later has to lie after this one was sent.
  let earliest = Number.POSITIVE_INFINITY
  let whose = ""
  for (const id of arrived.toReversed()) {
    const entry = known.get(id)
    if (entry === undefined) continue
    if (earliest < entry.sentAt) found.push(`${key}: ${id} came before ${whose}, which was accepted before it was sent`)
    if (entry.acceptedAt < earliest) [earliest, whose] = [entry.acceptedAt, id]
  }
  return found
}

function entriesById(entries: readonly ProducerEntry[]): ReadonlyMap<string, Entry> {
  const known = new Map<string, Entry>()
  for (const { kind, id, at } of entries) {
    const before = known.get(id)
    if (kind === "invoke") known.set(id, before ?? { sentAt: at, acceptedAt: Number.POSITIVE_INFINITY })
    if (kind === "ok" && before !== undefined && at < before.acceptedAt) known.set(id, { ...before, acceptedAt: at })
  }
  return known
}
