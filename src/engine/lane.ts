/**
 * A lane carries one integration's deliveries: so many at a time, so many a second, oldest first. It is plain memory;
 * what waits stands in the store, and the lane knows only when the earliest of it is due. A lane asks for no more than
 * it has room for, so that one slow endpoint takes no other's places.
 *
 *   accepted, nothing waits, a place is free  → sent at once (its claim was stored with the event)
 *   accepted otherwise, or to be tried again  → waits in the store → claimed when due and a place is free
 *   its endpoint is in trouble                → held in the queue of its origin → claimed as its gate allows
 *   due again by a recovery                   → claimed with a share of the places, or all that nothing else needs
 */
import { Allowance } from "../domain/allowance.ts"
import type { Budget } from "../domain/budget.ts"
import type { IntegrationId } from "../domain/id.ts"
import { noProtection } from "../domain/policy-trouble.ts"
import { DUE, type Queue, RECOVERED } from "../domain/queue.ts"
import type { KeptLane } from "../store/ledger.ts"
import { type Choice, Gate } from "./gate.ts"

export interface LaneLimits {
  readonly maxConcurrent: number
  readonly maxPerSecond: number | null
  /** Nothing is sent: paused by a person, or switched off. */
  readonly held: boolean
  /** The rate that it shares with other lanes. */
  readonly budget?: Budget<IntegrationId> | null
}

/** What a place was taken for: the queue that its delivery came from, and whether the rate was charged with it. */
export interface Place {
  readonly queue: Queue
  readonly charged: boolean
}

/** That of what is sent at once, or taken from what is due. */
export const usualPlace: Place = { queue: DUE, charged: true }

/** Where nothing may be claimed although something waits (its time is about to come), it is looked at again so soon. */
const LOOK_AGAIN_MS = 20
/** The share of a lane's places that recovered deliveries get while others are due. */
const RECOVERED_SHARE = 1 / 4

export class Lane {
  readonly id: IntegrationId
  #gate: Gate
  #limits: LaneLimits
  #inFlight = 0
  /** What the process that held it before has not ended yet: that takes places, too. */
  #inFlightElsewhere = 0
  /** The claim that is on its way. */
  #claiming: Claiming | null = null
  /** When the earliest waiting delivery is due; null where none waits. May be too early, never too late. */
  #nextAt: number | null
  #expectations = 0
  /** Whether recovered deliveries may wait, how often that was said, and how many of them are under way. */
  #hasRecovered = false
  #recoveries = 0
  #recoveredInFlight = 0
  #isRecoveredsTurn = false
  #rate: Allowance | null
  /** Requests under way by the budget that they were charged to, today's last: the lane may have left one meanwhile. */
  readonly #charges: Charge[] = []
  /** What the clock showed when it was last asked for room. */
  #lastAt = 0
  /** After a claim that failed, the queues of origins and recoveries are left alone until then. */
  #othersFrom = 0

  constructor(id: IntegrationId, limits: LaneLimits, nextAt: number | null) {
    this.id = id
    this.#gate = emptyGate(limits)
    this.#limits = limits
    this.#nextAt = nextAt
    this.#rate = limits.maxPerSecond === null ? null : new Allowance(limits.maxPerSecond, true)
  }

  setLimits(limits: LaneLimits): void {
    const { maxPerSecond } = limits
    if (maxPerSecond !== this.#limits.maxPerSecond) {
      // With what the old rate had left: a change back and forth gives nothing.
      const left = this.#rate === null || this.#rate.roomAt(this.#lastAt) >= 1
      this.#rate = maxPerSecond === null ? null : new Allowance(maxPerSecond, left, this.#lastAt)
    }
    this.#limits = limits
  }

  /** Forgets all that it knew but what is under way: another process has been at it, or is. */
  forget(): void {
    this.#inFlightElsewhere = 0
    this.#gate = emptyGate(this.#limits)
    this.#nextAt = null
    this.#expectations = 0
    this.#hasRecovered = false
    this.#recoveries = 0
    this.#othersFrom = 0
  }

  /** Takes up what an earlier start kept. Its endpoints' rules come with the limits. */
  restore(kept: KeptLane, now: number): void {
    this.#gate.restore(kept, now)
    if (kept.hasRecovered) this.expectRecovered()
  }

  /** Begins as if it had just sent as much as it may: nobody knows how much an earlier start sent a moment ago. */
  startAnew(now: number): void {
    const { maxPerSecond } = this.#limits
    if (maxPerSecond !== null) this.#rate = new Allowance(maxPerSecond, false, now)
  }

  /** What its endpoints bear. */
  get gate(): Gate {
    return this.#gate
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** Takes note of how many requests the process has under way that held it before. */
  shareWith(inFlightElsewhere: number): void {
    this.#inFlightElsewhere = inFlightElsewhere
  }

  get nextAt(): number | null {
    return this.#nextAt
  }

  /** Whether it knows of nothing that is due. */
  isIdleAt(now: number): boolean {
    return this.#claiming === null && (this.#nextAt === null || this.#nextAt > now)
  }

  /** Whether it knows that recovered deliveries wait. */
  get knowsOfRecovered(): boolean {
    return this.#hasRecovered
  }

  get isHeld(): boolean {
    return this.#limits.held
  }

  /** Requests that it may have under way now: the policy's, or what the endpoint bears, less those of its last holder. */
  get places(): number {
    return Math.max(0, Math.min(this.#limits.maxConcurrent, this.#gate.places) - this.#inFlightElsewhere)
  }

  get budget(): Budget<IntegrationId> | null {
    return this.#limits.budget ?? null
  }

  /** Takes a place for a delivery that is being accepted; false where it has to wait in the store. */
  reserve(now: number): boolean {
    const othersWait = this.#nextAt !== null && this.#nextAt <= now
    if (othersWait || this.#claiming !== null || !this.#gate.isClearAt(now) || this.roomAt(now) < 1) return false
    this.#take(1, true, now)
    return true
  }

  /** Takes a place for a delivery that a person wants tried now, before all that waits. */
  reserveByHand(now: number): boolean {
    if (this.roomAt(now) < 1) return false
    this.#take(1, true, now)
    return true
  }

  /** Gives back a place. Of one that came to no request (`sent`: false) the rate is not charged. */
  release(sent = true, place: Place = usualPlace): void {
    this.#inFlight--
    if (place.queue === RECOVERED) this.#recoveredInFlight--
    if (sent && !place.charged) this.#charge(1, this.#lastAt)
    if (!sent && place.charged) this.#uncharge(1)
    if (sent) this.#endCharge()
  }

  /** Notes that a delivery waits in the store until `at`. */
  expect(at: number): void {
    this.#expectations++
    if (this.#nextAt === null || at < this.#nextAt) this.#nextAt = at
  }

  /** Notes that a recovery has made deliveries due. */
  expectRecovered(): void {
    this.#recoveries++
    this.#hasRecovered = true
  }

  /** How many requests may start now. */
  roomAt(now: number): number {
    const room = this.#ownRoomAt(now)
    const { budget } = this.#limits
    return budget === undefined || budget === null || room < 1 ? room : Math.min(room, budget.roomFor(this.id, now))
  }

  /** The places of the claim that is on its way. */
  get claimedPlace(): Place {
    return this.#claiming?.place ?? usualPlace
  }

  /**
   * Begins a claim where something is due and there is room for it: the number of places taken for it, else 0. Each
   * beginning ends with `claimed` or `claimFailed`.
   */
  beginClaim(now: number, atMost: number): number {
    if (this.#claiming !== null || this.#limits.held) return 0
    const choice = this.#choose(now)
    if (choice === null) return 0
    const { queue, sends } = choice
    // What is only marked as skipped sends nothing, so no rate holds it up.
    const places = sends ? this.roomAt(now) : this.places - this.#inFlight
    const room = Math.min(places, choice.room, atMost)
    if (room < 1) {
      if (sends && atMost > 0 && this.#ownRoomAt(now) > 0) this.#limits.budget?.wait(this.id, now)
      return 0
    }
    this.#gate.took(queue)
    this.#isRecoveredsTurn = queue !== RECOVERED
    const seen = queue === RECOVERED ? this.#recoveries : this.#gate.holdsOf(queue)
    this.#claiming = { place: { queue, charged: sends }, seen, at: now }
    if (queue === DUE) this.#expectations = 0
    if (queue === RECOVERED) this.#recoveredInFlight += room
    this.#take(room, sends, now)
    return room
  }

  /** Ends a claim: how many were asked for and got, and when the next of those that still wait in its queue is due. */
  claimed(asked: number, got: number, nextAt: number | null): void {
    const { place, seen, at } = this.#endClaim(asked - got)
    const { queue } = place
    // Something may have begun to wait while the claim was on its way.
    if (queue === RECOVERED) {
      if (nextAt === null && this.#recoveries === seen) this.#hasRecovered = false
    } else if (queue !== DUE) {
      if (nextAt === null && this.#gate.holdsOf(queue) === seen) this.#gate.emptied(queue, at)
    } else {
      // Then the earlier of both, to be on the safe side.
      const known = this.#expectations > 0 ? this.#nextAt : null
      this.#nextAt = known === null ? nextAt : nextAt === null ? known : Math.min(known, nextAt)
    }
  }

  /** Ends a claim that the store could not carry out: look again at `retryAt`. */
  claimFailed(asked: number, retryAt: number): void {
    const { queue } = this.#endClaim(asked).place
    if (queue === DUE) this.#nextAt = retryAt
    else this.#othersFrom = retryAt
  }

  /** When this lane has something to do by itself: null where only an arrival or an ending can change that. */
  wakeAt(now: number): number | null {
    if (this.#limits.held || this.#claiming !== null || this.#inFlight >= this.places) return null
    const at = this.#waitsUntil(now)
    if (at === null || at > now) return at
    const choice = this.#choose(now)
    if (choice === null) return now + LOOK_AGAIN_MS
    if (!choice.sends || this.roomAt(now) >= 1) return at
    const { budget } = this.#limits
    return Math.max(now + 1, this.#rate?.opensAt(now) ?? now, budget?.opensAt(this.id, now) ?? now)
  }

  /** Whatever those say that share its budget. */
  #ownRoomAt(now: number): number {
    this.#lastAt = now
    if (this.#limits.held) return 0
    const places = Math.max(0, this.places - this.#inFlight)
    return this.#rate === null || places === 0 ? places : Math.min(places, this.#rate.roomAt(now))
  }

  #waitsUntil(now: number): number | null {
    const first = this.#gate.isClearAt(now) ? this.#nextAt : this.#gate.wakeAt(now, this.#nextAt)
    const others = this.#hasRecovered && this.#recoveredPlaces(now) > 0 ? Math.max(now, this.#othersFrom) : null
    if (first === null || others === null) return first ?? others
    return Math.min(first, others)
  }

  #choose(now: number): Choice | null {
    const isDue = this.#nextAt !== null && this.#nextAt <= now
    const first = this.#gate.isClearAt(now) ? (isDue ? anyDue : null) : this.#gate.choose(now, isDue)
    const known = first !== null && first.queue !== DUE && now < this.#othersFrom ? null : first
    const places = this.#hasRecovered && now >= this.#othersFrom ? this.#recoveredPlaces(now) : 0
    if (places < 1 || (known !== null && !this.#isRecoveredsTurn)) return known
    return { queue: RECOVERED, room: places, sends: true }
  }

  /** Places for recovered deliveries: a share while something else is due, at least one; none while nothing can be sent. */
  #recoveredPlaces(now: number): number {
    if (this.#gate.blockAt(now) !== null) return 0
    const { maxConcurrent } = this.#limits
    if (this.#nextAt === null || this.#nextAt > now) return maxConcurrent
    return Math.max(1, Math.floor(maxConcurrent * RECOVERED_SHARE)) - this.#recoveredInFlight
  }

  #endClaim(unused: number): Claiming {
    const claiming = this.#claiming ?? { place: usualPlace, seen: 0, at: this.#lastAt }
    this.#claiming = null
    this.#inFlight -= unused
    if (claiming.place.queue === RECOVERED) this.#recoveredInFlight -= unused
    if (claiming.place.charged) this.#uncharge(unused)
    return claiming
  }

  #take(places: number, charged: boolean, now: number): void {
    this.#inFlight += places
    if (charged) this.#charge(places, now)
  }

  #charge(requests: number, now: number): void {
    this.#rate?.take(requests)
    const budget = this.budget
    budget?.take(this.id, requests, now)
    const last = this.#charges.at(-1)
    if (last !== undefined && last.budget === budget) last.requests += requests
    else this.#charges.push({ budget, requests })
  }

  #uncharge(requests: number): void {
    if (requests === 0) return
    this.#rate?.giveBack(requests)
    // What did not begin was charged last.
    for (let left = requests; left > 0; ) {
      const charge = this.#charges.at(-1)
      if (charge === undefined) return
      const some = Math.min(left, charge.requests)
      charge.budget?.giveBack(some, this.#lastAt)
      charge.requests -= some
      left -= some
      if (charge.requests === 0) this.#charges.pop()
    }
  }

  /** A request has ended. Which one does not matter to a budget, only that each is ended once, where it was charged. */
  #endCharge(): void {
    const [charge] = this.#charges
    if (charge === undefined) return
    charge.budget?.ended()
    charge.requests--
    if (charge.requests === 0) this.#charges.shift()
  }
}

interface Charge {
  readonly budget: Budget<IntegrationId> | null
  requests: number
}

interface Claiming {
  readonly place: Place
  /** How often something was said to wait in its queue. */
  readonly seen: number
  readonly at: number
}

const anyDue: Choice = { queue: DUE, room: Number.POSITIVE_INFINITY, sends: true }

/** Of which nothing is known yet; its rules come with the limits. */
function emptyGate({ maxConcurrent }: LaneLimits): Gate {
  return new Gate({ protection: noProtection, places: maxConcurrent, environments: 1, budget: null })
}
