import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { decodeHeader } from "../../src/sources/cloud-header.ts"

/** A header's value as Node hands it over when it was sent as UTF-8: one character for each byte. */
function asBytes(text: string): string {
  return Buffer.from(text).toString("latin1")
}

const decoded: readonly (readonly [value: string, text: string])[] = [
  ["plain", "plain"],
  ["", ""],
  ["Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"],
  ["Euro%20%e2%82%ac", "Euro €"],
  ['"a b"', "a b"],
  [String.raw`"a \"b\" \\ c"`, String.raw`a "b" \ c`],
  ['"a%20b"', "a b"],
  ["%2541", "%41"],
  ["%41%42", "AB"],
  ["%22a%22", '"a"'],
  ["a b", "a b"],
  ["100%", "100%"],
  ["100% sure", "100% sure"],
  ["%zz%4", "%zz%4"],
  ['say "hi"', 'say "hi"'],
  ['"', '"'],
  ['"a" and "b"', '"a" and "b"'],
  [asBytes("größer 🐝"), "größer 🐝"],
  [asBytes("größer%20🐝"), "größer 🐝"],
]

const refused = ["%C0%A0", "%E2%82", "%FF", "a%ED%A0%80b", "\u00e9", `"%C3"`]

describe("the value of a header", () => {
  for (const [value, text] of decoded) {
    test(`${JSON.stringify(value)} is ${JSON.stringify(text)}`, () => assert.equal(decodeHeader(value), text))
  }
  for (const value of refused) {
    test(`${JSON.stringify(value)} is no UTF-8`, () => assert.equal(decodeHeader(value), null))
  }
})
