/** A backlog, made by plain SQL while Waybill is down: so many due deliveries of events without data, a millisecond apart. */
import { type Place, queryPlace } from "./engines.ts"

const [EPOCH_MS, PER_MS, DAY_MS] = [1_704_067_200_000, 4_096, 86_400_000]

/** Gives an integration `count` due deliveries, all older than what is there already; `now` is the newest one's latest time. */
export async function fillBacklog(place: Place, integration: number, count: number, now = Date.now()): Promise<void> {
  const [first] = await queryPlace<{ at: number | null }>(place, "select min(received_at) as at from event")
  const oldest = (first?.at ?? now) - count
  if (place.url !== undefined) {
    for (let day = Math.floor(oldest / DAY_MS); day <= Math.floor(now / DAY_MS); day++) {
      await queryPlace(place, "select make_day_1(?)", day)
    }
  }
  const numbers = `with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < ${count})`
  await queryPlace(
    place,
    `insert into event (project_id, id, type, source, environment, occurred_at, received_at, payload_part, payload_bytes,
       payload_expires_at, targets, n_open)
     ${numbers}
     select (select id from project), (${oldest} + i - ${EPOCH_MS}) * ${PER_MS}, 'order.paid', 'api', 'production',
       ${oldest} + i, ${oldest} + i, 0, 0, ${now} + 604800000, '[${integration}]', 1 from n`,
  )
  await queryPlace(
    place,
    `insert into delivery (integration_id, event_id, project_id, status, reason, next_at, created_at, updated_at)
     ${numbers}
     select ${integration}, (${oldest} + i - ${EPOCH_MS}) * ${PER_MS}, (select id from project), 'pending', 'queued',
       ${oldest} + i, ${oldest} + i, ${oldest} + i from n`,
  )
  if (place.url === undefined) {
    await queryPlace(
      place,
      `insert into search_segment (id, entries, indexed_up_to) values (1, 0, (select max(id) from event))
       on conflict do update set indexed_up_to = excluded.indexed_up_to`,
    )
  }
}
