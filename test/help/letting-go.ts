/** What tests of retention have in common: integrations that are there, a run over all steps, and what must always hold. */
import assert from "node:assert/strict"
import { Retention } from "../../src/store/retention.ts"
import type { FilledStore } from "./filled-store.ts"

/** Writes the integrations of a filled store down, running; retention asks which a project has. */
export function makeIntegrations({ store, project, integrations, now }: FilledStore): void {
  const insert = store.sqlite.connection.prepare(`
    insert into integration (id, project_id, name, connector, revision, enabled, snapshot, created_at, updated_at)
    values (?, ?, 'one', 'webhook', 1, 1, '{}', ?, ?)`)
  for (const id of integrations) insert.run(id, project, now, now)
}

export function pause({ store }: FilledStore, integration: number, paused = true): void {
  store.sqlite.connection.prepare("update integration set paused = ? where id = ?").run(paused ? 1 : 0, integration)
}

/** Lets go everything that is due now; gives what went, by table. `afterPiece` may stop it by answering true. */
export async function letGo(
  { store, now }: FilledStore,
  afterPiece: () => boolean = () => false,
): Promise<Record<string, number>> {
  const gone: Record<string, number> = {}
  for (const step of new Retention(store).steps(now, true)) {
    for await (const { counts } of step.pieces()) {
      for (const [name, count] of Object.entries(counts)) if (count > 0) gone[name] = (gone[name] ?? 0) + count
      if (afterPiece()) return gone
    }
  }
  return gone
}

/** How many rows a table has. */
export function countOf({ store }: FilledStore, table: string, where = "true"): number {
  return Number(store.sqlite.connection.prepare(`select count(*) as n from ${table} where ${where}`).get()?.["n"])
}

/** The names of all tables of payloads and exchanges. */
export function partTables({ store }: FilledStore): string[] {
  const rows = store.sqlite.connection
    .prepare(
      "select name from sqlite_schema where name glob 'payload_[0-9]*' or name glob 'exchange_[0-9]*' order by name",
    )
    .all()
  return rows.map(row => String(row["name"]))
}

/** What holds at every moment, whatever retention is doing. */
export function assertSound(filled: FilledStore): void {
  const { connection } = filled.store.sqlite
  assert.equal(countOf(filled, "delivery d left join event e on e.id = d.event_id", "e.id is null"), 0)
  assert.equal(countOf(filled, "own_id o left join event e on e.id = o.event_id", "e.id is null"), 0)
  const open = connection
    .prepare("select distinct e.id, e.payload_part as part from event e where e.n_open + e.n_retrying > 0")
    .all()
  for (const { id, part } of open) {
    const payload = connection.prepare(`select 1 from payload_${part} where event_id = ?`).get(Number(id))
    assert.ok(payload !== undefined, `event ${id} has an open delivery and no payload`)
  }
}
