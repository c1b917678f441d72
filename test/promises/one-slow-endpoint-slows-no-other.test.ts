/**
 * Two integrations have a million deliveries due each and an endpoint that is dead: nobody listens at the one, the other
 * takes what it is sent and never answers. A third integration's deliveries take as long as they take without them. All is
 * measured in turns within one run, so that whatever else the machine does falls on each.
 */
import assert from "node:assert/strict"
import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { parseId } from "../../src/domain/id.ts"
import { fillBacklog } from "../help/backlog.ts"
import { silent, receiver as startMisbehaving } from "../help/misbehaving.ts"
import { type ProducerEntry, startProducer } from "../help/producer.ts"
import { type Receipt, startReceiver } from "../help/receiver.ts"
import { queryDatabase } from "../help/system-ledger.ts"
import { call, createWebhook, newSecret, startWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

const BACKLOG = 1_000_000
/** Events a second, all of which go to the healthy integration as well. */
const RATE = 150
const TURNS = 2
const PHASE_MS = 4_000
/** What was begun in the phase before has ended by then. */
const SETTLING_MS = 500
/** p99 may be so many times what it is without the backlog, and so much on top: a scheduler's hiccup is no promise broken. */
const FACTOR = 2
/** A refused connection costs this process work of its own; on a machine that does other things as well that shows. */
const ALLOWANCE_MS = 50

test("a million due deliveries to a dead endpoint leave the latency of another integration alone", {
  timeout: 200_000,
}, async t => {
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const secret = newSecret()
  const deaf = await startMisbehaving(silent)
  t.after(() => deaf.close())
  const receiver = await startReceiver(t, { folder, name: "healthy", secret, seed: 1, manners: {} })

  const first = await startWaybill(t, { dataDir })
  await createWebhook(first, { name: "healthy", url: receiver.url("/healthy"), secret })
  const policy = { timeout_ms: 2_000, retry_delays_ms: [3_600_000] }
  const dead = {
    refusing: await createWebhook(first, { name: "refusing", url: await closedAddress(), secret, policy }),
    silent: await createWebhook(first, { name: "silent", url: deaf.url, secret, policy }),
  }
  for (const id of Object.values(dead)) await call(first, "POST", `/v1/integrations/${id}/pause`)
  first.kill("SIGTERM")
  await first.stopped
  for (const id of Object.values(dead)) {
    await fillBacklog({ dataDir, url: undefined }, parseId("int", id) ?? 0, BACKLOG)
  }

  const waybill = await startWaybill(t, { dataDir })
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
    if (kind !== "alone") await call(waybill, "POST", `/v1/integrations/${dead[kind]}/resume`)
    const from = Date.now() + SETTLING_MS
    await wait(SETTLING_MS + PHASE_MS)
    phases.push({ kind, from, to: Date.now() })
    if (kind !== "alone") await call(waybill, "POST", `/v1/integrations/${dead[kind]}/pause`)
  }
  for (let turn = 0; turn < TURNS; turn++) for (const kind of kinds) await measure(kind)
  await producer.stop()
  waybill.kill("SIGTERM")
  assert.deepEqual(await waybill.stopped, { code: 0, signal: null })
  await receiver.stop()

  const latencies = latenciesByKind(phases, producer.entries(), receiver.receipts())
  const p99 = { alone: p(latencies.alone, 99), refusing: p(latencies.refusing, 99), silent: p(latencies.silent, 99) }
  for (const kind of kinds) {
    const sample = latencies[kind]
    t.diagnostic(
      `${kind}: ${sample.length} events, p50 ${p(sample, 50)} ms, p99 ${p99[kind]} ms, max ${p(sample, 100)} ms`,
    )
  }
  const tried = attemptsByIntegration(dataDir)
  t.diagnostic(`started in ${Math.round(waybill.startMs)} ms with the backlog; attempts: ${JSON.stringify(tried)}`)
  for (const kind of ["refusing", "silent"] as const) {
    assert.ok((tried[kind] ?? 0) > 0, `the ${kind} endpoint was tried`)
    assert.ok(p99[kind] <= FACTOR * p99.alone + ALLOWANCE_MS, `p99 ${p99[kind]} ms against ${p99.alone} ms without`)
  }
})

const kinds = ["alone", "refusing", "silent"] as const
type Kind = (typeof kinds)[number]

interface Phase {
  readonly kind: Kind
  readonly from: number
  readonly to: number
}

/** Where nobody listens. */
async function closedAddress(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return `http://127.0.0.1:${port}/hook`
}

/** From a request to ingest to its arrival at the healthy receiver, in ms, of the events that were sent in each kind of phase. */
function latenciesByKind(
  phases: readonly Phase[],
  entries: readonly ProducerEntry[],
  receipts: readonly Receipt[],
): Readonly<Record<Kind, number[]>> {
  const arrivals = new Map(receipts.map(receipt => [receipt.externalId, receipt.at]))
  const latencies: Record<Kind, number[]> = { alone: [], refusing: [], silent: [] }
  for (const entry of entries) {
    if (entry.kind !== "invoke") continue
    const phase = phases.find(({ from, to }) => entry.at >= from && entry.at < to)
    if (phase === undefined) continue
    const arrival = arrivals.get(entry.id)
    assert.ok(arrival, `${entry.id} has reached the healthy receiver`)
    latencies[phase.kind].push(arrival - entry.at)
  }
  return latencies
}

/** A percentile. */
function p(sample: readonly number[], percent: number): number {
  const sorted = sample.toSorted((a, b) => a - b)
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? Number.NaN
}

function attemptsByIntegration(dataDir: string): Record<string, number> {
  const text = `
    select json_extract(i.snapshot, '$.name') as name, count(*) as n
    from attempt a join integration i on i.id = a.integration_id group by 1`
  return Object.fromEntries(queryDatabase<{ name: string; n: number }>(dataDir, text).map(({ name, n }) => [name, n]))
}
