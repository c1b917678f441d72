import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { isJsonType, isTextType, isUtf8Type, parseMediaType } from "../../src/domain/media-type.ts"
import { shortestMs } from "../help/timing.ts"

const taken: readonly (readonly [text: string, essence: string, charset: string | null])[] = [
  ["application/json", "application/json", null],
  ["TEXT/Plain; CharSet=utf-8", "text/plain", "utf-8"],
  ['text/plain;charset="UTF-8"', "text/plain", "utf-8"],
  ["application/cloudevents+json ; charset=utf-8 ; x=1", "application/cloudevents+json", "utf-8"],
  ["text/plain;", "text/plain", null],
  ["text/plain; ;charset=us-ascii", "text/plain", "us-ascii"],
  ['multipart/form-data; boundary=";charset=latin1"', "multipart/form-data", null],
  ["application/vnd.api+json", "application/vnd.api+json", null],
]
const refused = [
  "",
  "xyz",
  "text/",
  "/plain",
  "text plain",
  "text/plain x",
  "text/plain; charset",
  "text/plain; charset=a b",
  'text/plain; x="a',
  "a/b\n",
  'a/b;x="\t"',
  'a/b;x="é"',
]

describe("media types", () => {
  for (const [text, essence, charset] of taken) {
    test(`${text} is ${essence}`, () => assert.deepEqual(parseMediaType(text), { essence, charset }))
  }
  for (const text of refused) {
    test(`${JSON.stringify(text)} is none`, () => assert.equal(parseMediaType(text), undefined))
  }

  test("JSON is …/json and …+json, text is text/… and XML, UTF-8 is what is not said to be anything else", () => {
    const of = (text: string) => parseMediaType(text) ?? assert.fail()
    assert.deepEqual(
      ["a/json", "a/b+json", "a/jsonp", "application/jsonx"].map(text => isJsonType(of(text))),
      [true, true, false, false],
    )
    assert.deepEqual(
      ["text/csv", "application/xml", "image/svg+xml", "image/png"].map(text => isTextType(of(text))),
      [true, true, true, false],
    )
    assert.deepEqual(
      ["a/b", "a/b;charset=UTF-8", "a/b;charset=us-ascii", "a/b;charset=latin1"].map(text => isUtf8Type(of(text))),
      [true, true, true, false],
    )
  })

  test("thousands of blanks and semicolons take a moment", () => {
    const tookMs = shortestMs(() => {
      for (const text of [
        `a/b${" ; ".repeat(20_000)}x`,
        `a/b;${" ".repeat(50_000)}x`,
        `a/b;x="${"\\\\".repeat(20_000)}`,
      ])
        parseMediaType(text)
    })
    assert.ok(tookMs < 200, `took ${tookMs} ms`)
  })
})
