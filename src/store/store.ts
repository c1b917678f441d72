/** Opens everything durable: the embedded database in a data folder, its readers, its ledger and the sealing key. */
import { accessSync, constants, existsSync, mkdirSync } from "node:fs"
import { backup, type DatabaseSync } from "node:sqlite"
import { Ids } from "../domain/id.ts"
import { Ballast } from "./ballast.ts"
import { type Database, StoreUnavailable } from "./database.ts"
import type { Floor } from "./floor.ts"
import { idsOfRow, keysInUse, noteKeysInUse, openSeal, withNewest } from "./keys-in-use.ts"
import type { Ledger } from "./ledger.ts"
import { openUntouched } from "./look.ts"
import { currentVersion, migrate, versionInFile, versionOf } from "./migrate.ts"
import { type Ownership, takeOwnership } from "./owner.ts"
import { writeProbe } from "./probe.ts"
import { type Reader, ReaderThread } from "./reader.ts"
import type { Seal } from "./seal.ts"
import { SearchIndex } from "./search.ts"
import { ringFor } from "./secret-key.ts"
import { isStateUnknown, openConnection, runNow, SqliteDatabase, setLogBytes } from "./sqlite.ts"
import { SqliteLedger } from "./sqlite-ledger.ts"
import type { Step } from "./step.ts"
import { StoreFault } from "./store-fault.ts"
import type { CommitWatcher } from "./watcher.ts"

export interface StoreOptions {
  readonly dataDir: string
  /** Of 32 bytes each, newest first; undefined: the key file in the data folder, made at the first start. */
  readonly sealingKeys: readonly Uint8Array[] | undefined
  readonly now: () => number
  readonly watcher?: CommitWatcher
  /** Told when it is no longer known what is on disk: the process has to end, so that the next start finds out. */
  readonly onFatal?: (error: StoreUnavailable) => void
}

/** Everything durable, on whichever engine. */
export interface Store {
  readonly engine: "sqlite" | "postgres"
  /** Writes, and the reads that belong to them. */
  readonly db: Database
  /** Everything that people ask. */
  readonly reads: Reader
  readonly ledger: Ledger
  /** Whether nothing new is taken in, because the disk is full. */
  readonly ballast: Pick<Ballast, "isSpent" | "restore">
  /** Writes, to know that events could be stored now; rejects with what keeps them from it. */
  probe(): Promise<void>
  readonly ids: Ids
  /** Where several processes make ids; null where one makes them all. */
  readonly floor: Floor | null
  readonly seal: Seal
  readonly now: () => number
  /** The fencing number of this start: greater than that of any start before. */
  readonly fence: number
  close(): Promise<void>
}

/** The embedded engine's. */
export interface EmbeddedStore extends Store {
  readonly ledger: SqliteLedger
  readonly ballast: Ballast
  /** The database's own file. */
  readonly path: string
  readonly sqlite: SqliteDatabase
}

/** 16 MiB at a time: long enough to be fast, short enough for a progress bar. */
const BACKUP_STEP_PAGES = 4_096

/** Rows and bytes after which a part of payloads is closed. */
const partLimits = { rows: 100_000, bytes: 134_217_728 }

export { StoreFault }

/** Opens the store of a data folder, making both where they do not exist; throws StoreFault. */
export function openStore(options: StoreOptions): EmbeddedStore {
  try {
    return open(options)
  } catch (error) {
    throw asFault(error, options.dataDir)
  }
}

/** Takes a data folder for as long as it is worked on; throws StoreFault where a Waybill runs on it. */
export function own(dataDir: string): Ownership {
  const ownership = takeOwnership(dataDir)
  if (ownership !== null) return ownership
  throw new StoreFault(
    `The data folder ${dataDir} belongs to a Waybill that is running. Stop it, or name another folder with WAYBILL_DATA_DIR.`,
  )
}

function open(options: StoreOptions): EmbeddedStore {
  const { dataDir, now } = options
  const path = `${dataDir}/waybill.db`
  if (existsSync(path)) checkVersion(path, versionInFile(path))
  makeFolder(dataDir)
  const ownership = own(dataDir)
  try {
    const keys = ringFor(options, existsSync(path) ? keysInFile(path) : [], path)
    const ballast = new Ballast(`${dataDir}/reserve`)
    const connection = openConnection(path)
    setLogBytes(connection, ballast.logBytes)
    // Once more: after a kill the file's header may lag behind what its log holds.
    checkVersion(path, versionOf(connection))
    migrate(connection)
    const sqlite = new SqliteDatabase(connection)
    sqlite.onUnavailable = error => {
      if (error.reason === "full") ballast.spend()
      if (isStateUnknown(error)) options.onFatal?.(error)
    }
    const seal = sqlite.immediate(() => runNow(sqlite, enter(keys)))
    const ids = new Ids(now, greatestId(connection))
    const search = new SearchIndex(sqlite)
    search.catchUp(ids.last)
    const reads = new ReaderThread(path)
    const fence = nextFence(connection)
    const { watcher } = options
    const ledger = new SqliteLedger({ db: sqlite, ids, search, seal, now, fence, partLimits, ballast, watcher })
    return {
      engine: "sqlite",
      db: sqlite,
      reads,
      ledger,
      ballast,
      probe: async () => {
        // A small row may still fit while events are refused, because the disk is full but for what was kept free.
        if (ballast.isSpent) throw new StoreUnavailable("full", undefined)
        await writeProbe(sqlite, now())
      },
      ids,
      floor: null,
      seal,
      now,
      fence,
      path,
      sqlite,
      close: async () => {
        await reads.close()
        await sqlite.close()
        ownership.release()
      },
    }
  } catch (error) {
    ownership.release()
    throw error
  }
}

/**
 * Copies a database while it is in use, by SQLite's own backup; gives the number of pages. `progress` hears after each
 * step what part is done, from 0 to 1.
 */
export async function backUp(source: string, target: string, progress?: (done: number) => void): Promise<number> {
  const connection = openUntouched(source)
  try {
    // All pages are of this one moment. Without it SQLite begins anew whenever something is committed meanwhile, and
    // under load never ends (measured: 60 MB against 750 commits a second).
    connection.exec("begin; select 1 from sqlite_schema limit 1")
    return await backup(connection, target, {
      rate: BACKUP_STEP_PAGES,
      progress: ({ totalPages, remainingPages }) => progress?.(totalPages === 0 ? 1 : 1 - remainingPages / totalPages),
    })
  } finally {
    connection.close()
  }
}

/** SQLite's codes for files that are not, or no longer, a database; and for files that this user may not have. */
const SQLITE_CORRUPT = 11
const SQLITE_NOTADB = 26
const SQLITE_PERM = 3
const SQLITE_READONLY = 8
const SQLITE_FULL = 13
const SQLITE_CANTOPEN = 14

/** An error as a StoreFault where it is one that the operator can mend; anything else stays the error that it is. */
export function asFault(error: unknown, dataDir: string): unknown {
  if (error instanceof StoreFault || !(error instanceof Error)) return error
  const code = "errcode" in error ? Number(error.errcode) & 0xff : "code" in error ? String(error.code) : ""
  switch (code) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return new StoreFault(
        `${dataDir}/waybill.db is damaged or no database (${error.message}). Put back a backup with \`waybill restore\`.`,
      )
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new StoreFault(
        `A file in the data folder ${dataDir} cannot be opened (${error.message}). Give the folder and all in it to this user.`,
      )
    case SQLITE_FULL:
    case "ENOSPC":
      return new StoreFault(`The disk of the data folder ${dataDir} is full. Make room and start again.`)
    default:
      return error
  }
}

/** Makes a data folder where there is none; throws StoreFault where it cannot be written. */
export function makeFolder(dataDir: string): void {
  try {
    // Payloads are personal data: a folder that Waybill makes is its user's alone.
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown"
    throw new StoreFault(
      `The data folder ${dataDir} cannot be written (${code}). Give it to this user, or name another with WAYBILL_DATA_DIR.`,
    )
  }
}

/** Throws StoreFault for a schema that only a newer program knows. */
export function checkVersion(path: string, version: number): void {
  if (version > currentVersion) {
    throw new StoreFault(
      `${path} was made by a newer Waybill (schema ${version}, this program knows ${currentVersion}). Start that version.`,
    )
  }
}

function keysInFile(path: string): readonly string[] {
  const connection = openUntouched(path)
  try {
    if (versionOf(connection) === 0) return []
    return idsOfRow(connection.prepare("select value from meta where key = 'seal'").get()?.value)
  } finally {
    connection.close()
  }
}

/** Notes the key that seals from now on, before anything is sealed with it. */
function* enter(keys: readonly Uint8Array[]): Step<Seal> {
  const before = yield* keysInUse()
  const seal = yield* openSeal(keys, before)
  yield* noteKeysInUse(withNewest(seal.newest, before))
  return seal
}

function greatestId(connection: DatabaseSync): number {
  const tables = [
    "attempt",
    "change",
    "rejection",
    "inbox_request",
    "integration",
    "api_key",
    "project",
    "app",
    "job",
    "failure_group",
    "person",
    "session",
    "invitation",
  ]
  const own = tables.map(table => connection.prepare(`select coalesce(max(id), 0) as id from ${table}`).get()?.id)
  // Events stand under their project: one look at the end of each.
  const events = connection
    .prepare("select coalesce(max((select max(id) from event e where e.project_id = p.id)), 0) as id from project p")
    .get()?.id
  return Math.max(...[...own, events].map(Number))
}

function nextFence(connection: DatabaseSync): number {
  const row = connection
    .prepare(
      `insert into meta (key, value) values ('fence', '1')
       on conflict do update set value = cast(cast(value as integer) + 1 as text) returning value`,
    )
    .get()
  return Number(row?.value)
}
