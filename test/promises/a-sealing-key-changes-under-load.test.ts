/**
 * The key that seals secrets changes while events come in and go out, some with private fields, and while secrets are
 * rotated and integrations are made: no event is refused, no delivery fails, every request verifies. Then the old key goes.
 */
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { parseId } from "../../src/domain/id.ts"
import { runCli } from "../help/cli.ts"
import { accountLine, faultsOf, settleAccounts } from "../help/ledgers.ts"
import { startProducer } from "../help/producer.ts"
import { startReceiver } from "../help/receiver.ts"
import { drained, onlyTo, readSystem } from "../help/system-ledger.ts"
import { call, createWebhook, newSecret, startWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

const ROTATIONS = 3
const RATE = 50
const OTHERS = 80

test("the sealing key changes under load without a failed delivery, and the old one can go then", {
  timeout: 150_000,
}, async t => {
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  let waybill = await startWaybill(t, { dataDir })
  const secret = newSecret()
  // Answers late, so that private payloads lie sealed while the key changes; and fails now and then.
  const receiver = await startReceiver(t, {
    folder,
    name: "there",
    secret,
    seed: 1,
    manners: { "/there": { failing: { share: 0.1, status: 503 }, delayMs: [0, 800] } },
  })
  const policy = { max_concurrent: 100, retry_delays_ms: Array<number>(10).fill(100), protection: { enabled: false } }
  const id = await createWebhook(waybill, { name: "there", url: receiver.url("/there"), secret, policy })
  await call(waybill, "PUT", "/v1/event-types/order.private", { private_fields: ["/pad"] })
  let other = ""
  for (let i = 0; i < OTHERS; i++) {
    const made = await call(waybill, "POST", "/v1/integrations", {
      name: `other ${i}`,
      config: { production: { url: "http://127.0.0.1:9/", authorization: `Bearer ${i}` }, verification: "none" },
      events: { default: "off" },
    })
    other = String((made as { id: unknown }).id)
  }
  const types = ["order.paid", "order.private"]
  const given = {
    folder,
    url: waybill.url,
    key: testKey,
    seed: 1,
    types,
    concurrency: 16,
    perSecond: RATE,
    padBytes: 200,
  }
  const producer = await startProducer(t, { ...given, name: "producer" })
  let isOver = false
  const configuring = (async () => {
    for (let i = 0; !isOver; i++) {
      const headers = { "idempotency-key": `busy-${i}` }
      const made = await call(waybill, "POST", "/v1/api-keys", { name: `busy ${i}` }, headers)
      assert.deepEqual(await call(waybill, "POST", "/v1/api-keys", { name: `busy ${i}` }, headers), made)
      await call(waybill, "POST", `/v1/integrations/${other}/rotate-secret`, { grace_seconds: 0 })
      await wait(50)
    }
  })()
  await producer.acknowledged(RATE)
  for (let i = 0; i < ROTATIONS; i++) {
    const { code, stdout, stderr } = await runCli(["secrets", "rotate", "--json", "--data-dir", dataDir])
    assert.equal(code, 0, stderr)
    const { resealed } = JSON.parse(stdout) as { resealed: number }
    assert.ok(resealed > 2 * OTHERS, `${resealed} values`)
    assert.equal((await runCli(["secrets", "status", "--check", "--data-dir", dataDir])).code, 0)
    await wait(300)
  }
  isOver = true
  await configuring
  await producer.stop()
  await drained(dataDir, 60_000)
  waybill.kill("SIGTERM")
  await waybill.stopped

  const [newest] = readFileSync(join(dataDir, "secret.key"), "utf8").split("\n")
  writeFileSync(join(dataDir, "secret.key"), `${newest}\n`)
  waybill = await startWaybill(t, { dataDir })
  const { secrets } = (await call(waybill, "GET", `/v1/integrations/${id}/secret`)) as { secrets: { secret: string }[] }
  assert.equal(secrets[0]?.secret, secret)
  waybill.kill("SIGTERM")
  await waybill.stopped
  await receiver.stop()

  const account = settleAccounts({
    producer: producer.entries(),
    destinations: [{ id, name: "there", receipts: receiver.receipts() }],
    system: onlyTo(readSystem(dataDir), [parseId("int", id) ?? 0]),
    kills: [],
  })
  t.diagnostic(accountLine(account, 0))
  assert.equal(account.delivered, account.accepted, "0 failed deliveries")
  assert.equal(producer.entries().filter(({ kind }) => kind === "fail").length, 0, "no event is refused")
  assert.deepEqual(faultsOf(account), [], "and every request verifies")
})
