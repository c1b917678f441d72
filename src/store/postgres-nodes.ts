/**
 * The processes that share a PostgreSQL database, and which of them sends for which integration. A process is alive as long
 * as it renews its row; times are the database's own, so that no process's clock matters (F-22).
 */
import type { IntegrationId } from "../domain/id.ts"
import { list, sql } from "./database.ts"
import type { PostgresDatabase } from "./postgres.ts"

/** A process that has not renewed for so long holds nothing any more. */
export const LEASE_MS = 8_000

/** Takes a place among the processes; gives its number, which is also the fencing number of its claims. */
export async function joinNodes(db: PostgresDatabase, name: string): Promise<number> {
  const [row] = await db.query<{ id: number }>(sql`
    insert into node (id, name, expires_at)
    values (nextval('node_id'), ${name}, clock_timestamp() + ${LEASE_MS} * interval '1 millisecond')
    returning id`)
  return row?.id ?? 0
}

/** Stays among them; false where its lease is over, so that others may hold its lanes by now. */
export async function renewNode(db: PostgresDatabase, id: number): Promise<boolean> {
  const rows = await db.query<{ id: number }>(sql`
    update node set expires_at = clock_timestamp() + ${LEASE_MS} * interval '1 millisecond'
    where id = ${id} and expires_at > clock_timestamp()
    returning id`)
  return rows.length > 0
}

/** Leaves them: others may take its lanes at once. */
export async function leaveNodes(db: PostgresDatabase, id: number): Promise<void> {
  await db.query(sql`delete from node where id = ${id}`)
}

/** Those that are alive. */
export async function liveNodes(db: PostgresDatabase): Promise<readonly number[]> {
  const rows = await db.query<{ id: number }>(sql`select id from node where expires_at > clock_timestamp() order by id`)
  return rows.map(row => row.id)
}

/** Takes those of these lanes that nobody alive holds; gives those that it holds now. */
export async function takeLanes(
  db: PostgresDatabase,
  node: number,
  lanes: readonly IntegrationId[],
): Promise<readonly IntegrationId[]> {
  if (lanes.length === 0) return []
  await db.query(sql`
    insert into lane (integration_id)
    select id from integration where id in ${list(lanes)} order by id on conflict do nothing`)
  const rows = await db.query<{ integration_id: number }>(sql`
    update lane set holder = ${node}
    where integration_id in ${list(lanes)} and exists (
        select 1 from node n where n.id = ${node} and n.expires_at > clock_timestamp())
      and (holder = ${node} or not exists (
        select 1 from node n where n.id = lane.holder and n.expires_at > clock_timestamp()))
    returning integration_id`)
  return rows.map(row => row.integration_id)
}

/** Gives lanes up: what was on its way in them has been settled. */
export async function giveUpLanes(db: PostgresDatabase, node: number, lanes: readonly IntegrationId[]): Promise<void> {
  await db.query(sql`
    update lane set holder = null where integration_id in ${list(lanes)} and holder = ${node}`)
}
