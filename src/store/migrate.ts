/** Brings a database to the schema that this program was written for: numbered files, forward only. */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs"
import type { DatabaseSync } from "node:sqlite"

const folder = new URL("./migrations/", import.meta.url)

/** The migrations of this program, in order. */
export const migrations: readonly { readonly version: number; readonly name: string }[] = readdirSync(folder)
  .filter(name => /^\d{3}_.*\.sql$/.test(name))
  .sort()
  .map(name => ({ version: Number(name.slice(0, 3)), name }))

/** The schema version that this program needs. */
export const currentVersion = migrations.at(-1)?.version ?? 0

/** The schema version of an open database; 0 for an empty one. It is SQLite's own `user_version`. */
export function versionOf(connection: DatabaseSync): number {
  return Number(connection.prepare("pragma user_version").get()?.user_version ?? 0)
}

/** The schema version in a file's header, read without opening it as a database, so that nothing is touched. */
export function versionInFile(path: string): number {
  const header = Buffer.alloc(100)
  const file = openSync(path, "r")
  try {
    // SQLite's file format: user_version is the big-endian integer at offset 60.
    return readSync(file, header, 0, 100, 0) < 100 ? 0 : header.readUInt32BE(60)
  } finally {
    closeSync(file)
  }
}

/** Runs what is missing, each migration in a transaction of its own; gives the names of those that ran. */
export function migrate(connection: DatabaseSync): readonly string[] {
  const version = versionOf(connection)
  const missing = migrations.filter(migration => migration.version > version)
  for (const migration of missing) {
    connection.exec("begin immediate")
    try {
      connection.exec(readFileSync(new URL(migration.name, folder), "utf8"))
      connection.exec(`pragma user_version = ${migration.version}`)
      connection.exec("commit")
    } catch (error) {
      if (connection.isTransaction) connection.exec("rollback")
      throw new Error(`Migration ${migration.name} failed; the database is as it was before it.`, { cause: error })
    }
  }
  return missing.map(migration => migration.name)
}
