import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { Reading, ReadLimits } from "../../src/sources/source.ts"
import { readNative, readNativeBatch } from "../../src/sources/waybill.ts"
import { draftOf, faultsOf, readingsOf, readLimits } from "../help/readings.ts"

const limits = readLimits
const { now } = limits

function read(event: string | object): Reading {
  return readNative(typeof event === "string" ? event : JSON.stringify(event), limits)
}

describe("an event in our own form", () => {
  test("is its fields", () => {
    const text = `{ "type": "subscription_renewed", "data": {"amount": 1.0}, "id": "order-1842", "occurred_at": "2026-11-21T09:00:00Z",
      "environment": "sandbox", "app": "ios", "profile_id": "p 1", "device_id": "d/1", "source_record": "o#1", "ordering_key": "ключ", "historical": true }`
    assert.deepEqual(draftOf(read(text)), {
      type: "subscription_renewed",
      payload: { kind: "json", text: '{"amount": 1.0}' },
      externalId: "order-1842",
      source: "api",
      occurredAt: Date.UTC(2026, 10, 21, 9, 0, 0),
      environment: "sandbox",
      app: "ios",
      profileId: "p 1",
      deviceId: "d/1",
      sourceRecord: "o#1",
      orderingKey: "ключ",
      historical: true,
      cloud: null,
    })
  })

  test("needs a type alone", () => {
    assert.deepEqual(draftOf(read({ type: "x" })), {
      type: "x",
      payload: { kind: "none" },
      externalId: null,
      source: "api",
      occurredAt: null,
      environment: "production",
      app: null,
      profileId: null,
      deviceId: null,
      sourceRecord: null,
      orderingKey: null,
      historical: false,
      cloud: null,
    })
  })

  test("may have null in place of optional fields, which differs from null as data", () => {
    const fields = [
      "id",
      "occurred_at",
      "environment",
      "app",
      "profile_id",
      "device_id",
      "source_record",
      "ordering_key",
      "historical",
    ]
    const nulls = Object.fromEntries(fields.map(field => [field, null]))
    assert.deepEqual(draftOf(read({ type: "x", ...nulls })), draftOf(read({ type: "x" })))
    assert.deepEqual(draftOf(read({ type: "x", data: null })).payload, { kind: "json", text: "null" })
  })

  const payloads = [
    "1.0",
    "1e2",
    "12345678901234567890",
    "-0",
    '"text"',
    '{"a":1,"a":2}',
    '{"__proto__":{"polluted":true},"constructor":{"prototype":{}}}',
    '[ 1 ,\n\t{"b" : "\\u00e9\\/"} ]',
    '"\\ud800"',
    "{}",
    "[]",
    '"größer 🐝"',
  ]
  for (const data of payloads) {
    test(`keeps ${JSON.stringify(data)} byte for byte`, () => {
      const { payload } = draftOf(read(`{"type":"x","data": ${data} ,"id":"1"}`))
      assert.deepEqual(payload, { kind: "json", text: data })
      assert.equal(Reflect.get({}, "polluted"), undefined)
    })
  }

  test("may be written with escapes in its fields", () => {
    const draft = draftOf(read(String.raw`{"\u0074ype":"tri\u0061l","id":"a\"b\\c\u00e9"}`))
    assert.equal(draft.type, "trial")
    assert.equal(draft.externalId, 'a"b\\c\u00e9')
  })

  test("may have an id of any characters but control ones, dots included", () => {
    for (const id of ["a.1614265330.{}", " ", "'; drop table", "🐝".repeat(256), "x".repeat(256)]) {
      assert.equal(draftOf(read({ type: "x", id })).externalId, id)
    }
  })

  test("may be nested 64 levels deep in its data, and no deeper", () => {
    const nested = (depth: number) => `{"type":"x","data":${"[".repeat(depth)}${"]".repeat(depth)}}`
    assert.equal(read(nested(64)).kind, "draft")
    const [fault] = faultsOf(read(nested(65)))
    assert.equal(fault?.code, "too_deep")
    assert.equal(fault?.kind, "malformed")
  })

  test("may happen up to a day ahead of our clock", () => {
    assert.equal(draftOf(read({ type: "x", occurred_at: "2026-11-22T10:00:00Z" })).occurredAt, now + 86_400_000)
    assert.equal(draftOf(read({ type: "x", occurred_at: "1970-01-01T00:00:00Z" })).occurredAt, 0)
  })
})

const wrong: readonly (readonly [what: string, event: object, code: string, pointer: string, message: RegExp])[] = [
  ["no type", {}, "missing_field", "/type", /^type is missing/],
  ["a type that is null", { type: null }, "missing_field", "/type", /^type is missing/],
  ["a type that is a number", { type: 7 }, "invalid_field", "/type", /^type has to be a string; this is 7/],
  ["an empty type", { type: "" }, "invalid_field", "/type", /1 to 128 printable ASCII/],
  ["a type with a space", { type: "a b" }, "invalid_field", "/type", /this is "a b"/],
  ["a type of 129 characters", { type: "x".repeat(129) }, "invalid_field", "/type", /1 to 128/],
  ["a type of ours", { type: "waybill.test" }, "reserved_type", "/type", /Waybill's own/],
  [
    "an unknown field",
    { type: "x", customer: 1 },
    "unknown_field",
    "/customer",
    /"customer" is no field of an event: what is your own/,
  ],
  [
    "a field in camel case",
    { type: "x", profileId: "p" },
    "unknown_field",
    "/profileId",
    /did you mean "profile_id"\?/,
  ],
  ["a field with a slash", { type: "x", "a/b": "p" }, "unknown_field", "/a~1b", /"a\/b" is no field/],
  [
    "a field called __proto__",
    JSON.parse('{"type":"x","__proto__":1}') as object,
    "unknown_field",
    "/__proto__",
    /no field/,
  ],
  ["an id that is a number", { type: "x", id: 12 }, "invalid_field", "/id", /id has to be a string; this is 12/],
  ["an empty id", { type: "x", id: "" }, "invalid_field", "/id", /1 to 256 characters/],
  ["an id of 257 characters", { type: "x", id: "x".repeat(257) }, "invalid_field", "/id", /1 to 256 characters/],
  ["an id with a line break", { type: "x", id: "a\nb" }, "invalid_field", "/id", /control character/],
  ["an id with a C1 control character", { type: "x", id: "a\u0085" }, "invalid_field", "/id", /control character/],
  [
    "a profile that is half a character",
    { type: "x", profile_id: "\ud800" },
    "invalid_field",
    "/profile_id",
    /profile_id has to be/,
  ],
  ["a device that is a list", { type: "x", device_id: ["a"] }, "invalid_field", "/device_id", /this is \["a"\]/],
  [
    "a source record that is an object",
    { type: "x", source_record: {} },
    "invalid_field",
    "/source_record",
    /a string/,
  ],
  ["an ordering key that is true", { type: "x", ordering_key: true }, "invalid_field", "/ordering_key", /a string/],
  ["an app with a space", { type: "x", app: "my app" }, "invalid_field", "/app", /1 to 64 letters/],
  ["an app of 65 characters", { type: "x", app: "x".repeat(65) }, "invalid_field", "/app", /1 to 64 letters/],
  [
    "another environment",
    { type: "x", environment: "staging" },
    "invalid_field",
    "/environment",
    /"production" or "sandbox"; this is "staging"/,
  ],
  [
    "historical as a string",
    { type: "x", historical: "true" },
    "invalid_field",
    "/historical",
    /true or false; this is "true"/,
  ],
  ["historical as a number", { type: "x", historical: 1 }, "invalid_field", "/historical", /true or false; this is 1/],
  [
    "a time in words",
    { type: "x", occurred_at: "yesterday" },
    "invalid_field",
    "/occurred_at",
    /RFC 3339 time, such as/,
  ],
  ["a time in ms", { type: "x", occurred_at: now }, "invalid_field", "/occurred_at", /a string/],
  [
    "a time without zone",
    { type: "x", occurred_at: "2026-11-21T10:00:00" },
    "invalid_field",
    "/occurred_at",
    /RFC 3339/,
  ],
  [
    "a time before 1970",
    { type: "x", occurred_at: "1969-12-31T23:59:59Z" },
    "time_out_of_range",
    "/occurred_at",
    /before 1970/,
  ],
  [
    "a time too far ahead",
    { type: "x", occurred_at: "2026-11-22T10:00:01Z" },
    "time_out_of_range",
    "/occurred_at",
    /more than 24 hours ahead/,
  ],
]

describe("an event is refused as wrong for", () => {
  for (const [what, event, code, pointer, message] of wrong) {
    test(what, () => {
      const [fault, ...more] = faultsOf(read(event))
      assert.deepEqual([fault?.kind, fault?.code, fault?.pointer, more.length], ["wrong", code, pointer, 0])
      assert.match(fault?.message ?? "", message)
    })
  }

  test("several mistakes at once, which are all told, up to twenty", () => {
    const pointers = faultsOf(read({ app: "a b", id: 1, nothing: 1 })).map(({ pointer }) => pointer)
    assert.deepEqual(pointers, ["/type", "/app", "/id", "/nothing"])
    const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`f${i}`, i]))
    assert.equal(faultsOf(read({ type: "x", ...many })).length, 20)
  })

  test("a field with a name of a page, which is not sent back", () => {
    const [fault] = faultsOf(read({ type: "x", ["k".repeat(5_000)]: 1 }))
    assert.deepEqual([fault?.code, fault?.pointer], ["unknown_field", ""])
    assert.ok((fault?.message.length ?? 0) < 300)
  })

  for (const [text, found] of [
    ["[]", "a list"],
    ['"x"', "a string"],
    ["7", "a number"],
    ["null", "null"],
    ["true", "true or false"],
  ]) {
    test(`${found} in place of an object`, () => {
      const [fault] = faultsOf(read(text ?? ""))
      assert.deepEqual([fault?.kind, fault?.code, fault?.pointer], ["wrong", "not_an_object", ""])
      assert.match(fault?.message ?? "", new RegExp(`An event is an object.*; this is ${found}\\.`))
    })
  }
})

describe("an event is refused as malformed for", () => {
  for (const text of [
    "",
    "{",
    '{"type":"x",}',
    '{"type":01}',
    "\ufeff{}",
    '{"type":"x"} x',
    "data",
    '{"type":"a\nb"}',
  ]) {
    test(JSON.stringify(text), () => {
      const [fault] = faultsOf(read(text))
      assert.deepEqual([fault?.kind, fault?.code, fault?.pointer], ["malformed", "invalid_json", ""])
      assert.match(fault?.message ?? "", /^The body is not valid JSON: .*\.$/)
    })
  }

  test("a field that stands there twice", () => {
    const [fault] = faultsOf(read('{"type":"x","data":1,"data":2}'))
    assert.deepEqual([fault?.kind, fault?.code, fault?.pointer], ["malformed", "duplicate_field", "/data"])
    assert.match(fault?.message ?? "", /^"data" stands there twice/)
  })
})

test("an event over the limit is refused as too large, counted in UTF-8", () => {
  const of = (data: string, maxEventBytes: number) =>
    readNative(`{"type":"x","data":"${data}"}`, { ...limits, maxEventBytes }).kind
  const around = Buffer.byteLength('{"type":"x","data":""}')
  assert.equal(of("x".repeat(100), around + 100), "draft")
  assert.equal(of("x".repeat(101), around + 100), "faults")
  assert.equal(of("é".repeat(50), around + 100), "draft")
  assert.equal(of("é".repeat(51), around + 100), "faults")
})

describe("a batch in our own form", () => {
  const batch = (text: string, over: Partial<ReadLimits> = {}) => readNativeBatch(text, { ...limits, ...over })
  const readings = (text: string) => readingsOf(batch(text))

  test("has a reading for each event, good or bad, in order", () => {
    const found = readings(
      '{ "events": [ {"type":"a","data":1.0}, {"type":"b c"}, 7, {"type":"d","type":"e"}, {"type":"f"} ] }',
    )
    assert.deepEqual(
      found.map(({ kind }) => kind),
      ["draft", "faults", "faults", "faults", "draft"],
    )
    assert.deepEqual(found[0]?.kind === "draft" && found[0].draft.payload, { kind: "json", text: "1.0" })
    assert.deepEqual(
      found.flatMap(reading =>
        reading.kind === "faults" ? reading.faults.map(({ pointer, code }) => [pointer, code]) : [],
      ),
      [
        ["/events/1/type", "invalid_field"],
        ["/events/2", "not_an_object"],
        ["/events/3/type", "duplicate_field"],
      ],
    )
  })

  test("may be empty, and may hold as many as the limit", () => {
    assert.deepEqual(readings('{"events":[]}'), [])
    const events = (count: number) => `{"events":[${Array(count).fill('{"type":"x"}').join(",")}]}`
    assert.equal(readings(events(1_000)).length, 1_000)
    const [fault] = faultsOf(batch(events(1_001)))
    assert.deepEqual([fault?.kind, fault?.code, fault?.pointer], ["too_large", "batch_too_large", "/events"])
    assert.match(fault?.message ?? "", /at most 1000 events, this one 1001/)
  })

  test("refuses an event that is nested too deep or too large by itself", () => {
    const deep = `{"type":"x","data":${"[".repeat(65)}${"]".repeat(65)}}`
    const good = `{"type":"x","data":${"[".repeat(64)}${"]".repeat(64)}}`
    const found = batch(`{"events":[${deep},${good},{"type":"x","data":"${"x".repeat(300)}"}]}`, { maxEventBytes: 256 })
    assert.equal(found.kind, "batch")
    const codes =
      found.kind === "batch" && found.readings.map(one => (one.kind === "faults" ? one.faults[0]?.code : one.kind))
    assert.deepEqual(codes, ["too_deep", "draft", "event_too_large"])
  })

  const refused: readonly (readonly [text: string, kind: string, code: string, pointer: string])[] = [
    ["[]", "wrong", "not_an_object", ""],
    ['[{"type":"x"}]', "wrong", "not_an_object", ""],
    ["{}", "wrong", "missing_field", "/events"],
    ['{"events":{}}', "wrong", "not_a_list", "/events"],
    ['{"events":null}', "wrong", "not_a_list", "/events"],
    ['{"event":[]}', "wrong", "unknown_field", "/event"],
    ['{"events":[],"app":"ios"}', "wrong", "unknown_field", "/app"],
    ['{"events":[],"events":[]}', "malformed", "duplicate_field", "/events"],
    ['{"events":[{]}', "malformed", "invalid_json", ""],
    [`{"events":${"[".repeat(100_000)}`, "malformed", "too_deep", ""],
  ]
  for (const [text, kind, code, pointer] of refused) {
    test(`is refused as a whole: ${text.slice(0, 40)}`, () => {
      const [fault, ...more] = faultsOf(batch(text))
      assert.deepEqual([fault?.kind, fault?.code, fault?.pointer, more.length], [kind, code, pointer, 0])
    })
  }
})
