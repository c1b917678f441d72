/**
 * An integration's endpoint takes what it is sent and never answers. Another integration's deliveries take as long as they
 * take without it. Both are measured in turns within one run, so that whatever else the machine does falls on each.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { silent, receiver as startMisbehaving } from "../../help/misbehaving.ts"
import { inTurns, latencies, summary, typicalPercentile } from "../../help/phases.ts"
import { Scene } from "../../help/scene.ts"
import { queryDatabase } from "../../help/system-ledger.ts"
import { call, createWebhook } from "../../help/waybill.ts"

/** Events a second, all of which go to both. */
const RATE = 200
const TURNS = { turns: 3, phaseMs: 1_300, settlingMs: 300 }
/** F-24: p99 may be so many times what it is alone, and so much on top: a scheduler's hiccup is no promise broken. */
const FACTOR = 2
const ALLOWANCE_MS = 50

test("an endpoint that never answers leaves the latency of another integration alone", { timeout: 60_000 }, async t => {
  const there = await startMisbehaving(silent)
  t.after(() => there.close())
  const scene = await Scene.open(t)
  const { dataDir, secret, waybill } = scene
  const { receiver } = await scene.take("healthy")
  // Every request takes up its place until it is cut; nothing spares the endpoint.
  const policy = {
    timeout_ms: 1_000,
    max_concurrent: 100,
    retry_delays_ms: [3_600_000],
    protection: { enabled: false },
  }
  const silentId = await createWebhook(waybill, { name: "silent", url: there.url, secret, policy })
  const producer = await scene.produce({ concurrency: 64, perSecond: RATE })
  const phases = await inTurns(["alone", "beside"], TURNS, async kind => {
    await call(waybill, "POST", `/v1/integrations/${silentId}/${kind === "alone" ? "pause" : "resume"}`)
    return undefined
  })
  await producer.stop()
  await scene.stop()
  await receiver.stop()

  const arrivals = { entries: producer.entries(), receipts: receiver.receipts() }
  const [alone, beside] = [latencies(phases, "alone", arrivals), latencies(phases, "beside", arrivals)]
  t.diagnostic(summary("alone", alone))
  t.diagnostic(summary("beside", beside))
  const text = "select count(*) as n from attempt where reason = 'timeout_response'"
  const [{ n = 0 } = {}] = queryDatabase<{ n: number }>(dataDir, text)
  assert.ok(n >= 100, `${n} requests ran into their limit`)
  const [p99, without] = [
    typicalPercentile(phases, "beside", 99, arrivals),
    typicalPercentile(phases, "alone", 99, arrivals),
  ]
  assert.ok(p99 <= FACTOR * without + ALLOWANCE_MS, `p99 ${p99} ms against ${without} ms without`)
})
