import assert from "node:assert/strict"
import { test } from "node:test"
import { mentions } from "../../src/domain/mentions.ts"

test("an id is found as a word of its own, however the text writes it", () => {
  assert.ok(mentions('{"profile_id":"user-1842","n":1}', "user-1842"))
  assert.ok(mentions("profile user-1842.", "user-1842"))
  assert.ok(mentions(JSON.stringify({ id: 'a"b' }), 'a"b'))
  assert.ok(mentions("xuser-1 user-1", "user-1"))
  assert.ok(mentions('{"n":1}', "1"))
})

test("an id within a longer word is another's", () => {
  assert.ok(!mentions('{"profile_id":"user-18421"}', "user-1842"))
  assert.ok(!mentions("my_user", "user"))
  assert.ok(!mentions("éa", "a"))
  assert.ok(!mentions("", "a"))
})
