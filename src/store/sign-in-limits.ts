/**
 * How often somebody has tried to sign in, of one account and from one address: in the database, so that it holds for all
 * processes together and over restarts. A try is counted before it is made, or many at a time would all be let through.
 */
import { SIGN_IN_WINDOW_MS } from "../domain/person.ts"
import { type Database, sql } from "./database.ts"

/** Counts a try; gives how many there were within the window, and when that began. Primary key. */
export async function countTry(
  db: Database,
  subject: string,
  now: number,
): Promise<{ readonly tries: number; readonly since: number }> {
  // A window that lies ahead was begun by a clock that has been put back since.
  const [row] = await db.query<{ tries: number; since: number }>(sql`
    insert into sign_in_limit (subject, tries, since) values (${subject}, 1, ${now})
    on conflict (subject) do update set
      tries = case
        when sign_in_limit.since > excluded.since or sign_in_limit.since + ${SIGN_IN_WINDOW_MS} <= excluded.since then 1
        else sign_in_limit.tries + 1 end,
      since = case
        when sign_in_limit.since > excluded.since or sign_in_limit.since + ${SIGN_IN_WINDOW_MS} <= excluded.since
        then excluded.since else sign_in_limit.since end
    returning tries, since`)
  return row ?? { tries: 1, since: now }
}

/** Takes a try back that turned out well. */
export async function takeTryBack(db: Database, subject: string): Promise<void> {
  await db.query(sql`update sign_in_limit set tries = tries - 1 where subject = ${subject} and tries > 0`)
}

/** Forgets the tries of an account whose person has come in. */
export async function forgetTries(db: Database, subject: string): Promise<void> {
  await db.query(sql`delete from sign_in_limit where subject = ${subject}`)
}
