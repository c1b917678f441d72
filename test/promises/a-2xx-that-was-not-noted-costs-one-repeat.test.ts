/**
 * The one moment at which a repeat cannot be avoided: the receiver has said 2xx, and the program is killed before it
 * could note that. The receiver itself sends the signal, the moment that its answer is on its way.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { faultsOf, settleAccounts } from "../help/ledgers.ts"
import { type ProducerEntry, sendNoted } from "../help/producer.ts"
import { startReceiver } from "../help/receiver.ts"
import { countClaims, drained, readSystem } from "../help/system-ledger.ts"
import { createWebhook, newSecret, startWaybill, temporaryFolder } from "../help/waybill.ts"

const ROUNDS = 6

test("a delivery whose 2xx was not noted before a kill goes out once more, with the same id and the same bytes", {
  timeout: 120_000,
}, async t => {
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const secret = newSecret()
  const receiver = await startReceiver(t, { folder, name: "one", secret, seed: 1, manners: {} })
  let waybill = await startWaybill(t, { dataDir })
  const id = await createWebhook(waybill, { name: "one", url: receiver.url("/one"), secret })
  const entries: ProducerEntry[] = []
  const kills: number[] = []
  let hits = 0
  for (let round = 1; round <= ROUNDS; round++) {
    await receiver.behave("/one", { killsAfterReply: waybill.pid })
    await sendNoted(waybill, entries, `round-${round}`)
    assert.equal((await waybill.stopped).signal, "SIGKILL")
    kills.push(Date.now())
    hits += countClaims(dataDir)
    waybill = await startWaybill(t, { dataDir })
    await drained(dataDir, 10_000)
  }
  waybill.kill("SIGTERM")
  await waybill.stopped
  await receiver.stop()

  const receipts = receiver.receipts()
  const system = readSystem(dataDir)
  const account = settleAccounts({ producer: entries, destinations: [{ id, name: "one", receipts }], system, kills })
  t.diagnostic(`${hits} of ${ROUNDS} kills came between the 2xx and the commit that notes it`)
  assert.ok(hits > 0, "the moment was hit")
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.delivered, ROUNDS)
  assert.equal(account.interrupted, hits)
  assert.equal(account.duplicates, hits, "one request more for each that was hit, none for the others")
})
