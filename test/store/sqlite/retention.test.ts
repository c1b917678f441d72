/** Retention of the embedded engine in what is its own way: row by row in pieces, and segments of the search index. */
import assert from "node:assert/strict"
import test from "node:test"
import { sql } from "../../../src/store/database.ts"
import { DAY_MS, openFilledStore } from "../../help/filled-store.ts"
import { countOf, letGo, makeIntegrations } from "../../help/letting-go.ts"

test("a search segment goes with the last event that it names, and never the one that is being written to", async t => {
  const filled = await openFilledStore(t)
  await filled.accept({ profileId: "anna" })
  await filled.writeIndex()
  // As if the first segment had been full.
  await filled.query(sql`update search_segment set entries = 50000`)
  await filled.restart()
  filled.now += DAY_MS
  await filled.accept({ profileId: "berta" })
  await filled.writeIndex()
  assert.equal(await countOf(filled, "search_segment"), 2)
  filled.now += 29 * DAY_MS
  assert.deepEqual(await letGo(filled), { payload: 2, part: 2, event: 1, search_entry: 1 })
  assert.equal(await countOf(filled, "search_segment"), 1)
  filled.now += 30 * DAY_MS
  assert.deepEqual(await letGo(filled), { event: 1 })
  assert.deepEqual(
    [await countOf(filled, "search_segment"), await countOf(filled, "search_entry", "value = 'berta'")],
    [1, 1],
  )
})

test("no piece takes more than about 500 rows of what is scattered", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  await Promise.all(Array.from({ length: 3_000 }, () => filled.accept({ targets: filled.integrations })))
  filled.now += 31 * DAY_MS
  const before = async () => (await countOf(filled, "delivery")) + (await countOf(filled, "event"))
  let [left, most] = [await before(), 0]
  await letGo(filled, async () => {
    const now = await before()
    most = Math.max(most, left - now)
    left = now
    return false
  })
  assert.equal(left, 0)
  assert.ok(most > 300 && most <= 1_000, `a piece took ${most} rows`)
})
