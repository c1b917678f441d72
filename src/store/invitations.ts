/**
 * Invitations to a project, and the links with which an operator makes the first owner of one. Found by the hash of their
 * token, and used once.
 *
 *     open ── accepted ──▶ used        open ── revoked, or its time is over ──▶ of no more use
 */
import type { InvitationId, ProjectId } from "../domain/id.ts"
import { emailKey } from "../domain/person.ts"
import type { Role } from "../domain/scope.ts"
import type { Actor } from "./changes.ts"
import { type Database, sql } from "./database.ts"
import type { Reader } from "./reader.ts"

export interface Invitation {
  readonly id: InvitationId
  readonly project: ProjectId
  readonly email: string
  readonly role: Role
  readonly by: Pick<Actor, "kind" | "id">
  readonly createdAt: number
  readonly expiresAt: number
  readonly usedAt: number | null
  readonly revokedAt: number | null
}

interface InvitationRow {
  readonly id: number
  readonly project_id: number
  readonly email: string
  readonly role: Role
  readonly by_kind: Actor["kind"]
  readonly by_id: string | null
  readonly created_at: number
  readonly expires_at: number
  readonly used_at: number | null
  readonly revoked_at: number | null
}

const columns = sql`id, project_id, email, role, by_kind, by_id, created_at, expires_at, used_at, revoked_at`

/** Writes an invitation down. */
export async function insertInvitation(
  db: Database,
  invitation: Omit<Invitation, "usedAt" | "revokedAt">,
  hash: string,
): Promise<void> {
  const { id, project, email, role, by, createdAt, expiresAt } = invitation
  await db.query(sql`
    insert into invitation (id, project_id, hash, email, email_key, role, by_kind, by_id, created_at, expires_at)
    values (${id}, ${project}, ${hash}, ${email}, ${emailKey(email)}, ${role}, ${by.kind}, ${by.id}, ${createdAt},
      ${expiresAt})`)
}

/** The invitation with this hash, whatever became of it. Index: invitation.hash. */
export async function findInvitation(db: Reader, hash: string): Promise<Invitation | undefined> {
  const rows = await db.query<InvitationRow>(sql`select ${columns} from invitation where hash = ${hash}`)
  return rows.map(invitationOfRow)[0]
}

/** Invitations that wait for an address, in all projects. Index: invitation_by_email. */
export async function openInvitationsFor(db: Reader, email: string, now: number): Promise<Invitation[]> {
  const rows = await db.query<InvitationRow>(sql`
    select ${columns} from invitation
    where email_key = ${emailKey(email)} and used_at is null and revoked_at is null and expires_at > ${now}
    order by id`)
  return rows.map(invitationOfRow)
}

/** A project's invitations before one, newest first. Index: invitation_by_project. */
export async function listInvitations(
  db: Reader,
  project: ProjectId,
  before: number,
  limit: number,
): Promise<Invitation[]> {
  const rows = await db.query<InvitationRow>(sql`
    select ${columns} from invitation where project_id = ${project} and id < ${before} order by id desc limit ${limit}`)
  return rows.map(invitationOfRow)
}

/** One of a project's invitations. Primary key. */
export async function readInvitation(
  db: Reader,
  project: ProjectId,
  id: InvitationId,
): Promise<Invitation | undefined> {
  const rows = await db.query<InvitationRow>(sql`
    select ${columns} from invitation where id = ${id} and project_id = ${project}`)
  return rows.map(invitationOfRow)[0]
}

/** Uses an invitation up; false where somebody was faster, it was revoked or its time is over. */
export async function useInvitation(db: Database, id: InvitationId, now: number): Promise<boolean> {
  const rows = await db.query(sql`
    update invitation set used_at = ${now}
    where id = ${id} and used_at is null and revoked_at is null and expires_at > ${now} returning id`)
  return rows.length > 0
}

/** Revokes an invitation; gives it as it is then, used or not, or undefined where the project has no such one. */
export async function revokeInvitation(
  db: Database,
  project: ProjectId,
  id: InvitationId,
  now: number,
): Promise<Invitation | undefined> {
  const rows = await db.query<InvitationRow>(sql`
    update invitation set revoked_at = case when used_at is null then coalesce(revoked_at, ${now}) else revoked_at end
    where id = ${id} and project_id = ${project} returning ${columns}`)
  return rows.map(invitationOfRow)[0]
}

/** A link with which the first owner of a project is made. */
export interface Setup {
  readonly project: ProjectId
  /** Whoever runs the program has made it: the address that it is used with counts as its owner's. */
  readonly byOperator: boolean
  readonly usedAt: number | null
}

/** Writes down a link with which the first owner of a project is made. */
export async function insertSetup(
  db: Database,
  hash: string,
  { project, byOperator, at }: Pick<Setup, "project" | "byOperator"> & { readonly at: number },
): Promise<void> {
  await db.query(sql`
    insert into setup (hash, project_id, created_at, by_operator)
    values (${hash}, ${project}, ${at}, ${byOperator ? 1 : 0})`)
}

/** The link with this hash; undefined where there is none. Primary key. */
export async function findSetup(db: Reader, hash: string): Promise<Setup | undefined> {
  const [row] = await db.query<{ project_id: number; used_at: number | null; by_operator: number }>(sql`
    select project_id, used_at, by_operator from setup where hash = ${hash}`)
  return row && { project: row.project_id, byOperator: row.by_operator === 1, usedAt: row.used_at }
}

/** Uses a set-up link up; false where it was used already. */
export async function useSetup(db: Database, hash: string, now: number): Promise<boolean> {
  const rows = await db.query(sql`
    update setup set used_at = ${now} where hash = ${hash} and used_at is null returning hash`)
  return rows.length > 0
}

function invitationOfRow(row: InvitationRow): Invitation {
  return {
    id: row.id,
    project: row.project_id,
    email: row.email,
    role: row.role,
    by: { kind: row.by_kind, id: row.by_id },
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    usedAt: row.used_at,
    revokedAt: row.revoked_at,
  }
}
