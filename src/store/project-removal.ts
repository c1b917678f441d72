/**
 * Takes away all of a project, piece by piece: first what came and went (attempts, deliveries, events with their payloads),
 * then what is left by name of its table (project-tables.ts), the project's own row last. Each piece says what is there
 * still, so that it can begin anew at any time. Parts are shared by projects: their rows go one by one.
 *
 * Requests under way finish first: whoever sends one has yet to write down what became of it.
 */
import type { IntegrationId, ProjectId } from "../domain/id.ts"
import type { Commit } from "./commit.ts"
import { type Database, list, raw, type Sql, sql } from "./database.ts"
import type { Limited } from "./deletions.ts"
import { Pace, type PaceLimits } from "./pace.ts"
import { tablesOfProjects } from "./project-tables.ts"
import type { Reader } from "./reader.ts"
import type { RemovedCounts } from "./removal-jobs.ts"
import { change, row, rows, type Step } from "./step.ts"
import type { Store } from "./store.ts"
import { along } from "./walk.ts"

/** What removals are carried out with. */
export interface RemovalParts {
  readonly store: Pick<Store, "engine" | "db" | "reads" | "fence">
  /** Carries a piece of work out in the next commit, together with what it counted. */
  piece(work: (commit: Commit) => Step<RemovedCounts>): Promise<RemovalPiece>
}

/** A piece that is done. */
export interface RemovalPiece {
  readonly removed: RemovedCounts
  /** How long it held the writer; 0 for one that only read. */
  readonly ms: number
  /** The table that is being emptied. */
  readonly table?: string
  /** Integrations in which something is due now. */
  readonly released?: readonly IntegrationId[]
  /** Nothing can be done before something under way has ended. */
  readonly mustWait?: true
}

/** Pieces of the embedded engine hold everybody up; on PostgreSQL those who want the same rows, which is nobody. */
const limits: Readonly<Record<Store["engine"], PaceLimits>> = {
  sqlite: { first: 50, most: 500, pieceMs: 10 },
  postgres: { first: 100, most: 1_000, pieceMs: 50 },
}
/** Rows with a body of up to 1 MiB each. */
const bodyLimits: PaceLimits = { first: 10, most: 100, pieceMs: 10 }

/** A project that is to go. */
export interface Going {
  readonly project: ProjectId
  /** The job that removes it, which stays. */
  readonly job: number
}

/** What came and went; ends when there is nothing more of it but what is being sent at this moment. */
export async function* removeTraffic(parts: RemovalParts, { project }: Going): AsyncGenerator<RemovalPiece> {
  const { reads, engine } = parts.store
  const integrations = await integrationsOf(reads, project)
  for (const integration of integrations) {
    for (const outcome of ["success", "other"] as const) {
      yield* sweep(parts, limits[engine], "attempt", limit => removeAttempts(integration, outcome, limit))
    }
    const removable = isRemovable(parts)
    yield* sweep(parts, limits[engine], "delivery", limit => removeDeliveries(integration, removable, limit))
  }
  yield* sweep(parts, limits[engine], "event", limit => removeEvents(project, limit))
  yield* sweep(parts, limits[engine], "sealed_payload", limit =>
    counted("sealed_payload", some("sealed_payload", "project_id, event_id", sql`project_id = ${project}`)(limit)),
  )
  for (const segment of await segments(reads)) {
    yield* sweep(parts, limits[engine], "search_entry", limit => removeEntries({ segment, project }, limit))
  }
}

/** Whether something of a project is being sent, by a process that lives. Index delivery_sending. */
export async function isBeingSent(parts: RemovalParts, { project }: Going): Promise<boolean> {
  const found = await parts.store.db.query(sql`
    select 1 as it from delivery where claim is not null and project_id = ${project} and not ${isRemovable(parts)} limit 1`)
  return found.length > 0
}

/** Everything else, by the names of its tables, but for the project itself. */
export async function* removeRest(parts: RemovalParts, { project, job }: Going): AsyncGenerator<RemovalPiece> {
  for (const [table, belonging] of Object.entries(tablesOfProjects)) {
    if (belonging.by === "traffic" || belonging.by === "itself") continue
    const whose = {
      project: sql`project_id = ${project}`,
      integration: sql`integration_id in (select id from integration where project_id = ${project})`,
      recovery: sql`recovery_id in (select id from recovery where project_id = ${project})`,
    }[belonging.by]
    const which = table === "job" ? sql`${whose} and id <> ${job}` : whose
    const deletion = some(table, belonging.key, which)
    const hasBodies = table === "inbox_request" || table === "rejection"
    const pace = hasBodies ? bodyLimits : limits[parts.store.engine]
    yield* sweep(parts, pace, table, limit => counted(table, deletion(limit)))
  }
}

/** Takes the project's own row away, unless something of its traffic has appeared again; says whether it has gone. */
export function* removeItself(project: ProjectId): Step<boolean> {
  for (const table of ["event", "integration", "api_key"]) {
    const left = yield* row(sql`select 1 as it from ${raw(table)} where project_id = ${project} limit 1`)
    if (left !== undefined) return false
  }
  yield* change(sql`delete from project where id = ${project}`)
  return true
}

/** Has pieces of a table go, until one found less than it may take. */
async function* sweep(
  parts: RemovalParts,
  pace: PaceLimits,
  table: string,
  work: (limit: number) => Step<RemovedCounts>,
): AsyncGenerator<RemovalPiece> {
  const size = new Pace(pace)
  for (let more = true; more; ) {
    const limit = size.size
    const piece = await parts.piece(function* (commit) {
      yield* commit.scrub()
      const removed = yield* work(limit)
      more = (removed[table] ?? 0) >= limit
      return removed
    })
    size.took(piece.ms)
    yield { ...piece, table }
  }
}

/** Index attempt_succeeded or attempt_failed. */
function* removeAttempts(integration: IntegrationId, outcome: "success" | "other", limit: number): Step<RemovedCounts> {
  const found =
    outcome === "success"
      ? yield* rows<AttemptPlace>(sql`
          select id, exchange_part from attempt${along("attempt_succeeded")}
          where integration_id = ${integration} and outcome = 'success' order by id limit ${limit}`)
      : yield* rows<AttemptPlace>(sql`
          select id, exchange_part from attempt${along("attempt_failed")}
          where integration_id = ${integration} and outcome <> 'success' order by id limit ${limit}`)
  return yield* removeAttemptRows(found)
}

/** An attempt, and where its exchange lies. */
export interface AttemptPlace {
  readonly id: number
  readonly exchange_part: number | null
}

/** Removes attempts with their exchanges. Primary keys. */
export function* removeAttemptRows(found: readonly AttemptPlace[]): Step<RemovedCounts> {
  if (found.length === 0) return {}
  const places = found.map(({ id, exchange_part: part }) => ({ id, part }))
  const exchange = yield* removeFromParts("exchange", "attempt_id", places)
  const ids = list(found.map(({ id }) => id))
  return { attempt: yield* change(sql`delete from attempt where id in ${ids}`), exchange }
}

/** Removes rows of parts, as far as those are still there. Primary keys. */
export function* removeFromParts(
  table: "payload" | "exchange",
  key: "event_id" | "attempt_id",
  places: readonly { readonly id: number; readonly part: number | null }[],
): Step<number> {
  const byPart = Map.groupBy(places, ({ part }) => part)
  byPart.delete(null)
  const named = [...byPart.keys()].filter(part => part !== null)
  const there = yield* rows<{ id: number }>(sql`select id from part where id in ${list(named)}`)
  let removed = 0
  for (const { id: part } of there) {
    const ids = (byPart.get(part) ?? []).map(({ id }) => id)
    removed += yield* change(sql`delete from ${raw(`${table}_${part}`)} where ${raw(key)} in ${list(ids)}`)
  }
  return removed
}

/** Primary key. */
function* removeDeliveries(integration: IntegrationId, removable: Sql, limit: number): Step<RemovedCounts> {
  const found = yield* rows<{ event_id: number }>(sql`
    select event_id from delivery
    where integration_id = ${integration} and (claim is null or ${removable}) order by event_id limit ${limit}`)
  if (found.length === 0) return {}
  const events = list(found.map(({ event_id: event }) => event))
  const delivery = yield* change(sql`
    delete from delivery
    where integration_id = ${integration} and event_id in ${events} and (claim is null or ${removable})`)
  return { delivery }
}

/** Primary keys. */
function* removeEvents(project: ProjectId, limit: number): Step<RemovedCounts> {
  const found = yield* rows<{ id: number; part: number }>(sql`
    select id, payload_part as part from event where project_id = ${project} order by id limit ${limit}`)
  if (found.length === 0) return {}
  const payload = yield* removeFromParts("payload", "event_id", found)
  const ids = list(found.map(({ id }) => id))
  return { event: yield* change(sql`delete from event where project_id = ${project} and id in ${ids}`), payload }
}

/** Primary key of search_entry. */
function* removeEntries(
  { segment, project }: { readonly segment: number; readonly project: ProjectId },
  limit: number,
): Step<RemovedCounts> {
  const of = sql`segment = ${segment} and project_id = ${project}`
  const last = yield* row<{ field: number; value: string; event_id: number }>(sql`
    select field, value, event_id from search_entry where ${of} order by field, value, event_id limit 1 offset ${limit - 1}`)
  const upTo =
    last === undefined ? sql`` : sql` and (field, value, event_id) <= (${last.field}, ${last.value}, ${last.event_id})`
  return { search_entry: yield* change(sql`delete from search_entry where ${of}${upTo}`) }
}

/** A claim that nobody holds any more: its process has ended, and no other will take it up. */
function isRemovable({ store: { engine, fence } }: RemovalParts): Sql {
  if (engine === "sqlite") return sql`(claim < ${fence})`
  return sql`(not exists (select 1 from node n where n.id = delivery.claim and n.expires_at > clock_timestamp()))`
}

function some(table: string, key: string, which: Sql): Limited {
  const [name, columns] = [raw(table), raw(key)]
  return limit => sql`
    delete from ${name} where (${columns}) in (select ${columns} from ${name} where ${which} limit ${limit})`
}

/** Deletes, and counts what went under a table's name. */
export function* counted(table: string, deletion: Sql): Step<RemovedCounts> {
  return { [table]: yield* change(deletion) }
}

/** All integrations that a project ever had. */
export async function integrationsOf(db: Reader, project: ProjectId): Promise<IntegrationId[]> {
  const found = await db.query<{ id: number }>(
    sql`select id from integration where project_id = ${project} order by id`,
  )
  return found.map(({ id }) => id)
}

/** Segments of the search index, oldest first, from the first that can name this event on. */
export async function segments(db: Reader, event = 0): Promise<number[]> {
  const found = await db.query<{ id: number }>(sql`
    select id from search_segment where indexed_up_to >= ${event} order by id`)
  return found.map(({ id }) => id)
}

/** Has nobody reach a project any more, as it is to be removed; says why it stays where it does. Call it in a transaction. */
export async function closeProject(db: Database, project: ProjectId, at: number): Promise<"closed" | "last" | "gone"> {
  const [others] = await db.query<{ count: number }>(sql`
    select count(*) as count from project where removed_at is null and id <> ${project}`)
  if (others === undefined || others.count === 0) return "last"
  const closed = await db.query(sql`
    update project set removed_at = ${at} where id = ${project} and removed_at is null returning id`)
  if (closed.length === 0) return "gone"
  await db.query(sql`update api_key set revoked_at = ${at} where project_id = ${project} and revoked_at is null`)
  await db.query(sql`
    update integration set removed_at = ${at}, enabled = 0, updated_at = ${at}
    where project_id = ${project} and removed_at is null`)
  await db.query(sql`
    update recovery set state = 'canceled', ended_at = ${at}, updated_at = ${at}
    where project_id = ${project} and ended_at is null`)
  for (const table of ["session", "membership", "invitation", "setup"]) {
    await db.query(sql`delete from ${raw(table)} where project_id = ${project}`)
  }
  await db.query(sql`delete from job where project_id = ${project} and state = 'due'`)
  return "closed"
}
