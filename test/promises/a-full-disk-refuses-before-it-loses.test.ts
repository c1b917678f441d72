/**
 * The disk of the data folder becomes full while events come in. Each of them is either answered with 202 and kept, or
 * refused with 503 and not kept; what was accepted goes on being delivered, what is stored can be read, and as soon as
 * there is room again events are taken in, without anybody doing anything.
 */
import assert from "node:assert/strict"
import { mkdirSync } from "node:fs"
import test from "node:test"
import { fillableDisk } from "../help/fillable-disk.ts"
import { faultsOf, settleAccounts } from "../help/ledgers.ts"
import { type Producer, startProducer } from "../help/producer.ts"
import { startReceiver } from "../help/receiver.ts"
import { readSystem, until } from "../help/system-ledger.ts"
import { call, createWebhook, newSecret, startWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

test("on a full disk events are refused with 503 and none is lost; with room again they are taken in by themselves", {
  timeout: 120_000,
}, async t => {
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/disk`
  mkdirSync(dataDir)
  const disk = fillableDisk(dataDir)
  if (disk === undefined) {
    t.diagnostic("NOT tried here: this takes Linux with `unshare` or `prlimit`, to make a disk that can be filled")
    return
  }
  const secret = newSecret()
  const manners = { "/one": { delayMs: [10, 100] } as const }
  const receiver = await startReceiver(t, { folder, name: "one", secret, seed: 1, manners })
  const waybill = await startWaybill(t, { dataDir, through: disk.through })
  const id = await createWebhook(waybill, {
    name: "one",
    url: receiver.url("/one"),
    secret,
    policy: { max_concurrent: 50 },
  })
  const producer = await startProducer(t, {
    folder,
    name: "one",
    url: waybill.url,
    key: testKey,
    seed: 1,
    types: ["order.paid"],
    concurrency: 32,
    padBytes: 8_000,
    perSecond: 1_000,
  })
  await producer.acknowledged(200)
  disk.fill(waybill.pid)
  await until("events are refused", 60_000, async () => (await producer.progress()).failed > 200)
  const full = await producer.progress()
  const { data } = (await call(waybill, "GET", "/v1/events?limit=5")) as { data: unknown[] }
  assert.equal(data.length, 5, "what is stored can be read")
  if (disk.hasReserve) await receiver.received("/one", full.acknowledged)
  await refusesOnly(producer)

  disk.free(waybill.pid)
  const from = performance.now()
  const { acknowledged } = await producer.progress()
  await producer.acknowledged(acknowledged + 500)
  const resumedMs = performance.now() - from
  await producer.stop()
  const isQuiet = async () => ((await call(waybill, "GET", "/v1/status")) as { in_flight: number }).in_flight === 0
  await receiver.received("/one", acceptedBy(producer))
  await until("nothing is under way", 10_000, isQuiet)
  disk.copyOut(waybill.pid, folder)
  waybill.kill("SIGTERM")
  assert.deepEqual(await waybill.stopped, { code: 0, signal: null })
  await receiver.stop()

  const entries = producer.entries()
  const statuses = new Set(entries.flatMap(entry => (entry.kind === "invoke" ? [] : [entry.status])))
  const destinations = [{ id, name: "one", receipts: receiver.receipts() }]
  const account = settleAccounts({ producer: entries, destinations, system: readSystem(folder), kills: [] })
  t.diagnostic(
    `${disk.kind}; full after ${full.acknowledged} events; 500 more within ${Math.round(resumedMs)} ms of room`,
  )
  assert.deepEqual(faultsOf(account), [])
  assert.deepEqual(statuses, new Set([202, 503]), "an event is taken or refused, never anything else")
  assert.equal(account.delivered, account.accepted)
  assert.equal(account.duplicates, 0)
})

/** How many events were answered with 202, by its ledger. */
function acceptedBy(producer: Producer): number {
  return new Set(producer.entries().flatMap(entry => (entry.kind === "ok" ? [entry.id] : []))).size
}

/** While the disk is full, answers come, and none of them is a 202. */
async function refusesOnly(producer: Producer): Promise<void> {
  const before = await producer.progress()
  await until("answers go on", 20_000, async () => (await producer.progress()).failed > before.failed + 500)
  const after = await producer.progress()
  assert.equal(after.acknowledged, before.acknowledged)
}
