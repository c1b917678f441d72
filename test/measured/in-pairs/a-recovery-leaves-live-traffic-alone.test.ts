/**
 * Ten thousand events of the past go out again to an integration while live ones come in for it (F-52). It is measured
 * in turns, with the recovery paused and running, so that whatever else the machine does falls on both.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { parseId } from "../../../src/domain/id.ts"
import { inTurns, latencies, summary, typicalPercentile } from "../../help/phases.ts"
import { Scene } from "../../help/scene.ts"
import { queryDatabase, until } from "../../help/system-ledger.ts"
import { call } from "../../help/waybill.ts"

const PAST = 10_000
/** Live events a second. */
const RATE = 150
const TURNS = { turns: 3, phaseMs: 2_500, settlingMs: 500 }
/** F-52. */
const FACTOR = 1.5
/** A scheduler's hiccup is no promise broken. */
const ALLOWANCE_MS = 25

test("ten thousand events of the past go out beside live ones, which take no more than half as long again", {
  timeout: 180_000,
}, async t => {
  const scene = await Scene.open(t)
  const { dataDir, waybill } = scene
  for (let n = 0; n < PAST; n += 1_000) {
    const events = Array.from({ length: 1_000 }, (_, i) => ({ type: "order.past", id: `past-${n + i}`, data: { n } }))
    await call(waybill, "POST", "/v1/events/batch", { events })
  }
  const from = new Date(Date.now() - 3_600_000).toISOString()
  // It was made after them, so it is filled from history.
  const { id: integration, receiver } = await scene.take("one")
  const ask = { from, integrations: integration, statuses: ["missing"], event_types: ["order.past"] }
  const { id } = (await call(waybill, "POST", "/v1/recoveries", ask)) as { id: string }
  const act = (action: string) => call(waybill, "POST", `/v1/recoveries/${id}/${action}`)
  await act("pause")
  const producer = await scene.produce({ concurrency: 64, perSecond: RATE })
  await producer.acknowledged(2 * RATE)
  const phases = await inTurns(["alone", "beside"], TURNS, async kind => {
    if (kind === "alone") return
    await act("resume")
    return () => act("pause")
  })
  await act("resume")
  const went = queryDatabase<{ n: number }>(dataDir, "select count(*) as n from delivery where recovery_id is not null")
  await producer.stop()
  const isDone = () => queryDatabase<{ state: string }>(dataDir, "select state from recovery")[0]?.state === "done"
  await until("the recovery is done", 90_000, isDone)
  await scene.stop()
  await receiver.stop()

  const receipts = receiver.receipts()
  const arrivals = { entries: producer.entries(), receipts }
  const [alone, beside] = [latencies(phases, "alone", arrivals), latencies(phases, "beside", arrivals)]
  t.diagnostic(summary("alone", alone))
  t.diagnostic(summary("beside", beside))
  t.diagnostic(`${went[0]?.n} of ${PAST} went out, or were on their way, beside live events`)
  assert.ok((went[0]?.n ?? 0) > TURNS.turns * 50, "the recovery got on")
  const [p99, without] = [
    typicalPercentile(phases, "beside", 99, arrivals),
    typicalPercentile(phases, "alone", 99, arrivals),
  ]
  assert.ok(p99 <= FACTOR * without + ALLOWANCE_MS, `p99 ${p99} ms against ${without} ms`)

  const past = receipts.filter(receipt => receipt.externalId.startsWith("past-"))
  assert.equal(past.length, PAST, "each event of the past arrives once")
  const kept = queryDatabase<{ id: number; external_id: string }>(dataDir, "select id, external_id from event")
  const ids = new Map(kept.map(event => [event.external_id, event.id]))
  for (const { externalId, webhookId } of past) assert.equal(parseId("evt", webhookId), ids.get(externalId))
  const marked = queryDatabase<{ n: number }>(
    dataDir,
    `select count(*) as n from attempt where recovery_id = ${parseId("rec", id) ?? 0}`,
  )
  assert.equal(marked[0]?.n, PAST)
})
