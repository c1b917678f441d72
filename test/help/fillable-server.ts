/**
 * A PostgreSQL whose tables lie on a disk that a test may fill up and free again, while the write-ahead log has another: a
 * tmpfs of the server's own where the system lets it mount one, else (Linux) a limit on the size of files, which is lifted
 * again.
 */
import { spawnSync } from "node:child_process"
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, rmSync, statSync, writeSync } from "node:fs"
import { join } from "node:path"
import type { TestContext } from "node:test"
import { type PostgresServer, processesOf, startPostgres, withClient } from "./postgres.ts"
import { temporaryFolder } from "./waybill.ts"

const MIB = 1_048_576
const BLOCK = Buffer.alloc(8_192, 1)

export interface FillableServer extends PostgresServer {
  /** What its disk is, for the test's output. */
  readonly kind: string
  /** Leaves no room at all. */
  fill(): void
  /** Gives the room back. */
  free(): void
}

/** Starts one. It ends with the test. */
export async function startFillableServer(t: TestContext): Promise<FillableServer> {
  const folder = temporaryFolder(t)
  chmodSync(folder, 0o755)
  const disk = join(folder, "disk")
  mkdirSync(disk)
  return (await onTmpfs(disk)) ?? (await limited())
}

/** 64 MiB in a mount namespace of the server's own; without root, a user namespace gives the right to mount it. */
async function onTmpfs(disk: string): Promise<FillableServer | undefined> {
  const isRoot = process.getuid?.() === 0
  // PostgreSQL refuses root, whoever that is outside.
  const become = isRoot
    ? "setpriv --reuid 65534 --regid 65534 --clear-groups"
    : `unshare --user --map-user=${process.getuid?.()} --map-group=${process.getgid?.()}`
  const mount = `mount -t tmpfs -o size=64m,mode=700${isRoot ? ",uid=65534,gid=65534" : ""} none "$0" && exec ${become} "$@"`
  const through = ["unshare", ...(isRoot ? [] : ["--map-root-user"]), "--mount", "sh", "-c", mount, disk]
  const [command = "", ...args] = [...through, "true"]
  if (spawnSync(command, args).status !== 0) return undefined
  const server = await startPostgres({ through })
  const other = () => `/proc/${server.pid}/root${disk}/other`
  await withClient(server.url, client => client.query(`create tablespace small location '${disk}'`))
  return {
    ...server,
    kind: "a tmpfs of 64 MiB",
    database: async () => {
      const url = await server.database()
      const name = new URL(url).pathname.slice(1)
      await withClient(server.url, client => client.query(`alter database ${name} set tablespace small`))
      return url
    },
    fill: () => fill(other()),
    free: () => rmSync(other()),
  }
}

/** Writes a file until there is no room for another page. */
function fill(path: string): void {
  const file = openSync(path, "w")
  try {
    for (;;) writeSync(file, BLOCK)
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error
  } finally {
    closeSync(file)
  }
}

async function limited(): Promise<FillableServer> {
  // A write-ahead log that cannot grow ends the server, so that its files have to be smaller than the tables'.
  const server = await startPostgres({ initial: ["--wal-segsize=1"] })
  // Its own user may, where root of a container may not.
  const { uid, gid } = statSync(server.folder ?? "")
  const limit = (bytes: number | "unlimited") => {
    for (const pid of processesOf(server.pid)) {
      const done = spawnSync("prlimit", [`--pid=${pid}`, `--fsize=${bytes}:unlimited`], { uid, gid, encoding: "utf8" })
      // Those that it starts after that have its limit.
      if (done.status === 0 || !existsSync(`/proc/${pid}`)) continue
      throw new Error(
        `This test fills a disk: by \`unshare --mount\` and a tmpfs, or by prlimit, neither of which is possible here (${done.stderr}${done.error ?? ""}). It needs Linux.`,
      )
    }
  }
  return {
    ...server,
    kind: "a limit on the size of files, because no tmpfs could be mounted",
    fill: () => limit(MIB),
    free: () => limit("unlimited"),
  }
}
