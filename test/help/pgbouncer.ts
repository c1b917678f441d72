/** PgBouncer before a test's PostgreSQL, in transaction mode, as an operator would set it up: docs/postgresql.md. */
import { spawn, spawnSync } from "node:child_process"
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "node:test"
import { withClient } from "./postgres.ts"
import { stablePort } from "./waybill.ts"

/** Who runs it where this process is root, whom it refuses. */
const NOBODY = 65_534
const START_LIMIT_MS = 10_000

/** Where PgBouncer is, in order; Debian puts it where only root's PATH leads. */
const places = ["pgbouncer", "/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"]

export interface PgBouncer {
  readonly version: string
  /** The URL of a database, through it. */
  through(url: string): string
}

/** The program, and what it says of its version; undefined where this machine has none. */
export function findPgBouncer(): { readonly path: string; readonly version: string } | undefined {
  for (const path of places) {
    const { status, stdout } = spawnSync(path, ["--version"], { encoding: "utf8" })
    if (status === 0) return { path, version: stdout.split("\n")[0] ?? "" }
  }
  return undefined
}

/** Starts it before a server; it ends with the test. */
export async function startPgBouncer(t: TestContext, serverUrl: string, poolSize: number): Promise<PgBouncer> {
  const found = findPgBouncer()
  if (found === undefined) throw new Error("There is no PgBouncer on this machine.")
  const server = new URL(serverUrl)
  const folder = mkdtempSync(join(tmpdir(), "waybill-pgbouncer-"))
  const port = await stablePort()
  const config = join(folder, "pgbouncer.ini")
  writeFileSync(
    config,
    `[databases]
* = host=${server.hostname} port=${server.port} user=${server.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 400
default_pool_size = ${poolSize}
`,
  )
  const isRoot = process.getuid?.() === 0
  for (const path of isRoot ? [folder, config] : []) chownSync(path, NOBODY, NOBODY)
  const child = spawn(found.path, ["-q", config], {
    stdio: ["ignore", "pipe", "pipe"],
    ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
  })
  let said = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-5_000)
    })
  }
  t.after(() => {
    child.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  })
  const through = (url: string): string => {
    const own = new URL(url)
    own.hostname = "127.0.0.1"
    own.port = String(port)
    return own.href
  }
  for (const until = performance.now() + START_LIMIT_MS; ; ) {
    try {
      await withClient(through(serverUrl), client => client.query("select 1"))
      return { version: found.version, through }
    } catch (error) {
      if (performance.now() > until || child.exitCode !== null) {
        throw new Error(`PgBouncer does not let anybody through: ${said}`, { cause: error })
      }
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}
