/**
 * What a clock that is put back leaves behind: deliveries that wait for a time which it showed before, a day too long if
 * it was a day ahead. They are told by when they were last touched, which lies ahead of the clock now. Only the queue of
 * what is due by its time is concerned: in the others a time is no more than a place in the order.
 */
import type { IntegrationId } from "../domain/id.ts"
import type { Commit } from "./commit.ts"
import { sql } from "./database.ts"
import type { WaitingPlace } from "./ledger.ts"
import { change, rows, type Step } from "./step.ts"

interface AheadRow {
  readonly event_id: number
  readonly next_at: number
  readonly updated_at: number
}

/**
 * Has such deliveries wait from now on as long as they were to wait when they were touched: what was due then is due now,
 * in its old order. Looks at up to `limit` of the lane that are due after now, from the latest down, beginning below
 * `from`; gives the last of them, or null where there are no more. Index delivery_due.
 */
export function* bringForward(
  { now }: Commit,
  lane: IntegrationId,
  from: WaitingPlace | null,
  limit: number,
): Step<WaitingPlace | null> {
  const { nextAt, event } = from ?? { nextAt: Number.MAX_SAFE_INTEGER, event: Number.MAX_SAFE_INTEGER }
  const found = yield* rows<AheadRow>(sql`
    select event_id, next_at, updated_at from delivery
    where integration_id = ${lane} and queue = 0 and next_at > ${now} and (next_at, event_id) < (${nextAt}, ${event})
    order by next_at desc, event_id desc
    limit ${limit} for update`)
  for (const { event_id, next_at, updated_at } of found) {
    if (updated_at <= now) continue
    yield* change(sql`
      update delivery set next_at = ${now + Math.max(0, next_at - updated_at)}, updated_at = ${now}
      where integration_id = ${lane} and event_id = ${event_id}`)
  }
  const last = found.at(-1)
  return last === undefined || found.length < limit ? null : { nextAt: last.next_at, event: last.event_id }
}
