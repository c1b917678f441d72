/**
 * The engine moves deliveries: it keeps a lane for each integration, gives freshly accepted events to lanes that have
 * room, claims what waits when it is due, and sends. It is the only place with a timer for due work.
 */
import type { Reason } from "../domain/delivery.ts"
import type { DeliveryId, IntegrationId } from "../domain/id.ts"
import { DUE, type Queue } from "../domain/queue.ts"
import type { Log } from "../log.ts"
import { StoreUnavailable } from "../store/database.ts"
import type { Claim, Emitted, KeptLane, Ledger, Settlement } from "../store/ledger.ts"
import { type Aftermath, afterHolding } from "./aftermath.ts"
import type { Deliver } from "./deliver.ts"
import type { Directory } from "./directory.ts"
import { Endings } from "./endings.ts"
import type { Feed } from "./feed.ts"
import type { Gate, Passage } from "./gate.ts"
import type { Holding, LaneOwner } from "./holding.ts"
import { recordInterrupted } from "./interrupted.ts"
import { type Lane, type Place, usualPlace } from "./lane.ts"
import { Lanes } from "./lanes.ts"
import { Lines } from "./lines.ts"
import { onceStored, STORE_RETRY_MS } from "./once-stored.ts"
import { Places } from "./places.ts"
import { bringForward } from "./put-back.ts"

export interface EngineOptions {
  readonly ledger: Ledger
  readonly directory: Directory
  readonly deliver: Deliver
  readonly feed: Feed
  readonly aftermath: Aftermath
  readonly holding: Holding
  /** Learns what lanes kept that are taken up, before anything is sent in them. */
  readonly learn?: (kept: readonly KeptLane[]) => Promise<void>
  readonly now: () => number
  readonly log: Log
  /** Requests under way at a time, over all lanes. */
  readonly maxInFlight: number
  /** The latest time that a start before this one is known to have seen: the clock may have been put back since. */
  readonly seenUpTo?: number
}

/** The longest sleep of the timer: work that appears without our knowing is found by then. */
const LONGEST_SLEEP_MS = 30_000
/** A clock that was put back by less only makes what waits wait so much longer. */
const CLOCK_STEP_MS = 1_000

export class Engine implements LaneOwner {
  readonly #options: EngineOptions
  readonly #lanes: Lanes
  readonly #lines: Lines
  readonly #endings: Endings
  readonly #dirty = new Set<Lane>()
  readonly #places: Places
  /** Whether it was said that nothing can be claimed. */
  #isUnavailable = false
  #timer: NodeJS.Timeout | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #state: "stopped" | "running" | "stopping" = "stopped"
  readonly #isRunning = () => this.#state === "running"
  readonly #isNotStopped = () => this.#state !== "stopped"
  #whenIdle: (() => void) | undefined
  /** What the clock showed last. */
  #lastSeen: number

  constructor(options: EngineOptions) {
    this.#options = options
    this.#places = new Places(options.maxInFlight, lane => this.#pump(lane))
    this.#lanes = new Lanes(options)
    this.#lines = new Lines({ ...options, isRunning: this.#isRunning })
    this.#endings = new Endings({ ...options, isRunning: this.#isRunning })
    this.#lastSeen = options.seenUpTo ?? 0
  }

  /** Frees what an earlier start left under way, opens the lanes and begins to send. */
  async start(): Promise<void> {
    this.#state = "running"
    for (const id of this.#lanes.known()) this.#lanes.setRules(id)
    await this.#options.holding.start(this, this.#lanes)
  }

  /**
   * Stops claiming, then waits up to `graceMs` for requests under way. What has not ended by then is recorded as
   * interrupted and tried again after the next start.
   */
  async stop(graceMs: number): Promise<void> {
    this.#state = "stopping"
    this.#options.holding.pause()
    clearTimeout(this.#timer)
    if (this.#places.taken > 0) {
      await new Promise<void>(resolve => {
        const limit = setTimeout(resolve, graceMs)
        this.#whenIdle = () => {
          clearTimeout(limit)
          resolve()
        }
      })
    }
    this.#state = "stopped"
    await this.#options.holding.stop()
  }

  /** Looks for due work at once, as if the timer had rung. */
  wake(): void {
    clearTimeout(this.#timer)
    this.#tick()
  }

  get inFlight(): number {
    return this.#places.taken
  }

  /** Lanes with what they hold, for the metrics and /readyz. */
  lanes(): readonly Lane[] {
    return [...this.#lanes.all()]
  }

  /** The lane of an integration; undefined before it was ever sent to or waited for. */
  lane(id: IntegrationId): Lane | undefined {
    return this.#lanes.find(id)
  }

  /** The fencing number for a delivery that is sent as soon as it is stored; null where it has to wait its turn. */
  reserve(integration: IntegrationId, now: number): number | null {
    const { holding } = this.#options
    const { fence } = holding
    const mayTake = this.#state === "running" && this.#places.free > 0 && holding.holds(integration)
    if (fence === null || !mayTake) return null
    const lane = this.#lanes.of(integration)
    if (!lane.reserve(now)) return null
    this.#places.take(1)
    return fence
  }

  /** Gives back what `reserve` took, when the event turned out to be a repeat or could not be stored. */
  giveBack(integration: IntegrationId): void {
    this.#giveUp(this.#lanes.of(integration))
  }

  /** Sends a delivery whose place was reserved and whose claim is stored. */
  send(claim: Claim): void {
    const lane = this.#lanes.of(claim.delivery.integration)
    void this.#carryOut(lane, claim, usualPlace, lane.gate)
  }

  /**
   * Carries out a test at once, past the lane: whatever its state, and counted nowhere. It is one attempt: what would
   * be tried again has failed.
   */
  async test(claim: Claim): Promise<Settlement> {
    this.#lanes.begun(claim.delivery)
    try {
      const settlement = await this.#options.deliver(claim)
      const { next } = settlement
      const isOver = next.status !== "retrying" && next.status !== "failed"
      const once: Settlement = isOver
        ? settlement
        : { ...settlement, next: { status: "failed", reason: next.reason, disable: false } }
      const [settled] = await this.#options.ledger.settle([once])
      if (settled !== undefined) this.#options.feed.settled(once, settled)
      return once
    } finally {
      this.#lanes.ended(claim.delivery)
    }
  }

  /** Notes that a delivery waits in the store until `at`. */
  expect(integration: IntegrationId, at: number): void {
    const { holding } = this.#options
    if (!holding.holds(integration)) {
      holding.call(integration)
      return
    }
    const lane = this.#lanes.of(integration)
    lane.expect(at)
    // Switched off or removed while the event was on its way to the disk: nothing would ever send it.
    if (this.#isOff(integration)) this.refresh(integration)
    else this.#pump(lane)
  }

  /** Notes that a recovery has made deliveries of an integration due. */
  expectRecovered(integration: IntegrationId): void {
    // Another process that holds it sees it when it looks.
    if (!this.#options.holding.holds(integration)) return
    const lane = this.#lanes.of(integration)
    lane.expectRecovered()
    this.#pump(lane)
  }

  /**
   * Tries a delivery that a person has made due. While its lane is in trouble it goes before all others, as the probe of an
   * endpoint that rests; where one is under way already it waits with the others.
   */
  async tryNow(delivery: DeliveryId): Promise<void> {
    const { ledger, holding } = this.#options
    const { fence } = holding
    const lane = this.#lanes.of(delivery.integration)
    const now = this.#time()
    const isOurs = this.#state === "running" && holding.holds(delivery.integration)
    if (fence === null || !isOurs || lane.gate.isClearAt(now) || !lane.reserveByHand(now)) {
      if (holding.holds(delivery.integration)) this.expect(delivery.integration, now)
      else holding.callFor(delivery)
      return
    }
    this.#places.take(1)
    let claim: Claim | null = null
    try {
      claim = await ledger.claimOne(delivery, fence)
    } finally {
      if (claim === null) this.#giveUp(lane)
    }
    if (claim === null) this.expect(delivery.integration, now)
    else void this.#carryOut(lane, claim, usualPlace, lane.gate.byHand())
  }

  #giveUp(lane: Lane): void {
    lane.release(false)
    this.#places.giveBack(1)
    this.#checkIdle()
    // What found no room while the place was kept has it now.
    this.#pump(lane)
  }

  /** Takes over what was changed on an integration: its limits, paused, switched off, removed, … */
  refresh(id: IntegrationId): void {
    this.#lanes.setRules(id)
    const { directory, holding } = this.#options
    holding.look()
    if (!holding.holds(id)) return
    const live = directory.integration(id)
    if (live?.integration.enabled) {
      const lane = this.#lanes.of(id)
      lane.expect(this.#time())
      this.#pump(lane)
      void this.#lines.letGo(id, () => this.expect(id, this.#time()))
    } else if (live !== undefined || directory.integrationName(id) !== undefined) {
      // What waits in those of a project that is being removed goes with it.
      const reason: Reason =
        live === undefined
          ? { code: "integration_removed", facts: {} }
          : {
              code: "integration_disabled",
              facts: { by: live.integration.disabledBy, cause: live.record.disabledReason },
            }
      void this.#endings.end(id, reason)
    }
  }

  begin(ids: readonly IntegrationId[]): void {
    for (const id of ids) this.refresh(id)
  }

  expectIn(id: IntegrationId, at: number | null): void {
    const lane = this.#lanes.find(id)
    if (at !== null) {
      if (lane === undefined || lane.nextAt === null || lane.nextAt > at) this.expect(id, at)
      // Queued by a process that did not know yet that the integration is off or gone: it is ended.
    } else if (this.#isOff(id)) this.refresh(id)
    else if (lane?.knowsOfRecovered !== true) this.expectRecovered(id)
  }

  /** Looks after a lane in this turn's end: endings of one commit free several places, and one claim fills them all. */
  #pump(lane: Lane): void {
    if (this.#dirty.size === 0) setImmediate(() => this.#pumpAll())
    this.#dirty.add(lane)
  }

  #pumpAll(): void {
    const lanes = [...this.#dirty]
    this.#dirty.clear()
    for (const lane of lanes) this.#claim(lane)
  }

  /** Claims what is due and has room, else sees to it that the timer comes back. */
  #claim(lane: Lane): void {
    const { ledger, holding, log } = this.#options
    const { fence } = holding
    // Where it may not claim now, it is looked after again as soon as it may.
    if (this.#state !== "running" || fence === null || !holding.holds(lane.id)) return
    const room = lane.beginClaim(this.#time(), this.#places.free)
    if (room === 0) {
      this.#wakeFor(lane)
      return
    }
    this.#places.take(room)
    const place = lane.claimedPlace
    const upTo = place.queue === DUE ? this.#time() : Number.POSITIVE_INFINITY
    ledger.claim(lane.id, fence, room, upTo, place.queue).then(
      ({ claims, nextAt }) => {
        this.#isUnavailable = false
        lane.claimed(room, claims.length, nextAt)
        this.#places.giveBack(room - claims.length)
        for (const claim of claims) void this.#carryOut(lane, claim, place, lane.gate)
        this.#pump(lane)
        this.#checkIdle()
      },
      (error: unknown) => {
        lane.claimFailed(room, this.#time() + STORE_RETRY_MS)
        this.#places.giveBack(room)
        // Once, not for each lane in each second that the store is away.
        if (!this.#isUnavailable) log.warn({ err: error }, "claim failed; trying again in a second")
        this.#isUnavailable = error instanceof StoreUnavailable
        this.#wakeFor(lane)
        this.#checkIdle()
      },
    )
  }

  /** One delivery from build to settle. */
  async #carryOut(lane: Lane, claim: Claim, place: Place, passage: Passage): Promise<void> {
    const { deliver, holding, log } = this.#options
    this.#lanes.begun(claim.delivery)
    const { gate } = lane
    let isSent = false
    try {
      const maySend = holding.maySend(claim.claim)
      // Found as lost by whoever holds the lane by now.
      if (maySend !== true && !(await maySend)) return
      isSent = true
      const settlement = await deliver(claim, passage)
      isSent = settlement.attempt !== null
      await this.#settle(settlement, lane, gate)
    } catch (error) {
      // A bug: the delivery stays claimed and is recorded as interrupted at the next start; say so loudly.
      log.error({ err: error, delivery: claim.delivery }, "a delivery could not be carried out")
    } finally {
      this.#lanes.ended(claim.delivery)
      lane.release(isSent, place)
      this.#places.giveBack(1)
      this.#pump(lane)
      this.#checkIdle()
    }
  }

  /** `gate`: its lane's when the delivery was begun; another one by now where somebody else may have taken the lane up. */
  async #settle(plain: Settlement, lane: Lane, gate: Gate): Promise<void> {
    const { ledger, directory, feed, aftermath, holding } = this.#options
    const settlement = this.#lines.of(
      holding.holds(lane.id)
        ? aftermath.of(plain, lane.gate.takeNews())
        : afterHolding(aftermath.of(plain, null), lane.gate === gate),
    )
    // What the other side answered is known only here until it is written.
    const [settled] = await onceStored(() => ledger.settle([settlement]), this.#isNotStopped)
    if (settled === undefined) return
    const { next, claim } = settlement
    const { integration } = claim.delivery
    if (settled.kind === "moved") {
      // Not on the lane alone: switched off or removed during the attempt, it would wait for good.
      if (next.status === "retrying") this.expect(integration, Math.ceil(next.at))
      if (next.status === "skipped") this.#expectSkipped(lane, next)
      // Its turn has come in the line of its ordering key.
      if (settled.released !== null) this.expect(integration, this.#time())
      // After a recovered delivery mostly another one.
      if (settled.released !== null && claim.recovery !== null) this.expectRecovered(integration)
      feed.settled(settlement, settled)
    }
    // In the order of their ids, which is that of the stream.
    if (settled.change !== null) feed.changed(settled.change)
    this.setGoing(settled.emitted)
    if (settled.change !== null) {
      await onceStored(() => directory.reload(integration), this.#isNotStopped)
      this.refresh(integration)
    }
  }

  /** It has a time of its own where the skip used up a retry; else it waits for its endpoint. */
  #expectSkipped(lane: Lane, { at, queue }: { readonly at: number; readonly queue: Queue }): void {
    if (queue !== DUE) lane.gate.hold(queue)
    else lane.expect(Math.ceil(at))
    if (this.#isOff(lane.id)) this.refresh(lane.id)
    else this.#pump(lane)
  }

  /** Whether an integration is switched off or gone, so that what waits for it is ended. */
  #isOff(id: IntegrationId): boolean {
    return this.#options.directory.integration(id)?.integration.enabled !== true
  }

  /** Operational events are on the disk: their deliveries may go. */
  setGoing(emitted: readonly Emitted[]): void {
    for (const { arrival, accepted } of emitted) {
      if (accepted.kind !== "new") continue
      const { targets, withheld, receivedAt } = arrival
      for (const { integration } of targets) this.expect(integration, receivedAt)
      const ids = targets.map(target => target.integration)
      this.#options.feed.accepted(accepted.event, ids, withheld)
    }
  }

  #checkIdle(): void {
    if (this.#places.taken === 0 && this.#state === "stopping") this.#whenIdle?.()
  }

  #wakeFor(lane: Lane): void {
    const now = this.#time()
    const at = lane.wakeAt(now)
    if (at !== null && at <= now && this.#places.free < 1) this.#places.waitFor(lane)
    else if (at !== null && at < this.#timerAt) this.#setTimer(at, now)
  }

  #setTimer(at: number, now: number): void {
    clearTimeout(this.#timer)
    this.#timerAt = at
    // Never more than 2^31 ms, which Node would take for 1 ms.
    const delay = Math.min(Math.max(0, at - now), LONGEST_SLEEP_MS)
    this.#timer = setTimeout(() => this.#tick(), delay).unref()
  }

  /** Claims in every lane that is due, then sleeps until the next one is. */
  #tick(): void {
    if (this.#state !== "running") return
    this.#timerAt = Number.POSITIVE_INFINITY
    for (const lane of this.#lanes.all()) this.#claim(lane)
    const now = this.#time()
    if (this.#timerAt === Number.POSITIVE_INFINITY) this.#setTimer(now + LONGEST_SLEEP_MS, now)
  }

  /** The time now. Where the clock was put back, what waits by the old time is brought forward. */
  #time(): number {
    const now = this.#options.now()
    const isPutBack = now < this.#lastSeen - CLOCK_STEP_MS
    this.#lastSeen = now
    if (isPutBack) void this.#bringForward()
    return now
  }

  async #bringForward(): Promise<void> {
    this.#options.log.warn(
      "the clock was put back; deliveries that wait by the time that it showed before are brought forward",
    )
    // Lanes that are opened meanwhile, as at a start, take their turn too.
    for (const lane of this.#lanes.all()) {
      if (!this.#options.holding.holds(lane.id)) continue
      await bringForward(this.#options, lane.id, this.#isRunning)
      lane.expect(this.#time())
      this.#pump(lane)
    }
  }

  async sweep(forgotten: readonly DeliveryId[] = []): Promise<void> {
    const { holding } = this.#options
    const isUnderWay = (delivery: DeliveryId) => this.#lanes.isUnderWay(delivery)
    for (const lane of await recordInterrupted(this.#options, holding.fence ?? 0, forgotten, isUnderWay)) {
      if (holding.holds(lane)) this.expect(lane, this.#time())
    }
  }
}
