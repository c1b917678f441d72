/** When each integration last got something through: what a failing time is measured against after a restart. */
import { sql } from "./database.ts"
import type { Reader } from "./reader.ts"

/** The start of the last successful attempt of each integration that has had one. Index attempt_succeeded, once for each. */
export async function lastSuccesses(db: Reader): Promise<ReadonlyMap<number, number>> {
  const rows = await db.query<{ id: number; at: number | null }>(sql`
    select i.id, (
      select started_at from attempt a
      where a.integration_id = i.id and a.outcome = 'success' order by a.id desc limit 1
    ) as at
    from integration i where i.removed_at is null`)
  return new Map(rows.flatMap(({ id, at }) => (at === null ? [] : [[id, at]])))
}
