/** The attempts on PostgreSQL: a table with an index, as anybody would make it who wants to look them up by event. */
import { Pool, type QueryConfig } from "pg"
import { type Attempt, setting } from "./service.ts"

/** Enough for everything that is under way at once (Graphile Worker asks for two more than its jobs and what those use). */
export const pool = new Pool({ connectionString: setting("DATABASE_URL"), max: 50 })
pool.on("error", error => console.error(error))

/** Makes the table. */
export async function prepareAttempts(): Promise<void> {
  await pool.query(`
    create table if not exists attempt (
      event_id text not null,
      at timestamptz not null,
      duration_ms integer not null,
      status integer,
      error text
    )`)
  await pool.query("create index if not exists attempt_by_event on attempt (event_id)")
}

/** Records attempts, any number of them. It has a name, so that PostgreSQL plans it once for each connection. */
export function insertOf(attempts: readonly Attempt[]): QueryConfig {
  return {
    name: "record-attempts",
    text: `
      insert into attempt (event_id, at, duration_ms, status, error)
      select * from unnest($1::text[], $2::timestamptz[], $3::integer[], $4::integer[], $5::text[])`,
    values: [
      attempts.map(attempt => attempt.eventId),
      attempts.map(attempt => attempt.at),
      attempts.map(attempt => attempt.durationMs),
      attempts.map(attempt => attempt.status),
      attempts.map(attempt => attempt.error),
    ],
  }
}

/** The attempts at an event, the oldest first. */
export async function attemptsOf(eventId: string): Promise<Attempt[]> {
  const { rows } = await pool.query(
    `select event_id as "eventId", at, duration_ms as "durationMs", status, error
     from attempt where event_id = $1 order by at`,
    [eventId],
  )
  return rows
}
