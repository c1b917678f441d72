/** JSON is laid out for people without changing a single value. */
import assert from "node:assert/strict"
import test from "node:test"
import { indentJson } from "../../src/commands/pretty-json.ts"
import { JsonWriter } from "../help/json-writer.ts"

test("each member stands on a line of its own, and numbers stay as they were written", () => {
  const text = '{"a":1.0,"b":[12345678901234567890,1e2,{}],"__proto__":{"x":"a,{b}:"},"a":[ ]}'
  assert.equal(
    indentJson(text),
    [
      "{",
      '  "a": 1.0,',
      '  "b": [',
      "    12345678901234567890,",
      "    1e2,",
      "    {}",
      "  ],",
      '  "__proto__": {',
      '    "x": "a,{b}:"',
      "  },",
      '  "a": []',
      "}",
    ].join("\n"),
  )
})

test("what is no JSON is not laid out", () => {
  assert.equal(indentJson("{a:1}"), undefined)
  assert.equal(indentJson(""), undefined)
})

test("any JSON is the same JSON afterwards, and laying it out again changes nothing", () => {
  const writer = new JsonWriter(7)
  for (let i = 0; i < 500; i++) {
    const text = writer.value(4)
    const laidOut = indentJson(text)
    assert.ok(laidOut !== undefined, text)
    assert.deepEqual(JSON.parse(laidOut), JSON.parse(text))
    assert.equal(indentJson(laidOut), laidOut)
  }
})
