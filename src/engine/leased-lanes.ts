/**
 * Lanes that several processes share: each lane is one process's at a time, the one that all of them come to by rendezvous
 * hashing over those that are alive. A process renews its lease every 1.5 seconds, takes the lanes that are its own once
 * nobody holds them, and gives up those that are another's by now when what is under way in them has been settled. Whoever
 * dies is found out by its lease; whoever was only held up joins anew, under a new number, and goes on. Whoever is about to
 * stop says so: its lanes are shared out among the others, while it still is there.
 *
 *     free ──taken, what it kept is read──▶ held ──another's by now──▶ leaving ──nothing under way──▶ free
 *      ▲                                     │
 *      └──────── lease over: all lanes ──────┘
 */
import type { DeliveryId, IntegrationId } from "../domain/id.ts"
import { lanesOf } from "../domain/rendezvous.ts"
import type { Log } from "../log.ts"
import { StoreUnavailable } from "../store/database.ts"
import type { PostgresLanes } from "../store/postgres-lanes.ts"
import type { NodesView } from "../store/postgres-nodes.ts"
import type { Call } from "../store/postgres-wakes.ts"
import type { Holding, LaneOwner } from "./holding.ts"
import type { Lanes } from "./lanes.ts"

export interface LeasedLanesOptions {
  readonly lanes: PostgresLanes
  readonly now: () => number
  readonly log: Log
  /** A clock that only ever goes forward, in ms; the process's own unless a test turns it. */
  readonly monotonicNow?: () => number
}

/** How often the lease is renewed: two may fail before it is in doubt. */
const RENEW_EVERY_MS = 1_500
const RENEW_AGAIN_MS = 300
/** How often it is looked who is alive and which lanes are free. */
const LOOK_EVERY_MS = 500
/** After something has changed here: what changes together is looked after together. */
const LOOK_SOON_MS = 20
/** How often held lanes are asked for what waits in them; less often where calls of other processes are heard. */
const ASK_EVERY_MS = 300
const ASK_EVERY_WHEN_CALLED_MS = 1_000
/** How often it is read how the lanes of other processes stand. */
const SHOW_EVERY_MS = 1_000
/** Lanes that are asked for at a time: the others have their turn next. */
const MOST_ASKED = 256
/** Calls to other processes go out together, so often at the most (ND-46). */
const CALL_EVERY_MS = 50
/** A lane that is another's goes to it after that. What is under way is settled under its claim, and takes places there until then. */
const HAND_OVER_MS = 5_000
/** How often lanes are shared out anew where nothing says that they have changed. */
const SHARE_EVERY_MS = 5_000
/** How many lanes are taken up at a time. */
const MOST_TAKEN = 200
/** How often it is looked for claims that nobody carries out, */
const SWEEP_EVERY_MS = 3_000
/** and whether calls are heard. */
const KEEP_CALLED_MS = 10_000
/** Claims that this process should know of: the database has answered all that it was asked, or cannot answer any more. */
const KNOWN_AFTER_MS = 2_000
const ANSWERED_AFTER_MS = 30_000
/** When the database is back, those that were alive before it went have so long to say that they are still there. */
const RETURN_MS = 4_000

export class LeasedLanes implements Holding {
  readonly #options: LeasedLanesOptions
  readonly #monotonicNow: () => number
  readonly #held = new Set<IntegrationId>()
  /** Those that were asked for last. */
  #taking: readonly IntegrationId[] = []
  /** Lanes that are another's by now, and when they are given up at the latest. */
  readonly #leaving = new Map<IntegrationId, number>()
  /** Lanes that are held whose last holder still has something under way in them. */
  readonly #inherited = new Set<IntegrationId>()
  readonly #called = new Set<IntegrationId>()
  /** Those that wait to know whether the lease has held. */
  readonly #unsure = new Set<() => void>()
  readonly #timers = new Map<string, NodeJS.Timeout>()
  #owner: LaneOwner | undefined
  #lanes: Lanes | undefined
  #state: "stopped" | "running" | "paused" = "stopped"
  #looking: Promise<void> | undefined
  #calledAt = 0
  /** Where the next turn of asking begins. */
  #askFrom = 0
  #isReachable = true
  #alive: readonly string[] = []
  /** Names of processes that count as alive although they have not said so yet. */
  #expected: { readonly names: readonly string[]; readonly until: number } | undefined
  /** The lanes that are this process's own, among the processes that `key` names. */
  #own: { readonly key: string; readonly lanes: ReadonlySet<IntegrationId>; readonly until: number } | undefined
  #forgotten: readonly DeliveryId[] = []

  constructor(options: LeasedLanesOptions) {
    this.#options = options
    this.#monotonicNow = options.monotonicNow ?? (() => performance.now())
  }

  get fence(): number | null {
    const { tenure } = this.#options.lanes
    return tenure.isSure ? tenure.number : null
  }

  get processes(): number {
    return Math.max(1, this.#alive.length)
  }

  holds(lane: IntegrationId): boolean {
    return this.#held.has(lane)
  }

  maySend(fence: number): boolean | Promise<boolean> {
    const { tenure } = this.#options.lanes
    if (fence !== tenure.number) return false
    if (tenure.isSure) return true
    return new Promise<void>(resolve => this.#unsure.add(resolve)).then(() => fence === tenure.number && tenure.isSure)
  }

  async start(owner: LaneOwner, own: Lanes): Promise<void> {
    const { lanes } = this.#options
    this.#owner = owner
    this.#lanes = own
    this.#state = "running"
    lanes.wakes.onCall = call => this.#hear(call)
    await this.#look()
    this.#again("renew", RENEW_EVERY_MS, () => this.#renew())
    this.#again("look", LOOK_EVERY_MS, () => this.#lookAgain())
    this.#again("ask", ASK_EVERY_MS, () => this.#ask())
    this.#again("show", SHOW_EVERY_MS, () => this.#show())
    this.#again("sweep", 0, () => this.#sweep())
    this.#again("keep", 0, async () => {
      await lanes.wakes.keep()
      return KEEP_CALLED_MS
    })
  }

  async leave(): Promise<void> {
    const { tenure, wakes } = this.#options.lanes
    await this.#tried(async () => {
      await tenure.announceEnd()
      await wakes.call("lanes")
    })
    this.look()
  }

  pause(): void {
    this.#state = "paused"
    // It goes on to look, and so gives up each lane in which nothing is under way any more.
    for (const name of ["ask", "show", "sweep", "keep"]) clearTimeout(this.#timers.get(name))
  }

  async stop(): Promise<void> {
    this.pause()
    // What is another's by now, and where the last request has just ended.
    if (this.fence !== null) await this.#look()
    this.#state = "stopped"
    for (const timer of this.#timers.values()) clearTimeout(timer)
    await this.#looking
    this.#decide()
    // The lease still holds: nobody else has begun to write there.
    if (this.fence !== null) await this.#tried(async () => void (await this.#handOver([...this.#held])))
    this.#held.clear()
  }

  call(lane: IntegrationId): void {
    if (!this.#options.lanes.wakes.isHeard) return
    this.#called.add(lane)
    if (this.#called.size > 1) return
    const now = this.#monotonicNow()
    const delay = Math.max(0, this.#calledAt + CALL_EVERY_MS - now)
    this.#after("call", delay, () => {
      this.#calledAt = this.#monotonicNow()
      const called = [...this.#called]
      this.#called.clear()
      void this.#options.lanes.wakes.call(called)
    })
  }

  callFor(delivery: DeliveryId): void {
    void this.#options.lanes.wakes.call(delivery)
  }

  look(): void {
    this.#own = undefined
    if (this.#state !== "stopped" && !this.#timers.has("look soon")) {
      this.#after("look soon", LOOK_SOON_MS, () => void this.#lookAgain())
    }
  }

  /** Renews the lease, or joins anew where it was too late. */
  async #renew(): Promise<number> {
    const { tenure } = this.#options.lanes
    const wasSure = tenure.isSure
    const isDone = await this.#tried(async () => {
      if (!(await tenure.renew())) await this.#joinAnew()
    })
    if (!isDone) return RENEW_AGAIN_MS
    this.#decide()
    if (!wasSure) this.#owner?.wake()
    return RENEW_EVERY_MS
  }

  /** Those that waited for it know now whether the lease has held. */
  #decide(): void {
    const waiting = [...this.#unsure]
    this.#unsure.clear()
    for (const resolve of waiting) resolve()
  }

  async #joinAnew(): Promise<void> {
    const { lanes, log } = this.#options
    const before = lanes.tenure.number
    const lost = [...this.#held, ...this.#leaving.keys()]
    this.#held.clear()
    this.#leaving.clear()
    this.#inherited.clear()
    this.#lanes?.forget(lost)
    await lanes.tenure.begin()
    const numbers = { before, number: lanes.tenure.number, lanes: lost.length }
    log.warn(numbers, "this process was not heard of for longer than its lease; it goes on under a new number")
    this.look()
  }

  async #lookAgain(): Promise<number> {
    await this.#look()
    return LOOK_EVERY_MS
  }

  /** One look at a time. */
  async #look(): Promise<void> {
    while (this.#looking !== undefined) await this.#looking
    this.#looking = this.#tried(() => this.#balance()).then(() => {
      this.#looking = undefined
    })
    await this.#looking
  }

  /** Holds those lanes that are this process's own, and no others. */
  async #balance(): Promise<void> {
    const { lanes } = this.#options
    const { tenure } = lanes
    const [owner, own] = [this.#owner, this.#lanes]
    if (owner === undefined || own === undefined || this.#state === "stopped") return
    const { number } = tenure
    const view = await lanes.view()
    // Lost meanwhile, or over: renewing finds that out.
    if (number !== tenure.number || !view.alive.some(node => node.id === number)) return
    const wanted = this.#ownLanes(own, this.#namesOf(view))
    this.#compare(view, wanted)
    await this.#giveUp(own, new Set(view.held))
    if (this.#state !== "running") return
    if (this.#inherited.size > 0) {
      await this.#countInherited(own, [...this.#inherited])
      owner.wake()
    }
    this.#taking = []
    const free = [...wanted].filter(lane => !this.#held.has(lane) && !this.#leaving.has(lane))
    for (let from = 0; from < free.length; from += MOST_TAKEN) {
      this.#taking = free.slice(from, from + MOST_TAKEN)
      own.hide(this.#taking)
      const taken = await lanes.take(this.#taking)
      if (taken.length > 0) await own.takeUp(taken)
      await this.#countInherited(own, taken)
      if (number !== tenure.number || this.#state !== "running") return
      for (const lane of taken) this.#held.add(lane)
      if (taken.length > 0) await owner.sweep()
      owner.begin(taken)
    }
  }

  /** Takes note of what the last holders of lanes have under way in them. */
  async #countInherited(own: Lanes, lanes: readonly IntegrationId[]): Promise<void> {
    if (lanes.length === 0) return
    const counts = await this.#options.lanes.underWayElsewhere(lanes)
    for (const lane of lanes) {
      const count = counts.get(lane) ?? 0
      own.shareWith(lane, count)
      if (count > 0) this.#inherited.add(lane)
      else this.#inherited.delete(lane)
    }
  }

  /** The processes among which lanes are shared out: those that stay, as long as there are any. */
  #namesOf({ alive }: NodesView): readonly string[] {
    const staying = alive.filter(({ isLeaving }) => !isLeaving)
    const names = (staying.length > 0 ? staying : alive).map(({ name }) => name)
    const isGone = this.#alive.some(name => !names.includes(name))
    this.#alive = names
    // What they had under way is found at once.
    if (isGone) this.#again("sweep", 0, () => this.#sweep())
    if (this.#expected === undefined) return names
    const missing = this.#expected.names.filter(name => !names.includes(name))
    if (missing.length === 0 || this.#monotonicNow() > this.#expected.until) this.#expected = undefined
    return [...names, ...missing]
  }

  #ownLanes(own: Lanes, names: readonly string[]): ReadonlySet<IntegrationId> {
    const key = names.toSorted().join()
    const now = this.#monotonicNow()
    if (this.#own?.key === key && now < this.#own.until) return this.#own.lanes
    const { name } = this.#options.lanes.tenure
    const lanes = lanesOf(
      own.known().map(lane => [lane, own.groupOf(lane)] as const),
      names,
      name,
    )
    this.#own = { key, lanes, until: now + SHARE_EVERY_MS }
    return lanes
  }

  /** Notes what has changed since the last look: lanes that are another's, and such as are this process's own again. */
  #compare({ held }: NodesView, wanted: ReadonlySet<IntegrationId>): void {
    const inStore = new Set(held)
    const until = this.#monotonicNow() + HAND_OVER_MS
    for (const lane of [...this.#held]) {
      if (inStore.has(lane) && wanted.has(lane)) continue
      this.#held.delete(lane)
      this.#leaving.set(lane, until)
    }
    for (const lane of this.#leaving.keys()) {
      if (!wanted.has(lane) || !inStore.has(lane)) continue
      this.#leaving.delete(lane)
      this.#held.add(lane)
      this.#owner?.begin([lane])
    }
  }

  async #giveUp(own: Lanes, inStore: ReadonlySet<IntegrationId>): Promise<void> {
    const now = this.#monotonicNow()
    const ready = [...this.#leaving].filter(([lane, until]) => own.underWay(lane) === 0 || now >= until)
    if (ready.length === 0) return
    const going = ready.map(([lane]) => lane)
    const ours = going.filter(lane => inStore.has(lane))
    await this.#handOver(ours)
    await this.#options.lanes.giveUp(ours)
    for (const known of [this.#leaving, this.#inherited]) for (const lane of going) known.delete(lane)
    own.forget(going)
    await this.#options.lanes.wakes.call("lanes")
  }

  async #handOver(lanes: readonly IntegrationId[]): Promise<void> {
    await Promise.all(lanes.map(lane => this.#lanes?.handOver(lane)))
  }

  /** Asks which held lanes that know of nothing have something to do: another process may have put it there. */
  async #ask(): Promise<number> {
    const { lanes } = this.#options
    const every = lanes.wakes.isHeard ? ASK_EVERY_WHEN_CALLED_MS : ASK_EVERY_MS
    const [owner, own] = [this.#owner, this.#lanes]
    if (owner === undefined || own === undefined || this.#state !== "running") return every
    const idle = own.idle([...this.#held])
    if (this.#askFrom >= idle.length) this.#askFrom = 0
    const some = idle.slice(this.#askFrom, this.#askFrom + MOST_ASKED)
    this.#askFrom += some.length
    await this.#tried(async () => {
      for (const { lane, dueAt, hasRecovered } of await lanes.due(some)) {
        if (!this.#held.has(lane)) continue
        if (dueAt !== null) owner.expectIn(lane, dueAt)
        if (hasRecovered) owner.expectIn(lane, null)
      }
    })
    return idle.length > MOST_ASKED ? ASK_EVERY_MS : every
  }

  async #show(): Promise<number> {
    const { lanes } = this.#options
    await this.#tried(async () => {
      const others = await lanes.others()
      // What was read before they were taken says nothing of them by now.
      const ours = new Set([...this.#held, ...this.#taking, ...this.#leaving.keys()])
      this.#lanes?.show(others.filter(({ lane }) => !ours.has(lane)))
    })
    return SHOW_EVERY_MS
  }

  #hear(call: Call): void {
    const owner = this.#owner
    if (owner === undefined || this.#state !== "running") return
    if (call === "lanes") this.look()
    else if (call === "all") this.#again("ask", 0, () => this.#ask())
    else if ("event" in call) {
      if (this.#held.has(call.integration)) void this.#tried(() => owner.tryNow(call))
    } else for (const lane of call) if (this.#held.has(lane)) owner.expectIn(lane, this.#options.now())
  }

  /** Has what nobody carries out tried again: claims of processes that are gone, and of this one, that it does not know of. */
  async #sweep(): Promise<number> {
    const { lanes, now } = this.#options
    const [owner, own] = [this.#owner, this.#lanes]
    if (owner === undefined || own === undefined || this.#state !== "running") return SWEEP_EVERY_MS
    await this.#tried(async () => {
      const at = now()
      const wasAnswered = new Set(own.known().filter(lane => own.isAnswered(lane)))
      const claimed = await lanes.claimedBefore(at - KNOWN_AFTER_MS)
      const unknown = claimed.filter(({ integration, event, since }) => {
        if (own.isUnderWay({ integration, event })) return false
        const isAnswered = wasAnswered.has(integration) && own.isAnswered(integration)
        return isAnswered || since < at - ANSWERED_AFTER_MS
      })
      // Twice in a row, so that none is one that has just ended.
      const forgotten = unknown.filter(one => this.#forgotten.some(other => isSame(one, other)))
      this.#forgotten = unknown
      await owner.sweep(forgotten)
    })
    return SWEEP_EVERY_MS
  }

  /** Runs something on the database; false where that cannot be reached now, which is said once. */
  async #tried(work: () => Promise<void>): Promise<boolean> {
    const { log } = this.#options
    try {
      await work()
      if (!this.#isReachable) {
        this.#isReachable = true
        this.#expected = { names: this.#alive, until: this.#monotonicNow() + RETURN_MS }
        log.info("the database is back")
      }
      return true
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) log.error({ err: error }, "lanes could not be looked after")
      else if (this.#isReachable)
        log.warn({ err: error }, "the database cannot be reached; it is tried until it is back")
      this.#isReachable = false
      return false
    }
  }

  /** Runs something after a while, and again as long after that as it says. */
  #again(name: string, delayMs: number, work: () => Promise<number>): void {
    this.#after(name, delayMs, () => {
      void work().then(nextMs => {
        const mayGoOn = this.#state === "running" || (this.#state === "paused" && /^(renew|look)$/.test(name))
        if (mayGoOn && !this.#timers.has(name)) this.#again(name, nextMs, work)
      })
    })
  }

  #after(name: string, delayMs: number, work: () => void): void {
    clearTimeout(this.#timers.get(name))
    const timer = setTimeout(() => {
      this.#timers.delete(name)
      work()
    }, delayMs)
    this.#timers.set(name, timer.unref())
  }
}

function isSame(a: DeliveryId, b: DeliveryId): boolean {
  return a.event === b.event && a.integration === b.integration
}
