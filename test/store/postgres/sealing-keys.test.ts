/** Several processes over one database change their sealing key one after the other, and none is left that lacks one. */
import assert from "node:assert/strict"
import test, { type TestContext } from "node:test"
import { pino } from "pino"
import { Gauge } from "prom-client"
import { Resealer } from "../../../src/engine/resealer.ts"
import { sql } from "../../../src/store/database.ts"
import { readKeysInUse } from "../../../src/store/keys-in-use.ts"
import { retireOlder, sealingWithOthers } from "../../../src/store/postgres-keys.ts"
import { openPostgres, type PostgresStore } from "../../../src/store/postgres-store.ts"
import { resealAll } from "../../../src/store/reseal.ts"
import { sealingKeyId } from "../../../src/store/seal.ts"
import { runCli } from "../../help/cli.ts"
import { dropDatabase, testDatabase, withClient } from "../../help/postgres.ts"
import { until } from "../../help/system-ledger.ts"
import { temporaryFolder } from "../../help/waybill.ts"

const [old, made, strange] = [1, 2, 3].map(byte => new Uint8Array(32).fill(byte)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
]
const [OLD, MADE] = [sealingKeyId(old), sealingKeyId(made)]
const textOf = (...keys: readonly Uint8Array[]) => keys.map(key => Buffer.from(key).toString("base64")).join(",")

/** A database, and how a process is opened on it. */
async function newDatabase(t: TestContext) {
  const url = await testDatabase()
  const dataDir = temporaryFolder(t)
  const stores = new Set<PostgresStore>()
  t.after(async () => {
    await Promise.all([...stores].map(store => store.close()))
    await dropDatabase(url)
  })
  return {
    url,
    open: async (...sealingKeys: readonly Uint8Array[]): Promise<PostgresStore> => {
      const store = await openPostgres({ url, name: "test", dataDir, sealingKeys, allowUnsafe: true })
      stores.add(store)
      return store
    },
    close: async (store: PostgresStore): Promise<void> => {
      stores.delete(store)
      await store.close()
    },
  }
}

/** All that could have changed. */
function everythingIn(url: string): Promise<unknown> {
  return withClient(url, async client => [
    (await client.query("select * from meta order by key")).rows,
    (await client.query("select * from own_secret")).rows,
    (await client.query("select id, name, sealing_keys from node order by id")).rows,
  ])
}

test("a key is changed process by process: first all have it, then all seal with it, then the old one goes", async t => {
  const { url, open, close } = await newDatabase(t)
  let [one, two] = [await open(old), await open(old)]
  const hash = one.seal.keyedHash("text")
  assert.equal(two.seal.keyedHash("text"), hash)
  const untouched = await everythingIn(url)
  await assert.rejects(
    open(made, old),
    /The first sealing key \(\S{8}\) is new, .* could not be opened by test \w+, test \w+\. Give it to every process first/,
  )
  await assert.rejects(open(strange), /The secrets in the database waybill_?\S* at \S+ were sealed with another key/)
  assert.deepEqual(await everythingIn(url), untouched)

  await close(one)
  one = await open(old, made)
  await assert.rejects(open(made, old), /could not be opened by test/, "the other lacks it still")
  await close(two)
  two = await open(old, made)
  assert.deepEqual(await readKeysInUse(one.db), [OLD])

  await close(one)
  one = await open(made, old)
  assert.deepEqual(await readKeysInUse(one.db), [MADE, OLD])
  await assert.rejects(open(old), /Some secrets in .* are sealed with the key/)
  await assert.rejects(open(made), /Some secrets in .* are sealed with the key/)
  assert.equal(one.seal.open("t/1", two.seal.seal("t/1", "of two")), "of two")
  assert.equal(two.seal.open("t/1", one.seal.seal("t/1", "of one")), "of one")

  assert.equal((await sealingWithOthers(one.db, MADE)).length, 1)
  await retireOlder(one.db, MADE)
  assert.deepEqual(await readKeysInUse(one.db), [MADE, OLD], "the other may seal with it at any moment")
  const env = { WAYBILL_SECRET_KEY: textOf(made, old) }
  const early = await runCli(["secrets", "rotate", "--database-url", url], { env })
  assert.equal(early.code, 1)
  assert.match(early.stderr, /sealed with the key \S{8} now, but test \w+ still seals with another/)

  await close(two)
  two = await open(made, old)
  const rotated = await runCli(["secrets", "rotate", "--database-url", url, "--json"], { env })
  assert.equal(rotated.code, 0, rotated.stderr)
  assert.deepEqual(await readKeysInUse(one.db), [MADE])
  assert.equal((await runCli(["secrets", "status", "--check", "--database-url", url])).code, 0)
  await close(one)
  one = await open(made)
  assert.equal(one.seal.keyedHash("text"), hash, "hashes that are kept go on meaning the same")
  await assert.rejects(open(old), /were sealed with another key/)
})

test("a process seals everything anew by itself once all seal with the new key, and not before", async t => {
  const { open, close } = await newDatabase(t)
  let [one, two] = [await open(old, made), await open(old, made)]
  await close(one)
  one = await open(made, old)
  const rewrapPending = new Gauge({ name: "pending", help: "-", registers: [] })
  const pendingIn = async () => (await rewrapPending.get()).values[0]?.value
  const resealer = () =>
    new Resealer({
      store: one,
      hasKeyFile: false,
      dataDir: "none",
      metrics: { rewrapPending },
      log: pino({ level: "silent" }),
    })
  const early = resealer()
  early.start()
  await until("it has looked", 10_000, async () => (await pendingIn()) === 1)
  await early.stop()
  assert.deepEqual(await readKeysInUse(one.db), [MADE, OLD])
  await close(two)
  two = await open(made, old)
  const late = resealer()
  late.start()
  await until("the old key is let go", 10_000, async () => (await readKeysInUse(two.db)).length === 1)
  await late.stop()
  assert.equal(await pendingIn(), 0)
})

test("of two that start at once, one with a new key and one that lacks it, not both stay", async t => {
  for (let i = 0; i < 3; i++) {
    const { open, close } = await newDatabase(t)
    await close(await open(old))
    const outcomes = await Promise.allSettled([open(made, old), open(old)])
    assert.notDeepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "fulfilled"],
    )
  }
})

test("a process that was away while the key changed does not come back without it", async t => {
  const { open } = await newDatabase(t)
  const away = await open(old)
  await away.db.query(sql`update node set expires_at = clock_timestamp() - interval '1 second'`)
  const store = await open(made, old)
  assert.equal(await away.lanes.tenure.renew(), false)
  await assert.rejects(away.lanes.tenure.begin(), /Some secrets in the database are sealed with the key/)
  assert.deepEqual(await sealingWithOthers(store.db, MADE), [])
  for await (const page of resealAll({
    reads: store.reads,
    seal: store.seal,
    inTransaction: work => store.ledger.inNextCommit(() => work()),
  })) {
    assert.equal(page.damaged, 0)
  }
})
