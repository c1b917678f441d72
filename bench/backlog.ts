/**
 * What a backlog costs: memory while a million deliveries wait, are added to and go out, and how long a start takes with
 * them, after an orderly stop and after kill -9.
 */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { pause } from "./children.ts"
import { EVENT_COUNT, makeEvents } from "./events.ts"
import { createIntegration, startWaybill, type Waybill } from "./programs.ts"
import type { Receiver } from "./receivers.ts"
import { peakMemoryBytes } from "./usage.ts"

export interface Backlog {
  readonly deliveries: number
  readonly fillPerSecond: number
  /** The most that was resident while the backlog grew. */
  readonly fillBytes: number
  /** The same from a start with it until some of it, or all, had gone out. */
  readonly drainBytes: number
  /** To the first 200 of /readyz. */
  readonly startMs: number
  readonly startAfterKillMs: number
  readonly drainPerSecond: number
}

const BATCHES_AT_A_TIME = 4
const DRAIN_SECONDS = 15

/** Fills a paused integration of a new Waybill, restarts it twice, lets it deliver for a while and ends it. */
export async function measureBacklog(
  folder: string,
  receiver: Receiver,
  deliveries: number,
  tell: (line: string) => void,
): Promise<Backlog> {
  const home = join(folder, "backlog")
  mkdirSync(home)
  const first = await startWaybill(home)
  const id = await createIntegration(first, receiver.url)
  await first.call("POST", `/v1/integrations/${id}/pause`)
  const fillSeconds = await fill(first, deliveries, tell)
  const fillBytes = peakMemoryBytes(first.pid)
  await first.stop()

  const second = await startWaybill(home)
  await second.stop("SIGKILL")

  const third = await startWaybill(home)
  await third.call("POST", `/v1/integrations/${id}/resume`)
  const drainPerSecond = await watchDrain(receiver, deliveries)
  const drainBytes = peakMemoryBytes(third.pid)
  await third.stop("SIGKILL")
  return {
    deliveries,
    fillPerSecond: deliveries / fillSeconds,
    fillBytes,
    drainBytes,
    startMs: second.startMs,
    startAfterKillMs: third.startMs,
    drainPerSecond,
  }
}

/** Posts events in batches of a thousand, a few at a time, and gives the seconds that it took. */
export async function fill(waybill: Waybill, deliveries: number, tell: (line: string) => void): Promise<number> {
  const body = { events: makeEvents().map(text => JSON.parse(text) as unknown) }
  const startedAt = performance.now()
  let left = Math.ceil(deliveries / EVENT_COUNT)
  let stored = 0
  const post = async (): Promise<void> => {
    while (left > 0) {
      left--
      await waybill.call("POST", "/v1/events/batch", body)
      stored += EVENT_COUNT
      if (stored % 200_000 === 0) tell(`${stored.toLocaleString("en")} deliveries wait`)
    }
  }
  await Promise.all(Array.from({ length: BATCHES_AT_A_TIME }, post))
  return (performance.now() - startedAt) / 1_000
}

/** Deliveries a second, over some seconds or until there are none left. */
async function watchDrain(receiver: Receiver, deliveries: number): Promise<number> {
  const startedAt = performance.now()
  const before = await receiver.count()
  for (;;) {
    await pause(100)
    const delivered = (await receiver.count()) - before
    const elapsedSeconds = (performance.now() - startedAt) / 1_000
    if (delivered >= deliveries || elapsedSeconds >= DRAIN_SECONDS) return delivered / elapsedSeconds
  }
}
