/**
 * The same job on Waybill and on what a Node developer would take instead, measured in one run: round by round, each
 * contender in turn, each from an empty database with nothing of the others beside it. Events a second are whole jobs: all
 * that was accepted, divided by the time from the first request to the last arrival, so that nobody gains by accepting
 * faster than it delivers.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { join } from "node:path"
import { pause } from "./children.ts"
import { type Contender, type ContenderName, startContender, types } from "./contenders.ts"
import { makeEvents } from "./events.ts"
import { CLOSED_CONNECTIONS, type Offer, type Offered, offerLoad } from "./generators.ts"
import { LATENCY_WARM_UP_SECONDS } from "./measure.ts"
import { openPostgres, type PostgresServer } from "./postgres-server.ts"
import type { Latency } from "./receiver.ts"
import { type Receiver, type ReceiverOptions, startReceiver } from "./receivers.ts"
import { redisVersion } from "./redis-server.ts"
import { proveSameJob } from "./same-job.ts"
import { cpuUs, machineCpuUs, treeCpuUs } from "./usage.ts"

/** What one turn of a contender has shown. */
export interface Turn {
  /** Whole jobs, see above. */
  readonly perSecond: number
  readonly accepted: number
  /** Accepted and not delivered when the load ended, as a share of what was accepted. */
  readonly backlog: number
  /** Accepted and never arrived; arrived more often than accepted. Of the events of both windows. */
  readonly missing: number
  readonly surplus: number
  readonly refused: number
  /** CPU time for each job: of the programs, and of the database server where it is known. */
  readonly programUs: number
  readonly storeUs: number | null
  readonly statementsPerJob: number | null
  /** At half of `perSecond`. */
  readonly latency: Latency
  readonly voidBecause: readonly string[]
}

/** A row of the table. */
export interface Row {
  readonly name: ContenderName
  readonly turns: readonly Turn[]
  /** Why it was not measured, or not to the end; null where it was. */
  readonly failure: string | null
}

export interface Comparison {
  readonly seconds: number
  readonly rounds: number
  readonly rows: readonly Row[]
  /** Versions of the servers behind them, and what cannot be known of them. */
  readonly notes: readonly string[]
}

export interface ComparisonOptions {
  readonly names: readonly ContenderName[]
  readonly rounds: number
  readonly seconds: number
  /** Of a server to use in place of one of the bench's own. */
  readonly databaseUrl: string | undefined
  readonly counting: Extract<ReceiverOptions["kind"], "nginx" | "own-count">
  readonly useWrk: boolean
}

const WARM_UP_SECONDS = 5
/** With this share of a core in use, a generator or receiver may have held the others up. */
const BUSY_SHARE = 0.85
const DISTURBING_SHARE = 0.25
/** What still has not arrived when nothing has come for so long is missing: longer than any first retry. */
const PATIENCE_MS = 30_000
/** When all have arrived: for what was accepted without our being told. */
const QUIET_MS = 1_000
const LOOK_MS = 20

/** Measures all that are named. */
export async function compare(
  folder: string,
  options: ComparisonOptions,
  tell: (line: string) => void,
): Promise<Comparison> {
  const home = join(folder, "comparison")
  mkdirSync(home)
  const bodies = makeEvents(types)
  const events = join(home, "events.txt")
  writeFileSync(events, `${bodies.join("\n")}\n`)
  let server: Promise<PostgresServer> | undefined
  const postgres = (): Promise<PostgresServer> => {
    server ??= openPostgres(folder, options.databaseUrl)
    return server
  }
  const rows = options.names.map(name => ({ name, turns: [] as Turn[], failure: null as string | null }))
  tell(`The same job on ${rows.length}, ${options.rounds} rounds of ${options.seconds} s each:`)
  for (let round = 0; round < options.rounds; round++) {
    for (const row of rows.filter(({ failure }) => failure === null)) {
      const place = join(home, `${row.name}-${round + 1}`)
      try {
        const turn = await takeTurn(row.name, { ...options, place, events, postgres, proof: round === 0 && bodies[0] })
        row.turns.push(turn)
        tell(turnLine(row.name, turn))
      } catch (error) {
        row.failure = oneLine(error)
        tell(`${row.name}: not measured: ${row.failure}`)
      }
      rmSync(place, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    }
  }
  const opened = await server?.catch(() => undefined)
  await opened?.stop()
  const redis = options.names.some(name => name.startsWith("bullmq-")) ? redisVersion() : null
  return { seconds: options.seconds, rounds: options.rounds, rows, notes: notesOn(opened, redis) }
}

/** One turn in a line, as it is printed when it has ended. */
export function turnLine(name: ContenderName, turn: Turn): string {
  const { perSecond, latency, programUs, storeUs, statementsPerJob, backlog, missing, surplus, voidBecause } = turn
  return [
    `${name}: ${Math.round(perSecond).toLocaleString("en")} events/s`,
    `p50 ${latency.p50Ms.toFixed(1)} ms and p99 ${latency.p99Ms.toFixed(1)} ms at half of that`,
    `${programUs.toFixed(0)} µs CPU an event${storeUs === null ? "" : ` and ${storeUs.toFixed(0)} of its database`}`,
    statementsPerJob !== null && `${statementsPerJob.toFixed(2)} statements an event`,
    backlog > 0.02 && `${(backlog * 100).toFixed(0)} % still to be delivered when the load ended`,
    missing > 0 && `${missing} MISSING`,
    surplus > 0 && `${surplus} came again`,
    voidBecause.length > 0 && `VOID: ${voidBecause.join("; ")}`,
  ]
    .filter(part => part !== false)
    .join(", ")
}

/** What a turn needs to know. */
interface Round extends ComparisonOptions {
  readonly place: string
  readonly events: string
  readonly postgres: () => Promise<PostgresServer>
  /** An event to prove with that the job is the same; false where that is proved. */
  readonly proof: string | false | undefined
}

async function takeTurn(name: ContenderName, round: Round): Promise<Turn> {
  const { place, counting, proof } = round
  mkdirSync(place, { recursive: true })
  let receiver = await startReceiver({ kind: counting, folder: place })
  const { port, url: receiverUrl } = receiver
  let contender: Contender | undefined
  try {
    contender = await startContender(name, { folder: place, receiverUrl, postgres: round.postgres })
    if (proof) {
      await receiver.stop()
      await proveSameJob(contender, port, proof)
      receiver = await startReceiver({ kind: counting, folder: place, port })
    }
    await warmUp(contender, receiver, round)
    const work = await measureWork(contender, receiver, round)
    await receiver.stop()
    // On the same port, so that the contender goes on as it is.
    receiver = await startReceiver({ kind: "own-latency", folder: place, port })
    const paced = await measureLatency(contender, receiver, { ...round, rate: work.perSecond / 2 })
    return {
      ...work,
      ...paced,
      missing: work.missing + paced.missing,
      surplus: work.surplus + paced.surplus,
    }
  } finally {
    await contender?.stop()
    await receiver.stop()
  }
}

async function warmUp(contender: Contender, receiver: Receiver, round: Round): Promise<void> {
  const before = await receiver.count()
  const { accepted } = await offer(contender, { ...round, seconds: WARM_UP_SECONDS, rate: null })
  await arrival(receiver, before + accepted)
}

async function measureWork(contender: Contender, receiver: Receiver, round: Round): Promise<Omit<Turn, "latency">> {
  const before = await look(contender, receiver)
  const offered = await offer(contender, { ...round, rate: null })
  const endedAt = performance.now()
  const delivered = (await receiver.count()) - before.count
  const arrivedAt = await arrival(receiver, before.count + offered.accepted)
  const after = await look(contender, receiver)

  const seconds = offered.seconds + Math.max(0, arrivedAt - endedAt) / 1_000
  const arrived = after.count - before.count
  const whole = Math.min(arrived, offered.accepted)
  const share = (us: number): number => us / (after.atUs - before.atUs)
  const store = after.storeUs === null || before.storeUs === null ? null : after.storeUs - before.storeUs
  const ours =
    after.programUs - before.programUs + (after.receiverUs - before.receiverUs) + after.benchUs - before.benchUs
  const generatorUs = offered.cpuShare * offered.seconds * 1e6
  const others = Math.max(0, share(after.machineUs - before.machineUs - ours - (store ?? 0) - generatorUs))
  const statements =
    after.statements === null || before.statements === null ? null : after.statements - before.statements
  return {
    perSecond: whole / seconds,
    accepted: offered.accepted,
    backlog: Math.max(0, offered.accepted - delivered) / offered.accepted,
    missing: Math.max(0, offered.accepted - arrived),
    // What broke off, or was under way when wrk ended, may have been accepted.
    surplus: Math.max(0, arrived - offered.accepted - offered.broken - CLOSED_CONNECTIONS),
    refused: offered.refused,
    programUs: (after.programUs - before.programUs) / whole,
    storeUs: store === null ? null : store / whole,
    statementsPerJob: statements === null ? null : statements / whole,
    voidBecause: reasonsAgainst({
      generator: offered.cpuShare,
      receiver: share(after.receiverUs - before.receiverUs),
      // A server whose CPU time is not known would be among them.
      others: contender.store !== null && store === null ? 0 : others,
      broken: offered.broken,
    }),
  }
}

async function measureLatency(
  contender: Contender,
  receiver: Receiver,
  round: Round & { readonly rate: number },
): Promise<Pick<Turn, "latency" | "missing" | "surplus">> {
  const { accepted, broken } = await offer(contender, { ...round, warmUpSeconds: LATENCY_WARM_UP_SECONDS })
  await arrival(receiver, accepted)
  const arrived = await receiver.count()
  return {
    latency: await receiver.latency(),
    missing: Math.max(0, accepted - arrived),
    surplus: Math.max(0, arrived - accepted - broken),
  }
}

/** Loads all processes of a contender at once, with the connections and the rate that one would have got. */
async function offer({ targets }: Contender, load: Offer): Promise<Offered> {
  const [connections, rate] = [CLOSED_CONNECTIONS / targets.length, load.rate && load.rate / targets.length]
  const parts = await Promise.all(
    targets.map(target => offerLoad(target, { ...load, rate, connections: Math.ceil(connections) })),
  )
  const sum = (pick: (part: Offered) => number): number => parts.reduce((total, part) => total + pick(part), 0)
  return {
    answered: sum(part => part.answered),
    accepted: sum(part => part.accepted),
    refused: sum(part => part.refused),
    broken: sum(part => part.broken),
    seconds: Math.max(...parts.map(part => part.seconds)),
    // Each is a process of its own, so that none may be busy.
    cpuShare: sum(part => part.cpuShare),
  }
}

/** Waits until so many have arrived and nothing more comes; gives when the last of them came. */
async function arrival(receiver: Receiver, expected: number): Promise<number> {
  let [count, at] = [await receiver.count(), performance.now()]
  let completeAt: number | null = null
  while (performance.now() - at < (count < expected ? PATIENCE_MS : QUIET_MS)) {
    if (count >= expected) completeAt ??= at
    await pause(LOOK_MS)
    const now = await receiver.count()
    if (now > count) [count, at] = [now, performance.now()]
  }
  return completeAt ?? at
}

/** What everybody had used up to now. */
interface Look {
  readonly count: number
  readonly atUs: number
  readonly programUs: number
  readonly storeUs: number | null
  readonly receiverUs: number
  readonly benchUs: number
  readonly machineUs: number
  readonly statements: number | null
}

async function look(contender: Contender, receiver: Receiver): Promise<Look> {
  const [count, statements] = [await receiver.count(), await contender.statements()]
  const own = process.cpuUsage()
  return {
    count,
    statements,
    atUs: performance.now() * 1_000,
    programUs: contender.pids.reduce((sum, pid) => sum + cpuUs(pid), 0),
    storeUs: contender.store?.pid == null ? null : treeCpuUs(contender.store.pid),
    receiverUs: cpuUs(receiver.pid),
    benchUs: own.user + own.system,
    machineUs: machineCpuUs(),
  }
}

/** The contender need not be busy here, as its database may be; but nobody else may have held it up. */
function reasonsAgainst(use: { generator: number; receiver: number; others: number; broken: number }): string[] {
  const percent = (share: number): string => `${(share * 100).toFixed(0)} % of a core`
  const reasons: string[] = []
  if (use.generator > BUSY_SHARE) reasons.push(`the load generator used ${percent(use.generator)}`)
  if (use.receiver > BUSY_SHARE) reasons.push(`the receiver used ${percent(use.receiver)}`)
  if (use.others > DISTURBING_SHARE * cpus().length) reasons.push(`others used ${percent(use.others)}`)
  if (use.broken > 0) reasons.push(`${use.broken} requests broke off`)
  return reasons
}

function notesOn(server: PostgresServer | undefined, redis: string | null): string[] {
  return [
    server?.description,
    server?.notCounted && `Statements are not counted: ${server.notCounted}`,
    redis && `${redis}, appendonly yes`,
  ].filter(note => typeof note === "string")
}

/** The end of what went wrong, in the words of the program that it went wrong in. */
function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  const lines = text.trim().split("\n")
  const said = lines.findIndex(line => line.endsWith("It said:"))
  return lines
    .slice(said + 1)
    .slice(-3)
    .join(" ")
    .slice(-400)
}
