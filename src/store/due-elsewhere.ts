/** What waits for its time in lanes that other processes hold, or nobody. */
import type { IntegrationId } from "../domain/id.ts"
import { sql } from "./database.ts"
import type { Store } from "./store.ts"

/** A lane with something that is due by its time. */
export interface DueElsewhere {
  readonly lane: IntegrationId
  /** When the oldest was due, ms since 1970. */
  readonly dueAt: number
}

/**
 * Lanes of integrations that are on, not paused and not held by this process, in which something has been due since before
 * a time; none on the embedded engine, whose process holds all. A look at the beginning of index delivery_due for each.
 */
export async function dueElsewhere(
  { engine, reads, fence }: Pick<Store, "engine" | "reads" | "fence">,
  before: number,
): Promise<readonly DueElsewhere[]> {
  if (engine === "sqlite") return []
  return reads.query<DueElsewhere>(sql`
    select d.lane, d.due_at as "dueAt"
    from due_1((
      select coalesce(array_agg(i.id), '{}') from integration i left join lane l on l.integration_id = i.id
      where i.removed_at is null and i.enabled = 1 and i.paused = 0 and l.holder is distinct from ${fence}
    )) d
    where d.due_at < ${before}`)
}
