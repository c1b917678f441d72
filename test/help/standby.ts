/** A standby that follows a test's PostgreSQL by streaming, and without which nothing is committed there. */
import { spawnSync } from "node:child_process"
import { chmodSync, cpSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { type PostgresServer, startPostgres, withClient } from "./postgres.ts"

const NAME = "waybill_standby"
const LIMIT_MS = 30_000

export interface Standby extends PostgresServer {
  /** Makes it a primary; resolves when it takes writes. */
  promote(): Promise<void>
}

/** Copies a running server, has the copy follow it, and commits there wait for the copy from then on. */
export async function startStandby(primary: PostgresServer): Promise<Standby> {
  const { url, folder } = primary
  if (folder === undefined) throw new Error("A standby is made of a server that was started here.")
  const { port } = new URL(url)
  const standby = await startPostgres({
    quick: false,
    settings: [`primary_conninfo=host=127.0.0.1 port=${port} user=postgres application_name=${NAME}`],
    fill: data => copyRunning(url, join(folder, "data"), data),
  })
  await withClient(url, async client => {
    await client.query(`alter system set synchronous_standby_names = '${NAME}'`)
    await client.query("select pg_reload_conf()")
    for (const until = performance.now() + LIMIT_MS; ; await wait(50)) {
      const { rows } = await client.query("select 1 from pg_stat_replication where sync_state = 'sync'")
      if (rows.length > 0) break
      if (performance.now() > until) throw new Error(`The standby does not follow within ${LIMIT_MS / 1_000} s.`)
    }
  })
  return Object.assign(standby, {
    promote: () => withClient(standby.url, async client => void (await client.query("select pg_promote(true, 30)"))),
  })
}

/** As pg_basebackup does, which is not among the binaries that the tests bring. */
async function copyRunning(url: string, from: string, to: string): Promise<void> {
  await withClient(url, async client => {
    await client.query("select pg_backup_start('standby', true)")
    cpSync(from, to, { recursive: true, verbatimSymlinks: true })
    const { rows } = await client.query<{ labelfile: string }>("select labelfile from pg_backup_stop(false)")
    writeFileSync(join(to, "backup_label"), rows[0]?.labelfile ?? "")
  })
  for (const name of ["postmaster.pid", "postmaster.opts"]) rmSync(join(to, name), { force: true })
  writeFileSync(join(to, "standby.signal"), "")
  chmodSync(to, 0o700)
  // Copied by root it would be root's.
  const { uid, gid } = statSync(from)
  const owned = spawnSync("chown", ["-R", `${uid}:${gid}`, to])
  if (owned.status !== 0) throw new Error(`The copy cannot be given to the server's user: ${owned.stderr}`)
}
