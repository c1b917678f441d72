/** Two processes that both believe that they lead, and connections that break meanwhile: each event is tallied once. */
import assert from "node:assert/strict"
import test from "node:test"
import { setTimeout as rest } from "node:timers/promises"
import { Tallier } from "../../../src/engine/tallier.ts"
import { openLog } from "../../../src/log.ts"
import { raw, sql } from "../../../src/store/database.ts"
import type { Arrival } from "../../../src/store/ledger.ts"
import type { PostgresStore } from "../../../src/store/postgres-store.ts"
import { keepApart, withClient } from "../../help/postgres.ts"
import { arrival, openSeveral, project } from "../../help/several-stores.ts"
import { until } from "../../help/system-ledger.ts"
import { isTalliedText, wrongArrivals } from "../../help/tallies.ts"

// A transaction stays open here for seconds: that would hold others up.
keepApart()

const log = openLog("silent")
const LIMIT_MS = 20_000

test("two that tally at once, and connections that break in the middle of it, count each event once", async t => {
  const { url, stores } = await openSeveral(t, 0, 0)
  const [first] = stores
  assert.ok(first)
  // Nobody renews their leases here.
  await first.db.query(sql`update node set expires_at = 'infinity'`)
  // Who leads is asked by the number.
  const talliers = stores.map(store => new Tallier({ store: { ...store, fence: first.fence }, log }))
  for (const tallier of talliers) tallier.start()

  let [isOver, sent] = [false, 0]
  const send = async (store: PostgresStore) => {
    while (!isOver) {
      const some = Array.from({ length: 20 }, (_, i) => mixed(store.now(), i))
      // Where the connection breaks it is not known whether they were stored: the rows say.
      await store.ledger.accept(some).then(
        () => (sent += some.length),
        () => rest(20),
      )
    }
  }
  const sending = stores.map(send)
  for (let round = 0; round < 12; round++) {
    await rest(250 + 31 * round)
    await withClient(url, client =>
      client.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'waybill engine' and datname = current_database()",
      ),
    )
  }
  isOver = true
  await Promise.all(sending)
  const query = <Row extends object>(text: string) =>
    withClient(url, async client => (await client.query(text)).rows as Row[])
  await until(
    "all is tallied",
    LIMIT_MS,
    async () => (await query<{ tallied: boolean }>(isTalliedText))[0]?.tallied === true,
  )
  for (const tallier of talliers) await tallier.stop()
  assert.ok(sent > 1_000, `${sent} events`)
  assert.deepEqual(await wrongArrivals(query, "true"), {})
})

test("an event that a slow commit brings late is tallied as well", async t => {
  const { stores } = await openSeveral(t, 0)
  const [store] = stores
  assert.ok(store)
  await store.db.query(sql`update node set expires_at = 'infinity'`)
  const tallier = new Tallier({ store, log })
  // Its id is drawn before the others', and it becomes visible after them.
  let release = () => {}
  const held = new Promise<void>(resolve => {
    release = resolve
  })
  const slow = store.db.transaction(async tx => {
    const id = store.ids.next()
    await tx.query(sql`select begin_1(${id})`)
    await tx.query(sql`
      insert into event (project_id, id, type, source, environment, occurred_at, received_at, payload_part, payload_bytes,
        payload_expires_at)
      values (${project}, ${id}, 'slow', 'api', 'production', 0, 0, 0, 0, 0)`)
    await held
  })
  await store.ledger.accept([mixed(store.now(), 0)])
  tallier.start()
  await rest(2_500)
  const [early] = await store.db.query<{ n: number }>(raw("select count(*) as n from ingest_tally"))
  assert.equal(early?.n, 0, "what could still be overtaken is not tallied")
  release()
  await slow
  await until("all is tallied", LIMIT_MS, async () => {
    const [found] = await store.db.query<{ tallied: number }>(raw(isTalliedText))
    return found?.tallied === 1
  })
  await tallier.stop()
  assert.deepEqual(await wrongArrivals(text => store.db.query(raw(text)), "true"), {})
})

/** Events of two types, withheld from some and from others. */
function mixed(receivedAt: number, i: number): Arrival {
  return arrival(receivedAt, {
    type: i % 2 === 0 ? "order_paid" : "user_left",
    withheld: { type_disabled: [11, 12, 13], filtered: [14 + (i % 3)] },
  })
}
