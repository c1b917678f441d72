import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { utf8Text } from "../../src/sources/source.ts"

describe("a body as text", () => {
  test("is the same bytes again, byte order marks and part of a larger buffer included", () => {
    for (const text of ["", "plain", "größer 🐝", "\ufeff{}", "\u0000"]) {
      const bytes = new TextEncoder().encode(`<${text}>`).subarray(1, -1)
      assert.equal(utf8Text(bytes), text)
      assert.deepEqual(new TextEncoder().encode(utf8Text(bytes) ?? ""), new Uint8Array(bytes))
    }
  })

  test("is refused where it is no UTF-8", () => {
    for (const bytes of [[0xff], [0xc0, 0xa0], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]]) {
      assert.equal(utf8Text(new Uint8Array(bytes)), null)
    }
  })
})
