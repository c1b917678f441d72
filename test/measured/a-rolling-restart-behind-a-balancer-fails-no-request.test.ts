/**
 * What an operator does at every upgrade: three processes over one PostgreSQL, behind a balancer, are restarted one after
 * the other while events come in (F-06). The balancer sends nothing twice, and yet no request fails: a process that is to
 * go says so and takes events until the balancer has noticed. What it sends for goes over to the others in order: nothing
 * is lost, nothing sent twice, and order and limits hold across every handover.
 *
 * `PROMISES_RESTARTS=50` restarts that often, which is as often as the fault matrix wants it tried.
 */
import assert from "node:assert/strict"
import { randomInt } from "node:crypto"
import test from "node:test"
import { parseId } from "../../src/domain/id.ts"
import { startBalancer } from "../help/balancer.ts"
import { startCluster } from "../help/cluster.ts"
import { accountLine, faultsOf, settleAccounts } from "../help/ledgers.ts"
import { disorderAcross } from "../help/order-across.ts"
import { busiestTenSeconds } from "../help/pace.ts"
import { startPostgres } from "../help/postgres.ts"
import { startProducer } from "../help/producer.ts"
import { type Receipt, startReceiver } from "../help/receiver.ts"
import { createWebhook, newSecret, temporaryFolder, testKey } from "../help/waybill.ts"

/** How often a process is restarted, one after the other: each of them once, unless it is asked for more. */
const RESTARTS = Number(process.env["PROMISES_RESTARTS"] ?? 3)
const INTEGRATIONS = 8
/** Events a second, each of which goes to one integration. */
const PER_SECOND = 200
const KEYS = 30
/** Requests a second of the limited ones. */
const RATE = 30
/** Requests at a time of those that dawdle. */
const AT_ONCE = 4
const DRAIN_SECONDS = 2
const CHECK_EVERY_MS = 200
/** Beside the drain: what is under way takes no longer than the slowest receiver. */
const STOP_LIMIT_MS = DRAIN_SECONDS * 1_000 + 3_000
/** On a machine that is busy otherwise, those that dawdle fall behind as long as events come in. */
const EMPTY_LIMIT_MS = 20_000 + 4_000 * RESTARTS

test("processes behind a balancer are restarted one after the other under load and no request fails", {
  timeout: 40_000 * RESTARTS,
}, async t => {
  const seed = Number(process.env["PROMISES_SEED"] ?? randomInt(1_000_000))
  const folder = temporaryFolder(t)
  const secret = newSecret()
  const server = await startPostgres()
  t.after(() => server.stop())
  const cluster = await startCluster(t, server, { nodes: 3, env: { WAYBILL_DRAIN_SECONDS: String(DRAIN_SECONDS) } })
  const upstreams = cluster.nodes.map(({ url }) => url)
  const balancer = await startBalancer(t, { upstreams, everyMs: CHECK_EVERY_MS })
  const manners = Object.fromEntries(
    Array.from({ length: INTEGRATIONS }, (_, i) => [
      `/${nameOf(i)}`,
      isSlow(nameOf(i)) ? { delayMs: [20, 200] as const } : {},
    ]),
  )
  const receiver = await startReceiver(t, { folder, name: "all", secret, seed, manners })
  const destinations: { id: string; name: string; path: string }[] = []
  for (let i = 0; i < INTEGRATIONS; i++) {
    const name = nameOf(i)
    const path = `/${name}`
    const events = { default: "off", types: { [`kind.${i}`]: {} } }
    const given = { name, url: receiver.url(path), secret, policy: policyOf(name), events }
    destinations.push({ id: await createWebhook({ url: balancer.url, key: testKey }, given), name, path })
  }
  const producer = await startProducer(t, {
    folder,
    name: `run${seed}`,
    url: balancer.url,
    key: testKey,
    seed,
    types: destinations.map((_, i) => `kind.${i}`),
    concurrency: 24,
    perSecond: PER_SECOND,
    keys: KEYS,
  })
  await producer.acknowledged(PER_SECOND)

  const stops: number[] = []
  while (stops.length < RESTARTS) {
    const node = cluster.nodes[stops.length % cluster.nodes.length]
    assert.ok(node)
    const from = performance.now()
    const { code } = await node.stop()
    stops.push(Math.round(performance.now() - from))
    assert.equal(code, 0)
    const { answered } = await balancer.state()
    await node.start()
    await balancer.ready(cluster.nodes.length)
    // It takes its part again.
    const enough = (answered[node.url] ?? 0) + 10
    while (((await balancer.state()).answered[node.url] ?? 0) < enough) {
      await producer.acknowledged((await producer.progress()).acknowledged + 10)
    }
  }
  await producer.stop()
  await cluster.drained(EMPTY_LIMIT_MS)
  const ends = await Promise.all(cluster.nodes.map(node => node.stop()))
  assert.deepEqual(
    ends.map(({ code }) => code),
    [0, 0, 0],
  )
  await receiver.stop()

  const receipts = Map.groupBy(receiver.receipts(), ({ path }) => path)
  const entries = producer.entries()
  const system = await cluster.read()
  const account = settleAccounts({
    producer: entries,
    destinations: destinations.map(({ id, name, path }) => ({ id, name, receipts: receipts.get(path) ?? [] })),
    system,
    kills: [],
  })
  const { broken } = await balancer.state()
  const refused = entries.filter(({ kind }) => kind === "fail" || kind === "unknown")
  t.diagnostic(accountLine(account, 0))
  t.diagnostic(`seed ${seed}; ${stops.length} restarts, stopped in ${Math.min(...stops)} to ${Math.max(...stops)} ms`)
  t.diagnostic(`${refused.length} of ${account.accepted} requests failed`)
  assert.deepEqual([broken.slice(0, 5), refused.slice(0, 5)], [[], []], "no request failed")
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.delivered, account.accepted, "every event arrived")
  assert.deepEqual([account.duplicates, account.interrupted], [0, 0], "nothing was cut off, nothing sent twice")
  assert.ok(Math.max(...stops) < STOP_LIMIT_MS, `a stop took ${Math.max(...stops)} ms`)
  for (const { id, name, path } of destinations) {
    const own = receipts.get(path) ?? []
    if (name.startsWith("ordered")) assert.deepEqual(disorderAcross(own, entries), [], name)
    if (name.startsWith("limited")) {
      const most = busiestTenSeconds(parseId("int", id), system, own)
      assert.ok(most <= RATE * 1.05 * 10, `${name}: ${most} in 10 s`)
    }
    if (isSlow(name)) assert.ok(mostAtOnce(own) <= AT_ONCE, `${name}: ${mostAtOnce(own)} at once`)
  }
})

function nameOf(i: number): string {
  return `${["plain", "ordered", "limited", "slow"][i % 4]}-${i}`
}

function isSlow(name: string): boolean {
  return name.startsWith("slow")
}

function policyOf(name: string): Record<string, unknown> {
  return {
    max_concurrent: isSlow(name) ? AT_ONCE : 20,
    ...(name.startsWith("ordered") ? { ordered: true } : {}),
    ...(name.startsWith("limited") ? { max_per_second: RATE } : {}),
  }
}

/** The most requests that were under way at one time. What ended in the same millisecond as another began came before it. */
function mostAtOnce(receipts: readonly Receipt[]): number {
  const turns = receipts.flatMap(({ at, repliedAt }) => [
    { at, by: 1 },
    { at: repliedAt, by: -1 },
  ])
  let [now, most] = [0, 0]
  for (const { by } of turns.toSorted((a, b) => a.at - b.at || a.by - b.by)) {
    now += by
    most = Math.max(most, now)
  }
  return most
}
