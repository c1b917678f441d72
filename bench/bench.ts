/**
 * How fast Waybill is, and what it costs, beside a program that does the same without keeping anything (bare.ts). Both
 * run in the same minutes, in turn, because only their ratio survives a busy machine.
 *
 *     npm run bench -- [--seconds <n>] [--only bare|waybill|backlog|recovery|outage|others|postgres] [--backlog <n>]
 *                      [--recovery <n>] [--outage <n>] [--rounds <n>] [--database-url <url>] [--own-tools]
 *
 * Others: the same job on other queues, beside Waybill with its embedded database and on PostgreSQL (comparison.ts); each of
 * those by its name as well, such as pg-boss. Rounds: of that comparison. Database URL: a PostgreSQL to use in place of the
 * bench's own, as a user who may make databases; those that are called bench_… are dropped. Own tools: the load generator
 * and the receiver of this folder, also where wrk and nginx are installed.
 *
 * Everything lies in a temporary folder of results/ (on the disk of the repository: a memory disk would flatter) and
 * goes at the end; results/latest.json stays. Exits with 0 unless the run itself failed, whatever the figures say.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { measureBacklog } from "./backlog.ts"
import { type Findings, median } from "./bars.ts"
import { compare } from "./comparison.ts"
import { type ContenderName, contenderNames } from "./contenders.ts"
import { makeEvents } from "./events.ts"
import { commandLine, type Offer } from "./generators.ts"
import { describeMachine, machineLine } from "./machine.ts"
import {
  findFlatRate,
  isFlat,
  LATENCY_WARM_UP_SECONDS,
  type LatencyWindow,
  measureLatency,
  measureThroughput,
  type Site,
  type Throughput,
} from "./measure.ts"
import { measureOutage } from "./outage.ts"
import { createIntegration, type Program, startBare, startWaybill } from "./programs.ts"
import { startReceiver } from "./receivers.ts"
import { measureRecovery } from "./recovery.ts"
import {
  backlogLine,
  latencyLine,
  outageLine,
  quotableLine,
  type Result,
  recoveryLine,
  tables,
  throughputLine,
} from "./report.ts"
import { peakMemoryBytes } from "./usage.ts"

/** A program that is measured, and what was found so far. */
interface Subject {
  readonly program: Program
  readonly throughput: Throughput[]
  readonly latency: LatencyWindow[]
  /** What it is offered: null for a closed loop. */
  rate: number | null
}

const ROUNDS = 3
const WARM_UP_SECONDS = 5
/** A rate that turned out to be too much in a long window is lowered by this for the windows after it. */
const LOWER = 0.95
/** What can be measured alone. */
const alone = ["bare", "backlog", "recovery", "outage", "others", "postgres"] as const
const parts = [...alone, ...contenderNames]

const options = readOptions()
const results = join(import.meta.dirname, "results")
mkdirSync(results, { recursive: true })
const folder = mkdtempSync(join(results, "run-"))
process.on("exit", code => {
  // A program that was killed a moment ago may still be writing, hence more than one try.
  if (code === 1) console.error(`What the programs said and stored stays in ${folder}.`)
  else rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
})
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130))

const events = join(folder, "events.txt")
writeFileSync(events, `${makeEvents().join("\n")}\n`)
const machine = describeMachine(folder, !options.ownTools)
const useWrk = machine.wrk !== null
const commands: string[] = []
say(machineLine(machine))

const result = await run()
const line = quotableLine(result)
say(`\n${tables(result)}\n${line === null ? "" : `\n${line}`}`)
writeFileSync(join(results, "latest.json"), `${JSON.stringify({ line, ...result }, null, 2)}\n`)
process.exit(0)

async function run(): Promise<Result> {
  const at = new Date().toISOString()
  const counting = { kind: machine.nginx === null ? "own-count" : "nginx", folder } as const
  let receiver = await startReceiver(counting)
  const { port } = receiver
  const subjects = await startSubjects(receiver.url)
  if (subjects.length > 0) {
    await measureThroughputs(subjects, { receiver, events, useWrk })
    await receiver.stop()
    // On the same port, so that the programs go on as they are.
    receiver = await startReceiver({ kind: "own-latency", folder, port })
    await measureLatencies(subjects, { receiver, events, useWrk })
    await receiver.stop()
    receiver = await startReceiver({ ...counting, port })
  }
  const found = { bare: await findingsOf(subjects, "bare"), waybill: await findingsOf(subjects, "waybill") }
  const backlog = options.backlog > 0 ? await measureBacklog(folder, receiver, options.backlog, say) : null
  if (backlog !== null) say(backlogLine(backlog))
  await receiver.stop()
  const recovery = options.recovery > 0 ? await recover(port) : null
  const outage = options.outage > 0 ? await sufferOutage(port) : null
  const comparison = options.contenders.length > 0 ? await compareThem() : null
  return {
    at,
    version: readVersion(),
    seconds: options.seconds,
    machine,
    commands,
    ...found,
    backlog,
    recovery,
    outage,
    comparison,
  }
}

function compareThem(): Promise<Result["comparison"]> {
  const { contenders: names, rounds, seconds, databaseUrl } = options
  const counting = machine.nginx === null ? "own-count" : "nginx"
  return compare(folder, { names, rounds, seconds, databaseUrl, counting, useWrk }, say)
}

/** To the own receiver, which notes when live events arrive. */
async function recover(port: number): Promise<Result["recovery"]> {
  const receiver = await startReceiver({ kind: "own-latency", folder, port })
  const size = { events: options.recovery, liveSeconds: Math.min(options.seconds, 10), file: events }
  const recovery = await measureRecovery(folder, receiver, size, say)
  say(recoveryLine(recovery))
  await receiver.stop()
  return recovery
}

/** To the own receiver as well. */
async function sufferOutage(port: number): Promise<Result["outage"]> {
  const receiver = await startReceiver({ kind: "own-latency", folder, port })
  const size = { deliveries: options.outage, seconds: Math.min(options.seconds, 10), file: events }
  const outage = await measureOutage(folder, receiver, size, say)
  say(outageLine(outage))
  await receiver.stop()
  return outage
}

async function startSubjects(target: string): Promise<Subject[]> {
  const programs: Program[] = []
  if (options.only === undefined || options.only === "bare") programs.push(await startBare(folder, target))
  if (options.only === undefined || options.only === "waybill") {
    const waybill = await startWaybill(folder)
    await createIntegration(waybill, target)
    programs.push(waybill)
  }
  return programs.map(program => ({ program, throughput: [], latency: [], rate: null }))
}

/** Finds out what each can be offered, which also warms it up, then measures them in turn. */
async function measureThroughputs(subjects: readonly Subject[], site: Site): Promise<void> {
  const { seconds } = options
  for (const subject of subjects) {
    await measureThroughput(site, subject.program, { seconds: WARM_UP_SECONDS, rate: null })
    subject.rate = await findFlatRate(site, subject.program, seconds)
    tellCommand(subject.program, { seconds, rate: subject.rate })
  }
  say(`Throughput, ${ROUNDS} rounds of ${seconds} s each:`)
  for (let round = 0; round < ROUNDS; round++) {
    for (const subject of subjects) {
      const window = await measureThroughput(site, subject.program, { seconds, rate: subject.rate })
      say(throughputLine(window))
      subject.throughput.push(window)
      if (!isFlat(window)) subject.rate = (subject.rate ?? window.perSecond) * LOWER
    }
  }
}

/** At half of what each has sustained. */
async function measureLatencies(subjects: readonly Subject[], site: Site): Promise<void> {
  const { seconds } = options
  const paced = subjects.map(subject => {
    const sustained = median(subject.throughput, window => window.perSecond)
    return { ...subject, rate: Math.round((sustained?.value ?? 0) / 2) }
  })
  for (const { program, rate } of paced) {
    await measureLatency(site, program, { seconds: WARM_UP_SECONDS, rate })
    tellCommand(program, { seconds, rate, warmUpSeconds: LATENCY_WARM_UP_SECONDS })
  }
  say(`Latency from request to receiver at half of that, ${ROUNDS} rounds of ${seconds} s each:`)
  for (let round = 0; round < ROUNDS; round++) {
    for (const { program, rate, latency } of paced) {
      const window = await measureLatency(site, program, { seconds, rate })
      say(latencyLine(window))
      latency.push(window)
    }
  }
}

/** Ends a program and gives what was found; null where it was not measured. */
async function findingsOf(subjects: readonly Subject[], name: Program["name"]): Promise<Findings | null> {
  const subject = subjects.find(({ program }) => program.name === name)
  if (subject === undefined) return null
  const peakBytes = peakMemoryBytes(subject.program.pid)
  await subject.program.stop()
  return { throughput: subject.throughput, latency: subject.latency, peakBytes }
}

function tellCommand(program: Program, pace: Pick<Offer, "seconds" | "rate" | "warmUpSeconds">): void {
  const command = commandLine(program, { ...pace, events, useWrk })
  commands.push(command)
  say(`$ ${command}`)
}

function readOptions() {
  const values = parseFlags()
  const { only } = values
  const part = parts.find(name => name === only)
  const seconds = Number(values.seconds)
  // One program alone is looked at while it is worked on; a million deliveries take minutes.
  const backlog = Number(values.backlog ?? (part === undefined || part === "backlog" ? 1_000_000 : 0))
  const recovery = Number(values.recovery ?? (part === undefined || part === "recovery" ? 1_000_000 : 0))
  const outage = Number(values.outage ?? (part === undefined || part === "outage" ? 100_000 : 0))
  if (only !== undefined && part === undefined) {
    refuse(`--only ${only} is none of ${parts.join(", ")}.`)
  }
  if (!Number.isInteger(seconds) || seconds < 1) refuse(`--seconds ${values.seconds} is no whole number of seconds.`)
  if (!Number.isInteger(backlog) || backlog < 0) refuse(`--backlog ${values.backlog} is no number of deliveries.`)
  if (!Number.isInteger(recovery) || recovery < 0) refuse(`--recovery ${values.recovery} is no number of events.`)
  if (!Number.isInteger(outage) || outage < 0) refuse(`--outage ${values.outage} is no number of deliveries.`)
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1) refuse(`--rounds ${values.rounds} is no number of rounds.`)
  const contenders = contendersOf(part)
  const databaseUrl = values["database-url"]
  return {
    seconds,
    only: part,
    backlog,
    recovery,
    outage,
    rounds,
    contenders,
    databaseUrl,
    ownTools: values["own-tools"],
  }
}

/** Whom a part compares: "waybill" alone is compared with bare only. */
function contendersOf(part: (typeof parts)[number] | undefined): readonly ContenderName[] {
  if (part === undefined || part === "others") return contenderNames
  if (part === "postgres") return contenderNames.filter(name => name.startsWith("postgres-"))
  return contenderNames.filter(name => name === part && name !== "waybill")
}

function parseFlags() {
  try {
    return parseArgs({
      options: {
        seconds: { type: "string", default: "30" },
        only: { type: "string" },
        backlog: { type: "string" },
        recovery: { type: "string" },
        outage: { type: "string" },
        rounds: { type: "string", default: String(ROUNDS) },
        "database-url": { type: "string" },
        "own-tools": { type: "boolean", default: false },
      },
    }).values
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error))
  }
}

function refuse(sentence: string): never {
  console.error(sentence)
  process.exit(2)
}

function readVersion(): string {
  const found: unknown = JSON.parse(readFileSync(join(import.meta.dirname, "../package.json"), "utf8"))
  return typeof found === "object" && found !== null && "version" in found ? String(found.version) : "unknown"
}

function say(text: string): void {
  console.log(text)
}
