/**
 * One window of measuring: a program under load for some seconds, with everything that moved meanwhile. A window says
 * itself whether it counts: where the program was not what held things up, it measured something else and is void.
 */
import { cpus } from "node:os"
import { pause } from "./children.ts"
import { type Offered, offerLoad } from "./generators.ts"
import type { Program } from "./programs.ts"
import type { Latency } from "./receiver.ts"
import type { Receiver } from "./receivers.ts"
import { cpuUs, machineCpuUs } from "./usage.ts"

/** Where programs are measured. */
export interface Site {
  readonly receiver: Receiver
  readonly events: string
  readonly useWrk: boolean
}

/** CPU time as shares of one core; `others` is everything on the machine that is not part of the bench. */
export interface Shares {
  readonly program: number
  readonly generator: number
  readonly receiver: number
  readonly others: number
}

export interface Throughput {
  readonly program: Program["name"]
  /** Offered events a second, or null for a closed loop. */
  readonly rate: number | null
  readonly accepted: number
  readonly delivered: number
  readonly refused: number
  readonly broken: number
  /** Delivered events. */
  readonly perSecond: number
  /** CPU time of the whole process for each delivered event. */
  readonly cpuPerEventUs: number
  readonly shares: Shares
  /** What was accepted and not yet delivered at the end, as a share of what was accepted. */
  readonly growth: number
  /** Why the window does not count; empty where it does. */
  readonly voidBecause: readonly string[]
}

export interface LatencyWindow extends Latency {
  readonly program: Program["name"]
  readonly rate: number
  readonly shares: Shares
  readonly voidBecause: readonly string[]
}

/** Below this the program waited for something else; above it a generator or receiver may have held it up. */
const BUSY_SHARE = 0.85
/** With this share of the machine gone to others, it is full at times, and what waits is waiting for them. */
const DISTURBING_SHARE = 0.25
const FLAT_SHARE = 0.02
/** What is under way at any moment is no backlog: connections of the generator and requests to the receiver. */
const UNDER_WAY = 500
const DRAIN_LIMIT_MS = 120_000
const PROBE_SECONDS = 8
/** In this the generator compiles its own code: a new process for each window would otherwise be seen as latency. */
export const LATENCY_WARM_UP_SECONDS = 3

/** Loads a program and sees what comes out at the other end. Waits until all of it has. */
export async function measureThroughput(
  { receiver, events, useWrk }: Site,
  program: Program,
  { seconds, rate }: { seconds: number; rate: number | null },
): Promise<Throughput> {
  const before = await look(program, receiver)
  const offered = await offerLoad(program, { seconds, rate, events, useWrk })
  const after = await look(program, receiver)
  await drain(receiver, before.count + offered.accepted)

  const delivered = after.count - before.count
  const programUs = after.programUs - before.programUs
  // By the generator's own time: a process that is still starting offers nothing yet.
  const loadedUs = offered.seconds * 1e6
  const figures = {
    program: program.name,
    rate,
    accepted: offered.accepted,
    delivered,
    refused: offered.refused,
    broken: offered.broken,
    perSecond: (delivered / loadedUs) * 1e6,
    cpuPerEventUs: programUs / delivered,
    shares: { ...sharesBetween(before, after, offered), program: programUs / loadedUs },
    growth: Math.max(0, offered.accepted - delivered) / offered.accepted,
  }
  return { ...figures, voidBecause: reasonsAgainst(figures) }
}

/** Sends at a fixed rate to the own receiver, which notes when each event arrives. */
export async function measureLatency(
  { receiver, events, useWrk }: Site,
  program: Program,
  { seconds, rate }: { seconds: number; rate: number },
): Promise<LatencyWindow> {
  await receiver.latency()
  const before = await look(program, receiver)
  const pace = { seconds, rate, warmUpSeconds: LATENCY_WARM_UP_SECONDS }
  const offered = await offerLoad(program, { ...pace, events, useWrk })
  const after = await look(program, receiver)
  await drain(receiver, before.count + offered.accepted)
  const latency = await receiver.latency()
  const shares = sharesBetween(before, after, offered)
  return { program: program.name, rate, ...latency, shares, voidBecause: reasonsAgainstLatency(shares) }
}

/**
 * The rate to offer so that what comes in also goes out: null (a closed loop) where the program holds that by itself,
 * else the highest rate that a few steps between what went out and what came in have found to be flat.
 */
export async function findFlatRate(site: Site, program: Program, seconds: number): Promise<number | null> {
  const probe = { seconds: Math.min(seconds, PROBE_SECONDS) }
  const closed = await measureThroughput(site, program, { ...probe, rate: null })
  if (isFlat(closed)) return null
  let flat = 0
  let [low, high] = [closed.perSecond, closed.perSecond / (1 - closed.growth)]
  for (let step = 0; step < 8 && (flat === 0 || step < 4); step++) {
    // Too much work at once may itself have slowed the deliveries down, hence upwards first.
    const rate = (low + high) / 2
    const window = await measureThroughput(site, program, { ...probe, rate })
    if (isFlat(window)) flat = low = rate
    else {
      high = rate
      if (flat === 0) low = Math.min(low, rate * 0.8)
    }
  }
  if (flat === 0) throw new Error(`No rate was found at which ${program.name} delivers as much as it accepts.`)
  return flat
}

/** Whether as much went out as came in. */
export function isFlat({ growth, accepted }: Pick<Throughput, "growth" | "accepted">): boolean {
  return growth <= FLAT_SHARE || growth * accepted <= UNDER_WAY
}

function reasonsAgainst(window: Omit<Throughput, "voidBecause">): string[] {
  const { program, shares, growth, broken } = window
  const reasons: string[] = []
  if (shares.program < BUSY_SHARE) reasons.push(`${program} used only ${percent(shares.program)} of a core`)
  if (shares.generator > BUSY_SHARE) reasons.push(`the load generator used ${percent(shares.generator)} of a core`)
  if (shares.receiver > BUSY_SHARE) reasons.push(`the receiver used ${percent(shares.receiver)} of a core`)
  if (!isFlat(window)) reasons.push(`the backlog grew by ${percent(growth)} of what was accepted`)
  if (broken > 0) reasons.push(`${broken} requests broke off`)
  return reasons
}

/**
 * Here the program is not to be busy, but what sends must keep its pace, what receives must not make anyone wait, and
 * nobody else must take what is left of the machine.
 */
function reasonsAgainstLatency(shares: Shares): string[] {
  const reasons: string[] = []
  if (shares.generator > BUSY_SHARE) reasons.push(`the load generator used ${percent(shares.generator)} of a core`)
  if (shares.receiver > BUSY_SHARE) reasons.push(`the receiver used ${percent(shares.receiver)} of a core`)
  if (shares.others > DISTURBING_SHARE * cpus().length) reasons.push(`others used ${percent(shares.others)} of a core`)
  return reasons
}

/** What everybody had used up to now. */
interface Look {
  readonly count: number
  readonly atUs: number
  readonly programUs: number
  readonly receiverUs: number
  readonly benchUs: number
  readonly machineUs: number
}

async function look(program: Program, receiver: Receiver): Promise<Look> {
  const count = await receiver.count()
  const own = process.cpuUsage()
  return {
    count,
    atUs: performance.now() * 1_000,
    programUs: cpuUs(program.pid),
    receiverUs: cpuUs(receiver.pid),
    benchUs: own.user + own.system,
    machineUs: machineCpuUs(),
  }
}

function sharesBetween(before: Look, after: Look, { cpuShare }: Offered): Shares {
  const share = (used: "programUs" | "receiverUs" | "benchUs" | "machineUs"): number =>
    (after[used] - before[used]) / (after.atUs - before.atUs)
  const [program, receiver] = [share("programUs"), share("receiverUs")]
  const others = Math.max(0, share("machineUs") - program - receiver - cpuShare - share("benchUs"))
  return { program, generator: cpuShare, receiver, others }
}

/** Waits until all that was accepted has arrived, and nothing more comes. Throws where something stays away. */
async function drain(receiver: Receiver, expected: number): Promise<void> {
  const deadline = performance.now() + DRAIN_LIMIT_MS
  for (let last = -1, count = await receiver.count(); count < expected || count !== last; ) {
    if (performance.now() > deadline) throw new Error(`${expected - count} accepted events have not arrived in 120 s.`)
    await pause(200)
    last = count
    count = await receiver.count()
  }
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`
}
