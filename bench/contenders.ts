/**
 * Who does the same job in the comparison (HTTP in, durable, signed webhook out, each attempt recorded, retries), and how
 * each is started: Waybill on its own and on PostgreSQL, and what a Node developer would take instead (others/).
 *
 * All have the same twelve destinations, and an event goes to the one that its type belongs to: one delivery for an event
 * is the shape that is the same for everybody.
 */
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { type Child, freePort, startChild, waitFor } from "./children.ts"
import type { Target } from "./generators.ts"
import type { PostgresServer } from "./postgres-server.ts"
import { apiKey, createIntegration, startWaybill, type Waybill } from "./programs.ts"
import { type Fsync, redisVersion, startRedis } from "./redis-server.ts"

export const contenderNames = [
  "waybill",
  "postgres-1",
  "postgres-2",
  "postgres-3",
  "pg-boss",
  "graphile-worker",
  "bullmq-always",
  "bullmq-everysec",
] as const
export type ContenderName = (typeof contenderNames)[number]

/** A program, or several of them, in place to do the job. */
export interface Contender {
  readonly name: ContenderName
  /** One for each of its processes, among which events are spread. */
  readonly targets: readonly Target[]
  readonly pids: readonly number[]
  /** The database server, where it has one; its process is not known where the bench was given the server. */
  readonly store: { readonly pid: number | null } | null
  /** The statuses that an event's attempts were answered with. */
  attemptsOf(eventId: string): Promise<readonly (number | null)[]>
  /** Statements that the database has run for it; null where there is none or they are not counted. */
  statements(): Promise<number | null>
  stop(): Promise<void>
}

/** Where contenders are started. */
export interface Ground {
  /** For one start: data and logs. */
  readonly folder: string
  /** The receiver's URL. */
  readonly receiverUrl: string
  /** Starts the server at the first call. */
  postgres(): Promise<PostgresServer>
}

/** The types of the events, each of which has its destination. */
export const types: readonly string[] = Array.from({ length: 12 }, (_, i) => `bench_${String(i + 1).padStart(2, "0")}`)
/** Signs for all destinations. */
export const webhookSecret = `whsec_${randomBytes(32).toString("base64")}`

const START_LIMIT_MS = 60_000
const othersFolder = join(import.meta.dirname, "others")

/** Starts one, ready to be given events. Throws where it cannot be had, with a sentence that says why. */
export async function startContender(name: ContenderName, ground: Ground): Promise<Contender> {
  mkdirSync(ground.folder, { recursive: true })
  switch (name) {
    case "waybill":
      return contenderOf(name, await startWaybills([ground.folder], ground), null)
    case "postgres-1":
      return startOnPostgres(name, 1, ground)
    case "postgres-2":
      return startOnPostgres(name, 2, ground)
    case "postgres-3":
      return startOnPostgres(name, 3, ground)
    case "pg-boss":
    case "graphile-worker":
      return startPostgresQueue(name, ground)
    case "bullmq-always":
      return startBullmq(name, "always", ground)
    case "bullmq-everysec":
      return startBullmq(name, "everysec", ground)
  }
}

/** How it is called in the table. */
export function titleOf(name: ContenderName): string {
  switch (name) {
    case "waybill":
      return "Waybill, embedded database"
    case "postgres-1":
      return "Waybill on PostgreSQL, 1 process"
    case "postgres-2":
      return "Waybill on PostgreSQL, 2 processes"
    case "postgres-3":
      return "Waybill on PostgreSQL, 3 processes"
    case "pg-boss":
    case "graphile-worker":
      return `${name} ${pinnedVersion(name)}`
    case "bullmq-always":
      return `BullMQ ${pinnedVersion("bullmq")}, appendfsync always`
    case "bullmq-everysec":
      return `BullMQ ${pinnedVersion("bullmq")}, appendfsync everysec`
  }
}

/** The processes are equal; the first is there before the others, as in any rolling start. */
async function startOnPostgres(name: ContenderName, processes: number, ground: Ground): Promise<Contender> {
  const server = await ground.postgres()
  const database = databaseName(name)
  const url = await server.freshDatabase(database)
  const homes = Array.from({ length: processes }, (_, i) => join(ground.folder, String(i + 1)))
  return contenderOf(name, await startWaybills(homes, ground, url), { server, database })
}

/** Starts one for each folder, and sets up the destinations; if anything goes wrong, none of them stays. */
async function startWaybills(
  homes: readonly string[],
  { receiverUrl }: Ground,
  databaseUrl?: string,
): Promise<Waybill[]> {
  const waybills: Waybill[] = []
  try {
    for (const home of homes) {
      mkdirSync(home, { recursive: true })
      waybills.push(await startWaybill(home, databaseUrl))
    }
    const [first] = waybills
    if (first === undefined) throw new Error("No process of Waybill was asked for.")
    for (const type of types) {
      await createIntegration(first, destinationOf(receiverUrl, type), { type, secret: webhookSecret })
    }
    return waybills
  } catch (error) {
    for (const waybill of waybills) await waybill.stop("SIGKILL")
    throw error
  }
}

function contenderOf(
  name: ContenderName,
  waybills: readonly Waybill[],
  on: { readonly server: PostgresServer; readonly database: string } | null,
): Contender {
  return {
    name,
    targets: waybills,
    pids: waybills.map(waybill => waybill.pid),
    store: on?.server ?? null,
    attemptsOf: async id => readEventAttempts(await waybills[0]?.call("GET", `/v1/events/${id}`)),
    statements: async () => countedStatements(on),
    async stop() {
      await Promise.all(waybills.map(waybill => waybill.stop()))
    },
  }
}

async function startPostgresQueue(name: "pg-boss" | "graphile-worker", ground: Ground): Promise<Contender> {
  installOthers()
  const server = await ground.postgres()
  const database = databaseName(name)
  const databaseUrl = await server.freshDatabase(database)
  const { child, target } = await startOther(name, ground, { DATABASE_URL: databaseUrl })
  return {
    ...otherOf(name, child, target),
    store: server,
    statements: () => countedStatements({ server, database }),
    stop: () => child.stop(),
  }
}

async function startBullmq(name: ContenderName, fsync: Fsync, ground: Ground): Promise<Contender> {
  if (redisVersion() === null) throw new Error("redis-server is not installed")
  installOthers()
  const redis = await startRedis(ground.folder, "redis", fsync)
  try {
    const { child, target } = await startOther("bullmq", ground, { REDIS_URL: redis.url })
    return {
      ...otherOf(name, child, target),
      store: redis,
      statements: async () => null,
      async stop() {
        await child.stop()
        await redis.stop()
      },
    }
  } catch (error) {
    await redis.stop()
    throw error
  }
}

async function startOther(
  program: string,
  { folder, receiverUrl }: Ground,
  store: Readonly<Record<string, string>>,
): Promise<{ child: Child; target: Target }> {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const child = startChild({
    command: process.execPath,
    args: [join(othersFolder, `${program}.ts`)],
    environment: {
      PORT: String(port),
      API_KEY: apiKey,
      WEBHOOK_SECRET: webhookSecret,
      DESTINATIONS: JSON.stringify(Object.fromEntries(types.map(type => [type, destinationOf(receiverUrl, type)]))),
      NODE_ENV: "production",
      ...store,
    },
    log: join(folder, `${program}.log`),
  })
  try {
    await waitFor(child, `answer from ${program}`, START_LIMIT_MS, () => isReady(`${origin}/readyz`))
  } catch (error) {
    await child.stop("SIGKILL")
    throw error
  }
  return { child, target: { url: `${origin}/v1/events`, key: apiKey } }
}

async function isReady(url: string): Promise<boolean> {
  const { status } = await fetch(url, { headers: { authorization: `Bearer ${apiKey}` } })
  return status === 200
}

function otherOf(name: ContenderName, child: Child, target: Target) {
  return {
    name,
    targets: [target],
    pids: [child.pid],
    async attemptsOf(eventId: string) {
      const headers = { authorization: `Bearer ${target.key}` }
      const response = await fetch(`${target.url}/${eventId}/attempts`, { headers })
      const { data } = (await response.json()) as { data: { status: number | null }[] }
      return data.map(({ status }) => status)
    },
  }
}

/** The answers to an event's attempts as Waybill tells them, over all of its deliveries. */
function readEventAttempts(event: unknown): (number | null)[] {
  const { deliveries } = event as { deliveries: { attempts: { status: number | null }[] }[] }
  return deliveries.flatMap(({ attempts }) => attempts.map(attempt => attempt.status))
}

async function countedStatements(on: { server: PostgresServer; database: string } | null): Promise<number | null> {
  return on === null || on.server.notCounted !== null ? null : on.server.statements(on.database)
}

function destinationOf(receiverUrl: string, type: string): string {
  return `${receiverUrl}/${type}`
}

function databaseName(name: ContenderName): string {
  return `bench_${name.replaceAll("-", "_")}`
}

/** Their packages are no part of Waybill's: they are installed when they are needed, exactly as locked. */
function installOthers(): void {
  const [locked, installed] = ["package-lock.json", "node_modules/.package-lock.json"].map(name =>
    join(othersFolder, name),
  ) as [string, string]
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(locked).mtimeMs) return
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]
  const windows = process.platform === "win32"
  const { status, error, stderr } = spawnSync("npm", args, { cwd: othersFolder, encoding: "utf8", shell: windows })
  if (status !== 0) throw new Error(`npm ci in bench/others has failed: ${error?.message ?? stderr}`)
}

function pinnedVersion(name: string): string {
  const found: unknown = JSON.parse(readFileSync(join(othersFolder, "package.json"), "utf8"))
  const { dependencies } = found as { dependencies: Record<string, string> }
  return dependencies[name] ?? "unknown"
}
