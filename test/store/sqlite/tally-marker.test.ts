import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import { nextUntallied, talliedUpTo } from "../../../src/store/arrival-tallies.ts"
import { raw, sql } from "../../../src/store/database.ts"
import { openFilledStore } from "../../help/filled-store.ts"

const migration = "src/store/migrations/007_tally_marker.sql"

test("a database whose events were counted as they came in has all of them behind the marker", async t => {
  const filled = await openFilledStore(t)
  await filled.query(sql`insert into project (id, name, created_at) values (1001, 'other', 0)`)
  await filled.accept()
  const last = await filled.accept({ project: 1_001 })
  // As the schema was before, and what brings it to where it is.
  await filled.query(raw("drop table tally_marker"))
  for (const statement of withoutComments(readFileSync(migration, "utf8")).split(";").slice(0, -1)) {
    await filled.query(raw(statement))
  }
  assert.equal(await talliedUpTo(filled.store.reads), last.id)
  assert.equal(await nextUntallied(filled.store.reads, Number.MAX_SAFE_INTEGER), null)
})

function withoutComments(text: string): string {
  return text.replaceAll(/^--.*$/gm, "")
}
