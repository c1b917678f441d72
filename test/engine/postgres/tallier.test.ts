/** Two processes that both believe that they lead, and connections that break meanwhile: each event is tallied once. */
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import test from "node:test"
import { setTimeout as rest } from "node:timers/promises"
import { Tallier } from "../../../src/engine/tallier.ts"
import { openLog } from "../../../src/log.ts"
import { raw, sql } from "../../../src/store/database.ts"
import type { Arrival } from "../../../src/store/ledger.ts"
import { openPostgres, type PostgresStore } from "../../../src/store/postgres-store.ts"
import { freshProject, saveProject } from "../../../src/store/projects.ts"
import { dropDatabase, testDatabase, withClient } from "../../help/postgres.ts"
import { until } from "../../help/system-ledger.ts"
import { isTalliedText, wrongArrivals } from "../../help/tallies.ts"

const project = 1
const log = openLog("silent")
const LIMIT_MS = 20_000

test("two that tally at once, and connections that break in the middle of it, count each event once", async t => {
  const url = await testDatabase()
  const dataDir = mkdtempSync(join(tmpdir(), "waybill-store-"))
  const stores: PostgresStore[] = []
  t.after(async () => {
    for (const store of stores) await store.close()
    await dropDatabase(url)
    rmSync(dataDir, { recursive: true, force: true })
  })
  for (const name of ["one", "two"]) {
    stores.push(await openPostgres({ url, name, dataDir, sealingKeys: undefined, allowUnsafe: true }))
  }
  const [first] = stores
  assert.ok(first)
  // Nobody renews their leases here.
  await first.db.query(sql`update node set expires_at = 'infinity'`)
  await saveProject(first.db, { ...freshProject, id: project, name: "one", createdAt: 0 })
  // Who leads is asked by the number.
  const talliers = stores.map(store => new Tallier({ store: { ...store, fence: first.fence }, log }))
  for (const tallier of talliers) tallier.start()

  let [isOver, sent] = [false, 0]
  const send = async (store: PostgresStore) => {
    while (!isOver) {
      const some = Array.from({ length: 20 }, (_, i) => arrival(store.now(), i))
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
  const url = await testDatabase()
  const dataDir = mkdtempSync(join(tmpdir(), "waybill-store-"))
  const store = await openPostgres({ url, name: "one", dataDir, sealingKeys: undefined, allowUnsafe: true })
  t.after(async () => {
    await store.close()
    await dropDatabase(url)
    rmSync(dataDir, { recursive: true, force: true })
  })
  await store.db.query(sql`update node set expires_at = 'infinity'`)
  await saveProject(store.db, { ...freshProject, id: project, name: "one", createdAt: 0 })
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
  await store.ledger.accept([arrival(store.now(), 0)])
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

const arrival = (receivedAt: number, i: number): Arrival => ({
  project,
  key: null,
  draft: {
    type: i % 2 === 0 ? "order_paid" : "user_left",
    payload: { kind: "json", text: "{}" },
    externalId: null,
    source: "api",
    occurredAt: null,
    environment: "production",
    app: null,
    profileId: null,
    deviceId: null,
    sourceRecord: null,
    orderingKey: null,
    historical: false,
    cloud: null,
  },
  fingerprint: null,
  idempotencyKey: null,
  appId: null,
  receivedAt,
  test: false,
  payloadDays: 7,
  targets: [],
  withheld: { type_disabled: [11, 12, 13], filtered: [14 + (i % 3)] },
  red: 0,
})
