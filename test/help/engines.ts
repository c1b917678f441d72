/**
 * The engine that the tests of this run are on: the environment's TEST_ENGINE names it, `sqlite` where nothing does. Whoever
 * needs a store asks here for a place and opens it there, so that the same test holds for both.
 */
import { copyFileSync, linkSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Ballast } from "../../src/store/ballast.ts"
import { type SqlValue, sql } from "../../src/store/database.ts"
import { migrate } from "../../src/store/migrate.ts"
import { openConnection } from "../../src/store/sqlite.ts"
import { type EmbeddedStore, openStore, type Store } from "../../src/store/store.ts"
import { template } from "./templates.ts"

/** 21 November 2026, 10 o'clock in UTC: where the clock of a test stands at first. */
export const MORNING = Date.UTC(2026, 10, 21, 10)

export const engine: Store["engine"] = engineNamed(process.env["TEST_ENGINE"] ?? "sqlite")

/** Where a store lies: a data folder, and on PostgreSQL a database of its own. */
export interface Place {
  readonly dataDir: string
  /** Undefined on the embedded engine. */
  readonly url: string | undefined
}

/**
 * A place for a store on the engine of this run, in a folder of its own that has the schema already; whoever opened a store
 * there closes it and then clears the place. A folder that is named is left as it is, for a start that makes everything.
 * `now` is when it will be opened.
 */
export async function newPlace(folder?: string, now = MORNING): Promise<Place> {
  const dataDir = folder ?? mkdtempSync(join(tmpdir(), "waybill-store-"))
  if (engine === "sqlite") {
    if (folder === undefined) await beginFolder(dataDir)
    return { dataDir, url: undefined }
  }
  // Loaded where it is needed: most runs are on the embedded engine.
  const { migratedDatabase, testDatabase } = await import("./postgres.ts")
  return { dataDir, url: await (folder === undefined ? migratedDatabase(now) : testDatabase()) }
}

/** Puts into a folder what a first start on it would make, where this run has templates of it. */
async function beginFolder(dataDir: string): Promise<void> {
  const migrated = await template("waybill.db", async path => {
    const connection = openConnection(path)
    migrate(connection)
    connection.close()
  })
  if (migrated !== undefined) copyFileSync(migrated, `${dataDir}/waybill.db`)
  const ballast = await template("reserve", async path => void new Ballast(path))
  // Nobody writes into it: it is there, or is taken away. Making it is 32 MiB for the disk, more than all that most tests write.
  if (ballast !== undefined) linkSync(ballast, `${dataDir}/reserve`)
}

/** Takes a place away with all that is in it. */
export async function clearPlace({ dataDir, url }: Place): Promise<void> {
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 })
  if (url === undefined) return
  const { dropDatabase } = await import("./postgres.ts")
  await dropDatabase(url)
}

/**
 * Opens the store of a place. On PostgreSQL the process counts as alive for as long as the store is open: what a test turns
 * is the store's clock, while leases run on the database's own.
 */
export async function openAt({ dataDir, url }: Place, now: () => number): Promise<Store> {
  if (url === undefined) return openStore({ dataDir, sealingKeys: undefined, now })
  const { openPostgres } = await import("../../src/store/postgres-store.ts")
  const store = await openPostgres({ url, name: "test", dataDir, sealingKeys: undefined, now, allowUnsafe: true })
  await store.db.query(sql`update node set expires_at = 'infinity' where id = ${store.fence}`)
  return store
}

/** Settings of a program whose store lies in a place, beside its data folder. */
export function settingsOf({ url }: Place): { readonly databaseUrl?: string; readonly allowUnsafeDatabase?: string } {
  // The server of the tests is quick: it does not wait for the disk.
  return url === undefined ? {} : { databaseUrl: url, allowUnsafeDatabase: "yes" }
}

/** Looks into the database of a place, or changes it, past the program, whether it runs or not. Values stand as `?`. */
export async function queryPlace<Row extends object>(
  { dataDir, url }: Place,
  text: string,
  ...values: readonly SqlValue[]
): Promise<Row[]> {
  if (url === undefined) {
    const connection = new DatabaseSync(`${dataDir}/waybill.db`, { timeout: 5_000 })
    try {
      // Spread, because SQLite's rows have no prototype and equal nothing that a test can write down.
      return connection
        .prepare(text)
        .all(...values)
        .map(row => ({ ...row })) as Row[]
    } finally {
      connection.close()
    }
  }
  const { withClient } = await import("./postgres.ts")
  const { types } = await import("../../src/store/postgres.ts")
  let place = 0
  const numbered = text.replaceAll("?", () => `$${++place}`)
  const { rows } = await withClient(url, client => client.query({ text: numbered, values: [...values], types }))
  return rows.map(row => ({ ...row })) as Row[]
}

/** Has the store's process hold these lanes, so that it may claim from them; the embedded engine's holds them all. */
export async function holdLanes({ db, engine, fence }: Store, lanes: readonly number[]): Promise<void> {
  if (engine === "sqlite") return
  for (const lane of lanes) {
    await db.query(sql`
      insert into lane (integration_id, holder) values (${lane}, ${fence})
      on conflict (integration_id) do update set holder = excluded.holder`)
  }
}

/** A store that can only be the embedded engine's. */
export function embedded(store: Store): EmbeddedStore {
  if (store.engine !== "sqlite")
    throw new Error("This test is about the embedded engine: it belongs into a folder `sqlite`.")
  return store as EmbeddedStore
}

function engineNamed(name: string): Store["engine"] {
  if (name === "sqlite" || name === "postgres") return name
  throw new Error(`TEST_ENGINE is ${JSON.stringify(name)}. It can be "sqlite" or "postgres".`)
}
