/** What processes use: CPU time and memory of a whole process with all its threads, and CPU time of the machine. */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { cpus } from "node:os"

const hasProc = existsSync("/proc/self/stat")
/** Linux counts CPU time in hundredths of a second towards programs, on every architecture that Node runs on (proc(5)). */
const TICK_US = 10_000

/** User and system time of a process since its start, in microseconds; throws where there is no such process. */
export function cpuUs(pid: number): number {
  if (!hasProc) return psSeconds(ps("time", pid)) * 1e6
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
  // The program's name stands in brackets and may hold anything; utime and stime are the 14th and 15th field.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[11]) + Number(fields[12])) * TICK_US
}

/** The most memory that a process has had resident so far, in bytes; without /proc what it has now. */
export function peakMemoryBytes(pid: number): number {
  if (!hasProc) return Number(ps("rss", pid)) * 1_024
  const status = readFileSync(`/proc/${pid}/status`, "latin1")
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1_024
}

/** Busy time of all cores since the machine's start, in microseconds. */
export function machineCpuUs(): number {
  return cpus().reduce((sum, { times }) => sum + (times.user + times.nice + times.sys + times.irq) * 1_000, 0)
}

/** Follows the CPU time of a process that will end by itself, whose last figure could not be asked for any more. */
export class CpuWatch {
  readonly #startedAt = performance.now()
  readonly #timer: NodeJS.Timeout
  #usedUs = 0
  #untilMs = 0

  constructor(pid: number) {
    this.#timer = setInterval(() => this.#look(pid), 100)
  }

  /** Its CPU time as a share of one core, from its start to the last look. */
  stop(): number {
    clearInterval(this.#timer)
    return this.#untilMs === 0 ? 0 : this.#usedUs / (this.#untilMs * 1_000)
  }

  #look(pid: number): void {
    try {
      const usedUs = cpuUs(pid)
      // A process that has ended and was not waited for yet shows nothing.
      if (usedUs < this.#usedUs) return
      this.#usedUs = usedUs
      this.#untilMs = performance.now() - this.#startedAt
    } catch {
      clearInterval(this.#timer)
    }
  }
}

function ps(column: string, pid: number): string {
  const { stdout, status } = spawnSync("ps", ["-o", `${column}=`, "-p", String(pid)], { encoding: "utf8" })
  if (status !== 0) throw new Error(`ps knows no process ${pid}.`)
  return stdout.trim()
}

/** `[[days-]hours:]minutes:seconds`, the seconds with hundredths on some systems. */
function psSeconds(time: string): number {
  const [days = "0", clock = ""] = time.includes("-") ? time.split("-") : ["0", time]
  return clock.split(":").reduce((sum, part) => sum * 60 + Number(part), 0) + Number(days) * 86_400
}
