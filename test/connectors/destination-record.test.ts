import assert from "node:assert/strict"
import { test } from "node:test"
import { webhook } from "../../src/connectors/webhook.ts"
import type { WebhookSettings } from "../../src/connectors/webhook-settings.ts"
import type { Answer } from "../../src/domain/exchange.ts"

const url = "https://crm.example/hook"

function recordIn(record: WebhookSettings["destination_record"], answer: Partial<Answer>): string | null {
  const settings: WebhookSettings = record
    ? { production: { url }, destination_record: record }
    : { production: { url } }
  const whole: Answer = {
    status: 200,
    headers: [],
    body: new Uint8Array(),
    truncated: false,
    incomplete: false,
    ...answer,
  }
  return webhook.prepare(settings).destinationRecord(whole)
}

function at(pointer: string, body: string | Uint8Array, over: Partial<Answer> = {}): string | null {
  return recordIn({ pointer }, { body: typeof body === "string" ? Buffer.from(body) : body, ...over })
}

test("a JSON pointer finds texts and numbers, digit for digit", () => {
  const cases: readonly (readonly [pointer: string, body: string, record: string | null])[] = [
    ["/id", '{"id":"rec_1"}', "rec_1"],
    ["/id", '{"id":12345678901234567890}', "12345678901234567890"],
    ["/id", '{"id":1.0}', "1.0"],
    ["/id", '{"id":-1e2}', "-1e2"],
    ["/data/0/id", '{"data":[{"id":"a"},{"id":"b"}]}', "a"],
    ["/data/1/id", ' {"data" : [ {"id":"a"} , {"id":"b"} ] } ', "b"],
    ["", '"rec_1"', "rec_1"],
    ["", " 7 ", "7"],
    ["/a~1b/~0c", '{"a/b":{"~c":"x"}}', "x"],
    ["/ü/", '{"ü":{"":"é😀"}}', "é😀"],
    ["/__proto__", '{"__proto__":"x"}', "x"],
    ["/id", '{"id":"a","id":"b"}', "b"],
    ["/id", '{"id":"\\u0061\\/"}', "a/"],
    ["/id", `{"id":"${"x".repeat(256)}"}`, "x".repeat(256)],
    ["/id", `{"id":"${"x".repeat(257)}"}`, null],
    ["/id", '{"id":""}', null],
    ["/id", '{"id":null}', null],
    ["/id", '{"id":true}', null],
    ["/id", '{"id":{"number":"1"}}', null],
    ["/id", '{"id":["a"]}', null],
    ["/id", '{"id":"a\\nb"}', null],
    ["/id", '{"id":"\\ud800"}', null],
    ["/id", '{"ID":"a"}', null],
    ["/id", '["a"]', null],
    ["/constructor/name", "{}", null],
    ["/0", '{"0":"a"}', "a"],
    ["/-", '["a"]', null],
    ["/00", '["a"]', null],
    ["/1", '["a"]', null],
    ["/length", '["a"]', null],
    ["/0", '"abc"', null],
    ["/id", '{"id":"a"', null],
    ["/id", "", null],
    ["/id", "<html>", null],
  ]
  for (const [pointer, body, record] of cases) assert.equal(at(pointer, body), record, `${pointer} in ${body}`)
})

test("a body of which not all was kept holds no record", () => {
  assert.equal(at("/id", '{"id":"a"}', { truncated: true }), null)
  assert.equal(at("/id", '{"id":"a"}', { incomplete: true }), null)
})

test("a body that is no UTF-8 holds no record, one with a byte order mark does", () => {
  assert.equal(at("/id", Buffer.from('{"id":"é"}', "latin1")), null)
  assert.equal(at("/id", '{"id":"after that"}'), "after that")
  assert.equal(at("/id", '\ufeff{"id":"a"}'), "a")
})

test("a header holds the record, whatever its case, whatever became of the body", () => {
  const headers = [
    ["content-type", "text/html"],
    ["x-record-id", " 42 "],
    ["x-record-id", "43"],
  ] as const
  assert.equal(recordIn({ header: "X-Record-Id" }, { headers, truncated: true }), "42")
  assert.equal(recordIn({ header: "location" }, { headers }), null)
  assert.equal(recordIn({ header: "x-empty" }, { headers: [["x-empty", ""]] }), null)
})

test("without a setting no record is looked for", () => {
  assert.equal(recordIn(undefined, { body: Buffer.from('{"id":"a"}') }), null)
})
