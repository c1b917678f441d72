/** The places of processes after a failover. */
import assert from "node:assert/strict"
import test from "node:test"
import { sql } from "../../../src/store/database.ts"
import { openPostgres } from "../../../src/store/postgres-store.ts"
import { Tenure } from "../../../src/store/postgres-tenure.ts"
import { dropDatabase, testDatabase } from "../../help/postgres.ts"
import { temporaryFolder } from "../../help/waybill.ts"

test("two processes that were given one number, by a standby that had not seen the first, do not both keep it", async t => {
  const url = await testDatabase()
  const store = await openPostgres({
    ...{ url, name: "test", dataDir: temporaryFolder(t), sealingKeys: undefined, allowUnsafe: true },
  })
  t.after(async () => {
    await store.close()
    await dropDatabase(url)
  })
  const { db } = store
  const tenureOf = (name: string) =>
    new Tenure({ db, name, monotonicNow: () => performance.now(), sealingKeys: [], admit: async () => undefined })
  const [first, second] = [tenureOf("first"), tenureOf("second")]
  await first.begin()
  await db.query(sql`delete from node where id = ${first.number}`)
  await db.query(sql`select setval('node_id', ${first.number - 1})`)
  await second.begin()
  assert.equal(second.number, first.number)
  assert.equal(await first.renew(), false)
  await first.begin()
  assert.ok(first.number > second.number)
  assert.deepEqual([await first.renew(), await second.renew()], [true, true])
})
