/** When each integration last got something through: what a failing time is measured against after a restart. */
import type { IntegrationId } from "../domain/id.ts"
import { list, sql } from "./database.ts"
import type { Reader } from "./reader.ts"

/** The start of the last successful attempt of those of these integrations that have had one. Index attempt_succeeded, once for each. */
export async function lastSuccesses(
  db: Reader,
  integrations: readonly IntegrationId[],
): Promise<ReadonlyMap<IntegrationId, number>> {
  const rows = await db.query<{ id: number; at: number | null }>(sql`
    select i.id, (
      select started_at from attempt a
      where a.integration_id = i.id and a.outcome = 'success' order by a.id desc limit 1
    ) as at
    from integration i where i.removed_at is null and i.id in ${list(integrations)}`)
  return new Map(rows.flatMap(({ id, at }) => (at === null ? [] : [[id, at]])))
}
