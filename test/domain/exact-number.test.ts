import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { compareDecimals, decimalOf } from "../../src/domain/exact-number.ts"
import { seeded } from "../help/json-writer.ts"
import { shortestMs } from "../help/timing.ts"

/** Each row in rising order; `=` between what is worth the same. */
const rows: readonly string[] = [
  "-1e999999999 < -2 < -1.5 < -1 < -0.1 < -1e-999999999 < 0 < 1e-999999999 < 0.1 < 1 < 1.5 < 2 < 1e999999999",
  "0 = -0 = 0.0 = 0e5 = -0.000e-99999999999999999999 = 0e99999999999999999999",
  "1 = 1.0 = 1.00 = 1e0 = 1e-0 = 10e-1 = 0.1e1 = 0.01E+2 = 100e-2",
  "100 = 1e2 = 1.00e+2 = 1000e-1 < 101",
  "12345678901234567890 < 12345678901234567891 < 12345678901234567891.5",
  "9007199254740992 < 9007199254740993",
  "0.1 < 0.10000000000000000001 < 0.2 < 0.3 < 0.30000000000000004",
  "-100 < -99 < -9 < 9 < 99 < 100",
  "1e99999999999999999998 < 1e99999999999999999999 = 10e99999999999999999998 < 1e100000000000000000000 = 10e99999999999999999999",
  "1e-100000000000000000000 = 0.1e-99999999999999999999 < 1e-99999999999999999999 = 10e-100000000000000000000",
  "1e999999999999999 = 10e999999999999998 < 1e1000000000000000 = 10e999999999999999 = 0.1e1000000000000001",
  "1e-1000000000000000 = 0.1e-999999999999999 < 1e-999999999999999 = 10e-1000000000000000",
  "-1e99999999999999999999 < -1e99999999999999999998 < -1e-99999999999999999998 < -1e-99999999999999999999 < 0",
  "1e0000000000000000000000005 = 100000",
]

const compare = (a: string, b: string) => compareDecimals(decimalOf(a), decimalOf(b))

describe("numbers are compared as decimals", () => {
  for (const row of rows) {
    test(row, () => {
      const [first = "", ...others] = row.split(" ")
      const ranked = [{ number: first, rank: 0 }]
      for (let i = 0; i + 1 < others.length; i += 2) {
        ranked.push({ number: others[i + 1] ?? "", rank: (ranked.at(-1)?.rank ?? 0) + (others[i] === "<" ? 1 : 0) })
      }
      for (const a of ranked) {
        for (const b of ranked) {
          assert.equal(
            Math.sign(compare(a.number, b.number)),
            Math.sign(a.rank - b.rank),
            `${a.number} and ${b.number}`,
          )
          if (a.rank === b.rank) assert.deepEqual(decimalOf(a.number), decimalOf(b.number))
        }
      }
    })
  }

  test("the same as with big integers, for 20,000 pairs made at random", () => {
    const random = seeded(4)
    const below = (bound: number) => Math.floor(random() * bound)
    const digits = (count: number) => Array.from({ length: count }, () => below(3)).join("")
    const make = () => {
      const fraction = digits(below(4))
      const exponent = below(40) - 20
      const whole = digits(1 + below(20)).replace(/^0+(?=\d)/, "")
      const text = `${below(2) === 0 ? "-" : ""}${whole}${fraction === "" ? "" : `.${fraction}`}e${exponent}`
      // Worth a whole number when it is multiplied by 10^40.
      const scaled = BigInt(whole + fraction) * 10n ** BigInt(exponent - fraction.length + 40)
      return { text, worth: text.startsWith("-") ? -scaled : scaled }
    }
    for (let i = 0; i < 20_000; i++) {
      const [a, b] = [make(), make()]
      const expected = a.worth < b.worth ? -1 : a.worth > b.worth ? 1 : 0
      assert.equal(Math.sign(compare(a.text, b.text)), expected, `${a.text} and ${b.text}`)
    }
  })

  test("the longest texts take a moment", () => {
    const length = 250_000
    const texts = [
      "9".repeat(length),
      `1${"0".repeat(length)}`,
      `1e${"9".repeat(length)}`,
      `1e-${"9".repeat(length)}`,
      `0.${"0".repeat(length)}1`,
    ]
    const tookMs = shortestMs(() => {
      for (const a of texts) for (const b of texts) compare(a, b)
    })
    assert.ok(tookMs < 500, `took ${tookMs} ms`)
    assert.ok(compare(`10e${"9".repeat(length)}`, `1e1${"0".repeat(length)}`) === 0)
  })
})
