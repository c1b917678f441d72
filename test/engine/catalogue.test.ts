/** Schemas that an earlier version took: they refuse, and end nothing. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { catalogued } from "../../src/engine/catalogue.ts"

const type = (schema: object) =>
  catalogued({
    project: 1,
    name: "order.paid",
    description: null,
    schema: JSON.stringify(schema),
    examples: "[]",
    privateFields: [],
    createdAt: 0,
    updatedAt: 0,
  })

test("data that breaks its schema is told where", () => {
  const { faultOf } = type({ properties: { total: { type: "number" } }, required: ["total"] })
  assert.equal(faultOf({ total: 1 }), null)
  assert.deepEqual(faultOf({}), {
    pointer: "/total",
    message: "breaks the schema: must have required property 'total'",
  })
})

test("a schema that answers later refuses its events, and the process goes on", async () => {
  const { faultOf } = type({ $async: true, type: "string" })
  assert.match(faultOf({})?.message ?? "", /take \$async out/)
  await new Promise(setImmediate)
})

test("a schema that never ends, or is none, refuses its events", () => {
  assert.match(type({ allOf: [{ $ref: "#" }] }).faultOf({})?.message ?? "", /has to be mended/)
  assert.match(type({ type: "no such type" }).faultOf({})?.message ?? "", /has to be mended/)
})
