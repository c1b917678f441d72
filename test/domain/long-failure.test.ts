/** What a long failure comes to: errors in, steps out, as tables. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import {
  afterError,
  type Health,
  hasBeenLong,
  healthOfText,
  healthToText,
  isWithoutRetries,
  type LongFailureRules,
} from "../../src/domain/long-failure.ts"
import { type PresetName, presets } from "../../src/domain/policy.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const START = Date.UTC(2026, 10, 21, 10)

interface Told {
  readonly step: string
  /** After the first error, in hours. */
  readonly afterHours: number
}

/** Errors at these times; what follows, and the health at the end. */
function after(
  rules: LongFailureRules,
  times: readonly number[],
  from: Health | null = null,
  endpoints = "e",
): { readonly told: readonly Told[]; readonly health: Health | null } {
  let health = from
  const told: Told[] = []
  for (const at of times) {
    const result = afterError(health, { at, lastSuccessAt: null, endpoints, revision: 1 }, rules)
    health = result.health
    for (const step of result.steps) told.push({ step, afterHours: (at - START) / HOUR })
  }
  return { told, health }
}

/** Errors from the start on, every so often, for so long. */
function every(ms: number, forMs: number, from = START): number[] {
  return Array.from({ length: Math.floor(forMs / ms) + 1 }, (_, i) => from + i * ms)
}

describe("while nothing gets through", () => {
  const rows: [preset: PresetName, told: readonly Told[]][] = [
    [
      "standard",
      [
        { step: "warn", afterHours: 48 },
        { step: "disable", afterHours: 120 },
      ],
    ],
    ["subscription", [{ step: "stop_retries", afterHours: 24 }]],
    ["revenuecat", [{ step: "warn", afterHours: 3 }]],
    ["device", []],
  ]
  for (const [preset, expected] of rows) {
    const says = expected.map(({ step, afterHours }) => `${step} after ${afterHours} h`).join(", ")
    test(`${preset} says ${says === "" ? "nothing" : says}, once`, () => {
      assert.deepEqual(after(presets[preset], every(10 * MINUTE, 5 * DAY)).told, expected)
    })
  }

  test("the retries of one event alone, up to a day apart, are evidence enough for the warning", () => {
    const { retryDelaysMs } = presets.standard
    let at = START
    const times = [START, ...retryDelaysMs.map(delay => (at += Math.round(delay * 1.1)))]
    assert.deepEqual(
      after(presets.standard, times).told.map(({ step }) => step),
      ["warn"],
    )
  })

  test("nothing is retried from the moment that the policy names, and again where the policy no longer says so", () => {
    const { health: before } = after(presets.subscription, every(HOUR, 23 * HOUR))
    const { health } = after(presets.subscription, every(HOUR, 24 * HOUR))
    assert.ok(before !== null && health !== null)
    assert.equal(isWithoutRetries(before, presets.subscription), false)
    assert.equal(isWithoutRetries(health, presets.subscription), true)
    assert.equal(isWithoutRetries(health, presets.standard), false)
  })
})

describe("no evidence of a long failure is", () => {
  test("a time without traffic: two errors a month apart are two errors", () => {
    const { told, health } = after(presets.standard, [START, START + 30 * DAY])
    assert.deepEqual(told, [])
    assert.ok(health !== null && health.failedForMs < 2 * DAY)
  })

  for (const [preset, leapMs] of [
    ["standard", 30 * DAY],
    ["subscription", 30 * DAY],
  ] as const) {
    test(`a clock that leaps ahead, for ${preset}`, () => {
      const leapt = [...every(MINUTE, HOUR), ...every(MINUTE, HOUR, START + leapMs)]
      assert.deepEqual(after(presets[preset], leapt).told, [])
    })
  }

  test("a clock that is put back, and put right again", () => {
    const minutes = every(MINUTE, HOUR)
    const back = every(MINUTE, HOUR, START - 30 * DAY)
    const { told, health } = after(presets.standard, [...minutes, ...back, ...every(MINUTE, HOUR, START + 2 * HOUR)])
    assert.deepEqual(told, [])
    assert.ok(health !== null)
    assert.ok(health.failingSince <= health.lastErrorAt, "since when is never after the last error")
    assert.ok(health.failedForMs <= 3 * HOUR + 30 * HOUR)
  })

  test("what other endpoints did: others begin anew", () => {
    const { health } = after(presets.standard, every(HOUR, 4 * DAY))
    const moved = after(presets.standard, every(HOUR, 30 * HOUR, START + 4 * DAY), health, "other")
    assert.deepEqual(moved.told, [])
    assert.equal(moved.health?.failingSince, START + 4 * DAY)
    assert.equal(moved.health?.errors, 31)
  })
})

test("a success ends what people were told of, and says nothing where nobody was", () => {
  const { health: short } = after(presets.standard, every(HOUR, DAY))
  const { health: long } = after(presets.standard, every(HOUR, 3 * DAY))
  const { health: stopped } = after(presets.subscription, every(HOUR, 2 * DAY))
  assert.ok(short !== null && long !== null && stopped !== null)
  assert.deepEqual([short, long, stopped].map(hasBeenLong), [false, true, true])
})

test("health is read back as it was kept, and what cannot be read is well", () => {
  const { health } = after(presets.standard, every(HOUR, 3 * DAY))
  assert.ok(health !== null)
  assert.deepEqual(healthOfText(healthToText(health)), health)
  assert.equal(healthOfText(null), null)
  assert.equal(healthOfText('{"failingSince":1}'), null)
})
