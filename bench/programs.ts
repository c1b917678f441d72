/** The two programs under test, started as their users would start them, each in a process of its own. */
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { nodeOptions } from "../scripts/runtime.mjs"
import { type Child, freePort, startChild, waitFor } from "./children.ts"

export interface Program {
  readonly name: "bare" | "waybill"
  readonly pid: number
  /** Where events are posted to, and the key for it. */
  readonly url: string
  readonly key: string
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>
}

/** Waybill, with its API within reach. */
export interface Waybill extends Program {
  /** From the start of the process to the first 200 of /readyz. */
  readonly startMs: number
  /** Calls the API with JSON; throws where the answer is no success. */
  call(method: string, path: string, body?: unknown): Promise<unknown>
}

/** The same for all starts on one data folder, and for all processes on one PostgreSQL. */
export const apiKey = `wb_${randomBytes(24).toString("hex")}`
const secretKey = randomBytes(32).toString("base64")
const START_LIMIT_MS = 120_000

/** Starts the baseline, which delivers to `target`. */
export async function startBare(folder: string, target: string): Promise<Program> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/v1/events`
  const args = [join(import.meta.dirname, "bare.ts"), "--port", String(port), "--target", target]
  const child = startChild({ command: process.execPath, args, log: join(folder, "bare.log") })
  await waitFor(child, "answer from bare", START_LIMIT_MS, async () => (await fetch(url)).status === 400)
  return { name: "bare", pid: child.pid, url, key: apiKey, stop: signal => child.stop(signal) }
}

/**
 * Starts Waybill with its default settings on a data folder below `folder`, the same at each call, or as one of any number
 * of processes on a PostgreSQL.
 */
export async function startWaybill(folder: string, databaseUrl?: string): Promise<Waybill> {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const startedAt = performance.now()
  const child: Child = startChild({
    command: process.execPath,
    args: [...nodeOptions, join(import.meta.dirname, "../src/cli.ts"), "serve"],
    environment: {
      HOST: "127.0.0.1",
      PORT: String(port),
      WAYBILL_DATA_DIR: join(folder, "data"),
      WAYBILL_API_KEY: apiKey,
      ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl, WAYBILL_SECRET_KEY: secretKey }),
    },
    log: join(folder, "waybill.log"),
  })
  await waitFor(child, "200 from /readyz", START_LIMIT_MS, async () => (await fetch(`${origin}/readyz`)).status === 200)
  return {
    name: "waybill",
    pid: child.pid,
    url: `${origin}/v1/events`,
    key: apiKey,
    startMs: performance.now() - startedAt,
    stop: signal => child.stop(signal),
    call: (method, path, body) => call(origin + path, method, body),
  }
}

/** What an integration is for, where that is not all events, and its signing secret, where it is to be known. */
export interface Purpose {
  readonly type: string
  readonly secret: string
}

/** Sets up a signed integration, with enough concurrency never to be the bottleneck; gives its id. */
export async function createIntegration(waybill: Waybill, target: string, purpose?: Purpose): Promise<string> {
  const made = await waybill.call("POST", "/v1/integrations", {
    name: "Bench",
    connector: "webhook",
    enabled: true,
    config: { production: { url: target }, verification: "none" },
    policy: { max_concurrent: 200 },
    ...(purpose && { events: { default: "off", types: { [purpose.type]: {} } }, secret: purpose.secret }),
  })
  if (typeof made === "object" && made !== null && "id" in made && typeof made.id === "string") return made.id
  throw new Error(`Waybill has made an integration without an id: ${JSON.stringify(made)}`)
}

async function call(url: string, method: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method,
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${new URL(url).pathname} was answered with ${response.status}: ${text}`)
  return text === "" ? undefined : JSON.parse(text)
}
