/**
 * The steps of a recovery at one integration: look for what fits, rule on it, queue a piece; or, once it is paused or
 * canceled, give back what waits. Each is a short piece in a commit, with a rest after it, so that nobody is held up.
 */
import { setTimeout as rest } from "node:timers/promises"
import type { EventId, IntegrationId, RecoveryId } from "../domain/id.ts"
import type { Commit } from "../store/commit.ts"
import { Pace } from "../store/pace.ts"
import { type OnTheirWay, type RecoveryLane, type RecoveryRecord, readReturned } from "../store/recoveries.ts"
import { type Found, type Look, lookAt, lookOn } from "../store/recovery-look.ts"
import { giveBack, queuePiece, type RecoveryPiece, type Send } from "../store/recovery-moves.ts"
import type { Step } from "../store/step.ts"
import type { Directory, LiveIntegration } from "./directory.ts"
import type { RecovererOptions } from "./recover.ts"
import { RecoveryPace } from "./recovery-pace.ts"
import { countsOf, ruleOnAll } from "./recovery-rulings.ts"

/** Deliveries that wait in a lane for their first try, so that to stop takes a moment and counting them costs little. */
const MOST_WAITING = 2_000
/** With so many to be tried again the endpoint is in trouble, and more would only make its backlog longer. */
const MOST_RETRYING = 20_000
/** A piece holds the writer for so long. */
const pieceLimits = { first: 50, most: 500, pieceMs: 3 }
const lookLimits = { first: 200, most: 2_000, pieceMs: 10 }
/** Windows in which nothing fits are passed without a commit for each. */
const WINDOWS_AT_A_TIME = 20
/** Events that are found and not queued yet, over all recoveries and lanes: they bound the memory. */
const MOST_IN_HAND = 20_000

/** What a recovery has found at an integration and not queued yet; memory only, as the store knows how far it is. */
interface Hand {
  /** Up to where the lane was when it was last written: elsewhere, another process has taken it further. */
  from: EventId
  found: Found[]
  /** Everything up to this event is in `found`, or does not fit. */
  reached: EventId
  isThrough: boolean
  /** Whether a pause may have given something back that was not looked at again. */
  hasReturned: boolean
  /** How many it may queue by its own rate, and since when that was so. */
  allowance: number
  allowedAt: number
}

/** What a piece is made of. */
interface Picked {
  readonly found: readonly Found[]
  readonly again: readonly EventId[]
  readonly counts: RecoveryPiece["counts"]
  readonly reached: EventId
  readonly isThrough: boolean
}

export class RecoverySteps {
  readonly #options: Pick<RecovererOptions, "store" | "engine" | "now"> & { readonly directory: Directory }
  readonly #pace = new RecoveryPace()
  readonly #pieces = new Pace(pieceLimits)
  readonly #windows = new Pace(lookLimits)
  readonly #hands = new Map<string, Hand>()

  constructor(options: RecovererOptions) {
    this.#options = options
  }

  /** Notes an attempt of a delivery, recovered or not: what may be queued follows from them. */
  attempted(isRecovered: boolean): void {
    this.#pace.attempted(isRecovered)
  }

  /** Forgets what was found for recoveries that are over, or that another process sees to. */
  keepOnly(open: readonly RecoveryRecord[]): void {
    const keys = new Set(open.flatMap(({ id, lanes }) => lanes.map(lane => handKey(id, lane.integration))))
    for (const key of this.#hands.keys()) if (!keys.has(key)) this.#hands.delete(key)
  }

  /** Queues a piece; false where nothing could be done just now. */
  async queue(recovery: RecoveryRecord, lane: RecoveryLane, there: readonly OnTheirWay[]): Promise<boolean> {
    const live = this.#options.directory.integration(lane.integration)
    if (live === undefined) return this.#giveUp(recovery, lane)
    // What is switched off takes nothing: it would end at once.
    if (!live.integration.enabled) return false
    const hand = this.#handOf(recovery, lane)
    // What waits in the line of a key is let go by others, who do not know that it is a recovery's.
    if (there.some(each => each.integration === lane.integration && each.waiting > 0)) this.#tell(lane.integration)
    if (lane.isThrough && !hand.hasReturned) return false
    const room = this.#roomOf(recovery, lane, hand, there)
    if (room === "none") return false
    // A moment later there is some.
    if (room < 1) return true
    try {
      const picked =
        (await this.#pickReturned(recovery, lane, hand, room)) ?? (await this.#pick(recovery, lane, hand, room))
      if (picked === null) return false
      const queued = await this.#commit(recovery, lane, live, picked)
      if (queued === null) this.#hands.delete(handKey(recovery.id, lane.integration))
      else {
        hand.from = picked.reached
        hand.allowance -= queued
        this.#pace.took(queued)
      }
      return true
    } catch (error) {
      // Some of it is out of the hand, and may be queued or not: the store knows from where to look again.
      this.#hands.delete(handKey(recovery.id, lane.integration))
      throw error
    }
  }

  /** Gives back a piece of what a recovery that is paused or canceled has waiting; false where nothing waits. */
  async giveBack(
    { id, state }: RecoveryRecord,
    { integration }: RecoveryLane,
    there: readonly OnTheirWay[],
  ): Promise<boolean> {
    this.#hands.delete(handKey(id, integration))
    if (!there.some(each => each.recovery === id && each.integration === integration && each.waiting > 0)) return false
    const work = { recovery: id, integration, toResume: state === "paused", limit: this.#pieces.size }
    const given = await this.#piece(commit => giveBack(commit, work))
    // Those that it let go in the lines of their keys.
    this.#options.engine.expect(integration, this.#options.now())
    this.#tell(integration)
    return given > 0
  }

  /** Whether something that a pause gave back is still to be looked at, where it can be. */
  async hasReturned(id: RecoveryId, lanes: readonly RecoveryLane[]): Promise<boolean> {
    const { store, directory } = this.#options
    for (const { integration } of lanes) {
      if (directory.integration(integration) === undefined) continue
      if ((await readReturned(store.reads, id, integration, 1)).length === 0) continue
      // Another process may have given it back while it was the one that leads.
      const hand = this.#hands.get(handKey(id, integration))
      if (hand !== undefined) hand.hasReturned = true
      return true
    }
    return false
  }

  /** What a pause gave back is the first to be looked at again. */
  async #pickReturned(
    recovery: RecoveryRecord,
    lane: RecoveryLane,
    hand: Hand,
    room: number,
  ): Promise<Picked | undefined> {
    if (!hand.hasReturned) return undefined
    const { reads } = this.#options.store
    const again = await readReturned(reads, recovery.id, lane.integration, Math.min(room, this.#pieces.size))
    if (again.length === 0) {
      hand.hasReturned = false
      return undefined
    }
    const found = await lookAt(reads, this.#look(recovery, lane), again)
    const changed = again.length - found.length
    const counts = changed === 0 ? [] : [{ outcome: "changed" as const, reason: "", count: changed }]
    return { found, again, counts, reached: lane.reached, isThrough: lane.isThrough }
  }

  async #pick(recovery: RecoveryRecord, lane: RecoveryLane, hand: Hand, room: number): Promise<Picked | null> {
    if (lane.isThrough) return null
    if (hand.found.length === 0) await this.#fill(recovery, lane, hand)
    const found = hand.found.splice(0, Math.min(room, this.#pieces.size))
    const isWhole = hand.found.length === 0
    const reached = isWhole ? hand.reached : (found.at(-1)?.id ?? hand.reached)
    const counts = found.length === 0 ? [] : [{ outcome: "found" as const, reason: "", count: found.length }]
    return { found, again: [], counts, reached, isThrough: isWhole && hand.isThrough }
  }

  /** Looks for what fits next. */
  async #fill(recovery: RecoveryRecord, lane: RecoveryLane, hand: Hand): Promise<void> {
    for (let windows = 0; windows < WINDOWS_AT_A_TIME && hand.found.length === 0 && !hand.isThrough; windows++) {
      const startedAt = performance.now()
      const look = { ...this.#look(recovery, lane), after: hand.reached }
      const { found, reached } = await lookOn(this.#options.store.reads, look)
      this.#windows.took(performance.now() - startedAt)
      hand.found = [...found]
      hand.reached = reached ?? recovery.upTo
      hand.isThrough = reached === null
    }
  }

  #look({ id, project, ask, upTo }: RecoveryRecord, { integration, reached }: RecoveryLane): Look {
    const rows = Math.max(50, Math.min(this.#windows.size, Math.floor(MOST_IN_HAND / Math.max(1, this.#hands.size))))
    return { project, integration, recovery: id, ask, after: reached, upTo, rows, now: this.#options.now() }
  }

  /** Rules on what was found and queues what may go, in one commit; null where the recovery was elsewhere by then. */
  async #commit(
    recovery: RecoveryRecord,
    lane: RecoveryLane,
    live: LiveIntegration,
    { found, again, counts, reached, isThrough }: Picked,
  ): Promise<number | null> {
    const { id, project, ask } = recovery
    const { integration } = lane
    const ruled = await ruleOnAll(this.#options.store, ask, live, found, this.#options.now())
    const { ordered } = live.integration.policy
    const sends = ruled.flatMap(({ found: each, ruling }): Send[] => {
      if (ruling.kind !== "send") return []
      const orderingKey = ordered ? each.event.orderingKey : null
      return [{ event: each.id, standing: each.standing, orderingKey, keepsRevision: ask.configuration === "original" }]
    })
    const piece: RecoveryPiece = {
      recovery: id,
      project,
      integration,
      from: lane.reached,
      reached,
      isThrough,
      sends,
      again,
      counts: [...counts, ...countsOf(ruled)],
    }
    const queued = await this.#piece(commit => queuePiece(commit, piece))
    if (queued !== null && queued > 0) this.#tell(integration)
    return queued
  }

  /** How many may be queued now; "none" where more time has to pass, or something to end. */
  #roomOf(
    { ask, id }: RecoveryRecord,
    { integration }: RecoveryLane,
    hand: Hand,
    there: readonly OnTheirWay[],
  ): number | "none" {
    const here = there.filter(each => each.integration === integration)
    const room = MOST_WAITING - here.reduce((sum, each) => sum + each.waiting + each.sending, 0)
    const retrying = here.find(each => each.recovery === id)?.retrying ?? 0
    if (room < 1 || retrying >= MOST_RETRYING) return "none"
    const byPace = Math.min(room, this.#pace.allowance)
    if (ask.maxPerSecond === null) return byPace
    const own = allowanceOf(hand, ask.maxPerSecond)
    return own < 1 ? "none" : Math.min(byPace, own)
  }

  /** The integration was removed: nothing can be sent there any more. */
  async #giveUp({ id, project }: RecoveryRecord, { integration, reached, isThrough }: RecoveryLane): Promise<boolean> {
    if (isThrough) return false
    const work = { recovery: id, project, integration, from: reached, reached, isThrough: true }
    await this.#piece(commit => queuePiece(commit, { ...work, sends: [], again: [], counts: [] }))
    return true
  }

  /** Runs a piece of work in the next commit, then rests for as long as it took. */
  async #piece<T>(work: (commit: Commit) => Step<T>): Promise<T> {
    const { result, ms } = await this.#options.store.ledger.inNextCommit(function* (commit) {
      const startedAt = performance.now()
      const done = yield* work(commit)
      return { result: done, ms: performance.now() - startedAt }
    })
    this.#pieces.took(ms)
    await rest(Math.max(1, ms))
    return result
  }

  /** The lane hears that something waits for it. Switched off meanwhile, it sees to it that what waits ends. */
  #tell(integration: IntegrationId): void {
    const { engine, directory, now } = this.#options
    if (directory.integration(integration)?.integration.enabled === true) engine.expectRecovered(integration)
    else engine.expect(integration, now())
  }

  #handOf({ id }: RecoveryRecord, { integration, reached }: RecoveryLane): Hand {
    const key = handKey(id, integration)
    const known = this.#hands.get(key)
    if (known?.from === reached) return known
    const { allowance, allowedAt } = known ?? { allowance: 1, allowedAt: performance.now() }
    const hand = { from: reached, found: [], reached, isThrough: false, hasReturned: true, allowance, allowedAt }
    this.#hands.set(key, hand)
    return hand
  }
}

function handKey(recovery: RecoveryId, integration: IntegrationId): string {
  return `${recovery}/${integration}`
}

/** How many a recovery may queue by a rate of its own: no more than a second's worth at a time. */
function allowanceOf(hand: Hand, perSecond: number): number {
  const now = performance.now()
  const more = ((now - hand.allowedAt) * perSecond) / 1_000
  hand.allowance = Math.min(Math.max(1, perSecond), hand.allowance + more)
  hand.allowedAt = now
  return Math.floor(hand.allowance)
}
