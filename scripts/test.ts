/**
 * Holds the tree against everything that it promises: format and lint, types, tests.
 *
 *     scripts/test.ts --fast      what a change is checked with again and again (`npm run check`)
 *     scripts/test.ts             that and everything else (`npm test`)
 *     scripts/test.ts <paths>     only the tests in these files and folders, and nothing before them
 */
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { join, relative, resolve, sep } from "node:path"
import { parseArgs } from "node:util"
import { handOver } from "./runtime.mjs"

const root = join(import.meta.dirname, "..")
const { values, positionals } = parseArgs({
  options: { fast: { type: "boolean", default: false } },
  allowPositionals: true,
})

process.chdir(root)
if (positionals.length === 0) {
  step(
    "@biomejs/biome/bin/biome",
    ["check", "--error-on-warnings", "--diagnostic-level=warn", "."],
    "Format or lint: see the faults above. `npm run format` mends what it can.",
  )
  step("typescript/bin/tsc", ["--noEmit", "-p", "."], "Types: see the faults above.")
}
runTests()

/** Runs a tool from node_modules; where it finds fault, says so and ends the run. */
function step(tool: string, args: readonly string[], fault: string): void {
  const { status } = spawnSync(process.execPath, [join("node_modules", tool), ...args], { stdio: ["ignore", 2, 2] })
  if (status === 0) return
  console.error(fault)
  process.exit(1)
}

function runTests(): void {
  const files = testFiles()
  if (files.length === 0) {
    console.error(`There are no tests in ${positionals.join(", ") || "test/"}.`)
    process.exit(1)
  }
  keepSettingsOut()
  handOver(process.execPath, [
    "--test",
    // Whole-program tests measure times, so nothing may run beside them; the others wait more than they compute.
    `--test-concurrency=${files.every(isFast) ? 2 : 1}`,
    `--test-timeout=${files.every(isFast) ? 60_000 : 540_000}`,
    // Off a terminal the summary has to be the last thing that is printed, also when a test fails.
    `--test-reporter=${process.stdout.isTTY ? "spec" : "tap"}`,
    ...files,
  ])
}

/** The tests that were asked for: those under the paths that were given, else all, or all that are fast. */
function testFiles(): string[] {
  const asked = positionals.map(path => resolve(path))
  const all = readdirSync("test", { recursive: true, encoding: "utf8" })
    .filter(path => path.endsWith(".test.ts"))
    .map(path => join("test", path))
    .filter(path => asked.length === 0 || asked.some(wanted => `${resolve(path)}${sep}`.startsWith(`${wanted}${sep}`)))
  return values.fast ? all.filter(isFast) : all
}

/**
 * A test is fast by where it lies: at the top of test/, or in a folder that mirrors one of src/ and so tries a part of
 * the program. Those in other folders, and those of the command line, start the whole program.
 */
function isFast(path: string): boolean {
  const [folder = "", file] = relative("test", path).split(sep)
  return file === undefined || (folder !== "cli" && existsSync(join("src", folder)))
}

/** A developer's own settings must not reach the servers that tests start. */
function keepSettingsOut(): void {
  for (const name of Object.keys(process.env)) {
    if (/^(WAYBILL_.*|HOST|PORT|DATABASE_URL)$/.test(name)) delete process.env[name]
  }
}
