/** A rate that several share: learned from answers, spread, used up by nobody alone. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Budget } from "../../src/domain/budget.ts"

const NOW = 1_800_000_000_000
const SECOND = 1_000

function granted(remaining: number, seconds: number, policy: { limit: number; windowMs: number } | null = null) {
  return { remaining, resetMs: seconds * SECOND, limit: policy?.limit ?? null, windowMs: policy?.windowMs ?? null }
}

/** Lets these ask in turn, every 10 ms, and take all that they get; who took when. */
function run(budget: Budget<string>, who: readonly string[], from: number, to: number): [who: string, at: number][] {
  const taken: [string, number][] = []
  for (let now = from; now < to; now += 10) {
    for (const one of who) {
      const room = Math.min(budget.roomFor(one, now), 1_000)
      if (room < 1) budget.wait(one, now)
      else budget.take(one, room, now)
      for (let i = 0; i < room; i++) {
        budget.ended()
        taken.push([one, now])
      }
    }
  }
  return taken
}

describe("a budget", () => {
  test("holds nobody before anything is known of it", () => {
    assert.equal(new Budget().roomFor("a", NOW), Number.POSITIVE_INFINITY)
  })

  test("that is used up holds all until it is reset", () => {
    const budget = new Budget<string>()
    budget.learn(granted(0, 30), null, NOW)
    assert.deepEqual(
      ["a", "b"].map(who => budget.roomFor(who, NOW + 29_999)),
      [0, 0],
    )
    assert.deepEqual([budget.usedUpUntil(NOW), budget.opensAt("a", NOW)], [NOW + 30 * SECOND, NOW + 30 * SECOND])
    assert.equal(budget.roomFor("a", NOW + 30 * SECOND), Number.POSITIVE_INFINITY)
  })

  test("spreads what is left over the time that it is for", () => {
    const budget = new Budget<string>()
    budget.learn(granted(60, 30), null, NOW)
    const times = run(budget, ["a"], NOW, NOW + 30 * SECOND).map(([, at]) => at)
    assert.ok(times.length >= 57 && times.length <= 60, `${times.length} of 60`)
    const half = times.filter(at => at < NOW + 15 * SECOND).length
    assert.ok(half >= 28 && half <= 32, `${half} in the first half`)
  })

  test("goes on with the next window where its length is known", () => {
    const budget = new Budget<string>()
    budget.learn(granted(0, 5, { limit: 10, windowMs: 10 * SECOND }), null, NOW)
    const times = run(budget, ["a"], NOW, NOW + 25 * SECOND).map(([, at]) => at)
    assert.equal(times.filter(at => at < NOW + 5 * SECOND).length, 0)
    assert.ok(times.length >= 19 && times.length <= 21, `${times.length} in two windows of 10`)
  })

  test("serves all in turn, also one that asks after the others each time", () => {
    const budget = new Budget<string>()
    budget.learn(granted(30, 30), null, NOW)
    const taken = run(budget, ["a", "b", "c"], NOW, NOW + 30 * SECOND)
    for (const who of ["a", "b", "c"]) {
      const own = taken.filter(([other]) => other === who).length
      assert.ok(own >= 9 && own <= 11, `${who} got ${own} of ${taken.length}`)
    }
  })

  test("waits for nobody who asks no more", () => {
    const budget = new Budget<string>()
    budget.learn(granted(0, 1), null, NOW)
    budget.wait("gone", NOW)
    budget.learn(granted(100, 10), null, NOW)
    const taken = run(budget, ["a"], NOW, NOW + 10 * SECOND)
    assert.ok(taken.length > 85, `${taken.length} of 100`)
  })

  test("is held by a 429 for as long as that asks, and by the longest of several", () => {
    const budget = new Budget<string>()
    budget.learn(null, 20 * SECOND, NOW)
    budget.learn(null, 5 * SECOND, NOW)
    assert.equal(budget.usedUpUntil(NOW + SECOND), NOW + 20 * SECOND)
    assert.equal(budget.usedUpUntil(NOW + 20 * SECOND), null)
  })

  test("goes on where another process stood, unless it has learned something newer", () => {
    const before = new Budget<string>()
    before.learn(granted(0, 10), null, NOW)
    const kept = JSON.parse(JSON.stringify(before.kept)) as NonNullable<typeof before.kept>
    const after = new Budget<string>()
    assert.equal(after.kept, null)
    after.restore(kept)
    assert.equal(after.roomFor("a", NOW + SECOND), 0)
    assert.equal(after.opensAt("a", NOW + SECOND), before.opensAt("a", NOW + SECOND))
    const wiser = new Budget<string>()
    wiser.learn(granted(100, 10), null, NOW)
    wiser.restore(kept)
    assert.ok(wiser.roomFor("a", NOW + SECOND) >= 1)
  })

  test("counts those that were under way when the other side said how many are left", () => {
    const budget = new Budget<string>()
    budget.take("a", 5, NOW)
    budget.learn(granted(4, 10), null, NOW)
    assert.equal(budget.roomFor("a", NOW + SECOND), 0)
  })

  test("is not held longer by a clock that is put back", () => {
    const budget = new Budget<string>()
    budget.learn(granted(0, 30), 30 * SECOND, NOW)
    assert.ok(budget.opensAt("a", NOW - 3_600 * SECOND) - (NOW - 3_600 * SECOND) <= 30 * SECOND)
  })
})
