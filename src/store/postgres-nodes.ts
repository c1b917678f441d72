/**
 * The processes that share a PostgreSQL database, and which of them sends for which integration. A process is alive as long
 * as it renews its row; times are the database's own, so that no process's clock matters (F-22).
 */
import { type DeliveryId, type IntegrationId, SHARES } from "../domain/id.ts"
import { sql } from "./database.ts"
import type { PostgresDatabase } from "./postgres.ts"

/** A process that has not renewed for so long holds nothing any more. */
export const LEASE_MS = 7_000

/** A process that is alive. */
export interface Node {
  /** Its number, which is also the fencing number of its claims: another one each time that it joins. */
  readonly id: number
  /** No two are called the same. It stays the same when a process joins anew. */
  readonly name: string
  /** It is stopping in order: its lanes are for the others. */
  readonly isLeaving: boolean
}

/** The processes as the database sees them at one moment. */
export interface NodesView {
  readonly alive: readonly Node[]
  /** The lanes that this process holds. */
  readonly held: readonly IntegrationId[]
  /** The database's clock, in ms since 1970 with its fractions. */
  readonly at: number
}

/** How a process enters itself. */
export interface NodeEntry {
  readonly name: string
  readonly isLeaving: boolean
  /** Ids of the sealing keys that it has, newest first. */
  readonly sealingKeys: readonly string[]
}

/** Takes a place among the processes; gives its number. */
export async function joinNodes(db: PostgresDatabase, { name, isLeaving, sealingKeys }: NodeEntry): Promise<number> {
  for (;;) {
    // Not a number that shares its part of each millisecond's ids with a process that is alive: see id.ts.
    const [row] = await db.query<{ id: number }>(sql`
      insert into node (id, name, expires_at, is_leaving, sealing_keys)
      select n.id, ${name}, clock_timestamp() + ${LEASE_MS} * interval '1 millisecond', ${isLeaving ? 1 : 0} = 1,
        ${sealingKeys.join(" ")}
      from (select nextval('node_id') as id) n
      where not exists (
        select 1 from node o
        where o.id % ${SHARES} = n.id % ${SHARES} and o.expires_at > clock_timestamp() - interval '1 minute')
      returning id`)
    if (row !== undefined) return row.id
  }
}

/**
 * Stays among them; false where its lease is over, so that others may hold its lanes by now. By its name, too: a standby that
 * took over without the latest commits gives the same number once more.
 */
export async function renewNode(db: PostgresDatabase, id: number, name: string): Promise<boolean> {
  const rows = await db.query<{ id: number }>(sql`
    update node set expires_at = clock_timestamp() + ${LEASE_MS} * interval '1 millisecond'
    where id = ${id} and name = ${name} and expires_at > clock_timestamp()
    returning id`)
  return rows.length > 0
}

/** Says that a process is about to leave: the others share its lanes out among themselves, which it still holds. */
export async function announceLeaving(db: PostgresDatabase, id: number, name: string): Promise<void> {
  await db.query(sql`update node set is_leaving = true where id = ${id} and name = ${name}`)
}

/** Leaves them: others may take its lanes at once. By its name, too: see `renewNode`. */
export async function leaveNodes(db: PostgresDatabase, id: number, name: string): Promise<void> {
  await db.query(sql`delete from node where id = ${id} and name = ${name}`)
}

/** Who is alive, what this process holds, and what time it is: one statement. */
export async function viewNodes(db: PostgresDatabase, node: number): Promise<NodesView> {
  const [row] = await db.query<{ at: number; alive: string; held: number[] }>(sql`
    select extract(epoch from clock_timestamp()) * 1000 as at,
      (select coalesce(json_agg(json_build_object('id', n.id, 'name', n.name, 'isLeaving', n.is_leaving)), '[]')::text
        from node n where n.expires_at > clock_timestamp()) as alive,
      (select coalesce(array_agg(l.integration_id), '{}') from lane l where l.holder = ${node}) as held`)
  if (row === undefined) throw new Error("PostgreSQL gave no answer to a question that always has one.")
  return { at: row.at, held: row.held, alive: JSON.parse(row.alive) as Node[] }
}

/** The database's clock, in ms since 1970 with its fractions. */
export async function databaseTime(db: PostgresDatabase): Promise<number> {
  const [row] = await db.query<{ at: number }>(sql`select extract(epoch from clock_timestamp()) * 1000 as at`)
  return row?.at ?? 0
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
    select i.id from integration i
    where i.id = any (${idsOf(lanes)}::bigint[]) and not exists (select 1 from lane l where l.integration_id = i.id)
    order by i.id on conflict do nothing`)
  const rows = await db.query<{ integration_id: number }>(sql`
    update lane set holder = ${node}
    where integration_id in (
        select l.integration_id from lane l
        where l.integration_id = any (${idsOf(lanes)}::bigint[])
          and (l.holder is null or l.holder = ${node} or not exists (
            select 1 from node n where n.id = l.holder and n.expires_at > clock_timestamp()))
        order by l.integration_id for update skip locked)
      and exists (select 1 from node n where n.id = ${node} and n.expires_at > clock_timestamp())
    returning integration_id`)
  return rows.map(row => row.integration_id)
}

/** Gives lanes up: what was on its way in them has been settled. */
export async function giveUpLanes(db: PostgresDatabase, node: number, lanes: readonly IntegrationId[]): Promise<void> {
  await db.query(sql`
    update lane set holder = null where integration_id = any (${idsOf(lanes)}::bigint[]) and holder = ${node}`)
}

/**
 * How many deliveries of these lanes other processes that are alive have under way: what the last holder of a lane had not
 * ended when it gave the lane up. Index delivery_sending.
 */
export async function underWayElsewhere(
  db: PostgresDatabase,
  node: number,
  lanes: readonly IntegrationId[],
): Promise<ReadonlyMap<IntegrationId, number>> {
  const rows = await db.query<{ lane: IntegrationId; count: number }>(sql`
    select d.integration_id as lane, count(*) as count
    from node n
      -- One process after the other: as a join it could begin with all deliveries of the lanes.
      cross join lateral (
        select d.integration_id from delivery d
        where d.claim = n.id and d.integration_id = any (${idsOf(lanes)}::bigint[]) offset 0
      ) d
    where n.id <> ${node} and n.expires_at > clock_timestamp()
    group by 1`)
  return new Map(rows.map(({ lane, count }) => [lane, count]))
}

/** What of some lanes can be claimed. */
export interface LaneDue {
  readonly lane: IntegrationId
  /** When the earliest of what waits for its time is due. */
  readonly dueAt: number | null
  /** Whether deliveries wait that a recovery made due. */
  readonly hasRecovered: boolean
}

/** Lanes in which something waits: a look at the beginning of two stretches of index delivery_due for each. */
export async function dueLanes(db: PostgresDatabase, lanes: readonly IntegrationId[]): Promise<readonly LaneDue[]> {
  if (lanes.length === 0) return []
  const rows = await db.query<{ lane: IntegrationId; due_at: number | null; recovered: number }>(sql`
    select lane, due_at, recovered from due_1(${idsOf(lanes)}::bigint[])`)
  return rows.map(({ lane, due_at, recovered }) => ({ lane, dueAt: due_at, hasRecovered: recovered === 1 }))
}

/** What lanes in trouble kept that another process holds. */
export async function othersLanes(
  db: PostgresDatabase,
  node: number,
): Promise<
  readonly { readonly lane: IntegrationId; readonly protection: string | null; readonly rate: string | null }[]
> {
  return db.query(sql`
    select integration_id as lane, protection, rate from lane
    where (protection is not null or rate is not null) and holder is distinct from ${node}`)
}

/** Deliveries that stand as being sent by this process since before a time, ms since 1970. Index delivery_sending. */
export async function claimedBefore(
  db: PostgresDatabase,
  node: number,
  at: number,
): Promise<readonly (DeliveryId & { readonly since: number })[]> {
  return db.query(sql`
    select integration_id as integration, event_id as event, updated_at as since from delivery
    where claim = ${node} and updated_at < ${at} limit 5000`)
}

/** An array as PostgreSQL reads it. */
function idsOf(lanes: readonly IntegrationId[]): string {
  return `{${lanes.join(",")}}`
}
