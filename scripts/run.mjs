/**
 * Runs a program of this repository on the pinned Node, and before that installs what is missing:
 *
 *     node scripts/run.mjs <file> [arguments]
 *
 * Every npm script goes through it, so that each of them works in a fresh clone.
 */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { runOnNode } from "./runtime.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const [file, ...args] = process.argv.slice(2)
if (file === undefined) {
  console.error("Usage: node scripts/run.mjs <file> [arguments]")
  process.exit(2)
}
// The server runs without what only tests and checks need; a machine that left those out is left alone.
if (!isInstalled(!file.startsWith("src/"))) install()
// Stripping types and compiling is done once per version of a file: a third of the time that a start takes.
process.env.NODE_COMPILE_CACHE ??= join(root, "node_modules/.cache/compiled")
const endWithParent = process.env.npm_lifecycle_event !== undefined
runOnNode(root, [join(root, file), ...args], { endWithParent })

/**
 * True where node_modules is what the lock file asks for. npm writes node_modules/.package-lock.json as the last thing
 * of an installation, so an interrupted one counts as none. An optional package may be absent.
 *
 * @param {boolean} withDev
 */
function isInstalled(withDev) {
  const installed = packagesOf("node_modules/.package-lock.json")
  return Object.entries(packagesOf("package-lock.json")).every(([path, wanted]) => {
    if (path === "" || (wanted.dev && !withDev)) return true
    const found = installed[path]
    if (found === undefined) return wanted.optional === true
    return found.integrity === wanted.integrity && existsSync(join(root, path, "package.json"))
  })
}

/**
 * @param {string} lockFile
 * @returns {Record<string, { integrity?: string, dev?: boolean, optional?: boolean }>}
 */
function packagesOf(lockFile) {
  const path = join(root, lockFile)
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")).packages : {}
}

/** Installs what the lock file lists, dev and optional packages too whatever npm's settings say, or exits with 1. */
function install() {
  console.error("Installing what package-lock.json lists; this happens once.")
  const options = ["--include=dev", "--include=optional", "--no-audit", "--no-fund", "--loglevel=error"]
  // Standard output belongs to the program that is run afterwards.
  const { status, error } = runNpm(["ci", ...options])
  if (status === 0) return
  console.error(error ? `npm cannot be started: ${error.message}` : "npm could not install; it says why above.")
  process.exit(1)
}

/** @param {readonly string[]} npmArgs */
function runNpm(npmArgs) {
  const npm = process.env.npm_execpath
  /** @type {import("node:child_process").SpawnSyncOptions} */
  const options = { cwd: root, stdio: ["ignore", 2, 2] }
  // npm names its own program to the scripts it runs, which spares a shell; other tools name themselves there.
  if (npm?.endsWith("npm-cli.js")) return spawnSync(process.execPath, [npm, ...npmArgs], options)
  return spawnSync("npm", npmArgs, { ...options, shell: process.platform === "win32" })
}
