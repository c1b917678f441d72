/**
 * Two integrations have a million deliveries due each and an endpoint that is dead: nobody listens at the one, the other
 * takes what it is sent and never answers. A third integration's deliveries take as long as they take without them. All is
 * measured in turns within one run, so that whatever else the machine does falls on each.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { parseId } from "../../../src/domain/id.ts"
import { fillBacklog } from "../../help/backlog.ts"
import { silent, receiver as startMisbehaving } from "../../help/misbehaving.ts"
import { closedAddress, inTurns, latencies, summary, typicalPercentile } from "../../help/phases.ts"
import { Scene } from "../../help/scene.ts"
import { queryDatabase } from "../../help/system-ledger.ts"
import { call, createWebhook } from "../../help/waybill.ts"

const BACKLOG = 1_000_000
/** Events a second, all of which go to the healthy integration as well. */
const RATE = 150
const TURNS = { turns: 3, phaseMs: 2_500, settlingMs: 500 }
/** p99 may be so many times what it is without the backlog, and so much on top: a scheduler's hiccup is no promise broken. */
const FACTOR = 2
/** A refused connection costs this process work of its own; on a machine that does other things as well that shows. */
const ALLOWANCE_MS = 50

test("a million due deliveries to a dead endpoint leave the latency of another integration alone", {
  timeout: 200_000,
}, async t => {
  const deaf = await startMisbehaving(silent)
  t.after(() => deaf.close())
  const scene = await Scene.open(t)
  const { dataDir, secret } = scene
  const { receiver } = await scene.take("healthy")
  const policy = { timeout_ms: 2_000, retry_delays_ms: [3_600_000] }
  const dead = {
    refusing: await createWebhook(scene.waybill, { name: "refusing", url: await closedAddress(), secret, policy }),
    silent: await createWebhook(scene.waybill, { name: "silent", url: deaf.url, secret, policy }),
  }
  for (const id of Object.values(dead)) await call(scene.waybill, "POST", `/v1/integrations/${id}/pause`)
  await scene.stop()
  for (const id of Object.values(dead)) {
    await fillBacklog({ dataDir, url: undefined }, parseId("int", id) ?? 0, BACKLOG)
  }

  await scene.start()
  const { waybill } = scene
  const producer = await scene.produce({ concurrency: 64, perSecond: RATE })
  await producer.acknowledged(2 * RATE)
  const phases = await inTurns(kinds, TURNS, async kind => {
    if (kind === "alone") return
    await call(waybill, "POST", `/v1/integrations/${dead[kind]}/resume`)
    return () => call(waybill, "POST", `/v1/integrations/${dead[kind]}/pause`)
  })
  await producer.stop()
  await scene.stop()
  await receiver.stop()

  const arrivals = { entries: producer.entries(), receipts: receiver.receipts() }
  const sampleOf = (kind: Kind) => latencies(phases, kind, arrivals)
  for (const kind of kinds) t.diagnostic(summary(kind, sampleOf(kind)))
  const p99Of = (kind: Kind) => typicalPercentile(phases, kind, 99, arrivals)
  const aloneMs = p99Of("alone")
  const tried = attemptsByIntegration(dataDir)
  t.diagnostic(`started in ${Math.round(waybill.startMs)} ms with the backlog; attempts: ${JSON.stringify(tried)}`)
  for (const kind of ["refusing", "silent"] as const) {
    assert.ok((tried[kind] ?? 0) > 0, `the ${kind} endpoint was tried`)
    const p99 = p99Of(kind)
    assert.ok(p99 <= FACTOR * aloneMs + ALLOWANCE_MS, `p99 ${p99} ms against ${aloneMs} ms without`)
  }
})

const kinds = ["alone", "refusing", "silent"] as const
type Kind = (typeof kinds)[number]

function attemptsByIntegration(dataDir: string): Record<string, number> {
  const text = `
    select json_extract(i.snapshot, '$.name') as name, count(*) as n
    from attempt a join integration i on i.id = a.integration_id group by 1`
  return Object.fromEntries(queryDatabase<{ name: string; n: number }>(dataDir, text).map(({ name, n }) => [name, n]))
}
