/** Changes to the configuration, by people and by Waybill itself, in the one order of ids that the stream follows. */
import type { ProjectId } from "../domain/id.ts"
import { type Database, sql } from "./database.ts"
import type { Reader } from "./reader.ts"

/** Who changed something: an API key, Waybill itself, or whoever started the server. */
export interface Actor {
  readonly kind: "api_key" | "waybill" | "operator"
  /** The key's text id, or the rule by which Waybill acted. */
  readonly id: string | null
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
}

/** Writes a change down; call it in the transaction that makes it. */
export async function recordChange(db: Database, change: Change): Promise<void> {
  const { id, project, at, kind, subject, by, facts } = change
  await db.query(sql`
    insert into change (id, project_id, at, kind, subject, by_kind, by_id, facts)
    values (${id}, ${project}, ${at}, ${kind}, ${subject}, ${by.kind}, ${by.id}, ${JSON.stringify(facts)})`)
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
  return rows.map(row => ({
    id: row.id,
    project: row.project_id,
    at: row.at,
    kind: row.kind,
    subject: row.subject,
    by: { kind: row.by_kind, id: row.by_id },
    facts: JSON.parse(row.facts) as Record<string, unknown>,
  }))
}
