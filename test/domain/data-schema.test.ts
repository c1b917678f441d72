/** Schemas for the data of events: what is taken, and what could keep the thread that all projects share. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { faultOfSchema } from "../../src/domain/data-schema.ts"

const faultAt = (schema: unknown) => faultOfSchema(schema)?.pointer ?? null

test("what senders write down of their events is taken", () => {
  for (const schema of [
    true,
    {},
    { $schema: "https://json-schema.org/draft/2020-12/schema", $id: "https://shop.example/order.json", type: "object" },
    { properties: { pattern: { enum: ["pattern"] }, $ref: { type: "string" } }, required: ["pattern"] },
    {
      $defs: { money: { properties: { amount: { type: "number" } } }, "a/b c": { type: "string" } },
      properties: { price: { $ref: "#/$defs/money" }, tax: { $ref: "#/$defs/money" }, x: { $ref: "#/$defs/a~1b%20c" } },
    },
    { properties: { first: { type: "string" }, second: { $ref: "#/properties/first" } } },
    { items: { anyOf: [{ const: { pattern: "(a+)+" } }, { enum: [1, 2] }] }, uniqueItems: true, maxItems: 1_000 },
    { dependentRequired: { a: ["b"] }, dependencies: { a: ["b"] } },
    { properties: Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`field_${i}`, { type: "string" }])) },
  ])
    assert.equal(faultOfSchema(schema), null, JSON.stringify(schema).slice(0, 200))
})

test("regular expressions are found wherever a schema stands, and no reference leads to one that is hidden in data", () => {
  assert.equal(faultAt({ anyOf: [{ items: { patternProperties: {} } }] }), "/anyOf/0/items/patternProperties")
  assert.equal(faultAt({ $defs: { a: { pattern: "x" } } }), "/$defs/a/pattern")
  for (const hidden of ["default", "const", "examples", "x-own"])
    assert.equal(faultAt({ [hidden]: { pattern: "^(a+)+$" }, $ref: `#/${hidden}` }), "/$ref", hidden)
  assert.equal(faultAt({ enum: [{ pattern: "x" }], $ref: "#/enum/0" }), "/$ref")
  assert.equal(faultAt({ $ref: "https://json-schema.org/draft/2020-12/schema" }), "/$ref")
  assert.equal(faultAt({ $ref: "#/%" }), "/$ref")
  assert.equal(faultAt({ properties: { a: { $ref: 7 } } }), "/properties/a/$ref")
})

test("what would answer later, or be named from afar, is refused", () => {
  assert.equal(faultAt({ properties: { a: { $async: true } } }), "/properties/a/$async")
  for (const keyword of ["$dynamicRef", "$anchor", "$recursiveRef"])
    assert.equal(faultAt({ [keyword]: "#x" }), `/${keyword}`)
  assert.equal(faultAt({ properties: { a: { $id: "https://shop.example/a" } } }), "/properties/a/$id")
})

test("a schema that refers to itself is refused, through whatever it does so", () => {
  assert.equal(faultAt({ allOf: [{ $ref: "#" }] }), "/allOf/0/$ref")
  const tree = { properties: { children: { items: { $ref: "#/$defs/tree" } } } }
  assert.equal(faultAt({ $defs: { tree }, $ref: "#/$defs/tree" }), "/$defs/tree/properties/children/items/$ref")
})

test("references that double with each step count as often as they are followed", () => {
  const twice = (n: number) => ({ allOf: [{ $ref: `#/$defs/a${n}` }, { $ref: `#/$defs/a${n}` }] })
  const $defs = Object.fromEntries(Array.from({ length: 22 }, (_, i) => [`a${i}`, i === 21 ? {} : twice(i + 1)]))
  assert.equal(faultAt({ $defs, $ref: "#/$defs/a0" }), "")
  assert.equal(faultAt({ $defs, $ref: "#/$defs/a16" }), null)
})

test("what costs much for each entry is bounded", () => {
  assert.equal(faultAt({ properties: { a: { uniqueItems: true } } }), "/properties/a/uniqueItems")
  assert.equal(faultAt({ uniqueItems: true, maxItems: 20_000 }), "/uniqueItems")
  assert.equal(faultAt({ enum: Array.from({ length: 20_000 }, (_, i) => i) }), "")
  const properties = Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`field_${i}`, {}]))
  assert.equal(faultAt({ properties }), "")
})
