/**
 * Puts an export into an empty PostgreSQL database: all of it in one transaction, so that whatever ends it early leaves the
 * database as empty as it was. Meanwhile it holds the lock of the schema, for which every start waits.
 */
import { timeOfId } from "../domain/id.ts"
import { copyIn } from "./copy-in.ts"
import { type Database, raw, sql } from "./database.ts"
import { codeOf, type PostgresTransaction } from "./postgres.ts"
import { migratePostgres, schemaLock } from "./postgres-migrate.ts"
import { makePart, partNumber } from "./postgres-parts.ts"
import type { Session } from "./postgres-session.ts"
import { StoreFault } from "./store-fault.ts"
import { type ExportEnd, type ExportHead, ExportReader, type TableEnd, type TableHead } from "./transfer-file.ts"

/** How far ids may be ahead of the database's clock: new ones go on above them, and are of the day in which they are made. */
const AHEAD_MS = 60_000

export interface ImportOptions {
  readonly session: Session
  /** The export as it comes. */
  readonly source: AsyncIterable<Uint8Array>
  /** Hears what the export says of itself before anything is done; throws where it will not do. */
  judge(head: ExportHead): void
  /** Hears how many rows of a table have been sent so far. */
  progress?(table: string, rows: number): void
}

/** What was imported: rows by table, each as many as the export says. */
export interface Imported {
  readonly head: ExportHead
  readonly tables: Readonly<Record<string, number>>
  readonly rows: number
}

/** Imports everything; throws StoreFault where the database is not empty, or the export not whole. */
export async function importExport(options: ImportOptions): Promise<Imported> {
  const { session } = options
  const reader = new ExportReader(options.source)
  const head = await reader.head()
  options.judge(head)
  await migratePostgres(session)
  const tables = await session.transaction(async tx => {
    await tx.query(schemaLock)
    await assertNobodyWorks(tx, session.place)
    await assertEmpty(tx, session.place)
    await makePlaces(tx, head)
    const counts: Record<string, number> = {}
    for (;;) {
      const next = await reader.next()
      if ("tables" in next) {
        assertWhole(next, counts)
        await assertNobodyWorks(tx, session.place)
        await beginAbove(tx, head, next.greatestId)
        return counts
      }
      counts[next.table] = await copyTable(next, tx, reader, options)
    }
  })
  // What the planner would have to guess otherwise for the first minutes.
  await session.db.query(raw("analyze"))
  return { head, tables, rows: sum(tables) }
}

/** Also at the end: one that was just starting when the import began has passed the lock before it. */
async function assertNobodyWorks(tx: Database, place: string): Promise<void> {
  const [alive] = await tx.query<{ name: string }>(
    sql`select name from node where expires_at > clock_timestamp() limit 1`,
  )
  if (alive === undefined) return
  throw new StoreFault(`A Waybill works on ${place} (${alive.name}): stop it, and import into an empty database.`)
}

/** Nothing may be there that ids of the export could meet. */
async function assertEmpty(tx: Database, place: string): Promise<void> {
  const [found] = await tx.query<{ filled: string | null }>(sql`
    select case
      when exists (select 1 from project) then 'projects'
      when exists (select 1 from api_key) then 'API keys'
      when exists (select 1 from integration) then 'integrations'
      when exists (select 1 from event) then 'events'
      when exists (select 1 from meta where key = 'seal') then 'traces of a start'
    end as filled`)
  if (found?.filled == null) return
  throw new StoreFault(
    `There are ${found.filled} in ${place} already, and an import has to have it to itself: make another database with \`create database\`, and name that in DATABASE_URL.`,
  )
}

async function makePlaces(tx: Database, head: ExportHead): Promise<void> {
  for (const day of head.days) await tx.query(sql`select make_day_1(${day})`)
  for (const { day, retentionDays, openedAt } of head.parts) {
    await tx.query(makePart(partNumber(day, retentionDays), retentionDays, openedAt))
  }
}

async function copyTable(
  { table, columns }: TableHead,
  tx: PostgresTransaction,
  reader: ExportReader,
  { session, progress }: ImportOptions,
): Promise<number> {
  await assertColumns(tx, table, columns)
  const statement = `copy ${table} (${columns.join(", ")}) from stdin`
  let said: TableEnd | undefined
  const rows = reader.rows(
    count => progress?.(table, count),
    (counted, end) => {
      said = end
      if (counted.rows !== end.rows || counted.sha256 !== end.sha256) {
        throw new StoreFault(
          `The table ${table} is not what was exported (${counted.rows} rows of ${end.rows}): the export was changed on its way. Nothing was imported.`,
        )
      }
    },
  )
  try {
    const taken = await copyIn(session.client, statement, rows)
    if (taken === said?.rows) return taken
    throw new StoreFault(`Of ${said?.rows} rows of ${table} the database took ${taken}. Nothing was imported.`)
  } catch (error) {
    if (error instanceof StoreFault || !codeOf(error)?.startsWith("2")) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new StoreFault(`The database refuses a row of ${table} (${reason}). Nothing was imported.`, { cause: error })
  }
}

/** Names come from a file: only those that are there, as they are there, become part of a statement. */
async function assertColumns(tx: Database, table: string, columns: readonly string[]): Promise<void> {
  const known = await tx.query<{ name: string }>(sql`
    select attname as name from pg_attribute
    where attrelid = to_regclass(quote_ident(${table})) and attnum > 0 and not attisdropped and attgenerated = ''`)
  const names = new Set(known.map(({ name }) => name))
  const strange = columns.find(column => !names.has(column))
  if (strange === undefined && columns.length > 0) return
  throw new StoreFault(
    `This export has ${table}.${strange ?? "…"}, which this program does not know: import with the version that made it. Nothing was imported.`,
  )
}

function assertWhole(end: ExportEnd, counts: Readonly<Record<string, number>>): void {
  if (end.rows === sum(counts) && end.tables === Object.keys(counts).length) return
  throw new StoreFault("The export says that there is more than came: it was changed on its way. Nothing was imported.")
}

/** Whatever is made from now on is above all that was imported: ids, and the numbers of processes, which are those of claims. */
async function beginAbove(tx: Database, { fence, seal, talliedUpTo }: ExportHead, greatestId: number): Promise<void> {
  const [clock] = await tx.query<{ now: number }>(
    sql`select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now`,
  )
  const aheadMs = timeOfId(greatestId) - (clock?.now ?? 0)
  if (aheadMs > AHEAD_MS) {
    throw new StoreFault(
      `The clock of the database's machine is ${Math.ceil(aheadMs / 1_000)} s behind the latest ids of this export, and new ones have to come after them: set it right, or wait so long. Nothing was imported.`,
    )
  }
  await tx.query(sql`select setval('stream_floor', greatest(${greatestId}, (select last_value from stream_floor)))`)
  // A claim is lost when no process of its number is alive: those of the export are.
  await tx.query(sql`select setval('node_id', greatest(${fence + 1}, (select last_value from node_id)))`)
  await tx.query(sql`update tally_marker set event_id = ${talliedUpTo}`)
  if (seal !== null) await tx.query(sql`insert into meta (key, value) values ('seal', ${seal})`)
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((all, count) => all + count, 0)
}
