/** A transaction that somebody forgot is told to the operator before it is felt (F-20). */
import assert from "node:assert/strict"
import test, { type TestContext } from "node:test"
import pg from "pg"
import { Keeper } from "../../../src/engine/keeper.ts"
import { Metrics } from "../../../src/engine/metrics.ts"
import { openLog } from "../../../src/log.ts"
import { openPostgres } from "../../../src/store/postgres-store.ts"
import { startPostgres } from "../../help/postgres.ts"
import { until } from "../../help/system-ledger.ts"
import { temporaryFolder } from "../../help/waybill.ts"

test("a transaction that is open for too long is named, with what ends it, until it is over", async t => {
  const { keeperWith, connect, age } = await open(t)
  const [patient, strict] = [keeperWith(60_000), keeperWith(1)]
  await strict.runOnce()
  assert.deepEqual([strict.transactionFault(), await age()], [null, 0])
  const report = await connect("report")
  await report.query("begin isolation level repeatable read")
  const { rows } = await report.query<{ pid: number }>("select pg_backend_pid() as pid, pg_sleep(0.01)")
  await strict.runOnce()
  await patient.runOnce()
  const [first] = rows
  const said =
    /^A transaction of report \(process (\d+)\) has been open on PostgreSQL for \d+ ms: .* select pg_terminate_backend\((\d+)\)\.$/.exec(
      strict.transactionFault() ?? "",
    )
  assert.deepEqual(said?.slice(1).map(Number), [first?.pid, first?.pid], strict.transactionFault() ?? "nothing")
  assert.equal(patient.transactionFault(), null)
  assert.ok(((await age()) ?? 0) >= 0.01)
  await report.query("commit")
  await strict.runOnce()
  assert.deepEqual([strict.transactionFault(), await age()], [null, 0])

  await report.query("begin; create table notes (); prepare transaction 'the year''s end'; select pg_sleep(0.01)")
  await strict.runOnce()
  assert.match(
    strict.transactionFault() ?? "",
    /^The transaction the year's end, which was prepared, waits .* rollback prepared 'the year''s end'\.$/,
  )
  await report.query("rollback prepared 'the year''s end'")
  await strict.runOnce()
  assert.equal(strict.transactionFault(), null)
})

test("a vacuum that takes long is not told to be ended: it cleans up, and keeps nobody from it", async t => {
  const { keeperWith, connect } = await open(t)
  const strict = keeperWith(1)
  const operator = await connect("operator")
  await operator.query("create table notes as select n from generate_series(1, 100000) n; delete from notes")
  await operator.query("set vacuum_cost_delay = 100; set vacuum_cost_limit = 1")
  // Heard from the beginning: it may end before the answer to who ends it has come.
  const ended = assert.rejects(operator.query("vacuum notes"), /canceling statement/)
  const [watching, found] = [
    await connect("watching"),
    "select 1 from pg_stat_progress_vacuum where heap_blks_scanned > 0",
  ]
  await until("it is under way", 10_000, async () => ((await watching.query(found)).rowCount ?? 0) > 0)
  await strict.runOnce()
  assert.equal(strict.transactionFault(), null)
  await watching.query("select pg_cancel_backend(pid) from pg_stat_progress_vacuum")
  await ended
})

async function open(t: TestContext) {
  const server = await startPostgres({ settings: ["max_prepared_transactions=1"] })
  const url = await server.database()
  const dataDir = temporaryFolder(t)
  const store = await openPostgres({ url, name: "test", dataDir, sealingKeys: undefined, allowUnsafe: true })
  const clients: pg.Client[] = []
  t.after(async () => {
    for (const client of clients) await client.end()
    await store.close()
    await server.stop()
  })
  const metrics = new Metrics("0", "0")
  return {
    keeperWith: (longTransactionMs: number) =>
      new Keeper({ store, metrics, now: store.now, log: openLog("silent"), longTransactionMs }),
    connect: async (name: string) => {
      const client = new pg.Client({ connectionString: url, application_name: name })
      await client.connect()
      clients.push(client)
      return client
    },
    age: async () => (await metrics.oldestTransaction.get()).values[0]?.value,
  }
}
