import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { CloudAttributes, EventDraft, Payload } from "../../src/domain/event.ts"
import { fingerprintOf } from "../../src/domain/fingerprint.ts"

const cloud: CloudAttributes = { extensions: {} }
const draft: EventDraft = {
  type: "renewed",
  payload: { kind: "json", text: '{"a":1}' },
  externalId: "order-1",
  source: "api",
  occurredAt: 1_000,
  environment: "production",
  app: null,
  profileId: null,
  deviceId: null,
  sourceRecord: null,
  orderingKey: null,
  historical: false,
  cloud: null,
}

const changes: { readonly [Field in keyof EventDraft]: readonly EventDraft[Field][] } = {
  type: ["renewed2"],
  payload: [
    { kind: "none" },
    { kind: "json", text: '{"a":1.0}' },
    { kind: "json", text: '{"a": 1}' },
    { kind: "text", text: '{"a":1}', mediaType: "text/plain" },
    { kind: "text", text: '{"a":1}', mediaType: "text/csv" },
    { kind: "bytes", bytes: new TextEncoder().encode('{"a":1}'), mediaType: null },
    { kind: "bytes", bytes: new TextEncoder().encode('{"a":1}'), mediaType: "a/b" },
    { kind: "json", text: "" } satisfies Payload,
  ],
  externalId: ["order-2", null],
  source: ["/api"],
  occurredAt: [1_001, null],
  environment: ["sandbox"],
  app: ["ios"],
  profileId: ["ios"],
  deviceId: ["ios"],
  sourceRecord: ["ios"],
  orderingKey: ["ios"],
  historical: [true],
  cloud: [
    cloud,
    { ...cloud, subject: "s" },
    { ...cloud, dataschema: "s" },
    { ...cloud, datacontenttype: "s" },
    { ...cloud, time: "s" },
    { extensions: { a: 1 } },
    { extensions: { a: "1" } },
    { extensions: { b: 1 } },
    { extensions: { a: true } },
  ],
}

describe("a fingerprint", () => {
  test("is another one for every other content", () => {
    const drafts = Object.entries(changes).flatMap(([field, values]) =>
      values.map(value => ({ ...draft, [field]: value })),
    )
    const all = [draft, ...drafts].map(fingerprintOf)
    assert.equal(new Set(all).size, all.length)
  })

  test("is the same one for the same content, in whatever order it came", () => {
    assert.equal(fingerprintOf(draft), fingerprintOf(structuredClone(draft)))
    const reversed = Object.fromEntries(Object.entries(draft).reverse()) as unknown as EventDraft
    assert.equal(fingerprintOf(reversed), fingerprintOf(draft))
    const one = { ...draft, cloud: { subject: "s", time: "t", extensions: { a: 1, b: 2 } } }
    const other = { ...draft, cloud: { time: "t", subject: "s", extensions: { b: 2, a: 1 } } }
    assert.equal(fingerprintOf(one), fingerprintOf(other))
  })

  test("never changes from one version to the next, because it is stored", () => {
    assert.equal(fingerprintOf(draft), "9dBtU3I77yepKXAidQLa-X4XMJIB41b7B_MvFTAllPI")
  })
})
