/**
 * Two recoveries that overlap, one over failed deliveries and withheld events, while the process is killed again and
 * again, at whatever moment the next few requests have come. In the end each event has arrived; more than once only where
 * an attempt was under way when the process ended.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { formatId } from "../../src/domain/id.ts"
import { Endpoint } from "../help/endpoint.ts"
import { seeded } from "../help/json-writer.ts"
import { queryDatabase, until } from "../help/system-ledger.ts"
import { call, startWaybill, temporaryFolder, type Waybill } from "../help/waybill.ts"

const EVENTS = 1_200
const KILLS = 10
const SEED = Number(process.env["WAYBILL_TEST_SEED"] ?? 1)

interface DeliveryRow {
  readonly integration_id: number
  readonly event_id: number
  readonly status: string
}

test("a recovery goes on over kill -9 at any moment, and sends nothing twice that was not under way", {
  timeout: 120_000,
}, async t => {
  const dataDir = `${temporaryFolder(t)}/data`
  await using endpoint = await Endpoint.open({ status: 404 })
  let waybill = await startWaybill(t, { dataDir })
  const policy = { preset: "subscription", protection: { enabled: false } }
  const make = async (path: string, verification: string): Promise<string> => {
    const config = { production: { url: endpoint.url(path) }, verification }
    return String(
      ((await call(waybill, "POST", "/v1/integrations", { name: path, config, policy })) as { id: unknown }).id,
    )
  }
  const failing = await make("/failing", "none")
  const withheld = await make("/withheld", "json")
  for (let n = 0; n < EVENTS; n += 200) {
    const events = Array.from({ length: 200 }, (_, i) => ({ type: "order_paid", data: { n: n + i } }))
    await call(waybill, "POST", "/v1/events/batch", { events })
  }
  const count = (text: string): number =>
    queryDatabase<{ n: number }>(dataDir, `select count(*) as n from ${text}`)[0]?.n ?? 0
  await until("all have failed", 60_000, () => count("delivery where status = 'failed'") === EVENTS)

  endpoint.play({ status: 200, body: "{}", delayMs: 1 })
  await call(waybill, "POST", `/v1/integrations/${withheld}/verify`)
  const before = endpoint.requests.length
  const from = new Date(Date.now() - 3_600_000).toISOString()
  const begin = (body: object) => call(waybill, "POST", "/v1/recoveries", { from, event_types: ["order_*"], ...body })
  await begin({})
  await begin({ integrations: failing, statuses: ["failed"] })

  const random = seeded(SEED)
  let kills = 0
  const kill = async (): Promise<Waybill> => {
    waybill.kill("SIGKILL")
    await waybill.stopped
    kills++
    return startWaybill(t, { dataDir })
  }
  // Once before anything has gone out, as far as that can be had.
  waybill = await kill()
  for (;;) {
    const left = before + 2 * EVENTS - endpoint.requests.length
    if (kills === KILLS || left < 20) break
    await endpoint.received(endpoint.requests.length + 1 + Math.floor(random() * Math.min(200, left / 4)))
    waybill = await kill()
  }
  await until("both are done", 60_000, () => count("recovery where state = 'done'") === 2)
  await until(
    "none is on its way",
    60_000,
    () => count("delivery where status in ('pending', 'sending', 'retrying')") === 0,
  )
  waybill.kill("SIGTERM")
  await waybill.stopped

  const orders = "(select id from event where type = 'order_paid')"
  const deliveries = queryDatabase<DeliveryRow>(
    dataDir,
    `select integration_id, event_id, status from delivery where event_id in ${orders}`,
  )
  assert.equal(deliveries.length, 2 * EVENTS)
  assert.ok(deliveries.every(({ status }) => status === "delivered"))
  assert.equal(count(`event where type = 'order_paid' and (status <> 'delivered' or withheld <> '{}')`), 0)

  const interrupted = count("attempt where outcome = 'interrupted'")
  const arrived = new Map<string, number>()
  for (const { path, headers } of endpoint.requests.slice(before)) {
    const key = `${path} ${headers["webhook-id"]}`
    arrived.set(key, (arrived.get(key) ?? 0) + 1)
  }
  for (const { integration_id: id, event_id } of deliveries) {
    const path = formatId("int", id) === failing ? "/failing" : "/withheld"
    const [row] = queryDatabase<{ n: number }>(
      dataDir,
      "select count(*) as n from attempt where integration_id = ? and event_id = ? and outcome = 'interrupted'",
      id,
      event_id,
    )
    const requests = arrived.get(`${path} ${formatId("evt", event_id)}`) ?? 0
    assert.ok(requests >= 1, `${formatId("evt", event_id)} has arrived at ${path}`)
    assert.ok(requests <= 1 + (row?.n ?? 0), `${requests} requests with ${row?.n} interrupted attempts`)
  }
  const tallies = queryDatabase<{ outcome: string; n: number }>(
    dataDir,
    "select outcome, sum(count) as n from recovery_tally group by outcome",
  )
  const tally = new Map(tallies.map(({ outcome, n }) => [outcome, n]))
  t.diagnostic(`seed ${SEED}: ${kills} kills, ${interrupted} attempts interrupted, ${[...tally].join(" ")}`)
  assert.equal(tally.get("queued"), 2 * EVENTS)
  assert.equal(tally.get("delivered"), 2 * EVENTS)
})
