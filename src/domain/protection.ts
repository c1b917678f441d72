/**
 * Protection of one origin: while its recent attempts hold more errors than successes it is left alone, then tried with
 * one attempt, then eased back in. It only counts and decides; the engine asks it before each request and tells it how the
 * request ended.
 *
 *     closed ──more errors than successes──▶ open (rests) ──rest over──▶ probing (one attempt)
 *        ▲                                    ▲      ▲                      │           │
 *        │                                    │      └──────fails───────────┘        succeeds
 *        └──enough successes── easing ◀───────┼─────────────────────────────────────────┘
 *                                 └───errors──┘
 *
 * The rest doubles with each probe that fails and is short again after one that succeeds, so that an endpoint which answers
 * every other request neither stays shut out nor is knocked at all the time.
 */
import type { DeliveryProgress, Facts, Next, Outcome } from "./delivery.ts"
import type { Policy } from "./policy.ts"
import type { ProtectionPolicy } from "./policy-trouble.ts"
import { DUE, type Queue } from "./queue.ts"
import type { ReasonCode } from "./reason.ts"
import { retryDelayMs } from "./schedule.ts"

/** What an attempt says of the endpoint. `nothing`: it never got there, through no fault of the endpoint's. */
export type Sign = "success" | "error" | "nothing"

/** What an attempt was let through with. Those of before an opening count no more after it. */
export type Ticket = number

/** Parts of the window: attempts are forgotten a tenth of it at a time. */
const BUCKETS = 10
/** Each step of easing lasts at least so long, */
const STEP_MS = 1_000
/** and lets so many attempts a second through for each place that it grants. */
const PER_PLACE = 10
/** What follows a probe that succeeded. */
const FIRST_LIMIT = 2
/** On its way back an endpoint is judged by no more attempts than these: it does not get many at a time. */
const EASED_ATTEMPTS = 10
/** A probe whose end nobody tells (a bug) is no longer waited for: longer than any attempt may take. */
const LOST_PROBE_MS = 150_000
/** After a probe that said nothing of the endpoint. */
const PROBE_AGAIN_MS = 1_000

/** Our own faults and rules say nothing of the endpoint. */
const notOfEndpoint: readonly ReasonCode[] = ["sender_fault", "blocked_address", "request_invalid"]

/** Whether an attempt was a success, an error of the endpoint, or neither. `isSuccess`: what the policy calls delivered. */
export function signOf(outcome: Outcome, isSuccess: boolean): Sign {
  if (outcome.kind === "answered") return isSuccess ? "success" : "error"
  return outcome.kind === "unreachable" && !notOfEndpoint.includes(outcome.reason) ? "error" : "nothing"
}

/** Where protection stands. `errors` and `successes` are those of the window that it opened by, at `since`. */
export type ProtectionState =
  | { readonly state: "closed" }
  | (Judgement & { readonly state: "open"; readonly until: number; readonly restMs: number })
  | (Judgement & { readonly state: "probing"; readonly startedAt: number; readonly restMs: number })
  | (Judgement & { readonly state: "easing"; readonly limit: number })

interface Judgement {
  readonly since: number
  readonly errors: number
  readonly successes: number
  /** How often the rest has been doubled. */
  readonly doublings: number
}

/** What the end of an attempt changed. */
export type Change =
  | { readonly kind: "opened"; readonly errors: number; readonly successes: number; readonly probeAt: number }
  | { readonly kind: "closed"; readonly openedAt: number }
  | { readonly kind: "moved" }

const closed: ProtectionState = { state: "closed" }
const moved: Change = { kind: "moved" }

/** The state of one origin, and the attempts that it is judged by. All times are ms since 1970. */
export class Protection {
  #policy: ProtectionPolicy
  #state: ProtectionState = closed
  #recent: Recent
  /** The tickets that count now. */
  #epoch = 1
  /** Attempts under way with such a ticket. */
  #underWay = 0
  #step: Step = { at: 0, errors: 0, successes: 0, secondAt: 0, started: 0 }

  constructor(policy: ProtectionPolicy, kept: ProtectionState = closed) {
    this.#policy = policy
    this.#recent = new Recent(policy.windowMs)
    this.#state = kept
  }

  get state(): ProtectionState {
    return this.#state
  }

  get isClosed(): boolean {
    return this.#state.state === "closed"
  }

  /** Takes over what was changed in the policy; switched off, it forgets everything. */
  setPolicy(policy: ProtectionPolicy): void {
    if (policy.windowMs !== this.#policy.windowMs) this.#recent = new Recent(policy.windowMs)
    this.#policy = policy
    if (!policy.enabled) this.#become(closed)
  }

  /** Ends a rest: what was mended is tried at once. */
  endRest(now: number): void {
    if (this.#state.state === "open") this.#state = { ...this.#state, until: now }
  }

  /** How many attempts may begin now. */
  roomAt(now: number): number {
    switch (this.#state.state) {
      case "closed":
        return Number.POSITIVE_INFINITY
      case "open":
      case "probing":
        return this.opensAt(now) <= now ? 1 : 0
      case "easing":
        this.#turnSecond(now)
        return Math.max(
          0,
          Math.min(this.#state.limit - this.#underWay, this.#state.limit * PER_PLACE - this.#step.started),
        )
    }
  }

  /** When an attempt may begin, as far as time alone decides it; infinite while only the end of another one does. */
  opensAt(now: number): number {
    const { state } = this.#state
    if (state === "closed") return now
    if (this.#state.state === "open") {
      const { until, restMs } = this.#state
      // A clock that was put back would make the rest as much longer.
      if (until - now > restMs) this.#state = { ...this.#state, until: now + restMs }
      return this.#state.until
    }
    if (this.#state.state === "probing") {
      const isLost = Math.abs(now - this.#state.startedAt) > LOST_PROBE_MS
      return isLost ? now : Number.POSITIVE_INFINITY
    }
    this.#turnSecond(now)
    if (this.#underWay >= this.#state.limit) return Number.POSITIVE_INFINITY
    return this.#step.started < this.#state.limit * PER_PLACE ? now : this.#step.secondAt + STEP_MS
  }

  /** Lets an attempt through, where one may begin; a ticket, or null. `byHand`: a person asked for it, so no rest holds it. */
  enter(now: number, byHand = false): Ticket | null {
    const state = this.#state
    if (state.state !== "closed") {
      const mayProbe = byHand && state.state === "open"
      if (!mayProbe && this.roomAt(now) < 1) return null
      if (state.state === "easing") this.#step = { ...this.#step, started: this.#step.started + 1 }
      else this.#become({ ...judgementOf(state), state: "probing", startedAt: now, restMs: state.restMs })
    }
    this.#underWay++
    return this.#epoch
  }

  /** Takes note of how an attempt ended, and says what it changed. `places`: how many the lane may have under way. */
  leave(ticket: Ticket, sign: Sign, now: number, places: number): Change | null {
    if (ticket !== this.#epoch) return null
    this.#underWay--
    switch (this.#state.state) {
      case "closed":
        return this.#policy.enabled ? this.#judge(sign, now) : null
      case "probing":
        return this.#probed(this.#state, sign, now)
      case "easing":
        return this.#eased(this.#state, sign, now, places)
      case "open":
        return null
    }
  }

  #judge(sign: Sign, now: number): Change | null {
    if (sign === "nothing") return null
    this.#recent.note(sign === "error", now)
    if (sign === "success") return null
    const { errors, successes } = this.#recent
    if (errors <= successes || errors + successes < this.#policy.minAttempts) return null
    this.#recent.clear()
    this.#rest({ since: now, errors, successes, doublings: 0 }, now)
    return { kind: "opened", errors, successes, probeAt: now + this.#policy.restMs }
  }

  #probed(state: ProtectionState & Judgement, sign: Sign, now: number): Change {
    const { doublings } = state
    if (sign === "success") this.#ease({ ...judgementOf(state), doublings: 0 }, now)
    else if (sign === "error") this.#rest({ ...judgementOf(state), doublings: doublings + 1 }, now)
    else {
      const { restMs } = this.#restOf(doublings)
      this.#become({ ...judgementOf(state), state: "open", until: now + Math.min(PROBE_AGAIN_MS, restMs), restMs })
    }
    return moved
  }

  #eased(
    state: ProtectionState & Judgement & { readonly limit: number },
    sign: Sign,
    now: number,
    places: number,
  ): Change | null {
    if (sign === "nothing") return null
    const errors = this.#step.errors + (sign === "error" ? 1 : 0)
    const successes = this.#step.successes + (sign === "success" ? 1 : 0)
    this.#step = { ...this.#step, errors, successes, at: Math.min(this.#step.at, now) }
    if (errors > successes && errors + successes >= Math.min(EASED_ATTEMPTS, this.#policy.minAttempts)) {
      this.#rest(judgementOf(state), now)
      return moved
    }
    const lasted = now - this.#step.at
    // Where little comes in, a window with more successes than errors is enough by itself.
    const isWindowOver = lasted >= this.#policy.windowMs
    if (successes <= errors || lasted < STEP_MS || (successes < state.limit && !isWindowOver)) return null
    if (state.limit >= places || isWindowOver) {
      this.#recent.clear()
      this.#state = closed
      return { kind: "closed", openedAt: state.since }
    }
    this.#state = { ...judgementOf(state), state: "easing", limit: Math.min(state.limit * 2, places) }
    this.#step = { ...this.#step, at: now, errors: 0, successes: 0 }
    return moved
  }

  #rest(judgement: Judgement, now: number): void {
    const { restMs, doublings } = this.#restOf(judgement.doublings)
    this.#become({ ...judgement, doublings, state: "open", until: now + restMs, restMs })
  }

  /** No more doublings than lead to the longest rest. */
  #restOf(doublings: number): { restMs: number; doublings: number } {
    const { restMs, longestRestMs } = this.#policy
    const most = Math.ceil(Math.log2(longestRestMs / restMs))
    const kept = Math.min(doublings, most)
    return { restMs: Math.min(restMs * 2 ** kept, longestRestMs), doublings: kept }
  }

  #ease(judgement: Judgement, now: number): void {
    this.#step = { at: now, errors: 0, successes: 0, secondAt: now, started: 0 }
    this.#become({ ...judgement, state: "easing", limit: FIRST_LIMIT })
  }

  #become(state: ProtectionState): void {
    this.#state = state
    this.#epoch++
    this.#underWay = 0
  }

  #turnSecond(now: number): void {
    const { secondAt } = this.#step
    if (now < secondAt || now - secondAt >= STEP_MS) this.#step = { ...this.#step, secondAt: now, started: 0 }
  }
}

/** A step of easing. */
interface Step {
  /** When it began, and what came of its attempts. */
  readonly at: number
  readonly errors: number
  readonly successes: number
  /** The second that runs, and how many attempts have begun in it. */
  readonly secondAt: number
  readonly started: number
}

/** How attempts of a window ended: counts in a ring of buckets, so that it takes the same room whatever comes. */
class Recent {
  errors = 0
  successes = 0
  readonly #bucketMs: number
  readonly #errors = new Array<number>(BUCKETS).fill(0)
  readonly #successes = new Array<number>(BUCKETS).fill(0)
  #current = 0

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS
  }

  note(isError: boolean, now: number): void {
    const at = Math.floor(now / this.#bucketMs)
    if (at !== this.#current) this.#turnTo(at)
    const slot = at % BUCKETS
    if (isError) {
      this.errors++
      this.#errors[slot] = (this.#errors[slot] ?? 0) + 1
    } else {
      this.successes++
      this.#successes[slot] = (this.#successes[slot] ?? 0) + 1
    }
  }

  clear(): void {
    this.errors = 0
    this.successes = 0
    this.#errors.fill(0)
    this.#successes.fill(0)
  }

  #turnTo(at: number): void {
    // A clock that was put back, or leapt by a window, leaves nothing that could be called recent.
    if (at < this.#current || at - this.#current >= BUCKETS) this.clear()
    else for (let passed = this.#current + 1; passed <= at; passed++) this.#empty(passed % BUCKETS)
    this.#current = at
  }

  #empty(slot: number): void {
    this.errors -= this.#errors[slot] ?? 0
    this.successes -= this.#successes[slot] ?? 0
    this.#errors[slot] = 0
    this.#successes[slot] = 0
  }
}

function judgementOf({ since, errors, successes, doublings }: Judgement): Judgement {
  return { since, errors, successes, doublings }
}

/** What is kept over a restart: the states of a lane's origins that are not closed. A probe under way is made again. */
export function statesToJson(states: Iterable<readonly [origin: string, state: ProtectionState]>): string | null {
  const kept: Record<string, ProtectionState> = {}
  for (const [origin, state] of states) {
    if (state.state === "closed") continue
    const { restMs, startedAt: until } = state.state === "probing" ? state : { restMs: 0, startedAt: 0 }
    kept[origin] = state.state === "probing" ? { ...judgementOf(state), state: "open", until, restMs } : state
  }
  return Object.keys(kept).length === 0 ? null : JSON.stringify(kept)
}

/** Reads it back; whatever is not what this version wrote is left out, which opens the endpoint. */
export function statesFromJson(json: string | null): ReadonlyMap<string, ProtectionState> {
  if (json === null) return new Map()
  const found = JSON.parse(json) as Record<string, Partial<Record<string, unknown>>>
  const states = new Map<string, ProtectionState>()
  for (const [origin, state] of Object.entries(found)) if (isKept(state)) states.set(origin, state)
  return states
}

function isKept(state: Partial<Record<string, unknown>>): state is ProtectionState & Record<string, unknown> {
  const own = state["state"] === "open" ? ["until", "restMs"] : state["state"] === "easing" ? ["limit"] : null
  const members = ["since", "errors", "successes", "doublings", ...(own ?? [])]
  return own !== null && members.every(name => typeof state[name] === "number")
}

/** Where a delivery that is held back waits. */
export interface Held {
  readonly origin: string
  readonly queue: Queue
  /** When it was due: its place in the order. */
  readonly dueAt: number
}

/** What becomes of a delivery that protection holds back: it waits until its endpoint is back, or uses up a retry. */
export function afterSkip(
  policy: Policy,
  progress: DeliveryProgress,
  held: Held,
  state: ProtectionState,
  now: number,
): Next {
  const facts = sleepingFacts(policy, held, state)
  if (policy.protection.onSkip === "wait") {
    const reason = { code: "sleeping", facts } as const
    return { status: "skipped", reason, at: held.dueAt, queue: held.queue, charged: false }
  }
  const tried = { ...facts, try: progress.charged + 1, tries: policy.retryDelaysMs.length + 1 }
  const delayMs = retryDelayMs(policy, progress.id, progress.charged)
  if (delayMs === null) {
    return {
      status: "failed",
      reason: { code: "sleeping", facts: { ...tried, ended: "exhausted" } },
      disable: false,
    }
  }
  const reason = { code: "sleeping", facts: tried } as const
  return { status: "skipped", reason, at: now + delayMs, queue: DUE, charged: true }
}

/** What is told of a delivery that waits for its endpoint. A probe that is under way has no time any more. */
export function sleepingFacts(
  policy: Pick<Policy, "maxPerSecond">,
  held: Pick<Held, "origin">,
  state: ProtectionState,
): Facts {
  return {
    host: new URL(held.origin).host,
    ...(state.state === "closed" ? {} : { since_at: state.since, errors: state.errors, successes: state.successes }),
    ...(state.state === "open" ? { probe_at: state.until } : {}),
    ...(policy.maxPerSecond === null ? {} : { max_per_second: policy.maxPerSecond }),
  }
}
