/**
 * Ten thousand events of the past go out again to an integration while live ones come in for it (F-52). It is measured
 * in turns, with the recovery paused and running, so that whatever else the machine does falls on both.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { parseId } from "../../src/domain/id.ts"
import { type ProducerEntry, startProducer } from "../help/producer.ts"
import { type Receipt, startReceiver } from "../help/receiver.ts"
import { queryDatabase, until } from "../help/system-ledger.ts"
import { call, createWebhook, newSecret, startWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

const PAST = 10_000
/** Live events a second. */
const RATE = 150
const TURNS = 3
const PHASE_MS = 2_500
/** What was begun in the phase before has ended by then. */
const SETTLING_MS = 500
/** F-52. */
const FACTOR = 1.5
/** A scheduler's hiccup is no promise broken. */
const ALLOWANCE_MS = 25

test("ten thousand events of the past go out beside live ones, which take no more than half as long again", {
  timeout: 180_000,
}, async t => {
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const secret = newSecret()
  const receiver = await startReceiver(t, { folder, name: "one", secret, seed: 1, manners: {} })
  const waybill = await startWaybill(t, { dataDir })
  for (let n = 0; n < PAST; n += 1_000) {
    const events = Array.from({ length: 1_000 }, (_, i) => ({ type: "order.past", id: `past-${n + i}`, data: { n } }))
    await call(waybill, "POST", "/v1/events/batch", { events })
  }
  const from = new Date(Date.now() - 3_600_000).toISOString()
  // It was made after them, so it is filled from history.
  const integration = await createWebhook(waybill, { name: "one", url: receiver.url("/one"), secret })
  const ask = { from, integrations: integration, statuses: ["missing"], event_types: ["order.past"] }
  const { id } = (await call(waybill, "POST", "/v1/recoveries", ask)) as { id: string }
  const act = (action: string) => call(waybill, "POST", `/v1/recoveries/${id}/${action}`)
  await act("pause")
  const producer = await startProducer(t, {
    folder,
    name: "steady",
    url: waybill.url,
    key: testKey,
    seed: 1,
    types: ["order.paid"],
    concurrency: 64,
    perSecond: RATE,
  })
  await producer.acknowledged(2 * RATE)

  const phases: Phase[] = []
  const measure = async (kind: Kind): Promise<void> => {
    const start = Date.now() + SETTLING_MS
    await wait(SETTLING_MS + PHASE_MS)
    phases.push({ kind, from: start, to: Date.now() })
  }
  for (let turn = 0; turn < TURNS; turn++) {
    await measure("alone")
    await act("resume")
    await measure("beside")
    if (turn < TURNS - 1) await act("pause")
  }
  const beside = queryDatabase<{ n: number }>(
    dataDir,
    "select count(*) as n from delivery where recovery_id is not null",
  )
  await producer.stop()
  const isDone = () => queryDatabase<{ state: string }>(dataDir, "select state from recovery")[0]?.state === "done"
  await until("the recovery is done", 90_000, isDone)
  waybill.kill("SIGTERM")
  assert.deepEqual(await waybill.stopped, { code: 0, signal: null })
  await receiver.stop()

  const receipts = receiver.receipts()
  const samples = latenciesByKind(phases, producer.entries(), receipts)
  for (const kind of ["alone", "beside"] as const) {
    const sample = samples[kind]
    t.diagnostic(`${kind}: ${sample.length} events, p50 ${p(sample, 50)} ms, p99 ${p(sample, 99)} ms`)
  }
  t.diagnostic(`${beside[0]?.n} of ${PAST} went out, or were on their way, beside live events`)
  assert.ok((beside[0]?.n ?? 0) > TURNS * 50, "the recovery got on")
  const [alone, with_] = [p(samples.alone, 99), p(samples.beside, 99)]
  assert.ok(with_ <= FACTOR * alone + ALLOWANCE_MS, `p99 ${with_} ms against ${alone} ms`)

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

type Kind = "alone" | "beside"

interface Phase {
  readonly kind: Kind
  readonly from: number
  readonly to: number
}

/** From a request to ingest to its arrival at the receiver, in ms, of the events that were sent in each kind of phase. */
function latenciesByKind(
  phases: readonly Phase[],
  entries: readonly ProducerEntry[],
  receipts: readonly Receipt[],
): Readonly<Record<Kind, number[]>> {
  const arrivals = new Map(receipts.map(receipt => [receipt.externalId, receipt.at]))
  const latencies: Record<Kind, number[]> = { alone: [], beside: [] }
  for (const entry of entries) {
    if (entry.kind !== "invoke") continue
    const phase = phases.find(({ from, to }) => entry.at >= from && entry.at < to)
    if (phase === undefined) continue
    const arrival = arrivals.get(entry.id)
    assert.ok(arrival, `${entry.id} has reached the receiver`)
    latencies[phase.kind].push(arrival - entry.at)
  }
  return latencies
}

/** A percentile. */
function p(sample: readonly number[], percent: number): number {
  const sorted = sample.toSorted((a, b) => a - b)
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? Number.NaN
}
