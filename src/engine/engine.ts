/**
 * The engine moves deliveries: it keeps a lane for each integration, gives freshly accepted events to lanes that have
 * room, claims what waits when it is due, and sends. It is the only place with a timer for due work.
 */
import type { Reason } from "../domain/delivery.ts"
import type { IntegrationId } from "../domain/id.ts"
import type { Log } from "../log.ts"
import { StoreUnavailable } from "../store/database.ts"
import type { Accepted, Arrival, Claim, Ledger, Settled, Settlement, WaitingPlace } from "../store/ledger.ts"
import type { Aftermath } from "./aftermath.ts"
import type { Deliver } from "./deliver.ts"
import type { Directory } from "./directory.ts"
import type { Feed } from "./feed.ts"
import { Lane } from "./lane.ts"

export interface EngineOptions {
  readonly ledger: Ledger
  readonly directory: Directory
  readonly deliver: Deliver
  readonly feed: Feed
  readonly aftermath: Aftermath
  readonly fence: number
  readonly now: () => number
  readonly log: Log
  /** Requests under way at a time, over all lanes. */
  readonly maxInFlight: number
  /** The latest time that a start before this one is known to have seen: the clock may have been put back since. */
  readonly seenUpTo?: number
}

/** How long to wait before asking again a store that could not be written. */
const STORE_RETRY_MS = 1_000
/** The longest sleep of the timer: work that appears without our knowing is found by then. */
const LONGEST_SLEEP_MS = 30_000
/** How many waiting deliveries of a switched-off integration end in one commit, or are brought forward in one. */
const PIECE = 500
/** A clock that was put back by less only makes what waits wait so much longer. */
const CLOCK_STEP_MS = 1_000

export class Engine {
  readonly #options: EngineOptions
  readonly #lanes = new Map<IntegrationId, Lane>()
  /** Lanes whose waiting deliveries are being ended; true where more may have come meanwhile. */
  readonly #ending = new Map<IntegrationId, boolean>()
  readonly #dirty = new Set<Lane>()
  #inFlight = 0
  #timer: NodeJS.Timeout | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #state: "stopped" | "running" | "stopping" = "stopped"
  #whenIdle: (() => void) | undefined
  /** What the clock showed last. */
  #lastSeen: number

  constructor(options: EngineOptions) {
    this.#options = options
    this.#lastSeen = options.seenUpTo ?? 0
  }

  /** Frees what an earlier start left under way, opens the lanes and begins to send. */
  async start(): Promise<void> {
    await this.#recordInterrupted()
    this.#state = "running"
    const { directory } = this.#options
    for (const { id } of directory.integrations()) this.refresh(id)
    // What a removal had not ended when the process did.
    for (const id of directory.removedIntegrations()) this.refresh(id)
  }

  /**
   * Stops claiming, then waits up to `graceMs` for requests under way. What has not ended by then is recorded as
   * interrupted and tried again after the next start.
   */
  async stop(graceMs: number): Promise<void> {
    this.#state = "stopping"
    clearTimeout(this.#timer)
    if (this.#inFlight > 0) {
      await new Promise<void>(resolve => {
        const limit = setTimeout(resolve, graceMs)
        this.#whenIdle = () => {
          clearTimeout(limit)
          resolve()
        }
      })
    }
    this.#state = "stopped"
  }

  /** Looks for due work at once, as if the timer had rung. */
  wake(): void {
    clearTimeout(this.#timer)
    this.#tick()
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** Lanes with what they hold, for the metrics and /readyz. */
  lanes(): readonly Lane[] {
    return [...this.#lanes.values()]
  }

  /** The fencing number for a delivery that is sent as soon as it is stored; null where it has to wait its turn. */
  reserve(integration: IntegrationId, now: number): number | null {
    if (this.#state !== "running" || this.#inFlight >= this.#options.maxInFlight) return null
    const lane = this.#lane(integration)
    if (!lane.reserve(now)) return null
    this.#inFlight++
    return this.#options.fence
  }

  /** Gives back what `reserve` took, when the event turned out to be a repeat or could not be stored. */
  giveBack(integration: IntegrationId): void {
    this.#lane(integration).release()
    this.#ended()
  }

  /** Sends a delivery whose place was reserved and whose claim is stored. */
  send(claim: Claim): void {
    void this.#carryOut(this.#lane(claim.delivery.integration), claim)
  }

  /**
   * Carries out a test at once, past the lane: whatever its state, and counted nowhere. It is one attempt: what would
   * be tried again has failed.
   */
  async test(claim: Claim): Promise<Settlement> {
    const settlement = await this.#options.deliver(claim)
    const { next } = settlement
    const once: Settlement =
      next.status === "retrying"
        ? { ...settlement, next: { status: "failed", reason: next.reason, disable: false } }
        : next.status === "failed"
          ? { ...settlement, next: { ...next, disable: false } }
          : settlement
    const [settled] = await this.#options.ledger.settle([once])
    if (settled !== undefined) this.#options.feed.settled(once, settled)
    return once
  }

  /** Notes that a delivery waits in the store until `at`. */
  expect(integration: IntegrationId, at: number): void {
    const lane = this.#lane(integration)
    lane.expect(at)
    // Switched off or removed while the event was on its way to the disk: nothing would ever send it.
    if (this.#options.directory.integration(integration)?.integration.enabled !== true) this.refresh(integration)
    else this.#pump(lane)
  }

  /** Takes over what was changed on an integration: its limits, paused, switched off, removed, … */
  refresh(id: IntegrationId): void {
    const lane = this.#lane(id)
    const live = this.#options.directory.integration(id)
    const open = live?.integration.enabled
    lane.setLimits({
      maxConcurrent: live?.integration.policy.maxConcurrent ?? 1,
      maxPerSecond: live?.integration.policy.maxPerSecond ?? null,
      held: live === undefined || !open || live.integration.paused,
    })
    if (open) {
      lane.expect(this.#time())
      this.#pump(lane)
    } else {
      const reason: Reason =
        live === undefined
          ? { code: "integration_removed", facts: {} }
          : {
              code: "integration_disabled",
              facts: { by: live.integration.disabledBy, cause: live.record.disabledReason },
            }
      void this.#endWaiting(id, reason)
    }
  }

  #lane(id: IntegrationId): Lane {
    let lane = this.#lanes.get(id)
    if (lane === undefined) {
      lane = new Lane(id, { maxConcurrent: 1, maxPerSecond: null, held: true }, null)
      this.#lanes.set(id, lane)
    }
    return lane
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
    if (this.#state !== "running") return
    const { ledger, fence, log } = this.#options
    const room = lane.beginClaim(this.#time(), this.#options.maxInFlight - this.#inFlight)
    if (room === 0) {
      this.#wakeFor(lane)
      return
    }
    this.#inFlight += room
    ledger.claim(lane.id, fence, room, this.#time()).then(
      ({ claims, nextAt }) => {
        this.#inFlight -= room - claims.length
        lane.claimed(room, claims.length, nextAt)
        for (const claim of claims) void this.#carryOut(lane, claim)
        this.#pump(lane)
        this.#checkIdle()
      },
      (error: unknown) => {
        this.#inFlight -= room
        lane.claimFailed(room, this.#time() + STORE_RETRY_MS)
        log.warn({ err: error }, "claim failed; trying again in a second")
        this.#wakeFor(lane)
        this.#checkIdle()
      },
    )
  }

  /** One delivery from build to settle. */
  async #carryOut(lane: Lane, claim: Claim): Promise<void> {
    const { deliver, log } = this.#options
    try {
      const settlement = await deliver(claim)
      await this.#settle(settlement)
    } catch (error) {
      // A bug: the delivery stays claimed and is recorded as interrupted at the next start; say so loudly.
      log.error({ err: error, delivery: claim.delivery }, "a delivery could not be carried out")
    } finally {
      lane.release()
      this.#ended()
      this.#pump(lane)
    }
  }

  async #settle(plain: Settlement): Promise<void> {
    const { directory, feed, aftermath } = this.#options
    const settlement = aftermath.of(plain, null)
    const settled = await this.#write(settlement)
    if (settled === undefined) return
    this.#setGoing(settlement.consequences?.emits ?? [], settled.emitted)
    if (settled.kind === "lease-lost") return
    const { next, claim } = settlement
    const { integration } = claim.delivery
    // Not on the lane alone: switched off or removed during the attempt, it would wait for good.
    if (next.status === "retrying") this.expect(integration, Math.ceil(next.at))
    // Its turn has come in the line of its ordering key.
    if (settled.released !== null) this.expect(integration, this.#time())
    feed.settled(settlement, settled)
    if (settled.change !== null) feed.changed(settled.change)
    if (next.status === "failed" && next.disable) {
      await directory.reload(integration)
      this.refresh(integration)
    }
  }

  /** Writes a settlement down, once: what the other side answered is known only here until it can be written. */
  async #write(settlement: Settlement): Promise<Settled | undefined> {
    for (;;) {
      try {
        return (await this.#options.ledger.settle([settlement]))[0]
      } catch (error) {
        if (!(error instanceof StoreUnavailable) || this.#state === "stopped") throw error
        await new Promise(resolve => setTimeout(resolve, STORE_RETRY_MS))
      }
    }
  }

  /** Operational events are on the disk: their deliveries may go. */
  #setGoing(arrivals: readonly Arrival[], emitted: readonly Accepted[]): void {
    for (const [index, { targets, withheld, receivedAt }] of arrivals.entries()) {
      const accepted = emitted[index]
      if (accepted?.kind !== "new") continue
      for (const { integration } of targets) this.expect(integration, receivedAt)
      const ids = targets.map(target => target.integration)
      this.#options.feed.accepted(accepted.event, ids, withheld)
    }
  }

  #ended(): void {
    const wasFull = this.#inFlight >= this.#options.maxInFlight
    this.#inFlight--
    // Lanes that found no room in all are not woken by an ending of their own.
    if (wasFull) for (const lane of this.#lanes.values()) this.#pump(lane)
    this.#checkIdle()
  }

  #checkIdle(): void {
    if (this.#inFlight === 0 && this.#state === "stopping") this.#whenIdle?.()
  }

  #wakeFor(lane: Lane): void {
    const now = this.#time()
    const at = lane.wakeAt(now)
    if (at !== null && at < this.#timerAt) this.#setTimer(at, now)
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
    for (const lane of this.#lanes.values()) this.#claim(lane)
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
    const { ledger, log } = this.#options
    log.warn("the clock was put back; deliveries that wait by the time that it showed before are brought forward")
    // Lanes that are opened meanwhile, as at a start, take their turn too.
    for (const lane of this.#lanes.values()) {
      let from: WaitingPlace | null = null
      let isDone = false
      while (!isDone && this.#state === "running") {
        try {
          from = await ledger.bringForward(lane.id, from, PIECE)
          isDone = from === null
        } catch (error) {
          log.warn({ err: error }, "what waits by the old time could not be brought forward; trying again in a second")
          await new Promise(resolve => setTimeout(resolve, STORE_RETRY_MS).unref())
        }
      }
      lane.expect(this.#time())
      this.#pump(lane)
    }
  }

  /** Ends what waits for an integration that is off or gone, piece by piece, so that nothing else has to wait. */
  async #endWaiting(id: IntegrationId, reason: Reason): Promise<void> {
    if (this.#ending.has(id)) {
      this.#ending.set(id, true)
      return
    }
    const { ledger, directory, log } = this.#options
    const isOff = () => this.#state === "running" && directory.integration(id)?.integration.enabled !== true
    try {
      let ended = PIECE
      while (isOff() && (ended === PIECE || this.#ending.get(id) === true)) {
        this.#ending.set(id, false)
        ended = await ledger.endWaiting(id, reason, PIECE)
      }
    } catch (error) {
      log.warn({ err: error, integration: id }, "waiting deliveries could not be ended; the next start goes on with it")
    } finally {
      this.#ending.delete(id)
    }
  }

  async #recordInterrupted(): Promise<void> {
    const { ledger, deliver, log } = this.#options
    let count = 0
    for (;;) {
      const lost = await ledger.lost(500)
      if (lost.length === 0) break
      await ledger.settle(lost.map(claim => deliver.interrupted(claim)))
      count += lost.length
    }
    if (count > 0) log.info({ count }, "attempts were under way when the last start ended; they are tried again")
  }
}
