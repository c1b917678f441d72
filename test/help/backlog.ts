/** A backlog, made by plain SQL while Waybill is down: so many due deliveries of events without data, a millisecond apart. */
import { DatabaseSync } from "node:sqlite"

/** Gives an integration `count` due deliveries, all older than what is there already; `now` is the newest one's latest time. */
export function fillBacklog(dataDir: string, integration: number, count: number, now = Date.now()): void {
  const database = new DatabaseSync(`${dataDir}/waybill.db`)
  const oldest = Number(database.prepare("select min(received_at) as at from event").get()?.["at"] ?? now) - count
  const [epoch, perMs] = [1_704_067_200_000, 4_096]
  database.exec(`
    pragma synchronous = off;
    begin;
    with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ${count})
    insert into event (project_id, id, type, source, environment, occurred_at, received_at, payload_part, payload_bytes,
      payload_expires_at, targets, n_open)
    select (select id from project), (${oldest} + i - ${epoch}) * ${perMs}, 'order.paid', 'api', 'production', ${oldest} + i,
      ${oldest} + i, 0, 0, ${now} + 604800000, '[${integration}]', 1 from n;
    with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ${count})
    insert into delivery (integration_id, event_id, project_id, status, reason, next_at, created_at, updated_at)
    select ${integration}, (${oldest} + i - ${epoch}) * ${perMs}, (select id from project), 'pending', 'queued', ${oldest} + i,
      ${oldest} + i, ${oldest} + i from n;
    insert into search_segment (id, entries, indexed_up_to) values (1, 0, (select max(id) from event))
      on conflict do update set indexed_up_to = excluded.indexed_up_to;
    commit`)
  database.close()
}
