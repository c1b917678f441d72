/**
 * The keeper does what has to be done by itself now and then: it lets go what has been kept long enough, and it makes the
 * ballast again once the disk has room. One run at a time, in short pieces with a rest after each, so that what comes in
 * and goes out is never held up for long. Of several processes over one database, one does it.
 */
import { setTimeout as rest } from "node:timers/promises"
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../domain/duration.ts"
import type { IntegrationId } from "../domain/id.ts"
import { type SteadyTime, steadyTime } from "../domain/steady-time.ts"
import type { Log } from "../log.ts"
import { readJob, saveJob } from "../store/jobs.ts"
import { leads } from "../store/leader.ts"
import { oldestTransaction, oldTransactionText } from "../store/old-transaction.ts"
import { Retention } from "../store/retention.ts"
import type { Counted, Counts, Step } from "../store/retention-step.ts"
import type { Store } from "../store/store.ts"
import type { Metrics } from "./metrics.ts"

export interface KeeperOptions {
  readonly store: Store
  readonly metrics: Metrics
  readonly now: () => number
  readonly log: Log
  /** Told of integrations in which something is due now, as what stood before it in the line of its ordering key has gone. */
  readonly released?: (integration: IntegrationId) => void
  /** A clock that only ever goes forward, in ms; the process's own unless a test turns it. */
  readonly monotonicNow?: () => number
  /** From when on a transaction on PostgreSQL counts as forgotten; LONG_TRANSACTION_MS where it is left out. */
  readonly longTransactionMs?: number
}

/** What a run came to; as JSON it stands in the job's row and in `/v1/status`. */
export interface KeeperReport {
  /** The time by which things were let go, ms since 1970. */
  readonly at: number
  /** How far the clock was ahead of that, because it had leapt and was not believed yet. */
  readonly held_back_ms: number
  readonly took_ms: number
  /** What went, by table. */
  readonly removed: Readonly<Partial<Record<Counted, number>>>
  readonly pieces: number
  /** The longest that a piece held the writer. */
  readonly longest_piece_ms: number
  /** Steps that failed; the log says why, and the next run tries again. */
  readonly failed_steps: readonly string[]
}

const JOB_KEY = "retention"
/** From the end of a run to the beginning of the next. */
const RUN_EVERY_MS = 60_000
const CHECK_DISK_EVERY_MS = 2_000
/** So long before midnight (UTC) it is told when tomorrow's partitions are missing: they should be there two days ahead. */
const TOLD_BEFORE_MS = 6 * HOUR_MS
/** Even a backup of a large database is mostly done by then. */
const LONG_TRANSACTION_MS = 10 * MINUTE_MS
/** A rest is as long as the piece before it: the keeper takes at most half of the writer's time. */
const REST_PER_PIECE = 1
/** A clock that is ahead by less needs no word: every restart looks like that. */
const TOLD_FROM_MS = 600_000

export class Keeper {
  readonly #options: KeeperOptions
  readonly #monotonicNow: () => number
  readonly #retention: Retention
  #steady: SteadyTime | undefined
  #run: Promise<KeeperReport> | undefined
  #last: KeeperReport | undefined
  #runTimer: NodeJS.Timeout | undefined
  #diskTimer: NodeJS.Timeout | undefined
  #knowsFull = false
  #partitionFault: string | null = null
  #transactionFault: string | null = null
  #isStopping = false

  constructor(options: KeeperOptions) {
    this.#options = options
    this.#monotonicNow = options.monotonicNow ?? (() => performance.now())
    this.#retention = new Retention(options.store)
  }

  /** Runs now, and from now on every minute. */
  start(): void {
    this.#isStopping = false
    this.#diskTimer = setInterval(() => this.#checkDisk(), CHECK_DISK_EVERY_MS).unref()
    this.#runAgain()
  }

  /** Finishes the piece that is under way; the rest waits for the next start. */
  async stop(): Promise<void> {
    this.#isStopping = true
    clearInterval(this.#diskTimer)
    clearTimeout(this.#runTimer)
    while (this.#run !== undefined) await this.#run.catch(() => undefined)
  }

  /** Lets go everything that is due now, after the run that is under way if there is one. Rejects where nothing can be read. */
  async runOnce(): Promise<KeeperReport> {
    while (this.#run !== undefined) await this.#run.catch(() => undefined)
    this.#run = this.#letGo()
    try {
      return await this.#run
    } finally {
      this.#run = undefined
    }
  }

  /** What the last whole run came to, as it is shown; undefined before the first. */
  lastReport(): Readonly<Record<string, unknown>> | undefined {
    return this.#last === undefined ? undefined : { ...this.#last, at: new Date(this.#last.at).toISOString() }
  }

  /** What is wrong with the partitions that tomorrow needs; null where nothing is. */
  partitionFault(): string | null {
    return this.#partitionFault
  }

  /** Which transaction has been open for so long on PostgreSQL that it slows everything down; null where none has. */
  transactionFault(): string | null {
    return this.#transactionFault
  }

  #runAgain(): void {
    void this.#runUnasked().then(() => {
      if (!this.#isStopping) this.#runTimer = setTimeout(() => this.#runAgain(), RUN_EVERY_MS).unref()
    })
  }

  async #runUnasked(): Promise<void> {
    const { store } = this.#options
    try {
      if (await leads(store)) await this.runOnce()
      else {
        // Another process does it: what it came to is told here too.
        const report = (await readJob(store.db, JOB_KEY))?.report ?? null
        this.#last = report === null ? this.#last : (JSON.parse(report) as KeeperReport)
        await this.#measureLag()
        await this.#lookAhead()
        await this.#lookForOldTransaction()
      }
    } catch (error) {
      this.#options.log.warn({ err: error }, "retention could not run; it is tried again in a minute")
    }
  }

  async #letGo(): Promise<KeeperReport> {
    const { store, now, log } = this.#options
    const startedAt = this.#monotonicNow()
    const sheet = new Sheet()
    const { at, leap } = await this.#timeToGoBy()
    await this.#measureLag()
    await this.#remember({ state: "running", dueAt: now(), at, sheet })
    for (const step of this.#retention.steps(at, !store.ballast.isSpent)) {
      if (this.#isStopping) break
      const before = sheet.pieces
      await this.#carryOut(step, sheet)
      if (sheet.pieces > before + 1) await this.#remember({ state: "running", dueAt: now(), at, sheet })
    }
    const report: KeeperReport = {
      at,
      held_back_ms: leap?.byMs ?? 0,
      took_ms: Math.round(this.#monotonicNow() - startedAt),
      removed: Object.fromEntries(sheet.removed),
      pieces: sheet.pieces,
      longest_piece_ms: sheet.longestMs,
      failed_steps: sheet.failed,
    }
    if (!this.#isStopping) this.#last = report
    await this.#remember({ state: "due", dueAt: now() + RUN_EVERY_MS, at, sheet })
    await this.#measureLag()
    await this.#lookAhead()
    await this.#lookForOldTransaction()
    this.#takeInAgain()
    if (sheet.removed.size > 0) log.info({ ...report }, "what was kept long enough has gone")
    return report
  }

  /** One step, resting after each of its pieces. */
  async #carryOut(step: Step, sheet: Sheet): Promise<void> {
    try {
      for await (const { counts, ms, released = [] } of step.pieces()) {
        sheet.add(counts, ms)
        for (const integration of released) this.#options.released?.(integration)
        if (this.#isStopping) return
        // A piece that only read held up nobody who writes.
        if (ms > 0) await rest(Math.max(1, ms * REST_PER_PIECE))
      }
    } catch (error) {
      sheet.failed.push(step.name)
      this.#options.log.warn(
        { err: error, step: step.name },
        "retention could not finish a step; the next run tries again",
      )
    }
  }

  /** The time by which things are let go: the clock, as far as it is believed. */
  async #timeToGoBy(): Promise<SteadyTime> {
    const reading = { wallMs: this.#options.now(), monotonicMs: this.#monotonicNow() }
    const before = this.#steady ?? {
      at: (await this.#timeOfLastRun()) ?? reading.wallMs,
      monotonicMs: reading.monotonicMs,
      leap: null,
    }
    this.#steady = steadyTime(before, reading)
    const { leap } = this.#steady
    if (leap !== null && leap !== before.leap && leap.byMs > TOLD_FROM_MS) {
      this.#options.log.info(
        { by_ms: leap.byMs },
        "the clock is ahead of when retention last ran (Waybill was off, or the clock leapt): what is due goes later, once that has lasted",
      )
    }
    // The monotonic clock has fractions, times that are kept have none.
    return { ...this.#steady, at: Math.floor(this.#steady.at) }
  }

  async #timeOfLastRun(): Promise<number | undefined> {
    const job = await readJob(this.#options.store.db, JOB_KEY)
    const cursor = JSON.parse(job?.cursor ?? "{}") as { at?: number }
    return cursor.at
  }

  /** Writes down how far it is; a disk that is full must not keep it from freeing some. */
  async #remember(run: { state: "due" | "running"; dueAt: number; at: number; sheet: Sheet }): Promise<void> {
    const { store, now, log } = this.#options
    const job = {
      kind: "retention",
      key: JOB_KEY,
      state: run.state,
      dueAt: run.dueAt,
      fence: store.fence,
      cursor: JSON.stringify({ at: run.at }),
      progress: JSON.stringify(Object.fromEntries(run.sheet.removed)),
      report: this.#last === undefined ? null : JSON.stringify(this.#last),
    }
    try {
      await saveJob(store.db, store.ids, job, now())
    } catch (error) {
      log.warn({ err: error }, "how far retention is could not be written down")
    }
  }

  async #measureLag(): Promise<void> {
    const { metrics, now, log } = this.#options
    try {
      const dueAt = await this.#retention.oldestDueAt()
      metrics.retentionLag.set(dueAt === null ? 0 : Math.max(0, now() - dueAt) / 1_000)
    } catch (error) {
      log.warn({ err: error }, "how late retention is could not be read")
    }
  }

  /** Whether tomorrow has its partitions. Missing late in the day, nobody may be able to make them. */
  async #lookAhead(): Promise<void> {
    const { metrics, now, log } = this.#options
    try {
      const days = await this.#retention.daysAhead(now())
      if (days === null) return
      metrics.daysAhead.set({ engine: "postgres" }, days)
      const isLate = now() % DAY_MS >= DAY_MS - TOLD_BEFORE_MS
      this.#partitionFault = days < 1 && isLate ? NO_TOMORROW : null
      if (this.#partitionFault !== null) log.error(this.#partitionFault)
    } catch (error) {
      log.warn({ err: error }, "whether the partitions of tomorrow are there could not be read")
    }
  }

  /** Whether somebody's open transaction keeps old rows from being cleaned up. */
  async #lookForOldTransaction(): Promise<void> {
    const { store, metrics, log, longTransactionMs = LONG_TRANSACTION_MS } = this.#options
    if (store.engine === "sqlite") return
    try {
      const oldest = await oldestTransaction(store)
      metrics.oldestTransaction.set({ engine: "postgres" }, (oldest?.ageMs ?? 0) / 1_000)
      this.#transactionFault = oldest === null || oldest.ageMs < longTransactionMs ? null : oldTransactionText(oldest)
      if (this.#transactionFault !== null) log.warn(this.#transactionFault)
    } catch (error) {
      log.warn({ err: error }, "whether a transaction is open for long could not be read")
    }
  }

  /** When the disk has become full: frees what it can, at once. */
  #checkDisk(): void {
    const { store, log } = this.#options
    if (store.ballast.isSpent && !this.#knowsFull) {
      this.#knowsFull = true
      log.error("the disk is full: nothing new is taken in until there is room again")
      void this.#runUnasked()
    }
    this.#takeInAgain()
  }

  /** Events are taken in again as soon as the ballast could be made again. */
  #takeInAgain(): void {
    const { store, log } = this.#options
    if (!store.ballast.isSpent || !store.ballast.restore()) return
    this.#knowsFull = false
    log.info("the disk has room again: events are taken in")
  }
}

const NO_TOMORROW =
  "The database has no partitions for tomorrow, and making them fails: the log says why. Waybill's user needs the right to create tables, and no other session may hold the tables locked."

/** What a run has done so far. */
class Sheet {
  readonly removed = new Map<string, number>()
  readonly failed: string[] = []
  pieces = 0
  longestMs = 0

  add(counts: Counts, ms: number): void {
    this.pieces++
    this.longestMs = Math.max(this.longestMs, ms)
    for (const [name, count] of Object.entries(counts)) {
      if (count > 0) this.removed.set(name, (this.removed.get(name) ?? 0) + count)
    }
  }
}
