/**
 * One integration has a million deliveries due and an endpoint that is dead: nobody listens there, or it takes what it is
 * sent and never answers. Another integration's deliveries take as long as they take without it. Both are measured in
 * turns within one run, so that whatever else the machine does falls on both.
 */
import assert from "node:assert/strict"
import { createServer } from "node:net"
import { DatabaseSync } from "node:sqlite"
import test, { type TestContext } from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { parseId } from "../../src/domain/id.ts"
import { type Receiver as Deaf, receiver as misbehaving, silent } from "../help/misbehaving.ts"
import { type ProducerEntry, startProducer } from "../help/producer.ts"
import { type Receipt, startReceiver } from "../help/receiver.ts"
import { queryDatabase } from "../help/system-ledger.ts"
import { call, createWebhook, newSecret, startWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

const BACKLOG = 1_000_000
/** Events a second for the healthy integration. */
const RATE = 150
const PHASE_MS = 5_000
/** Each with the backlog held back, then let go. */
const TURNS = 3
/** p99 with the backlog may be this many times the p99 without it, and so much on top. */
const FACTOR = 2
const ALLOWANCE_MS = 25

test("a million deliveries to a dead endpoint leave the latency of another integration alone", {
  timeout: 200_000,
}, async t => {
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const secret = newSecret()
  const deaf = await misbehaving(silent)
  t.after(() => deaf.close())
  const receiver = await startReceiver(t, { folder, name: "healthy", secret, seed: 1, manners: {} })
  const first = await startWaybill(t, { dataDir })
  await createWebhook(first, { name: "healthy", url: receiver.url("/healthy"), secret })
  const policy = { timeout_ms: 1_000, retry_delays_ms: [3_600_000] }
  const dead = {
    refusing: await createWebhook(first, {
      name: "refusing",
      url: `http://127.0.0.1:${await closedPort()}/`,
      secret,
      policy,
    }),
    silent: await createWebhook(first, { name: "silent", url: deaf.url, secret, policy }),
  }
  for (const id of Object.values(dead)) await call(first, "POST", `/v1/integrations/${id}/pause`)
  first.kill("SIGTERM")
  await first.stopped
  fillBacklog(dataDir, Object.values(dead))
  const waybill = await startWaybill(t, { dataDir })
  t.diagnostic(`start with ${BACKLOG} due deliveries: ${Math.round(waybill.startMs)} ms`)
})
