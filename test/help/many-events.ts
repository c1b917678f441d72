/**
 * Fills a store with events, deliveries, attempts and search entries by plain SQL, many times faster than the ledger
 * would, with the same shape: one webhook that got nine of ten events, a few failures, a few withheld.
 */
import type { EmbeddedStore } from "../../src/store/store.ts"

export interface ManyEvents {
  readonly project: number
  readonly integration: number
  readonly count: number
  /** The last event is this old, each one before it a tenth of a second older. */
  readonly now: number
}

const EPOCH_MS = 1_704_067_200_000
export const STEP_MS = 100

/** The id of the event number `n`, counted from the oldest. */
export function manyEventId({ count, now }: ManyEvents, n: number): number {
  return (now - EPOCH_MS - (count - n) * STEP_MS) * 4096
}

/** Of event `n`: type t0 … t9, profile p<n mod 50,000>, device d<n mod 1,000>, source record s<n>, record r<n>. */
export function fillWithEvents({ sqlite }: EmbeddedStore, many: ManyEvents): void {
  const { project, integration, count, now } = many
  const { connection } = sqlite
  connection.exec("pragma synchronous = off; begin")
  const part = Number(
    connection
      .prepare("insert into part (retention_days, opened_at, expires_at, closed) values (7, ?, ?, 1) returning id")
      .get(now, now + 7 * 86_400_000)?.["id"],
  )
  connection.exec(`
    create table payload_${part} (event_id integer not null primary key, kind text not null, data any, media_type text) strict;
    create table exchange_${part} (
      attempt_id integer not null primary key,
      request_headers text not null, request_body any, response_headers text, response_body blob
    ) strict`)
  const numbers = `with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ${count})`
  const id = `((${now - EPOCH_MS} - (${count} - i) * ${STEP_MS}) * 4096)`
  const at = `(${now} - (${count} - i) * ${STEP_MS})`
  connection.exec(`
    ${numbers}
    insert into event (
      project_id, id, type, source, external_id, environment, app_id, profile_id, device_id, source_record, occurred_at,
      received_at, payload_part, payload_bytes, payload_expires_at, targets, withheld, n_red, n_failed, n_delivered)
    select ${project}, ${id}, 't' || (i % 10), 'api', 'own-' || i, iif(i % 20 = 0, 'sandbox', 'production'), null,
      'p' || (i % 50000), 'd' || (i % 1000), 's' || i, ${at}, ${at}, 0, 0, ${at} + 604800000,
      iif(i % 10 = 0, '[]', '[${integration}]'), iif(i % 10 = 0, '{"type_disabled":[${integration}]}', '{}'), 0,
      i % 10000 = 9999, i % 10 <> 0 and i % 10000 <> 9999
    from n`)
  connection.exec(`
    ${numbers}
    insert into delivery (
      integration_id, event_id, project_id, status, reason, revision, attempts, schedule_attempts, charged, record_id,
      last_attempt_id, created_at, updated_at)
    select ${integration}, ${id}, ${project}, iif(i % 10000 = 9999, 'failed', 'delivered'),
      iif(i % 10000 = 9999, 'rejected', null), 1, 1, 1, 1, iif(i % 10000 = 9999, null, 'r' || i), ${id} + 1, ${at}, ${at}
    from n where i % 10 <> 0`)
  connection.exec(`
    ${numbers}
    insert into attempt (
      id, project_id, integration_id, event_id, number, started_at, outcome, reason, status, revision, process, url)
    select ${id} + 1, ${project}, ${integration}, ${id}, 1, ${at}, iif(i % 10000 = 9999, 'error', 'success'),
      iif(i % 10000 = 9999, 'rejected', null), iif(i % 10000 = 9999, 404, 200), 1, 'test', 'crm.example/hook'
    from n where i % 10 <> 0`)
  connection.exec(`
    ${numbers} insert into own_id (project_id, source, external_id, event_id, fingerprint)
    select ${project}, 'api', 'own-' || i, ${id}, '' from n`)
  const fields = ["'p' || (i % 50000)", "'d' || (i % 1000)", "'s' || i", "'r' || i"]
  for (const [field, value] of fields.entries()) {
    connection.exec(`
      ${numbers} insert into search_entry (segment, project_id, field, value, event_id)
      select i / 12500 + 1, ${project}, ${field + 1}, ${value}, ${id} from n order by 1, 2, 3, 4, 5`)
  }
  connection.exec(`
    insert into search_segment (id, entries, indexed_up_to)
    select segment, count(*), max(event_id) from search_entry group by segment order by segment`)
  connection.exec("commit; pragma synchronous = full; pragma wal_checkpoint(truncate)")
}
