/**
 * The recoverer carries out recoveries: it walks through what was asked for, oldest first, and queues what may go, as fast
 * as leaves live traffic its time. The lanes send it with a share of their room. How far a recovery is stands in the
 * store, in the commits that queue, so that any start goes on where the last one was. Of several processes one does it.
 */
import { formatId, type RecoveryId } from "../domain/id.ts"
import { type RecoveryAction, type RecoveryAsk, type RecoveryState, stateAfter, walkFrom } from "../domain/recovery.ts"
import type { Log } from "../log.ts"
import type { Actor } from "../store/changes.ts"
import type { Database } from "../store/database.ts"
import { METADATA_MS } from "../store/kept.ts"
import {
  endRecovery,
  insertRecovery,
  type OnTheirWay,
  onTheirWay,
  openRecoveries,
  type RecoveryRecord,
  setRecoveryState,
} from "../store/recoveries.ts"
import type { Store } from "../store/store.ts"
import { streamEnd } from "../store/stream-reads.ts"
import type { Changes } from "./changes.ts"
import type { Directory } from "./directory.ts"
import type { Engine } from "./engine.ts"
import type { Feed } from "./feed.ts"
import { RecoverySteps } from "./recovery-steps.ts"
import { Rounds } from "./rounds.ts"

export interface RecovererOptions {
  readonly store: Store
  readonly directory: Directory
  readonly engine: Pick<Engine, "expect" | "expectRecovered">
  readonly changes: Changes
  readonly feed: Pick<Feed, "listen">
  readonly now: () => number
  readonly log: Log
}

/** What is asked of the recoverer, and by whom. */
export interface NewRecovery {
  readonly project: number
  readonly ask: RecoveryAsk
  readonly by: Actor
  /** What goes along with it, in its transaction. */
  readonly along?: (tx: Database, record: RecoveryRecord) => Promise<void>
}

/** From one look at all lanes to the next, at first and, where nothing can be done, at most. */
const LOOK_AGAIN_MS = { first: 25, most: 1_000 }

export class Recoverer {
  readonly #options: RecovererOptions
  readonly #steps: RecoverySteps
  readonly #rounds: Rounds<RecoveryRecord>
  #waitMs: number = LOOK_AGAIN_MS.first
  /** Which of the lanes goes first in the next round. */
  #turn = 0
  /** Set while it hears of every attempt; nobody pays for that while there is nothing to recover. */
  #stopListening: (() => void) | undefined

  constructor(options: RecovererOptions) {
    this.#options = options
    this.#steps = new RecoverySteps(options)
    const { store, log } = options
    const open = () => openRecoveries(store.reads)
    this.#rounds = new Rounds({ store, log, what: "recoveries", open, round: found => this.#round(found) })
  }

  /** Goes on with what an earlier start has left. */
  start(): void {
    this.#rounds.start()
  }

  /** Finishes the piece that is under way. */
  async stop(): Promise<void> {
    await this.#rounds.stop()
    this.#listen(false)
  }

  /** Begins a recovery; gives it as it is stored. */
  async begin({ project, ask, by, along }: NewRecovery): Promise<RecoveryRecord> {
    const { store, changes, now } = this.#options
    const at = now()
    const id = store.ids.next()
    // Other processes may have given greater ids by now.
    const end = await streamEnd(store.reads, project)
    const reached = walkFrom(Math.max(ask.from, at - METADATA_MS))
    const record: RecoveryRecord = {
      id,
      project,
      state: "running",
      ask,
      // What comes in from now on is delivered anyway.
      upTo: Math.max(id, end.id),
      by,
      createdAt: at,
      updatedAt: at,
      endedAt: null,
      lanes: ask.integrations.map(integration => ({ integration, reached, isThrough: false })),
    }
    const change = { project, kind: "recovery.created", subject: formatId("rec", id), by, after: auditTextOf(ask) }
    await changes.together(change, async tx => {
      await insertRecovery(tx, record)
      await along?.(tx, record)
    })
    this.#rounds.wake()
    return record
  }

  /** Pauses, resumes or cancels a recovery; a sentence where its state does not allow it. */
  async act(
    { id, project, state }: RecoveryRecord,
    action: RecoveryAction,
    by: Actor,
  ): Promise<{ readonly refusal: string } | undefined> {
    const { changes, now } = this.#options
    const to = stateAfter(state, action)
    if (typeof to === "object") return to
    if (to === state) return undefined
    await changes.inTransaction(async (tx, note) => {
      const isMoved = await setRecoveryState(tx, id, { from: [state], to, now: now() })
      if (!isMoved) return
      const stands = (text: RecoveryState) => JSON.stringify({ state: text })
      const change = { project, kind: `recovery.${pastOf[action]}`, subject: formatId("rec", id), by }
      await note({ ...change, before: stands(state), after: stands(to) })
    })
    this.#rounds.wake()
    return undefined
  }

  /** Gives how long to rest. */
  async #round(open: readonly RecoveryRecord[]): Promise<number> {
    this.#listen(open.length > 0)
    this.#steps.keepOnly(open)
    const isBusy = open.length > 0 && (await this.#takeFurther(open))
    this.#waitMs = isBusy ? LOOK_AGAIN_MS.first : Math.min(LOOK_AGAIN_MS.most, this.#waitMs * 2)
    return this.#waitMs
  }

  /** A piece of each recovery at each integration; false where nothing could be done anywhere. */
  async #takeFurther(open: readonly RecoveryRecord[]): Promise<boolean> {
    const there = await onTheirWay(
      this.#options.store.reads,
      open.map(recovery => recovery.id),
    )
    const lanes = open.flatMap(recovery => recovery.lanes.map(lane => ({ recovery, lane })))
    // Another one goes first each time, or one lane would take all that may be queued.
    const first = this.#turn++ % lanes.length || 0
    const busy = new Set<RecoveryId>()
    for (const { recovery, lane } of [...lanes.slice(first), ...lanes.slice(0, first)]) {
      if (this.#rounds.isStopping) return false
      const did =
        recovery.state === "running"
          ? await this.#steps.queue(recovery, lane, there)
          : await this.#steps.giveBack(recovery, lane, there)
      if (did) busy.add(recovery.id)
    }
    // What was on its way when the round began says nothing of those that have queued since.
    for (const recovery of open) if (!busy.has(recovery.id) && (await this.#end(recovery, there))) busy.add(recovery.id)
    return busy.size > 0
  }

  /** Ends a recovery that has nothing left to do: all looked at, and nothing waits or is being sent. */
  async #end({ id, project, state, lanes }: RecoveryRecord, there: readonly OnTheirWay[]): Promise<boolean> {
    const { changes, now } = this.#options
    if (state === "paused" || (state === "running" && !lanes.every(lane => lane.isThrough))) return false
    if (there.some(each => each.recovery === id && each.waiting + each.sending > 0)) return false
    if (state === "running" && (await this.#steps.hasReturned(id, lanes))) return false
    await changes.inTransaction(async (tx, note) => {
      // Paused or canceled in this moment: the next round sees to it.
      if (state === "running" && !(await setRecoveryState(tx, id, { from: ["running"], to: "done", now: now() })))
        return
      await endRecovery(tx, id, now())
      if (state !== "running") return
      await note({ project, kind: "recovery.done", subject: formatId("rec", id), by: { kind: "waybill", id: null } })
    })
    return true
  }

  #listen(isWanted: boolean): void {
    if (isWanted) {
      this.#stopListening ??= this.#options.feed.listen(item => {
        if (item.kind === "attempt") this.#steps.attempted(item.settlement.claim.recovery !== null)
      })
    } else {
      this.#stopListening?.()
      this.#stopListening = undefined
    }
  }
}

/** What a recovery was asked for, as JSON text for the audit log. */
function auditTextOf({ integrations, from, to, ...rest }: RecoveryAsk): string {
  const time = (ms: number) => new Date(ms).toISOString()
  const ids = integrations.map(id => formatId("int", id))
  return JSON.stringify({ integrations: ids, from: time(from), to: time(to), ...rest })
}

const pastOf = { pause: "paused", resume: "resumed", cancel: "canceled" } as const satisfies Record<
  RecoveryAction,
  string
>
