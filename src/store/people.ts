/** People, what they are in which project, and how identity providers know them. */
import type { PersonId, ProjectId } from "../domain/id.ts"
import { emailKey } from "../domain/person.ts"
import type { Role } from "../domain/scope.ts"
import { type Database, sql } from "./database.ts"
import type { Reader } from "./reader.ts"

export interface Person {
  readonly id: PersonId
  readonly email: string
  readonly name: string
  /** Its hash with its parameters (`engine/passwords.ts`); null where the person signs in elsewhere. */
  readonly password: string | null
  /** When it was shown that the address is theirs: by an identity provider, or by the operator's set-up link. */
  readonly verifiedAt: number | null
  readonly createdAt: number
  /** Signs in nowhere since then. */
  readonly disabledAt: number | null
}

/** What a person is in a project. */
export interface Membership {
  readonly project: ProjectId
  readonly person: PersonId
  readonly role: Role
  readonly createdAt: number
}

/** A person as the people of a project see them. */
export interface Member extends Membership {
  readonly email: string
  readonly name: string
  /** Of their sessions in this project, to a minute; null where they have none. */
  readonly seenAt: number | null
}

interface PersonRow {
  readonly id: number
  readonly email: string
  readonly name: string
  readonly password: string | null
  readonly verified_at: number | null
  readonly created_at: number
  readonly disabled_at: number | null
}

const columns = sql`id, email, name, password, verified_at, created_at, disabled_at`

/** The person with this address, however it is written. Index: person.email_key. */
export async function findPersonByEmail(db: Reader, email: string): Promise<Person | undefined> {
  const rows = await db.query<PersonRow>(sql`select ${columns} from person where email_key = ${emailKey(email)}`)
  return rows.map(personOfRow)[0]
}

export async function findPerson(db: Reader, id: PersonId): Promise<Person | undefined> {
  return (await db.query<PersonRow>(sql`select ${columns} from person where id = ${id}`)).map(personOfRow)[0]
}

/** Makes a person; false where there is one with this address already. */
export async function insertPerson(db: Database, person: Omit<Person, "disabledAt">): Promise<boolean> {
  const { id, email, name, password, verifiedAt, createdAt } = person
  const rows = await db.query(sql`
    insert into person (id, email, email_key, name, password, verified_at, created_at)
    values (${id}, ${email}, ${emailKey(email)}, ${name}, ${password}, ${verifiedAt}, ${createdAt})
    on conflict (email_key) do nothing returning id`)
  return rows.length > 0
}

/** Sets the hash of a person's password; null takes it away. Links for a new one are of no more use then. */
export async function setPassword(db: Database, id: PersonId, password: string | null): Promise<void> {
  await db.query(sql`update person set password = ${password} where id = ${id}`)
  await db.query(sql`delete from password_reset where person_id = ${id}`)
}

/** Puts a better hash of the same password in the place of one, unless it has been changed meanwhile. */
export async function improvePassword(db: Database, id: PersonId, before: string, after: string): Promise<void> {
  await db.query(sql`update person set password = ${after} where id = ${id} and password = ${before}`)
}

/** Notes that a person's address was shown to be theirs. */
export async function setVerified(db: Database, id: PersonId, at: number): Promise<void> {
  await db.query(sql`update person set verified_at = coalesce(verified_at, ${at}) where id = ${id}`)
}

/** Lets a person sign in no more, or again; their sessions are nobody's while they may not. */
export async function setDisabled(db: Database, id: PersonId, at: number | null): Promise<void> {
  await db.query(sql`update person set disabled_at = ${at} where id = ${id}`)
}

/** What a person is, by project, oldest first. Index: membership_by_person. */
export async function membershipsOf(db: Reader, person: PersonId): Promise<Membership[]> {
  const rows = await db.query<{ project_id: number; role: Role; created_at: number }>(sql`
    select project_id, role, created_at from membership where person_id = ${person} order by project_id`)
  return rows.map(row => ({ project: row.project_id, person, role: row.role, createdAt: row.created_at }))
}

interface MemberRow {
  readonly person_id: number
  readonly role: Role
  readonly created_at: number
  readonly email: string
  readonly name: string
  readonly seen_at: number | null
}

/** The people of a project after a person, in the order in which they came to this Waybill. Primary key. */
export async function membersOf(
  db: Reader,
  project: ProjectId,
  after: PersonId,
  limit: number,
): Promise<readonly Member[]> {
  const rows = await db.query<MemberRow>(sql`
    select m.person_id, m.role, m.created_at, p.email, p.name,
      (select max(s.seen_at) from session s where s.person_id = m.person_id and s.project_id = m.project_id) as seen_at
    from membership m join person p on p.id = m.person_id
    where m.project_id = ${project} and m.person_id > ${after}
    order by m.person_id limit ${limit}`)
  return rows.map(row => ({
    project,
    person: row.person_id,
    role: row.role,
    createdAt: row.created_at,
    email: row.email,
    name: row.name,
    seenAt: row.seen_at,
  }))
}

/** One of the people of a project. Primary key. */
export async function findMember(db: Reader, project: ProjectId, person: PersonId): Promise<Member | undefined> {
  return (await membersOf(db, project, person - 1, 1)).find(member => member.person === person)
}

/** Makes a person something in a project, or something else than before. */
export async function saveMembership(db: Database, { project, person, role, createdAt }: Membership): Promise<void> {
  await db.query(sql`
    insert into membership (project_id, person_id, role, created_at)
    values (${project}, ${person}, ${role}, ${createdAt})
    on conflict (project_id, person_id) do update set role = excluded.role`)
}

/** Takes a person out of a project. */
export async function removeMembership(db: Database, project: ProjectId, person: PersonId): Promise<void> {
  await db.query(sql`delete from membership where project_id = ${project} and person_id = ${person}`)
}

/** How many owners a project has who may sign in, but for one person. Primary key. */
export async function countOwners(db: Reader, project: ProjectId, but: PersonId = 0): Promise<number> {
  const [row] = await db.query<{ n: number }>(sql`
    select count(*) as n from membership m join person p on p.id = m.person_id
    where m.project_id = ${project} and m.role = 'owner' and p.disabled_at is null and p.id <> ${but}`)
  return row?.n ?? 0
}

/** The person whom an identity provider knows under this subject. Primary key. */
export async function findIdentity(db: Reader, issuer: string, subject: string): Promise<PersonId | undefined> {
  const [row] = await db.query<{ person_id: number }>(sql`
    select person_id from identity where issuer = ${issuer} and subject = ${subject}`)
  return row?.person_id
}

/** Whether an identity provider knows a person already, under whatever subject. Primary key, as far as the issuer. */
export async function isKnownAt(db: Reader, issuer: string, person: PersonId): Promise<boolean> {
  const rows = await db.query(
    sql`select 1 as found from identity where issuer = ${issuer} and person_id = ${person} limit 1`,
  )
  return rows.length > 0
}

/** Forgets as whom identity providers know a person: the next sign-in there links them anew. */
export async function unlinkIdentities(db: Database, person: PersonId): Promise<void> {
  await db.query(sql`delete from identity where person_id = ${person}`)
}

/** Notes as whom an identity provider knows a person. */
export async function linkIdentity(
  db: Database,
  identity: { readonly issuer: string; readonly subject: string; readonly person: PersonId; readonly at: number },
): Promise<void> {
  const { issuer, subject, person, at } = identity
  await db.query(sql`
    insert into identity (issuer, subject, person_id, created_at) values (${issuer}, ${subject}, ${person}, ${at})
    on conflict (issuer, subject) do nothing`)
}

function personOfRow(row: PersonRow): Person {
  return {
    id: row.id,
    email: row.email,
    name: row.name,
    password: row.password,
    verifiedAt: row.verified_at,
    createdAt: row.created_at,
    disabledAt: row.disabled_at,
  }
}
