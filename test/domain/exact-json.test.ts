import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { type ExactJson, isExactList, isExactNumber, isExactObject, parseExact } from "../../src/domain/exact-json.ts"
import { JsonWriter } from "../help/json-writer.ts"

/** The value as `JSON.parse` would give it. */
function rounded(value: ExactJson): unknown {
  if (isExactNumber(value)) return Number(value.number)
  if (isExactList(value)) return value.map(rounded)
  if (isExactObject(value)) return Object.fromEntries([...value].map(([key, member]) => [key, rounded(member)]))
  return value
}

describe("exact JSON", () => {
  test("numbers stay as they were written", () => {
    assert.deepEqual(parseExact("[1.0, 1e2, 12345678901234567890, -0]"), [
      { number: "1.0" },
      { number: "1e2" },
      { number: "12345678901234567890" },
      { number: "-0" },
    ])
  })

  test("of a key that stands there twice the last value counts", () => {
    assert.deepEqual(
      parseExact('{"a":1,"b":2,"a":3}'),
      new Map([
        ["a", { number: "3" }],
        ["b", { number: "2" }],
      ]),
    )
  })

  test("__proto__ is a key and changes nothing", () => {
    const value = parseExact('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}')
    assert.ok(isExactObject(value))
    assert.deepEqual([...value.keys()], ["__proto__", "constructor"])
    assert.equal(Reflect.get({}, "polluted"), undefined)
  })

  test("an object with a key called number is no number", () => {
    assert.equal(isExactNumber(parseExact('{"number":"1"}')), false)
  })

  test("what is no JSON, or nested too deep, has no value", () => {
    assert.equal(parseExact("{'a':1}"), undefined)
    assert.equal(parseExact(""), undefined)
    assert.equal(parseExact("[".repeat(64) + "]".repeat(64)) === undefined, false)
    assert.equal(parseExact("[".repeat(65) + "]".repeat(65)), undefined)
  })

  test("20,000 documents made at random say what JSON.parse says", () => {
    const writer = new JsonWriter(3)
    for (let i = 0; i < 20_000; i++) {
      const text = writer.value(4)
      const value = parseExact(text)
      assert.ok(value !== undefined, text)
      assert.deepEqual(rounded(value), JSON.parse(text), text)
    }
  })
})
