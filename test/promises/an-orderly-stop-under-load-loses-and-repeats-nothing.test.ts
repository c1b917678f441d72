/**
 * What an operator does at every update: SIGTERM while events come in and deliveries are under way. What is under way
 * ends and is noted, what waits stays, and the next start goes on with it: nothing is lost, and nothing sent twice.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { faultsOf, settleAccounts } from "../help/ledgers.ts"
import { startProducer } from "../help/producer.ts"
import { type Receiver, startReceiver } from "../help/receiver.ts"
import { countClaims, drained, readSystem } from "../help/system-ledger.ts"
import { createWebhook, newSecret, stablePort, startWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

const STOPS = 3
const EVENTS_BETWEEN = 1_000
/** Of the slow receiver: within the 10 s that a stop gives to what is under way. */
const SLOWEST_MS = 1_500
const STOP_LIMIT_MS = 12_000

test("an orderly stop under load loses nothing, repeats nothing and ends with 0", { timeout: 120_000 }, async t => {
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const secret = newSecret()
  const port = await stablePort()
  let waybill = await startWaybill(t, { dataDir, port })
  const start = async (name: string, delayMs: readonly [number, number], concurrent: number) => {
    const receiver = await startReceiver(t, { folder, name, secret, seed: 1, manners: { [`/${name}`]: { delayMs } } })
    const policy = { max_concurrent: concurrent }
    return { name, receiver, id: await createWebhook(waybill, { name, url: receiver.url(`/${name}`), secret, policy }) }
  }
  const destinations: readonly { name: string; receiver: Receiver; id: string }[] = [
    await start("quick", [0, 5], 50),
    await start("slow", [200, SLOWEST_MS], 1_000),
  ]
  const producer = await startProducer(t, {
    folder,
    name: "stops",
    url: waybill.url,
    key: testKey,
    seed: 1,
    types: ["order.paid"],
    concurrency: 64,
    perSecond: 600,
  })

  const stops: string[] = []
  for (let i = 1; i <= STOPS; i++) {
    await producer.acknowledged(i * EVENTS_BETWEEN)
    const [{ inFlight }, claims] = [await producer.progress(), countClaims(dataDir)]
    const from = performance.now()
    waybill.kill("SIGTERM")
    assert.deepEqual(await waybill.stopped, { code: 0, signal: null })
    const tookMs = performance.now() - from
    assert.ok(tookMs < STOP_LIMIT_MS, `the stop took ${tookMs} ms`)
    assert.equal(countClaims(dataDir), 0, "nothing is left in the middle")
    stops.push(`${inFlight}+${claims} in ${(tookMs / 1_000).toFixed(1)} s`)
    waybill = await startWaybill(t, { dataDir, port })
  }
  await producer.stop()
  await drained(dataDir, 60_000)
  waybill.kill("SIGTERM")
  await waybill.stopped
  await Promise.all(destinations.map(({ receiver }) => receiver.stop()))

  const account = settleAccounts({
    producer: producer.entries(),
    destinations: destinations.map(({ id, name, receiver }) => ({ id, name, receipts: receiver.receipts() })),
    system: readSystem(dataDir),
    kills: [],
  })
  t.diagnostic(`${account.accepted} events; under way at the stops (ingest + deliveries): ${stops.join(", ")}`)
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.delivered, account.accepted)
  assert.equal(account.recovered, 0, "whatever was stored was answered")
  assert.equal(account.interrupted, 0, "what was under way was brought to its end")
  assert.equal(account.duplicates, 0)
})
