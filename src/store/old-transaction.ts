/**
 * The oldest transaction on PostgreSQL that keeps deleted and changed rows from being cleaned up: each claim has to walk past
 * them, so that claims take longer the longer it stays open (F-20).
 */
import { formatDuration } from "../domain/sentence.ts"
import { sql } from "./database.ts"
import type { Store } from "./store.ts"

export interface OldTransaction {
  readonly ageMs: number
  /** The server's process; null for one that is prepared and waits for its commit. */
  readonly pid: number | null
  /** What whoever began it calls itself, or the name under which it was prepared. */
  readonly name: string
}

/**
 * It, by the database's clock; null where there is none, as always on the embedded engine. Those of other roles show
 * themselves to a role that may see them alone: `grant pg_read_all_stats`.
 */
export async function oldestTransaction({
  engine,
  reads,
}: Pick<Store, "engine" | "reads">): Promise<OldTransaction | null> {
  if (engine === "sqlite") return null
  const [found] = await reads.query<OldTransaction>(sql`
    select pid, name, floor(extract(epoch from clock_timestamp() - since) * 1000)::bigint as "ageMs"
    from (
      select pid, application_name as name, xact_start as since from pg_stat_activity
      where datname = current_database() and (backend_xmin is not null or backend_xid is not null)
        and xact_start is not null and pid <> pg_backend_pid()
        -- A vacuum cleans up itself, and the server takes none into account when it asks what may go.
        and not exists (select 1 from pg_stat_progress_vacuum v where v.pid = pg_stat_activity.pid)
      union all
      select null, gid, prepared from pg_prepared_xacts where database = current_database()
    ) open
    order by since limit 1`)
  return found ?? null
}

/** What it does, and how to end it, in a sentence for the operator. */
export function oldTransactionText({ ageMs, pid, name }: OldTransaction): string {
  const quoted = `'${name.replaceAll("'", "''")}'`
  const [which, end] =
    pid === null
      ? [
          `The transaction ${name}, which was prepared, waits for its commit`,
          `commit prepared ${quoted}, or rollback prepared ${quoted}`,
        ]
      : [
          `A transaction of ${name === "" ? "a program without a name" : name} (process ${pid}) has been open`,
          `select pg_terminate_backend(${pid})`,
        ]
  return `${which} on PostgreSQL for ${formatDuration(ageMs)}: old rows cannot be cleaned up, and sending becomes slower. End it: ${end}.`
}
