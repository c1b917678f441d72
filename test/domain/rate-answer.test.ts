import assert from "node:assert/strict"
import { test } from "node:test"
import { rateOf } from "../../src/domain/rate-answer.ts"
import { seeded } from "../help/json-writer.ts"

const now = Date.UTC(2026, 10, 21, 10, 0, 0)

type Headers = Readonly<Record<string, string>>

function answer(headers: Headers) {
  return { status: 200, headers: Object.entries(headers), body: new Uint8Array(), truncated: false, incomplete: false }
}

/** What an answer says, and what it comes to: what remains, until when, of how much, in how long. */
const cases: readonly (readonly [headers: Headers, rate: readonly (number | null)[] | null])[] = [
  [{}, null],
  [{ ratelimit: '"default";r=50;t=30' }, [50, 30_000, null, null]],
  [{ ratelimit: "default;r=50;t=30" }, [50, 30_000, null, null]],
  [{ ratelimit: '"account";r=12;t=8', "ratelimit-policy": '"account";q=100;w=60' }, [12, 8_000, 100, 60_000]],
  [{ ratelimit: '"account";r=12', "ratelimit-policy": '"account";q=100;w=60' }, [12, 60_000, 100, 60_000]],
  [{ ratelimit: '"minute";r=50;t=30, "day";r=0;t=600' }, [0, 600_000, null, null]],
  [{ ratelimit: '"minute";r=0;t=30, "day";r=0;t=600' }, [0, 600_000, null, null]],
  [{ ratelimit: '"a, b; c";r=3;t=4;pk=:cHNk:' }, [3, 4_000, null, null]],
  [{ ratelimit: "limit=100, remaining=12, reset=8" }, [12, 8_000, 100, null]],
  [{ "ratelimit-limit": "100", "ratelimit-remaining": "12", "ratelimit-reset": "8" }, [12, 8_000, 100, null]],
  [{ "ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "12", "ratelimit-reset": "8" }, [12, 8_000, 100, null]],
  [{ "x-ratelimit-limit": "60", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "17" }, [0, 17_000, 60, null]],
  [{ "x-ratelimit-remaining": "0", "x-ratelimit-reset": "0.5" }, [0, 500, null, null]],
  [{ "x-ratelimit-remaining": "5", "x-ratelimit-reset": String(now / 1_000 + 90) }, [5, 90_000, null, null]],
  [{ "x-ratelimit-remaining": "5", "x-ratelimit-reset": String(now + 90_000) }, [5, 90_000, null, null]],
  [{ "x-rate-limit-remaining": "5", "x-rate-limit-reset": "9" }, [5, 9_000, null, null]],
  // What has been reset already says nothing.
  [{ "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(now / 1_000 - 1) }, null],
  [{ ratelimit: '"default";r=50;t=0' }, null],
  // No more than a day is believed.
  [{ "x-ratelimit-remaining": "0", "x-ratelimit-reset": "999999999" }, [0, 86_400_000, null, null]],
  [{ "x-ratelimit-remaining": "many", "x-ratelimit-reset": "9" }, null],
  [{ "x-ratelimit-remaining": "-1", "x-ratelimit-reset": "9" }, null],
  [{ "x-ratelimit-remaining": "5" }, null],
  [{ ratelimit: '"default"' }, null],
  [{ ratelimit: '"default";r=1e9;t=30' }, null],
  [{ ratelimit: '"unended;r=1;t=2' }, null],
  [{ ratelimit: ";;;,,,=" }, null],
]

for (const [headers, rate] of cases) {
  test(`${JSON.stringify(headers)} says ${rate === null ? "nothing" : rate.join(", ")}`, () => {
    const found = rateOf(answer(headers), now)
    assert.deepEqual(found === null ? null : [found.remaining, found.resetMs, found.limit, found.windowMs], rate)
  })
}

test("whatever stands in the headers, it never throws, and what it says makes sense", t => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const random = seeded(seed)
  const parts = [
    '"a"',
    ";",
    ",",
    "=",
    "r",
    "t",
    "w",
    "q",
    "remaining",
    "reset",
    "1",
    "99999999999",
    "-",
    ".",
    "\\",
    '"',
    " ",
  ]
  for (let i = 0; i < 20_000; i++) {
    const value = Array.from({ length: random() * 12 }, () => parts[Math.floor(random() * parts.length)]).join("")
    const name = ["ratelimit", "ratelimit-policy", "x-ratelimit-remaining", "x-ratelimit-reset"]
    const headers = Object.fromEntries(name.map(header => [header, random() < 0.7 ? value : "5"]))
    const rate = rateOf(answer(headers), now)
    if (rate === null) continue
    assert.ok(rate.remaining >= 0 && rate.resetMs > 0 && rate.resetMs <= 86_400_000, JSON.stringify(headers))
  }
})
