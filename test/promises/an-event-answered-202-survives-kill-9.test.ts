/**
 * The promise that everything else rests on. A producer sends as fast as it can, the program is killed with SIGKILL again
 * and again under that load and started anew, and in the end the ledgers of the producer, of the receivers and of the
 * program itself are held against each other: nothing lost, nothing made up, every repeat explained by a kill.
 *
 * The kills fall at times drawn from a seed, which is printed; `PROMISES_SEED=<seed>` draws the same times again.
 */
import assert from "node:assert/strict"
import { randomInt } from "node:crypto"
import { cpus } from "node:os"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { isRed, reasonCodes } from "../../src/domain/reason.ts"
import { seeded } from "../help/json-writer.ts"
import { accountLine, faultsOf } from "../help/ledgers.ts"
import { type Place, Scene } from "../help/scene.ts"
import { countClaims, drained, tallied, wrongStatuses, wrongTallies } from "../help/system-ledger.ts"

const EVENTS = 21_000
/** So many fall while the producer sends, one more while what is left goes out. */
const KILLS = 12
/** A kill comes so long after its share of the events is through and the start before it, at the least and at the most. */
const WAIT_MS = { least: 50, most: 1_000 } as const
/** Requests of the producer at a time. */
const CONCURRENCY = 96
const DRAIN_LIMIT_MS = 90_000
/** Restart included, on a machine that has much else to do. */
const RECOVERY_LIMIT_MS = 15_000

/** Each destination fails or dawdles in a way of its own; some are told of a part of the events only. */
const places: Readonly<Record<string, Place>> = {
  healthy: { manner: {}, policy: { max_concurrent: 50 } },
  flaky: {
    manner: { failing: { share: 1 / 3, status: 503 } },
    // Protection, which opens by chance at such an endpoint, would leave everything waiting for half a minute in the end.
    policy: { max_concurrent: 100, retry_delays_ms: [50, 100, 200, 400], protection: { enabled: false } },
    events: { default: "off", types: { "order.paid": {}, "user.created": {} } },
  },
  // Down until the producer has ended: protection is at work at every kill.
  down: {
    manner: { failing: { share: 1, status: 500 } },
    policy: {
      max_concurrent: 100,
      retry_delays_ms: Array.from({ length: 40 }, () => 500),
      protection: { rest_ms: 200, longest_rest_ms: 1_000 },
    },
    events: { default: "off", types: { "user.deleted": {} } },
  },
  slow: { manner: { delayMs: [40, 120] }, policy: { max_concurrent: 200 } },
  choosy: { manner: {}, policy: { max_concurrent: 50 }, events: { default: "off", types: { "order.paid": {} } } },
}

/** A kill, and what was under way when it came. */
interface Kill {
  readonly at: number
  /** Requests of the producer without an answer. */
  readonly ingest: number
  /** Deliveries that were being sent. */
  readonly deliveries: number
}

test("an event answered with 202 survives kill -9 under load and reaches everyone who is to get it", {
  timeout: 240_000,
}, async t => {
  const seed = Number(process.env["PROMISES_SEED"] ?? randomInt(1_000_000))
  const random = seeded(seed)
  const scene = await Scene.open(t, seed)
  const { dataDir } = scene
  for (const [name, place] of Object.entries(places)) await scene.take(name, place)
  const producer = await scene.produce({
    types: ["order.paid", "user.created", "user.deleted"],
    concurrency: CONCURRENCY,
    givesUp: 0.2,
  })

  const kills: Kill[] = []
  const killAndRestart = async (ingest: number): Promise<void> => {
    scene.waybill.kill("SIGKILL")
    const at = Date.now()
    await scene.waybill.stopped
    kills.push({ at, ingest, deliveries: countClaims(dataDir) })
    await scene.start()
  }
  for (let i = 1; i <= KILLS; i++) {
    await producer.acknowledged((i * EVENTS) / (KILLS + 1))
    await wait(WAIT_MS.least + random() * (WAIT_MS.most - WAIT_MS.least))
    await killAndRestart((await producer.progress()).inFlight)
  }
  await producer.acknowledged(EVENTS)
  await producer.stop()
  await scene.taken.find(({ name }) => name === "down")?.receiver.behave("/down", {})
  await killAndRestart(0)
  await drained(dataDir, DRAIN_LIMIT_MS)
  await tallied(dataDir)

  const account = await scene.settle(
    producer,
    kills.map(({ at }) => at),
  )
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.versions.node}, synchronous=FULL`
  t.diagnostic(accountLine(account, kills.length))
  t.diagnostic(`seed ${seed}, ${machine}`)
  t.diagnostic(
    `in flight at the kills (ingest + deliveries): ${kills.map(k => `${k.ingest}+${k.deliveries}`).join(", ")}; ` +
      `${account.interrupted} attempts interrupted, the last of them tried again ${account.maxRetryMs} ms after its kill`,
  )
  t.diagnostic(JSON.stringify(account.byDestination))

  assert.deepEqual(faultsOf(account), [])
  assert.ok(account.accepted >= 20_000, `${account.accepted} events`)
  assert.ok(
    kills.filter(({ ingest, deliveries }) => ingest + deliveries >= 50).length >= 10,
    "ten kills or more with fifty requests in flight or more",
  )
  assert.equal(
    account.interrupted,
    kills.reduce((sum, kill) => sum + kill.deliveries, 0),
    "what was under way at the kills is recorded as interrupted, and nothing else",
  )
  assert.equal(account.pending + account.skipped, 0, "nothing is left waiting")
  assert.ok(account.maxRecoveryMs < RECOVERY_LIMIT_MS, `${account.maxRecoveryMs} ms to the first request after a kill`)
  assert.deepEqual(wrongStatuses(dataDir, reasonCodes.filter(isRed)), [], "the column says what the deliveries say")
  assert.deepEqual(wrongTallies(dataDir), [], "the tallies are the sums of the rows")
})
