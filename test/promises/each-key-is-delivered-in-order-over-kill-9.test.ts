/**
 * Ordered delivery under the worst: fifty keys, a receiver that fails and dawdles, SIGKILL again and again. Each key comes
 * in the order in which its events were accepted: a repeat only ever of the one in front, never an older one after a newer,
 * and none before the one in front of it was accepted. A key that fails holds back itself and no other.
 *
 * The kills fall at times drawn from a seed, which is printed; `PROMISES_SEED=<seed>` draws the same times again.
 */
import assert from "node:assert/strict"
import { randomInt } from "node:crypto"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { parseId } from "../../src/domain/id.ts"
import { seeded } from "../help/json-writer.ts"
import { accountLine, faultsOf } from "../help/ledgers.ts"
import { disorderIn } from "../help/order.ts"
import { Scene } from "../help/scene.ts"
import { countClaims, countOpen, drained, queryDatabase, until } from "../help/system-ledger.ts"
import { call } from "../help/waybill.ts"

const KEYS = 50
const EVENTS = 3_000
const KILLS = 5
const DRAIN_LIMIT_MS = 90_000
/** Refused by the strict receiver until somebody has mended it. */
const BAD_KEY = "key-7"

const ordered = { ordered: true, max_concurrent: KEYS, protection: { enabled: false } }
const places = {
  flaky: {
    manner: { failing: { share: 0.2, status: 503 }, delayMs: [0, 8] },
    policy: { ...ordered, retry_delays_ms: Array<number>(12).fill(40) },
  },
  strict: {
    manner: { keys: { [BAD_KEY]: 422 } },
    policy: { ...ordered, ordered_on_failure: "stop", stop: "422" },
  },
} as const

test("each of fifty keys is delivered in order over kill -9, and a key that fails holds back only itself", {
  timeout: 240_000,
}, async t => {
  const seed = Number(process.env["PROMISES_SEED"] ?? randomInt(1_000_000))
  const random = seeded(seed)
  const scene = await Scene.open(t, seed)
  const { dataDir } = scene
  await scene.take("flaky", places.flaky)
  const { id: strictId, receiver: strict } = await scene.take("strict", places.strict)
  const producer = await scene.produce({ concurrency: 64, keys: KEYS })

  const kills: number[] = []
  let interrupted = 0
  for (let i = 1; i <= KILLS; i++) {
    await producer.acknowledged((i * EVENTS) / (KILLS + 1))
    await wait(50 + random() * 500)
    scene.waybill.kill("SIGKILL")
    kills.push(Date.now())
    await scene.waybill.stopped
    interrupted += countClaims(dataDir)
    await scene.start()
  }
  await producer.acknowledged(EVENTS)
  await producer.stop()

  // All that is left is the key that failed: its first, and those behind it.
  const behind = () =>
    queryDatabase<{ key: string; n: number }>(
      dataDir,
      "select ordering_key as key, count(*) as n from delivery where integration_id = ? and in_line = 2 group by 1",
      parseId("int", strictId) ?? 0,
    )
  await until("only what is behind the failed one waits", DRAIN_LIMIT_MS, () => {
    const [held, ...others] = behind()
    return held?.key === BAD_KEY && others.length === 0 && held.n === countOpen(dataDir)
  })
  t.diagnostic(`${behind()[0]?.n} events of ${BAD_KEY} waited for a person`)
  const blocking = (await call(scene.waybill, "GET", `/v1/deliveries?integration=${strictId}&status=failed`)) as {
    data: { id: string; blocks_key: boolean }[]
  }
  assert.deepEqual(
    blocking.data.map(({ blocks_key }) => blocks_key),
    [true],
  )
  await strict.behave("/strict", {})
  await call(scene.waybill, "POST", `/v1/deliveries/${blocking.data[0]?.id}/retry`)
  await drained(dataDir, DRAIN_LIMIT_MS)

  const account = await scene.settle(producer, kills)
  t.diagnostic(accountLine(account, kills.length))
  t.diagnostic(`seed ${seed}; ${account.interrupted} attempts interrupted`)
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.delivered, account.accepted)
  assert.equal(account.interrupted, interrupted, "what was under way at the kills, and nothing else")
  assert.ok(interrupted > KEYS, `${interrupted} attempts were interrupted`)
  for (const { name, receiver } of scene.taken) {
    assert.equal(new Set(receiver.receipts().map(({ key }) => key)).size, KEYS)
    assert.deepEqual(disorderIn(receiver.receipts()), [], name)
  }
})
