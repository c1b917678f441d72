/**
 * Builds the dashboard where it is missing or older than its sources; `npm start` does so before the server starts.
 *
 *     scripts/dashboard.ts               builds where it has to
 *     scripts/dashboard.ts --force       builds in any case
 *     scripts/dashboard.ts --if-possible builds where it has to; where that fails it says so and ends well, so that a server
 *                                        starts all the same
 *
 * Its packages are its own (dashboard/package-lock.json), installed when it is built, so that a server that is installed
 * with its dashboard built needs none of them.
 */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { extname, join } from "node:path"
import { brotliCompressSync, constants, gzipSync } from "node:zlib"

const root = join(import.meta.dirname, "..")
const folder = join(root, "dashboard")
const dist = join(folder, "dist")
const STAMP = ".stamp"
/** A folder that is there while somebody builds; one of this age was left behind. */
const lock = join(tmpdir(), `waybill-building-${createHash("sha256").update(folder).digest("hex").slice(0, 16)}`)
const LOCK_MS = 180_000

/** What the build is made of. */
const SOURCES = ["dashboard/src", "dashboard/public", "sdk/src"]
const FILES = ["index.html", "package-lock.json", "postcss.config.cjs", "tsconfig.json", "vite.config.ts"]

if (import.meta.main) {
  const isForced = process.argv.includes("--force")
  if (isForced || !isFresh()) {
    takeTurn()
    // Somebody else may have built it meanwhile.
    if (isForced || !isFresh()) build()
  }
}

/** Tests that start at the same time build once. The turn ends with this process. */
function takeTurn(): void {
  const pause = new Int32Array(new SharedArrayBuffer(4))
  while (!isTaken()) Atomics.wait(pause, 0, 0, 200)
  process.once("exit", () => rmSync(lock, { recursive: true, force: true }))
}

function isTaken(): boolean {
  try {
    mkdirSync(lock)
    return true
  } catch {
    const { mtimeMs } = statSync(lock, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() }
    if (Date.now() - mtimeMs > LOCK_MS) rmSync(lock, { recursive: true, force: true })
    return false
  }
}

function isFresh(): boolean {
  const stampFile = join(dist, STAMP)
  return existsSync(stampFile) && readFileSync(stampFile, "utf8") === stampOf()
}

/** A hash of everything that the build is made of. */
export function stampOf(): string {
  const hash = createHash("sha256")
  const paths = SOURCES.flatMap(source =>
    readdirSync(join(root, source), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name)),
  )
  for (const path of [...paths, ...FILES.map(file => join(folder, file))].sort()) {
    hash.update(path.slice(root.length)).update("\0").update(readFileSync(path)).update("\0")
  }
  return hash.digest("hex")
}

function build(): void {
  console.error("Building the dashboard; this happens once for each version of it.")
  if (!isInstalled()) run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"])
  // Of the sources as they are now: where one changes meanwhile, it is built anew the next time.
  const stamp = stampOf()
  // Beside the one that is there, which a server may be reading.
  const made = `${dist}.new`
  rmSync(made, { recursive: true, force: true })
  const vite = join("node_modules", "vite", "bin", "vite.js")
  run(process.execPath, [vite, "build", "--logLevel", "warn", "--outDir", made, "--emptyOutDir"])
  pack(made)
  writeFileSync(join(made, STAMP), stamp)
  rmSync(`${dist}.old`, { recursive: true, force: true })
  if (existsSync(dist)) renameSync(dist, `${dist}.old`)
  renameSync(made, dist)
  rmSync(`${dist}.old`, { recursive: true, force: true })
}

/** npm writes node_modules/.package-lock.json as the last thing of an installation. */
function isInstalled(): boolean {
  const installed = join(folder, "node_modules", ".package-lock.json")
  if (!existsSync(installed)) return false
  const packagesIn = (path: string) =>
    (JSON.parse(readFileSync(path, "utf8")) as { packages: Record<string, { integrity?: string }> }).packages
  const found = packagesIn(installed)
  return Object.entries(packagesIn(join(folder, "package-lock.json"))).every(
    ([path, { integrity }]) =>
      integrity === undefined || path === "" || found[path] === undefined || found[path].integrity === integrity,
  )
}

/** What compresses well is compressed once, as well as it goes, rather than for each request. */
function pack(made: string): void {
  for (const entry of readdirSync(made, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || ![".js", ".css", ".svg"].includes(extname(entry.name))) continue
    const path = join(entry.parentPath, entry.name)
    const plain = readFileSync(path)
    if (plain.length < 1_024) continue
    writeFileSync(`${path}.br`, brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }))
    writeFileSync(`${path}.gz`, gzipSync(plain, { level: 9 }))
  }
}

function run(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, {
    cwd: folder,
    // Standard output belongs to the program that is run afterwards.
    stdio: ["ignore", 2, "inherit"],
    shell: process.platform === "win32" && command === "npm",
  })
  if (status === 0) return
  console.error(`The dashboard could not be built: ${error === undefined ? "see above" : error.message}.`)
  const goesOn = process.argv.includes("--if-possible")
  if (goesOn) console.error("Waybill starts without it; `npm run dashboard` tries again.")
  process.exit(goesOn ? 0 : 1)
}
