/** Rules on what a recovery has found, with the configuration as it stands now. Payloads are read where a filter asks for them. */
import type { Payload } from "../domain/event.ts"
import type { EventId } from "../domain/id.ts"
import { needsPayload, type RecoveryAsk, type Ruling, ruleOn } from "../domain/recovery.ts"
import { readPayloads } from "../store/event-reads.ts"
import type { Found } from "../store/recovery-look.ts"
import { openAll } from "../store/sealed-payloads.ts"
import type { Store } from "../store/store.ts"
import type { RecoveryOutcome } from "../store/tallies.ts"
import type { LiveIntegration } from "./directory.ts"

/** An event and what becomes of it. */
export interface Ruled {
  readonly found: Found
  readonly ruling: Ruling
}

/** How many are not sent, and why. */
export interface Unsent {
  readonly outcome: RecoveryOutcome
  readonly reason: string
  readonly count: number
}

/** Payloads are read so many bytes at a time. */
const BYTES_AT_A_TIME = 4_194_304

/** Rules on events that fit what was asked for. Those whose payload has gone have expired. */
export async function ruleOnAll(
  store: Pick<Store, "reads" | "seal">,
  ask: RecoveryAsk,
  live: LiveIntegration,
  found: readonly Found[],
  now: number,
): Promise<Ruled[]> {
  const ruled: Ruled[] = []
  for (const group of byBytes(found)) {
    const asking = new Set(group.filter(event => needsPayload(ask, event, live.routing)))
    const payloads: ReadonlyMap<EventId, { readonly payload: Payload }> =
      asking.size === 0
        ? new Map()
        : // A filter asks for what its rule is about, private or not.
          await openAll(store, live.record.project, await readPayloads(store.reads, [...asking], now), now)
    for (const event of group) {
      const payload = payloads.get(event.id)?.payload
      if (payload === undefined && asking.has(event)) ruled.push({ found: event, ruling: { kind: "expired" } })
      else ruled.push({ found: event, ruling: ruleOn(ask, withPayload(event, payload), live.routing, now) })
    }
  }
  return ruled
}

/** What is counted of rulings that send nothing. */
export function countsOf(ruled: readonly Ruled[]): Unsent[] {
  const counts = new Map<string, Unsent>()
  for (const { ruling } of ruled) {
    if (ruling.kind === "send") continue
    const outcome = ruling.kind === "withheld" ? "kept" : ruling.kind
    const reason = ruling.kind === "withheld" ? ruling.reason : ""
    const key = `${outcome}/${reason}`
    counts.set(key, { outcome, reason, count: (counts.get(key)?.count ?? 0) + 1 })
  }
  return [...counts.values()]
}

function withPayload(found: Found, payload: Payload | undefined): Found {
  return payload === undefined ? found : { ...found, event: { ...found.event, payload } }
}

/** Groups whose payloads together are no more than is read at a time; at least one event each. */
function* byBytes(found: readonly Found[]): Generator<Found[]> {
  let group: Found[] = []
  let bytes = 0
  for (const event of found) {
    if (group.length > 0 && bytes + event.payloadBytes > BYTES_AT_A_TIME) {
      yield group
      group = []
      bytes = 0
    }
    group.push(event)
    bytes += event.payloadBytes
  }
  if (group.length > 0) yield group
}
