/** The program under test: started whole in a process of its own, or in this one with a clock that the test turns. */
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes, randomInt } from "node:crypto"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "node:test"
import { type Dispatcher, request } from "undici"
import type { TimeLimits } from "../../src/api/server.ts"
import { readConfig } from "../../src/config.ts"
import { start } from "../../src/main.ts"
import { watchContract } from "./document.ts"
import { newPlace, type Place, settingsOf } from "./engines.ts"

/** The API key of every Waybill that a test starts. */
export const testKey = "wb_test_000000000000000000000000"

/** Secrets by their forms: none of them stands in a log (API-30). */
const secretText = /whs(?:ec|k)_[\w+/]{20}|wb_(?:live|test|pt)_\w{20}|\b(?:Bearer|Basic) [\w+/.-]{8}/

const cli = join(import.meta.dirname, "../../src/cli.ts")
const running = new Set<ChildProcess>()
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})

/** Something with an API. */
export interface Reachable {
  readonly url: string
  readonly key: string
}

/** A Waybill in a process of its own. */
export interface Waybill extends Reachable {
  readonly pid: number
  readonly dataDir: string
  /** From the start of the process to the line that says where it listens. */
  readonly startMs: number
  /** Sends a signal; wait for `stopped` to know that it is gone. */
  kill(signal: NodeJS.Signals): void
  /** Resolves when the process has ended, however it did. */
  readonly stopped: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  /** What it has said so far on standard output and error. */
  output(): string
}

export interface StartOptions {
  readonly dataDir: string
  /** A free one where it is left out. */
  readonly port?: number
  readonly env?: Readonly<Record<string, string>>
  /** A program that becomes Waybill, such as `["prlimit", "--nofile=64"]`. */
  readonly through?: readonly string[]
  /** Told the process's id as soon as there is one: for those who end it before it listens. */
  readonly spawned?: (pid: number) => void
}

/**
 * Starts `waybill serve`; resolves when it listens and throws, with what it said, where it ends before that. It
 * is killed with the test, if it has not ended before.
 */
export async function startWaybill(
  t: TestContext,
  { dataDir, port, env, through = [], spawned }: StartOptions,
): Promise<Waybill> {
  const [command = "", ...args] = [...through, process.execPath, cli, "serve"]
  const { databaseUrl, allowUnsafeDatabase } = settingsOf(await placeAt(dataDir))
  const onPostgres = databaseUrl !== undefined && env?.["DATABASE_URL"] === undefined
  const startedAt = performance.now()
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"],
      // As scripts/run.mjs starts it.
      NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"],
      PORT: String(port ?? 0),
      WAYBILL_DATA_DIR: dataDir,
      WAYBILL_API_KEY: testKey,
      WAYBILL_LOG_LEVEL: "warn",
      ...(onPostgres ? { DATABASE_URL: databaseUrl, WAYBILL_ALLOW_UNSAFE_DATABASE: allowUnsafeDatabase } : {}),
      ...env,
    },
  })
  running.add(child)
  spawned?.(child.pid ?? 0)
  t.after(() => child.kill("SIGKILL"))
  t.after(() => leavePlace(dataDir))
  const stopped = once(child, "exit").then(([code, signal]) => {
    running.delete(child)
    return { code, signal } as Awaited<Waybill["stopped"]>
  })
  let output = ""
  let leaked = ""
  t.after(() => {
    if (leaked !== "") throw new Error(`A secret stands in the log: ${leaked}`)
  })
  const url = await new Promise<string>((resolve, reject) => {
    const hear = (chunk: string): void => {
      // The end is enough to know what went wrong, however long it runs.
      output = (output + chunk).slice(-20_000)
      const [, found] = /listens on (http:\/\/\S+)/.exec(output) ?? []
      if (found !== undefined) resolve(found)
    }
    child.stdout.setEncoding("utf8").on("data", hear)
    // Not standard output, which shows people what to type first.
    let log = ""
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      // With the end of what came before: a piece may end within a secret.
      log = log.slice(-100) + chunk
      leaked ||= secretText.exec(log)?.[0] ?? ""
      hear(chunk)
    })
    child.on("error", reject)
    child.on("close", () => reject(new Error(`Waybill ended before it listened:\n${output}`)))
  })
  watchContract(url)
  const startMs = performance.now() - startedAt
  return {
    url,
    key: testKey,
    pid: child.pid ?? 0,
    dataDir,
    startMs,
    kill: signal => void child.kill(signal),
    stopped,
    output: () => output,
  }
}

/** A Waybill in this process. */
export interface OpenWaybill extends Reachable {
  readonly dataDir: string
  stop(): Promise<void>
}

/**
 * Opens Waybill in this process, on a free port, with its real store and real sockets and the clock that it is given. It
 * stops with the test, if not before.
 */
export async function openWaybill(
  t: TestContext,
  options: { readonly dataDir: string; readonly now?: () => number; readonly timeLimits?: TimeLimits },
): Promise<OpenWaybill> {
  const { dataDir, now, timeLimits } = options
  const reading = readConfig(
    { dataDir, port: "0", apiKey: testKey, logLevel: "silent", ...settingsOf(await placeAt(dataDir)) },
    {},
  )
  if ("faults" in reading) throw new Error(reading.faults.join("\n"))
  const { url, stop } = await start(reading.config, now, undefined, timeLimits)
  t.after(stop)
  t.after(() => leavePlace(dataDir))
  watchContract(url)
  return { url, key: testKey, dataDir, stop }
}

/** Where programs on a data folder have their store: on PostgreSQL all of them, one after the other, in one database. */
const places = new Map<string, Place>()

async function placeAt(dataDir: string): Promise<Place> {
  const place = places.get(dataDir) ?? (await newPlace(dataDir))
  places.set(dataDir, place)
  return place
}

/** Takes the database away; the folder is the test's own. */
async function leavePlace(dataDir: string): Promise<void> {
  const { url } = places.get(dataDir) ?? {}
  if (!places.delete(dataDir) || url === undefined) return
  const { dropDatabase } = await import("./postgres.ts")
  await dropDatabase(url)
}

/** A folder of its own for a test, gone when the test is over. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "waybill-"))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/**
 * A port that stays free while a server is down and its clients knock on: outside the range from which the system takes
 * ports for outgoing connections, or one of those knocks could be given the very port and answer itself.
 */
export async function stablePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_240, 32_000)
    const server = createServer()
    const isFree = await new Promise<boolean>(resolve => {
      server.once("error", () => resolve(false))
      server.listen(port, "127.0.0.1", () => resolve(true))
    })
    if (!isFree) continue
    server.close()
    await once(server, "close")
    return port
  }
}

/**
 * Calls the API with JSON, given as a value or as text; gives the answer's JSON and throws where the status is none of
 * 2xx. Each call has a connection of its own: one that is kept breaks out of turn when its server is killed.
 */
export async function call(
  at: Reachable,
  method: Dispatcher.HttpMethod,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const response = await request(at.url + path, {
    method,
    reset: true,
    headers: {
      authorization: `Bearer ${at.key}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
  })
  const text = await response.body.text()
  if (response.statusCode > 299) throw new Error(`${method} ${path} was answered with ${response.statusCode}: ${text}`)
  return text === "" ? undefined : JSON.parse(text)
}

/** A secret that signs deliveries. */
export function newSecret(): string {
  return `whsec_${randomBytes(32).toString("base64")}`
}

export interface NewWebhook {
  readonly name: string
  readonly url: string
  readonly secret: string
  readonly policy?: Readonly<Record<string, unknown>>
  readonly events?: Readonly<Record<string, unknown>>
}

/** Sets up a webhook without verification; gives its id, `int_…`. */
export async function createWebhook(at: Reachable, { name, url, secret, policy, events }: NewWebhook): Promise<string> {
  const made = await call(at, "POST", "/v1/integrations", {
    name,
    secret,
    config: { production: { url }, verification: "none" },
    ...(policy === undefined ? {} : { policy }),
    ...(events === undefined ? {} : { events }),
  })
  return String((made as { id: unknown }).id)
}
