/**
 * A lane carries one integration's deliveries: so many at a time, so many a second, oldest first. It is plain memory;
 * what waits stands in the store, and the lane knows only when the earliest of it is due. A lane asks for no more than
 * it has room for, so that one slow endpoint takes no other's places.
 *
 *   accepted, nothing waits, a place is free  → sent at once (its claim was stored with the event)
 *   accepted otherwise, or to be tried again  → waits in the store → claimed when due and a place is free
 */
import type { IntegrationId } from "../domain/id.ts"

export interface LaneLimits {
  readonly maxConcurrent: number
  readonly maxPerSecond: number | null
  /** Nothing is sent: paused by a person, or switched off. */
  readonly held: boolean
}

export class Lane {
  readonly id: IntegrationId
  #limits: LaneLimits
  #inFlight = 0
  #claiming = false
  /** When the earliest waiting delivery is due; null where none waits. May be too early, never too late. */
  #nextAt: number | null
  #expectations = 0
  /** Requests that may start now under `maxPerSecond`; refilled as time passes, at most a second's worth. */
  #tokens: number
  #refilledAt = 0

  constructor(id: IntegrationId, limits: LaneLimits, nextAt: number | null) {
    this.id = id
    this.#limits = limits
    this.#nextAt = nextAt
    this.#tokens = burstOf(limits)
  }

  setLimits(limits: LaneLimits): void {
    this.#limits = limits
    this.#tokens = Math.min(this.#tokens, burstOf(limits))
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get nextAt(): number | null {
    return this.#nextAt
  }

  get isHeld(): boolean {
    return this.#limits.held
  }

  /** Takes a place for a delivery that is being accepted; false where it has to wait in the store. */
  reserve(now: number): boolean {
    const othersWait = this.#nextAt !== null && this.#nextAt <= now
    if (othersWait || this.#claiming || this.roomAt(now) < 1) return false
    this.#take(1)
    return true
  }

  /** Gives back a place: its delivery has ended, or came to nothing. */
  release(): void {
    this.#inFlight--
  }

  /** Notes that a delivery waits in the store until `at`. */
  expect(at: number): void {
    this.#expectations++
    if (this.#nextAt === null || at < this.#nextAt) this.#nextAt = at
  }

  /** How many requests may start now. */
  roomAt(now: number): number {
    const { held, maxConcurrent, maxPerSecond } = this.#limits
    if (held) return 0
    const places = maxConcurrent - this.#inFlight
    if (maxPerSecond === null || places <= 0) return Math.max(0, places)
    this.#refill(now, maxPerSecond)
    return Math.min(places, Math.floor(this.#tokens))
  }

  /**
   * Begins a claim where something is due and there is room for it: the number of places taken for it, else 0. Each
   * beginning ends with `claimed` or `claimFailed`.
   */
  beginClaim(now: number, atMost: number): number {
    if (this.#claiming || this.#nextAt === null || this.#nextAt > now) return 0
    const room = Math.min(this.roomAt(now), atMost)
    if (room < 1) return 0
    this.#claiming = true
    this.#expectations = 0
    this.#take(room)
    return room
  }

  /** Ends a claim: how many were asked for and got, and when the next of those that still wait is due. */
  claimed(asked: number, got: number, nextAt: number | null): void {
    this.#giveBack(asked - got)
    // Something may have begun to wait while the claim was on its way: then the earlier of both, to be on the safe side.
    const known = this.#expectations > 0 ? this.#nextAt : null
    this.#nextAt = known === null ? nextAt : nextAt === null ? known : Math.min(known, nextAt)
  }

  /** Ends a claim that the store could not carry out: look again at `retryAt`. */
  claimFailed(asked: number, retryAt: number): void {
    this.#giveBack(asked)
    this.#nextAt = retryAt
  }

  /** When this lane has something to do by itself: null where only an arrival or an ending can change that. */
  wakeAt(now: number): number | null {
    const { held, maxConcurrent, maxPerSecond } = this.#limits
    if (held || this.#claiming || this.#nextAt === null || this.#inFlight >= maxConcurrent) return null
    if (maxPerSecond === null || this.roomAt(now) >= 1) return this.#nextAt
    const tokenAt = now + Math.ceil(((1 - this.#tokens) / maxPerSecond) * 1_000)
    return Math.max(this.#nextAt, tokenAt)
  }

  #take(places: number): void {
    this.#inFlight += places
    if (this.#limits.maxPerSecond !== null) this.#tokens -= places
  }

  #giveBack(places: number): void {
    this.#claiming = false
    this.#inFlight -= places
    if (this.#limits.maxPerSecond !== null) this.#tokens += places
  }

  #refill(now: number, perSecond: number): void {
    // A clock that went back refills nothing, and one that leapt ahead no more than the burst.
    const elapsedMs = Math.max(0, now - this.#refilledAt)
    this.#tokens = Math.min(burstOf(this.#limits), this.#tokens + (elapsedMs * perSecond) / 1_000)
    this.#refilledAt = now
  }
}

/** Small, so that a minute's requests stay within a few of its rate: a tenth of a second's worth, at least one. */
function burstOf({ maxPerSecond }: LaneLimits): number {
  return maxPerSecond === null ? 0 : Math.max(1, maxPerSecond / 10)
}
