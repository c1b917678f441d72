/** A mail that waits is sent by one of several processes, and by none that only finds it begun. */
import assert from "node:assert/strict"
import test from "node:test"
import { sql } from "../../../src/store/database.ts"
import { beginMail, dueMails, endMail, endUnknownMails, putOffMail } from "../../../src/store/mails.ts"
import { openPostgres } from "../../../src/store/postgres-store.ts"
import { dropDatabase, testDatabase } from "../../help/postgres.ts"
import { temporaryFolder } from "../../help/waybill.ts"

test("of two processes one begins a mail, and only that one can put it off or end it", async t => {
  const url = await testDatabase()
  const dataDir = temporaryFolder(t)
  const open = () => openPostgres({ url, name: "test", dataDir, sealingKeys: undefined, allowUnsafe: true })
  const [one, other] = [await open(), await open()]
  t.after(async () => {
    await one.close()
    await other.close()
    await dropDatabase(url)
  })
  await one.ledger.inNextCommit(commit =>
    commit.tell({
      mails: [
        { key: "mail:a", project: 1, content: "{}" },
        { key: "mail:b", project: 1, content: "{}" },
      ],
    }),
  )
  const due = async () => (await dueMails(one.db, one.now() + 1_000, 10)).map(({ key }) => key)
  const [a, b] = await dueMails(one.db, one.now() + 1_000, 10)
  const [first, second] = [a?.id ?? 0, b?.id ?? 0]
  const ours = { id: first, fence: one.fence }
  const theirs = { id: first, fence: other.fence }

  assert.deepEqual([await beginMail(one.db, ours, 0), await beginMail(other.db, theirs, 0)], [true, false])
  await putOffMail(other.db, theirs, { dueAt: 0, refusals: 1, at: 0 })
  await endMail(other.db, theirs, "Not theirs.", 0)
  assert.deepEqual(await due(), ["mail:b"], "it is begun still")
  assert.deepEqual(await endUnknownMails(other, "gone", 0), [], "its process is alive")

  await putOffMail(one.db, ours, { dueAt: 0, refusals: 1, at: 0 })
  assert.deepEqual((await due()).toSorted(), ["mail:a", "mail:b"])
  await beginMail(one.db, { id: second, fence: one.fence }, 0)
  await one.db.query(sql`update node set expires_at = clock_timestamp() - interval '1 second' where id = ${one.fence}`)
  assert.deepEqual(await endUnknownMails(other, "gone", 0), ["mail:b"], "nobody knows whether it was taken")
  assert.deepEqual(await due(), ["mail:a"])
})
