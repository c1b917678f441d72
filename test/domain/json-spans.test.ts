import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { elementSpans, jsonFault, MAX_DEPTH, type Members, memberSpans } from "../../src/domain/json-spans.ts"
import { JsonWriter } from "../help/json-writer.ts"
import { shortestMs } from "../help/timing.ts"

const DOCUMENTS = 20_000

function membersOf(text: string): Members {
  const found = memberSpans(text, 1_000)
  assert.equal(found.kind, "members", text)
  return found as Members
}

/** Raw values by key. */
function rawMembers(text: string): [string, string][] {
  return membersOf(text).members.map(({ key, start, end }) => [key, text.slice(start, end)])
}

describe("spans of members", () => {
  test("raw values are found by their keys, in the order of the text", () => {
    const text = ' { "a" : 1.0 ,"b":[1e2, {"c":"}"}], "c":"\\"" , "": null}\n'
    assert.deepEqual(rawMembers(text), [
      ["a", "1.0"],
      ["b", '[1e2, {"c":"}"}]'],
      ["c", '"\\""'],
      ["", "null"],
    ])
  })

  test("escaped keys are decoded", () => {
    assert.deepEqual(rawMembers(String.raw`{"\u0061\n":1}`), [["a\n", "1"]])
  })

  test("__proto__ and constructor are keys like any other", () => {
    const text = '{"__proto__":{"polluted":1},"constructor":2}'
    assert.deepEqual(rawMembers(text), [
      ["__proto__", '{"polluted":1}'],
      ["constructor", "2"],
    ])
    assert.equal(Reflect.get({}, "polluted"), undefined)
  })

  test("a key that stands there twice is told, also when it is written differently", () => {
    assert.equal(membersOf('{"data":1,"type":2}').duplicate, null)
    assert.equal(membersOf('{"data":1,"type":2,"data":3}').duplicate, "data")
    assert.equal(membersOf(String.raw`{"data":1,"dat\u0061":3}`).duplicate, "data")
    const many = Array.from({ length: 40 }, (_, i) => `"k${i}":0`).join(",")
    assert.equal(membersOf(`{${many}}`).duplicate, null)
    assert.equal(membersOf(`{${many},"k7":0}`).duplicate, "k7")
  })

  test("keys that stand twice further inside are the sender's own business", () => {
    assert.equal(membersOf('{"data":{"a":1,"a":2}}').duplicate, null)
  })

  test("thousands of keys take no longer than their text", () => {
    const text = `{${Array.from({ length: 50_000 }, (_, i) => `"k${i}":0`).join(",")}}`
    const tookMs = shortestMs(() => {
      assert.equal(membersOf(text).members.length, 50_000)
    })
    assert.ok(tookMs < 500, `took ${tookMs} ms`)
  })

  test("what is no object is named", () => {
    const found = (text: string) => memberSpans(text, MAX_DEPTH)
    assert.deepEqual(found("[1]"), { kind: "other", found: "a list" })
    assert.deepEqual(found(' "x"'), { kind: "other", found: "a string" })
    assert.deepEqual(found("-1"), { kind: "other", found: "a number" })
    assert.deepEqual(found("true"), { kind: "other", found: "true or false" })
    assert.deepEqual(found("null"), { kind: "other", found: "null" })
  })
})

describe("spans of elements", () => {
  test("raw elements are found in order", () => {
    const text = '[ {"a":[1]} ,2, "," ]'
    const found = elementSpans(text, MAX_DEPTH)
    assert.equal(found.kind, "elements")
    assert.deepEqual(found.kind === "elements" && found.elements.map(({ start, end }) => text.slice(start, end)), [
      '{"a":[1]}',
      "2",
      '","',
    ])
  })

  test("an empty list has none, an object is no list", () => {
    assert.deepEqual(elementSpans("[ ]", MAX_DEPTH), { kind: "elements", elements: [] })
    assert.deepEqual(elementSpans("{}", MAX_DEPTH), { kind: "other", found: "an object" })
  })

  test("a part of a checked text is read like a text of its own", () => {
    const text = '{"events":[{"a":1},{"b":[2]}]}'
    const events = membersOf(text).members[0]
    const list = elementSpans(text, MAX_DEPTH, events)
    assert.equal(list.kind, "elements")
    const second = list.kind === "elements" ? list.elements[1] : undefined
    const inner = memberSpans(text, 2, second)
    assert.equal(inner.kind === "members" && inner.members[0]?.key, "b")
    assert.equal(memberSpans(text, 1, second).kind, "too_deep")
  })
})

describe("the check of JSON", () => {
  const refused: readonly (readonly [name: string, text: string])[] = [
    ["nothing", ""],
    ["white space", " \n"],
    ["a zero in front", "01"],
    ["a zero in front of a negative number", "-01"],
    ["a point without digits", "1."],
    ["a point without a number", ".5"],
    ["an exponent without digits", "1e"],
    ["an exponent with a sign only", "1e+"],
    ["a plus sign", "+1"],
    ["a minus sign alone", "-"],
    ["hexadecimal", "0x10"],
    ["NaN", "NaN"],
    ["Infinity", "-Infinity"],
    ["a raw line break in a string", '"a\nb"'],
    ["a raw tab in a string", '"a\tb"'],
    ["a raw NUL in a string", '"a\u0000b"'],
    ["a raw line break far inside a long string", `"${"x".repeat(200)}\n${"x".repeat(200)}"`],
    ["a string that does not end", '"abc'],
    ["a long string that does not end", `"${"x".repeat(200)}`],
    ["a backslash at the end", '"abc\\'],
    ["an unknown escape", '"\\x41"'],
    ["a short unicode escape", '"\\u12"'],
    ["a unicode escape that is not hexadecimal", '"\\u12g4"'],
    ["single quotes", "{'a':1}"],
    ["a key without quotes", "{a:1}"],
    ["a key that is a number", "{1:1}"],
    ["a comma at the end of an object", '{"a":1,}'],
    ["a comma at the end of a list", "[1,]"],
    ["a comma at the beginning", "[,1]"],
    ["two commas", "[1,,2]"],
    ["a missing comma", "[1 2]"],
    ["a missing colon", '{"a" 1}'],
    ["a missing value", '{"a":}'],
    ["a missing bracket", "[1"],
    ["a missing brace", '{"a":1'],
    ["the wrong bracket", "[1}"],
    ["a bracket too many", "[1]]"],
    ["text after the value", "{} x"],
    ["two values", "{}{}"],
    ["a byte order mark", "\ufeff{}"],
    ["a comment", "{/* */}"],
    ["another space", "[1,\u00a02]"],
    ["a form feed", "[\f1]"],
    ["a word in capitals", "TRUE"],
    ["half a word", "[tru]"],
    ["a word that goes on", "nullx"],
  ]
  for (const [name, text] of refused) {
    test(`refuses ${name}`, () => {
      assert.throws(() => JSON.parse(text))
      assert.equal(jsonFault(text, MAX_DEPTH)?.kind, "malformed")
    })
  }

  test("takes what RFC 8259 allows, odd as it may look", () => {
    const texts = [
      "-0",
      "1E+2",
      "1e-0",
      '"\u2028\u007f\u{1f600}"',
      String.raw`"\ud800\/\b"`,
      "\r\n\t {}\t",
      '{"":[]}',
      "[[],{}]",
    ]
    for (const text of texts) assert.equal(jsonFault(text, MAX_DEPTH), null, text)
  })

  test("says where a mistake is and what is the usual cause", () => {
    const message = (text: string) => jsonFault(text, MAX_DEPTH)?.message
    assert.equal(message('{"a":1,\n "b":2,}'), "line 2, column 8: } cannot stand here; take away the comma before it")
    assert.equal(message("{'a':1}"), 'line 1, column 2: \' cannot stand here; strings stand in double quotes, "…"')
    assert.match(message('"a\nb"') ?? "", /^line 1, column 3: the character U\+000A cannot stand here; inside a string/)
    assert.match(message("\ufeff{}") ?? "", /byte order mark/)
    assert.match(message("[01]") ?? "", /column 3: 1 cannot stand here; a number has no zero in front/)
    assert.match(message('{"a":[1') ?? "", /ends before it is complete/)
    assert.equal(message(" "), "there is nothing in it")
  })

  test("64 levels pass and 65 do not, of lists, of objects and of both", () => {
    const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth)
    assert.equal(jsonFault(nested("[", "]", 64), 64), null)
    assert.equal(jsonFault(nested("[", "]", 65), 64)?.kind, "too_deep")
    assert.equal(jsonFault(`${'{"a":'.repeat(64)}1${"}".repeat(64)}`, 64), null)
    assert.equal(jsonFault(`${'{"a":'.repeat(65)}1${"}".repeat(65)}`, 64)?.kind, "too_deep")
    assert.equal(jsonFault(`${'[{"a":'.repeat(32)}1${"}]".repeat(32)}`, 64), null)
    assert.equal(jsonFault(`[${"[],{},".repeat(1_000)}1]`, 2), null)
  })

  test("a million levels are refused in a moment", () => {
    for (const text of [
      "[".repeat(1_000_000),
      '{"a":'.repeat(1_000_000),
      "[".repeat(1_000_000) + "]".repeat(1_000_000),
    ]) {
      const tookMs = shortestMs(() => {
        assert.equal(jsonFault(text, 64)?.kind, "too_deep")
      })
      assert.ok(tookMs < 200, `took ${tookMs} ms`)
    }
  })
})

describe(`${DOCUMENTS} documents made at random`, () => {
  test("have the members that JSON.parse finds, byte for byte", () => {
    const writer = new JsonWriter(1)
    for (let i = 0; i < DOCUMENTS; i++) {
      const text = writer.object(4)
      const { members, duplicate } = membersOf(text)
      const parsed = Object.entries(JSON.parse(text) as object)
      const last = new Map(members.map(({ key, start, end }) => [key, text.slice(start, end)]))
      assert.equal(last.size, parsed.length, text)
      assert.equal(duplicate === null, members.length === last.size, text)
      for (const [key, value] of parsed) assert.deepEqual(JSON.parse(last.get(key) ?? ""), value, text)
    }
  })

  test("are judged as JSON.parse judges them when one character is changed, taken out or put in", () => {
    const writer = new JsonWriter(2)
    let valid = 0
    for (let i = 0; i < DOCUMENTS; i++) {
      const text = writer.damaged(writer.value(3))
      const isValid = parses(text)
      valid += isValid ? 1 : 0
      assert.equal(jsonFault(text, 1_000) === null, isValid, JSON.stringify(text))
    }
    assert.ok(valid > DOCUMENTS / 10 && valid < (DOCUMENTS * 9) / 10, `both kinds occur: ${valid} are valid`)
  })
})

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
