/**
 * What a PostgreSQL database has to be for Waybill to stand on it: asked at each start, and by `waybill doctor`. What it
 * says of durability is what it says to a role's fresh session: behind a pooler a session is anybody's, and what one set
 * may not hold for the next (ND-45, ND-47).
 */
import { sql } from "./database.ts"
import type { Session } from "./postgres-session.ts"
import { StoreFault } from "./store-fault.ts"

/** The oldest PostgreSQL that will do, as it numbers itself. */
const OLDEST = 150_000

/** What a database says of itself and of the role that asks. */
export interface ServerFacts {
  readonly place: string
  readonly role: string
  /** `150020`, and as it is written: `15.20`. */
  readonly version_number: number
  readonly version: string
  readonly encoding: string
  readonly fsync: string
  readonly full_page_writes: string
  /** As a fresh session of this role has it. */
  readonly synchronous_commit: string
  /** 1 on a standby. */
  readonly is_standby: number
  /** As a fresh session of this role has it. */
  readonly read_only: string
  /** Where this role's tables go; null where its search path names no schema that is there. */
  readonly schema: string | null
  readonly may_create: number
  /** Whose the tables are, where this role may not change them. */
  readonly other_owner: string | null
}

/** Something that is wrong with a database. */
export interface ServerFault {
  readonly what: "version" | "encoding" | "durability" | "standby" | "rights"
  readonly message: string
}

/** Looks, and changes nothing. */
export async function lookAtServer({ db, place }: Session): Promise<ServerFacts> {
  const [facts] = await db.query<Omit<ServerFacts, "place">>(sql`
    select current_user as role, current_setting('server_version_num')::bigint as version_number,
      current_setting('server_version') as version, current_setting('server_encoding') as encoding,
      current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
      (select reset_val from pg_settings where name = 'synchronous_commit') as synchronous_commit,
      (select reset_val from pg_settings where name = 'default_transaction_read_only') as read_only,
      pg_is_in_recovery() as is_standby, current_schema() as schema,
      coalesce(has_schema_privilege(current_schema(), 'create'), false) as may_create,
      (select pg_get_userbyid(c.relowner) from pg_class c
       where c.oid = to_regclass('event') and not pg_has_role(c.relowner, 'usage')) as other_owner`)
  if (facts === undefined) throw new Error("The database says nothing of itself.")
  return { ...facts, place }
}

/** What is wrong with a database, the gravest first. `allowUnsafe`: one that may lose what it has committed is taken. */
export function serverFaults(facts: ServerFacts, allowUnsafe: boolean): readonly ServerFault[] {
  const { place, role, schema } = facts
  const faults: ServerFault[] = []
  const fault = (what: ServerFault["what"], message: string) => faults.push({ what, message })
  if (facts.version_number < OLDEST) {
    fault("version", `PostgreSQL ${facts.version}, which has ${place}, is too old: Waybill needs 15 or later.`)
  }
  if (facts.is_standby === 1) {
    fault("standby", `DATABASE_URL names a standby, which takes no writes (${place}): name the primary.`)
  }
  if (facts.read_only === "on") {
    fault(
      "standby",
      `Sessions of ${role} are read-only: \`alter role ${role} set default_transaction_read_only = off\`, also for the database.`,
    )
  }
  if (facts.encoding !== "UTF8") {
    fault(
      "encoding",
      `The encoding ${facts.encoding} of ${place} cannot hold every text: make a database with \`encoding 'UTF8' template template0\`.`,
    )
  }
  for (const [name, value] of [
    ["fsync", facts.fsync],
    ["full_page_writes", facts.full_page_writes],
  ]) {
    if (value === "on" || allowUnsafe) continue
    fault(
      "durability",
      `${name} is ${value} on ${place}: after a crash of its machine events may be lost that were answered with 202, or all of the database. Switch it on, or set WAYBILL_ALLOW_UNSAFE_DATABASE=yes if that may happen.`,
    )
  }
  if (!["on", "remote_apply"].includes(facts.synchronous_commit)) {
    fault(
      "durability",
      `synchronous_commit is ${facts.synchronous_commit} for ${role}: commits would be answered before they are safe. \`alter role ${role} set synchronous_commit = on\`, then start again (and reconnect the pooler, where there is one).`,
    )
  }
  if (schema === null) {
    fault(
      "rights",
      `The search path of ${role} names no schema that is there: \`create schema authorization ${role}\`.`,
    )
  } else if (facts.may_create !== 1) {
    fault(
      "rights",
      `${role} may not make tables in the schema ${schema}, and needs a new one each day: \`grant create on schema ${schema} to ${role}\`, or \`alter database … owner to ${role}\`.`,
    )
  }
  if (facts.other_owner !== null) {
    fault(
      "rights",
      `The tables belong to ${facts.other_owner}, and ${role} may not change them: start as ${facts.other_owner}, or \`grant ${facts.other_owner} to ${role}\`.`,
    )
  }
  return faults
}

/** Throws StoreFault where a database will not do. */
export async function assertServer(session: Session, allowUnsafe: boolean): Promise<void> {
  const faults = serverFaults(await lookAtServer(session), allowUnsafe)
  if (faults.length > 0) throw new StoreFault(faults.map(({ message }) => message).join("\n"))
}
