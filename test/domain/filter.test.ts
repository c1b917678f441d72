import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { Event, Payload } from "../../src/domain/event.ts"
import { viewEvent } from "../../src/domain/event-field.ts"
import { type ExactJson, parseExact } from "../../src/domain/exact-json.ts"
import { checkFilter, compileFilter, filterBounds } from "../../src/domain/filter.ts"
import { anEvent } from "../help/subjects.ts"
import { shortestMs } from "../help/timing.ts"

const receivedAt = Date.UTC(2026, 10, 21, 12, 0, 0)

const event = anEvent({
  receivedAt,
  type: "trial_started",
  app: "ios",
  source: "/billing",
  profileId: "p-1",
  externalId: "order-1",
  occurredAt: Date.UTC(2026, 10, 21, 10, 0, 0, 500),
  payload: {
    kind: "json",
    text: String.raw`{"plan":"pro","amount":10.50,"big":12345678901234567890,"zero":-0,"huge":1e999,"ok":true,"none":null,
      "tags":["vip",7,null,{"a":1}],"items":[{"sku":"a"},{"sku":"b"}],"user":{"name":"Ann","e.mail":"a@b","a\\b":1,"0":"zero"},
      "twice":1,"twice":2,"":"empty","text":"größer \ud83d\ude00 end","list":[]}`,
  },
})

function filter(text: string): ExactJson {
  const value = parseExact(text)
  return value === undefined ? assert.fail(`no JSON: ${text}`) : value
}

function passes(text: string, given: Event = event): boolean {
  assert.deepEqual(checkFilter(filter(text)), [], text)
  return compileFilter(filter(text))(viewEvent(given))
}

function withData(payload: Payload): Event {
  return anEvent({ payload })
}

const says = {
  yes: [
    '{"eq":["data.plan","pro"]}',
    '{"eq":["type","trial_started"]}',
    '{"eq":["app","ios"]}',
    '{"eq":["environment","production"]}',
    '{"eq":["source","/billing"]}',
    '{"eq":["profile_id","p-1"]}',
    '{"eq":["external_id","order-1"]}',
    '{"eq":["data.amount",10.5]}',
    '{"eq":["data.amount",105e-1]}',
    '{"eq":["data.big",12345678901234567890]}',
    '{"eq":["data.zero",0]}',
    '{"eq":["data.huge",10e998]}',
    '{"eq":["data.ok",true]}',
    '{"eq":["data.none",null]}',
    '{"eq":["data.items.1.sku","b"]}',
    String.raw`{"eq":["data.user.e\\.mail","a@b"]}`,
    String.raw`{"eq":["data.user.a\\\\b",1]}`,
    '{"eq":["data.user.0","zero"]}',
    '{"eq":["data.twice",2]}',
    '{"ne":["data.plan","max"]}',
    '{"ne":["data.missing","max"]}',
    '{"ne":["data.amount","10.5"]}',
    '{"ne":["data.user","Ann"]}',
    '{"ne":["device_id","d-1"]}',
    '{"in":["data.plan",["free","pro"]]}',
    '{"in":["data.amount",["10.5",10.50]]}',
    '{"in":["data.none",[1,null]]}',
    '{"exists":["data.none"]}',
    '{"exists":["data"]}',
    '{"exists":["data.list"]}',
    '{"exists":["received_at"]}',
    '{"gt":["data.amount",10.49999999999999999999]}',
    '{"gt":["data.big",12345678901234567889]}',
    '{"gte":["data.amount",10.5]}',
    '{"lt":["data.amount",1e999999999]}',
    '{"lte":["data.zero",0.0]}',
    '{"gt":["data.plan","pri"]}',
    '{"lt":["data.plan","pro "]}',
    '{"gt":["type","trial_"]}',
    '{"gte":["occurred_at","2026-11-21T10:00:00.5Z"]}',
    '{"eq":["occurred_at","2026-11-21T11:00:00.500999+01:00"]}',
    '{"in":["occurred_at",["2026-11-21T10:00:00Z","2026-11-21T10:00:00.500Z"]]}',
    '{"lt":["occurred_at","2026-11-21T10:00:01Z"]}',
    '{"gt":["received_at","2026-11-21T11:59:59Z"]}',
    '{"prefix":["type","trial_"]}',
    '{"prefix":["data.plan",""]}',
    '{"contains":["data.text","\u{1f600} end"]}',
    '{"contains":["data.tags","vip"]}',
    '{"contains":["data.tags",7.0]}',
    '{"contains":["data.tags",null]}',
    '{"and":[{"eq":["data.plan","pro"]},{"gte":["data.amount",10]}]}',
    '{"or":[{"eq":["data.plan","max"]},{"eq":["data.plan","pro"]}]}',
    '{"not":{"eq":["data.plan","max"]}}',
    '{"not":{"gt":["data.missing",1]}}',
    '{"not":{"lte":["data.plan",1]}}',
  ],
  no: [
    '{"eq":["data.plan","Pro"]}',
    '{"eq":["data.plan","pr"]}',
    '{"eq":["data.missing",null]}',
    '{"eq":["device_id",null]}',
    '{"eq":["data.amount","10.5"]}',
    '{"eq":["data.big",12345678901234567891]}',
    '{"eq":["data.ok","true"]}',
    '{"eq":["data.ok",1]}',
    '{"eq":["data.user.name.first","A"]}',
    '{"eq":["data.items.2.sku","a"]}',
    '{"eq":["data.items.-1.sku","b"]}',
    '{"eq":["data.items.01.sku","b"]}',
    '{"eq":["data.items.length",2]}',
    '{"eq":["data.user.e.mail","a@b"]}',
    '{"ne":["data.plan","pro"]}',
    '{"ne":["data.amount",10.500]}',
    '{"in":["data.plan",["free"]]}',
    '{"in":["data.missing",["free",null]]}',
    '{"exists":["data.missing"]}',
    '{"exists":["data.user.constructor"]}',
    '{"exists":["data.__proto__"]}',
    '{"exists":["data.list.0"]}',
    '{"exists":["device_id"]}',
    '{"gt":["data.amount",10.5]}',
    '{"gt":["data.missing",0]}',
    '{"lt":["data.missing",0]}',
    '{"gte":["data.plan",0]}',
    '{"lte":["data.amount","zzz"]}',
    '{"gt":["data.none",0]}',
    '{"gt":["data.tags",0]}',
    '{"lt":["data.ok",2]}',
    '{"lt":["occurred_at","2026-11-21T10:00:00.5Z"]}',
    '{"prefix":["type","Trial"]}',
    '{"prefix":["data.amount","1"]}',
    '{"prefix":["data.missing",""]}',
    '{"contains":["data.amount","0"]}',
    '{"contains":["data.tags","vi"]}',
    '{"contains":["data.user","name"]}',
    '{"contains":["data.missing","x"]}',
    '{"contains":["data.text",1]}',
    '{"and":[{"eq":["data.plan","pro"]},{"gte":["data.amount",11]}]}',
    '{"or":[{"eq":["data.plan","max"]}]}',
    '{"not":{"ne":["data.missing",1]}}',
  ],
}

describe("a filter", () => {
  for (const text of says.yes) test(`${text} lets the event through`, () => assert.equal(passes(text), true))
  for (const text of says.no) test(`${text} holds the event back`, () => assert.equal(passes(text), false))

  test("orders texts by code point, not by UTF-16", () => {
    const emoji = withData({ kind: "json", text: '"\u{1f600}"' })
    assert.equal(passes('{"gt":["data","\uffee"]}', emoji), true)
    assert.equal(passes('{"lt":["data","\uffee"]}', emoji), false)
  })

  test("takes the time of arrival where nobody said when it happened", () => {
    const test = compileFilter(filter('{"eq":["occurred_at","2026-11-21T12:00:00Z"]}'))
    assert.equal(test(viewEvent({ ...event, occurredAt: null })), true)
  })

  test("sees text that is no JSON as a text, and bytes and no data as nothing", () => {
    const text = withData({ kind: "text", text: "<error/>", mediaType: "application/xml" })
    const bytes = withData({ kind: "bytes", bytes: new Uint8Array([1]), mediaType: null })
    assert.equal(passes('{"contains":["data","error"]}', text), true)
    assert.equal(passes('{"exists":["data.error"]}', text), false)
    assert.equal(passes('{"exists":["data"]}', bytes), false)
    assert.equal(passes('{"exists":["data"]}', withData({ kind: "none" })), false)
    assert.equal(passes('{"exists":["data"]}', withData({ kind: "json", text: "null" })), true)
  })

  test("reads the data only if it asks for it, and once", () => {
    const reads = (text: string) => {
      const seen: string[] = []
      const facts = event
      compileFilter(filter(text))({ facts, data: () => void seen.push("data") })
      return seen.length
    }
    assert.equal(reads('{"and":[{"eq":["type","x"]},{"eq":["data.a",1]}]}'), 0)
    assert.equal(reads('{"or":[{"eq":["type","x"]},{"eq":["data.a",1]}]}'), 1)
    assert.equal(reads('{"not":{"and":[{"exists":["data.a"]}]}}'), 1)
    assert.equal(reads('{"not":{"and":[{"exists":["app"]}]}}'), 0)
    const view = viewEvent(event)
    assert.equal(view.data(), view.data())
  })

  test("holds nothing of an event whose data is no JSON after all, and does not throw", () => {
    const broken = withData({ kind: "json", text: "{" })
    assert.equal(passes('{"exists":["data"]}', broken), false)
    assert.equal(passes('{"ne":["data.a",1]}', broken), true)
  })

  test("the largest one over the largest event is done in a moment", () => {
    const needle = `${"a".repeat(filterBounds.characters - 1)}b`
    const conditions = Array.from({ length: filterBounds.nodes - 1 }, () => `{"contains":["data","${needle}"]}`)
    const text = `{"or":[${conditions.join(",")}]}`
    const large = withData({ kind: "json", text: `"${"a".repeat(260_000)}"` })
    const tookMs = shortestMs(() => {
      assert.equal(passes(text, large), false)
    })
    assert.ok(tookMs < 1_000, `took ${tookMs} ms`)
  })

  test("that was never checked is a bug, and is thrown as one", () => {
    assert.throws(() => compileFilter(filter('{"eq":["plan"]}')), /unchecked/)
  })
})

const deep = (levels: number) => `${'{"not":'.repeat(levels - 1)}{"exists":["app"]}${"}".repeat(levels - 1)}`
const wide = (nodes: number) => `{"or":[${Array.from({ length: nodes - 1 }, () => '{"exists":["app"]}').join(",")}]}`
const list = (length: number) => `{"in":["app",[${Array.from({ length }, (_, i) => i).join(",")}]]}`

const faults: readonly (readonly [text: string, pointer: string, message: RegExp])[] = [
  ["null", "", /an object with one operator, such as .*; here stands null/],
  ['[{"eq":["app","x"]}]', "", /here stands a list of 1/],
  ["{}", "", /operator is missing: one of eq, ne, in/],
  ['{"eq":["app","x"],"ne":["app","y"]}', "", /2 operators stand in one object/],
  ['{"equals":["app","x"]}', "", /"equals" is no operator; use one of eq/],
  ['{"GTE":["app","x"]}', "", /did you mean "gte"/],
  ['{"exist":["app"]}', "", /did you mean "exists"/],
  ['{"__proto__":["app"]}', "", /no operator/],
  ['{"and":[]}', "/and", /at least one; here stands an empty list/],
  ['{"and":{"eq":["app","x"]}}', "/and", /list of filters, at least one; here stands an object/],
  ['{"and":[{"eq":["app","x"]},{"or":[7]}]}', "/and/1/or/0", /here stands a number/],
  ['{"not":["app"]}', "/not", /here stands a list of 1/],
  ['{"eq":"app"}', "/eq", /a field and a value, such as \["data.plan", "pro"\]/],
  ['{"eq":["app"]}', "/eq", /a field and a value/],
  ['{"eq":["app","x","y"]}', "/eq", /a field and a value/],
  ['{"exists":["app",true]}', "/exists", /one field, such as/],
  ['{"exists":"app"}', "/exists", /one field, such as/],
  ['{"eq":[1,"x"]}', "/eq/0", /name of a field stands first; here stands a number/],
  ['{"eq":["plan","x"]}', "/eq/0", /"plan" is no field of an event, did you mean "data.plan"\?/],
  ['{"eq":["profileId","x"]}', "/eq/0", /did you mean "profile_id"\?/],
  ['{"eq":["data.","x"]}', "/eq/0", /a step of the path is empty/],
  ['{"eq":["data.a..b","x"]}', "/eq/0", /a step of the path is empty/],
  [String.raw`{"eq":["data.a\\b","x"]}`, "/eq/0", /backslash in a path/],
  [`{"eq":["data${".a".repeat(65)}","x"]}`, "/eq/0", /at most 64 steps/],
  ['{"eq":["data.a",[1]]}', "/eq/1", /not with a list of 1/],
  ['{"ne":["data.a",{}]}', "/ne/1", /not with an object/],
  ['{"gt":["data.a",true]}', "/gt/1", /only numbers and texts have an order, not true/],
  ['{"prefix":["data.a",1]}', "/prefix/1", /takes a text; here stands a number/],
  ['{"in":["data.a","x"]}', "/in/1", /list of 1 to 1000 values; here stands a text/],
  ['{"in":["data.a",[]]}', "/in/1", /here stands an empty list/],
  ['{"in":["data.a",[1,[2]]]}', "/in/1/1", /not with a list of 1/],
  ['{"gte":["occurred_at","yesterday"]}', "/gte/1", /RFC 3339/],
  ['{"eq":["received_at",1763719200000]}', "/eq/1", /RFC 3339/],
  ['{"prefix":["occurred_at","2026"]}', "/prefix/1", /compared as a whole/],
  [`{"eq":["app","${"x".repeat(257)}"]}`, "/eq/1", /at most 256 characters/],
  [deep(17), "/not".repeat(16), /at most 16 levels/],
  [wide(201), "/or/199", /at most 200 operators/],
  [list(1_001), "/in/1", /1 to 1000 values; here stands a list of 1001/],
]

describe("the check of a filter", () => {
  for (const [text, pointer, message] of faults) {
    test(`finds what is wrong with ${text.slice(0, 60)}`, () => {
      const [fault, ...more] = checkFilter(filter(text))
      assert.equal(fault?.pointer, pointer)
      assert.match(fault?.message ?? "", message)
      assert.deepEqual(more, [])
    })
  }

  test("passes what is just within the bounds", () => {
    for (const text of [deep(16), wide(200), list(1_000), `{"eq":["app","${"x".repeat(256)}"]}`]) {
      assert.deepEqual(checkFilter(filter(text)), [])
    }
  })

  test("tells all mistakes at once, up to twenty", () => {
    const bad = '{"eq":["plan",1]}'
    assert.deepEqual(
      checkFilter(filter(`{"and":[${bad},{"gt":["app",null]},{}]}`)).map(fault => fault.pointer),
      ["/and/0/eq/0", "/and/1/gt/1", "/and/2"],
    )
    assert.equal(checkFilter(filter(`{"and":[${Array(50).fill(bad).join(",")}]}`)).length, 20)
  })
})
