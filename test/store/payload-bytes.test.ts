import assert from "node:assert/strict"
import test from "node:test"
import type { Event, Payload } from "../../src/domain/event.ts"
import { maskPayload, privateFieldsOf } from "../../src/domain/private-fields.ts"
import { sql } from "../../src/store/database.ts"
import { type FilledStore, json, openFilledStore } from "../help/filled-store.ts"

async function bytesOf(filled: FilledStore, { id }: Event): Promise<number | undefined> {
  const [row] = await filled.query<{ n: number }>(sql`select payload_bytes as n from event where id = ${id}`)
  return row === undefined ? undefined : Number(row.n)
}

test("a payload counts the bytes that are stored, in whatever script it is written", async t => {
  const filled = await openFilledStore(t)
  const payloads: readonly (readonly [payload: Payload, bytes: number])[] = [
    [json('{"a":"abc"}'), 11],
    [json('{"a":"ééé"}'), 14],
    [json('{"a":"Жук"}'), 14],
    [json('{"a":"漢字表"}'), 17],
    [json('{"a":"🧭"}'), 12],
    [{ kind: "text", text: "漢字", mediaType: "text/plain" }, 6],
    [{ kind: "bytes", bytes: Buffer.from([0, 255, 128]), mediaType: "image/png" }, 3],
    [{ kind: "none" }, 0],
  ]
  for (const [payload, bytes] of payloads) {
    assert.equal(await bytesOf(filled, await filled.accept({ payload })), bytes, JSON.stringify(payload))
  }
})

test("a payload with private fields counts the bytes of what readers see", async t => {
  const filled = await openFilledStore(t)
  const payload = json('{"a":"漢字","b":"Жук"}')
  const event = await filled.accept({ payload, privateFields: ["/a"] })
  const fields = privateFieldsOf(["/a"])
  assert.ok(fields)
  const masked = maskPayload(payload, fields)
  assert.ok(masked?.kind === "json")
  assert.equal(await bytesOf(filled, event), Buffer.from(masked.text).length)
})
