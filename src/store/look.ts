/**
 * Looks at a database file without leaving a trace: for a start that may still be refused, for backups and for those who
 * ask what is wrong with a data folder. Whoever looks needs no lock, and the file may be in use.
 */
import { closeSync, existsSync, openSync, readSync } from "node:fs"
import { resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"
import { idsOfRow } from "./keys-in-use.ts"
import { versionOf } from "./migrate.ts"

const SQLITE_CORRUPT = 11

/** What a database file says of itself. */
export interface FileFacts {
  /** The schema version; 0 where nothing is in it yet. */
  readonly version: number
  /** Whether it keeps a write-ahead log, as every database does that Waybill has opened; a backup does not. */
  readonly isWal: boolean
  /** Ids of the keys that seal its secrets, newest first; none where none has sealed anything yet. */
  readonly keysInUse: readonly string[]
  /** When the latest event was received, in ms since 1970; null where there is none. */
  readonly lastEventAt: number | null
  /** Hosts that integrations which are switched on point to, each once. */
  readonly hosts: readonly string[]
}

/**
 * Opens a file for reading. A database in WAL mode gets two more files as soon as somebody reads it, and they stay when
 * the reader may not write: without a log beside it, it is opened as a file that nobody changes, which needs neither.
 */
export function openUntouched(path: string): DatabaseSync {
  if (existsSync(`${path}-wal`)) return new DatabaseSync(path, { readOnly: true })
  const url = pathToFileURL(resolve(path))
  url.searchParams.set("immutable", "1")
  return new DatabaseSync(url, { readOnly: true })
}

/** Reads what a database file says of itself; throws SQLite's error where it is none, or damaged. */
export function lookAt(path: string): FileFacts {
  const connection = openUntouched(path)
  try {
    const version = versionOf(connection)
    const one = (text: string) => Object.values(connection.prepare(text).get() ?? {})[0] ?? null
    const isWal = isWalFile(path)
    if (version === 0) return { version, isWal, keysInUse: [], lastEventAt: null, hosts: [] }
    // The end of each project's stretch of the primary key; events come in in the order of their ids.
    const lastEventAt = one(`
      select max((
        select e.received_at from event e where e.project_id = p.id order by e.id desc limit 1
      )) from project p`)
    return {
      version,
      isWal,
      keysInUse: idsOfRow(one("select value from meta where key = 'seal'")),
      lastEventAt: lastEventAt === null ? null : Number(lastEventAt),
      hosts: hostsOf(connection),
    }
  } finally {
    connection.close()
  }
}

/** What is found wrong in a file when all of it is read, at most 10 sentences; none when all is well. */
export function faultsIn(path: string): readonly string[] {
  const connection = openUntouched(path)
  try {
    const rows = connection.prepare("pragma integrity_check(10)").all()
    return rows.map(row => String(row.integrity_check)).filter(sentence => sentence !== "ok")
  } catch (error) {
    // Where even the tables cannot be listed, the check itself fails.
    if (error instanceof Error && "errcode" in error && error.errcode === SQLITE_CORRUPT) return [error.message]
    throw error
  } finally {
    connection.close()
  }
}

/** The pragma would answer for the connection. SQLite's file format: the byte at offset 18 is 2 for a write-ahead log. */
function isWalFile(path: string): boolean {
  const header = Buffer.alloc(19)
  const file = openSync(path, "r")
  try {
    return readSync(file, header, 0, header.length, 0) === header.length && header[18] === 2
  } finally {
    closeSync(file)
  }
}

function hostsOf(connection: DatabaseSync): string[] {
  const rows = connection
    .prepare(
      `select distinct json_extract(snapshot, '$.config.' || e.value || '.url') as url
       from integration, json_each('["production", "sandbox"]') e
       where removed_at is null and enabled = 1`,
    )
    .all()
  return [...new Set(rows.flatMap(row => URL.parse(String(row.url))?.hostname ?? []))]
}
