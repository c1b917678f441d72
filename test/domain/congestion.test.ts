import assert from "node:assert/strict"
import { test } from "node:test"
import { type Congestion, cut, grow, showsStrain } from "../../src/domain/congestion.ts"
import type { Outcome } from "../../src/domain/delivery.ts"

const NOW = 1_800_000_000_000

const answered = (status: number): Outcome => ({ kind: "answered", status, retryAfterMs: null, facts: {} })
const unreachable = (
  reason: "timeout_connect" | "timeout_response" | "timeout_body" | "connection_refused",
): Outcome => ({
  kind: "unreachable",
  reason,
  facts: {},
})

const signs: readonly [outcome: Outcome, shows: boolean][] = [
  [answered(429), true],
  [answered(502), true],
  [answered(503), true],
  [answered(504), true],
  [answered(500), false],
  [answered(404), false],
  [answered(200), false],
  [unreachable("timeout_connect"), true],
  [unreachable("timeout_response"), true],
  [unreachable("timeout_body"), true],
  [unreachable("connection_refused"), false],
  [{ kind: "interrupted", facts: {} }, false],
]
for (const [outcome, shows] of signs) {
  const what =
    outcome.kind === "answered" ? outcome.status : outcome.kind === "unreachable" ? outcome.reason : outcome.kind
  test(`${what} ${shows ? "shows" : "does not show"} that the endpoint has too much to do`, () => {
    assert.equal(showsStrain(outcome), shows)
  })
}

test("strain halves what was borne, once for all that were under way together", () => {
  const first = cut(null, { startedAt: NOW - 100, now: NOW, underWay: 10, places: 20 })
  assert.equal(first.limit, 5)
  const others = Array.from({ length: 9 }, (_, i) => i).reduce<Congestion>(
    (limit, i) => cut(limit, { startedAt: NOW - 100, now: NOW + i, underWay: 9 - i, places: 20 }),
    first,
  )
  assert.equal(others.limit, 5)
  assert.equal(cut(others, { startedAt: NOW + 20, now: NOW + 30, underWay: 5, places: 20 }).limit, 2.5)
})

test("strain leaves one at a time, however often it shows", () => {
  let limit: Congestion | null = null
  for (let at = NOW; at < NOW + 100; at += 2)
    limit = cut(limit, { startedAt: at + 1, now: at + 2, underWay: 1, places: 10 })
  assert.equal(limit?.limit, 1)
})

test("an endpoint that is granted many at a time keeps a tenth of them", () => {
  let limit: Congestion | null = null
  for (let at = NOW; at < NOW + 100; at += 2)
    limit = cut(limit, { startedAt: at + 1, now: at + 2, underWay: 10, places: 100 })
  assert.equal(limit?.limit, 10)
})

test("each round of successes lets about one more go at a time, up to all", () => {
  let limit: Congestion | null = { limit: 2, cutAt: NOW }
  for (let round = 1; limit !== null; round++) {
    const before: number = limit.limit
    for (let i = Math.floor(before); i > 0 && limit !== null; i--) limit = grow(limit, 20)
    const grown: number = (limit?.limit ?? before + 1) - before
    assert.ok(grown > 0.5 && grown <= 1, `${grown} in round ${round}`)
    assert.ok(round < 30)
  }
})

test("a clock that was put back does not keep strain from showing", () => {
  const before = { limit: 8, cutAt: NOW }
  assert.equal(cut(before, { startedAt: NOW - 3_600_000, now: NOW - 3_599_000, underWay: 8, places: 20 }).limit, 4)
})
