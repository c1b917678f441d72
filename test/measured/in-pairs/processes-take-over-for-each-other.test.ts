/**
 * Three processes share one PostgreSQL. One is stopped in its tracks for longer than its lease and wakes up again, another is
 * killed: each time the others send on for it within ten seconds, and in the end all ledgers are held against each other.
 * What the one that was asleep still believed to be its own it could not write over what had happened since (F-07).
 */
import assert from "node:assert/strict"
import { randomInt } from "node:crypto"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { parseId } from "../../../src/domain/id.ts"
import { type Cluster, startCluster } from "../../help/cluster.ts"
import { accountLine, faultsOf, settleAccounts } from "../../help/ledgers.ts"
import { disorderIn } from "../../help/order.ts"
import { busiestTenSeconds } from "../../help/pace.ts"
import { startPostgres, withClient } from "../../help/postgres.ts"
import { startProducer } from "../../help/producer.ts"
import { type Receipt, startReceiver } from "../../help/receiver.ts"
import { createWebhook, newSecret, temporaryFolder, testKey } from "../../help/waybill.ts"

const INTEGRATIONS = 9
/** Events a second, each of which goes to one integration. */
const PER_SECOND = 180
const KEYS = 30
/** Requests a second of the limited ones. */
const RATE = 15
/** Longer than a lease lasts. */
const ASLEEP_MS = 9_000
const TAKEOVER_LIMIT_MS = 10_000
const DRAIN_LIMIT_MS = 30_000

test("whoever is stopped or killed is taken over for within ten seconds, and overwrites nothing when it wakes up", {
  timeout: 180_000,
}, async t => {
  const seed = Number(process.env["PROMISES_SEED"] ?? randomInt(1_000_000))
  const folder = temporaryFolder(t)
  const secret = newSecret()
  const server = await startPostgres()
  t.after(() => server.stop())
  const cluster = await startCluster(t, server, { nodes: 3 })
  const [asleep, killed, steady] = cluster.nodes
  assert.ok(asleep && killed && steady)
  const receiver = await startReceiver(t, { folder, name: "all", secret, seed, manners: {} })
  const destinations: { id: string; name: string; path: string }[] = []
  for (let i = 0; i < INTEGRATIONS; i++) {
    const name = `${["plain", "ordered", "limited"][i % 3]}-${i}`
    const path = `/${name}`
    const policy = {
      max_concurrent: 20,
      ...(isOrdered(name) ? { ordered: true } : {}),
      ...(isLimited(name) ? { max_per_second: RATE } : {}),
    }
    const events = { default: "off", types: { [`kind.${i}`]: {} } }
    const id = await createWebhook(steady.waybill, { name, url: receiver.url(path), secret, policy, events })
    destinations.push({ id, name, path })
  }
  await sharedOut(cluster, 3)
  const producer = await startProducer(t, {
    folder,
    name: `run${seed}`,
    url: steady.url,
    key: testKey,
    seed,
    types: destinations.map((_, i) => `kind.${i}`),
    concurrency: 24,
    perSecond: PER_SECOND,
    keys: KEYS,
  })
  await producer.acknowledged(PER_SECOND)

  const sleptAt = Date.now()
  asleep.waybill.kill("SIGSTOP")
  await wait(ASLEEP_MS)
  asleep.waybill.kill("SIGCONT")
  await sharedOut(cluster, 3)
  await wait(500)
  const killedAt = Date.now()
  killed.waybill.kill("SIGKILL")
  await killed.waybill.stopped
  await sharedOut(cluster, 2)
  const tookMs = Date.now() - killedAt
  await wait(500)
  await producer.stop()
  await cluster.drained(DRAIN_LIMIT_MS)
  const ends = await Promise.all([asleep.stop(), steady.stop()])
  assert.deepEqual(
    ends.map(({ code }) => code),
    [0, 0],
  )
  await receiver.stop()

  const receipts = Map.groupBy(receiver.receipts(), ({ path }) => path)
  const system = await cluster.read()
  const account = settleAccounts({
    producer: producer.entries(),
    destinations: destinations.map(({ id, name, path }) => ({ id, name, receipts: receipts.get(path) ?? [] })),
    system,
    kills: [sleptAt, killedAt],
  })
  const pauses = destinations.map(({ path }) => longestPauseMs(receipts.get(path) ?? []))
  t.diagnostic(accountLine(account, 2))
  t.diagnostic(
    `seed ${seed}; ${account.interrupted} attempts interrupted; all lanes held again ${tookMs} ms after the kill`,
  )
  t.diagnostic(`the longest that an integration waited for its next request: ${Math.max(...pauses)} ms`)
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.delivered, account.accepted, "every event arrived")
  assert.ok(tookMs <= TAKEOVER_LIMIT_MS, `${tookMs} ms until all lanes were held again`)
  assert.ok(Math.max(...pauses) <= TAKEOVER_LIMIT_MS, `an integration waited ${Math.max(...pauses)} ms`)
  for (const { id, name, path } of destinations) {
    const own = receipts.get(path) ?? []
    if (isOrdered(name)) assert.deepEqual(disorderIn(own), [], name)
    if (!isLimited(name)) continue
    const most = busiestTenSeconds(parseId("int", id), system, own)
    assert.ok(most <= RATE * 1.05 * 10, `${name}: ${most} in 10 s`)
  }
})

/** Resolves when every lane is held, by so many processes that are alive. */
async function sharedOut({ databaseUrl }: Cluster, processes: number): Promise<void> {
  for (const until = performance.now() + 20_000; ; await wait(50)) {
    const found = await withClient(databaseUrl, async client => {
      const { rows } = await client.query<{ lanes: string; holders: string }>(`
        select count(*) as lanes, count(distinct n.id) as holders
        from lane l join node n on n.id = l.holder and n.expires_at > clock_timestamp()`)
      return rows[0]
    })
    if (Number(found?.lanes) === INTEGRATIONS && Number(found?.holders) === processes) return
    if (performance.now() > until) {
      throw new Error(
        `${found?.lanes} lanes are held by ${found?.holders} processes, not ${INTEGRATIONS} by ${processes}.`,
      )
    }
  }
}

function isOrdered(name: string): boolean {
  return name.startsWith("ordered")
}

function isLimited(name: string): boolean {
  return name.startsWith("limited")
}

function longestPauseMs(receipts: readonly Receipt[]): number {
  const times = receipts.map(({ at }) => at).toSorted((a, b) => a - b)
  return Math.max(0, ...times.map((at, i) => at - (times[i - 1] ?? at)))
}
