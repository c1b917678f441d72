/**
 * What a clock that is put back leaves behind: deliveries that wait for a time which it showed before, a day too long if
 * it was a day ahead. They are told by when they were last touched, which lies ahead of the clock now. Only the queue of
 * what is due by its time is concerned: in the others a time is no more than a place in the order.
 */
import type { IntegrationId } from "../domain/id.ts"
import type { WaitingPlace } from "./ledger.ts"
import type { Commit } from "./sqlite-ledger.ts"

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
export function bringForward(
  { db, now }: Commit,
  lane: IntegrationId,
  from: WaitingPlace | null,
  limit: number,
): WaitingPlace | null {
  const { nextAt, event } = from ?? { nextAt: Number.MAX_SAFE_INTEGER, event: Number.MAX_SAFE_INTEGER }
  const rows = db.statements.text(selectAhead).all(lane, now, nextAt, event, limit) as unknown as AheadRow[]
  for (const row of rows) {
    if (row.updated_at <= now) continue
    db.statements.text(moveForward).run(now + Math.max(0, row.next_at - row.updated_at), now, lane, row.event_id)
  }
  const last = rows.at(-1)
  return last === undefined || rows.length < limit ? null : { nextAt: last.next_at, event: last.event_id }
}

const selectAhead = `
  select event_id, next_at, updated_at from delivery
  where integration_id = ? and queue = 0 and next_at > ? and (next_at, event_id) < (?, ?)
  order by next_at desc, event_id desc
  limit ?`

const moveForward = "update delivery set next_at = ?, updated_at = ? where integration_id = ? and event_id = ?"
