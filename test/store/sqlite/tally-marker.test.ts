import assert from "node:assert/strict"
import { test } from "node:test"
import { nextUntallied, talliedUpTo } from "../../../src/store/arrival-tallies.ts"
import { raw, sql } from "../../../src/store/database.ts"
import { openFilledStore } from "../../help/filled-store.ts"

test("a database whose events were counted as they came in has all of them behind the marker", async t => {
  const filled = await openFilledStore(t)
  await filled.query(sql`insert into project (id, name, created_at) values (1001, 'other', 0)`)
  await filled.accept()
  const last = await filled.accept({ project: 1_001 })
  // As the schema was before.
  await filled.query(raw("drop table tally_marker"))
  await filled.query(raw("pragma user_version = 6"))
  await filled.restart()
  assert.equal(await talliedUpTo(filled.store.reads), last.id)
  assert.equal(await nextUntallied(filled.store.reads, Number.MAX_SAFE_INTEGER), null)
})
