/**
 * Which process does what must be done once: of those that are alive and not about to stop, the one with the smallest number. It is asked before
 * each run; what runs has to be right also where two of them run for a moment, as after one was stopped for a while.
 */
import { sql } from "./database.ts"
import type { Store } from "./store.ts"

/** Whether this process leads. The embedded engine has no other. */
export async function leads({ engine, db, fence }: Pick<Store, "engine" | "db" | "fence">): Promise<boolean> {
  if (engine === "sqlite") return true
  const [row] = await db.query<{ id: number }>(sql`
    select id from node where expires_at > clock_timestamp() order by is_leaving, id limit 1`)
  return row?.id === fence
}
