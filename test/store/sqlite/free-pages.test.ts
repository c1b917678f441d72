import assert from "node:assert/strict"
import test from "node:test"
import { embedded } from "../../help/engines.ts"
import { DAY_MS, json, openFilledStore } from "../../help/filled-store.ts"
import { letGo } from "../../help/letting-go.ts"

test("pages that nothing uses any more go back to the disk, little by little", async t => {
  const filled = await openFilledStore(t)
  const payload = json(JSON.stringify("x".repeat(200_000)))
  for (let i = 0; i < 600; i++) await filled.accept({ payload })
  const { connection } = embedded(filled.store).sqlite
  const pages = () => Number(connection.prepare("pragma page_count").get()?.["page_count"])
  const full = pages()
  filled.now += 8 * DAY_MS
  const gone = await letGo(filled)
  assert.equal(gone["payload"], 600)
  assert.ok((gone["page_returned"] ?? 0) > 5_000, `${gone["page_returned"]} pages`)
  assert.ok(pages() <= full - (gone["page_returned"] ?? 0))
})
