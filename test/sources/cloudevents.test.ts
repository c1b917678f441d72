import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { describe, test } from "node:test"
import type { EventDraft, Payload } from "../../src/domain/event.ts"
import { cloudModeOf } from "../../src/sources/cloudevents.ts"
import type { BatchReading, Reading } from "../../src/sources/source.ts"
import { BATCH, STRUCTURED, send, structured } from "../help/cloud-requests.ts"
import { draftOf, faultsOf, readingsOf } from "../help/readings.ts"
import { shortestMs } from "../help/timing.ts"

interface TwoModes {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  /** The bytes of the data as text; null where there is none. */
  readonly data: string | null
}
interface Valid {
  readonly name: string
  readonly event: Readonly<Record<string, unknown>>
  readonly occurredAt?: string
}
interface Invalid extends Valid {
  readonly code: string
  readonly pointer: string
}

/** The cases of cloudevents/conformance (its YAML events, HTTP features and JSON format), in values of our own, and more. */
function golden<Case>(name: string): readonly Case[] {
  return JSON.parse(readFileSync(new URL(`../golden/cloudevents/${name}.json`, import.meta.url), "utf8")) as Case[]
}

/** An event in the JSON format with one member more, written as raw JSON. */
function withMember(member: string): Reading | BatchReading {
  return structured(`{"specversion":"1.0","id":"1","type":"shop.test","source":"/",${member}}`)
}

function bytesOf(payload: Payload): Uint8Array | null {
  if (payload.kind === "none") return null
  return payload.kind === "bytes" ? new Uint8Array(payload.bytes) : new TextEncoder().encode(payload.text)
}

/** All attributes of a draft by the names that CloudEvents gives them. */
function attributesOf({ type, externalId, source, cloud }: EventDraft): Record<string, unknown> {
  assert.ok(cloud !== null)
  const { extensions, ...core } = cloud
  return { specversion: "1.0", type, id: externalId, source, ...core, ...extensions }
}

describe("the mode of a request (CE-1)", () => {
  const cases: readonly (readonly [contentType: string, headers: Record<string, string>, mode: string | null])[] = [
    [STRUCTURED, {}, "structured"],
    ["APPLICATION/CloudEvents+JSON; charset=UTF-8", {}, "structured"],
    ["application/cloudevents", {}, "structured"],
    ["application/cloudevents+avro", {}, "structured"],
    [BATCH, {}, "batch"],
    ["Application/CloudEvents-Batch+json;x=1", {}, "batch"],
    ["application/json", { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/", "ce-type": "t" }, "binary"],
    ["", { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/", "ce-type": "t" }, "binary"],
    ["text/plain", { "ce-id": "1" }, "binary"],
    ["application/json", { "ce-subject": "only an extension" }, null],
    ["application/json", {}, null],
    ["", {}, null],
  ]
  for (const [contentType, headers, mode] of cases) {
    test(`${contentType || "no type"} with ${Object.keys(headers).join(" ") || "no headers"} is ${mode ?? "no CloudEvent"}`, () => {
      assert.equal(cloudModeOf(contentType, headers), mode)
    })
  }
})

describe("the conformance cases say the same in both modes (CE-2)", () => {
  for (const { name, attributes, data } of golden<TwoModes>("both-modes")) {
    const { datacontenttype = "", ...others } = attributes
    const isJson = /[/+]json/.test(datacontenttype)
    const json = JSON.stringify(attributes).slice(0, -1)
    const member = data === null ? "" : `,"data":${isJson ? data : JSON.stringify(data)}`
    const headers = (encode: (value: string) => string) => {
      return Object.entries(others).map(([key, value]) => [`Ce-${key}`, encode(value)] as const)
    }
    const plain = (value: string) => Buffer.from(value.replaceAll("%", "%25")).toString("latin1")
    const modes: readonly (readonly [string, () => Reading | BatchReading])[] = [
      ["structured", () => structured(`${json}${member}}`)],
      ["binary, percent-encoded", () => send(datacontenttype, headers(encodeURIComponent), data ?? "")],
      ["binary, as a sender that does not encode", () => send(datacontenttype, headers(plain), data ?? "")],
    ]
    for (const [mode, read] of modes) {
      test(`${name}: ${mode}`, () => {
        const draft = draftOf(read())
        assert.deepEqual(attributesOf(draft), attributes)
        assert.deepEqual(bytesOf(draft.payload), data === null ? null : new TextEncoder().encode(data))
        assert.equal(draft.payload.kind, data === null ? "none" : isJson ? "json" : "text")
      })
    }
  }
})

describe("a valid event in the JSON format", () => {
  for (const { name, event, occurredAt } of golden<Valid>("valid")) {
    test(`has ${name}`, () => {
      const draft = draftOf(structured(event))
      const { data, ...attributes } = Object.fromEntries(Object.entries(event).filter(([, value]) => value !== null))
      assert.deepEqual(attributesOf(draft), attributes)
      assert.equal(draft.payload.kind, data === undefined ? "none" : "text")
      if (occurredAt !== undefined) assert.equal(draft.occurredAt, Date.parse(occurredAt))
    })
  }

  test("may be one of a batch", () => {
    const events = golden<Valid>("valid").map(({ event }) => event)
    const found = readingsOf(send(BATCH, [], JSON.stringify(events)))
    assert.deepEqual(
      found.map(one => draftOf(one).externalId),
      events.map(event => event["id"]),
    )
  })
})

describe("an invalid event in the JSON format (CE-4 to CE-7, CE-12)", () => {
  for (const { name, event, code, pointer } of golden<Invalid>("invalid")) {
    test(`has ${name}`, () => {
      const [fault, ...more] = faultsOf(structured(event))
      assert.deepEqual([fault?.kind, fault?.code, fault?.pointer, more.length], ["malformed", code, pointer, 0])
      assert.match(fault?.message ?? "", /^\S.*\.$/)
    })
  }

  test("is refused by itself in a batch", () => {
    const events = golden<Invalid>("invalid").flatMap(({ event }) => [
      event,
      { specversion: "1.0", id: "1", type: "t", source: "/" },
    ])
    const found = readingsOf(send(BATCH, [], JSON.stringify(events)))
    assert.deepEqual(
      found.map(({ kind }) => kind),
      events.map((_, i) => (i % 2 === 0 ? "faults" : "draft")),
    )
    assert.equal(faultsOf(found[2])[0]?.pointer, "/2/id")
  })
})

describe("the fields of ours that a CloudEvent may bring", () => {
  const own = {
    environment: "sandbox",
    app: "ios",
    profileid: "p",
    deviceid: "d",
    sourcerecord: "s",
    orderingkey: "o",
    historical: true,
  }

  test("are read from extensions, which stay as well (CE-6)", () => {
    const draft = draftOf(structured({ specversion: "1.0", id: "1", type: "t", source: "/shop", other: 7, ...own }))
    assert.deepEqual(draft, {
      type: "t",
      payload: { kind: "none" },
      externalId: "1",
      source: "/shop",
      occurredAt: null,
      environment: "sandbox",
      app: "ios",
      profileId: "p",
      deviceId: "d",
      sourceRecord: "s",
      orderingKey: "o",
      historical: true,
      cloud: { extensions: { other: 7, ...own } },
    })
  })

  test("are production, none and false where they are missing or null", () => {
    const nulls = Object.fromEntries(Object.keys(own).map(name => [name, null]))
    const draft = draftOf(structured({ specversion: "1.0", id: "1", type: "t", source: "/", ...nulls }))
    assert.deepEqual(
      [draft.environment, draft.app, draft.profileId, draft.historical],
      ["production", null, null, false],
    )
    assert.deepEqual(draft.cloud, { extensions: {} })
  })

  const wrong: readonly (readonly [member: string, code: string, pointer: string])[] = [
    ['"environment":"staging"', "invalid_field", "/environment"],
    ['"app":"my app"', "invalid_field", "/app"],
    ['"app":5', "invalid_field", "/app"],
    ['"profileid":""', "invalid_field", "/profileid"],
    ['"deviceid":true', "invalid_field", "/deviceid"],
    ['"historical":"yes"', "invalid_field", "/historical"],
    ['"historical":1', "invalid_field", "/historical"],
    ['"time":"1969-07-20T20:17:40Z"', "time_out_of_range", "/time"],
    ['"time":"2036-11-21T10:00:00Z"', "time_out_of_range", "/time"],
  ]
  for (const [member, code, pointer] of wrong) {
    test(`are wrong as ${member}, which CloudEvents itself allows`, () => {
      const [fault, ...more] = faultsOf(withMember(member))
      assert.deepEqual([fault?.kind, fault?.code, fault?.pointer, more.length], ["wrong", code, pointer, 0])
    })
  }

  test("and so is a type that is ours or none, an id or a source that is too long", () => {
    const base = { specversion: "1.0", id: "1", type: "t", source: "/" }
    const code = (over: object) =>
      faultsOf(structured({ ...base, ...over })).map(fault => `${fault.kind} ${fault.code} ${fault.pointer}`)
    assert.deepEqual(code({ type: "waybill.x" }), ["wrong reserved_type /type"])
    assert.deepEqual(code({ type: "größer" }), ["wrong invalid_field /type"])
    assert.deepEqual(code({ id: "x".repeat(257) }), ["wrong invalid_field /id"])
    assert.deepEqual(code({ source: `/${"x".repeat(1_024)}` }), ["wrong invalid_field /source"])
  })

  test("an id of any other characters is the sender's own id and nothing else (SW-6)", () => {
    for (const id of ["a.1614265330.{}", "evt_01j9zq4kx2m", "x y/z", "🐝"]) {
      assert.equal(draftOf(structured({ specversion: "1.0", id, type: "t", source: "/" })).externalId, id)
    }
  })

  test("what breaks CloudEvents is told before what only Waybill does not take", () => {
    const faults = faultsOf(
      structured({ specversion: "1.0", type: "waybill.x", source: "/", id: "1", app: "a b", Bad: 1 }),
    )
    assert.deepEqual(
      faults.map(({ kind }) => kind),
      ["malformed", "wrong", "wrong"],
    )
  })
})

describe("data in the JSON format", () => {
  const payloadOf = (member: string) => draftOf(withMember(member)).payload

  test("null is a value, and differs from no data (CE-11)", () => {
    assert.deepEqual(payloadOf('"data":null'), { kind: "json", text: "null" })
    assert.deepEqual(payloadOf('"subject":"s"'), { kind: "none" })
  })

  test("is kept byte for byte where it is JSON (API-14, API-15)", () => {
    for (const text of [
      "1.0",
      "1e2",
      "12345678901234567890",
      '{"a":1,"a":2}',
      '{"__proto__":{"x":1}}',
      '[ 1 ,"\\u00e9" ]',
    ]) {
      assert.deepEqual(payloadOf(`"data": ${text} `), { kind: "json", text })
      assert.deepEqual(payloadOf(`"datacontenttype":"TEXT/Json; x=1","data":${text}`), { kind: "json", text })
    }
  })

  test("a JSON string stays a JSON string (CE-13)", () => {
    assert.deepEqual(payloadOf(`"data":"I'm just a string"`), { kind: "json", text: `"I'm just a string"` })
    assert.deepEqual(payloadOf(`"datacontenttype":"a/b+json","data":"{\\"a\\":1}"`), {
      kind: "json",
      text: `"{\\"a\\":1}"`,
    })
  })

  test("a string of another type is carried as that string (CE-14)", () => {
    const xml = String.raw`"datacontenttype":"application/xml","data":"<much wow=\"xml\"/>\n"`
    assert.deepEqual(payloadOf(xml), { kind: "text", text: '<much wow="xml"/>\n', mediaType: "application/xml" })
    assert.deepEqual(payloadOf('"data":"","datacontenttype":"text/plain"'), {
      kind: "text",
      text: "",
      mediaType: "text/plain",
    })
  })

  test("data_base64 is bytes of the declared type, or of none (CE-12)", () => {
    const bytes = Buffer.from([0, 1, 254, 255])
    assert.deepEqual(payloadOf('"data_base64":"AAH+/w=="'), { kind: "bytes", bytes, mediaType: null })
    const image = '"datacontenttype":"image/png","data_base64":"AAH+/w=="'
    assert.deepEqual(payloadOf(image), { kind: "bytes", bytes, mediaType: "image/png" })
    assert.deepEqual(payloadOf('"data_base64":""'), { kind: "bytes", bytes: Buffer.alloc(0), mediaType: null })
    assert.deepEqual(payloadOf('"data_base64":null,"data":1'), { kind: "json", text: "1" })
  })

  test("may be nested 64 levels deep, and no deeper", () => {
    const nested = (depth: number) => withMember(`"data":${"[".repeat(depth)}${"]".repeat(depth)}`)
    assert.equal(nested(64).kind, "draft")
    assert.equal(faultsOf(nested(65))[0]?.code, "too_deep")
  })

  test("may not stand there twice", () => {
    const [fault] = faultsOf(withMember('"data":1,"data":2'))
    assert.deepEqual([fault?.kind, fault?.code, fault?.pointer], ["malformed", "duplicate_field", "/data"])
  })
})

describe("the structured mode", () => {
  const event = { specversion: "1.0", id: "1", type: "t", source: "/" }

  test("takes the media type with and without charset, in any case, and without a format (CE-1, CE-18)", () => {
    for (const type of [
      STRUCTURED,
      `${STRUCTURED}; charset=utf-8`,
      'APPLICATION/CloudEvents+JSON; CHARSET="UTF-8"; x=y',
      "application/cloudevents",
    ]) {
      assert.equal(structured(event, type).kind, "draft", type)
    }
  })

  test("knows no format but JSON, in UTF-8 (CE-3)", () => {
    const types = [
      "application/cloudevents+avro",
      "application/cloudevents+xml",
      "application/cloudevents+protobuf",
      "application/cloudeventsx",
    ]
    for (const type of [
      ...types,
      `${STRUCTURED}; charset=utf-16`,
      "application/cloudevents-batch+avro",
      `${STRUCTURED}; charset`,
    ]) {
      const [fault] = faultsOf(structured(event, type))
      assert.deepEqual([fault?.kind, fault?.code], ["unsupported_media_type", "unsupported_media_type"], type)
    }
  })

  test("does not look at headers: the body wins (CE-17)", () => {
    const draft = draftOf(
      send(
        STRUCTURED,
        [
          ["ce-id", "other"],
          ["ce-specversion", "0.3"],
          ["ce-Bad_Name", "%FF"],
        ],
        JSON.stringify(event),
      ),
    )
    assert.equal(draft.externalId, "1")
    assert.deepEqual(draft.cloud, { extensions: {} })
  })

  test("refuses what is no JSON, no UTF-8 or no object", () => {
    const of = (body: string | Uint8Array) => {
      const [fault] = faultsOf(send(STRUCTURED, [], body))
      return `${fault?.kind} ${fault?.code}`
    }
    assert.equal(of("{"), "malformed invalid_json")
    assert.equal(of(""), "malformed invalid_json")
    assert.equal(of(new Uint8Array([0x22, 0xff, 0x22])), "malformed not_utf8")
    assert.equal(of("[]"), "malformed not_an_object")
    assert.equal(of("[".repeat(100_000)), "malformed too_deep")
  })

  test("takes events of 64 KiB and more (CE-20)", () => {
    const padded = (bytes: number) =>
      JSON.stringify({ ...event, data: "x".repeat(bytes - JSON.stringify({ ...event, data: "" }).length) })
    assert.equal(padded(65_536).length, 65_536)
    assert.equal(structured(padded(65_536)).kind, "draft")
    assert.equal(structured(padded(262_144)).kind, "draft")
    assert.equal(faultsOf(structured(padded(262_145)))[0]?.code, "event_too_large")
  })
})

describe("the batch mode (CE-15)", () => {
  const events = (count: number) =>
    JSON.stringify(
      Array.from({ length: count }, (_, i) => ({ specversion: "1.0", id: `${i}`, type: "t", source: "/" })),
    )

  test("takes none, one and as many as the limit, and no more", () => {
    for (const count of [0, 1, 1_000]) assert.equal(readingsOf(send(BATCH, [], events(count))).length, count)
    const [fault] = faultsOf(send(BATCH, [], events(1_001)))
    assert.deepEqual([fault?.kind, fault?.code], ["too_large", "batch_too_large"])
  })

  test("refuses what is no list of objects", () => {
    assert.equal(faultsOf(send(BATCH, [], "{}"))[0]?.code, "not_a_list")
    const [text, good] = readingsOf(send(BATCH, [], `["not an object",${events(1).slice(1)}`))
    assert.equal(faultsOf(text)[0]?.code, "not_an_object")
    assert.equal(draftOf(good).externalId, "0")
  })

  test("keeps the same id of different sources apart, and of the same source alike (CE-16)", () => {
    const of = (source: string) => ({ specversion: "1.0", id: "1", type: "t", source })
    const found = readingsOf(send(BATCH, [], JSON.stringify([of("/a"), of("/a"), of("/b")]))).map(draftOf)
    assert.deepEqual(
      found.map(draft => `${draft.source} ${draft.externalId}`),
      ["/a 1", "/a 1", "/b 1"],
    )
  })
})

test("hostile addresses and names are judged in a moment", () => {
  const tookMs = shortestMs(() => {
    for (const source of [
      "a:".repeat(50_000),
      `//${"%41".repeat(30_000)}[`,
      `//[${":".repeat(50_000)}`,
      `/?${"#".repeat(50_000)}`,
      "/%".repeat(50_000),
    ]) {
      assert.equal(structured({ specversion: "1.0", id: "1", type: "t", source, dataschema: source }).kind, "faults")
    }
  })
  assert.ok(tookMs < 500, `took ${tookMs} ms`)
})
