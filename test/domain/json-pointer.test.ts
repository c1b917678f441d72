import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { parsePointer, pointerTo } from "../../src/domain/json-pointer.ts"

describe("JSON pointers", () => {
  test("lead one step on, slashes and tildes in names escaped", () => {
    assert.equal(pointerTo("", "events"), "/events")
    assert.equal(pointerTo("/events", 3), "/events/3")
    assert.equal(pointerTo("/types", "a/b~c"), "/types/a~1b~0c")
    assert.equal(pointerTo("", ""), "/")
  })

  test("are read back into their keys", () => {
    assert.deepEqual(parsePointer(""), [])
    assert.deepEqual(parsePointer("/"), [""])
    assert.deepEqual(parsePointer("/data/0/id"), ["data", "0", "id"])
    for (const key of ["a/b", "~", "~1", "~01", "", "é"]) assert.deepEqual(parsePointer(pointerTo("", key)), [key])
  })

  test("begin with a slash and escape nothing but tilde and slash", () => {
    for (const text of ["data", "#/data", " /data", "/a~", "/a~2"]) assert.equal(parsePointer(text), null, text)
  })
})
