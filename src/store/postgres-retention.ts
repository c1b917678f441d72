/**
 * Retention on PostgreSQL: what has been kept long enough goes a partition at a time. A day of events goes once all of it is
 * older than METADATA_MS, with its deliveries, attempts and search entries; a part once the last payload in it has expired.
 * What open deliveries still need is carried over first, as expired-parts.ts does, and what still waits when its event goes
 * has failed, as in old-events.ts.
 *
 * Dropping a partition takes the whole table away from everybody for a moment, and for as long as one slow query on it
 * lasts nobody gets it back. So a partition is detached concurrently first, which waits for such a query and lets others
 * pass, and only what stands by itself is dropped. What was cut short is finished by the next run.
 */
import { DAY_MS } from "../domain/duration.ts"
import { type EventId, firstIdAt, type IntegrationId } from "../domain/id.ts"
import type { Commit } from "./commit.ts"
import { type Database, raw, type Sql, sql } from "./database.ts"
import { IDEMPOTENCY_MS } from "./due.ts"
import { carryOver, expiredParts, type PartPage } from "./expired-parts.ts"
import { METADATA_MS } from "./kept.ts"
import { unblock } from "./line.ts"
import { Pace } from "./pace.ts"
import { endTogether } from "./postgres-expired.ts"
import { DAYS_AHEAD, dayOf, makeAhead } from "./postgres-parts.ts"
import type { Reader } from "./reader.ts"
import type { Counts, Piece, Step } from "./retention-step.ts"
import { change, type Step as Work } from "./step.ts"

export interface PostgresRetentionParts {
  readonly db: Database
  readonly reads: Reader
  /** Carries a piece of work out in the next commit. */
  piece(work: (commit: Commit) => Work<Counts>): Promise<Piece>
}

/** A piece holds nobody up but those who want the same rows; the stream shows nothing newer until it has been committed. */
const pieceLimits = { first: 50, most: 2_000, pieceMs: 50 }
/** Payloads that are looked at together. */
const lookLimits = { first: 500, most: 5_000, pieceMs: 20 }
/** Larger tables are not counted row by row: what the statistics say of them is reported. */
const COUNTED_BYTES = 268_435_456

const FEW_DEAD = "autovacuum_vacuum_threshold=500"

const dayTables = ["delivery", "attempt", "event", "search_entry"] as const

/** When the oldest thing that is still stored should have gone: a day's events go with the last of them. */
export async function oldestDueAt(reads: Reader): Promise<number | null> {
  const [found] = await reads.query<{ due_at: number | null }>(sql`
    select min(due_at) as due_at from (
      select min(expires_at) as due_at from part
      union all
      select min(created_at) + ${IDEMPOTENCY_MS} from idempotency
      union all
      select (min(id) + 1) * ${DAY_MS} + ${METADATA_MS} from search_segment
    ) due`)
  return found?.due_at ?? null
}

/** What this engine does in its own way, in the order in which it is done. */
export function postgresSteps(parts: PostgresRetentionParts, at: number): readonly Step[] {
  const retention = new PostgresRetention(parts)
  return [
    { name: "partitions ahead", pieces: () => retention.makeAhead(at) },
    { name: "parts", pieces: () => retention.expiredParts(at) },
    { name: "days", pieces: () => retention.oldDays(at) },
  ]
}

class PostgresRetention {
  readonly #db: Database
  readonly #reads: Reader
  readonly #piece: PostgresRetentionParts["piece"]

  constructor({ db, reads, piece }: PostgresRetentionParts) {
    this.#db = db
    this.#reads = reads
    this.#piece = piece
  }

  async *makeAhead(at: number): AsyncGenerator<Piece> {
    await makeAhead(this.#db, at)
    yield onlyRead
    await this.#settleDown(at)
    yield onlyRead
  }

  /**
   * Of a day that is over little changes any more, so that what is dead in it would stay below the share that has it vacuumed;
   * and every claim would walk past it, in the index of what waits. From then on a few are enough.
   */
  async #settleDown(at: number): Promise<void> {
    const busy = await this.#reads.query<{ name: string }>(sql`
      select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = to_regclass('delivery') and not coalesce(c.reloptions, '{}') @> array[${FEW_DEAD}::text]`)
    for (const { name } of busy) {
      if (Number(name.slice("delivery_".length)) >= dayOf(at)) continue
      await this.#db.query(sql`alter table ${raw(name)} set (autovacuum_vacuum_scale_factor = 0, ${raw(FEW_DEAD)})`)
    }
  }

  async *expiredParts(at: number): AsyncGenerator<Piece> {
    for (const part of await expiredParts(this.#reads, at)) {
      const table = `payload_${part}`
      const saved = { last: 0 }
      if (await this.#exists(table)) {
        yield* this.#savePayloads(part, saved)
        await this.#detach("payload", table)
        // By a clock that went back something may have been put in while this part was looked through.
        yield* this.#savePayloads(part, saved)
        yield await this.#drop("payload", table)
      }
      if (await this.#exists(`exchange_${part}`)) yield await this.#drop("exchange", `exchange_${part}`)
      await this.#db.query(sql`delete from part where id = ${part}`)
      yield { counts: { part: 1 }, ms: 0 }
    }
  }

  /** Carries over what is needed of what follows `saved.last`, and moves that to the end. */
  async *#savePayloads(part: number, saved: { last: EventId }): AsyncGenerator<Piece> {
    const pace = new Pace(lookLimits)
    for (;;) {
      const startedAt = performance.now()
      const { last, needed } = await lookAtPayloads(this.#reads, part, saved.last, pace.size)
      pace.took(performance.now() - startedAt)
      yield onlyRead
      for (let rest = needed; rest.length > 0; ) {
        const some = rest
        yield await this.#piece(function* (commit) {
          // From `some` each time: a commit that fails for another's sake is run again.
          const carried = yield* carryOver(commit, part, some)
          rest = carried.rest
          return { payload_carried: carried.payloads }
        })
      }
      if (last === null) return
      saved.last = last
    }
  }

  /** Oldest first; a day in which something is being sent at this moment holds back those behind it. */
  async *oldDays(at: number): AsyncGenerator<Piece> {
    for (const day of await oldDays(this.#reads, at)) {
      yield* this.#endWaiting(day)
      yield* this.#endBlocks(day)
      if (await this.#isBeingSent(day)) return
      yield* this.#removeOwnIds(day)
      for (const table of dayTables) {
        if (await this.#exists(`${table}_${day}`)) yield await this.#drop(table, `${table}_${day}`)
      }
      // Last, as it is by this row that the day is found.
      await this.#db.query(sql`delete from search_segment where id = ${day}`)
    }
  }

  /** Index delivery_due of the day. */
  async *#endWaiting(day: number): AsyncGenerator<Piece> {
    const pace = new Pace(pieceLimits)
    for (;;) {
      const found = await this.#reads.query<{ integration_id: IntegrationId; event_id: EventId }>(sql`
        select integration_id, event_id from delivery
        where ${ofDay(day, "event_id")} and next_at is not null limit ${pace.size}`)
      if (found.length === 0) return
      const waiting = {
        lanes: found.map(one => one.integration_id),
        events: found.map(one => one.event_id),
        at: Number.MAX_SAFE_INTEGER,
      }
      let released: readonly IntegrationId[] = []
      const piece = await this.#piece(function* (commit) {
        const done = yield* endTogether(commit, waiting)
        released = done.released
        return { delivery_ended: done.ended }
      })
      pace.took(piece.ms)
      yield { ...piece, released }
    }
  }

  /** One that blocks its line goes with its event, which was there to act upon for all that time. Index delivery_blocking. */
  async *#endBlocks(day: number): AsyncGenerator<Piece> {
    const pace = new Pace(pieceLimits)
    for (;;) {
      const found = await this.#reads.query<{ integration_id: number; event_id: number; project_id: number }>(sql`
        select integration_id, event_id, project_id from delivery
        where ${ofDay(day, "event_id")} and status = 'failed' and queue = 1 limit ${pace.size}`)
      if (found.length === 0) return
      let released: IntegrationId[] = []
      const piece = await this.#piece(function* (commit) {
        released = []
        for (const { integration_id: integration, event_id: event, project_id: project } of found) {
          const next = yield* unblock(commit, { integration, event }, project)
          if (typeof next === "number") released.push(integration)
        }
        return {}
      })
      pace.took(piece.ms)
      yield { ...piece, released: [...new Set(released)] }
    }
  }

  /** Index delivery_sending of the day. Asked where it is written: a reader may lag behind. */
  async #isBeingSent(day: number): Promise<boolean> {
    const found = await this.#db.query(sql`
      select 1 as it from delivery
      where ${ofDay(day, "event_id")} and (claim is not null or next_at is not null) limit 1`)
    return found.length > 0
  }

  /** Index own_id_by_event. */
  async *#removeOwnIds(day: number): AsyncGenerator<Piece> {
    const pace = new Pace(pieceLimits)
    for (let more = true; more; ) {
      const piece = await this.#piece(function* () {
        const removed = yield* change(sql`
          delete from own_id
          where (project_id, external_id, source) in (
            select project_id, external_id, source from own_id
            where ${ofDay(day, "event_id")} order by event_id limit ${pace.size})`)
        more = removed > 0
        return {}
      })
      pace.took(piece.ms)
      yield piece
    }
  }

  async #exists(table: string): Promise<boolean> {
    const [found] = await this.#db.query<{ there: number }>(sql`select to_regclass(${table}) is not null as there`)
    return found?.there === 1
  }

  /** Counts what a partition holds, and has it go. */
  async #drop(parent: (typeof dayTables)[number] | "payload" | "exchange", table: string): Promise<Piece> {
    await this.#detach(parent, table)
    const counts = { [parent]: await this.#rowsIn(table) }
    await this.#db.query(sql`drop table if exists ${raw(table)}`)
    return { counts, ms: 0 }
  }

  /**
   * Makes a partition a table of its own. Each is a transaction of its own: what failed half-way is pending, and only one of
   * a table's partitions can be.
   */
  async #detach(parent: string, table: string): Promise<void> {
    const pending = await this.#db.query<{ name: string }>(sql`
      select inhrelid::regclass::text as name from pg_inherits where inhparent = to_regclass(${parent}) and inhdetachpending`)
    for (const { name } of pending) {
      await this.#db.query(sql`alter table ${raw(parent)} detach partition ${raw(name)} finalize`)
    }
    const attached = await this.#db.query(sql`
      select 1 as it from pg_inherits where inhrelid = to_regclass(${table}) and inhparent = to_regclass(${parent})`)
    if (attached.length === 0) return
    await this.#db.query(sql`alter table ${raw(parent)} detach partition ${raw(table)} concurrently`)
  }

  async #rowsIn(table: string): Promise<number> {
    const [size] = await this.#reads.query<{ bytes: number; about: number }>(sql`
      select pg_relation_size(oid) as bytes, reltuples::bigint as about from pg_class where oid = to_regclass(${table})`)
    if (size !== undefined && size.bytes > COUNTED_BYTES && size.about >= 0) return size.about
    const [counted] = await this.#reads.query<{ n: number }>(sql`select count(*) as n from ${raw(table)}`)
    return counted?.n ?? 0
  }
}

/**
 * Days whose events are all older than METADATA_MS, the oldest first. A wrong clock may have made days that lie far ahead:
 * of those all go up to the last that holds something old, unless they hold something young as well.
 */
async function oldDays(reads: Reader, at: number): Promise<number[]> {
  const receivedUpTo = at - METADATA_MS
  const over = await reads.query<{ id: number }>(sql`
    select id from search_segment where id < ${dayOf(receivedUpTo)} order by id`)
  const ahead = await reads.query<{ id: number; has_old: number; has_young: number }>(sql`
    select s.id,
      exists (
        select 1 from event e where ${ofSegment} and e.received_at <= ${receivedUpTo}) as has_old,
      exists (
        select 1 from event e where ${ofSegment} and e.received_at > ${receivedUpTo} and e.received_at <= ${at}) as has_young
    from search_segment s where s.id > ${dayOf(at) + DAYS_AHEAD} order by s.id`)
  const last = ahead.findLastIndex(day => day.has_old === 1)
  return [...over, ...ahead.slice(0, last + 1).filter(day => day.has_young === 0)].map(({ id }) => id)
}

const ofSegment = sql`e.id >= first_id_of_day_1(s.id) and e.id < first_id_of_day_1(s.id + 1)`

/** Only the partition of a day. */
function ofDay(day: number, column: "event_id"): Sql {
  return sql`${raw(column)} >= ${firstIdAt(day * DAY_MS)} and ${raw(column)} < ${firstIdAt((day + 1) * DAY_MS)}`
}

/** Looks at the payloads after an event, and says which of them are needed. Primary keys of both tables. */
async function lookAtPayloads(reads: Reader, part: number, after: EventId, rows: number): Promise<PartPage> {
  const [found] = await reads.query<{ last: number | null; needed: EventId[] | null }>(sql`
    select max(p.event_id) as last, array_agg(p.event_id) filter (where e.n_open + e.n_retrying > 0) as needed
    from (
      select event_id, project_id from ${raw(`payload_${part}`)}
      where event_id > ${after} order by event_id limit ${rows}
    ) p
    left join event e on e.project_id = p.project_id and e.id = p.event_id and e.payload_part = ${part}`)
  return { last: found?.last ?? null, needed: found?.needed ?? [] }
}

const onlyRead: Piece = { counts: {}, ms: 0 }
