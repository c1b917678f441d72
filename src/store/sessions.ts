/** Sessions of people, found by the hash of their token. Looked up for each request, so that one that has ended is gone on all processes at once. */
import type { PersonId, ProjectId, SessionId } from "../domain/id.ts"
import { idleEnd, SESSION_MS } from "../domain/person.ts"
import type { Role } from "../domain/scope.ts"
import { type Database, sql } from "./database.ts"
import type { Reader } from "./reader.ts"

/** How a session began. */
export const ways = ["password", "setup", "invitation", "oidc"] as const
export type Way = (typeof ways)[number]

export interface Session {
  readonly id: SessionId
  readonly person: PersonId
  /** The project that is worked in. */
  readonly project: ProjectId
  readonly way: Way
  readonly address: string
  readonly agent: string | null
  readonly createdAt: number
  readonly seenAt: number
  /** When it ends if it is not used before. */
  readonly idleExpiresAt: number
  readonly expiresAt: number
}

/** A session that holds, and whose it is. */
export interface LiveSession extends Session {
  readonly email: string
  readonly name: string
  readonly role: Role
}

interface SessionRow {
  readonly id: number
  readonly person_id: number
  readonly project_id: number
  readonly way: Way
  readonly address: string
  readonly agent: string | null
  readonly created_at: number
  readonly seen_at: number
  readonly idle_expires_at: number
  readonly expires_at: number
}

const columns = sql`
  s.id, s.person_id, s.project_id, s.way, s.address, s.agent, s.created_at, s.seen_at, s.idle_expires_at, s.expires_at`

export interface NewSession {
  readonly id: SessionId
  readonly hash: string
  readonly person: PersonId
  readonly project: ProjectId
  readonly way: Way
  readonly address: string
  readonly agent: string | null
  readonly at: number
}

/** Begins a session. */
export async function insertSession(db: Database, session: NewSession): Promise<void> {
  const { id, hash, person, project, way, address, agent, at } = session
  const expiresAt = at + SESSION_MS
  await db.query(sql`
    insert into session (id, hash, person_id, project_id, way, address, agent, created_at, seen_at, idle_expires_at,
      expires_at)
    values (${id}, ${hash}, ${person}, ${project}, ${way}, ${address}, ${agent}, ${at}, ${at}, ${idleEnd(at, expiresAt)},
      ${expiresAt})`)
}

/**
 * The session with this hash, where it holds: it has not ended, its person may sign in and still is something in its project.
 * Index: session.hash.
 */
export async function findSession(db: Reader, hash: string, now: number): Promise<LiveSession | undefined> {
  const rows = await db.query<SessionRow & { email: string; name: string; role: Role }>(sql`
    select ${columns}, p.email, p.name, m.role
    from session s join person p on p.id = s.person_id
      join membership m on m.project_id = s.project_id and m.person_id = s.person_id
    where s.hash = ${hash} and s.idle_expires_at > ${now} and p.disabled_at is null`)
  return rows.map(row => ({ ...sessionOfRow(row), email: row.email, name: row.name, role: row.role }))[0]
}

/** Notes that a session is used. */
export async function touchSession(db: Database, { id, expiresAt }: Session, now: number): Promise<void> {
  await db.query(sql`
    update session set seen_at = ${now}, idle_expires_at = ${idleEnd(now, expiresAt)}
    where id = ${id} and seen_at < ${now}`)
}

/**
 * Gives a session another token, and maybe another project; the one before opens nothing any more. False where the session
 * has ended meanwhile.
 */
export async function renewSession(db: Database, id: SessionId, hash: string, project: ProjectId): Promise<boolean> {
  const rows = await db.query(
    sql`update session set hash = ${hash}, project_id = ${project} where id = ${id} returning id`,
  )
  return rows.length > 0
}

/** Ends one of a person's sessions; says whether there was one. */
export async function endSession(db: Database, person: PersonId, id: SessionId): Promise<boolean> {
  const rows = await db.query(sql`delete from session where id = ${id} and person_id = ${person} returning id`)
  return rows.length > 0
}

/** Ends the session with this hash, whosever it is. */
export async function endSessionWith(db: Database, hash: string): Promise<void> {
  await db.query(sql`delete from session where hash = ${hash}`)
}

/** Ends a person's sessions but one; gives how many. Index: session_by_person. */
export async function endSessionsOf(db: Database, person: PersonId, but: SessionId | null): Promise<number> {
  const rows = await db.query(sql`delete from session where person_id = ${person} and id <> ${but ?? 0} returning id`)
  return rows.length
}

/** Ends a person's sessions in one project but one. Index: session_by_person. */
export async function endSessionsIn(
  db: Database,
  { project, person }: { readonly project: ProjectId; readonly person: PersonId },
  but: SessionId | null,
): Promise<void> {
  await db.query(sql`
    delete from session where person_id = ${person} and project_id = ${project} and id <> ${but ?? 0}`)
}

/** A person's sessions that hold, newest first. Index: session_by_person. */
export async function sessionsOf(db: Reader, person: PersonId, now: number): Promise<Session[]> {
  const rows = await db.query<SessionRow>(sql`
    select ${columns} from session s
    where s.person_id = ${person} and s.idle_expires_at > ${now} order by s.id desc limit 200`)
  return rows.map(sessionOfRow)
}

function sessionOfRow(row: SessionRow): Session {
  return {
    id: row.id,
    person: row.person_id,
    project: row.project_id,
    way: row.way,
    address: row.address,
    agent: row.agent,
    createdAt: row.created_at,
    seenAt: row.seen_at,
    idleExpiresAt: row.idle_expires_at,
    expiresAt: row.expires_at,
  }
}
