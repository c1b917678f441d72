/**
 * A lane with its gate, rehearsed against a store and endpoints that are numbers: whatever happens in whatever order,
 * nothing is forgotten, nobody is hammered, and what waits goes oldest first.
 */
import assert from "node:assert/strict"
import { randomInt } from "node:crypto"
import { describe, test } from "node:test"
import { Budget } from "../../src/domain/budget.ts"
import type { Outcome } from "../../src/domain/delivery.ts"
import type { Environment } from "../../src/domain/event.ts"
import type { Answer } from "../../src/domain/exchange.ts"
import { presets } from "../../src/domain/policy.ts"
import { isHeld, type Queue, RECOVERED } from "../../src/domain/queue.ts"
import type { HeldBack } from "../../src/engine/gate.ts"
import { Lane, type Place } from "../../src/engine/lane.ts"
import { seeded } from "../help/json-writer.ts"

const NOW = 1_800_000_000_000
const SECOND = 1_000

interface Delivery {
  readonly id: number
  readonly environment: Environment
  queue: Queue
  at: number
}

interface Sent {
  readonly id: number
  readonly origin: string
  readonly at: number
}

/** Where events of an environment go, and how that endpoint does. */
interface End {
  readonly origin: string
  isWell: boolean
}

class Rehearsal {
  readonly lane: Lane
  now = NOW
  readonly sent: Sent[] = []
  readonly delivered: number[] = []
  marked = 0
  written = 0
  readonly ends: Record<Environment, End>
  readonly waiting = new Map<number, Delivery>()
  readonly underWay: { delivery: Delivery; place: Place; ticket: number; startedAt: number }[] = []
  readonly #claims: { asked: number; place: Place }[] = []
  #id = 0
  isPaused = false

  constructor(ends: Record<Environment, End>, places: number, more: { perSecond?: number; budget?: boolean } = {}) {
    const budget = more.budget === true ? new Budget<number>() : null
    const perSecond = more.perSecond ?? null
    this.lane = new Lane(1, { maxConcurrent: places, maxPerSecond: perSecond, held: false, budget }, null)
    this.ends = ends
    const environments = ends.production === ends.sandbox ? 1 : 2
    const protection = { ...presets.standard.protection, minAttempts: 4 }
    this.lane.gate.setRules({ protection, places, environments, budget }, this.now)
  }

  arrive(environment: Environment): void {
    const delivery: Delivery = { id: ++this.#id, environment, queue: 0, at: this.now }
    if (this.lane.reserve(this.now)) this.#begin(delivery, { queue: 0, charged: true })
    else {
      this.waiting.set(delivery.id, delivery)
      this.lane.expect(this.now)
    }
  }

  recover(environment: Environment): void {
    const delivery: Delivery = { id: ++this.#id, environment, queue: RECOVERED, at: this.now }
    this.waiting.set(delivery.id, delivery)
    this.lane.expectRecovered()
  }

  claim(): void {
    if (this.#claims.length > 0) return
    const asked = this.lane.beginClaim(this.now, 1_000)
    if (asked > 0) this.#claims.push({ asked, place: this.lane.claimedPlace })
  }

  endClaim(): void {
    const claim = this.#claims.shift()
    if (claim === undefined) return
    const { queue } = claim.place
    const inQueue = [...this.waiting.values()].filter(d => d.queue === queue).sort((a, b) => a.at - b.at || a.id - b.id)
    const due = inQueue.filter(d => queue !== 0 || d.at <= this.now).slice(0, claim.asked)
    for (const delivery of due) this.waiting.delete(delivery.id)
    this.lane.claimed(claim.asked, due.length, inQueue[due.length]?.at ?? null)
    for (const delivery of due) this.#begin(delivery, claim.place)
  }

  end(index: number): void {
    const [attempt] = this.underWay.splice(index, 1)
    if (attempt === undefined) return
    const { delivery, place, ticket, startedAt } = attempt
    const { origin, isWell } = this.ends[delivery.environment]
    const outcome: Outcome = { kind: "answered", status: isWell ? 200 : 500, retryAfterMs: null, facts: {} }
    this.lane.gate.ended(origin, ticket, { outcome, isSuccess: isWell, answer: null, startedAt, endedAt: this.now })
    if (isWell) this.delivered.push(delivery.id)
    else {
      const again = { ...delivery, queue: 0, at: this.now + 300 * SECOND }
      this.waiting.set(delivery.id, again)
      this.lane.expect(again.at)
    }
    this.lane.release(true, place)
  }

  /** Goes on for as long as the lane itself says that there is something to do, everything ending at once. */
  finish(limit = 200_000): void {
    for (let turn = 0; turn < limit && this.waiting.size + this.underWay.length + this.#claims.length > 0; turn++) {
      this.endClaim()
      while (this.underWay.length > 0) this.end(0)
      this.claim()
      if (this.#claims.length > 0) continue
      const at = this.lane.wakeAt(this.now)
      if (at === null) return
      this.now = Math.max(this.now, Math.ceil(at))
    }
  }

  #begin(delivery: Delivery, place: Place): void {
    const { origin } = this.ends[delivery.environment]
    const passing = { origin, environment: delivery.environment, dueAt: delivery.at, queue: delivery.queue }
    const admission = this.lane.gate.admit(passing, this.now)
    if (typeof admission === "number") {
      this.sent.push({ id: delivery.id, origin, at: this.now })
      this.underWay.push({ delivery, place, ticket: admission, startedAt: this.now })
    } else this.#holdBack(delivery, place, admission)
  }

  #holdBack(delivery: Delivery, place: Place, { kind, held }: HeldBack): void {
    assert.ok(isHeld(held.queue))
    if (kind === "skip") this.marked++
    this.written++
    this.waiting.set(delivery.id, { ...delivery, queue: held.queue, at: held.dueAt })
    this.lane.gate.hold(held.queue)
    this.lane.release(false, place)
  }
}

function one(isWell = false): Record<Environment, End> {
  const end = { origin: "https://a.example", isWell }
  return { production: end, sandbox: end }
}

function two(): Record<Environment, End> {
  return {
    production: { origin: "https://a.example", isWell: false },
    sandbox: { origin: "https://b.example", isWell: true },
  }
}

/** Rests, with so many due behind it. */
function restingWith(count: number, ends = one(), places = 4, more: { perSecond?: number } = {}): Rehearsal {
  const rehearsal = new Rehearsal(ends, places, more)
  for (let i = 0; i < count; i++) {
    rehearsal.arrive("production")
    if (i % 100 === 0) rehearsal.now++
  }
  for (let i = 0; i < 50 && rehearsal.lane.gate.view(rehearsal.now)[0]?.state.state !== "open"; i++) {
    rehearsal.claim()
    rehearsal.endClaim()
    while (rehearsal.underWay.length > 0) rehearsal.end(0)
    rehearsal.now = Math.max(rehearsal.now, Math.min(rehearsal.now + 100, rehearsal.lane.wakeAt(rehearsal.now) ?? 0))
  }
  assert.equal(rehearsal.lane.gate.view(rehearsal.now)[0]?.state.state, "open")
  return rehearsal
}

describe("while an endpoint rests", () => {
  test("no more than 200 a second of what is due are marked, and nothing at all is sent before its time", () => {
    const rehearsal = restingWith(20_000)
    const from = { at: rehearsal.now, written: rehearsal.written, sent: rehearsal.sent.length }
    while (rehearsal.now < from.at + 4 * SECOND) {
      rehearsal.claim()
      rehearsal.endClaim()
      rehearsal.now = Math.max(rehearsal.now + 1, Math.ceil(rehearsal.lane.wakeAt(rehearsal.now) ?? rehearsal.now + 1))
    }
    const written = rehearsal.written - from.written
    assert.ok(written > 700 && written <= 4 * 200 + 30, `${written} in 4 s`)
    assert.equal(rehearsal.sent.length, from.sent)
  })

  test("its lane takes no shortcut, and neither does it while anything is held", () => {
    const rehearsal = restingWith(100)
    assert.equal(rehearsal.lane.reserve(rehearsal.now), false)
    rehearsal.ends.production.isWell = true
    while (rehearsal.waiting.size > 20) {
      rehearsal.now = Math.max(rehearsal.now, rehearsal.lane.wakeAt(rehearsal.now) ?? rehearsal.now)
      assert.equal(rehearsal.lane.reserve(rehearsal.now), false)
      rehearsal.claim()
      rehearsal.endClaim()
      while (rehearsal.underWay.length > 0) rehearsal.end(0)
    }
  })
})

describe("when an endpoint is back", () => {
  test("all that waited goes, each once, oldest first, and only what was marked was written", () => {
    const rehearsal = restingWith(5_000)
    const [before, written] = [rehearsal.sent.length, rehearsal.written]
    rehearsal.ends.production.isWell = true
    rehearsal.finish()
    assert.equal(rehearsal.waiting.size, 0)
    const order = rehearsal.sent.slice(before).map(({ id }) => id)
    // The four that had failed before it opened come at their own time, last.
    const fresh = order.slice(0, -4)
    assert.deepEqual(
      fresh,
      fresh.toSorted((a, b) => a - b),
    )
    assert.ok(rehearsal.written - written <= 5 * 200 + 30, `${rehearsal.written - written} written in 5 s of rest`)
  })

  test("it gets no more in its first seconds than it eases to", () => {
    const rehearsal = restingWith(5_000, one(), 8)
    rehearsal.ends.production.isWell = true
    const before = rehearsal.sent.length
    rehearsal.finish()
    const sent = rehearsal.sent.slice(before)
    const from = sent[1]?.at ?? 0
    const inSecond = (n: number) =>
      sent.filter(({ at }) => at >= from + n * SECOND && at < from + (n + 1) * SECOND).length
    assert.ok(inSecond(0) <= 21, `${inSecond(0)} in the first second`)
    assert.ok(inSecond(1) <= 41, `${inSecond(1)} in the second`)
    assert.ok(inSecond(2) <= 81, `${inSecond(2)} in the third`)
  })

  test("it gets no more than max_per_second, however much waits", () => {
    const rehearsal = restingWith(2_000, one(), 8, { perSecond: 25 })
    rehearsal.ends.production.isWell = true
    const before = rehearsal.sent.length
    rehearsal.finish()
    const sent = rehearsal.sent.slice(before)
    assert.ok(sent.length >= 1_990)
    for (let from = 0; from + 60 < sent.length; from++) {
      const took = (sent[from + 60]?.at ?? 0) - (sent[from]?.at ?? 0)
      assert.ok(took >= (60 - 2.5 - 1) * 40, `61 within ${took} ms`)
    }
  })
})

describe("a lane with two endpoints, one of them dead", () => {
  test("sends to the other one what is for it, also behind a backlog of the dead one", () => {
    const rehearsal = restingWith(3_000, two())
    for (let i = 0; i < 50; i++) rehearsal.arrive("sandbox")
    const from = rehearsal.now
    for (let turn = 0; turn < 20_000 && rehearsal.delivered.length < 50; turn++) {
      rehearsal.claim()
      rehearsal.endClaim()
      while (rehearsal.underWay.length > 0) rehearsal.end(0)
      rehearsal.now = Math.max(rehearsal.now, Math.ceil(rehearsal.lane.wakeAt(rehearsal.now) ?? rehearsal.now + 1))
    }
    assert.equal(rehearsal.delivered.length, 50)
    const last = rehearsal.sent.filter(({ origin }) => origin === "https://b.example").at(-1)?.at ?? 0
    assert.ok(last - from <= 4 * SECOND, `after ${last - from} ms`)
  })
})

describe("recovered deliveries", () => {
  test("get a quarter of the places while others are due, and all of them when nothing else is", () => {
    const rehearsal = new Rehearsal(one(true), 8)
    for (let i = 0; i < 100; i++) rehearsal.arrive("production")
    for (let i = 0; i < 100; i++) rehearsal.recover("production")
    while (rehearsal.underWay.length > 0) rehearsal.end(0)
    const recovered = () => rehearsal.underWay.filter(({ place }) => place.queue === RECOVERED).length
    const seen: number[] = []
    for (let i = 0; i < 60; i++) {
      rehearsal.claim()
      rehearsal.endClaim()
      seen.push(recovered())
      assert.ok(recovered() <= 2, `${recovered()} of 8 places`)
      rehearsal.end(0)
    }
    assert.ok(seen.filter(count => count > 0).length > 40, `never starved: ${seen.join()}`)
    rehearsal.finish()
    assert.deepEqual([rehearsal.waiting.size, rehearsal.delivered.length], [0, 200])
  })
})

describe("what has changed in a lane", () => {
  const answer = { status: 503, httpVersion: "1.1", headers: [], body: null } as unknown as Answer
  /** Attempts that are answered with a status and a `Retry-After` of a minute, each started when all before have ended. */
  const refuse = ({ lane, now }: Rehearsal, status: number, isProtected: boolean, times: number): void => {
    const protection = { ...presets.standard.protection, minAttempts: 1, enabled: isProtected }
    const environments = 1
    lane.gate.setRules({ protection, places: 4, environments, budget: null }, now)
    for (let i = 0; i < times; i++) {
      const at = now + i * 120 * SECOND
      const passing = { origin: "https://a.example", environment: "production", dueAt: at, queue: 0 } as const
      const ticket = lane.gate.admit(passing, at)
      assert.ok(typeof ticket === "number")
      const outcome: Outcome = { kind: "answered", status, retryAfterMs: 60 * SECOND, facts: {} }
      lane.gate.ended(passing.origin, ticket, { outcome, isSuccess: false, answer, startedAt: at, endedAt: at })
    }
  }

  test("is told whole by the settlement of the attempt that changed it", () => {
    const rehearsal = new Rehearsal(one(), 4)
    refuse(rehearsal, 503, true, 1)
    const news = rehearsal.lane.gate.takeNews()
    assert.deepEqual(
      news?.turns?.map(({ kind, origin }) => [kind, origin]),
      [["opened", "https://a.example"]],
    )
    assert.ok(news?.protection?.includes('"open"') && news.rate?.includes("a.example"))
    assert.equal(rehearsal.lane.gate.takeNews(), null)
  })

  test("does not pile up while nobody takes it", () => {
    const rehearsal = new Rehearsal(one(), 4)
    refuse(rehearsal, 429, false, 100)
    assert.deepEqual(rehearsal.lane.gate.takeNews()?.turns, [])
    assert.equal(rehearsal.lane.gate.takeNews(), null)
  })
})

test("whatever happens, a lane comes back for all that waits, carries no more than it may, and sends each once", t => {
  const seed = randomInt(2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const random = seeded(seed)
  const below = (limit: number): number => Math.floor(random() * limit)
  for (let run = 0; run < 1_500; run++) {
    const places = 1 + below(6)
    const ends = random() < 0.5 ? one(random() < 0.5) : two()
    const perSecond = random() < 0.3 ? 1 + below(50) : undefined
    const rehearsal = new Rehearsal(ends, places, {
      ...(perSecond === undefined ? {} : { perSecond }),
      budget: random() < 0.2,
    })
    const environment = (): Environment => (random() < 0.5 ? "production" : "sandbox")
    const acts = [
      () => rehearsal.arrive(environment()),
      () => rehearsal.arrive(environment()),
      () => rehearsal.arrive(environment()),
      () => rehearsal.claim(),
      () => rehearsal.endClaim(),
      () => rehearsal.end(below(rehearsal.underWay.length)),
      () => rehearsal.end(below(rehearsal.underWay.length)),
      () => void (random() < 0.1 && rehearsal.recover(environment())),
      () => {
        rehearsal.now += below(random() < 0.1 ? 20 * SECOND : 300)
      },
      () => {
        const end = ends[environment()]
        if (random() < 0.2) end.isWell = !end.isWell
      },
      () => void (random() < 0.02 && rehearsal.lane.gate.tryAtOnce(rehearsal.now)),
      () => {
        if (random() < 0.02) rehearsal.now -= 3_600 * SECOND
      },
    ]
    for (let i = 0; i < 200; i++) {
      acts[below(acts.length)]?.()
      const { inFlight } = rehearsal.lane
      assert.ok(inFlight >= 0 && inFlight <= places, `run ${run}, step ${i}: ${inFlight} under way of ${places}`)
    }
    for (const end of Object.values(ends)) end.isWell = true
    rehearsal.finish()
    const left = [...rehearsal.waiting.values()].map(
      ({ id, queue, at }) => `${id} in ${queue} at ${at - rehearsal.now}`,
    )
    assert.deepEqual(left, [], `run ${run}: still waits, and the lane would not come back for it`)
    assert.equal(rehearsal.lane.inFlight, 0)
    assert.equal(new Set(rehearsal.delivered).size, rehearsal.delivered.length)
  }
})
