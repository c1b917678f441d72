/** Looks at a PostgreSQL database for those who ask what is wrong with it. Changes nothing. */
import { raw, sql } from "./database.ts"
import { idsOfRow } from "./keys-in-use.ts"
import { type SchemaFacts, schemaOf } from "./postgres-migrate.ts"
import type { Session } from "./postgres-session.ts"
import { connectionsPerProcess } from "./postgres-store.ts"

/** What a database says of what is in it, and of how it does. */
export interface DatabaseFacts {
  readonly schema: SchemaFacts
  /** Ids of the keys that seal its secrets, newest first; none where none has sealed anything yet. */
  readonly keysInUse: readonly string[]
  /** When the latest event was received, in ms since 1970; null where there is none. */
  readonly lastEventAt: number | null
  /** Hosts that integrations which are switched on point to, each once. */
  readonly hosts: readonly string[]
  /** Processes that are alive, by their names. */
  readonly nodes: readonly string[]
  /** The database's clock, in ms since 1970. */
  readonly now: number
  /** Connections that can be had, that are in use, and that one process may take. */
  readonly connections: { readonly most: number; readonly used: number; readonly perProcess: number }
  /** How long the oldest open transaction in this database has been open. */
  readonly oldestTransactionMs: number
}

/** How many commits a trial makes. */
const TRIAL_COMMITS = 20

/** Reads what a database says of itself. */
export async function lookAtDatabase({ db }: Session): Promise<DatabaseFacts> {
  const [server] = await db.query<ServerRow>(sql`
    select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now,
      current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint as most,
      (select coalesce(sum(numbackends), 0) from pg_stat_database)::bigint as used,
      coalesce((
        select floor(extract(epoch from max(clock_timestamp() - xact_start)) * 1000)::bigint from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
      ), 0) as oldest`)
  const { now = 0, most = 0, used = 0, oldest = 0 } = server ?? {}
  const schema = await schemaOf(db)
  const state = {
    schema,
    now,
    connections: { most, used, perProcess: connectionsPerProcess },
    oldestTransactionMs: oldest,
  }
  if (schema.version === 0) return { ...state, keysInUse: [], lastEventAt: null, hosts: [], nodes: [] }
  const [inside] = await db.query<InsideRow>(sql`
    select (select value from meta where key = 'seal') as seal, (
        select max((select e.received_at from event e where e.project_id = p.id order by e.id desc limit 1)) from project p
      ) as last_event_at`)
  const nodes = await db.query<{ name: string }>(sql`
    select name from node where expires_at > clock_timestamp() order by id`)
  return {
    ...state,
    keysInUse: idsOfRow(inside?.seal),
    lastEventAt: inside?.last_event_at ?? null,
    hosts: await hostsOf(db),
    nodes: nodes.map(({ name }) => name),
  }
}

/** How long commits take, in ms, in the order in which they were made. What they write is a message that nobody reads. */
export async function tryDatabaseCommits({ db }: Session): Promise<readonly number[]> {
  const times: number[] = []
  for (let i = 0; i < TRIAL_COMMITS; i++) {
    const before = performance.now()
    await db.query(
      raw("begin; set local synchronous_commit = on; select pg_logical_emit_message(true, 'waybill', ''); commit"),
    )
    times.push(performance.now() - before)
  }
  return times
}

async function hostsOf(db: Session["db"]): Promise<readonly string[]> {
  const rows = await db.query<{ snapshot: string }>(sql`
    select snapshot from integration where removed_at is null and enabled = 1`)
  const hosts = rows.flatMap(({ snapshot }) => {
    const { config = {} } = JSON.parse(snapshot) as { config?: Record<string, { url?: unknown } | undefined> }
    return [config["production"], config["sandbox"]].flatMap(place => URL.parse(String(place?.url))?.hostname ?? [])
  })
  return [...new Set(hosts)]
}

interface ServerRow {
  readonly now: number
  readonly most: number
  readonly used: number
  readonly oldest: number
}

interface InsideRow {
  readonly seal: string | null
  readonly last_event_at: number | null
}
