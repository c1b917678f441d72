/**
 * The gate of a lane: what its endpoints bear. It asks the protection of an origin before each request, holds the lane
 * while an answer asked to be left alone, and says from which queue the lane claims next: while an origin is in trouble
 * what is due for it is set aside in a queue of its own, oldest first, and goes from there when it is back.
 *
 * An origin in trouble costs its lane nothing but this: a bounded number of deliveries a second is marked as skipped; what
 * is not marked yet simply waits as due. Nothing is rewritten when it comes back.
 */
import { Allowance } from "../domain/allowance.ts"
import type { Budget } from "../domain/budget.ts"
import { type Congestion, cut, grow, showsStrain } from "../domain/congestion.ts"
import type { Outcome } from "../domain/delivery.ts"
import { HOUR_MS } from "../domain/duration.ts"
import type { Environment } from "../domain/event.ts"
import type { Answer } from "../domain/exchange.ts"
import type { IntegrationId } from "../domain/id.ts"
import { rateFromJson, rateToJson } from "../domain/kept-rate.ts"
import type { ProtectionPolicy } from "../domain/policy-trouble.ts"
import {
  type Held,
  Protection,
  type ProtectionState,
  signOf,
  statesFromJson,
  statesToJson,
  type Ticket,
} from "../domain/protection.ts"
import { DUE, type Queue, queueOf } from "../domain/queue.ts"
import { rateOf } from "../domain/rate-answer.ts"
import type { KeptLane } from "../store/ledger.ts"
import type { LaneNews, Turn } from "./aftermath.ts"

export interface GateRules {
  readonly protection: ProtectionPolicy
  /** Requests that the policy allows at a time. */
  readonly places: number
  /** How many environments have an endpoint; each may have an origin of its own. */
  readonly environments: number
  /** What learns from answers which rate the other side grants. */
  readonly budget: Budget<IntegrationId> | null
}

/** What a request asks to pass the gate for. */
export interface Passing {
  readonly origin: string
  readonly environment: Environment
  /** Its place in the order, and the queue that it was claimed from. */
  readonly dueAt: number
  readonly queue: Queue
}

/** An attempt that has ended. Times are ms since 1970. */
export interface Ended {
  readonly outcome: Outcome
  readonly isSuccess: boolean
  readonly answer: Answer | null
  readonly startedAt: number
  readonly endedAt: number
}

/**
 * Why a request may not go now. `skip`: its endpoint rests. `join`: others of its endpoint are before it, or the endpoint
 * has asked to be left alone (`pausedUntil`).
 */
export interface HeldBack {
  readonly kind: "skip" | "join"
  readonly held: Held
  readonly state: ProtectionState
  readonly pausedUntil: number | null
}

/** What `deliver` sees of the gate; a test of an endpoint passes none. */
export interface Passage {
  admit(passing: Passing, now: number): Ticket | HeldBack
  ended(origin: string, ticket: Ticket, ended: Ended): void
}

/** What a lane claims next: up to `room` of a queue. `sends`: false where they are only marked as skipped. */
export interface Choice {
  readonly queue: Queue
  readonly room: number
  readonly sends: boolean
}

/** How one origin stands, for people. */
export interface OriginView {
  readonly origin: string
  readonly queue: Queue
  readonly state: ProtectionState
  /** When the next attempt may begin, where a time is set. */
  readonly opensAt: number | null
  /** It asked to be left alone until then. */
  readonly pausedUntil: number | null
}

/** So many deliveries a second are marked while nothing can be sent, */
const MARKS_PER_SECOND = 200
/** and so many are set aside to get at those of an origin that is well. */
const PASSED_PER_SECOND = 1_000
/** `Retry-After` holds a whole lane for no longer. */
const LONGEST_PAUSE_MS = HOUR_MS
/** A 429 that says nothing of its time holds those that share a budget for so long. */
const UNSAID_PAUSE_MS = 1_000

interface Origin {
  readonly name: string
  readonly queue: Queue
  readonly protection: Protection
  pause: { readonly until: number; readonly ms: number } | null
}

export class Gate implements Passage {
  #rules: GateRules
  readonly #origins = new Map<string, Origin>()
  /** The origin that the last request of an environment went to. */
  readonly #current: Partial<Record<Environment, string>> = {}
  /** Queues in which something may be held, and how often something was added. */
  readonly #held = new Map<Queue, number>()
  readonly #marks = new Allowance(MARKS_PER_SECOND, true)
  readonly #passed = new Allowance(PASSED_PER_SECOND, true)
  #congestion: Congestion | null = null
  #underWay = 0
  #isClear = true
  #isHeldsTurn = true
  /** Whether anything of `kept` has changed since it was last told, and the turns since then. */
  #hasChanged = false
  #turns: Turn[] = []

  constructor(rules: GateRules) {
    this.#rules = rules
  }

  setRules(rules: GateRules, now: number): void {
    const before = this.#rules
    this.#rules = rules
    for (const { protection } of this.#origins.values()) protection.setPolicy(rules.protection)
    if (before.protection.enabled && !rules.protection.enabled) this.#hasChanged = true
    if (this.#congestion !== null && this.#congestion.limit >= rules.places) this.#congestion = null
    this.#look(now)
  }

  /** The configuration was changed: what rests is tried with it at once. */
  tryAtOnce(now: number): void {
    for (const origin of this.#origins.values()) {
      origin.protection.endRest(now)
      origin.pause = null
    }
    this.#look(now)
  }

  /** Takes up where an earlier start left it. */
  restore(kept: KeptLane, now: number): void {
    for (const queue of kept.held) this.#held.set(queue, 0)
    const { enabled } = this.#rules.protection
    for (const [name, state] of statesFromJson(kept.protection)) if (enabled) this.#make(name, state)
    const { pauses, congestion, budget } = rateFromJson(kept.rate)
    if (budget !== null) this.#rules.budget?.restore(budget)
    for (const [name, pause] of pauses) {
      const origin = this.#origins.get(name) ?? this.#make(name)
      origin.pause = pause
    }
    if (congestion !== null && congestion.limit < this.#rules.places) this.#congestion = congestion
    this.#look(now)
  }

  /** Whether nothing is in trouble and nothing held: then the lane takes the short way. */
  isClearAt(now: number): boolean {
    if (!this.#isClear) this.#look(now)
    return this.#isClear
  }

  /** Requests that the endpoints bear at a time. */
  get places(): number {
    const { places } = this.#rules
    return this.#congestion === null ? places : Math.min(places, Math.floor(this.#congestion.limit))
  }

  admit(passing: Passing, now: number, byHand = false): Ticket | HeldBack {
    const { origin: name, environment, dueAt, queue } = passing
    const origin = this.#origins.get(name) ?? this.#make(name)
    if (this.#current[environment] !== name) this.#moveTo(name, environment, now)
    const { protection } = origin
    const isClosed = protection.isClosed
    if (!this.#isClear) {
      const pausedUntil = pauseAt(origin, now)
      const held = { origin: name, queue: origin.queue, dueAt }
      const state = protection.state
      if (pausedUntil !== null) return this.#holdBack({ kind: "join", held, state, pausedUntil })
      const othersAreBefore = !byHand && queue !== origin.queue && this.#held.has(origin.queue)
      if (othersAreBefore && (isClosed || state.state === "easing"))
        return this.#holdBack({ kind: "join", held, state, pausedUntil: null })
    }
    const ticket = protection.enter(now, byHand)
    if (ticket === null) {
      const { state } = protection
      const kind = state.state === "easing" ? "join" : "skip"
      return this.#holdBack({ kind, held: { origin: name, queue: origin.queue, dueAt }, state, pausedUntil: null })
    }
    this.#underWay++
    return ticket
  }

  /** The same gate for a delivery that a person wants tried now. */
  byHand(): Passage {
    return {
      admit: (passing, now) => this.admit(passing, now, true),
      ended: (origin, ticket, ended) => this.ended(origin, ticket, ended),
    }
  }

  ended(name: string, ticket: Ticket, ended: Ended): void {
    const { outcome, isSuccess, startedAt, endedAt: now } = ended
    const underWay = this.#underWay--
    if (showsStrain(outcome)) {
      const before = this.#congestion
      this.#congestion = cut(before, { startedAt, now, underWay, places: this.#rules.places })
      // Growing again is not written down: whoever goes on begins with the least that it bore.
      if (this.#congestion !== before) this.#hasChanged = true
      this.#pause(name, ended)
    } else if (isSuccess && this.#congestion !== null) this.#congestion = grow(this.#congestion, this.#rules.places)
    if (this.#rules.budget !== null) learn(this.#rules.budget, ended)
    const origin = this.#origins.get(name)
    if (origin === undefined) return
    const change = origin.protection.leave(ticket, signOf(outcome, isSuccess), now, this.#rules.places)
    if (change === null) return
    this.#look(now)
    this.#hasChanged = true
    if (change.kind !== "moved") this.#turns.push({ ...change, origin: name })
  }

  /** Notes that something is held in a queue. */
  hold(queue: Queue): void {
    this.#held.set(queue, (this.#held.get(queue) ?? 0) + 1)
    this.#isClear = false
  }

  /** How often something was held in a queue: to tell whether anything was while a claim was on its way. */
  holdsOf(queue: Queue): number {
    return this.#held.get(queue) ?? 0
  }

  /** A claim found the queue empty, and nothing was held in it since. */
  emptied(queue: Queue, now: number): void {
    this.#held.delete(queue)
    this.#look(now)
  }

  /** All that has changed since it was last asked, to be kept and told; null where nothing has. */
  takeNews(): LaneNews | null {
    if (!this.#hasChanged) return null
    const turns = this.#turns
    this.#hasChanged = false
    this.#turns = []
    return { turns, ...this.kept() }
  }

  /** What whoever goes on with the lane has to know. */
  kept(): { readonly protection: string | null; readonly rate: string | null } {
    const states = [...this.#origins.values()].map(({ name, protection }) => [name, protection.state] as const)
    const pauses = [...this.#origins.values()].flatMap(({ name, pause }) =>
      pause === null ? [] : [[name, pause] as const],
    )
    const budget = this.#rules.budget?.kept ?? null
    return { protection: statesToJson(states), rate: rateToJson({ pauses, congestion: this.#congestion, budget }) }
  }

  /** What to claim next; null where nothing may be. `isDue`: whether something is due in the lane. */
  choose(now: number, isDue: boolean): Choice | null {
    const candidates = this.#candidates()
    const isBlocked = candidates?.every(origin => !this.#isFree(origin, now)) ?? false
    const held = this.#heldChoice(now)
    if (!isDue) return held
    if (!isBlocked) {
      const room = this.#passed.roomAt(now)
      if (held !== null && (this.#isHeldsTurn || room < 1)) return held
      return room < 1 ? null : { queue: DUE, room, sends: true }
    }
    if (held !== null) return held
    const room = this.#roomOfDue(candidates ?? [], now)
    if (room > 0) return { queue: DUE, room, sends: true }
    const marks = (candidates ?? []).some(isResting) ? this.#marks.roomAt(now) : 0
    return marks < 1 ? null : { queue: DUE, room: marks, sends: false }
  }

  /** Notes that a claim takes from a queue: others take their turn next. */
  took(queue: Queue): void {
    this.#isHeldsTurn = queue === DUE
    const holds = this.#held.get(queue)
    if (holds === undefined) return
    this.#held.delete(queue)
    this.#held.set(queue, holds)
  }

  /** When there is something to choose by itself; null where only an arrival or an ending can change that. */
  wakeAt(now: number, dueAt: number | null): number | null {
    const times: number[] = []
    for (const queue of this.#held.keys()) times.push(this.#opensAt(this.#originOf(queue), now))
    if (dueAt !== null) {
      const candidates = this.#candidates()
      const isBlocked = candidates?.every(origin => !this.#isFree(origin, now)) ?? false
      if (!isBlocked) times.push(Math.max(dueAt, this.#passed.opensAt(now)))
      for (const origin of isBlocked ? (candidates ?? []) : []) {
        if (!this.#held.has(origin.queue)) times.push(Math.max(dueAt, this.#opensAt(origin, now)))
        if (isResting(origin)) times.push(Math.max(dueAt, this.#marks.opensAt(now)))
      }
    }
    const at = Math.min(...times)
    return at === Number.POSITIVE_INFINITY ? null : at
  }

  /** How the origins stand that are in trouble, and those that the lane sends to. */
  view(now: number): readonly OriginView[] {
    return [...this.#origins.values()].map(origin => {
      const opensAt = this.#opensAt(origin, now)
      return {
        origin: origin.name,
        queue: origin.queue,
        state: origin.protection.state,
        opensAt: opensAt === Number.POSITIVE_INFINITY ? null : opensAt,
        pausedUntil: pauseAt(origin, now),
      }
    })
  }

  /** Whether nothing that is due can be sent, for a person who reads why it waits. */
  blockAt(now: number): OriginView | null {
    const candidates = this.#isClear ? null : this.#candidates()
    if (candidates === null || candidates.some(origin => this.#isFree(origin, now))) return null
    return this.view(now).find(({ origin }) => candidates.some(({ name }) => name === origin)) ?? null
  }

  #heldChoice(now: number): Choice | null {
    for (const queue of this.#held.keys()) {
      const origin = this.#originOf(queue)
      const room = origin === undefined ? Number.POSITIVE_INFINITY : this.#roomOf(origin, now)
      if (room >= 1) return { queue, room, sends: true }
    }
    return null
  }

  /** Room for what is due and not set aside: of an origin that has nothing held which would be before it. */
  #roomOfDue(candidates: readonly Origin[], now: number): number {
    return Math.max(0, ...candidates.filter(({ queue }) => !this.#held.has(queue)).map(o => this.#roomOf(o, now)))
  }

  #roomOf(origin: Origin, now: number): number {
    return pauseAt(origin, now) === null ? origin.protection.roomAt(now) : 0
  }

  /** A queue whose origin is not known (any more) goes at once: where its deliveries go today is seen when they are built. */
  #opensAt(origin: Origin | undefined, now: number): number {
    return origin === undefined ? now : (pauseAt(origin, now) ?? origin.protection.opensAt(now))
  }

  #isFree(origin: Origin, now: number): boolean {
    return origin.protection.isClosed && pauseAt(origin, now) === null && !this.#held.has(origin.queue)
  }

  /** The origins that what is due can go to; null where not all of them are known yet. */
  #candidates(): readonly Origin[] | null {
    const names = new Set(Object.values(this.#current))
    // After a restart nothing has been sent yet: where there is one endpoint only, what was kept can be about no other.
    const isFresh = names.size === 0 && this.#rules.environments === 1
    if (!isFresh && Object.keys(this.#current).length < this.#rules.environments) return null
    const found = isFresh ? [...this.#origins.values()] : [...names].flatMap(name => this.#origins.get(name) ?? [])
    return found.length === 0 ? null : found
  }

  #originOf(queue: Queue): Origin | undefined {
    for (const origin of this.#origins.values()) if (origin.queue === queue) return origin
    return undefined
  }

  #make(name: string, state?: ProtectionState): Origin {
    const protection = new Protection(this.#rules.protection, state)
    const origin: Origin = { name, queue: queueOf(name), protection, pause: null }
    this.#origins.set(name, origin)
    return origin
  }

  /** An environment's endpoint is elsewhere now. What nothing is sent to any more is forgotten, and what it held goes. */
  #moveTo(name: string, environment: Environment, now: number): void {
    this.#current[environment] = name
    const inUse = Object.values(this.#current)
    if (inUse.length < this.#rules.environments) return
    let hasLost = false
    for (const other of this.#origins.keys()) {
      if (inUse.includes(other)) continue
      this.#origins.delete(other)
      hasLost = true
    }
    if (!hasLost) return
    this.#look(now)
    this.#hasChanged = true
  }

  #holdBack(why: HeldBack): HeldBack {
    this.#marks.take(1)
    this.#passed.take(1)
    return why
  }

  /** An answer that asks to be left alone holds all that goes to its origin. */
  #pause(name: string, { outcome, answer, endedAt: now }: Ended): void {
    const origin = this.#origins.get(name)
    if (outcome.kind !== "answered" || answer === null || origin === undefined) return
    const ms = Math.min(outcome.retryAfterMs ?? usedUpForMs(answer, now), LONGEST_PAUSE_MS)
    if (now + ms <= (pauseAt(origin, now) ?? now)) return
    origin.pause = { until: now + ms, ms }
    this.#isClear = false
    this.#hasChanged = true
  }

  #look(now: number): void {
    let isClear = this.#held.size === 0
    for (const origin of this.#origins.values()) isClear &&= this.#isFree(origin, now)
    this.#isClear = isClear
  }
}

/** Until when an origin asked to be left alone; null where that is over. */
function pauseAt(origin: Origin, now: number): number | null {
  const { pause } = origin
  if (pause === null) return null
  // Over, or set before the clock was put back.
  if (now >= pause.until || pause.until - now > pause.ms) origin.pause = null
  return origin.pause?.until ?? null
}

function isResting({ protection }: Origin): boolean {
  const { state } = protection.state
  return state === "open" || state === "probing"
}

/** How long a 429 says by other headers that nothing is left; 0 where it does not. */
function usedUpForMs(answer: Answer, now: number): number {
  const rate = answer.status === 429 ? rateOf(answer, now) : null
  return rate !== null && rate.remaining === 0 ? rate.resetMs : 0
}

function learn(budget: Budget<IntegrationId>, { outcome, answer, endedAt: now }: Ended): void {
  if (answer === null || outcome.kind !== "answered") return
  const rate = rateOf(answer, now)
  const pauseMs = answer.status === 429 ? (outcome.retryAfterMs ?? (rate === null ? UNSAID_PAUSE_MS : null)) : null
  budget.learn(rate, pauseMs === null ? null : Math.min(pauseMs, LONGEST_PAUSE_MS), now)
}
