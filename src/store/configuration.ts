/**
 * What other processes have changed of the configuration. Each transaction that changes it raises its version and notes
 * what it changed (migrations/postgres/005_configuration.sql); the embedded engine has no other processes, and no version.
 */
import { type Database, sql } from "./database.ts"
import type { Reader } from "./reader.ts"
import type { Store } from "./store.ts"

/** One thing that was changed. `event_types` is the whole catalogue of a project, whose id is the subject. */
export interface Changed {
  readonly kind: "project" | "app" | "event_types" | "integration" | "key"
  readonly subject: number
}

/** The configuration as it stands, and what led there. */
export interface ConfigurationNews {
  readonly version: number
  /** What was changed since; null where that is so long ago that everything has to be read. */
  readonly changed: readonly Changed[] | null
}

/** An event was routed by a configuration that another process has changed since: it is routed anew. */
export class ConfigurationChanged extends Error {}

/** Reads several things as they stand at one moment, whatever is committed meanwhile. */
export function atOneMoment<T>(
  { db, engine }: Pick<Store, "db" | "engine">,
  read: (tx: Database) => Promise<T>,
): Promise<T> {
  return db.transaction(async tx => {
    // The embedded engine has one transaction at a time.
    if (engine === "postgres") await tx.query(sql`set transaction isolation level repeatable read, read only`)
    return read(tx)
  })
}

/** The version of the configuration; read before the configuration itself, so that what is read is as new at least. */
export async function configurationVersion(db: Reader): Promise<number> {
  const [row] = await db.query<{ version: number }>(sql`select version from configuration`)
  return row?.version ?? 0
}

/** What has changed since a version; undefined where nothing has. Primary key. */
export async function configurationNews(db: Reader, since: number): Promise<ConfigurationNews | undefined> {
  const rows = await db.query<{ version: number; noted: number | null } & Partial<Changed>>(sql`
    select c.version, n.version as noted, n.kind, n.subject
    from configuration c left join configuration_change n on n.version > ${since}
    where c.version <> ${since}
    order by n.version`)
  const [first] = rows
  if (first === undefined) return undefined
  // Each version has noted something: where the next is not there, it was let go, or the database is another one.
  if (first.noted !== since + 1) return { version: first.version, changed: null }
  const byName = new Map<string, Changed>()
  for (const { kind, subject } of rows) {
    if (kind !== undefined && subject !== undefined) byName.set(`${kind} ${subject}`, { kind, subject })
  }
  return { version: first.version, changed: [...byName.values()] }
}
