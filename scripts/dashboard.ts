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
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { extname, join } from "node:path"
import { brotliCompressSync, constants, gzipSync } from "node:zlib"

const root = join(import.meta.dirname, "..")
const folder = join(root, "dashboard")
const dist = join(folder, "dist")
const stampFile = join(dist, ".stamp")

/** What the build is made of. */
const SOURCES = ["dashboard/src", "dashboard/public", "sdk/src"]
const FILES = ["index.html", "package-lock.json", "postcss.config.cjs", "tsconfig.json", "vite.config.ts"]

if (import.meta.main) {
  const stamp = stampOf()
  const isFresh = existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp
  if (!isFresh || process.argv.includes("--force")) build(stamp)
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

function build(stamp: string): void {
  console.error("Building the dashboard; this happens once for each version of it.")
  if (!isInstalled()) run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"])
  run(process.execPath, [join("node_modules", "vite", "bin", "vite.js"), "build", "--logLevel", "warn"])
  pack()
  writeFileSync(stampFile, stamp)
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
function pack(): void {
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
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
