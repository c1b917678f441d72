/**
 * Holds the tree against everything that it promises: format and lint, types, tests.
 *
 *     scripts/test.ts --fast      what a change is checked with again and again (`npm run check`)
 *     scripts/test.ts             that and everything else (`npm test`)
 *     scripts/test.ts <paths>     only the tests in these files and folders, and nothing before them
 *     scripts/test.ts --matrix    only those that show the rows of class A of docs/fault-matrix.md, and how long they took
 *
 * What stands on the store is tried on both engines: see `rounds`. TEST_ENGINE names one of them, to try only that;
 * TEST_ENGINE=postgres tries the API there too.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative, resolve, sep } from "node:path"
import { Readable } from "node:stream"
import { text } from "node:stream/consumers"
import { pipeline } from "node:stream/promises"
import { type RunOptions, run } from "node:test"
import { spec, tap } from "node:test/reporters"
import { parseArgs } from "node:util"
import { bringChromium, findChromium, noChromium } from "../test/help/chromium.ts"
import { filesOfClassA } from "../test/help/fault-matrix.ts"
import { byFile, hasFailed, Report, SECOND_LOOKS, type TestEvent } from "./second-look.ts"

const root = join(import.meta.dirname, "..")
const { values, positionals } = parseArgs({
  options: { fast: { type: "boolean", default: false }, matrix: { type: "boolean", default: false } },
  allowPositionals: true,
})

/** Three files at a time keep two processors busy. The whole run has longer tests with times of their own. */
const busy = { concurrency: 3, timeout: 120_000 }

/** The story of the dashboard that comes by most of what it reads: it is tried on both engines. */
const STORY = join("test", "browser", "find-and-mend.test.ts")

/**
 * Folders of test/ that have a round of their own, one after the other, on the embedded engine or with servers of their own.
 * A test belongs to the first that it lies in.
 */
const apart: Readonly<Record<string, { readonly concurrency: number; readonly timeout: number }>> = {
  // Wait for a browser and a server in turn.
  browser: { concurrency: 3, timeout: 300_000 },
  // Start the whole program, more than once, and give it work: each of them nearly fills two processors.
  promises: { concurrency: 2, timeout: 540_000 },
  // Measure in turns within one run, or hold to many seconds, and leave most of the machine idle: one more may run beside.
  "measured/in-pairs": { concurrency: 2, timeout: 540_000 },
  // Measure times, or hold that something is done within some seconds, so that nothing may run beside them.
  measured: { concurrency: 1, timeout: 540_000 },
}

process.chdir(root)
if (positionals.length === 0 && !values.matrix) {
  const sound = await Promise.all([
    step(
      "@biomejs/biome/bin/biome",
      ["check", "--error-on-warnings", "--diagnostic-level=warn", "."],
      "Format or lint: see the faults above. `npm run format` mends what it can.",
    ),
    step("typescript/bin/tsc", ["--noEmit", "-p", "."], "Types: see the faults above."),
  ])
  if (sound.includes(false)) process.exit(1)
}
const startedAt = performance.now()
await runTests()
// Off a terminal standard output ends with the summary.
if (values.matrix)
  console.error(`The tests of the fault matrix took ${((performance.now() - startedAt) / 1_000).toFixed(1)} s.`)

/** Runs a tool from node_modules; where it finds fault, says so, after what the tool has said. */
async function step(tool: string, args: readonly string[], fault: string): Promise<boolean> {
  const child = spawn(process.execPath, [join("node_modules", tool), ...args], { stdio: ["ignore", "pipe", "pipe"] })
  const [said] = await Promise.all([Promise.all([text(child.stdout), text(child.stderr)]), once(child, "close")])
  if (child.exitCode === 0) return true
  console.error(`${said.join("")}${fault}`)
  return false
}

/** Several rounds with one summary: those that are tried on both engines, then those apart. */
async function runTests(): Promise<void> {
  const files = testFiles()
  if (files.length === 0) {
    console.error(`There are no tests in ${positionals.join(", ") || "test/"}.`)
    process.exit(1)
  }
  keepSettingsOut()
  const stop = new AbortController()
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => stop.abort())
  const isAsked = (engine: string) => (process.env["TEST_ENGINE"] ?? engine) === engine
  const ofSqlite = isAsked("sqlite") ? files : []
  const ofPostgres = isAsked("postgres") && !values.fast ? files : []
  const rounds: Round[] = [
    { files: ofSqlite.filter(path => apartOf(path) === undefined && !isAbout(path, "postgres")), ...busy },
    {
      files: ofPostgres.filter(path => standsOnStore(path) && !isAbout(path, "sqlite")),
      ...busy,
      // A round trip for each statement.
      timeout: 300_000,
      engine: "postgres",
    },
    ...Object.entries(apart).map(([folder, how]) => ({
      files: ofSqlite.filter(path => apartOf(path) === folder),
      ...how,
    })),
  ]
  const templates = mkdtempSync(join(tmpdir(), "waybill-templates-"))
  process.once("exit", () => rmSync(templates, { recursive: true, force: true }))
  process.env["TEST_TEMPLATES"] = templates
  const server = rounds.some(round => round.engine === "postgres" && round.files.length > 0)
    ? await postgres(templates)
    : null
  const hasBrowser = values.fast ? undefined : bring(files)
  const events = Readable.from(
    inTurn(
      rounds.filter(round => round.files.length > 0),
      hasBrowser,
      stop.signal,
      server?.url,
    ),
  )
  // Off a terminal the summary has to be the last thing that is printed, also when a test fails.
  const report = process.stdout.isTTY ? events.compose(new spec()) : events.compose(tap)
  await pipeline(report, process.stdout)
  await server?.stop()
}

/** Tests that run together. On PostgreSQL where `engine` says so, else on the embedded engine. */
interface Round extends RunOptions {
  readonly files: string[]
  readonly engine?: "postgres"
}

/** The PostgreSQL server of the whole run: the one that TEST_DATABASE_URL names, else one that is started. Never none. */
async function postgres(templates: string): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const given = process.env["TEST_DATABASE_URL"] ?? ""
  try {
    const { dropTemplates, startPostgres } = await import("../test/help/postgres.ts")
    if (given !== "") return { url: given, stop: () => dropTemplates(given, templates) }
    return await startPostgres()
  } catch (error) {
    console.error(`The tests on PostgreSQL cannot run: ${error instanceof Error ? error.message : error}`)
    process.exit(1)
  }
}

/**
 * Installs what the tests need beyond npm's packages, where this machine lacks it and lets us: a browser, and a PgBouncer. It
 * goes on beside the first round. Gives whether there is a browser then.
 */
async function bring(files: readonly string[]): Promise<boolean> {
  const { findPgBouncer } = await import("../test/help/pgbouncer.ts")
  const { install, mayInstall } = await import("../test/help/debian.ts")
  const lacksPgBouncer = files.some(needsPgBouncer) && findPgBouncer() === undefined
  try {
    if (files.some(needsBrowser) && mayInstall()) await bringChromium().catch(told)
    if (lacksPgBouncer && mayInstall()) await install("pgbouncer")
  } catch (error) {
    told(error)
  }
  return findChromium() !== undefined
}

function told(error: unknown): void {
  console.error(error instanceof Error ? error.message : error)
}

/** Whether a test file opens the dashboard in a browser: it says so by what it imports. */
function needsBrowser(path: string): boolean {
  return readFileSync(path, "utf8").includes("/help/dashboard.ts")
}

function needsPgBouncer(path: string): boolean {
  return path.includes("pgbouncer")
}

/**
 * The events of all rounds as if they had been one: what the runner counts at the end of each is added up. Files that
 * failed beside others are run once more, alone, where that may be: see `second-look.ts`.
 */
async function* inTurn(
  rounds: readonly Round[],
  hasBrowser: Promise<boolean> | undefined,
  signal: AbortSignal,
  databaseUrl: string | undefined,
): AsyncGenerator<TestEvent> {
  const leftOut: string[] = []
  const again: Round[] = []
  const report = new Report()
  // Somebody who asks for a file wants to see how it fails.
  const mayLookAgain = positionals.length === 0
  for (const { engine, ...round } of rounds) {
    if (round.files.some(path => needsBrowser(path) || needsPgBouncer(path)) && (await hasBrowser) === false) {
      leftOut.push(...round.files.filter(needsBrowser))
    }
    const files = round.files.filter(path => !leftOut.includes(path))
    if (files.length === 0) continue
    for await (const ofFile of byFile(run({ ...round, files, env: settings(engine, databaseUrl), signal }))) {
      const file = ofFile[0]?.data.file
      if (file !== undefined && mayLookAgain && again.length < SECOND_LOOKS && hasFailed(ofFile) && !signal.aborted) {
        again.push({ ...round, files: [file], ...(engine === undefined ? {} : { engine }) })
        report.withhold(ofFile)
      } else yield* report.of(ofFile, engine)
    }
  }
  for (const { engine, ...round } of again) {
    for await (const ofFile of byFile(run({ ...round, env: settings(engine, databaseUrl), signal })))
      yield* report.of(ofFile, engine)
  }
  if (leftOut.length > 0) {
    report.countSkipped(leftOut.length)
    console.error(`Test files that were skipped, as they open the dashboard: ${leftOut.length}. ${noChromium}`)
  }
  if (report.hasFailed) process.exitCode = 1
  yield* report.end()
}

/** What the tests of a round find in their environment. */
function settings(engine: Round["engine"], databaseUrl: string | undefined): NodeJS.ProcessEnv {
  const database = databaseUrl === undefined ? {} : { TEST_DATABASE_URL: databaseUrl }
  return { ...process.env, ...database, TEST_ENGINE: engine ?? "sqlite" }
}

/** The tests that were asked for: of the matrix, those under the paths that were given, else all, or all that are fast. */
function testFiles(): string[] {
  if (values.matrix) return filesOfClassA()
  const asked = positionals.map(path => resolve(path))
  const all = readdirSync("test", { recursive: true, encoding: "utf8" })
    .filter(path => path.endsWith(".test.ts"))
    .map(path => join("test", path))
    .filter(path => asked.length === 0 || asked.some(wanted => `${resolve(path)}${sep}`.startsWith(`${wanted}${sep}`)))
    .toSorted((a, b) => Number(isLong(b)) - Number(isLong(a)) || (a < b ? -1 : 1))
  return values.fast ? all.filter(isFast) : all
}

/** Whether a file takes a minute and more, alone: it begins before others, so that its round does not end with it alone. */
function isLong(path: string): boolean {
  return folderOf(path) === "guides"
}

/**
 * A test is fast by where it lies: at the top of test/, or in a folder that mirrors one of src/ and so tries a part of
 * the program. Those in other folders, and those of the command line, start the whole program.
 */
function isFast(path: string): boolean {
  const [folder = "", file] = relative("test", path).split(sep)
  return file === undefined || (folder !== "cli" && existsSync(join("src", folder)))
}

/**
 * Whether a test is tried on both engines: all of the store's and the engine's; those of the API too where PostgreSQL, or
 * their path, is asked for, as they come to the database through the same reads and would take a run beyond its time.
 */
function standsOnStore(path: string): boolean {
  const folder = folderOf(path)
  const isAskedFor = positionals.length > 0 || process.env["TEST_ENGINE"] === "postgres"
  return ["store", "engine"].includes(folder) || (folder === "api" && isAskedFor) || path === STORY
}

/** The folder of test/ in which a test lies, at whatever depth; of one at the top, its own name. */
function folderOf(path: string): string {
  return relative("test", path).split(sep)[0] ?? ""
}

/** The folder with a round of its own in which a test lies; undefined where it lies in none. */
function apartOf(path: string): string | undefined {
  return Object.keys(apart).find(folder => path.startsWith(join("test", folder, sep)))
}

/** Whether a test is about one of the engines alone: it lies in a folder that is called after it. */
function isAbout(path: string, engine: "sqlite" | "postgres"): boolean {
  return relative("test", path).split(sep).slice(0, -1).includes(engine)
}

/** A developer's own settings must not reach the servers that tests start. */
function keepSettingsOut(): void {
  for (const name of Object.keys(process.env)) {
    if (/^(WAYBILL_.*|HOST|PORT|DATABASE_URL)$/.test(name)) delete process.env[name]
  }
}
