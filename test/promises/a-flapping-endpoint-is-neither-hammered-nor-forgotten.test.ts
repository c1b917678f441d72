/**
 * An endpoint that answers half of its requests with 500, and then all is well again: protection neither stays open for good
 * nor lets everything through; what it holds back is counted, and in the end every event has arrived.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { accountLine, faultsOf } from "../help/ledgers.ts"
import { Scene } from "../help/scene.ts"
import { drained, queryDatabase } from "../help/system-ledger.ts"
import { call } from "../help/waybill.ts"

/** Events a second. */
const RATE = 120
const FLAPPING_MS = 5_000
const RETRY_MS = 150
/** It may rest some twenty times meanwhile. */
const protection = { enabled: true, window_ms: 2_500, min_attempts: 10, rest_ms: 200, longest_rest_ms: 800 }

test("an endpoint that fails half of the time is left alone now and then, and gets everything in the end", {
  timeout: 150_000,
}, async t => {
  const scene = await Scene.open(t)
  const manner = { failing: { share: 0.6, status: 500 } }
  const policy = { protection, retry_delays_ms: Array<number>(50).fill(RETRY_MS), max_concurrent: 20 }
  const { id, receiver } = await scene.take("flapping", { manner, policy })
  const producer = await scene.produce({ concurrency: 8, perSecond: RATE })
  const states = new Set<string>()
  const until = Date.now() + FLAPPING_MS
  while (Date.now() < until) {
    const { protection: shown } = (await call(scene.waybill, "GET", `/v1/integrations/${id}`)) as {
      protection: { origins?: readonly { state: string }[] }
    }
    for (const { state } of shown.origins ?? []) states.add(state)
    await wait(25)
  }
  await receiver.behave("/flapping", {})
  await producer.stop()
  await drained(scene.dataDir, 60_000)

  const account = await scene.settle(producer)
  const [{ skips = 0 } = {}] = queryDatabase<{ skips: number }>(
    scene.dataDir,
    "select coalesce(sum(count), 0) as skips from delivery_tally where outcome = 'skipped'",
  )
  const requests = receiver.receipts().length
  t.diagnostic(accountLine(account, 0))
  t.diagnostic(`${requests} requests, ${skips} skips; it was ${[...states].join(", ")}`)
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.delivered, account.accepted)
  assert.ok(states.has("open") && (states.has("closed") || states.has("easing")), [...states].join())
  assert.ok(skips > 0, "what was held back is counted")
  // Without protection each event takes two and a half requests on average while six of ten fail.
  assert.ok(requests < account.accepted * 2.5, `${requests} requests for ${account.accepted} events`)
})
