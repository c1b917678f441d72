/**
 * Of 200 integrations, 20 have an endpoint that is dead (nobody listens at ten, ten take what they are sent and never
 * answer) and 20 have one that answers after 10 s. The other 160 get their events as soon as they get them without those.
 * Both are measured in turns within one run, so that whatever else the machine does falls on each.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { silent, receiver as startMisbehaving } from "../../help/misbehaving.ts"
import { closedAddress, inTurns, latencies, summary, typicalPercentile } from "../../help/phases.ts"
import { startReceiver } from "../../help/receiver.ts"
import { Scene } from "../../help/scene.ts"
import { queryDatabase } from "../../help/system-ledger.ts"
import { call, createWebhook } from "../../help/waybill.ts"

/** Each event goes to ten integrations: eight that are well, a dead one and a slow one. */
const GROUPS = 20
const WELL_IN_GROUP = 8
/** Events a second; ten times as many deliveries. */
const RATE = 20
const TURNS = { turns: 3, phaseMs: 3_000, settlingMs: 1_000 }
const FACTOR = 2
/** A scheduler's hiccup is no promise broken. */
const ALLOWANCE_MS = 50

test("20 dead and 20 slow neighbours of 160 integrations leave the others' latency alone", {
  timeout: 200_000,
}, async t => {
  const deaf = await startMisbehaving(silent)
  t.after(() => deaf.close())
  const slowManners = Object.fromEntries(
    groups.map(group => [`/slow-${group}`, { delayMs: [10_000, 10_000] } as const]),
  )
  const scene = await Scene.open(t)
  const { dataDir, folder, secret, waybill } = scene
  const receiver = await startReceiver(t, { folder, name: "well", secret, seed: 1, manners: {} })
  const slow = await startReceiver(t, { folder, name: "slow", secret, seed: 1, manners: slowManners })
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

  const types = groups.map(group => `t${group}`)
  const producer = await scene.produce({ types, concurrency: 32, perSecond: RATE })
  await producer.acknowledged(RATE)
  const phases = await inTurns(["alone", "beside"], TURNS, async kind => {
    const action = kind === "alone" ? "pause" : "resume"
    for (const id of troubled) await call(waybill, "POST", `/v1/integrations/${id}/${action}`)
    return undefined
  })
  await producer.stop()
  const tried = queryDatabase<{ name: string; n: number }>(
    dataDir,
    `select substr(json_extract(i.snapshot, '$.name'), 1, 4) as name, count(*) as n
     from attempt a join integration i on i.id = a.integration_id group by 1`,
  )
  const skipped = queryDatabase<{ n: number }>(dataDir, "select count(*) as n from delivery where status = 'skipped'")
  await scene.stop()
  await receiver.stop()

  const arrivals = { entries: producer.entries(), receipts: receiver.receipts(), copies: WELL_IN_GROUP }
  const [alone, beside] = [latencies(phases, "alone", arrivals), latencies(phases, "beside", arrivals)]
  t.diagnostic(summary("alone", alone))
  t.diagnostic(summary("beside", beside))
  t.diagnostic(`attempts: ${JSON.stringify(tried)}, held at the end: ${skipped[0]?.n}`)
  for (const name of ["dead", "slow"]) {
    assert.ok((tried.find(row => row.name === name)?.n ?? 0) >= GROUPS, `each ${name} one was tried`)
  }
  const [p99, without] = [
    typicalPercentile(phases, "beside", 99, arrivals),
    typicalPercentile(phases, "alone", 99, arrivals),
  ]
  assert.ok(p99 <= FACTOR * without + ALLOWANCE_MS, `p99 ${p99} ms against ${without} ms without`)
})

const groups = Array.from({ length: GROUPS }, (_, i) => i)
