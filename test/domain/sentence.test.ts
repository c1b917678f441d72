import assert from "node:assert/strict"
import { test } from "node:test"
import { fill, formatDuration, namesIn } from "../../src/domain/sentence.ts"

test("a gap takes its fact, or the words after the bar where the fact is missing", () => {
  assert.equal(
    fill("{host|The endpoint} answered {status}.", { host: "crm.example", status: 503 }),
    "crm.example answered 503.",
  )
  assert.equal(fill("{host|The endpoint} answered.", {}), "The endpoint answered.")
  assert.equal(fill("{host|The endpoint} answered.", { host: null }), "The endpoint answered.")
  assert.equal(fill("{host|The endpoint} answered.", { host: "  " }), "The endpoint answered.")
})

test("a clause stands only where all its facts are known, else its other words do", () => {
  const template =
    "No answer[ from {host} within {limit_ms}][; last seen {seen_at}|; never seen at {url|this address}]."
  assert.equal(
    fill(template, { host: "a.example", limit_ms: 15_000, seen_at: 0 }),
    "No answer from a.example within 15 s; last seen 1970-01-01 00:00:00 UTC.",
  )
  assert.equal(fill(template, { host: "a.example" }), "No answer; never seen at this address.")
})

test("a fact is never read as a template, and cannot tear the sentence", () => {
  assert.equal(
    fill("It said {detail|nothing}[ ({error})].", { detail: "{host} [x]", error: "{status}" }),
    "It said {host} [x] ({status}).",
  )
  assert.equal(fill("It said {detail}.", { detail: "one\r\n two\u202e\u0007  three." }), "It said one two three.")
  assert.equal(fill("{detail}", { detail: "x".repeat(10_000) }), `${"x".repeat(200)}…`)
  assert.equal(fill("{constructor|nothing}{toString|!}", {}), "nothing!")
})

test("numbers that are no numbers and times that are no times count as missing", () => {
  assert.equal(
    fill("{limit_ms|none} {next_at|never} {n|0}", { limit_ms: Number.NaN, next_at: 9e15, n: Infinity }),
    "none never 0",
  )
})

test("durations are told in the largest unit in which they are at least two, or in days", () => {
  const texts = [0, 900, 1_000, 1_500, 10_000, 90_000, 300_000, 9_000_000, 86_400_000, 3 * 86_400_000].map(
    formatDuration,
  )
  assert.deepEqual(texts, ["0 ms", "900 ms", "1 s", "1.5 s", "10 s", "90 s", "5 min", "2.5 h", "24 h", "3 days"])
})

test("the names of all gaps can be listed", () => {
  assert.deepEqual(namesIn("{a|b} [in {c_ms}|{d|e}] {f}"), ["a", "c_ms", "d", "f"])
})
