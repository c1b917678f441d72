/**
 * Fills a store with events, deliveries, attempts and search entries by plain SQL, many times faster than the ledger
 * would, with the same shape: one webhook that got nine of ten events, a few failures, a few withheld.
 */
import { raw, sql } from "../../src/store/database.ts"
import type { Store } from "../../src/store/store.ts"
import { embedded } from "./engines.ts"

export interface ManyEvents {
  readonly project: number
  readonly integration: number
  readonly count: number
  /** The last event is this old, each one before it a tenth of a second older. */
  readonly now: number
}

const EPOCH_MS = 1_704_067_200_000
const DAY_MS = 86_400_000
const PIECE = 100_000
export const STEP_MS = 100

/** The id of the event number `n`, counted from the oldest. */
export function manyEventId({ count, now }: ManyEvents, n: number): number {
  return (now - EPOCH_MS - (count - n) * STEP_MS) * 4096
}

/** Of event `n`: type t0 … t9, profile p<n mod 50,000>, device d<n mod 1,000>, source record s<n>, record r<n>. */
export async function fillWithEvents(store: Store, many: ManyEvents): Promise<void> {
  const { project, integration, count, now } = many
  if (store.engine === "sqlite") embedded(store).sqlite.connection.exec("pragma synchronous = off")
  // PostgreSQL keeps a statement for 15 s at the most.
  const pieces = Array.from({ length: Math.ceil(count / PIECE) }, (_, i) => [
    i * PIECE,
    Math.min(count, (i + 1) * PIECE),
  ])
  const id = `((${now - EPOCH_MS} - (${count} - i) * ${STEP_MS}) * 4096)`
  const at = `(${now} - (${count} - i) * ${STEP_MS})`
  // A segment of the search index: on PostgreSQL the day of the id.
  const segment = store.engine === "sqlite" ? "(i / 12500 + 1)" : `(${at} / 86400000)`
  if (store.engine === "postgres") {
    for (let day = Math.floor((now - count * STEP_MS) / DAY_MS); day <= Math.floor(now / DAY_MS); day++) {
      await store.db.query(sql`select make_day_1(${day})`)
    }
  }
  for (const [from, end] of pieces) {
    const numbers = `with recursive n (i) as (select ${from} union all select i + 1 from n where i + 1 < ${end})`
    const run = (text: string) => store.db.query(raw(text))
    await run(`
      insert into event (
        project_id, id, type, source, external_id, environment, app_id, profile_id, device_id, source_record, occurred_at,
        received_at, payload_part, payload_bytes, payload_expires_at, targets, withheld, n_red, n_failed, n_delivered)
      ${numbers}
      select ${project}, ${id}, 't' || (i % 10), 'api', 'own-' || i,
        case when i % 20 = 0 then 'sandbox' else 'production' end, null,
        'p' || (i % 50000), 'd' || (i % 1000), 's' || i, ${at}, ${at}, 0, 0, ${at} + 604800000,
        case when i % 10 = 0 then '[]' else '[${integration}]' end,
        case when i % 10 = 0 then '{"type_disabled":[${integration}]}' else '{}' end, 0,
        case when i % 10000 = 9999 then 1 else 0 end, case when i % 10 <> 0 and i % 10000 <> 9999 then 1 else 0 end
      from n`)
    await run(`
      insert into delivery (
        integration_id, event_id, project_id, status, reason, revision, attempts, schedule_attempts, charged, record_id,
        last_attempt_id, created_at, updated_at)
      ${numbers}
      select ${integration}, ${id}, ${project}, case when i % 10000 = 9999 then 'failed' else 'delivered' end,
        case when i % 10000 = 9999 then 'rejected' end, 1, 1, 1, 1, case when i % 10000 <> 9999 then 'r' || i end,
        ${id} + 1, ${at}, ${at}
      from n where i % 10 <> 0`)
    await run(`
      insert into attempt (
        id, project_id, integration_id, event_id, number, started_at, outcome, reason, status, revision, process, url)
      ${numbers}
      select ${id} + 1, ${project}, ${integration}, ${id}, 1, ${at},
        case when i % 10000 = 9999 then 'error' else 'success' end, case when i % 10000 = 9999 then 'rejected' end,
        case when i % 10000 = 9999 then 404 else 200 end, 1, 'test', 'crm.example/hook'
      from n where i % 10 <> 0`)
    await run(`
      insert into own_id (project_id, source, external_id, event_id, fingerprint)
      ${numbers} select ${project}, 'api', 'own-' || i, ${id}, '' from n`)
    const fields = ["'p' || (i % 50000)", "'d' || (i % 1000)", "'s' || i", "'r' || i"]
    for (const [field, value] of fields.entries()) {
      await run(`
        insert into search_entry (segment, project_id, field, value, event_id)
        ${numbers} select ${segment}, ${project}, ${field + 1}, ${value}, ${id} from n order by 1, 2, 3, 4, 5`)
    }
  }
  await store.db.query(sql`
    insert into search_segment (id, entries, indexed_up_to)
    select segment, count(*), max(event_id) from search_entry group by segment order by segment
    on conflict (id) do nothing`)
  if (store.engine === "postgres") await store.db.query(sql`analyze`)
  else embedded(store).sqlite.connection.exec("pragma synchronous = full; pragma wal_checkpoint(truncate)")
}
