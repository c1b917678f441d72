import assert from "node:assert/strict"
import { test } from "node:test"
import { parseRetryAfter } from "../../src/domain/retry-after.ts"
import { shortestMs } from "../help/timing.ts"

const now = Date.UTC(2026, 10, 21, 10, 0, 0)

/** The values of SW-25 and their kin: what was sent, and how long it asks to wait in ms. */
const cases: readonly (readonly [values: readonly string[], ms: number | null])[] = [
  [["120"], 120_000],
  [["0"], 0],
  [["-5"], null],
  [["1e9"], 1_000_000_000_000],
  [["1e999"], Number.MAX_SAFE_INTEGER],
  [["99999999999999999999999"], Number.MAX_SAFE_INTEGER],
  [["120.6"], 121_000],
  [["0.001"], 1_000],
  [[" 7 "], 7_000],
  [["soon"], null],
  [["12 seconds"], null],
  [["1_000"], null],
  [["0x10"], null],
  [["NaN"], null],
  [["Infinity"], null],
  [[""], null],
  [[], null],
  [["30", "120", "60"], 120_000],
  [["soon", "60"], 60_000],
  [["-5", "soon"], null],
  [["30, 120"], 120_000],
  [["Sat, 21 Nov 2026 10:05:00 GMT"], 300_000],
  [["Saturday, 21-Nov-26 10:05:00 GMT"], 300_000],
  [["Sat Nov 21 10:05:00 2026"], 300_000],
  [["Sat Nov  7 10:05:00 2027"], Date.UTC(2027, 10, 7, 10, 5) - now],
  [["Sunday, 06-Nov-94 08:49:37 GMT"], 0],
  [["Wed, 21 Oct 2015 07:28:00 GMT"], 0],
  [["Sat, 21 Nov 2026 10:00:60 GMT"], 60_000],
  [["60", "Sat, 21 Nov 2026 10:05:00 GMT"], 300_000],
  [["Sun, 31 Feb 2027 10:00:00 GMT"], null],
  [["Mon, 29 Feb 2027 10:00:00 GMT"], null],
  [["Tue, 29 Feb 2028 10:00:00 GMT"], Date.UTC(2028, 1, 29, 10) - now],
  [["Sat, 21 Nov 2026 25:00:00 GMT"], null],
  [["Sat, 21 Foo 2026 10:00:00 GMT"], null],
  [["2026-11-21T10:05:00Z"], null],
  [["21 Nov 2026"], null],
]

for (const [values, ms] of cases) {
  test(`Retry-After ${JSON.stringify(values)} asks for ${ms === null ? "nothing sensible" : `${ms} ms`}`, () => {
    assert.equal(parseRetryAfter(values, now), ms)
  })
}

test("a two-digit year is the nearest that is not more than 50 years ahead", () => {
  assert.equal(parseRetryAfter(["Saturday, 21-Nov-76 10:00:00 GMT"], now), Date.UTC(2076, 10, 21, 10) - now)
  assert.equal(parseRetryAfter(["Saturday, 21-Nov-77 10:00:00 GMT"], now), 0)
})

test("a header of any length is read in no time", () => {
  const tookMs = shortestMs(() => {
    for (const junk of ["1".repeat(60_000), "1,".repeat(30_000), "a".repeat(60_000), `Sat, ${" ".repeat(60_000)}`]) {
      parseRetryAfter([junk], now)
    }
  })
  assert.ok(tookMs < 500, `took ${tookMs} ms`)
})
