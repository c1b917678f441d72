/** What tests of retention have in common: integrations that are there, a run over all steps, and what must always hold. */
import assert from "node:assert/strict"
import { list, raw, sql } from "../../src/store/database.ts"
import { Retention } from "../../src/store/retention.ts"
import { engine } from "./engines.ts"
import { DAY_MS, type FilledStore } from "./filled-store.ts"

/** How much later an event goes than its time is over: on PostgreSQL with the last of its day. */
export const WHOLE_DAY_MS = engine === "postgres" ? DAY_MS : 0

/** Writes the integrations of a filled store down, running; retention asks which a project has. */
export async function makeIntegrations({ store, project, integrations, now }: FilledStore): Promise<void> {
  for (const id of integrations) {
    await store.db.query(sql`
      insert into integration (id, project_id, name, connector, revision, enabled, snapshot, created_at, updated_at)
      values (${id}, ${project}, 'one', 'webhook', 1, 1, '{}', ${now}, ${now})`)
  }
}

export async function pause(filled: FilledStore, integration: number, paused = true): Promise<void> {
  await filled.query(sql`update integration set paused = ${paused ? 1 : 0} where id = ${integration}`)
}

/** Lets go everything that is due now; gives what went, by table. `afterPiece` may stop it by answering true. */
export async function letGo(
  { store, now }: FilledStore,
  afterPiece: () => boolean | Promise<boolean> = () => false,
): Promise<Record<string, number>> {
  const gone: Record<string, number> = {}
  for (const step of new Retention(store).steps(now, true)) {
    for await (const { counts } of step.pieces()) {
      for (const [name, count] of Object.entries(counts)) if (count > 0) gone[name] = (gone[name] ?? 0) + count
      if (await afterPiece()) return gone
    }
  }
  return gone
}

/** When what is due at a time goes: at once, or where days go as a whole when that day is over. */
export function goesAt({ store }: FilledStore, dueAt: number): number {
  return store.engine === "sqlite" ? dueAt : (Math.floor(dueAt / DAY_MS) + 1) * DAY_MS
}

/** How many rows a table has. */
export async function countOf(filled: FilledStore, table: string, where = "true"): Promise<number> {
  const [row] = await filled.query<{ n: number }>(sql`select count(*) as n from ${raw(table)} where ${raw(where)}`)
  return row?.n ?? 0
}

/** The names of all tables of payloads and exchanges. */
export async function partTables(filled: FilledStore): Promise<string[]> {
  const rows = await filled.query<{ name: string }>(
    filled.store.engine === "sqlite"
      ? sql`select name from sqlite_schema where name glob 'payload_[0-9]*' or name glob 'exchange_[0-9]*' order by name`
      : sql`
        select relname as name from pg_class
        where relkind = 'r' and relname ~ '^(payload|exchange)_[0-9]+$' order by relname`,
  )
  return rows.map(row => row.name)
}

/** What holds at every moment, whatever retention is doing. */
export async function assertSound(filled: FilledStore): Promise<void> {
  assert.equal(await countOf(filled, "delivery d left join event e on e.id = d.event_id", "e.id is null"), 0)
  assert.equal(await countOf(filled, "own_id o left join event e on e.id = o.event_id", "e.id is null"), 0)
  const open = await filled.query<{ id: number; part: number }>(
    sql`select e.id, e.payload_part as part from event e where e.n_open + e.n_retrying > 0`,
  )
  for (const [part, events] of Map.groupBy(open, row => row.part)) {
    const ids = events.map(event => event.id)
    const rows = await filled.query<{ id: number }>(
      sql`select event_id as id from ${raw(`payload_${part}`)} where event_id in ${list(ids)}`,
    )
    const kept = new Set(rows.map(row => row.id))
    for (const id of ids) assert.ok(kept.has(id), `event ${id} has an open delivery and no payload`)
  }
}
