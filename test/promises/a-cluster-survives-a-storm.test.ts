/**
 * Three processes share one PostgreSQL while they are killed, stopped in their tracks and left without their database, in an
 * order and at moments drawn from a seed, which is printed; `PROMISES_SEED=<seed>` draws the same again. Producers send to
 * all three of them. In the end all ledgers are held against each other: nothing lost, no order broken, no limit exceeded.
 */
import assert from "node:assert/strict"
import { randomInt } from "node:crypto"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { parseId } from "../../src/domain/id.ts"
import { LEASE_MS } from "../../src/store/postgres-nodes.ts"
import { startCluster } from "../help/cluster.ts"
import { seeded } from "../help/json-writer.ts"
import { accountLine, faultsOf, settleAccounts } from "../help/ledgers.ts"
import { disorderAcross } from "../help/order-across.ts"
import { busiestTenSeconds } from "../help/pace.ts"
import { startPostgres } from "../help/postgres.ts"
import { startProducer } from "../help/producer.ts"
import { startReceiver } from "../help/receiver.ts"
import { until } from "../help/system-ledger.ts"
import { isTalliedText, wrongArrivals } from "../help/tallies.ts"
import { createWebhook, newSecret, temporaryFolder, testKey } from "../help/waybill.ts"

const EVENTS = 20_400
const INTEGRATIONS = 20
/** Events a second of each of the three producers. */
const PER_SECOND = 150
const KEYS = 40
/** Requests a second of the limited ones: as much as comes in for them, so that what an outage has piled up stays a while. */
const RATE = 45
const DRAIN_LIMIT_MS = 180_000
const TALLY_LIMIT_MS = 30_000

/** What happens in each storm, and how often at least: processes fall asleep for less than their lease lasts, or for more. */
const faults = [
  ...["kill", "kill", "kill", "kill", "database", "database"],
  ...["nap", "nap", "long sleep", "long sleep"],
] as const
const asleepMs = { nap: [1_000, 5_000], "long sleep": [LEASE_MS + 500, LEASE_MS + 2_000] } as const

test("three processes over one database lose nothing, break no order and exceed no limit, whatever is killed", {
  timeout: 500_000,
}, async t => {
  const seed = Number(process.env["PROMISES_SEED"] ?? randomInt(1_000_000))
  const random = seeded(seed)
  const folder = temporaryFolder(t)
  const secret = newSecret()
  // Durable, as an operator's is: it is stopped in the middle of its work.
  const server = await startPostgres({ quick: false })
  t.after(() => server.stop())
  const cluster = await startCluster(t, server, { nodes: 3 })
  const [first] = cluster.nodes
  assert.ok(first)
  const receiver = await startReceiver(t, { folder, name: "all", secret, seed, manners: manners() })
  const destinations: { id: string; name: string; path: string }[] = []
  for (let i = 0; i < INTEGRATIONS; i++) {
    const path = `/${nameOf(i)}`
    // Each kind of event goes to two of them.
    const types = { [`kind.${i}`]: {}, [`kind.${(i + 1) % INTEGRATIONS}`]: {} }
    const given = { name: nameOf(i), url: receiver.url(path), secret, policy: policyOf(i) }
    const id = await createWebhook(first.waybill, { ...given, events: { default: "off", types } })
    destinations.push({ id, name: nameOf(i), path })
  }
  const producers = await Promise.all(
    cluster.nodes.map(({ url }, i) =>
      startProducer(t, {
        folder,
        name: `node${i}-${seed}`,
        url,
        key: testKey,
        seed: seed + i,
        types: Array.from({ length: INTEGRATIONS }, (_, kind) => `kind.${kind}`),
        concurrency: 24,
        perSecond: PER_SECOND,
        keys: KEYS,
      }),
    ),
  )
  const from = performance.now()
  const acknowledged = async (): Promise<number> =>
    (await Promise.all(producers.map(producer => producer.progress()))).reduce(
      (sum, each) => sum + each.acknowledged,
      0,
    )

  const crashes: number[] = []
  const done: Record<string, number> = {}
  const between = (least: number, most: number) => least + random() * (most - least)
  const ahead: string[] = faults.toSorted(() => random() - 0.5)
  while ((await acknowledged()) < EVENTS || ahead.length > 0) {
    await wait(between(500, 1_500))
    const what = ahead.shift() ?? faults[Math.floor(random() * faults.length)] ?? "kill"
    const node = cluster.nodes[Math.floor(random() * cluster.nodes.length)]
    assert.ok(node)
    done[what] = (done[what] ?? 0) + 1
    crashes.push(Date.now())
    if (what === "kill") await node.kill()
    else if (what === "database") await server.restart()
    else {
      node.waybill.kill("SIGSTOP")
      const [least, most] = asleepMs[what as keyof typeof asleepMs]
      await wait(between(least, most))
      node.waybill.kill("SIGCONT")
    }
  }
  const stormMs = performance.now() - from
  for (const producer of producers) await producer.stop()
  await cluster.drained(DRAIN_LIMIT_MS)
  await until("all is tallied", TALLY_LIMIT_MS, async () => {
    const [found] = await cluster.query<{ tallied: boolean }>(isTalliedText)
    return found?.tallied === true
  })
  const calmMs = performance.now() - from - stormMs
  const ends = await Promise.all(cluster.nodes.map(node => node.stop()))
  assert.deepEqual(
    ends.map(({ code }) => code),
    [0, 0, 0],
  )
  await receiver.stop()
  const receipts = Map.groupBy(receiver.receipts(), ({ path }) => path)
  const entries = producers.flatMap(producer => producer.entries())
  const system = await cluster.read()
  const account = settleAccounts({
    producer: entries,
    destinations: destinations.map(({ id, name, path }) => ({ id, name, receipts: receipts.get(path) ?? [] })),
    system,
    kills: crashes,
  })
  t.diagnostic(accountLine(account, crashes.length))
  t.diagnostic(
    `seed ${seed}, three processes: ${Object.entries(done)
      .map(([what, count]) => `${count} × ${what}`)
      .join(", ")}; ${account.interrupted} attempts interrupted`,
  )
  t.diagnostic(`a storm of ${Math.round(stormMs / 1_000)} s, all delivered ${Math.round(calmMs / 1_000)} s after it`)
  assert.deepEqual(faultsOf(account), [])
  assert.ok(account.accepted >= 20_000, `${account.accepted} events`)
  assert.equal(account.delivered, account.accepted, "every event arrived everywhere")
  assert.deepEqual(await wrongArrivals(text => cluster.query(text)), {}, "the tallies are the sums of the rows")
  for (const { id, name, path } of destinations) {
    const own = receipts.get(path) ?? []
    if (isOrdered(name)) assert.deepEqual(disorderAcross(own, entries), [], name)
    if (!isLimited(name)) continue
    const most = busiestTenSeconds(parseId("int", id), system, own)
    assert.ok(most <= RATE * 1.05 * 10, `${name}: ${most} in 10 s`)
  }
})

/** The first five deliver in order, the next five no faster than their limit, two fail now and then, one dawdles. */
function nameOf(i: number): string {
  const kind = i < 5 ? "ordered" : i < 10 ? "limited" : i < 12 ? "flaky" : i < 13 ? "slow" : "plain"
  return `${kind}-${i}`
}

function isOrdered(name: string): boolean {
  return name.startsWith("ordered")
}

function isLimited(name: string): boolean {
  return name.startsWith("limited")
}

function policyOf(i: number): Record<string, unknown> {
  const name = nameOf(i)
  const retries = Array<number>(40).fill(500)
  return {
    max_concurrent: 20,
    retry_delays_ms: retries,
    protection: { rest_ms: 300, longest_rest_ms: 1_000 },
    ...(isOrdered(name) ? { ordered: true } : {}),
    ...(isLimited(name) ? { max_per_second: RATE } : {}),
  }
}

function manners() {
  const all = Array.from({ length: INTEGRATIONS }, (_, i) => nameOf(i))
  return Object.fromEntries(
    all.map(name => [
      `/${name}`,
      name.startsWith("flaky")
        ? { failing: { share: 0.2, status: 503 } }
        : name.startsWith("slow")
          ? { delayMs: [20, 150] as const }
          : {},
    ]),
  )
}
