/**
 * A budget is the rate that the other side grants to one account, which several integrations share. It is learned from
 * answers: nobody sends while it is used up, and what is left of it is spread over the time that it is for.
 */
import type { RateAnswer } from "./rate-answer.ts"

/** Requests that are late make up for so much of the time that they lost, and no more. */
const CATCH_UP_MS = 100
/** Whoever has asked for room within this time waits for its turn. */
const TURN_MS = 1_000
/** How long one that has to let another go first waits before it asks again. */
const ASK_AGAIN_MS = 50

/** All times are ms since 1970. `Who` tells those that share it apart. */
export class Budget<Who> {
  #pause: { readonly until: number; readonly ms: number } | null = null
  #window: Window | null = null
  /** When the next request may begin. */
  #nextAt = 0
  #underWay = 0
  /** Those that have asked in vain, the longest waiting first, and when they did so last. */
  readonly #waiting = new Map<Who, number>()

  /** What whoever goes on with it has to know; null where it holds nothing back. */
  get kept(): KeptBudget | null {
    if (this.#pause === null && this.#window === null) return null
    return { pause: this.#pause, window: this.#window, nextAt: this.#nextAt }
  }

  /** Goes on where another stood, unless something was learned here. */
  restore({ pause, window, nextAt }: KeptBudget): void {
    if (this.kept !== null) return
    this.#pause = pause
    this.#window = window
    this.#nextAt = nextAt
  }

  /** How many requests one of those that share it may begin now. */
  roomFor(who: Who, now: number): number {
    const room = this.#roomAt(now)
    if (room === Number.POSITIVE_INFINITY) return room
    if (room < 1 || this.#isBehind(who, now)) return 0
    // One at a time where others wait, so that all of them get on.
    return this.#waiting.size > (this.#waiting.has(who) ? 1 : 0) ? 1 : room
  }

  /** Notes that it was asked for room and had none: then it is its turn before that of those who ask later. */
  wait(who: Who, now: number): void {
    this.#waiting.set(who, now)
  }

  /** Charges it with requests that are about to begin. */
  take(who: Who, requests: number, now: number): void {
    this.#waiting.delete(who)
    this.#underWay += requests
    this.#move(requests, now)
  }

  /** Takes back what was charged: those requests did not begin. */
  giveBack(requests: number, now: number): void {
    this.#underWay = Math.max(0, this.#underWay - requests)
    this.#move(-requests, now)
  }

  /** One of its requests has ended. */
  ended(): void {
    this.#underWay = Math.max(0, this.#underWay - 1)
  }

  /** When it is worth asking again; now where it holds nothing back. */
  opensAt(who: Who, now: number): number {
    const pausedUntil = this.#pausedUntil(now)
    if (pausedUntil !== null) return pausedUntil
    const window = this.#windowAt(now)
    if (window === null) return now
    if (window.remaining < 1) return window.resetAt
    if (now < this.#nextAt) return Math.ceil(this.#nextAt)
    return this.#isBehind(who, now) ? now + ASK_AGAIN_MS : now
  }

  /** Until when nobody sends, where it is used up; else null. */
  usedUpUntil(now: number): number | null {
    const window = this.#windowAt(now)
    return this.#pausedUntil(now) ?? (window !== null && window.remaining < 1 ? window.resetAt : null)
  }

  /** Learns from an answer: what it grants, and how long a 429 asked to be left alone. Its request has not `ended` yet. */
  learn(answer: RateAnswer | null, pauseMs: number | null, now: number): void {
    if (pauseMs !== null && pauseMs > 0) {
      const until = Math.max(now + pauseMs, this.#pausedUntil(now) ?? 0)
      this.#pause = { until, ms: until - now }
    }
    if (answer === null) return
    const { remaining, resetMs, limit, windowMs } = answer
    // The other side may not have seen the others that are under way when it said how many are left.
    const left = Math.max(0, remaining - Math.max(0, this.#underWay - 1))
    this.#window = { remaining: left, resetAt: now + resetMs, resetMs, limit, windowMs }
    this.#nextAt = Math.min(Math.max(this.#nextAt, now), now + this.#intervalAt(now))
  }

  #roomAt(now: number): number {
    if (this.#pausedUntil(now) !== null) return 0
    const window = this.#windowAt(now)
    if (window === null) return Number.POSITIVE_INFINITY
    if (window.remaining < 1 || now < this.#nextAt) return 0
    const late = Math.min(now - this.#nextAt, CATCH_UP_MS)
    return Math.min(window.remaining, 1 + Math.floor(late / this.#intervalAt(now)))
  }

  #move(requests: number, now: number): void {
    const window = this.#windowAt(now)
    if (window === null) return
    const interval = this.#intervalAt(now)
    this.#window = { ...window, remaining: Math.max(0, window.remaining - requests) }
    this.#nextAt = Math.max(this.#nextAt, now - CATCH_UP_MS) + requests * interval
  }

  #intervalAt(now: number): number {
    const { resetAt, remaining } = this.#window ?? { resetAt: now, remaining: 1 }
    return Math.max(0, resetAt - now) / Math.max(1, remaining)
  }

  #pausedUntil(now: number): number | null {
    if (this.#pause === null) return null
    // Over, or made before the clock was put back.
    if (now >= this.#pause.until || this.#pause.until - now > this.#pause.ms) this.#pause = null
    return this.#pause?.until ?? null
  }

  /** The window that runs. Once it is over the next one begins, as far as it is known; else whatever goes shows it. */
  #windowAt(now: number): Window | null {
    const window = this.#window
    if (window === null) return null
    const isAhead = window.resetAt - now > Math.max(window.resetMs, window.windowMs ?? 0)
    if (now < window.resetAt && !isAhead) return window
    const { limit, windowMs } = window
    const next = { remaining: limit ?? 0, resetAt: now + (windowMs ?? 0), resetMs: windowMs ?? 0, limit, windowMs }
    this.#window = limit === null || windowMs === null || isAhead ? null : next
    this.#nextAt = now
    return this.#window
  }

  #isBehind(who: Who, now: number): boolean {
    for (const [other, askedAt] of this.#waiting) {
      if (other === who) return false
      if (Math.abs(now - askedAt) <= TURN_MS) return true
      this.#waiting.delete(other)
    }
    return false
  }
}

/** A budget as it is kept: plain values. */
export interface KeptBudget {
  readonly pause: { readonly until: number; readonly ms: number } | null
  readonly window: Window | null
  readonly nextAt: number
}

interface Window {
  readonly remaining: number
  readonly resetAt: number
  /** How long it was when it was learned: a clock that is put back does not make it longer. */
  readonly resetMs: number
  readonly limit: number | null
  readonly windowMs: number | null
}
