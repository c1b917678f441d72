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
import { accountLine, faultsOf, settleAccounts } from "../help/ledgers.ts"
import { disorderIn } from "../help/order.ts"
import { startProducer } from "../help/producer.ts"
import { startReceiver } from "../help/receiver.ts"
import { countClaims, countOpen, drained, queryDatabase, readSystem, until } from "../help/system-ledger.ts"
import { call, createWebhook, newSecret, stablePort, startWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

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
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const secret = newSecret()
  const port = await stablePort()
  let waybill = await startWaybill(t, { dataDir, port })
  const destinations = await Promise.all(
    Object.entries(places).map(async ([name, { manner, policy }], i) => {
      const receiver = await startReceiver(t, {
        folder,
        name,
        secret,
        seed: seed + i,
        manners: { [`/${name}`]: manner },
      })
      return {
        name,
        receiver,
        id: await createWebhook(waybill, { name, url: receiver.url(`/${name}`), secret, policy }),
      }
    }),
  )
  const producer = await startProducer(t, {
    folder,
    name: `run${seed}`,
    url: waybill.url,
    key: testKey,
    seed,
    types: ["order.paid"],
    concurrency: 64,
    keys: KEYS,
  })

  const kills: number[] = []
  let interrupted = 0
  for (let i = 1; i <= KILLS; i++) {
    await producer.acknowledged((i * EVENTS) / (KILLS + 1))
    await wait(50 + random() * 500)
    waybill.kill("SIGKILL")
    kills.push(Date.now())
    await waybill.stopped
    interrupted += countClaims(dataDir)
    waybill = await startWaybill(t, { dataDir, port })
  }
  await producer.acknowledged(EVENTS)
  await producer.stop()

  // All that is left is the key that failed: its first, and those behind it.
  const strict = parseId("int", destinations[1]?.id ?? "") ?? 0
  const behind = () =>
    queryDatabase<{ key: string; n: number }>(
      dataDir,
      "select ordering_key as key, count(*) as n from delivery where integration_id = ? and in_line = 2 group by 1",
      strict,
    )
  await until("only what is behind the failed one waits", DRAIN_LIMIT_MS, () => {
    const [held, ...others] = behind()
    return held?.key === BAD_KEY && others.length === 0 && held.n === countOpen(dataDir)
  })
  t.diagnostic(`${behind()[0]?.n} events of ${BAD_KEY} waited for a person`)
  const blocking = (await call(waybill, "GET", `/v1/deliveries?integration=${destinations[1]?.id}&status=failed`)) as {
    data: { id: string; blocks_key: boolean }[]
  }
  assert.deepEqual(
    blocking.data.map(({ blocks_key }) => blocks_key),
    [true],
  )
  await destinations[1]?.receiver.behave("/strict", {})
  await call(waybill, "POST", `/v1/deliveries/${blocking.data[0]?.id}/retry`)
  await drained(dataDir, DRAIN_LIMIT_MS)
  waybill.kill("SIGTERM")
  assert.deepEqual(await waybill.stopped, { code: 0, signal: null })
  await Promise.all(destinations.map(({ receiver }) => receiver.stop()))

  const account = settleAccounts({
    producer: producer.entries(),
    destinations: destinations.map(({ id, name, receiver }) => ({ id, name, receipts: receiver.receipts() })),
    system: readSystem(dataDir),
    kills,
  })
  t.diagnostic(accountLine(account, kills.length))
  t.diagnostic(`seed ${seed}; ${account.interrupted} attempts interrupted`)
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.delivered, account.accepted)
  assert.equal(account.interrupted, interrupted, "what was under way at the kills, and nothing else")
  assert.ok(interrupted > KEYS, `${interrupted} attempts were interrupted`)
  for (const { name, receiver } of destinations) {
    assert.equal(new Set(receiver.receipts().map(({ key }) => key)).size, KEYS)
    assert.deepEqual(disorderIn(receiver.receipts()), [], name)
  }
})
