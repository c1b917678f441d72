/**
 * Latencies of different conditions, measured in turns within one run, so that whatever else the machine does falls on
 * each of them.
 */
import assert from "node:assert/strict"
import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import { setTimeout as wait } from "node:timers/promises"
import type { ProducerEntry } from "./producer.ts"
import type { Receipt } from "./receiver.ts"

/** A time during which one condition held. */
export interface Phase<Kind extends string> {
  readonly kind: Kind
  readonly from: number
  readonly to: number
}

export interface Turns {
  readonly turns: number
  /** Of each phase, how long is measured. */
  readonly phaseMs: number
  /** Before it: what was begun in the phase before has ended by then. */
  readonly settlingMs: number
}

/** Goes through all kinds again and again; `begin` brings a condition about and may give what ends it. */
export async function inTurns<Kind extends string>(
  kinds: readonly Kind[],
  { turns, phaseMs, settlingMs }: Turns,
  begin: (kind: Kind) => Promise<(() => Promise<unknown>) | undefined>,
): Promise<Phase<Kind>[]> {
  const phases: Phase<Kind>[] = []
  for (let turn = 0; turn < turns; turn++) {
    for (const kind of kinds) {
      const end = await begin(kind)
      const from = Date.now() + settlingMs
      await wait(settlingMs + phaseMs)
      phases.push({ kind, from, to: Date.now() })
      await end?.()
    }
  }
  return phases
}

/**
 * From a request to ingest to its arrival, in ms, of the events that were sent in phases of this kind; throws where one of
 * them did not arrive `copies` times.
 */
export function latencies<Kind extends string>(
  phases: readonly Phase<Kind>[],
  kind: Kind,
  { entries, receipts, copies = 1 }: Arrivals,
): number[] {
  const arrivals = Map.groupBy(receipts, receipt => receipt.externalId)
  const times = phases.filter(phase => phase.kind === kind)
  return entries
    .filter(entry => entry.kind === "invoke" && times.some(({ from, to }) => entry.at >= from && entry.at < to))
    .flatMap(entry => {
      const found = arrivals.get(entry.id) ?? []
      assert.equal(found.length, copies, `${entry.id} has reached all that are well`)
      return found.map(({ at }) => at - entry.at)
    })
}

interface Arrivals {
  readonly entries: readonly ProducerEntry[]
  readonly receipts: readonly Receipt[]
  readonly copies?: number
}

/**
 * The percentile of latency in each phase of a kind, and of those the one in the middle: a hiccup of the machine falls on one
 * turn, what a condition costs falls on every one.
 */
export function typicalPercentile<Kind extends string>(
  phases: readonly Phase<Kind>[],
  kind: Kind,
  percent: number,
  arrivals: Arrivals,
): number {
  const own = phases.filter(phase => phase.kind === kind)
  return median(own.map(phase => percentile(latencies([phase], kind, arrivals), percent)))
}

/** The one in the middle; of an even number the lower of the two. */
export function median(sample: readonly number[]): number {
  return percentile(sample, 50)
}

/** A percentile: so many percent of the sample are no greater. */
export function percentile(sample: readonly number[], percent: number): number {
  const sorted = sample.toSorted((a, b) => a - b)
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? Number.NaN
}

/** What there is to say of a sample: `alone: 1200 events, p50 5 ms, p99 12 ms, max 30 ms`. */
export function summary(kind: string, sample: readonly number[]): string {
  const [p50, p99, max] = [50, 99, 100].map(percent => percentile(sample, percent))
  return `${kind}: ${sample.length} deliveries, p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`
}

/** Where nobody listens. */
export async function closedAddress(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return `http://127.0.0.1:${port}/hook`
}
