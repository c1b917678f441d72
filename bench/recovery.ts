/**
 * What a recovery costs: memory and time while a million withheld events are sent again, and what live events take beside
 * it, measured in turns with the recovery paused, so that whatever else the machine does falls on both.
 */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { fill } from "./backlog.ts"
import { freePort, pause } from "./children.ts"
import { offerLoad } from "./generators.ts"
import { startWaybill, type Waybill } from "./programs.ts"
import type { Receiver } from "./receivers.ts"
import { peakMemoryBytes } from "./usage.ts"

export interface Recovery {
  readonly events: number
  /** Once nothing else was to be done. */
  readonly perSecond: number
  /** The most that was resident, in a process that did nothing else. */
  readonly peakBytes: number
  /** p99 of live events in each round, while the recovery was paused and while it ran; null where it ended before. */
  readonly aloneP99Ms: readonly number[]
  readonly besideP99Ms: readonly number[]
}

const ROUNDS = 3
/** Live events a second: far below what the program bears, so that only the recovery can make them wait. */
const LIVE_RATE = 300
const WARM_UP_SECONDS = 3
const LIMIT_MS = 3_600_000

/** Has events withheld by a new Waybill, then mends the integration, restarts and recovers all of them. */
export async function measureRecovery(
  folder: string,
  receiver: Receiver,
  { events, liveSeconds, file }: { readonly events: number; readonly liveSeconds: number; readonly file: string },
  tell: (line: string) => void,
): Promise<Recovery> {
  const home = join(folder, "recovery")
  mkdirSync(home)
  const first = await startWaybill(home)
  const id = await createUnverified(first)
  await fill(first, events, tell)
  await first.call("PATCH", `/v1/integrations/${id}`, {
    config: { production: { url: receiver.url }, verification: "none" },
    policy: { max_concurrent: 200 },
  })
  await first.stop()

  let waybill = await startWaybill(home)
  const live = async (): Promise<number> => {
    await receiver.latency()
    const pace = { seconds: liveSeconds, rate: LIVE_RATE, warmUpSeconds: WARM_UP_SECONDS }
    await offerLoad(waybill, { ...pace, events: file, useWrk: false })
    // The last of them may still be on their way.
    await pause(500)
    return (await receiver.latency()).p99Ms
  }
  const from = new Date(Date.now() - 86_400_000).toISOString()
  const recovery = readRecovery(await waybill.call("POST", "/v1/recoveries", { from, integrations: id }))
  const path = `/v1/recoveries/${recovery.id}`
  const look = async () => readRecovery(await waybill.call("GET", path))
  const [aloneP99Ms, besideP99Ms]: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round++) {
    const p99Ms = await live()
    if ((await look()).state !== "running") break
    besideP99Ms.push(p99Ms)
    await waybill.call("POST", `${path}/pause`)
    aloneP99Ms.push(await live())
    await waybill.call("POST", `${path}/resume`)
    const now = await look()
    tell(
      `${now.delivered.toLocaleString("en")} recovered; live p99 ${p99Ms.toFixed(1)} ms, alone ${aloneP99Ms.at(-1)?.toFixed(1)} ms`,
    )
  }
  // A process that has done nothing else, or the memory would be that of the live load.
  await waybill.stop("SIGKILL")
  waybill = await startWaybill(home)
  const startedAt = performance.now()
  const before = await look()
  let now = before
  while (now.state === "running") {
    if (performance.now() - startedAt > LIMIT_MS)
      throw new Error(`After an hour ${now.delivered} of ${events} are recovered.`)
    await pause(1_000)
    now = await look()
  }
  const seconds = (performance.now() - startedAt) / 1_000
  if (now.delivered < events) throw new Error(`The recovery has delivered ${now.delivered} of ${events} events.`)
  const peakBytes = peakMemoryBytes(waybill.pid)
  await waybill.stop("SIGKILL")
  return {
    events,
    perSecond: (now.delivered - before.delivered) / seconds,
    peakBytes,
    aloneP99Ms,
    besideP99Ms,
  }
}

/** An integration whose endpoint does not pass verification, as nobody listens there: all events are withheld. */
async function createUnverified(waybill: Waybill): Promise<string> {
  const url = `http://127.0.0.1:${await freePort()}/hook`
  const made = await waybill.call("POST", "/v1/integrations", {
    name: "Bench",
    config: { production: { url }, verification: "status" },
  })
  if (typeof made === "object" && made !== null && "id" in made && typeof made.id === "string") return made.id
  throw new Error(`Waybill has made an integration without an id: ${JSON.stringify(made)}`)
}

function readRecovery(value: unknown): { readonly id: string; readonly state: string; readonly delivered: number } {
  const { id, state, progress } = value as { id: string; state: string; progress: { delivered: number } }
  return { id, state, delivered: progress.delivered }
}
