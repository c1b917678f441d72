/** The command line as people use it: real processes, what they print, how they end. */
import { type ChildProcess, spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before } from "node:test"
import { stripVTControlCharacters } from "node:util"
import { readConfig } from "../../src/config.ts"
import { type Running, start } from "../../src/main.ts"
import { type Reachable, testKey } from "./waybill.ts"

const cli = join(import.meta.dirname, "../../src/cli.ts")
const running = new Set<ChildProcess>()
// What a test that failed has left running must not keep the others waiting.
after(() => {
  for (const child of running) child.kill("SIGKILL")
})

/** Where scripts/run.mjs, too, lets Node keep what it has compiled: doing that anew is most of what a command does. */
const compiled = join(import.meta.dirname, "../../node_modules/.cache/compiled")

export interface RunOptions {
  /** The server that WAYBILL_URL and WAYBILL_API_KEY name. */
  readonly at?: Reachable
  readonly env?: Readonly<Record<string, string>>
  /** What stands on standard input. */
  readonly input?: string | Uint8Array
  readonly cwd?: string
  readonly uid?: number
}

/** How a command ended and what it printed. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A command that is under way. */
export interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** Resolves with the match as soon as standard output or error holds it; rejects where the command ends before. */
  prints(pattern: RegExp): Promise<RegExpExecArray>
  /** What it has printed so far. */
  stdout(): string
  stderr(): string
}

/** Starts `waybill <args>`. */
export function startCli(args: readonly string[], options: RunOptions = {}): Started {
  const { at, env, input, cwd, uid } = options
  const child = spawn(process.execPath, [cli, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"],
      TZ: "UTC",
      NODE_COMPILE_CACHE: compiled,
      ...(at === undefined ? {} : { WAYBILL_URL: at.url, WAYBILL_API_KEY: at.key }),
      ...env,
    },
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid, gid: uid }),
  })
  running.add(child)
  let stdout = ""
  let stderr = ""
  const waiting = new Set<() => void>()
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text
    for (const look of waiting) look()
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
    for (const look of waiting) look()
  })
  // A command may end without reading what it was given.
  child.stdin.on("error", () => {})
  child.stdin.end(input)
  const ended = once(child, "close").then(([code, signal]): Ended => {
    running.delete(child)
    return { code, signal, stdout, stderr }
  })
  const prints = (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const look = (): void => {
        const found = pattern.exec(stdout) ?? pattern.exec(stderr)
        if (found === null) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      look()
      void ended.then(() => reject(new Error(`It ended without printing ${pattern}:\n${stdout}\n${stderr}`)))
    })
  return { child, ended, prints, stdout: () => stdout, stderr: () => stderr }
}

/** Runs `waybill <args>` to its end. */
export function runCli(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return startCli(args, options).ended
}

/** The lines of a text that are not blank, without colours. */
export function linesOf(text: string): string[] {
  return stripVTControlCharacters(text)
    .split("\n")
    .filter(line => line.trim() !== "")
}

/** The values of lines of JSON. */
export function jsonLines<T>(text: string): T[] {
  return linesOf(text).map(line => JSON.parse(line) as T)
}

/** A Waybill in this process for all tests of a file, which calls this at its top. `prepare` runs once before them. */
export function waybillForFile(prepare?: () => Promise<void>): Reachable & { readonly dataDir: string } {
  const dataDir = mkdtempSync(join(tmpdir(), "waybill-"))
  const at = { url: "", key: testKey, dataDir }
  let running: Running | undefined
  before(async () => {
    const reading = readConfig({ dataDir, port: "0", apiKey: testKey, logLevel: "silent" }, {})
    if ("faults" in reading) throw new Error(reading.faults.join("\n"))
    running = await start(reading.config)
    at.url = running.url
    await prepare?.()
  })
  after(async () => {
    await running?.stop()
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 })
  })
  return at
}

/** All files of a folder with what is in them, to be compared before and after. A folder that is not there has none. */
export function listing(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .sort()
    .map(name => {
      const stats = statSync(join(folder, name))
      const content = stats.isFile()
        ? createHash("sha256")
            .update(readFileSync(join(folder, name)))
            .digest("hex")
        : ""
      return `${name} ${stats.mode.toString(8)} ${content}`
    })
}
