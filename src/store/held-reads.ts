/** How many deliveries wait in a queue of a lane, as far as it is worth counting. */
import type { IntegrationId } from "../domain/id.ts"
import type { Queue } from "../domain/queue.ts"
import { sql } from "./database.ts"
import type { Reader } from "./reader.ts"

/** How many of a queue are counted at most: a million would keep a reader busy for nothing that anybody needs. */
export const COUNTED = 10_000

/** Deliveries of a queue that are due up to a time, one more than `COUNTED` standing for any number. Index delivery_due. */
export async function countQueue(db: Reader, lane: IntegrationId, queue: Queue, upTo: number): Promise<number> {
  const [row] = await db.query<{ n: number }>(sql`
    select count(*) as n from (
      select 1 from delivery
      where integration_id = ${lane} and queue = ${queue} and next_at <= ${upTo} limit ${COUNTED + 1}
    ) w`)
  return row?.n ?? 0
}
