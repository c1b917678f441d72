/**
 * Of 200 integrations, 20 have an endpoint that is dead (nobody listens at ten, ten take what they are sent and never
 * answer) and 20 have one that answers after 10 s. The other 160 get their events as soon as they get them without those.
 * Both are measured in turns within one run, so that whatever else the machine does falls on each.
 */
import assert from "node:assert/strict"
import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { silent, receiver as startMisbehaving } from "../help/misbehaving.ts"
import { startProducer } from "../help/producer.ts"
import { startReceiver } from "../help/receiver.ts"
import { queryDatabase } from "../help/system-ledger.ts"
import { call, createWebhook, newSecret, startWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

/** Each event goes to ten integrations: eight that are well, a dead one and a slow one. */
const GROUPS = 20
const WELL_IN_GROUP = 8
/** Events a second; ten times as many deliveries. */
const RATE = 20
const TURNS = 2
const PHASE_MS = 5_000
/** What was begun in the phase before has ended by then. */
const SETTLING_MS = 1_000
const FACTOR = 2
/** A scheduler's hiccup is no promise broken. */
const ALLOWANCE_MS = 50

test("20 dead and 20 slow neighbours of 160 integrations leave the others' latency alone", {
  timeout: 200_000,
}, async t => {
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const secret = newSecret()
  const deaf = await startMisbehaving(silent)
  t.after(() => deaf.close())
  const slowManners = Object.fromEntries(
    groups.map(group => [`/slow-${group}`, { delayMs: [10_000, 10_000] } as const]),
  )
  const receiver = await startReceiver(t, { folder, name: "well", secret, seed: 1, manners: {} })
  const slow = await startReceiver(t, { folder, name: "slow", secret, seed: 1, manners: slowManners })
  const waybill = await startWaybill(t, { dataDir })
  const troubled: string[] = []
  for (const group of groups) {
    const events = { default: "off", types: { [`t${group}`]: { enabled: true } } }
    for (let i = 0; i < WELL_IN_GROUP; i++) {
      await createWebhook(waybill, {
        name: `well ${group}/${i}`,
        url: receiver.url(`/well-${group}-${i}`),
        secret,
        events,
      })
    }
    const dead = group % 2 === 0 ? await closedAddress() : deaf.url
    const ends = [
      { name: `dead ${group}`, url: dead, policy: { timeout_ms: 2_000 } },
      { name: `slow ${group}`, url: slow.url(`/slow-${group}`), policy: {} },
    ]
    for (const end of ends) troubled.push(await createWebhook(waybill, { ...end, secret, events }))
  }

  const producer = await startProducer(t, {
    folder,
    name: "steady",
    url: waybill.url,
    key: testKey,
    seed: 1,
    types: groups.map(group => `t${group}`),
    concurrency: 32,
    perSecond: RATE,
  })
  await producer.acknowledged(RATE)
  const phases: { readonly kind: Kind; readonly from: number; readonly to: number }[] = []
  for (let turn = 0; turn < TURNS; turn++) {
    for (const kind of ["alone", "beside"] as const) {
      for (const id of troubled) {
        await call(waybill, "POST", `/v1/integrations/${id}/${kind === "alone" ? "pause" : "resume"}`)
      }
      const from = Date.now() + SETTLING_MS
      await wait(SETTLING_MS + PHASE_MS)
      phases.push({ kind, from, to: Date.now() })
    }
  }
  await producer.stop()
  const tried = queryDatabase<{ name: string; n: number }>(
    dataDir,
    `select substr(json_extract(i.snapshot, '$.name'), 1, 4) as name, count(*) as n
     from attempt a join integration i on i.id = a.integration_id group by 1`,
  )
  const skipped = queryDatabase<{ n: number }>(dataDir, "select count(*) as n from delivery where status = 'skipped'")
  waybill.kill("SIGTERM")
  await waybill.stopped
  await receiver.stop()

  const arrivals = new Map<string, number[]>()
  for (const { externalId, at } of receiver.receipts()) {
    const times = arrivals.get(externalId)
    if (times === undefined) arrivals.set(externalId, [at])
    else times.push(at)
  }
  const latencies: Record<Kind, number[]> = { alone: [], beside: [] }
  for (const entry of producer.entries()) {
    const phase = phases.find(({ from, to }) => entry.at >= from && entry.at < to)
    if (entry.kind !== "invoke" || phase === undefined) continue
    const times = arrivals.get(entry.id) ?? []
    assert.equal(times.length, WELL_IN_GROUP, `${entry.id} has reached all that are well`)
    latencies[phase.kind].push(...times.map(at => at - entry.at))
  }
  const p99 = { alone: percentile(latencies.alone, 99), beside: percentile(latencies.beside, 99) }
  for (const [kind, sample] of Object.entries(latencies)) {
    t.diagnostic(
      `${kind}: ${sample.length} deliveries, p50 ${percentile(sample, 50)} ms, p99 ${percentile(sample, 99)} ms`,
    )
  }
  t.diagnostic(`attempts: ${JSON.stringify(tried)}, held at the end: ${skipped[0]?.n}`)
  for (const name of ["dead", "slow"]) {
    assert.ok((tried.find(row => row.name === name)?.n ?? 0) >= GROUPS, `each ${name} one was tried`)
  }
  assert.ok(p99.beside <= FACTOR * p99.alone + ALLOWANCE_MS, `p99 ${p99.beside} ms against ${p99.alone} ms without`)
})

type Kind = "alone" | "beside"

const groups = Array.from({ length: GROUPS }, (_, i) => i)

/** Where nobody listens. */
async function closedAddress(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return `http://127.0.0.1:${port}/hook`
}

function percentile(sample: readonly number[], percent: number): number {
  const sorted = sample.toSorted((a, b) => a - b)
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? Number.NaN
}
