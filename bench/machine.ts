/** What the figures were measured on: processor, system, disk and tools. Without it a figure says nothing. */
import { spawnSync } from "node:child_process"
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from "node:fs"
import { cpus, release, type as systemType, totalmem } from "node:os"
import { join } from "node:path"
import { searchPath } from "./children.ts"

export interface Machine {
  readonly cores: number
  readonly processor: string
  readonly system: string
  readonly memoryBytes: number
  readonly node: string
  /** Writing 4 KiB and having it on disk, in the folder where the data folders lie. */
  readonly syncMs: { readonly p50: number; readonly p99: number }
  /** Versions, or null where a tool is not installed (or not wanted). */
  readonly wrk: string | null
  readonly nginx: string | null
}

const PROBES = 200
const PROBE_BYTES = 4_096

/** Looks at the machine; `folder` is on the disk that counts. */
export function describeMachine(folder: string, wantsTools: boolean): Machine {
  return {
    cores: cpus().length,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    system: `${systemType()} ${release()}`,
    memoryBytes: totalmem(),
    node: process.versions.node,
    syncMs: probeSync(join(folder, "probe")),
    wrk: wantsTools ? versionOf("wrk") : null,
    nginx: wantsTools ? versionOf("nginx") : null,
  }
}

/** In one line: `2 × AMD EPYC, Linux 6.1, Node 26.10.0, fdatasync 0.21 ms, wrk 4.1.0 and nginx 1.22.1`. */
export function machineLine({ cores, processor, system, node, syncMs, wrk, nginx }: Machine): string {
  const generator = wrk === null ? "own load generator" : `wrk ${wrk}`
  const receiver = nginx === null ? "own receiver" : `nginx ${nginx}`
  const disk = `fdatasync ${syncMs.p50.toFixed(2)} ms (p99 ${syncMs.p99.toFixed(2)})`
  return `${cores} × ${processor}, ${system}, Node ${node}, ${disk}, ${generator} and ${receiver}`
}

/** Appends and syncs as a write-ahead log does. */
function probeSync(path: string): Machine["syncMs"] {
  const file = openSync(path, "w")
  const block = Buffer.alloc(PROBE_BYTES, 1)
  const times = Array.from({ length: PROBES }, () => {
    const from = performance.now()
    writeSync(file, block)
    fdatasyncSync(file)
    return performance.now() - from
  }).sort((a, b) => a - b)
  closeSync(file)
  rmSync(path)
  return { p50: times[PROBES / 2] ?? 0, p99: times[Math.floor(PROBES * 0.99)] ?? 0 }
}

/** Both print a line with their version for `-v`, wrk together with a complaint. */
function versionOf(tool: string): string | null {
  const { error, stdout, stderr } = spawnSync(tool, ["-v"], { encoding: "utf8", env: { PATH: searchPath } })
  return error === undefined ? (/\d+(\.\d+)+/.exec(stdout + stderr)?.[0] ?? "") : null
}
