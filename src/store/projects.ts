/** Projects, their apps and their catalogue of event types. */
import type { AppId, KeyId, ProjectId } from "../domain/id.ts"
import { unlimited } from "../domain/limits.ts"
import { noPortal, type Portal } from "../domain/portal.ts"
import { type Database, type Sql, sql } from "./database.ts"
import { insertKey } from "./keys.ts"
import type { Reader } from "./reader.ts"
import { row, type Step } from "./step.ts"

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
  /** JSON pointers into the data of its events: see domain/private-fields.ts. */
  readonly privateFields: readonly string[]
  /** How many requests its keys may make a minute, all together; null: any number. */
  readonly maxRequestsPerMinute: number | null
  /** What its portal looks like, and who may frame it. */
  readonly portal: Portal
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
  /** JSON pointers into the data of events of this type, beside those of the project. */
  readonly privateFields: readonly string[]
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
  readonly private_fields: string
  readonly max_requests_per_minute: number | null
  readonly portal: string
  readonly created_at: number
}

/** The project is being removed, or has been: nothing of it can be changed any more. */
export class ProjectRemoved extends Error {}

/** Throws ProjectRemoved where nobody works in a project any more. Primary key. */
export async function assertOpen(tx: Database, project: ProjectId): Promise<void> {
  if ((await tx.query(openProject(project))).length === 0) throw new ProjectRemoved(REMOVED)
}

/** The same as a step. */
export function* stillOpen(project: ProjectId): Step<void> {
  if ((yield* row(openProject(project))) === undefined) throw new ProjectRemoved(REMOVED)
}

const REMOVED = "The project has been removed, and its keys with it."

function openProject(project: ProjectId): Sql {
  return sql`select 1 as it from project where id = ${project} and removed_at is null`
}

/** All projects but those that are being removed, oldest first. */
export async function listProjects(db: Reader): Promise<Project[]> {
  const rows = await db.query<ProjectRow>(sql`
    select id, name, strict_types, strict_apps, payload_days, alert_emails, private_fields,
      max_requests_per_minute, portal, created_at
    from project where removed_at is null order by id`)
  return rows.map(row => ({
    id: row.id,
    name: row.name,
    strictTypes: row.strict_types === 1,
    strictApps: row.strict_apps === 1,
    payloadDays: row.payload_days,
    alertEmails: JSON.parse(row.alert_emails) as string[],
    privateFields: JSON.parse(row.private_fields) as string[],
    maxRequestsPerMinute: row.max_requests_per_minute,
    portal: { ...noPortal, ...(JSON.parse(row.portal) as Partial<Portal>) },
    createdAt: row.created_at,
  }))
}

/** Makes a project or changes it. */
export async function saveProject(db: Database, project: Project): Promise<void> {
  const { id, name, payloadDays, maxRequestsPerMinute, createdAt } = project
  const [strictTypes, strictApps] = [project.strictTypes ? 1 : 0, project.strictApps ? 1 : 0]
  const [alertEmails, privateFields] = [JSON.stringify(project.alertEmails), JSON.stringify(project.privateFields)]
  await db.query(sql`
    insert into project (id, name, strict_types, strict_apps, payload_days, alert_emails, private_fields,
      max_requests_per_minute, portal, created_at)
    values (${id}, ${name}, ${strictTypes}, ${strictApps}, ${payloadDays}, ${alertEmails}, ${privateFields},
      ${maxRequestsPerMinute}, ${JSON.stringify(project.portal)}, ${createdAt})
    on conflict (id) do update set
      name = excluded.name, strict_types = excluded.strict_types, strict_apps = excluded.strict_apps,
      payload_days = excluded.payload_days, alert_emails = excluded.alert_emails,
      private_fields = excluded.private_fields,
      max_requests_per_minute = excluded.max_requests_per_minute, portal = excluded.portal`)
}

/** What a new project is like where its maker says nothing else. */
export const freshProject = {
  strictTypes: false,
  strictApps: false,
  payloadDays: 7,
  alertEmails: [],
  privateFields: [],
  maxRequestsPerMinute: null,
  portal: noPortal,
}

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
    limits: unlimited,
    maxRequestsPerMinute: null,
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

/** The app of a project that has a name; undefined where there is none. */
export async function findApp(db: Reader, project: ProjectId, name: string): Promise<App | undefined> {
  const rows = await db.query<AppRow>(sql`
    select id, project_id, name, title, created_at from app where project_id = ${project} and name = ${name}`)
  return rows.map(appOfRow)[0]
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
  readonly private_fields: string
  readonly created_at: number
  readonly updated_at: number
}

/** The catalogue of all projects, by name. */
export async function listEventTypes(db: Reader): Promise<EventType[]> {
  const rows = await db.query<EventTypeRow>(sql`
    select project_id, name, description, schema, examples, private_fields, created_at, updated_at from event_type
    order by project_id, name`)
  return rows.map(eventTypeOfRow)
}

/** One event type of a project; undefined where it has none of that name. Primary key. */
export async function readEventType(db: Reader, project: ProjectId, name: string): Promise<EventType | undefined> {
  const rows = await db.query<EventTypeRow>(sql`
    select project_id, name, description, schema, examples, private_fields, created_at, updated_at from event_type
    where project_id = ${project} and name = ${name}`)
  return rows.map(eventTypeOfRow)[0]
}

function eventTypeOfRow(row: EventTypeRow): EventType {
  return {
    project: row.project_id,
    name: row.name,
    description: row.description,
    schema: row.schema,
    examples: row.examples,
    privateFields: JSON.parse(row.private_fields) as string[],
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

/** Makes an event type or changes it. */
export async function saveEventType(db: Database, type: EventType): Promise<void> {
  await db.query(sql`
    insert into event_type (project_id, name, description, schema, examples, private_fields, created_at, updated_at)
    values (${type.project}, ${type.name}, ${type.description}, ${type.schema}, ${type.examples},
      ${JSON.stringify(type.privateFields)}, ${type.createdAt}, ${type.updatedAt})
    on conflict (project_id, name) do update set
      description = excluded.description, schema = excluded.schema, examples = excluded.examples,
      private_fields = excluded.private_fields,
      updated_at = excluded.updated_at`)
}

/** Takes an event type out of the catalogue; true where it was there. Events of that type stay. */
export async function removeEventType(db: Database, project: ProjectId, name: string): Promise<boolean> {
  const rows = await db.query(sql`
    delete from event_type where project_id = ${project} and name = ${name} returning name`)
  return rows.length > 0
}
