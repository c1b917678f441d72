/**
 * The ledger on PostgreSQL. What asks for the same verb while a batch of it is under way joins the next batch: one round
 * trip and one commit for all of them, however many there are.
 */
import { type DeliveryId, type EventId, firstIdAt, type Ids, type IntegrationId, timeOfId } from "../domain/id.ts"
import { DUE, type Queue } from "../domain/queue.ts"
import { Batches } from "./batches.ts"
import type { Change } from "./changes.ts"
import type { Commit } from "./commit.ts"
import { ConfigurationChanged } from "./configuration.ts"
import { type Database, StoreUnavailable, sql } from "./database.ts"
import { FLOOR_BEHIND_MS } from "./floor.ts"
import { keepLane } from "./lanes.ts"
import {
  type Accepted,
  type Arrival,
  type Claim,
  type Claimed,
  type Emitted,
  Ledger,
  type Settled,
  type Settlement,
  type Telling,
  type Tidings,
} from "./ledger.ts"
import { codeOf, isWorthRepeating, type PostgresDatabase, PostgresTransaction } from "./postgres.ts"
import {
  type AcceptCall,
  acceptCall,
  acceptedOf,
  type EarlierRow,
  identitiesOf,
  lineLock,
  locksOf,
} from "./postgres-accept.ts"
import { sizeOfArrivals, sizeOfSettlements } from "./postgres-batch-size.ts"
import {
  type ClaimRow,
  claimCall,
  claimedOf,
  claimOne,
  lostClaims,
  maskedEvents,
  openerOf,
  type Wanted,
} from "./postgres-claim.ts"
import { Columns, verb } from "./postgres-columns.ts"
import type { PostgresParts } from "./postgres-parts.ts"
import { settleCall } from "./postgres-settle.ts"
import type { Seal } from "./seal.ts"
import { insertSealed, maskOver, type SealedRow, selectSealed } from "./sealed-payloads.ts"
import { endedKey, mayMask, switchOffOf } from "./settle.ts"
import { change, given, rows, type Step } from "./step.ts"
import { switchOff } from "./switch-off.ts"
import { TallySheet } from "./tallies.ts"
import type { CommitWatcher } from "./watcher.ts"

/** How large a batch becomes; of arrivals and settlements as postgres-batch-size.ts has it. */
const MOST_PIECES = 500
const MOST_LANES = 200
const MOST_WORKS = 50
/** How often a commit is tried that another has crossed. */
const TRIES = 6

export interface PostgresLedgerOptions {
  /** Each with a pool of its own, so that none of them can keep the others waiting (F-19). */
  readonly pools: { readonly ingest: PostgresDatabase; readonly engine: PostgresDatabase }
  readonly ids: Ids
  readonly parts: PostgresParts
  readonly seal: Seal
  readonly now: () => number
  readonly watcher?: CommitWatcher | undefined
}

/** What became of arrivals; or that none was stored, as they were routed by what another process has changed since. */
type Answered = readonly Accepted[] | "configuration_changed"

/** A piece of work with its answer. */
type Work = (commit: Commit) => Step<unknown>

const endedColumns = { lane: "bigint", key: "text" } as const
/** at, the columns, then locks. */
const release = verb("release_1", 2, endedColumns)

export class PostgresLedger extends Ledger {
  readonly #ids: Ids
  readonly #parts: PostgresParts
  readonly #seal: Seal
  readonly #now: () => number
  readonly #pools: PostgresLedgerOptions["pools"]
  readonly #accepts: Batches<readonly Arrival[], Answered>
  readonly #settles: Batches<readonly Settlement[], readonly Settled[]>
  readonly #claims: Batches<Wanted & { readonly fence: number }, Claimed>
  readonly #works: Batches<Work, unknown>

  /** Ends with the last transaction of the configuration. */
  #configuring: Promise<unknown> = Promise.resolve()

  constructor({ pools, ids, parts, seal, now, watcher }: PostgresLedgerOptions) {
    super()
    this.#pools = pools
    this.#ids = ids
    this.#parts = parts
    this.#seal = seal
    this.#now = now
    const shared = { watcher, isHopeless: (error: unknown) => error instanceof StoreUnavailable }
    this.#accepts = new Batches<readonly Arrival[], Answered>({
      ...shared,
      most: MOST_PIECES,
      sizeOf: sizeOfArrivals,
      // Two of one id are accepted one after the other, so that the second finds the first.
      namesOf: arrivals => arrivals.flatMap(identitiesOf),
      carryOut: batch => this.#repeating(() => this.#accept(batch)),
    })
    this.#settles = new Batches<readonly Settlement[], readonly Settled[]>({
      ...shared,
      most: MOST_PIECES,
      sizeOf: sizeOfSettlements,
      carryOut: batch => this.#repeating(() => this.#settle(batch)),
    })
    this.#claims = new Batches({
      ...shared,
      watcher: {
        committed: (works, durationMs) => {
          watcher?.committed(works, durationMs)
          watcher?.claimed?.(durationMs)
        },
      },
      most: MOST_LANES,
      sizeOf: () => 1,
      namesOf: ({ lane, queue }) => [`${lane} ${queue}`],
      carryOut: batch => this.#repeating(() => this.#claim(batch)),
    })
    this.#works = new Batches({
      ...shared,
      most: MOST_WORKS,
      sizeOf: () => 1,
      carryOut: batch => this.#repeating(() => this.#workOff(batch)),
    })
  }

  async accept(arrivals: readonly Arrival[]): Promise<readonly Accepted[]> {
    const accepted: Accepted[] = []
    // One after the other where the same id comes twice, so that the second finds the first.
    for (const some of withoutRepeats(arrivals)) {
      const answered = await this.#accepts.add(some)
      if (answered === "configuration_changed") throw new ConfigurationChanged("The configuration has changed.")
      accepted.push(...answered)
    }
    return accepted
  }

  claim(lane: IntegrationId, fence: number, room: number, now: number, queue: Queue = DUE): Promise<Claimed> {
    return this.#claims.add({ lane, fence, room, now, queue })
  }

  claimOne(delivery: DeliveryId, fence: number): Promise<Claim | null> {
    return this.inNextCommit(commit => claimOne(commit, delivery, fence, this.#seal))
  }

  settle(settlements: readonly Settlement[]): Promise<readonly Settled[]> {
    return this.#settles.add(settlements)
  }

  lost(limit: number, fence?: number, forgotten: readonly DeliveryId[] = []): Promise<readonly Claim[]> {
    return this.inNextCommit(({ now }) => lostClaims(limit, fence, forgotten, { seal: this.#seal, now }))
  }

  inNextCommit<T>(work: (commit: Commit) => Step<T>): Promise<T> {
    return this.#works.add(work) as Promise<T>
  }

  /** In this process too one after the other, so that those which wait for their turn hold no connection. */
  transaction<T>(work: (tx: Database) => Promise<T>): Promise<T> {
    const done = this.#configuring.then(() => this.#configure(work))
    this.#configuring = done.catch(() => undefined)
    return done
  }

  async #configure<T>(work: (tx: Database) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      let hasBegun = false
      try {
        return await this.#pools.engine.transaction(async tx => {
          await tx.query(sql`select pg_advisory_xact_lock(8741, 4)`)
          const first = this.#ids.next()
          await tx.query(sql`select begin_1(${first}), set_config('waybill.begun', ${String(first)}, true)`)
          hasBegun = true
          return work(tx)
        })
      } catch (error) {
        // What the work has done beyond the database cannot be done twice.
        if (hasBegun || tries >= TRIES || !this.#canMend(error)) throw error
      }
    }
  }

  telling(tx: Database): Telling {
    if (!(tx instanceof PostgresTransaction)) throw new Error("There is no transaction in which to tell.")
    const emitted: Emitted[] = []
    return {
      emitted,
      tell: async tidings => {
        await this.#parts.ensure(
          (tidings.emits ?? []).map(arrival => arrival.payloadDays),
          this.#now(),
        )
        const commit = this.#commit()
        emitted.push(...(await tx.run(commit.tell(tidings))))
        await tx.run(commit.tallies.write(commit))
      },
      rolledBack: () => undefined,
    }
  }

  /** How many pieces of work wait for a commit. */
  get waiting(): number {
    return this.#accepts.waiting + this.#settles.waiting + this.#claims.waiting + this.#works.waiting
  }

  /** Those that were routed by what has changed since are left out, and the others stored without them. */
  async #accept(batch: readonly (readonly Arrival[])[]): Promise<readonly Answered[]> {
    try {
      return await this.#acceptAll(batch)
    } catch (error) {
      const [, version] = /^the configuration is (\d+)$/.exec(error instanceof Error ? error.message : "") ?? []
      if (version === undefined) throw error
      const isToday = (arrivals: readonly Arrival[]) =>
        arrivals.every(({ routedBy }) => routedBy === undefined || routedBy === Number(version))
      const stored = (await this.#accept(batch.filter(isToday))).values()
      return batch.map(arrivals => (isToday(arrivals) ? (stored.next().value ?? []) : "configuration_changed"))
    }
  }

  async #acceptAll(batch: readonly (readonly Arrival[])[]): Promise<readonly (readonly Accepted[])[]> {
    const arrivals = batch.flat()
    if (arrivals.length === 0) return batch.map(() => [])
    const now = this.#now()
    await this.#parts.ensure(classesOf(arrivals), now)
    const call = acceptCall(arrivals, { ids: this.#ids, parts: this.#parts, seal: this.#seal }, now)
    const earlier =
      call.sealed.length === 0
        ? await this.#pools.ingest.query<EarlierRow>(call.statement)
        : await this.#pools.ingest.transaction(tx => acceptSealed(tx, call))
    return likeBatch(batch, acceptedOf(arrivals, call.ids, earlier))
  }

  async #claim(batch: readonly (Wanted & { readonly fence: number })[]): Promise<readonly Claimed[]> {
    const claimed: Claimed[] = []
    // All of one start, but for a moment in which a process has lost its lease and taken another.
    for (const [fence, wanted] of Map.groupBy(batch, one => one.fence)) {
      const statement = claimCall(wanted, fence, this.#now())
      const rows = await this.#pools.engine.query<ClaimRow>(statement)
      const masked = maskedEvents(rows)
      const sealed = masked.length === 0 ? [] : await this.#pools.engine.query<SealedRow>(selectSealed(masked))
      const found = claimedOf(wanted, fence, rows, openerOf(sealed, this.#seal, this.#now()))
      for (const [i, one] of wanted.entries()) claimed[batch.indexOf(one)] = found[i] ?? { claims: [], nextAt: null }
    }
    return claimed
  }

  async #settle(batch: readonly (readonly Settlement[])[]): Promise<readonly (readonly Settled[])[]> {
    const all = batch.flat()
    const now = this.#now()
    await this.#parts.ensure(
      new Set(all.map(({ payloadDays }) => payloadDays).concat(all.flatMap(emitsOf).map(one => one.payloadDays))),
      now,
    )
    const { statement, attempts } = settleCall(all, this.#ids, this.#parts, now)
    if (!all.some(needsMore)) {
      const [row] = await this.#pools.engine.query<{ settle_1: number[] }>(statement)
      const moved = new Set(row?.settle_1)
      return likeBatch(
        batch,
        attempts.map((attempt, i) => settledOf(attempt, moved.has(i + 1))),
      )
    }
    const settled = await this.#pools.engine.transaction(async tx => {
      const commit = this.#commit()
      const [row] = await tx.query<{ settle_1: number[] }>(statement)
      const done = await tx.run(conclude(commit, all, attempts, new Set(row?.settle_1)))
      await tx.run(commit.tallies.write(commit))
      return done
    })
    return likeBatch(batch, settled)
  }

  #workOff(works: readonly Work[]): Promise<readonly unknown[]> {
    return this.#pools.engine.transaction(async tx => {
      const commit = this.#commit()
      await tx.query(sql`select begin_1(${this.#ids.next()})`)
      const done: unknown[] = []
      for (const work of works) done.push(await tx.run(work(commit)))
      await tx.run(commit.tallies.write(commit))
      return done
    })
  }

  #commit(): Commit {
    const [ids, parts, seal] = [this.#ids, this.#parts, this.#seal]
    const commit: Commit = {
      now: this.#now(),
      tallies: new TallySheet(),
      parts,
      nextId: () => given(ids.next()),
      // Rows that are gone are overwritten when their pages are vacuumed, and its index is never behind.
      scrub: () => given(undefined),
      *lockLine(lane, key) {
        yield* rows(sql`select pg_advisory_xact_lock(${String(lineLock(lane, key))}::bigint)`)
      },
      *tell({ emits = [], mails = [] }: Tidings) {
        for (const { key, project, content } of mails) {
          yield* change(sql`
            insert into job (id, project_id, kind, key, state, due_at, cursor, created_at, updated_at)
            values (
              ${ids.next()}, ${project}, 'mail', ${key}, 'due', ${commit.now}, ${content}, ${commit.now}, ${commit.now}
            )
            on conflict (key) do nothing`)
        }
        if (emits.length === 0) return []
        for (const days of classesOf(emits)) yield* parts.partFor(days, commit.now)
        const { statement, ids: drawn } = acceptCall(emits, { ids, parts, seal }, commit.now)
        const accepted = acceptedOf(emits, drawn, yield* rows<EarlierRow>(statement))
        return emits.flatMap((arrival, i) => {
          const one = accepted[i]
          return one === undefined ? [] : [{ arrival, accepted: one }]
        })
      },
    }
    return commit
  }

  /** Once more where another commit has crossed this one, or a partition has to be made first. */
  async #repeating<T>(carryOut: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await carryOut()
      } catch (error) {
        if (tries >= TRIES || !this.#canMend(error)) throw error
      }
    }
  }

  #canMend(error: unknown): boolean {
    const [, behind] = /^ids are behind (\d+)$/.exec(error instanceof Error ? error.message : "") ?? []
    // So far ahead that the next few times that the floor is raised leave these ids above it.
    if (behind !== undefined) this.#ids.passOver(firstIdAt(timeOfId(Number(behind)) + FLOOR_BEHIND_MS))
    const lacksPartition = codeOf(error) === "23514" && /no partition/.test(String(error))
    if (lacksPartition) this.#parts.forget()
    return lacksPartition || isWorthRepeating(error)
  }
}

/** Stores arrivals together with what keeps the data of some of them whole. */
async function acceptSealed(tx: Database, { statement, sealed }: AcceptCall): Promise<readonly EarlierRow[]> {
  const earlier = await tx.query<EarlierRow>(statement)
  const known = new Set(earlier.map(({ i }) => i))
  const fresh = sealed.flatMap(({ i, row }) => (known.has(i) ? [] : [row]))
  if (fresh.length > 0) await tx.query(insertSealed(fresh))
  return earlier
}

/** What a settlement brings about beyond its delivery, in the transaction that settles it. */
function* conclude(
  commit: Commit,
  all: readonly Settlement[],
  attempts: readonly (number | null)[],
  moved: ReadonlySet<number>,
): Step<readonly Settled[]> {
  const keys = all.map((settlement, i) => (moved.has(i + 1) ? endedKey(settlement) : null))
  const released = yield* releaseAll(commit, all, keys)
  const settled: Settled[] = []
  for (const [i, settlement] of all.entries()) {
    const { claim, consequences } = settlement
    const { project, delivery } = claim
    if (moved.has(i + 1) && mayMask(settlement)) yield* maskOver(commit, { project, event: delivery.event })
    if (consequences?.lane !== undefined) yield* keepLane(claim.delivery.integration, consequences.lane)
    const off = switchOffOf(settlement)
    const switched: Change | null = off === null ? null : yield* switchOff(commit, claim, off)
    const emitted = [...(yield* commit.tell(consequences ?? {}))]
    if (off !== null && switched !== null) emitted.push(...(yield* commit.tell(off)))
    const attempt = attempts[i] ?? null
    const kind = moved.has(i + 1) ? "moved" : "lease-lost"
    settled.push({ kind, attempt, change: switched, released: released.get(i) ?? null, emitted })
  }
  return settled
}

/** The events that take their turn, by the place of the settlement that they stood behind. */
function* releaseAll(
  { now }: Commit,
  all: readonly Settlement[],
  keys: readonly (string | null)[],
): Step<ReadonlyMap<number, EventId>> {
  const ended = keys.flatMap((key, place) => {
    const lane = all[place]?.claim.delivery.integration
    return key === null || lane === undefined ? [] : [{ place, lane, key }]
  })
  if (ended.length === 0) return new Map()
  const locks = locksOf(ended.map(({ lane, key }) => lineLock(lane, key)))
  const columns = new Columns(endedColumns)
  for (const one of ended) columns.add(one)
  const found = yield* rows<{ i: number; event_id: EventId }>(release([now, ...columns.arrays, locks]))
  return new Map(found.map(({ i, event_id }) => [ended[i - 1]?.place ?? -1, event_id]))
}

/** Whether more follows from a settlement than `settle_1` does. */
function needsMore(settlement: Settlement): boolean {
  const { consequences } = settlement
  if (switchOffOf(settlement) !== null || endedKey(settlement) !== null || mayMask(settlement)) return true
  return consequences?.lane !== undefined || emitsOf(settlement).length > 0 || (consequences?.mails ?? []).length > 0
}

function emitsOf(settlement: Settlement): readonly Arrival[] {
  return [...(settlement.consequences?.emits ?? []), ...(switchOffOf(settlement)?.emits ?? [])]
}

function settledOf(attempt: number | null, isMoved: boolean): Settled {
  return { kind: isMoved ? "moved" : "lease-lost", attempt, change: null, released: null, emitted: [] }
}

/** Stretches of arrivals, in each of which no id comes twice: all of them as a rule. */
function withoutRepeats(arrivals: readonly Arrival[]): readonly (readonly Arrival[])[] {
  const stretches: Arrival[][] = [[]]
  let names = new Set<string>()
  for (const arrival of arrivals) {
    const own = identitiesOf(arrival)
    if (own.some(name => names.has(name))) {
      stretches.push([])
      names = new Set()
    }
    for (const name of own) names.add(name)
    stretches.at(-1)?.push(arrival)
  }
  return stretches
}

function classesOf(arrivals: readonly Arrival[]): ReadonlySet<number> {
  return new Set(arrivals.map(({ payloadDays }) => payloadDays))
}

/** Answers in the groups in which they were asked for. */
function likeBatch<T>(batch: readonly (readonly unknown[])[], answers: readonly T[]): readonly (readonly T[])[] {
  let from = 0
  return batch.map(({ length }) => {
    const own = answers.slice(from, from + length)
    from += length
    return own
  })
}
