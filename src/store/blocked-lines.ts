/** Deliveries behind a failed one that blocks the line of their ordering key, whose payload's time is over: found on the reader. */
import { DAY_MS } from "../domain/duration.ts"
import { type EventId, firstIdAt, type IntegrationId } from "../domain/id.ts"
import { sql } from "./database.ts"
import type { Reader } from "./reader.ts"
import { along } from "./walk.ts"

/** A line that a failed delivery blocks. */
export interface BlockedLine {
  readonly integration: IntegrationId
  readonly project: number
  readonly key: string
}

/** All of them, `rows` at a time. Index delivery_blocking. */
export async function* blockedLines(db: Reader, rows: number): AsyncGenerator<readonly BlockedLine[]> {
  for (let from: BlockedLine | undefined = { integration: 0, project: 0, key: "" }; from !== undefined; ) {
    const found: BlockedLine[] = await db.query<BlockedLine>(sql`
      select integration_id as integration, project_id as project, ordering_key as key
      from delivery${along("delivery_blocking")}
      where status = 'failed' and queue = 1
        and (integration_id, ordering_key) > (${from.integration}, ${from.key})
      order by integration_id, ordering_key limit ${rows}`)
    yield found
    from = found.length < rows ? undefined : found.at(-1)
  }
}

/** Events of those in a line whose payload's time was over at `at`, `rows` at the most: once they are gone, ask again. */
export async function expiredBehind(
  db: Reader,
  { integration, project, key }: BlockedLine,
  { at, rows }: { readonly at: number; readonly rows: number },
): Promise<readonly EventId[]> {
  // No class keeps payloads for less than a day. Index delivery_in_line, then the primary key of `event`.
  const found = await db.query<{ event_id: number }>(sql`
    select d.event_id from delivery d${along("delivery_in_line")} join event e on e.project_id = ${project} and e.id = d.event_id
    where d.integration_id = ${integration} and d.ordering_key = ${key} and d.in_line = 2
      and d.event_id < ${firstIdAt(at - DAY_MS + 1)} and e.payload_expires_at <= ${at}
    order by d.event_id limit ${rows}`)
  return found.map(row => row.event_id)
}
