/**
 * An endpoint that answers half of its requests with 500, and then all is well again: protection neither stays open for good
 * nor lets everything through; what it holds back is counted, and in the end every event has arrived.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { accountLine, faultsOf, settleAccounts } from "../help/ledgers.ts"
import { startProducer } from "../help/producer.ts"
import { startReceiver } from "../help/receiver.ts"
import { drained, queryDatabase, readSystem } from "../help/system-ledger.ts"
import { call, createWebhook, newSecret, startWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

const RATE = 60
const FLAPPING_MS = 10_000
const protection = { enabled: true, window_ms: 5_000, min_attempts: 10, rest_ms: 400, longest_rest_ms: 1_600 }

test("an endpoint that fails half of the time is left alone now and then, and gets everything in the end", {
  timeout: 150_000,
}, async t => {
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const secret = newSecret()
  const waybill = await startWaybill(t, { dataDir })
  const flapping = { failing: { share: 0.6, status: 500 } }
  const receiver = await startReceiver(t, { folder, name: "flapping", secret, seed: 1, manners: { "/hook": flapping } })
  const policy = { protection, retry_delays_ms: Array<number>(50).fill(300), max_concurrent: 20 }
  const id = await createWebhook(waybill, { name: "flapping", url: receiver.url("/hook"), secret, policy })
  const producer = await startProducer(t, {
    folder,
    name: "steady",
    url: waybill.url,
    key: testKey,
    seed: 1,
    types: ["order.paid"],
    concurrency: 8,
    perSecond: RATE,
  })
  const states = new Set<string>()
  const until = Date.now() + FLAPPING_MS
  while (Date.now() < until) {
    const { protection: shown } = (await call(waybill, "GET", `/v1/integrations/${id}`)) as {
      protection: { origins?: readonly { state: string }[] }
    }
    for (const { state } of shown.origins ?? []) states.add(state)
    await wait(50)
  }
  await receiver.behave("/hook", {})
  await producer.stop()
  await drained(dataDir, 60_000)
  waybill.kill("SIGTERM")
  await waybill.stopped
  await receiver.stop()

  const account = settleAccounts({
    producer: producer.entries(),
    destinations: [{ id, name: "flapping", receipts: receiver.receipts() }],
    system: readSystem(dataDir),
    kills: [],
  })
  const [{ skips = 0 } = {}] = queryDatabase<{ skips: number }>(
    dataDir,
    "select coalesce(sum(count), 0) as skips from delivery_tally where outcome = 'skipped'",
  )
  const requests = receiver.receipts().length
  t.diagnostic(accountLine(account, 0))
  t.diagnostic(`${requests} requests, ${skips} skips; it was ${[...states].join(", ")}`)
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.delivered, account.accepted)
  assert.ok(states.has("open") && (states.has("closed") || states.has("easing")), [...states].join())
  assert.ok(skips > 0, "what was held back is counted")
  // Without protection each event takes two and a half requests on average while six of ten fail.
  assert.ok(requests < account.accepted * 2.5, `${requests} requests for ${account.accepted} events`)
})
