import assert from "node:assert/strict"
import { test } from "node:test"
import { verify } from "../../src/transport/sign.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import type { Json } from "../help/program.ts"
import { until } from "../help/system-ledger.ts"
import { call, createWebhook, newSecret, stablePort, startWaybill, temporaryFolder } from "../help/waybill.ts"
import { foundIn } from "../help/whole-database.ts"

const EMAIL = "canary-77aa@shop.example"
const DATA = `{"email": "${EMAIL}", "n": 1.00}`
const READ_WITHIN_MS = 30_000

test("private fields arrive whole and signed after kill -9 in the middle of the third try, and no disk holds them", async t => {
  const dataDir = `${temporaryFolder(t)}/data`
  const port = await stablePort()
  await using endpoint = await Endpoint.open()
  const never = new Promise(() => undefined)
  endpoint.answer(({ body }) => {
    const echo = { body: body.toString() }
    switch (endpoint.requests.length) {
      case 1:
      case 2:
        return { ...echo, status: 500 }
      case 3:
        return { after: never }
      default:
        return echo
    }
  })
  const first = await startWaybill(t, { dataDir, port })
  const [project] = items(((await call(first, "GET", "/v1/projects")) as Json).data)
  await call(first, "PATCH", `/v1/projects/${project?.id}`, { private_fields: ["/email"] })
  const secret = newSecret()
  const policy = { retry_delays_ms: [100, 100, 100, 100], protection: { enabled: false } }
  await createWebhook(first, { name: "one", url: endpoint.url(), secret, policy })
  await call(first, "POST", "/v1/events", `{"type":"t","data":${DATA}}`)
  await endpoint.received(3)
  first.kill("SIGKILL")
  await first.stopped
  // On PostgreSQL the folder is not where the data lies.
  if (process.env["TEST_ENGINE"] !== "postgres")
    assert.deepEqual(await foundIn({ dataDir, url: undefined }, [EMAIL]), [])
  const second = await startWaybill(t, { dataDir, port })
  const requests = await endpoint.received(4)
  for (const { body, headers } of requests) {
    assert.deepEqual(body, requests[0]?.body)
    assert.ok(body.toString().includes(`"data":${DATA}`))
    const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature } = headers
    const signed = { headers: { id, timestamp, signature }, body, secrets: [secret], nowSeconds: Number(timestamp) }
    assert.equal(verify(signed).kind, "verified")
  }
  await until("it is delivered", READ_WITHIN_MS, async () => {
    const [delivery] = items(((await call(second, "GET", "/v1/deliveries")) as Json).data)
    return String(delivery?.status) === "delivered"
  })
  const [event] = items(((await call(second, "GET", "/v1/events")) as Json).data)
  const shown = (await call(second, "GET", `/v1/events/${event?.id}`)) as Json
  assert.deepEqual(shown.payload, { email: "[private]", n: 1 })
  assert.ok(!second.output().includes(EMAIL) && !first.output().includes(EMAIL))
  second.kill("SIGTERM")
  await second.stopped
  if (process.env["TEST_ENGINE"] !== "postgres")
    assert.deepEqual(await foundIn({ dataDir, url: undefined }, [EMAIL]), [])
})
