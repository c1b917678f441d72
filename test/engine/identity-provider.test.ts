/** Names as identity providers tell them: kept as they are, but for what no engine keeps. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { nameIn } from "../../src/engine/identity-provider.ts"

test("a name with characters beyond the first 65,536 is kept as it is", () => {
  for (const name of ["𠮷田 Ada", "🦊", "Ada 🦊 Lovelace", "𝒜𝒹𝒶"]) assert.equal(nameIn(` ${name} `), name)
})

test("of a name only what no engine keeps is left out, and a long one ends between two characters", () => {
  assert.equal(nameIn("A\u0000da"), "Ada")
  assert.equal(nameIn("A\ud83e"), "A\ufffd")
  assert.equal(nameIn("\u0000 "), "")
  assert.equal(nameIn("🦊".repeat(300)), "🦊".repeat(200))
})
