/** The database's clock, as a process sees it between two looks at it. */
import assert from "node:assert/strict"
import test from "node:test"
import { PostgresClock } from "../../../src/store/postgres-clock.ts"

const NOON = Date.UTC(2026, 10, 21, 12)

/** A clock whose process's own, monotonic one the test turns. `ahead`: what the database's shows more than that. */
function startClock(): { clock: PostgresClock; pass(ms: number): void; look(ahead: number, tookMs?: number): void } {
  let monotonic = 5_000
  const clock = new PostgresClock(() => monotonic)
  return {
    clock,
    pass: ms => {
      monotonic += ms
    },
    look: (ahead, tookMs = 2) => {
      const sentAt = monotonic
      monotonic += tookMs
      clock.read({ sentAt, at: sentAt + tookMs / 2 + ahead, receivedAt: monotonic })
    },
  }
}

test("it shows what the database's clock shows, whatever that of the machine does", () => {
  const { clock, pass, look } = startClock()
  look(NOON)
  pass(60_000)
  assert.equal(clock.now(), NOON + 65_002)
})

test("a reading that took long counts for less than one that was quick", () => {
  const { clock, pass, look } = startClock()
  look(NOON, 1)
  pass(1_000)
  // Its answer lay somewhere for all of that time.
  look(NOON - 40, 100)
  assert.equal(clock.now(), Math.floor(clock.monotonicNow() + NOON))
})

test("a small correction makes it stand still, not go back", () => {
  const { clock, pass, look } = startClock()
  look(NOON, 10)
  const before = clock.now()
  look(NOON - 4, 0)
  assert.equal(clock.now(), before)
  pass(3)
  assert.equal(clock.now(), before)
  pass(3)
  assert.equal(clock.now(), before + 2)
})

test("where the database's clock was set, or another server took over, it goes along at once", () => {
  const { clock, pass, look } = startClock()
  for (let i = 0; i < 8; i++) look(NOON, 1)
  look(NOON - 3_600_000, 3)
  assert.equal(clock.now(), Math.floor(clock.monotonicNow() + NOON - 3_600_000))
  pass(500)
  look(NOON + 3_600_000, 20)
  assert.equal(clock.now(), Math.floor(clock.monotonicNow() + NOON + 3_600_000))
})
