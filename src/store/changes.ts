/**
 * Changes to the configuration, by people and by Waybill itself, in the one order of ids that the stream follows: they are
 * the audit log, too. A row is written once and never changed.
 */
import { firstIdAt, type ProjectId } from "../domain/id.ts"
import { type Database, join, type Sql, sql } from "./database.ts"
import type { Reader } from "./reader.ts"
import { change as changeRows, type Step } from "./step.ts"

/** Who changed something: an API key, a person, Waybill itself, or whoever started the server. */
export interface Actor {
  readonly kind: "api_key" | "person" | "waybill" | "operator"
  /** The text id of the key or the person, or the rule by which Waybill acted. */
  readonly id: string | null
  /** Where the request came from; there is none for Waybill itself. */
  readonly from?: Origin
}

/** Where a request comes from. */
export interface Origin {
  /** Of the client, as far as the proxies in between are believed (`WAYBILL_TRUST_PROXY`). */
  readonly address: string
  /** Its `User-Agent`, as far as it is kept. */
  readonly agent: string | null
  /** `x-request-id` */
  readonly request: string
}

export interface Change {
  readonly id: number
  readonly project: ProjectId
  readonly at: number
  /** `integration.created`, `integration.updated`, `integration.disabled`, `api_key.created`, … */
  readonly kind: string
  /** The text id of what changed. */
  readonly subject: string
  readonly by: Actor
  readonly facts: Readonly<Record<string, unknown>>
  /** How the subject stood before and after, as JSON text; left out where there is no such thing. Never with a secret. */
  readonly before?: string
  readonly after?: string
}

/** Writes a change down; call it in the transaction that makes it. */
export async function recordChange(db: Database, change: Change): Promise<void> {
  await db.query(insertion(change))
}

/** The same as a step of a commit. */
export function* noteChange(change: Change): Step<void> {
  yield* changeRows(insertion(change))
}

function insertion({ id, project, at, kind, subject, by, facts, before, after }: Change): Sql {
  const { address = null, agent = null, request = null } = by.from ?? {}
  return sql`
    insert into change (id, project_id, at, kind, subject, by_kind, by_id, facts, from_address, from_agent, request, before,
      after)
    values (${id}, ${project}, ${at}, ${kind}, ${subject}, ${by.kind}, ${by.id}, ${JSON.stringify(facts)}, ${address},
      ${agent}, ${request}, ${before ?? null}, ${after ?? null})`
}

interface ChangeRow {
  readonly id: number
  readonly project_id: number
  readonly at: number
  readonly kind: string
  readonly subject: string
  readonly by_kind: Actor["kind"]
  readonly by_id: string | null
  readonly facts: string
}

/** Changes of a project after an id, oldest first. Index: change_by_project. */
export async function changesAfter(db: Reader, project: ProjectId, after: number, limit: number): Promise<Change[]> {
  const rows = await db.query<ChangeRow>(sql`
    select id, project_id, at, kind, subject, by_kind, by_id, facts from change
    where project_id = ${project} and id > ${after} order by id limit ${limit}`)
  return rows.map(changeOfRow)
}

/** What the audit log is narrowed by; what is undefined narrows nothing. */
export interface ChangeFilter {
  /** The text id of a key or a person, or a rule of Waybill's. */
  readonly actor?: string | undefined
  readonly kind?: string | undefined
  readonly subject?: string | undefined
  /** Changes of this time or later, in ms since 1970. */
  readonly from?: number | undefined
  /** Changes before this time. */
  readonly to?: number | undefined
}

/** An entry of the audit log: `before` and `after` as JSON text. */
export interface AuditEntry extends Omit<Change, "before" | "after"> {
  readonly before: string | null
  readonly after: string | null
}

interface AuditRow extends ChangeRow {
  readonly from_address: string | null
  readonly from_agent: string | null
  readonly request: string | null
  readonly before: string | null
  readonly after: string | null
}

/**
 * A stretch of a project's audit log: newest first from before an id, or oldest first from after one. Index:
 * change_by_project, or that of the narrowest filter.
 */
export async function auditLog(
  db: Reader,
  project: ProjectId,
  filter: ChangeFilter,
  place: { readonly before: number; readonly limit: number } | { readonly after: number; readonly limit: number },
): Promise<AuditEntry[]> {
  const { actor, kind, subject, from, to } = filter
  const conditions = [
    sql`project_id = ${project}`,
    ...(actor === undefined ? [] : [sql`by_id = ${actor}`]),
    ...(kind === undefined ? [] : [sql`kind = ${kind}`]),
    ...(subject === undefined ? [] : [sql`subject = ${subject}`]),
    ...(from === undefined ? [] : [sql`id >= ${firstIdAt(from)}`]),
    ...(to === undefined ? [] : [sql`id < ${firstIdAt(to)}`]),
    "before" in place ? sql`id < ${place.before}` : sql`id > ${place.after}`,
  ]
  const order = "before" in place ? sql`id desc` : sql`id`
  const rows = await db.query<AuditRow>(sql`
    select id, project_id, at, kind, subject, by_kind, by_id, facts, from_address, from_agent, request, before, after
    from change where ${join(conditions, " and ")} order by ${order} limit ${place.limit}`)
  return rows.map(row => ({ ...changeOfRow(row), by: actorOfRow(row), before: row.before, after: row.after }))
}

function changeOfRow(row: ChangeRow): Change {
  return {
    id: row.id,
    project: row.project_id,
    at: row.at,
    kind: row.kind,
    subject: row.subject,
    by: { kind: row.by_kind, id: row.by_id },
    facts: JSON.parse(row.facts) as Record<string, unknown>,
  }
}

function actorOfRow({ by_kind: kind, by_id: id, from_address: address, from_agent: agent, request }: AuditRow): Actor {
  return address === null || request === null ? { kind, id } : { kind, id, from: { address, agent, request } }
}
