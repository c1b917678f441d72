/** CloudEvents in the binary mode: attributes in headers, the body as it is. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { binary, mandatory, send } from "../help/cloud-requests.ts"
import { draftOf, faultsOf } from "../help/readings.ts"

describe("the binary mode", () => {
  test("takes the data's type from Content-Type, whatever its case and parameters (CE-8, CE-18)", () => {
    const draft = draftOf(binary("Application/JSON; Charset=UTF-8", ' {"a": 1.0}\n'))
    assert.equal(draft.cloud?.datacontenttype, "Application/JSON; Charset=UTF-8")
    assert.deepEqual(draft.payload, { kind: "json", text: ' {"a": 1.0}\n' })
  })

  test("refuses ce-datacontenttype beside it (CE-8)", () => {
    const [fault] = faultsOf(binary("application/json", "{}", ["ce-datacontenttype", "text/plain"]))
    assert.deepEqual([fault?.kind, fault?.header], ["malformed", "ce-datacontenttype"])
  })

  for (const missing of ["ce-specversion", "ce-id", "ce-source", "ce-type"]) {
    test(`names ${missing} where it is missing or empty (CE-4)`, () => {
      const without = mandatory.filter(([name]) => name !== missing)
      const [absent] = faultsOf(send("application/json", without, "{}"))
      assert.deepEqual(
        [absent?.kind, absent?.code, absent?.header, absent?.pointer],
        ["malformed", "missing_field", missing, ""],
      )
      const [empty] = faultsOf(send("application/json", [...without, [missing, ""]], "{}"))
      assert.deepEqual([empty?.kind, empty?.header], ["malformed", missing])
    })
  }

  test("refuses another version with a clear message", () => {
    const [fault] = faultsOf(send("application/json", [["ce-specversion", "0.3"], ...mandatory.slice(1)], "{}"))
    assert.deepEqual([fault?.code, fault?.header], ["unsupported_version", "ce-specversion"])
    assert.match(fault?.message ?? "", /specversion "0.3" is not known here: send CloudEvents of version "1.0"/)
  })

  const bad: readonly (readonly [header: string, value: string, what: string])[] = [
    ["ce-subject", "%C0%A0", "an overlong encoding (CE-9)"],
    ["ce-subject", "a%07b", "a control character (CE-7)"],
    ["ce-subject", "%EF%BF%BF", "a noncharacter (CE-7)"],
    ["ce-subject", "", "an empty subject (CE-5)"],
    ["ce-time", "yesterday", "a time that is none (CE-5)"],
    ["ce-dataschema", "schema", "a relative schema (CE-5)"],
    ["ce-my-extension", "x", "a name with a hyphen (CE-6)"],
    ["ce-data", "x", "the name data (CE-6)"],
    ["ce-", "x", "no name (CE-6)"],
  ]
  for (const [header, value, what] of bad) {
    test(`refuses ${what}`, () => {
      const [fault, ...more] = faultsOf(binary("application/json", "{}", [header, value]))
      assert.deepEqual(
        [fault?.kind, fault?.code, fault?.header, more.length],
        ["malformed", "invalid_attribute", header, 0],
      )
    })
  }

  test("refuses an attribute that is sent twice", () => {
    const [fault] = faultsOf(binary("application/json", "{}", ["CE-ID", "b-2"]))
    assert.deepEqual([fault?.kind, fault?.code, fault?.header], ["malformed", "duplicate_field", "ce-id"])
  })

  test("takes names of headers in any case, and values that were never encoded", () => {
    const draft = draftOf(binary("application/json", "{}", ["CE-Subject", "a b"], ["Ce-Rate", "100%"]))
    assert.equal(draft.cloud?.subject, "a b")
    assert.deepEqual(draft.cloud?.extensions, { rate: "100%" })
  })

  test("takes bodies of every kind as they are", () => {
    const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0xff])
    const payload = (contentType: string, body: string | Uint8Array) => draftOf(binary(contentType, body)).payload
    assert.deepEqual(payload("image/png", png), { kind: "bytes", bytes: Buffer.from(png), mediaType: "image/png" })
    assert.deepEqual(payload("", "{}"), { kind: "bytes", bytes: Buffer.from("{}"), mediaType: null })
    assert.deepEqual(payload("text/csv", "a;é\n"), { kind: "text", text: "a;é\n", mediaType: "text/csv" })
    const latin1 = new Uint8Array([0x61, 0xe9])
    const type = "text/plain; charset=iso-8859-1"
    assert.deepEqual(payload(type, latin1), { kind: "bytes", bytes: Buffer.from(latin1), mediaType: type })
    assert.deepEqual(payload("text/plain", latin1), {
      kind: "bytes",
      bytes: Buffer.from(latin1),
      mediaType: "text/plain",
    })
    assert.deepEqual(payload("application/json", ""), { kind: "none" })
    assert.deepEqual(payload("application/problem+json", '"x"'), { kind: "json", text: '"x"' })
  })

  test("refuses JSON that is none, no UTF-8 or nested too deep", () => {
    const of = (body: string | Uint8Array, type = "application/json") => {
      const [fault] = faultsOf(binary(type, body))
      return `${fault?.kind} ${fault?.code}`
    }
    assert.equal(of("{'a':1}"), "malformed invalid_json")
    assert.equal(of(new Uint8Array([0x22, 0xff, 0x22])), "malformed not_utf8")
    assert.equal(of("[".repeat(65) + "]".repeat(65)), "malformed too_deep")
    assert.equal(binary("application/json", "[".repeat(64) + "]".repeat(64)).kind, "draft")
    assert.equal(of("{}", "application/json; charset=utf-16"), "unsupported_media_type unsupported_media_type")
    assert.equal(of("x", "no media type"), "malformed invalid_attribute")
  })

  test("takes events of 64 KiB and more (CE-20)", () => {
    assert.equal(binary("application/octet-stream", new Uint8Array(65_536)).kind, "draft")
    assert.equal(binary("application/octet-stream", new Uint8Array(262_144)).kind, "draft")
    assert.equal(faultsOf(binary("application/octet-stream", new Uint8Array(262_145)))[0]?.code, "event_too_large")
  })
})
