/** So many a second, to within 5 % over a minute, however unevenly it is asked. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Allowance } from "../../src/domain/allowance.ts"
import { seeded } from "../help/json-writer.ts"

const NOW = 1_800_000_000_000
const MINUTE = 60_000

/** Takes all that may go, at these times. */
function takeAll(allowance: Allowance, times: Iterable<number>): number[] {
  const taken: number[] = []
  for (const at of times) {
    const room = allowance.roomAt(at)
    allowance.take(room)
    for (let i = 0; i < room; i++) taken.push(at)
  }
  return taken
}

/** The most within any minute. */
function mostInAMinute(taken: readonly number[]): number {
  let [most, from] = [0, 0]
  for (const [to, at] of taken.entries()) {
    while ((taken[from] ?? 0) <= at - MINUTE) from++
    most = Math.max(most, to - from + 1)
  }
  return most
}

describe("an allowance", () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = seeded(seed)

  for (const rate of [0.5, 1, 7, 10, 33.3, 200, 5_000]) {
    test(`of ${rate} a second lets as many through in a minute, within 5 %, asked up to 50 ms late each time`, t => {
      t.diagnostic(`seed ${seed}`)
      const allowance = new Allowance(rate, true)
      const taken: number[] = []
      for (let now = NOW; now < NOW + 3 * MINUTE; ) {
        taken.push(...takeAll(allowance, [now]))
        now = Math.max(allowance.opensAt(now), now) + Math.ceil(random() * 50)
      }
      const inTheSecond = taken.filter(at => at >= NOW + MINUTE && at < NOW + 2 * MINUTE).length
      assert.ok(Math.abs(inTheSecond - rate * 60) <= Math.max(1, rate * 60 * 0.05), `${inTheSecond} of ${rate * 60}`)
      assert.ok(mostInAMinute(taken) <= Math.max(rate * 60 + 1, rate * 60 * 1.05))
    })

    test(`of ${rate} a second keeps to it over pauses, bursts and a clock that jumps`, () => {
      const allowance = new Allowance(rate, true)
      const times: number[] = []
      for (let now = NOW; times.length < 20_000; ) {
        // Mostly asked again and again, now and then left alone for up to a minute.
        now += random() < 0.01 ? random() * MINUTE : random() * 30
        times.push(now)
      }
      assert.ok(mostInAMinute(takeAll(allowance, times)) <= Math.max(rate * 60 + 1, rate * 60 * 1.05))
    })
  }

  test("that is made anew again and again, as by restarts, lets no more through than one that is not", () => {
    const rate = 2
    const taken: number[] = []
    for (let now = NOW; now < NOW + 2 * MINUTE; now += 700) {
      const anew = new Allowance(rate, false, now)
      for (let at = now; at < now + 700; at += 10) taken.push(...takeAll(anew, [at]))
    }
    assert.ok(mostInAMinute(taken) <= rate * 60 * 1.05)
  })
})
