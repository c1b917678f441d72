import assert from "node:assert/strict"
import test from "node:test"
import { LONGEST_DOUBT_MS, type SteadyTime, steadyTime } from "../../src/domain/steady-time.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const noon = Date.UTC(2026, 10, 21, 12)

/** Reads both clocks once a minute, the wall clock off by `offBy(minute)`, and gives the steady time of each minute. */
function minutes(count: number, offBy: (minute: number) => number, before: SteadyTime = inLine): number[] {
  let steady = before
  return Array.from({ length: count }, (_, i) => {
    const monotonicMs = (i + 1) * MINUTE
    steady = steadyTime(steady, { wallMs: noon + monotonicMs + offBy(i + 1), monotonicMs })
    return steady.at - noon - monotonicMs
  })
}

const inLine: SteadyTime = { at: noon, monotonicMs: 0, leap: null }

test("a clock that goes as it should is followed to the millisecond", () => {
  assert.deepEqual(
    minutes(3, () => 0),
    [0, 0, 0],
  )
})

test("a clock that leaps ahead for a moment, by an hour or a day or ten years, is not followed at all", () => {
  for (const leap of [HOUR, DAY, 3_650 * DAY]) {
    assert.deepEqual(
      minutes(6, minute => (minute === 2 || minute === 3 ? leap : 0)),
      [0, 0, 0, 0, 0, 0],
    )
  }
})

test("a leap is believed when it has lasted as long as it is wide", () => {
  assert.deepEqual(
    minutes(7, minute => (minute >= 2 ? 4 * MINUTE : 0)),
    [0, 0, 0, 0, 0, 4 * MINUTE, 4 * MINUTE],
  )
})

test("a leap of any size is believed after six hours", () => {
  const doubt = LONGEST_DOUBT_MS / MINUTE
  const steady = minutes(doubt + 3, minute => (minute >= 2 ? 30 * DAY : 0))
  assert.ok(steady.slice(0, doubt + 1).every(off => off === 0))
  assert.deepEqual(steady.slice(doubt + 1), [30 * DAY, 30 * DAY])
})

test("a clock that leaps again is doubted anew, and one that creeps ahead is never ahead for free", () => {
  const twice = minutes(9, minute => (minute >= 6 ? 10 * MINUTE : minute >= 2 ? 5 * MINUTE : 0))
  assert.ok(twice.every(off => off === 0))
  const creeping = minutes(60, minute => minute * MINUTE)
  assert.ok(creeping.every((off, i) => off < ((i + 1) * MINUTE) / 2))
})

test("a clock that goes back is followed at once, and what it made up for later is a leap like any other", () => {
  assert.deepEqual(
    minutes(2, () => -DAY),
    [-DAY, -DAY],
  )
  const backAndForth = minutes(5, minute => (minute === 2 ? -DAY : 0))
  assert.deepEqual(backAndForth, [0, -DAY, -DAY, -DAY, -DAY])
})

test("the drift of a clock that NTP keeps in line costs no more than a minute's worth", () => {
  const drift = (minute: number) => minute * 30
  assert.ok(minutes(600, drift).every((off, i) => drift(i + 1) - off <= 60))
})

test("after a time in which nothing ran, things go a little later, and then by the clock", () => {
  const lastRun: SteadyTime = { at: noon - 10 * MINUTE, monotonicMs: 0, leap: null }
  const steady = minutes(12, () => 0, lastRun)
  assert.deepEqual(steady.slice(0, 10), Array(10).fill(-10 * MINUTE))
  assert.deepEqual(steady.slice(10), [0, 0])
})
