import assert from "node:assert/strict"
import { test } from "node:test"
import type { DeliveryId } from "../../src/domain/id.ts"
import { presets } from "../../src/domain/policy.ts"
import { longestScheduleMs, retryDelayMs, type Schedule } from "../../src/domain/schedule.ts"

const DAY_MS = 86_400_000
/** Ids as they are made: one after another. */
const FIRST_ID = 374_000_000_000_000
const deliveries: readonly DeliveryId[] = Array.from({ length: 1_000 }, (_, i) => ({
  event: FIRST_ID + i,
  integration: FIRST_ID - 5,
}))

function delaysOf(schedule: Schedule, delivery: DeliveryId): number[] {
  return schedule.retryDelaysMs.map((_, retry) => retryDelayMs(schedule, delivery, retry) ?? Number.NaN)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

test("of 1,000 deliveries that fail at the same instant, retries spread evenly over ±10 % (SW-26)", () => {
  for (const [retry, delay] of presets.standard.retryDelaysMs.entries()) {
    const shares = deliveries.map(delivery => ((retryDelayMs(presets.standard, delivery, retry) ?? 0) - delay) / delay)
    assert.ok(shares.every(share => share >= -0.1 && share <= 0.1))
    assert.ok(Math.abs(sum(shares) / shares.length) < 0.006, "the mean is the delay itself")
    const tenths = Array.from(
      { length: 10 },
      (_, i) => shares.filter(share => Math.floor((share + 0.1) * 50) === i).length,
    )
    assert.ok(
      tenths.every(count => count > 60 && count < 140),
      `each tenth of the span holds about 100: ${tenths}`,
    )
  }
})

test("the jitter of a delivery's retries is not the same each time, nor for its other integrations", () => {
  const shares = deliveries.map(delivery =>
    delaysOf(presets.standard, delivery).map((ms, i) => ms / (presets.standard.retryDelaysMs[i] ?? 1)),
  )
  const mean = (values: number[]) => sum(values) / values.length
  const correlation = (xs: number[], ys: number[]) => {
    const [mx, my] = [mean(xs), mean(ys)]
    const [sxy, sxx, syy] = [
      sum(xs.map((x, i) => (x - mx) * ((ys[i] ?? 0) - my))),
      sum(xs.map(x => (x - mx) ** 2)),
      sum(ys.map(y => (y - my) ** 2)),
    ]
    return sxy / Math.sqrt(sxx * syy)
  }
  const column = (i: number) => shares.map(row => row[i] ?? 0)
  const elsewhere = deliveries.map(
    ({ event }) => (retryDelayMs(presets.standard, { event, integration: FIRST_ID - 6 }, 1) ?? 0) / 300_000,
  )
  assert.ok(Math.abs(correlation(column(1), column(2))) < 0.1)
  assert.ok(Math.abs(correlation(column(1), elsewhere)) < 0.1)
})

test("the same delivery and retry always give the same delay, in whole ms", () => {
  for (const delivery of deliveries.slice(0, 50)) {
    const delays = delaysOf(presets.standard, delivery)
    assert.deepEqual(delaysOf(presets.standard, { ...delivery }), delays)
    assert.ok(delays.every(Number.isInteger))
  }
})

test("the subscription schedule stays within ±10 %, its last delay within −10…0 %, and never exceeds 24 h", () => {
  const { retryDelaysMs } = presets.subscription
  const sums = deliveries.map(delivery => {
    const delays = delaysOf(presets.subscription, delivery)
    for (const [i, ms] of delays.entries()) {
      const share = ms / (retryDelaysMs[i] ?? 1) - 1
      assert.ok(share >= -0.10001 && share <= (i === 8 ? 0 : 0.1), `retry ${i + 1}: ${share}`)
    }
    return sum(delays)
  })
  assert.equal(sum(retryDelaysMs), DAY_MS)
  assert.ok(Math.max(...sums) <= DAY_MS)
  assert.ok(Math.max(...sums) > 0.98 * DAY_MS, "nor does it end long before")
  assert.ok(Math.min(...sums) >= 0.9 * DAY_MS)
})

test("the longest schedule is what no delivery exceeds", () => {
  for (const preset of Object.values(presets)) {
    const longest = longestScheduleMs(preset)
    assert.ok(deliveries.every(delivery => sum(delaysOf(preset, delivery)) <= longest))
  }
  assert.equal(longestScheduleMs(presets.subscription), DAY_MS)
  assert.equal(longestScheduleMs(presets.revenuecat), 155 * 60_000)
  assert.equal(longestScheduleMs({ retryDelaysMs: [], jitter: presets.standard.jitter }), 0)
})

test("without jitter the delays are exact, and there is none after the last", () => {
  const [delivery] = deliveries
  assert.ok(delivery)
  assert.deepEqual(delaysOf(presets.device, delivery), [30_000, 60_000])
  assert.deepEqual(
    delaysOf(presets.revenuecat, delivery),
    [5, 10, 20, 40, 80].map(minutes => minutes * 60_000),
  )
  assert.equal(retryDelayMs(presets.device, delivery, 2), null)
})
