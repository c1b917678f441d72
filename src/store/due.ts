/**
 * What is due to go at all: cheap questions to the reader, so that nothing is written for those who have nothing to let go.
 * Each looks at the beginning of an index, once for each project or integration.
 */
import { HOUR_MS } from "../domain/duration.ts"
import type { EventId, IntegrationId, ProjectId } from "../domain/id.ts"
import { sql } from "./database.ts"
import { METADATA_MS } from "./kept.ts"
import type { Reader } from "./reader.ts"

/** API-51: a repeat of a request is recognised for so long. */
export const IDEMPOTENCY_MS = 48 * HOUR_MS
/** Counts, changes of the configuration, and revisions that a newer one has taken the place of. */
export const LONG_MS = 400 * 24 * HOUR_MS

/** When the oldest thing that is still stored should have gone, ms since 1970; null where nothing is stored. */
export async function oldestDueAt(db: Reader): Promise<number | null> {
  const [row] = await db.query<{ due_at: number | null }>(sql`
    select min(due_at) as due_at from (
      select min(expires_at) as due_at from part
      union all
      select min(created_at) + ${IDEMPOTENCY_MS} from idempotency
      union all
      select (select received_at from event e where e.project_id = p.id order by e.id limit 1) + ${METADATA_MS}
      from project p
    ) due`)
  return row?.due_at ?? null
}

/** A project, and its first event that is due: what has a smaller id came before it, and is due as well. */
export interface OldEvents {
  readonly project: ProjectId
  readonly first: EventId
}

/**
 * Projects whose oldest event was received by a time. One that bears a time after `at` came while the clock was wrong: it
 * says nothing of those behind it.
 */
export async function projectsWithOldEvents(db: Reader, at: number, receivedUpTo: number): Promise<OldEvents[]> {
  return db.query<OldEvents>(sql`
    select p.id as project, e.id as first
    from project p join event e on e.project_id = p.id and e.id = (
      select f.id from event f where f.project_id = p.id and f.received_at <= ${at} order by f.id limit 1)
    where e.received_at <= ${receivedUpTo}`)
}

/** All integrations that a project ever had. */
export async function integrationsOf(db: Reader, project: ProjectId): Promise<IntegrationId[]> {
  const rows = await db.query<{ id: number }>(sql`select id from integration where project_id = ${project}`)
  return rows.map(row => row.id)
}

/** Segments of the search index whose events have all gone, but for the one that is written to. */
export async function oldSegments(db: Reader): Promise<number[]> {
  const rows = await db.query<{ id: number }>(sql`
    select id from search_segment
    where id < (select max(id) from search_segment) and indexed_up_to < coalesce((
      select min(first) from (
        select (select e.id from event e where e.project_id = p.id order by e.id limit 1) as first from project p
      ) f
    ), ${Number.MAX_SAFE_INTEGER})
    order by id`)
  return rows.map(row => row.id)
}

/** Projects with counts of what came in up to an hour. */
export async function projectsWithOldTallies(db: Reader, hour: number): Promise<ProjectId[]> {
  const rows = await db.query<{ id: number }>(sql`
    select id from project p
    where exists (select 1 from ingest_tally t where t.project_id = p.id and t.hour <= ${hour})`)
  return rows.map(row => row.id)
}

/** Integrations with counts of deliveries up to an hour. */
export async function integrationsWithOldTallies(
  db: Reader,
  hour: number,
): Promise<readonly { readonly project: ProjectId; readonly id: IntegrationId }[]> {
  return db.query(sql`
    select i.project_id as project, i.id from integration i
    where exists (
      select 1 from delivery_tally t
      where t.project_id = i.project_id and t.integration_id = i.id and t.hour <= ${hour})`)
}

/** Integrations whose oldest revision had been replaced by a time. */
export async function integrationsWithOldRevisions(db: Reader, upTo: number): Promise<IntegrationId[]> {
  const rows = await db.query<{ id: number }>(sql`
    select id from integration i
    where (
      select r.at from integration_revision r where r.integration_id = i.id order by r.revision limit 1 offset 1
    ) <= ${upTo}`)
  return rows.map(row => row.id)
}

/** Removed integrations that requests to their inbox are still kept of. */
export async function removedInboxes(db: Reader): Promise<IntegrationId[]> {
  const rows = await db.query<{ id: number }>(sql`
    select id from integration i
    where removed_at is not null and (
      exists (select 1 from inbox_request r where r.integration_id = i.id)
      or exists (select 1 from inbox_script s where s.integration_id = i.id)
    )`)
  return rows.map(row => row.id)
}
