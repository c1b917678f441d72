/**
 * The promise that everything else rests on. A producer sends as fast as it can, the program is killed with SIGKILL again
 * and again under full load and started anew, and in the end the ledgers of the producer, of the receivers and of the
 * program itself are held against each other: nothing lost, nothing made up, every repeat explained by a kill.
 *
 * The kills fall at times drawn from a seed, which is printed; `PROMISES_SEED=<seed>` draws the same times again.
 */
import assert from "node:assert/strict"
import { randomInt } from "node:crypto"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { isRed, reasonCodes } from "../../src/domain/reason.ts"
import { seeded } from "../help/json-writer.ts"
import { accountLine, faultsOf, settleAccounts } from "../help/ledgers.ts"
import { startProducer } from "../help/producer.ts"
import { type Manner, startReceiver } from "../help/receiver.ts"
import { countClaims, drained, readSystem, wrongStatuses, wrongTallies } from "../help/system-ledger.ts"
import { createWebhook, newSecret, stablePort, startWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

const KILLS = 12
const EVENTS = 21_000
const CONCURRENCY = 96
/** Of the producer, at each kill; what Waybill has under way to its receivers comes on top. */
const LEAST_IN_FLIGHT = 50
/** A kill comes up to so long after its share of the events is through. */
const UP_MS = 1_000
const DRAIN_LIMIT_MS = 60_000

/** Each fails or dawdles in a way of its own; one is told of a third of the events only. */
const places: Readonly<
  Record<string, { manner: Manner; policy?: Readonly<Record<string, unknown>>; events?: Readonly<Record<string, unknown>> }>
> = {
  healthy: { manner: {}, policy: { max_concurrent: 50 } },
  flaky: {
    manner: { failing: { share: 1 / 3, status: 503 } },
    policy: { max_concurrent: 50, retry_delays_ms: [50, 100, 200, 400], jitter: 0.1 },
  },
  slow: { manner: { delayMs: [40, 120] }, policy: { max_concurrent: 200 } },
  choosy: { manner: {}, events: { default: "off", types: { "order.*": {}, "order.paid": {} } } },
}

test("an event answered with 202 survives kill -9 under load, and reaches everyone who is to get it", {
  timeout: 240_000,
}, async t => {
  const seed = Number(process.env["PROMISES_SEED"] ?? randomInt(1_000_000))
  const random = seeded(seed)
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const secret = newSecret()
  const receivers = await Promise.all(
    Object.entries(places).map(async ([name, { manner }], i) => {
      const receiver = await startReceiver({ folder, name, secret, seed: seed + i, manners: { [`/${name}`]: manner } })
      return { name, receiver }
    }),
  )
  const port = await stablePort()
  let waybill = await startWaybill({ dataDir, port })
  t.after(() => waybill.kill("SIGKILL"))
  const integrations = await Promise.all(
    receivers.map(async ({ name, receiver }) => {
      const url = receiver.url(`/${name}`)
      return { id: await createWebhook(waybill, { name, url, secret, ...places[name] }), name, receiver }
    }),
  )
  const producer = await startProducer({
    folder,
    name: `run${seed}`,
    url: waybill.url,
    key: testKey,
    seed,
    types: ["order.paid", "user.created", "user.deleted"],
    concurrency: CONCURRENCY,
    givesUp: 0.2,
  })

  const kills: { at: number; ingest: number; deliveries: number }[] = []
  const kill = async (): Promise<void> => {
    const { inFlight } = await producer.progress()
    waybill.kill("SIGKILL")
    const at = Date.now()
    await waybill.stopped
    kills.push({ at, ingest: inFlight, deliveries: countClaims(dataDir) })
    waybill = await startWaybill({ dataDir, port })
  }
  for (let i = 1; i <= KILLS; i++) {
    await producer.acknowledged((i * EVENTS) / (KILLS + 1))
    await wait(random() * UP_MS)
    await kill()
  }
  await producer.acknowledged(EVENTS)
  await producer.stop()
  await kill()
  const last = 0

  const drainFrom = performance.now()
  await drained(dataDir, DRAIN_LIMIT_MS)
  const drainMs = performance.now() - drainFrom
  waybill.kill("SIGTERM")
  assert.deepEqual(await waybill.stopped, { code: 0, signal: null })
  await Promise.all(receivers.map(({ receiver }) => receiver.stop()))

  const account = settleAccounts({
    producer: producer.entries(),
    destinations: integrations.map(({ id, name, receiver }) => ({ id, name, receipts: receiver.receipts() })),
    system: readSystem(dataDir),
    kills: kills.map(({ at }) => at),
  })
  t.diagnostic(accountLine(account, kills.length))
  t.diagnostic(`seed ${seed} · in flight at the kills: ${kills.map(k => `${k.ingest}+${k.deliveries}`).join(", ")}`)
  for (const f of faultsOf(account)) t.diagnostic(f)
  t.diagnostic(JSON.stringify(wrongStatuses(dataDir, reasonCodes.filter(isRed)).slice(0,5)))
  t.diagnostic(JSON.stringify(wrongTallies(dataDir).slice(0,5)))
  t.diagnostic(`interrupted ${account.interrupted} claims ${kills.reduce((s,k)=>s+k.deliveries,0)+last}`)
  t.diagnostic(`drained in ${(drainMs / 1_000).toFixed(1)} s · ${JSON.stringify(account.byDestination)}`)
})
