/**
 * A disk for a whole Waybill that a test may fill up and free again: a tmpfs of its own where the system lets it mount
 * one, else (Linux) a limit on the size of files, which is lifted again.
 */
import { spawnSync } from "node:child_process"
import { copyFileSync, rmSync, writeFileSync } from "node:fs"

const MIB = 1_048_576

export interface FillableDisk {
  /** What it is, for the test's output. */
  readonly kind: string
  /** Whether Waybill's own reserve is of use on it: files that may not grow cannot be helped by making room. */
  readonly hasReserve: boolean
  /** What Waybill is started through: see `startWaybill`. */
  readonly through: readonly string[]
  /** Copies the database, as it is at a moment, into a folder that can be read with SQLite. */
  copyOut(pid: number, folder: string): void
  /** Takes room away, so that events will soon meet the end of it. */
  fill(pid: number): void
  /** Gives the room back. */
  free(pid: number): void
}

/** A disk whose data folder Waybill knows as `folder`; undefined where this system offers no way to make one. */
export function fillableDisk(folder: string): FillableDisk | undefined {
  return mounted(folder) ?? limited(folder)
}

/** 64 MiB in a mount namespace of Waybill's own; without root, a user namespace gives the right to mount it. */
function mounted(folder: string): FillableDisk | undefined {
  const asRoot = process.getuid?.() === 0 ? [] : ["--map-root-user"]
  const mount = `mount -t tmpfs -o size=64m none "$0" && exec "$@"`
  const through = ["unshare", ...asRoot, "--mount", "sh", "-c", mount, folder]
  const [command = "", ...args] = [...through, "true"]
  if (spawnSync(command, args).status !== 0) return undefined
  const place = (pid: number) => `/proc/${pid}/root${folder}`
  return {
    kind: "a tmpfs of 64 MiB",
    hasReserve: true,
    through,
    copyOut: (pid, to) => copyOut(pid, place(pid), to),
    fill: pid => writeFileSync(`${place(pid)}/other`, Buffer.alloc(40 * MIB, 1)),
    free: pid => rmSync(`${place(pid)}/other`),
  }
}

function limited(folder: string): FillableDisk | undefined {
  const limit = (pid: number, bytes: number | "unlimited") =>
    spawnSync("prlimit", [`--pid=${pid}`, `--fsize=${bytes}:unlimited`]).status === 0
  if (!limit(process.pid, "unlimited")) return undefined
  return {
    kind: "a limit of 6 MiB a file, because no tmpfs could be mounted",
    hasReserve: false,
    through: ["env"],
    copyOut: (pid, to) => copyOut(pid, folder, to),
    fill: pid => void limit(pid, 6 * MIB),
    free: pid => void limit(pid, "unlimited"),
  }
}

/** SQLite follows no path through another process, plain reading does; what is copied is whole, because nobody writes. */
function copyOut(pid: number, from: string, to: string): void {
  process.kill(pid, "SIGSTOP")
  for (const name of ["waybill.db", "waybill.db-wal"]) copyFileSync(`${from}/${name}`, `${to}/${name}`)
  process.kill(pid, "SIGCONT")
}
