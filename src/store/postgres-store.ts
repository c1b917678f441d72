/** Opens everything durable over PostgreSQL: pools, schema, this process's place among the others, the sealing key. */
import { type IdShare, Ids, idShareOf } from "../domain/id.ts"
import { sql } from "./database.ts"
import { PostgresDatabase } from "./postgres.ts"
import { PostgresLedger } from "./postgres-ledger.ts"
import { migratePostgres } from "./postgres-migrate.ts"
import { joinNodes, leaveNodes } from "./postgres-nodes.ts"
import { PostgresParts } from "./postgres-parts.ts"
import type { Reader } from "./reader.ts"
import { sealOf } from "./secret-key.ts"
import { makeFolder, type Store, type StoreOptions } from "./store.ts"

/** Connections for each use. One process holds 14 at the most. */
const CONNECTIONS = { ingest: 3, engine: 5, reads: 6 } as const

export interface PostgresOptions extends Omit<StoreOptions, "onFatal"> {
  /** `postgres://user@host/database` */
  readonly url: string
  /** How this process is called among the others. */
  readonly name: string
}

/** The store over PostgreSQL. */
export interface PostgresStore extends Store {
  readonly db: PostgresDatabase
  readonly ledger: PostgresLedger
  readonly parts: PostgresParts
}

/** Nothing is kept free: whose disk it is sees to that. */
const noBallast = { isSpent: false, restore: () => false }

/** Opens the store of a database, bringing it to this program's schema; throws StoreFault, StoreUnavailable. */
export async function openPostgres(options: PostgresOptions): Promise<PostgresStore> {
  const { url, now, watcher } = options
  const pool = (use: keyof typeof CONNECTIONS) =>
    new PostgresDatabase({ url, name: `waybill ${use}`, connections: CONNECTIONS[use] })
  const [ingest, engine, reads] = [pool("ingest"), pool("engine"), pool("reads")]
  const closeAll = async () => void (await Promise.all([ingest, engine, reads].map(each => each.close())))
  try {
    await migratePostgres(engine)
    makeFolder(options.dataDir)
    const [known] = await engine.query<{ value: string }>(sql`select value from meta where key = 'seal'`)
    const seal = sealOf(options, known?.value, "the database")
    await engine.query(sql`
      insert into meta (key, value) values ('seal', ${seal.fingerprint}) on conflict (key) do nothing`)
    const fence = await joinNodes(engine, options.name)
    const share: IdShare = idShareOf(fence)
    const ids = new Ids(now, 0, share)
    const parts = new PostgresParts(engine)
    const ledger = new PostgresLedger({ pools: { ingest, engine }, ids, parts, now, watcher })
    return {
      engine: "postgres",
      db: engine,
      reads: reads satisfies Reader,
      ledger,
      parts,
      ballast: noBallast,
      ids,
      seal,
      now,
      fence,
      close: async () => {
        await leaveNodes(engine, fence)
        await closeAll()
      },
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}
