import assert from "node:assert/strict"
import { test } from "node:test"
import { isoTime } from "../../src/domain/iso-time.ts"

test("a time is written as toISOString writes it, in any year", () => {
  const edges = [
    0, -1, 999, 86_399_999, 86_400_000, 951_782_400_000, 253_402_300_799_999, 253_402_300_800_000, 8.64e15, -8.64e15,
  ]
  // More days than are remembered, at times spread over the day.
  const spread = Array.from({ length: 3_000 }, (_, day) => day * 86_400_000 + ((day * 7_919_993) % 86_400_000))
  for (const at of [...edges, ...spread, ...spread]) assert.equal(isoTime(at), new Date(at).toISOString())
})

test("what is no time is an error", () => {
  for (const at of [Number.NaN, Number.POSITIVE_INFINITY, 8.64e15 + 86_400_000])
    assert.throws(() => isoTime(at), RangeError)
})
