/** Starts what events are delivered to: nginx where it is installed, else the receiver in this folder. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { freePort, startChild, waitFor } from "./children.ts"
import type { Latency } from "./receiver.ts"

export interface Receiver {
  readonly kind: "nginx" | "own"
  readonly pid: number
  readonly port: number
  /** Where programs send to. */
  readonly url: string
  /** Requests that came since it was started. */
  count(): Promise<number>
  /** Percentiles since the last call. Only the own receiver, started for latency, has them. */
  latency(): Promise<Latency>
  stop(): Promise<void>
}

export interface ReceiverOptions {
  readonly kind: "nginx" | "own-count" | "own-latency"
  readonly folder: string
  /** To take the place of one before it; a free one where it is left out. */
  readonly port?: number
}

/** Starts a receiver and waits until it answers. */
export async function startReceiver({ kind, folder, port: given }: ReceiverOptions): Promise<Receiver> {
  const port = given ?? (await freePort())
  const origin = `http://127.0.0.1:${port}`
  const log = join(folder, `${kind}.log`)
  const child = kind === "nginx" ? startNginx(folder, port, log) : startOwn(port, log, kind === "own-latency")
  const count =
    kind === "nginx" ? nginxCounter(`${origin}/count`) : () => ask(origin, "count", isCount).then(c => c.count)
  await waitFor(child, "answer from the receiver", 10_000, async () => (await count()) >= 0)
  return {
    kind: kind === "nginx" ? "nginx" : "own",
    pid: child.pid,
    port,
    url: `${origin}/hook`,
    count,
    latency: () => ask(origin, "latency", isLatency),
    stop: () => child.stop(),
  }
}

function startOwn(port: number, log: string, latency: boolean): ReturnType<typeof startChild> {
  const args = [join(import.meta.dirname, "receiver.ts"), "--port", String(port), ...(latency ? ["--latency"] : [])]
  return startChild({ command: process.execPath, args, log })
}

function startNginx(folder: string, port: number, log: string): ReturnType<typeof startChild> {
  const config = join(folder, "nginx.conf")
  writeFileSync(config, nginxConfig(folder, port))
  return startChild({ command: "nginx", args: ["-p", folder, "-c", config, "-e", log], log })
}

/** One process, no log, no limit on a connection's requests; its temporary folders are ours, as it may not run as root. */
function nginxConfig(folder: string, port: number): string {
  const folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map(name => `${name}_temp_path "${join(folder, `nginx-${name}`)}";`)
    .join(" ")
  return `daemon off; master_process off; pid "${join(folder, "nginx.pid")}";
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; ${folders}
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / { return 204; }
    location = /count { stub_status; }
  }
}
`
}

/** nginx counts the questions for its count as well. */
function nginxCounter(url: string): () => Promise<number> {
  let asked = 0
  return async () => {
    const response = await fetch(url)
    const [, requests] = /\n *\d+ +\d+ +(\d+)/.exec(await response.text()) ?? []
    if (requests === undefined) throw new Error("nginx does not tell how many requests it had.")
    asked++
    return Number(requests) - asked
  }
}

async function ask<T>(origin: string, what: string, isRight: (value: unknown) => value is T): Promise<T> {
  const response = await fetch(`${origin}/${what}`)
  const value: unknown = await response.json()
  if (!isRight(value)) throw new Error(`The receiver's ${what} is unreadable: ${JSON.stringify(value)}`)
  return value
}

function isCount(value: unknown): value is { count: number } {
  return typeof value === "object" && value !== null && "count" in value && typeof value.count === "number"
}

function isLatency(value: unknown): value is Latency {
  return typeof value === "object" && value !== null && "samples" in value && "p99Ms" in value
}
