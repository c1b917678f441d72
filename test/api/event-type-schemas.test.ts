/** Schemas of event types: what cannot be taken is refused when it is saved, with the place named. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { openWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

test("a schema with a regular expression is refused where it stands, a property of that name is not", async t => {
  const { url } = await openWaybill(t, { dataDir: temporaryFolder(t) })
  const put = async (schema: unknown) => {
    const response = await fetch(`${url}/v1/event-types/a.b`, {
      method: "PUT",
      headers: { authorization: `Bearer ${testKey}`, "content-type": "application/json" },
      body: JSON.stringify({ schema }),
    })
    const answer = (await response.json()) as { errors?: { pointer: string }[] }
    return [response.status, answer.errors?.[0]?.pointer]
  }
  const evil = "^(a+)+$"
  assert.deepEqual(await put({ properties: { name: { type: "string", pattern: evil } } }), [
    422,
    "/schema/properties/name/pattern",
  ])
  assert.deepEqual(await put({ anyOf: [{ items: { patternProperties: {} } }] }), [
    422,
    "/schema/anyOf/0/items/patternProperties",
  ])
  assert.deepEqual(await put({ properties: { pattern: { type: "string", enum: ["pattern"] } } }), [200, undefined])
  assert.deepEqual(await put({ type: "no such type" }), [422, "/schema"])
})
