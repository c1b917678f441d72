/** The dashboard's forms of an integration: filters as conditions and as JSON, what revisions changed, names of headers. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { conditionsOf, isSameFilter, textOfConditions } from "../dashboard/src/integration/conditions.ts"
import { faultOfName } from "../dashboard/src/integration/free-name.ts"
import { placeOfPointer } from "../dashboard/src/integration/json-place.ts"
import { changeTextsOf } from "../dashboard/src/integration/revision-texts.ts"
import { memberText } from "../dashboard/src/parts/json-parts.ts"

test("a filter that is not written out yet, or is more than conditions, stays JSON and breaks nothing", () => {
  for (const text of [
    '{"eq":["data.plan"]}',
    '{"eq":["data.plan",]}',
    '{"eq":["data.plan","pro","max"]}',
    '{"eq":[]}',
    '{"eq":[5,"pro"]}',
    '{"eq":"data.plan"}',
    '{"eq":["data.plan",["pro"]]}',
    '{"eq":["data.plan",{}]}',
    '{"exists":[]}',
    '{"exists":["data.plan","pro"]}',
    '{"and":[]}',
    '{"and":{}}',
    '{"and":[{"eq":["data.plan"]}]}',
    '{"and":[{"eq":["type","a"]},{"or":[]}]}',
    '{"and":[{"eq":["type","a"]},{"eq":["app","b"]}],"or":[]}',
    '{"eq":["type","a"],"eq":["app","b"]}',
    '{"toString":["type","a"]}',
    "{}",
    "[]",
    "null",
    "5",
    '"',
    "{",
  ]) {
    assert.equal(conditionsOf(text), null, text)
  }
})

test("conditions are read from their JSON and written the same again, every number and text as it stands there", () => {
  for (const [text, value] of [
    ['{"eq":["data.plan","pro"]}', "pro"],
    ['{"eq":["data.id",12345678901234567890]}', "12345678901234567890"],
    ['{"eq":["data.id",123456789012345.6789]}', "123456789012345.6789"],
    ['{"eq":["data.id",1.0]}', "1.0"],
    ['{"eq":["data.id",1e400]}', "1e400"],
    ['{"eq":["data.id","12345678901234567890"]}', '"12345678901234567890"'],
    ['{"eq":["data.id","true"]}', '"true"'],
    [String.raw`{"eq":["data.id","a\u0062 \"c\""]}`, String.raw`"a\u0062 \"c\""`],
    ['{"eq":["data.ok",null]}', "null"],
    ['{"exists":["data.plan"]}', ""],
  ] as const) {
    const [condition, ...more] = conditionsOf(` ${text}\n`) ?? []
    assert.deepEqual([condition?.value, more], [value, []], text)
    assert.equal(isSameFilter(textOfConditions(condition === undefined ? [] : [condition]), text), true, text)
  }
  const two = '{ "and": [{ "eq": ["data.plan", "a  b"] }, { "gt": ["data.amount", 900719925474099267] }] }'
  const conditions = conditionsOf(two) ?? []
  assert.deepEqual(
    conditions.map(({ field, operator, value }) => [field, operator, value]),
    [
      ["data.plan", "eq", "a  b"],
      ["data.amount", "gt", "900719925474099267"],
    ],
  )
  assert.equal(isSameFilter(textOfConditions(conditions), two), true)
  assert.equal(isSameFilter(textOfConditions(conditions), two.replace("a  b", "a b")), false)
})

test("whatever is typed as a condition's value comes back as it was typed, a character at a time", () => {
  for (const typed of ["12345678901234567891", "1.05", "-0.50", '"12"', String.raw`"C:\dir"`, 'say "yes"', "\\"]) {
    for (let length = 0; length <= typed.length; length++) {
      const value = typed.slice(0, length)
      const text = textOfConditions([{ field: "data.x", operator: "eq", value }])
      assert.equal(conditionsOf(text)?.[0]?.value, value, text)
    }
  }
})

test("the filter is cut out of an answer with all digits of its numbers, whatever stands before and after", () => {
  const filter = String.raw`{"or": [{"eq": ["data.id", 12345678901234567890]}, {"eq": ["type", "}],\""]}]}`
  const others = String.raw`"name":"\"filter\":1 }","config":{"filter":2,"list":[{"filter":3}]}`
  assert.equal(memberText(`{${others},"filter":${filter}}`, "filter"), filter)
  assert.equal(memberText(` { "filter" : ${filter} , ${others} } `, "filter"), filter)
  assert.equal(memberText(`{"filter":null,${others}}`, "filter"), "null")
  assert.equal(memberText(`{${others}}`, "filter"), null)
  assert.equal(memberText("[]", "filter"), null)
})

test("what revisions changed is shown with all digits of its numbers", () => {
  const [from, to] = ['["data.id",12345678901234567890]', '["data.id",12345678901234567891]']
  const change = `{"pointer":"/filter/eq","from":${from},"to":${to}}`
  const page = `{"data":[{"revision":3,"changes":[]},{"revision":2,"changes":[${change},${change}]}],"next_cursor":null}`
  assert.deepEqual(changeTextsOf(page), [
    [],
    [
      { from, to },
      { from, to },
    ],
  ])
})

test("a place of an earlier text is looked for in one that is no JSON any more, as far as it can be read", () => {
  assert.deepEqual(placeOfPointer('{\n  "and": [5]\n}', "/and/0"), { line: 2, column: 11 })
  for (const text of ["{ and: [5] }", '{ "and" [', "{ , }", "", "{{", '"']) {
    assert.deepEqual(Object.keys(placeOfPointer(text, "/and/0")), ["line", "column"], text)
  }
})

test("a header that is there is not added once more, in whatever case, and so keeps its secret", () => {
  const names = ["x-team", "X-Plan"]
  assert.match(faultOfName("x-team", names) ?? "", /^x-team is there already\. Change its value above/)
  assert.match(faultOfName("X-Team", names) ?? "", /^x-team is there already/)
  assert.match(faultOfName("x-plan", names) ?? "", /^X-Plan is there already/)
  assert.equal(faultOfName("x-teams", names), null)
})
