/**
 * Brings a PostgreSQL database to the schema that this program was written for: numbered files, forward only, while processes
 * of the version before go on working. What a file takes away from them it says in its head: `-- breaks: 7` where programs
 * that know no schema from 7 on are refused once it has run, `-- breaks: nothing` where none is. So a schema is expanded
 * first, by a file that breaks nothing, and contracted in a later version, when nobody works with what goes.
 */
import { readdirSync, readFileSync } from "node:fs"
import { type Database, raw, sql } from "./database.ts"
import { codeOf } from "./postgres.ts"
import type { Session } from "./postgres-session.ts"
import { StoreFault } from "./store-fault.ts"

const folder = new URL("./migrations/postgres/", import.meta.url)

export interface PostgresMigration {
  readonly version: number
  readonly name: string
  /** Its statements, with its head. */
  text(): string
}

/** The migrations of this program, in order. */
export const postgresMigrations: readonly PostgresMigration[] = readdirSync(folder)
  .filter(name => /^\d{3}_.*\.sql$/.test(name))
  .sort()
  .map(name => ({
    version: Number(name.slice(0, 3)),
    name,
    text: () => readFileSync(new URL(name, folder), "utf8"),
  }))

/** What a database says of its schema. */
export interface SchemaFacts {
  /** 0 where there is none yet. */
  readonly version: number
  /** The schema that a program has to know at least to work with this one. */
  readonly needs: number
}

/** How long somebody else may be at the schema, or at an import, while a start waits for it; and how long others may hold a table. */
const TURN_SECONDS = 60
const TABLE_SECONDS = 10

/** Held, to the end of a transaction, by whoever changes the schema or fills the database. */
export const schemaLock = sql`select pg_advisory_xact_lock(8741, 0)`

/** Runs what is missing, under a lock, so that of several processes that start together one does; says what ran. */
export function migratePostgres(
  session: Pick<Session, "place" | "transaction">,
  migrations: readonly PostgresMigration[] = postgresMigrations,
): Promise<{ readonly from: number; readonly ran: readonly string[] }> {
  return session.transaction(async tx => {
    await waitForTurn(tx, session.place)
    const before = await schemaOf(tx)
    const known = assertKnown(before, session.place, migrations)
    const missing = migrations.filter(migration => migration.version > before.version)
    let { needs } = before
    // Others work meanwhile: what waits for a table keeps all who come after it waiting.
    await tx.query(raw(`set local lock_timeout = '${TABLE_SECONDS}s'`))
    for (const { name, text } of missing) {
      const statements = text()
      needs = Math.max(needs, breaksOf(name, statements))
      await tx.query(raw(statements)).catch(error => {
        if (codeOf(error) !== LOCK_TIMEOUT) throw error
        throw new StoreFault(
          `${name} could not have a table of ${session.place} within ${TABLE_SECONDS} s, so nothing was changed: see pg_stat_activity for a transaction that has been open for long, end it, and start again.`,
        )
      })
    }
    if (missing.length > 0) {
      await writeMeta(tx, "schema", known)
      await writeMeta(tx, "schema_needs", needs)
    }
    return { from: before.version, ran: missing.map(({ name }) => name) }
  })
}

/** Throws StoreFault unless this program can work with the schema as it is. */
export function assertMigrated(
  session: Pick<Session, "place" | "transaction">,
  migrations: readonly PostgresMigration[] = postgresMigrations,
): Promise<void> {
  return session.transaction(async tx => {
    await waitForTurn(tx, session.place)
    const facts = await schemaOf(tx)
    const known = assertKnown(facts, session.place, migrations)
    if (facts.version >= known) return
    const state = facts.version === 0 ? "has none yet" : `has ${facts.version}`
    throw new StoreFault(
      `This program needs schema ${known}, ${session.place} ${state}, and --no-migrate (WAYBILL_MIGRATE=no) lets it change nothing: run \`waybill migrate\` of this version first.`,
    )
  })
}

/** The schema of a database. */
export async function schemaOf(tx: Pick<Database, "query">): Promise<SchemaFacts> {
  const [there] = await tx.query<{ meta: string | null }>(sql`select to_regclass('meta') as meta`)
  if (there?.meta === null) return { version: 0, needs: 0 }
  const rows = await tx.query<{ key: string; value: string }>(sql`
    select key, value from meta where key in ('schema', 'schema_needs')`)
  const of = (name: string) => Number(rows.find(({ key }) => key === name)?.value ?? 0)
  return { version: of("schema"), needs: of("schema_needs") }
}

/** From which schema on a program has to know, once a migration has run; 0: it breaks nothing. */
export function breaksOf(name: string, text: string): number {
  const head = text.slice(0, text.search(/^(?!--)/m))
  const [, breaks] = /^-- breaks: (nothing|\d+)$/m.exec(head) ?? []
  if (breaks === undefined) throw new Error(`${name} does not say in its head what it breaks.`)
  return breaks === "nothing" ? 0 : Number(breaks)
}

/** Throws StoreFault for a schema that this program cannot work with; gives the schema that it knows. */
export function assertKnown(
  { version, needs }: SchemaFacts,
  place: string,
  migrations: readonly PostgresMigration[] = postgresMigrations,
): number {
  const known = migrations.at(-1)?.version ?? 0
  if (needs > known) {
    throw new StoreFault(
      `A newer Waybill has made ${place} what it is (schema ${version}, for programs that know ${needs}; this one knows ${known}). Start that version.`,
    )
  }
  return known
}

const LOCK_TIMEOUT = "55P03"

async function waitForTurn(tx: Database, place: string): Promise<void> {
  await tx.query(raw(`set local lock_timeout = '${TURN_SECONDS}s'`))
  try {
    await tx.query(schemaLock)
  } catch (error) {
    if (codeOf(error) !== LOCK_TIMEOUT) throw error
    throw new StoreFault(
      `Somebody else has been changing the schema of ${place}, or importing into it, for ${TURN_SECONDS} s: wait until that is over, and start again.`,
    )
  }
}

async function writeMeta(tx: Database, key: string, value: number): Promise<void> {
  await tx.query(sql`
    insert into meta (key, value) values (${key}, ${String(value)})
    on conflict (key) do update set value = excluded.value`)
}
