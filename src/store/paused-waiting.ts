/** Deliveries that wait in paused integrations and whose payload's time is over: found on the reader, a page at a time. */
import { DAY_MS } from "../domain/duration.ts"
import { type EventId, firstIdAt, type IntegrationId, type ProjectId } from "../domain/id.ts"
import { sql } from "./database.ts"
import type { Reader } from "./reader.ts"

/** An integration that a person has paused. */
export interface Paused {
  readonly id: IntegrationId
  readonly project: ProjectId
}

/** All of them. */
export async function pausedIntegrations(db: Reader): Promise<readonly Paused[]> {
  return db.query<Paused>(sql`
    select id, project_id as project from integration where paused = 1 and removed_at is null order by id`)
}

/**
 * Events of an integration's waiting deliveries whose payload's time was over at `at`, in pages: `rows` deliveries are
 * looked at for each. Index delivery_due, and nothing else of those that are too young; primary key of `event`.
 */
export async function* expiredOf(
  db: Reader,
  { id, project }: Paused,
  { at, rows }: { readonly at: number; readonly rows: number },
): AsyncGenerator<readonly EventId[]> {
  // No class keeps payloads for less than a day.
  const youngest = firstIdAt(at - DAY_MS + 1)
  for (let from: Place | undefined = { queue: -1, next_at: 0, event_id: 0 }; from !== undefined; ) {
    const [to]: Place[] = await db.query<Place>(sql`
      select queue, next_at, event_id from delivery
      where integration_id = ${id} and next_at is not null
        and (queue, next_at, event_id) > (${from.queue}, ${from.next_at}, ${from.event_id})
      order by queue, next_at, event_id limit 1 offset ${rows - 1}`)
    const end: Place = to ?? { queue: Number.MAX_SAFE_INTEGER, next_at: 0, event_id: 0 }
    const found = await db.query<{ event_id: number }>(sql`
      select d.event_id from delivery d join event e on e.project_id = ${project} and e.id = d.event_id
      where d.integration_id = ${id} and d.next_at is not null
        and (d.queue, d.next_at, d.event_id) > (${from.queue}, ${from.next_at}, ${from.event_id})
        and (d.queue, d.next_at, d.event_id) <= (${end.queue}, ${end.next_at}, ${end.event_id})
        and d.event_id < ${youngest} and e.payload_expires_at <= ${at}`)
    yield found.map(row => row.event_id)
    from = to
  }
}

interface Place {
  readonly queue: number
  readonly next_at: number
  readonly event_id: number
}
