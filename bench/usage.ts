/** What processes use: CPU time and memory of a whole process with all its threads, and CPU time of the machine. */
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { cpus } from "node:os"

const hasProc = existsSync("/proc/self/stat")
/** Linux counts CPU time in hundredths of a second towards programs, on every architecture that Node runs on (proc(5)). */
const TICK_US = 10_000

/** User and system time of a process since its start, in microseconds; throws where there is no such process. */
export function cpuUs(pid: number): number {
  if (!hasProc) return psSeconds(ps("time", pid)) * 1e6
  const fields = statFields(pid)
  if (fields === null) throw new Error(`There is no process ${pid}.`)
  // utime and stime are the 14th and 15th field.
  return (Number(fields[11]) + Number(fields[12])) * TICK_US
}

/**
 * The same of a process, of all that it has started and of all that those have: PostgreSQL has a process for each
 * connection, Redis one for each rewrite of its file. What has ended meanwhile counts. Null without /proc.
 */
export function treeCpuUs(root: number): number | null {
  if (!hasProc) return null
  const processes = new Map<number, { readonly parent: number; readonly us: number }>()
  for (const pid of readdirSync("/proc").filter(name => /^\d+$/.test(name))) {
    const fields = statFields(pid)
    // User and system time of its own, then of its children that have ended.
    const ticks = [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields?.[i] ?? 0), 0)
    if (fields !== null) processes.set(Number(pid), { parent: Number(fields[1]), us: ticks * TICK_US })
  }
  const isBelow = (pid: number): boolean => {
    const found = processes.get(pid)
    return pid === root || (found !== undefined && found.parent > 0 && isBelow(found.parent))
  }
  return [...processes].reduce((sum, [pid, { us }]) => (isBelow(pid) ? sum + us : sum), 0)
}

/** What stands in a process's `stat` from its state on, the third field; null where it has ended. */
function statFields(pid: number | string): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // The program's name stands in brackets before it and may hold anything.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  } catch {
    return null
  }
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
