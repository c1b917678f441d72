/** Links for a new password. Each is found by the hash of its token, works once, and goes with all others of its person when the password changes (`setPassword`). */
import type { PersonId } from "../domain/id.ts"
import { type Database, sql } from "./database.ts"
import type { Reader } from "./reader.ts"

/** Stands for the person of a link that was never sent, as nobody has the address. */
export const NOBODY: PersonId = 0

/** Writes a link down. */
export async function insertReset(
  db: Database,
  reset: { readonly hash: string; readonly person: PersonId; readonly at: number; readonly expiresAt: number },
): Promise<void> {
  await db.query(sql`
    insert into password_reset (hash, person_id, created_at, expires_at)
    values (${reset.hash}, ${reset.person}, ${reset.at}, ${reset.expiresAt})`)
}

/** Whose link this is, and until when it is good; undefined where there is none. Primary key. */
export async function findReset(
  db: Reader,
  hash: string,
): Promise<{ readonly person: PersonId; readonly expiresAt: number } | undefined> {
  const [row] = await db.query<{ person_id: number; expires_at: number }>(sql`
    select person_id, expires_at from password_reset where hash = ${hash} and person_id <> ${NOBODY}`)
  return row && { person: row.person_id, expiresAt: row.expires_at }
}

/** Uses a link up; false where somebody was faster. */
export async function useReset(db: Database, hash: string): Promise<boolean> {
  return (await db.query(sql`delete from password_reset where hash = ${hash} returning hash`)).length > 0
}
