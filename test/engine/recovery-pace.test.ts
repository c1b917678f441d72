import assert from "node:assert/strict"
import { test } from "node:test"
import { type Busyness, nextRate } from "../../src/engine/recovery-pace.ts"

/** Where the rate comes to rest in a process in which live events and recovered ones cost so much of a second each. */
function settledRate({ live, liveCost, cost }: { live: number; liveCost: number; cost: number }): number {
  let rate = 500
  for (let step = 0; step < 200; step++) {
    const share = Math.min(1, live * liveCost + rate * cost)
    const busyness: Busyness = { share, live: live / 5, recovered: rate / 5 }
    rate = nextRate(rate, busyness, { hasLive: live > 0, isUsedUp: true })
  }
  return rate
}

test("beside live events a recovery comes to take about a third of the time that they leave", () => {
  for (const live of [100, 500, 1_000]) {
    const [liveCost, cost] = [0.000_6, 0.000_3]
    const rate = settledRate({ live, liveCost, cost })
    const rest = 1 - live * liveCost
    assert.ok(Math.abs((rate * cost) / rest - 1 / 3) < 0.02, `${live} live events a second: ${rate}`)
    // Live events wait no more than half as long again.
    assert.ok((1 - live * liveCost) / (1 - live * liveCost - rate * cost) < 1.55)
  }
})

test("alone it takes three quarters of the time", () => {
  const rate = settledRate({ live: 0, liveCost: 0, cost: 0.000_3 })
  assert.ok(Math.abs(rate * 0.000_3 - 0.75) < 0.02, String(rate))
})

test("it gets on even where live events leave nothing", () => {
  assert.equal(settledRate({ live: 5_000, liveCost: 0.000_6, cost: 0.000_3 }), 50)
})

test("a rate that was not used up is not raised, and lowered where it is too much", () => {
  const idle: Busyness = { share: 0.01, live: 0, recovered: 1 }
  assert.equal(nextRate(500, idle, { hasLive: false, isUsedUp: false }), 500)
  const full: Busyness = { share: 1, live: 100, recovered: 100 }
  assert.ok(nextRate(500, full, { hasLive: true, isUsedUp: false }) < 500)
})
