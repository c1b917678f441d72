import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { Answer, Exchange } from "../../src/domain/exchange.ts"
import { maskExchange, privateTexts } from "../../src/domain/private-exchange.ts"
import { maskJson, maskPayload, type PrivateFields, privateFieldsOf } from "../../src/domain/private-fields.ts"

function fieldsOf(...pointers: string[]): PrivateFields {
  const fields = privateFieldsOf(pointers)
  assert.ok(fields)
  return fields
}

describe("private fields of JSON", () => {
  test("are masked whole, and all around them stays byte for byte", () => {
    const text = ' { "n": 1.0E+2 ,"a" : {"b" :\t"x", "c": 12345678901234567890}, "n": 1e2 }\n'
    assert.equal(
      maskJson(text, fieldsOf("/a/b")),
      ' { "n": 1.0E+2 ,"a" : {"b" :\t"[private]", "c": 12345678901234567890}, "n": 1e2 }\n',
    )
    assert.equal(maskJson(text, fieldsOf("/a")), ' { "n": 1.0E+2 ,"a" : "[private]", "n": 1e2 }\n')
    assert.equal(maskJson(text, fieldsOf("")), ' "[private]"\n')
  })

  test("are found in every element of a list and every member of an object, where a star says so", () => {
    const text = '{"orders":[{"card":"1"},{"card":{"no":2}},3],"by":{"x":{"card":4},"*":{"card":null}}}'
    assert.equal(
      maskJson(text, fieldsOf("/orders/*/card")),
      '{"orders":[{"card":"[private]"},{"card":"[private]"},3],"by":{"x":{"card":4},"*":{"card":null}}}',
    )
    assert.equal(
      maskJson(text, fieldsOf("/by/*/card", "/orders/1")),
      '{"orders":[{"card":"1"},"[private]",3],"by":{"x":{"card":"[private]"},"*":{"card":"[private]"}}}',
    )
  })

  test("are found under keys that are escaped, in the pointer or in the text", () => {
    assert.equal(maskJson('{"\\u0061/~b":1}', fieldsOf("/a~1~0b")), '{"\\u0061/~b":"[private]"}')
  })

  test("are all masked where a key stands twice, whichever a reader takes", () => {
    assert.equal(maskJson('{"a":1,"a":2}', fieldsOf("/a")), '{"a":"[private]","a":"[private]"}')
  })

  test("of which two name the same are masked once, the outer one", () => {
    assert.equal(maskJson('{"a":{"b":1}}', fieldsOf("/a/b", "/a", "/a")), '{"a":"[private]"}')
  })

  test("that lead nowhere leave nothing to mask", () => {
    for (const pointer of ["/x", "/a/0", "/a/b/c", "/list/2", "/list/x"]) {
      assert.equal(maskJson('{"a":{"b":1},"list":[1,2]}', fieldsOf(pointer)), null, pointer)
    }
  })
})

test("data that is no JSON is private as a whole, no data is not", () => {
  const fields = fieldsOf("/a")
  const masked = { kind: "text", text: "[private]", mediaType: "text/csv", masked: true }
  assert.deepEqual(maskPayload({ kind: "text", text: "a,b", mediaType: "text/csv" }, fields), masked)
  assert.deepEqual(maskPayload({ kind: "bytes", bytes: new Uint8Array(9), mediaType: null }, fields), {
    ...masked,
    mediaType: "text/plain",
  })
  assert.equal(maskPayload({ kind: "none" }, fields), null)
})

describe("what comes back", () => {
  const payload = {
    kind: "json",
    text: '{"email":"zoë/\\"q\\"@shop.example","card":4111111111111111,"pin":1234,"rest":"abcdef"}',
  } as const
  const texts = privateTexts(payload, fieldsOf("/email", "/card", "/pin"))

  function answered(more: Partial<Answer>): Exchange & { kind: "answered" } {
    const timings = { dnsMs: null, connectMs: null, tlsMs: null, waitMs: 1, bodyMs: 1, totalMs: 2 }
    const answer = { status: 400, headers: [], body: new Uint8Array(0), truncated: false, incomplete: false }
    return { kind: "answered", sentHeaders: [], timings, answer: { ...answer, ...more } }
  }

  function bodyAfter(body: string, more: Partial<Answer> = {}): string {
    const masked = maskExchange(answered({ body: Buffer.from(body), ...more }), texts)
    assert.equal(masked.kind, "answered")
    return Buffer.from(masked.kind === "answered" ? masked.answer.body : "").toString()
  }

  test("holds no private value in any of the forms in which JSON and URLs write it", () => {
    const email = 'zoë/"q"@shop.example'
    const forms = [
      email,
      JSON.stringify(email).slice(1, -1),
      'zo\\u00eb/\\"q\\"@shop.example',
      'zo\\u00EB/\\"q\\"@shop.example',
      'zoë\\/\\"q\\"@shop.example',
      encodeURIComponent(email),
      "4111111111111111",
    ]
    for (const form of forms)
      assert.equal(bodyAfter(`no <${form}> and ${form}, abcdef`), "no <[private]> and [private], abcdef")
    assert.equal(bodyAfter(payload.text), '{"email":"[private]","card":[private],"pin":1234,"rest":"abcdef"}')
  })

  test("keeps what is too short to tell from a word", () => {
    assert.equal(bodyAfter("1234 of zoë"), "1234 of zoë")
  })

  test("holds no beginning of a value where it was cut", () => {
    assert.equal(bodyAfter("no such card: 411111", { truncated: true }), "no such card: [private]")
    assert.equal(bodyAfter("no such card: 411111"), "no such card: 411111")
  })

  test("is not kept where it is packed, as nobody can look through it", () => {
    assert.equal(bodyAfter("???", { headers: [["content-encoding", "gzip"]] }), "[private]")
  })

  test("shows no signature or digest, with which values could be tried out", () => {
    const sentHeaders = ["Content-Digest", "webhook-signature", "webhook-id"].map(name => ({ name, value: "x" }))
    const masked = maskExchange({ ...answered({}), sentHeaders }, texts)
    assert.deepEqual(
      masked.sentHeaders.map(({ secret = false }) => secret),
      [true, true, false],
    )
  })

  test("holds none in a header or in the text of an error", () => {
    const masked = maskExchange(answered({ headers: [["location", "/cards/4111111111111111"]] }), texts)
    assert.deepEqual(masked.kind === "answered" && masked.answer.headers, [["location", "/cards/[private]"]])
    const { timings } = answered({})
    const broken = {
      kind: "broken",
      sentHeaders: [],
      timings,
      class: "PROTOCOL_ERROR",
      phase: "headers",
      code: "",
    } as const
    const said = maskExchange({ ...broken, message: "bad header 4111111111111111" }, texts)
    assert.equal(said.kind === "broken" && said.message, "bad header [private]")
  })
})
