/**
 * What endpoints in trouble cost: how long live events take beside neighbours that are dead or slow, measured in turns with
 * those paused; and whether a backlog that an outage has left goes out at the rate that its integration allows.
 */
import { once } from "node:events"
import { mkdirSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { fill } from "./backlog.ts"
import { freePort, pause } from "./children.ts"
import { offerLoad } from "./generators.ts"
import { startWaybill, type Waybill } from "./programs.ts"
import { type Receiver, startReceiver } from "./receivers.ts"

export interface Outage {
  /** p99 of live events in each round, with the neighbours paused and beside them. */
  readonly aloneP99Ms: readonly number[]
  readonly besideP99Ms: readonly number[]
  /** Deliveries that were held while the endpoint was down. */
  readonly held: number
  readonly rate: number
  /** From the endpoint's return to the last of them. */
  readonly drainSeconds: number
  /** The most that the endpoint got in any ten seconds, for each of them. */
  readonly mostPerSecond: number
}

const ROUNDS = 3
const NEIGHBOURS = 10
const SLOW_MS = 10_000
/** Live events a second, each of which goes to all neighbours as well. */
const LIVE_RATE = 100
const WARM_UP_SECONDS = 3
/** What the endpoint may get a second after its outage: far below what the program can send. */
const DRAIN_RATE = 1_500
const LOOK_MS = 100
const WINDOW_LOOKS = 100
const LIMIT_MS = 600_000

/** Measures both, each with a Waybill of its own. */
export async function measureOutage(
  folder: string,
  receiver: Receiver,
  { deliveries, seconds, file }: { readonly deliveries: number; readonly seconds: number; readonly file: string },
  tell: (line: string) => void,
): Promise<Outage> {
  const home = join(folder, "outage")
  mkdirSync(home)
  const latency = await besideNeighbours(home, receiver, { seconds, file }, tell)
  return { ...latency, ...(await afterOutage(join(folder, "outage", "drain"), deliveries, tell)) }
}

async function besideNeighbours(
  home: string,
  receiver: Receiver,
  { seconds, file }: { readonly seconds: number; readonly file: string },
  tell: (line: string) => void,
): Promise<Pick<Outage, "aloneP99Ms" | "besideP99Ms">> {
  const slow = createServer((request, response) => {
    request.resume()
    setTimeout(() => response.writeHead(204).end(), SLOW_MS).unref()
  }).listen(0, "127.0.0.1")
  await once(slow, "listening")
  const slowUrl = `http://127.0.0.1:${(slow.address() as AddressInfo).port}/`
  const waybill = await startWaybill(home)
  await integrate(waybill, receiver.url, { max_concurrent: 200 })
  const neighbours: string[] = []
  for (let i = 0; i < NEIGHBOURS; i++) {
    neighbours.push(await integrate(waybill, `http://127.0.0.1:${await freePort()}/`, {}))
    neighbours.push(await integrate(waybill, slowUrl, {}))
  }
  const live = async (action: "pause" | "resume"): Promise<number> => {
    for (const id of neighbours) await waybill.call("POST", `/v1/integrations/${id}/${action}`)
    await receiver.latency()
    await offerLoad(waybill, { seconds, rate: LIVE_RATE, warmUpSeconds: WARM_UP_SECONDS, events: file, useWrk: false })
    // The last of them may still be on their way.
    await pause(500)
    return (await receiver.latency()).p99Ms
  }
  const [aloneP99Ms, besideP99Ms]: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round++) {
    aloneP99Ms.push(await live("pause"))
    besideP99Ms.push(await live("resume"))
    tell(`live p99 ${aloneP99Ms.at(-1)?.toFixed(1)} ms, ${besideP99Ms.at(-1)?.toFixed(1)} ms beside dead and slow ones`)
  }
  await waybill.stop("SIGKILL")
  slow.closeAllConnections()
  slow.close()
  return { aloneP99Ms, besideP99Ms }
}

async function afterOutage(
  home: string,
  deliveries: number,
  tell: (line: string) => void,
): Promise<Pick<Outage, "held" | "rate" | "drainSeconds" | "mostPerSecond">> {
  mkdirSync(home)
  const waybill = await startWaybill(home)
  const port = await freePort()
  await integrate(waybill, `http://127.0.0.1:${port}/hook`, {
    max_concurrent: 50,
    max_per_second: DRAIN_RATE,
    // Those that failed before it was left alone are soon tried again, so that all of them are counted.
    retry_delays_ms: Array<number>(50).fill(1_000),
    protection: { rest_ms: 1_000, longest_rest_ms: 2_000 },
  })
  await fill(waybill, deliveries, tell)
  const receiver = await startReceiver({ kind: "own-count", folder: home, port })
  const startedAt = performance.now()
  const counts: number[] = []
  for (let count = 0; count < deliveries; ) {
    if (performance.now() - startedAt > LIMIT_MS)
      throw new Error(`After ten minutes ${count} of ${deliveries} have come.`)
    await pause(LOOK_MS)
    count = await receiver.count()
    counts.push(count)
  }
  const drainSeconds = (performance.now() - startedAt) / 1_000
  await waybill.stop("SIGKILL")
  await receiver.stop()
  const stepMs = (drainSeconds * 1_000) / counts.length
  const perSecond = counts
    .slice(WINDOW_LOOKS)
    .map((count, i) => ((count - (counts[i] ?? 0)) / (WINDOW_LOOKS * stepMs)) * 1_000)
  return { held: deliveries, rate: DRAIN_RATE, drainSeconds, mostPerSecond: Math.max(0, ...perSecond) }
}

async function integrate(waybill: Waybill, url: string, policy: object): Promise<string> {
  const made = await waybill.call("POST", "/v1/integrations", {
    name: "Bench",
    config: { production: { url }, verification: "none" },
    policy,
  })
  if (typeof made === "object" && made !== null && "id" in made && typeof made.id === "string") return made.id
  throw new Error(`Waybill has made an integration without an id: ${JSON.stringify(made)}`)
}
