/**
 * The end of a part: payloads that a delivery may still send by itself are carried over, the rest goes with its tables.
 *
 * What is needed is found from what the part holds, on the reader: an event with a delivery that is not over. By the time
 * that a part has expired nothing in it can begin to be needed, since a retry by hand needs a payload whose time is not
 * over; so what was not needed when it was looked at is not needed later either.
 *
 * Looking through a part also brings its pages into memory, since whoever removes them has to read them all. Even so the
 * tables are emptied in pieces before they are dropped: 100,000 rows of 1 KiB at once held the writer for 55 ms, and for
 * 300 ms where they had to come from a fast disk.
 */
import type { EventId } from "../domain/id.ts"
import type { Commit } from "./commit.ts"
import { raw, sql } from "./database.ts"
import { rowsOfPart } from "./kept.ts"
import { HELD_CLASS } from "./parts.ts"
import type { Reader } from "./reader.ts"
import { change, row, type Step } from "./step.ts"

/** What a look at some rows of a part found. */
export interface PartPage {
  /** The last row that was looked at; null at the end. */
  readonly last: number | null
  /** Events that a delivery may still send. */
  readonly needed: readonly EventId[]
}

/** Parts that hold nothing whose time is not over at `at`, the oldest first. */
export async function expiredParts(db: Reader, at: number): Promise<number[]> {
  const rows = await db.query<{ id: number }>(
    sql`select id from part where expires_at <= ${at} order by expires_at, id`,
  )
  return rows.map(row => row.id)
}

/** Looks at the payloads after an event, and says which of them are needed. Primary keys of both tables. */
export async function lookAtPayloads(db: Reader, part: number, after: EventId, rows: number): Promise<PartPage> {
  const [found] = await rowsOfPart(
    db.query<{ last: number | null; needed: string; read: number }>(sql`
      select max(p.event_id) as last,
        json_group_array(p.event_id) filter (where e.n_open + e.n_retrying > 0) as needed,
        count(substr(p.data, -1)) as read
      from (
        select event_id, project_id, data from ${raw(`payload_${part}`)}
        where event_id > ${after} order by event_id limit ${rows}
      ) p
      left join event e on e.project_id = p.project_id and e.id = p.event_id and e.payload_part = ${part}`),
  )
  if (found === undefined || found.last === null) return { last: null, needed: [] }
  return { last: found.last, needed: JSON.parse(found.needed) as EventId[] }
}

/** Looks at the exchanges after an attempt, for the sake of the pages alone; gives the last one, or null at the end. */
export async function lookAtExchanges(db: Reader, part: number, after: number, rows: number): Promise<number | null> {
  const [found] = await rowsOfPart(
    db.query<{ last: number | null; read: number }>(sql`
      select max(attempt_id) as last, count(substr(response_body, -1)) as read
      from (
        select attempt_id, response_body from ${raw(`exchange_${part}`)}
        where attempt_id > ${after} order by attempt_id limit ${rows}
      ) x`),
  )
  return found?.last ?? null
}

/** What is carried over in one piece, in bytes. */
const PIECE_BYTES = 1_048_576

/** What a piece of carrying over came to. */
export interface Carried {
  /** How many payloads were carried over. */
  readonly payloads: number
  /** Events that this piece did not come to. */
  readonly rest: readonly EventId[]
}

/** Carries the payloads of events over, as far as they are still needed, into a part of those that are held. */
export function* carryOver({ parts, now }: Commit, part: number, events: readonly EventId[]): Step<Carried> {
  const table = raw(`payload_${part}`)
  let [payloads, bytes] = [0, 0]
  for (const [i, event] of events.entries()) {
    if (bytes >= PIECE_BYTES) return { payloads, rest: events.slice(i) }
    const kept = yield* row<{ project_id: number; bytes: number }>(sql`
      select p.project_id, octet_length(p.data) as bytes
      from ${table} p join event e on e.project_id = p.project_id and e.id = p.event_id
      where p.event_id = ${event} and e.payload_part = ${part} and e.n_open + e.n_retrying > 0`)
    if (kept === undefined) continue
    const target = yield* parts.partFor(HELD_CLASS, now, kept.bytes)
    const columns = raw("event_id, project_id, kind, data, media_type")
    yield* change(sql`
      insert into ${raw(`payload_${target}`)} (${columns}) select ${columns} from ${table} where event_id = ${event}`)
    yield* change(
      sql`update event set payload_part = ${target} where project_id = ${kept.project_id} and id = ${event}`,
    )
    payloads++
    bytes += kept.bytes
  }
  return { payloads, rest: [] }
}

/** Removes up to `limit` rows of a part's table, the first ones; gives how many. Looks at every row that it removes. */
export function* removeFromPart(part: number, table: "payload" | "exchange", limit: number): Step<number> {
  const [name, key] = [raw(`${table}_${part}`), raw(table === "payload" ? "event_id" : "attempt_id")]
  const last = yield* row<{ last: number }>(sql`
    select ${key} as last from ${name} order by ${key} limit 1 offset ${limit - 1}`)
  return yield* change(sql`delete from ${name} where ${key} <= ${last?.last ?? Number.MAX_SAFE_INTEGER}`)
}
