/** Protection of one origin, fed with series of outcomes: when it rests, when it tries, when it is back. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { Outcome } from "../../src/domain/delivery.ts"
import { presets } from "../../src/domain/policy.ts"
import type { ProtectionPolicy } from "../../src/domain/policy-trouble.ts"
import {
  afterSkip,
  type Change,
  Protection,
  type Sign,
  signOf,
  statesFromJson,
  statesToJson,
} from "../../src/domain/protection.ts"
import { DUE } from "../../src/domain/queue.ts"
import { seeded } from "../help/json-writer.ts"

const NOW = 1_800_000_000_000
const SECOND = 1_000

const policy: ProtectionPolicy = {
  enabled: true,
  windowMs: 60 * SECOND,
  minAttempts: 4,
  restMs: 5 * SECOND,
  longestRestMs: 60 * SECOND,
  onSkip: "wait",
}

/** An origin with a clock that goes on with each attempt. */
class Origin {
  now = NOW
  readonly places: number
  readonly protection: Protection

  constructor(given: Partial<ProtectionPolicy> = {}, places = 8) {
    this.places = places
    this.protection = new Protection({ ...policy, ...given })
  }

  get state(): string {
    return this.protection.state.state
  }

  /** Makes an attempt that ends at once; undefined where none may begin. */
  attempt(sign: Sign): Change | null | undefined {
    const ticket = this.protection.enter(this.now)
    return ticket === null ? undefined : this.protection.leave(ticket, sign, this.now, this.places)
  }

  /** `e` an error, `s` a success, `n` nothing of the endpoint's; a second passes before each. Gives the states after each. */
  play(series: string): string[] {
    const signs: Readonly<Record<string, Sign>> = { e: "error", s: "success", n: "nothing" }
    return [...series].map(letter => {
      this.now += SECOND
      const change = this.attempt(signs[letter] ?? "nothing")
      return change === undefined ? "held" : this.state
    })
  }
}

/** An origin that rests since a moment. */
function resting(given: Partial<ProtectionPolicy> = {}, places?: number): Origin {
  const origin = new Origin(given, places)
  origin.play("eeee")
  assert.equal(origin.state, "open")
  return origin
}

describe("an endpoint that is in order", () => {
  const fine: readonly [says: string, series: string][] = [
    ["errors of less than the least number of attempts judge nothing", "eee"],
    ["as many errors as successes are not more", "sesesese"],
    ["what says nothing of the endpoint counts for nothing", "nnnnnnnnnn"],
    ["what was never the endpoint's fault does not make the errors beside it enough", "nnneeen"],
  ]
  for (const [says, series] of fine) {
    test(says, () => {
      const origin = new Origin()
      assert.deepEqual(new Set(origin.play(series)), new Set(["closed"]))
    })
  }

  test("errors that are older than the window are forgotten", () => {
    const origin = new Origin()
    origin.play("eee")
    origin.now += policy.windowMs
    assert.deepEqual(origin.play("eee"), ["closed", "closed", "closed"])
  })

  test("errors that come to be too few within the window never add up, however long it goes on", () => {
    const origin = new Origin()
    for (let i = 0; i < 1_000; i++) {
      origin.now += 21 * SECOND
      origin.attempt("error")
      assert.equal(origin.state, "closed")
    }
  })

  test("is not protected where the policy says so", () => {
    const origin = new Origin({ enabled: false })
    assert.deepEqual(new Set(origin.play("e".repeat(100))), new Set(["closed"]))
  })
})

describe("an endpoint with more errors than successes", () => {
  const series: readonly [says: string, series: string, states: string[]][] = [
    ["stays closed while errors only equal successes", "ssseee", Array(6).fill("closed")],
    ["opens when errors have outnumbered successes", "ssseeee", [...Array(6).fill("closed"), "open"]],
    ["opens on errors alone once there are enough attempts", "eeee", ["closed", "closed", "closed", "open"]],
    ["a success never opens it", "eees", Array(4).fill("closed")],
  ]
  for (const [says, played, states] of series) {
    test(says, () => assert.deepEqual(new Origin().play(played), states))
  }

  test("says what it was judged by and when it is tried next", () => {
    const origin = new Origin()
    origin.play("seee")
    assert.deepEqual(origin.protection.state, {
      state: "open",
      since: NOW + 4 * SECOND,
      errors: 3,
      successes: 1,
      doublings: 0,
      until: NOW + 9 * SECOND,
      restMs: 5 * SECOND,
    })
  })

  test("is left alone while it rests, then tried with one attempt and no more", () => {
    const origin = resting()
    origin.now += 4_999
    assert.equal(origin.protection.enter(origin.now), null)
    origin.now += 1
    assert.notEqual(origin.protection.enter(origin.now), null)
    assert.equal(origin.protection.enter(origin.now), null, "the probe is under way")
    assert.equal(origin.state, "probing")
  })

  test("rests twice as long after each probe that fails, up to the longest", () => {
    const origin = resting()
    const rests: number[] = []
    for (let i = 0; i < 6; i++) {
      const from = origin.now
      origin.now = origin.protection.opensAt(origin.now)
      rests.push((origin.now - from) / SECOND)
      origin.attempt("error")
    }
    assert.deepEqual(rests, [5, 10, 20, 40, 60, 60])
  })

  test("is probed again at once, its rest no longer, where the probe said nothing of it", () => {
    const origin = resting()
    origin.now += 5 * SECOND
    origin.attempt("nothing")
    assert.equal(origin.protection.opensAt(origin.now), origin.now + SECOND)
    origin.now += SECOND
    origin.attempt("error")
    assert.equal(origin.protection.opensAt(origin.now), origin.now + 10 * SECOND)
  })

  test("is not judged twice by attempts that began before it opened", () => {
    const origin = new Origin()
    const late = Array.from({ length: 50 }, () => origin.protection.enter(origin.now) ?? 0)
    origin.play("eeee")
    const { state } = origin.protection
    origin.now += SECOND
    for (const ticket of late) assert.equal(origin.protection.leave(ticket, "error", origin.now, 8), null)
    assert.deepEqual(origin.protection.state, state)
    origin.now += 4 * SECOND
    origin.attempt("success")
    for (const ticket of late) origin.protection.leave(ticket, "error", origin.now, 8)
    assert.equal(origin.state, "easing", "nor does any of them spoil its way back")
  })

  test("is tried by hand while it rests, but not beside a probe", () => {
    const origin = resting()
    const ticket = origin.protection.enter(origin.now, true)
    assert.notEqual(ticket, null)
    assert.equal(origin.protection.enter(origin.now, true), null)
    origin.protection.leave(ticket ?? 0, "success", origin.now, 8)
    assert.equal(origin.state, "easing")
  })

  test("is probed again where nobody ever said how its probe ended", () => {
    const origin = resting()
    origin.now += 5 * SECOND
    origin.protection.enter(origin.now)
    origin.now += 200 * SECOND
    assert.notEqual(origin.protection.enter(origin.now), null)
  })
})

describe("an endpoint that comes back", () => {
  /** How many may be under way at a time, and how many may begin within one second. */
  function room(origin: Origin): [atOnce: number, inASecond: number] {
    const atOnce = origin.protection.roomAt(origin.now)
    let begun = 0
    for (; begun < 10_000; begun++) {
      const ticket = origin.protection.enter(origin.now)
      if (ticket === null) break
      origin.protection.leave(ticket, "success", origin.now, origin.places)
    }
    return [atOnce, begun]
  }

  test("gets twice as much each second, then everything", () => {
    const origin = resting({}, 8)
    origin.now += 5 * SECOND
    origin.attempt("success")
    const rooms: [number, number][] = []
    for (; origin.state === "easing"; origin.now += SECOND) rooms.push(room(origin))
    // The first success of each second lets twice as many in.
    assert.deepEqual(rooms, [
      [2, 20],
      [2, 40],
      [4, 80],
      [8, 10_000],
    ])
    assert.equal(origin.state, "closed")
  })

  test("is back for good only after a whole second of successes, however many came at once", () => {
    const origin = resting({}, 1)
    origin.now += 5 * SECOND
    origin.attempt("success")
    assert.equal(origin.attempt("success"), null)
    assert.equal(origin.state, "easing")
    origin.now += SECOND
    assert.deepEqual(origin.attempt("success"), { kind: "closed", openedAt: NOW + 4 * SECOND })
  })

  test("begins with a clean slate: the errors of before count no more", () => {
    const origin = resting({}, 1)
    origin.now += 5 * SECOND
    origin.play("sss")
    assert.equal(origin.state, "closed")
    assert.deepEqual(origin.play("ee"), ["closed", "closed"])
  })

  test("rests again when errors outnumber successes on the way, and is still in the trouble that it was in", () => {
    const origin = resting()
    origin.now += 5 * SECOND
    assert.deepEqual(origin.attempt("success"), { kind: "moved" })
    const changes = (["error", "success", "error", "error"] as const).map(sign => origin.attempt(sign))
    assert.deepEqual(changes, [null, null, null, { kind: "moved" }])
    const { state } = origin.protection
    assert.ok(state.state === "open" && state.since === NOW + 4 * SECOND)
  })

  test("is back after a window without trouble, where next to nothing comes in", () => {
    const origin = resting({}, 1_000)
    origin.now += 5 * SECOND
    origin.attempt("success")
    origin.now += policy.windowMs
    origin.attempt("success")
    assert.equal(origin.state, "closed")
  })
})

describe("an endpoint that fails every other time", () => {
  test("neither stays shut out nor is hammered", t => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    t.diagnostic(`seed ${seed}`)
    const random = seeded(seed)
    const origin = new Origin({ minAttempts: 10, longestRestMs: 300 * SECOND }, 10)
    let [sent, longestSilenceMs, lastAt] = [0, 0, origin.now]
    // An hour in which 100 a second would like to go.
    const end = origin.now + 3_600 * SECOND
    for (; origin.now < end; origin.now += 10) {
      if (origin.attempt(random() < 0.5 ? "error" : "success") === undefined) continue
      longestSilenceMs = Math.max(longestSilenceMs, origin.now - lastAt)
      lastAt = origin.now
      sent++
    }
    t.diagnostic(`${sent} sent, ${longestSilenceMs} ms of silence at most`)
    assert.ok(sent > 360, `${sent} in an hour is being shut out`)
    assert.ok(sent < 180_000, `${sent} in an hour, of 360,000, is hammering`)
    assert.ok(longestSilenceMs <= 301 * SECOND, `${longestSilenceMs} ms of silence`)
  })
})

describe("a clock that jumps", () => {
  test("back makes no rest longer than it is", () => {
    const origin = resting()
    origin.now -= 86_400 * SECOND
    assert.ok(origin.protection.opensAt(origin.now) - origin.now <= 5 * SECOND)
    origin.now += 5 * SECOND
    origin.attempt("success")
    origin.now -= 86_400 * SECOND
    for (let i = 0; i < 10 && origin.state === "easing"; i++) origin.play("ssssssssss")
    assert.equal(origin.state, "closed")
  })

  test("either way forgets what was recent", () => {
    for (const jump of [-86_400, 86_400]) {
      const origin = new Origin()
      origin.play("eee")
      origin.now += jump * SECOND
      assert.deepEqual(origin.play("eee"), ["closed", "closed", "closed"])
    }
  })
})

describe("a policy that is changed", () => {
  test("to no protection lets everything go at once", () => {
    const origin = resting()
    origin.protection.setPolicy({ ...policy, enabled: false })
    assert.equal(origin.protection.roomAt(origin.now), Number.POSITIVE_INFINITY)
  })
})

describe("what is kept over a restart", () => {
  test("is the state with its times, a probe under way being made again", () => {
    const origin = resting()
    origin.now += 5 * SECOND
    origin.protection.enter(origin.now)
    const kept = statesFromJson(statesToJson([["https://a.example", origin.protection.state]]))
    const state = kept.get("https://a.example")
    const again = new Protection(policy, state)
    assert.equal(again.opensAt(origin.now), origin.now)
    assert.deepEqual(again.state.state === "open" && [again.state.since, again.state.errors, again.state.successes], [
      NOW + 4 * SECOND,
      4,
      0,
    ])
  })

  test("is nothing where nothing is wrong, and nothing is made of what is not understood", () => {
    assert.equal(statesToJson([["https://a.example", { state: "closed" }]]), null)
    assert.equal(statesFromJson(null).size, 0)
    assert.equal(
      statesFromJson('{"https://a.example":{"state":"open"},"https://b.example":{"state":"asleep"}}').size,
      0,
    )
  })
})

describe("what an attempt says of the endpoint", () => {
  const unreachable = (reason: "connection_refused" | "sender_fault" | "blocked_address"): Outcome => ({
    kind: "unreachable",
    reason,
    facts: {},
  })
  const answer: Outcome = { kind: "answered", status: 0, retryAfterMs: null, facts: {} }
  const cases: readonly [says: string, outcome: Outcome, isSuccess: boolean, sign: Sign][] = [
    ["delivered", { ...answer, status: 204 }, true, "success"],
    ["any 4xx", { ...answer, status: 404 }, false, "error"],
    ["any 5xx", { ...answer, status: 500 }, false, "error"],
    ["a network error", unreachable("connection_refused"), false, "error"],
    ["a fault of our own", unreachable("sender_fault"), false, "nothing"],
    ["an address that may not be sent to", unreachable("blocked_address"), false, "nothing"],
    ["an interruption", { kind: "interrupted", facts: {} }, false, "nothing"],
    ["what never became a request", { kind: "unsendable", reason: "request_invalid", facts: {} }, false, "nothing"],
  ]
  for (const [says, outcome, isSuccess, sign] of cases) {
    test(`${says}: ${sign}`, () => assert.equal(signOf(outcome, isSuccess), sign))
  }
})

describe("what becomes of a delivery that is held back", () => {
  const held = { origin: "https://a.example", queue: 77, dueAt: NOW - 9_000 }
  const state = { ...judged(), state: "open", until: NOW + 3_000, restMs: 5_000 } as const
  const progress = (charged: number) => ({
    id: { integration: 1, event: 2 },
    attempt: charged + 1,
    charged,
    acceptedAt: NOW,
  })

  test("it waits at its place in the order, and no retry is used up", () => {
    assert.deepEqual(afterSkip(presets.standard, progress(2), held, state, NOW), {
      status: "skipped",
      reason: {
        code: "sleeping",
        facts: { host: "a.example", since_at: NOW, errors: 12, successes: 3, probe_at: NOW + 3_000 },
      },
      at: NOW - 9_000,
      queue: 77,
      charged: false,
    })
  })

  test("under device it is tried after 30 s, after 60 s, and then has failed", () => {
    const nexts = [0, 1, 2].map(charged => afterSkip(presets.device, progress(charged), held, state, NOW))
    assert.deepEqual(
      nexts.map(next => next.status === "skipped" && [next.at - NOW, next.queue, next.charged]),
      [[30_000, DUE, true], [60_000, DUE, true], false],
    )
    assert.ok(nexts[2]?.status === "failed")
    assert.deepEqual([nexts[2].reason.code, nexts[2].reason.facts.ended], ["sleeping", "exhausted"])
  })

  function judged() {
    return { since: NOW, errors: 12, successes: 3, doublings: 0 }
  }
})
