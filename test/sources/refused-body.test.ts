import assert from "node:assert/strict"
import test from "node:test"
import { privateFieldsOf } from "../../src/domain/private-fields.ts"
import type { CloudMode } from "../../src/sources/cloudevents.ts"
import { eventOfBatch, maskRefused } from "../../src/sources/refused-body.ts"

const fields = privateFieldsOf(["/email"])

function kept(body: string, mode: CloudMode | null = null): string {
  assert.ok(fields)
  return Buffer.from(maskRefused(Buffer.from(body), mode, fields)).toString()
}

test("a refused event keeps its envelope, and its data masked", () => {
  assert.equal(
    kept('{"type": "waybill.x", "id": "o1", "data": {"email": "a@b.example", "n": 1.0}}'),
    '{"type":"waybill.x","id":"o1","data":{"email": "[private]", "n": 1.0}}',
  )
})

test("what stands where nothing belongs is not kept", () => {
  assert.equal(
    kept('{"typ": "a@b.example", "payload": {"email": "a@b.example"}, "type": {"email": "a@b.example"}}'),
    '{"typ":"[private]","payload":"[private]","type":"[private]"}',
  )
  assert.equal(kept('{"type":"t","data":"a@b.example"}'), '{"type":"t","data":"[private]"}')
})

test("each event of a batch is masked by itself", () => {
  const masked = '{"type":"t","data":{"email":"[private]"}}'
  const event = '{"type":"t","data":{"email":"a@b.example"}}'
  assert.equal(kept(`{"events":[${event},${event},3]}`), `{"events":[${masked},${masked},"[private]"]}`)
  assert.equal(kept(`[${event}]`, "batch"), `[${masked}]`)
  assert.equal(kept(`{"events":{"email":"a@b.example"}}`), '{"events":"[private]"}')
})

test("a CloudEvent keeps the attributes that the specification names", () => {
  assert.equal(
    kept('{"specversion":"1.0","source":"/shop","comexamplemail":"a@b.example","data_base64":"YQ=="}', "structured"),
    '{"specversion":"1.0","source":"/shop","comexamplemail":"[private]","data_base64":"[private]"}',
  )
  assert.equal(kept('{"email":"a@b.example"}', "binary"), '{"email":"[private]"}')
  assert.equal(kept("a@b.example", "binary"), "")
})

test("what cannot be read is not kept", () => {
  for (const body of ['{"data":{"email":"a@b.example"}', "a@b.example", '"a@b.example"', ""])
    assert.equal(kept(body), "", body)
  assert.ok(fields)
  assert.equal(maskRefused(new Uint8Array([0xff, 0xfe]), null, fields).length, 0)
})

test("an event of a batch is given as it stands there, in either form; nothing where there is none", () => {
  const event = (body: string, index: number) => Buffer.from(eventOfBatch(Buffer.from(body), index)).toString()
  assert.equal(event('{"events": [1, {"type" : "é"} ]}', 1), '{"type" : "é"}')
  assert.equal(event('[{"id":"1"},{"id":"2"}]', 0), '{"id":"1"}')
  for (const body of ["[]", "{}", '{"events":{}}', "7", "[", "\ud800"]) assert.equal(event(body, 0), "", body)
})
