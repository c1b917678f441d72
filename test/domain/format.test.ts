import assert from "node:assert/strict"
import { test } from "node:test"
import type { Event, Payload } from "../../src/domain/event.ts"
import { binaryCloudEvent, structuredCloudEvent, waybillBody } from "../../src/domain/format.ts"
import { anEvent, aSubject } from "../help/subjects.ts"

const awkward: readonly string[] = [
  '{"n":1.0,"e":1e2,"big":12345678901234567890,"neg":-0,"n":2}',
  '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
  '{ "a" :\n\t[ ] , "\\u0061\\/" : "\\ud83d\\ude00é😀\\u2028" }',
  '"</script>"',
  "12345678901234567890",
  "1.0",
  "null",
  "false",
  '""',
  "[]",
]

function message(payload: Payload, over: Partial<Event> = {}, name = "trial_started") {
  return aSubject({ event: anEvent({ payload, ...over }), name })
}

test("data goes out byte for byte in every format", () => {
  for (const text of awkward) {
    const subject = message({ kind: "json", text })
    assert.ok(waybillBody(subject).includes(`Z","data":${text},"received_at":`), text)
    assert.ok(structuredCloudEvent(subject).endsWith(`,"data":${text}}`), text)
    assert.equal(binaryCloudEvent(subject).body, text)
    assert.deepEqual(JSON.parse(waybillBody(subject)).data, JSON.parse(text))
    assert.deepEqual(JSON.parse(structuredCloudEvent(subject)).data, JSON.parse(text))
  }
  assert.equal("polluted" in {}, false)
})

test("bytes are sent as they are in binary mode, and come back from base64 in the others", () => {
  for (const length of [0, 1, 2, 3, 255, 1_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + 255) % 256)
    const subject = message({ kind: "bytes", bytes, mediaType: null })
    assert.equal(binaryCloudEvent(subject).body, bytes)
    for (const body of [waybillBody(subject), structuredCloudEvent(subject)]) {
      assert.deepEqual(Uint8Array.from(Buffer.from(JSON.parse(body).data_base64, "base64")), bytes)
    }
  }
})

test("any text in any field makes valid JSON, and says the same when it is read", () => {
  const texts = ["plain", 'a"b', "a\\b", "a/b", "\u0000\u001f", "\u007f", "\u2028", "é", "😀", "\ud800", " ~!#[]{}", ""]
  for (const text of texts) {
    const over = {
      externalId: text,
      profileId: text,
      deviceId: text,
      sourceRecord: text,
      orderingKey: text,
      source: text,
    }
    const subject = message({ kind: "text", text, mediaType: text }, over, text)
    const own = JSON.parse(waybillBody(subject)) as Record<string, unknown>
    const fields = ["type", "data", "data_content_type", "source", "external_id", "profile_id", "ordering_key"]
    for (const field of fields) assert.equal(own[field], text, field)
    const cloud = JSON.parse(
      structuredCloudEvent(message({ kind: "text", text, mediaType: text }, { ...over, source: "api" }, text)),
    )
    for (const field of [
      "id",
      "type",
      "data",
      "datacontenttype",
      "profileid",
      "deviceid",
      "sourcerecord",
      "orderingkey",
    ]) {
      assert.equal(cloud[field], text, field)
    }
  }
})

test("headers of a CloudEvent are percent-encoded: all but U+0021 to U+007E, and of those the quote and the percent sign", () => {
  const cases: readonly (readonly [text: string, value: string])[] = [
    ["plain-._~", "plain-._~"],
    ["a b", "a%20b"],
    ['"', "%22"],
    ["100%", "100%25"],
    ["%41", "%2541"],
    ["!#$&'()*+,/:;<=>?@[\\]^`{|}~", "!#$&'()*+,/:;<=>?@[\\]^`{|}~"],
    ["\r\n", "%0D%0A"],
    ["\u007f\u0080", "%7F%C2%80"],
    ["Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"],
    ["😀😀", "%F0%9F%98%80%F0%9F%98%80"],
    ["👩‍🚀", "%F0%9F%91%A9%E2%80%8D%F0%9F%9A%80"],
  ]
  for (const [text, value] of cases) {
    const { headers } = binaryCloudEvent(message({ kind: "none" }, {}, text))
    assert.equal(headers.find(({ name }) => name === "ce-type")?.value, value)
    assert.equal(decodeURIComponent(value), text)
  }
})

test("each code point below U+0250 comes back from its header", () => {
  for (let code = 0; code < 0x250; code++) {
    const text = String.fromCharCode(code)
    const value =
      binaryCloudEvent(message({ kind: "none" }, {}, text)).headers.find(h => h.name === "ce-type")?.value ?? ""
    assert.match(value, /^(?:[!#$&-~]|(?:%[0-9A-F]{2})+)$/)
    assert.equal(decodeURIComponent(value), text)
  }
})

test("both modes of a CloudEvent say the same", () => {
  const cloud = {
    subject: "a b",
    time: "2026-11-21T11:00:00+01:00",
    extensions: { flag: false, count: 2147483647, text: "ü" },
  }
  const over = { cloud, source: "/a?b", externalId: "1", app: "ios" }
  const subject = message({ kind: "json", text: "{}" }, over)
  const { data, datacontenttype, ...attributes } = JSON.parse(structuredCloudEvent(subject)) as Record<string, unknown>
  const { headers, contentType } = binaryCloudEvent(subject)
  assert.deepEqual(
    headers.map(({ name, value }) => [name, decodeURIComponent(value)]),
    Object.entries(attributes).map(([name, value]) => [`ce-${name}`, String(value)]),
  )
  assert.equal(contentType, datacontenttype)
  assert.deepEqual(data, {})
})

test("names of our own extensions are what CloudEvents allows: lower-case letters and digits, 20 at most", () => {
  const all = { app: "a", profileId: "p", deviceId: "d", sourceRecord: "s", orderingKey: "o", test: true }
  const { data: _, ...attributes } = JSON.parse(structuredCloudEvent(message({ kind: "json", text: "{}" }, all)))
  for (const name of Object.keys(attributes)) assert.match(name, /^[a-z0-9]{1,20}$/)
  assert.equal(Object.keys(attributes).length, 13)
})
