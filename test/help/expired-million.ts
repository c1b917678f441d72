/**
 * Fills a data folder, whose store is closed, with events whose time is over, by plain SQL: each with its payload, a
 * delivery, an attempt and its exchange, an entry in the search index, every tenth with an own id.
 */
import { closeSync, fsyncSync, openSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { firstIdAt } from "../../src/domain/id.ts"

export interface Expired {
  readonly project: number
  readonly integration: number
  readonly count: number
  /** When the first of them was received; each one after it came a millisecond later. */
  readonly from: number
  readonly payloadBytes: number
}

const PART_ROWS = 100_000
const SEGMENT_ENTRIES = 50_000
const DAY_MS = 86_400_000

/** Fills the database in a file, and sees to it that all is on disk. */
export function fillWithExpired(file: string, { project, integration, count, from, payloadBytes }: Expired): void {
  const connection = new DatabaseSync(file)
  connection.exec("pragma cache_size = -65536; pragma synchronous = off; pragma wal_autocheckpoint = 20000; begin")
  connection
    .prepare(
      `insert into integration (id, project_id, name, connector, revision, enabled, snapshot, created_at, updated_at)
       values (?, ?, 'crm', 'webhook', 1, 1, '{}', ?, ?)`,
    )
    .run(integration, project, from, from)
  const firstId = firstIdAt(from)
  const [id, at] = [`(${firstId} + i * 4096)`, `(${from} + i)`]
  for (let start = 0; start < count; start += PART_ROWS) {
    const part = makePart(connection, from)
    const end = Math.min(count, start + PART_ROWS)
    const numbers = `with recursive n (i) as (select ${start} union all select i + 1 from n where i + 1 < ${end})`
    connection.exec(`
      ${numbers} insert into event (
        project_id, id, type, source, external_id, environment, profile_id, occurred_at, received_at, payload_part,
        payload_bytes, payload_expires_at, targets, withheld, n_delivered)
      select ${project}, ${id}, 't' || (i % 10), 'api', iif(i % 10 = 0, 'own-' || (i * 7919 % 1000003), null),
        'production', 'p' || (i % 50000), ${at}, ${at}, ${part}, ${payloadBytes}, ${at} + ${7 * DAY_MS},
        '[${integration}]', '{}', 1 from n;
      ${numbers} insert into own_id (project_id, source, external_id, event_id, fingerprint)
      select ${project}, 'api', 'own-' || (i * 7919 % 1000003), ${id}, '' from n where i % 10 = 0;
      ${numbers} insert into payload_${part}
      select ${id}, ${project}, 'json', '"' || hex(zeroblob(${Math.floor(payloadBytes / 2)})) || '"', null from n;
      ${numbers} insert into delivery (
        integration_id, event_id, project_id, status, revision, attempts, schedule_attempts, charged, last_attempt_id,
        created_at, updated_at)
      select ${integration}, ${id}, ${project}, 'delivered', 1, 1, 1, 1, ${id} + 1, ${at}, ${at} from n;
      ${numbers} insert into attempt (
        id, project_id, integration_id, event_id, number, started_at, outcome, status, revision, process, url, total_ms,
        exchange_part)
      select ${id} + 1, ${project}, ${integration}, ${id}, 1, ${at}, 'success', 200, 1, 'host/1', 'crm.example/hook',
        3.5, ${part} from n;
      ${numbers} insert into exchange_${part}
      select ${id} + 1, '[["content-type","application/json"]]', null, '[["content-length","2"]]', x'6f6b' from n`)
  }
  connection.exec(`
    with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < ${count})
    insert into search_entry
    select i / ${SEGMENT_ENTRIES} + 1, ${project}, 1, 'p' || (i % 50000), ${id} from n order by 1, 4, 5;
    insert into search_segment select segment, count(*), max(event_id) from search_entry group by segment;
    commit; pragma wal_checkpoint(truncate)`)
  connection.close()
  // Or the first checkpoint of whoever opens it next waits for all of that.
  const descriptor = openSync(file, "r+")
  fsyncSync(descriptor)
  closeSync(descriptor)
}

/** The same tables as in src/store/parts.ts. */
function makePart(connection: DatabaseSync, openedAt: number): number {
  const { id } = connection
    .prepare("insert into part (retention_days, opened_at, expires_at, closed) values (7, ?, ?, 1) returning id")
    .get(openedAt, openedAt + 8 * DAY_MS) as { id: number }
  connection.exec(`
    create table payload_${id} (
      event_id integer not null primary key, project_id integer not null, kind text not null, data any, media_type text
    ) strict;
    create table exchange_${id} (
      attempt_id integer not null primary key,
      request_headers text not null, request_body any, response_headers text, response_body blob
    ) strict`)
  return id
}
