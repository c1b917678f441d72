/** Opens everything durable over PostgreSQL: pools, schema, this process's place among the others, the sealing key. */

import { randomUUID } from "node:crypto"
import { Ids, idShareOf } from "../domain/id.ts"
import { Floor } from "./floor.ts"
import { openSeal, readKeysInUse } from "./keys-in-use.ts"
import { PostgresDatabase } from "./postgres.ts"
import { assertServer } from "./postgres-check.ts"
import { PostgresClock } from "./postgres-clock.ts"
import { enterRing } from "./postgres-keys.ts"
import { PostgresLanes, setClock } from "./postgres-lanes.ts"
import { PostgresLedger } from "./postgres-ledger.ts"
import { assertMigrated, migratePostgres, schemaOf } from "./postgres-migrate.ts"
import { makeAhead, PostgresParts } from "./postgres-parts.ts"
import { PostgresRoom } from "./postgres-room.ts"
import { withSession } from "./postgres-session.ts"
import { Tenure } from "./postgres-tenure.ts"
import { Timeline } from "./postgres-timeline.ts"
import { Wakes } from "./postgres-wakes.ts"
import type { Reader } from "./reader.ts"
import { Ring } from "./seal.ts"
import { ringFor } from "./secret-key.ts"
import { makeFolder, type Store, type StoreOptions } from "./store.ts"

/** Connections for each use. One process holds 17 at the most: another is for being called by the others (postgres-wakes.ts). */
const CONNECTIONS = { ingest: 3, engine: 5, reads: 6, lanes: 2 } as const
export const connectionsPerProcess = Object.values(CONNECTIONS).reduce((sum, count) => sum + count, 1)

export interface PostgresOptions extends Omit<StoreOptions, "onFatal" | "now"> {
  /** The database's own clock where it is left out. */
  readonly now?: (() => number) | undefined
  /** A clock of the process that only ever goes forward, in ms; its own unless a test turns it. */
  readonly monotonicNow?: () => number
  /** `postgres://user@host/database` */
  readonly url: string
  /** How this process is called among the others. */
  readonly name: string
  /** False: a database with an older schema is refused, not brought up to date. */
  readonly migrate?: boolean
  /** True: a server that may lose what it has committed is taken. */
  readonly allowUnsafe?: boolean
}

/** The store over PostgreSQL. */
export interface PostgresStore extends Store {
  readonly db: PostgresDatabase
  readonly ledger: PostgresLedger
  readonly parts: PostgresParts
  readonly lanes: PostgresLanes
}

/** How faults name it. */
const THE_DATABASE = "the database"

/** Nothing is kept free: whose disk it is sees to that. */
const noBallast = { isSpent: false, restore: () => false }

/** Opens the store of a database, bringing it to this program's schema unless told not to; throws StoreFault, StoreUnavailable. */
export async function openPostgres(options: PostgresOptions): Promise<PostgresStore> {
  const { url, watcher, monotonicNow = () => performance.now() } = options
  await withSession(url, async session => {
    await assertServer(session, options.allowUnsafe ?? false)
    // Before anything is changed: who lacks a key leaves no trace.
    const known = (await schemaOf(session.db)).version === 0 ? [] : await readKeysInUse(session.db)
    if (known.length > 0) ringFor(options, known, session.place)
    if (options.migrate ?? true) await migratePostgres(session)
    else await assertMigrated(session)
  })
  const timeline = new Timeline()
  const pool = (use: keyof typeof CONNECTIONS) =>
    new PostgresDatabase({ url, name: `waybill ${use}`, connections: CONNECTIONS[use], timeline })
  const pools = { ingest: pool("ingest"), engine: pool("engine"), reads: pool("reads"), lanes: pool("lanes") }
  const { engine, reads } = pools
  const room = new PostgresRoom()
  for (const each of Object.values(pools)) each.onUnavailable = error => room.met(error)
  const wakes = new Wakes(url, pools.lanes)
  const closeAll = async () => {
    await wakes.close()
    await Promise.all(Object.values(pools).map(each => each.close()))
  }
  try {
    makeFolder(options.dataDir)
    const keys = ringFor(options, await readKeysInUse(engine), THE_DATABASE)
    const clock = new PostgresClock(monotonicNow)
    await setClock(clock, pools.lanes)
    const now = options.now ?? (() => clock.now())
    // Its number in the system is not enough: in containers all of them are number 1, and names of machines are made twice.
    const name = `${options.name} ${randomUUID().slice(0, 8)}`
    const tenure = new Tenure({
      ...{ db: pools.lanes, name, monotonicNow, sealingKeys: new Ring(keys).ids },
      admit: () => enterRing(engine, keys, options),
    })
    const before = await readKeysInUse(engine)
    await tenure.begin()
    const seal = await engine.transaction(tx => tx.run(openSeal(keys, before)))
    const ids = new Ids(now, 0, idShareOf(tenure.number))
    tenure.shares(ids)
    const parts = new PostgresParts(engine, ids)
    await makeAhead(engine, now())
    const ledger = new PostgresLedger({ pools, ids, parts, seal, now, watcher })
    return {
      engine: "postgres",
      db: engine,
      reads: reads satisfies Reader,
      ledger,
      parts,
      ballast: noBallast,
      probe: () => room.probe(engine, now()),
      ids,
      floor: new Floor(reads),
      seal,
      now,
      get fence() {
        return tenure.number
      },
      lanes: new PostgresLanes({ db: pools.lanes, tenure, clock, wakes }),
      close: async () => {
        // Where it cannot be said, the others find out when its lease is over.
        await tenure.end().catch(() => undefined)
        await wakes.call("lanes")
        await closeAll()
      },
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}
