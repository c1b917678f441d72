/** Reads in a thread of their own: a query that is too much for it costs nobody else's. */
import assert from "node:assert/strict"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { test } from "node:test"
import { sql } from "../../../src/store/database.ts"
import { ReaderThread } from "../../../src/store/reader.ts"
import { temporaryFolder } from "../../help/waybill.ts"

test("an answer that is larger than the thread's memory fails alone: those asked for with it and after it come", async t => {
  const path = join(temporaryFolder(t), "some.db")
  const file = new DatabaseSync(path)
  file.exec("create table one (n integer)")
  file.close()
  const reader = new ReaderThread(path)
  t.after(() => reader.close())
  const huge = reader.query(sql`
    with recursive n (i) as (select 1 union all select i + 1 from n where i < 400)
    select i, replace(hex(zeroblob(500000)), '0', 'x') || i as text from n`)
  const [large, beside] = await Promise.allSettled([huge, reader.query<{ n: number }>(sql`select 2 as n`)])
  assert.equal(large.status, "rejected")
  assert.deepEqual(beside, { status: "fulfilled", value: [{ n: 2 }] })
  assert.deepEqual(await reader.query(sql`select 3 as n`), [{ n: 3 }])
})
