/**
 * Secrets change while events come in and go out: signing secrets are rotated again and again, with and without a grace, an
 * Authorization is changed, an API key is revoked. Every request carries a signature with the secret that is valid when it
 * is made, and what was answered with 202 before its key was revoked arrives.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { Webhook } from "standardwebhooks"
import { parseId } from "../../src/domain/id.ts"
import { Endpoint, type Received } from "../help/endpoint.ts"
import { accountLine, faultsOf, settleAccounts } from "../help/ledgers.ts"
import { startProducer } from "../help/producer.ts"
import { startReceiver } from "../help/receiver.ts"
import { drained, onlyTo, readSystem, until } from "../help/system-ledger.ts"
import { call, createWebhook, newSecret, startWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

const ROTATIONS = 8
const BETWEEN_MS = 400
const RATE = 150
/** Requests that a producer has under way. */
const AT_A_TIME = 16

/** Which secrets verify a request, by their place in a list. */
function verifiedBy({ headers, body }: Received, secrets: readonly string[]): number[] {
  const given = String(headers["webhook-signature"]).split(" ")
  const at = new Date(Number(headers["webhook-timestamp"]) * 1_000)
  return secrets.flatMap((secret, i) =>
    given.includes(new Webhook(secret).sign(String(headers["webhook-id"]), at, body.toString())) ? [i] : [],
  )
}

test("every request verifies while secrets are rotated under load, and a revoked key loses nothing", {
  timeout: 120_000,
}, async t => {
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const waybill = await startWaybill(t, { dataDir })
  const policy = { max_concurrent: 20, retry_delays_ms: Array<number>(10).fill(100), protection: { enabled: false } }
  // Knows its first secret for good, which stays valid by its grace.
  const first = newSecret()
  const graced = await startReceiver(t, {
    folder,
    name: "graced",
    secret: first,
    seed: 1,
    manners: { "/graced": { failing: { share: 0.1, status: 503 } } },
  })
  const gracedId = await createWebhook(waybill, { name: "graced", url: graced.url("/graced"), secret: first, policy })
  // Changes over at once.
  await using strict = await Endpoint.open()
  const secrets = [newSecret()]
  const strictId = await createWebhook(waybill, { name: "strict", url: strict.url(), secret: secrets[0] ?? "", policy })
  const { id: keyId, key } = (await call(waybill, "POST", "/v1/api-keys", { name: "to be revoked" })) as {
    id: string
    key: string
  }
  const given = {
    folder,
    url: waybill.url,
    seed: 1,
    types: ["order.paid"],
    concurrency: AT_A_TIME,
    perSecond: RATE / 2,
  }
  const producer = await startProducer(t, { ...given, name: "stays", key: testKey })
  const leaving = await startProducer(t, { ...given, name: "leaves", key })

  /** From so many requests on, which secret is the one that signs. */
  const changes: { readonly before: number; readonly after: number }[] = []
  for (let i = 0; i < ROTATIONS; i++) {
    await wait(BETWEEN_MS)
    const secret = newSecret()
    const before = strict.requests.length
    await call(waybill, "POST", `/v1/integrations/${strictId}/rotate-secret`, { secret, grace_seconds: 0 })
    secrets.push(secret)
    changes.push({ before, after: strict.requests.length })
    await call(waybill, "POST", `/v1/integrations/${gracedId}/rotate-secret`, { grace_seconds: 3_600 })
    await call(waybill, "PATCH", `/v1/integrations/${strictId}`, {
      config: { production: { url: strict.url(), authorization: `Token ${i}` } },
    })
  }
  await call(waybill, "DELETE", `/v1/api-keys/${keyId}`)
  /** Resolves when so many requests with the revoked key have been refused; gives how many events were taken by then. */
  const refused = async (count: number) => {
    await until(`${count} requests are refused`, 10_000, async () => (await leaving.progress()).failed >= count)
    return (await leaving.progress()).acknowledged
  }
  // By then what was under way when it was revoked has been answered.
  const taken = await refused(2 * AT_A_TIME)
  assert.equal(
    await refused(4 * AT_A_TIME),
    taken,
    "what comes with the revoked key is refused, and none is taken any more",
  )
  await producer.stop()
  await drained(dataDir, 30_000)
  waybill.kill("SIGTERM")
  await waybill.stopped
  await graced.stop()

  const account = settleAccounts({
    producer: [...producer.entries(), ...leaving.entries()],
    destinations: [{ id: gracedId, name: "graced", receipts: graced.receipts() }],
    system: onlyTo(readSystem(dataDir), [parseId("int", gracedId) ?? 0]),
    kills: [],
  })
  t.diagnostic(accountLine(account, 0))
  t.diagnostic(`${strict.requests.length} requests to the one that changes over at once, ${ROTATIONS} rotations each`)
  assert.deepEqual(faultsOf(account), [], "each of them verifies with the first secret, among others")
  assert.equal(account.delivered, account.accepted)
  const unverified = strict.requests.filter(request => verifiedBy(request, secrets).length !== 1)
  assert.deepEqual(unverified, [], "each of them verifies with exactly one")
  for (const [i, request] of strict.requests.entries()) {
    const [by = -1] = verifiedBy(request, secrets)
    // Requests that were under way while the call was may bear either.
    const least = changes.filter(({ after }) => after + policy.max_concurrent <= i).length
    const most = changes.filter(({ before }) => before <= i).length
    assert.ok(by >= least && by <= most, `request ${i} is signed with secret ${by}, not ${least} to ${most}`)
  }
  assert.ok(strict.requests.some(({ headers }) => headers["authorization"] === `Token ${ROTATIONS - 1}`))
})
