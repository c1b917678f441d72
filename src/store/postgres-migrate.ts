/** Brings a PostgreSQL database to the schema that this program was written for: numbered files, forward only. */
import { readdirSync, readFileSync } from "node:fs"
import { raw, sql } from "./database.ts"
import type { PostgresDatabase, PostgresTransaction } from "./postgres.ts"
import { StoreFault } from "./store-fault.ts"

const folder = new URL("./migrations/postgres/", import.meta.url)

/** The migrations of this program, in order. */
export const postgresMigrations: readonly { readonly version: number; readonly name: string }[] = readdirSync(folder)
  .filter(name => /^\d{3}_.*\.sql$/.test(name))
  .sort()
  .map(name => ({ version: Number(name.slice(0, 3)), name }))

const current = postgresMigrations.at(-1)?.version ?? 0

/** Runs what is missing, under a lock, so that of several processes that start together one does; gives what ran. */
export function migratePostgres(db: PostgresDatabase): Promise<readonly string[]> {
  return db.transaction(async tx => {
    await tx.query(sql`select pg_advisory_xact_lock(8741, 0)`)
    const version = await versionOf(tx)
    if (version > current) {
      throw new StoreFault(
        `The database was made by a newer Waybill (schema ${version}, this program knows ${current}). Start that version.`,
      )
    }
    const missing = postgresMigrations.filter(migration => migration.version > version)
    for (const { name } of missing) await tx.query(raw(readFileSync(new URL(name, folder), "utf8")))
    if (missing.length > 0) {
      await tx.query(sql`
        insert into meta (key, value) values ('schema', ${String(current)})
        on conflict (key) do update set value = excluded.value`)
    }
    return missing.map(({ name }) => name)
  })
}

/** The schema version of a database; 0 for an empty one. */
export async function versionOf(tx: Pick<PostgresTransaction, "query">): Promise<number> {
  const [there] = await tx.query<{ meta: string | null }>(sql`select to_regclass('meta') as meta`)
  if (there?.meta === null) return 0
  const [row] = await tx.query<{ value: string }>(sql`select value from meta where key = 'schema'`)
  return Number(row?.value ?? 0)
}
