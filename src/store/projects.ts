/** Projects, their apps and their catalogue of event types. */
import type { AppId, KeyId, ProjectId } from "../domain/id.ts"
import { type Database, sql } from "./database.ts"
import { insertKey } from "./keys.ts"
import type { Reader } from "./reader.ts"

export interface Project {
  readonly id: ProjectId
  readonly name: string
  /** Unknown event types, and data that breaks its type's schema, are refused. */
  readonly strictTypes: boolean
  /** Apps that were not made by hand are refused. */
  readonly strictApps: boolean
  readonly payloadDays: number
  /** Who is told by mail when an integration is in trouble. */
  readonly alertEmails: readonly string[]
  readonly createdAt: number
}

export interface App {
  readonly id: AppId
  readonly project: ProjectId
  readonly name: string
  readonly title: string | null
  readonly createdAt: number
}

export interface EventType {
  readonly project: ProjectId
  readonly name: string
  readonly description: string | null
  /** JSON Schema as text; null accepts anything. */
  readonly schema: string | null
  /** JSON list of examples as text. */
  readonly examples: string
  readonly createdAt: number
  readonly updatedAt: number
}

interface ProjectRow {
  readonly id: number
  readonly name: string
  readonly strict_types: number
  readonly strict_apps: number
  readonly payload_days: number
  readonly alert_emails: string
  readonly created_at: number
}

/** All projects, oldest first. */
export async function listProjects(db: Reader): Promise<Project[]> {
  const rows = await db.query<ProjectRow>(sql`
    select id, name, strict_types, strict_apps, payload_days, alert_emails, created_at from project order by id`)
  return rows.map(row => ({
    id: row.id,
    name: row.name,
    strictTypes: row.strict_types === 1,
    strictApps: row.strict_apps === 1,
    payloadDays: row.payload_days,
    alertEmails: JSON.parse(row.alert_emails) as string[],
    createdAt: row.created_at,
  }))
}

/** Makes a project or changes it. */
export async function saveProject(db: Database, project: Project): Promise<void> {
  const { id, name, payloadDays, createdAt } = project
  const [strictTypes, strictApps] = [project.strictTypes ? 1 : 0, project.strictApps ? 1 : 0]
  const alertEmails = JSON.stringify(project.alertEmails)
  await db.query(sql`
    insert into project (id, name, strict_types, strict_apps, payload_days, alert_emails, created_at)
    values (${id}, ${name}, ${strictTypes}, ${strictApps}, ${payloadDays}, ${alertEmails}, ${createdAt})
    on conflict (id) do update set
      name = excluded.name, strict_types = excluded.strict_types, strict_apps = excluded.strict_apps,
      payload_days = excluded.payload_days, alert_emails = excluded.alert_emails`)
}

/** What a new project is like where its maker says nothing else. */
export const freshProject = { strictTypes: false, strictApps: false, payloadDays: 7, alertEmails: [] }

/** Makes a project with its first API key, without which nobody could reach it; call it in a transaction. */
export async function makeProject(
  db: Database,
  project: Project,
  key: { readonly id: KeyId; readonly secret: string; readonly createdBy: string | null },
): Promise<void> {
  await saveProject(db, project)
  await insertKey(db, {
    ...key,
    project: project.id,
    name: "first key",
    scopes: ["admin"],
    at: project.createdAt,
    expiresAt: null,
  })
}

interface AppRow {
  readonly id: number
  readonly project_id: number
  readonly name: string
  readonly title: string | null
  readonly created_at: number
}

/** All apps of all projects, oldest first. */
export async function listApps(db: Reader): Promise<App[]> {
  const rows = await db.query<AppRow>(sql`select id, project_id, name, title, created_at from app order by id`)
  return rows.map(appOfRow)
}

/** Makes an app, or gives the one that has the name already. */
export async function saveApp(db: Database, app: App): Promise<App> {
  const [row] = await db.query<AppRow>(sql`
    insert into app (id, project_id, name, title, created_at)
    values (${app.id}, ${app.project}, ${app.name}, ${app.title}, ${app.createdAt})
    on conflict (project_id, name) do update set title = coalesce(excluded.title, app.title)
    returning id, project_id, name, title, created_at`)
  return row === undefined ? app : appOfRow(row)
}

function appOfRow(row: AppRow): App {
  return { id: row.id, project: row.project_id, name: row.name, title: row.title, createdAt: row.created_at }
}

interface EventTypeRow {
  readonly project_id: number
  readonly name: string
  readonly description: string | null
  readonly schema: string | null
  readonly examples: string
  readonly created_at: number
  readonly updated_at: number
}

/** The catalogue of all projects, by name. */
export async function listEventTypes(db: Reader): Promise<EventType[]> {
  const rows = await db.query<EventTypeRow>(sql`
    select project_id, name, description, schema, examples, created_at, updated_at from event_type
    order by project_id, name`)
  return rows.map(row => ({
    project: row.project_id,
    name: row.name,
    description: row.description,
    schema: row.schema,
    examples: row.examples,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }))
}

/** Makes an event type or changes it. */
export async function saveEventType(db: Database, type: EventType): Promise<void> {
  await db.query(sql`
    insert into event_type (project_id, name, description, schema, examples, created_at, updated_at)
    values (${type.project}, ${type.name}, ${type.description}, ${type.schema}, ${type.examples}, ${type.createdAt},
      ${type.updatedAt})
    on conflict (project_id, name) do update set
      description = excluded.description, schema = excluded.schema, examples = excluded.examples,
      updated_at = excluded.updated_at`)
}

/** Takes an event type out of the catalogue; true where it was there. Events of that type stay. */
export async function removeEventType(db: Database, project: ProjectId, name: string): Promise<boolean> {
  const rows = await db.query(sql`
    delete from event_type where project_id = ${project} and name = ${name} returning name`)
  return rows.length > 0
}
