/**
 * What an operator does at every update: SIGTERM while events come in and deliveries are under way. What is under way
 * ends and is noted, what waits stays, and the next start goes on with it: nothing is lost, and nothing sent twice.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { faultsOf } from "../help/ledgers.ts"
import { Scene } from "../help/scene.ts"
import { countClaims, drained } from "../help/system-ledger.ts"

const STOPS = 3
const EVENTS_BETWEEN = 1_000
/** Of the slow receiver: within the 10 s that a stop gives to what is under way. */
const SLOWEST_MS = 1_000
const STOP_LIMIT_MS = 12_000

test("an orderly stop under load loses nothing, repeats nothing and ends with 0", { timeout: 120_000 }, async t => {
  const scene = await Scene.open(t)
  const { dataDir } = scene
  await scene.take("quick", { manner: { delayMs: [0, 5] }, policy: { max_concurrent: 50 } })
  await scene.take("slow", { manner: { delayMs: [200, SLOWEST_MS] }, policy: { max_concurrent: 1_000 } })
  const producer = await scene.produce({ concurrency: 64, perSecond: 600 })

  const stops: string[] = []
  for (let i = 1; i <= STOPS; i++) {
    await producer.acknowledged(i * EVENTS_BETWEEN)
    const [{ inFlight }, claims] = [await producer.progress(), countClaims(dataDir)]
    const from = performance.now()
    await scene.stop()
    const tookMs = performance.now() - from
    assert.ok(tookMs < STOP_LIMIT_MS, `the stop took ${tookMs} ms`)
    assert.equal(countClaims(dataDir), 0, "nothing is left in the middle")
    stops.push(`${inFlight}+${claims} in ${(tookMs / 1_000).toFixed(1)} s`)
    await scene.start()
  }
  await producer.stop()
  await drained(dataDir, 60_000)

  const account = await scene.settle(producer)
  t.diagnostic(`${account.accepted} events; under way at the stops (ingest + deliveries): ${stops.join(", ")}`)
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.delivered, account.accepted)
  assert.equal(account.recovered, 0, "whatever was stored was answered")
  assert.equal(account.interrupted, 0, "what was under way was brought to its end")
  assert.equal(account.duplicates, 0)
})
