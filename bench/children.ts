/**
 * The processes that the bench starts: programs under test, load generators, receivers. None of them outlives it, however
 * it ends, and what each of them has to say is kept in a file for the case that something goes wrong.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, openSync, readFileSync } from "node:fs"
import { createServer } from "node:net"
import { delimiter } from "node:path"

/** A process that runs until it is stopped. */
export interface Child {
  readonly pid: number
  /** Ends it, orderly or at once, and waits until it is gone; by force where it takes longer than 30 s. */
  stop(signal?: StopSignal): Promise<void>
  /** A sentence with the end of its output where it has ended by itself, else undefined. */
  fault(): string | undefined
}

/** For most programs SIGINT is SIGTERM; PostgreSQL is the one that waits for its clients at SIGTERM. */
export type StopSignal = "SIGTERM" | "SIGINT" | "SIGKILL"

export interface ChildOptions {
  readonly command: string
  readonly args: readonly string[]
  /** Its whole environment beyond the search path: nothing of ours leaks in and changes what is measured. */
  readonly environment?: Readonly<Record<string, string>>
  /** Takes what it prints. */
  readonly log: string
  /** Whom it runs as, where that is not who runs the bench. */
  readonly owner?: Owner | null
}

/** A user of the system. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

const STOP_LIMIT_MS = 30_000
const running = new Set<ChildProcess>()

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})

/** nginx lies in folders of the system that are not everybody's search path. */
export const searchPath = [process.env["PATH"] ?? "", "/usr/sbin", "/usr/local/sbin"].join(delimiter)

/** Starts a process that is to run until it is stopped. */
export function startChild({ command, args, environment = {}, log, owner = null }: ChildOptions): Child {
  const output = openSync(log, "a")
  const env = { PATH: searchPath, ...environment }
  const child = spawn(command, args, { stdio: ["ignore", output, output], env, ...owner })
  closeSync(output)
  running.add(child)
  const ended = new Promise<void>(resolve => {
    child.once("error", () => resolve())
    child.once("exit", () => resolve())
  }).finally(() => running.delete(child))
  return {
    pid: child.pid ?? 0,
    async stop(signal = "SIGTERM") {
      child.kill(signal)
      const force = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS)
      await ended
      clearTimeout(force)
    },
    fault() {
      if (running.has(child)) return
      return `${command} has ended by itself. It said:\n${readFileSync(log, "utf8").slice(-2_000)}`
    },
  }
}

/** Runs a process to its end and gives what it wrote; throws where it failed. `onStart` gets its process id. */
export async function runChild(
  command: string,
  args: readonly string[],
  onStart: (pid: number) => void = () => {},
): Promise<string> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { PATH: searchPath } })
  running.add(child)
  let output = ""
  let errors = ""
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString()
  })
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString()
  })
  if (child.pid !== undefined) onStart(child.pid)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject)
    child.once("close", resolve)
  }).finally(() => running.delete(child))
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${errors.slice(-2_000) || output.slice(-2_000)}`)
  return output
}

/** A TCP port of the loopback address that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}

/** Asks until the answer is there, every 20 ms; throws where the process has ended or `limitMs` have passed. */
export async function waitFor(
  child: Child,
  what: string,
  limitMs: number,
  isThere: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!(await isThere().catch(() => false))) {
    const fault = child.fault()
    if (fault !== undefined) throw new Error(fault)
    if (performance.now() > deadline) throw new Error(`After ${limitMs / 1_000} s there is still no ${what}.`)
    await pause(20)
  }
}

/** Lets time pass. */
export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
