/**
 * Two processes share a PostgreSQL that restarts again and again (F-16), stops answering without a word (F-18), has no
 * connections left (F-19) or is watched by somebody's endless transaction (F-20). Producers are told to come again, and in
 * the end every event that was answered with 202 is found, and delivered.
 */
import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import test, { type TestContext } from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import pg from "pg"
import { type Cluster, startCluster } from "../help/cluster.ts"
import { accountLine, faultsOf, settleAccounts } from "../help/ledgers.ts"
import { type PostgresServer, startPostgres } from "../help/postgres.ts"
import { type Producer, type ProducerEntry, startProducer } from "../help/producer.ts"
import { type Receiver, startReceiver } from "../help/receiver.ts"
import { createWebhook, newSecret, temporaryFolder, testKey } from "../help/waybill.ts"

const PER_SECOND = 100
const DRAIN_LIMIT_MS = 60_000

interface Scene {
  readonly server: PostgresServer
  readonly cluster: Cluster
  readonly producers: readonly Producer[]
  readonly receiver: Receiver
  readonly destinations: readonly { readonly id: string; readonly path: string }[]
  /** How many events have been answered with 202. */
  acknowledged(): Promise<number>
}

test("a database that is killed and started again loses nothing that was answered with 202", {
  timeout: 150_000,
}, async t => {
  const scene = await open(t)
  const crashes: number[] = []
  for (let i = 0; i < 4; i++) {
    await wait(1_500)
    crashes.push(Date.now())
    await scene.server.restart()
    await more(scene, 50)
  }
  await settle(t, scene, crashes)
})

test("connections that go nowhere are given up, and all goes on when they go somewhere again", {
  timeout: 150_000,
}, async t => {
  const scene = await open(t)
  await more(scene, 200)
  const processes = processesOf(scene.server)
  const stoppedAt = Date.now()
  for (const pid of processes) process.kill(pid, "SIGSTOP")
  await wait(10_000)
  for (const { url } of scene.cluster.nodes) {
    const answer = await fetch(`${url}/readyz`)
    const body = (await answer.json()) as { checks: { database: { ok: boolean; detail: string | null } } }
    assert.equal(answer.status, 503)
    assert.equal(body.checks.database.ok, false)
    assert.ok(body.checks.database.detail !== null)
  }
  for (const pid of processes) process.kill(pid, "SIGCONT")
  await more(scene, 200)
  await settle(t, scene, [stoppedAt])
})

test("a server without connections to spare makes producers wait, not lose", { timeout: 150_000 }, async t => {
  const scene = await open(t, ["max_connections=28", "superuser_reserved_connections=0"])
  await more(scene, 300)
  // Somebody else takes what is left.
  const others = await takeConnections(scene.cluster.databaseUrl)
  await wait(6_000)
  for (const other of others) await other.end().catch(() => undefined)
  await more(scene, 300)
  await settle(t, scene, [])
})

test("a transaction that somebody leaves open costs no more than half of the pace", { timeout: 150_000 }, async t => {
  const scene = await open(t)
  await more(scene, 100)
  const pace = async (): Promise<number> => {
    const [before, from] = [await scene.acknowledged(), performance.now()]
    await wait(6_000)
    return ((await scene.acknowledged()) - before) / ((performance.now() - from) / 1_000)
  }
  const alone = await pace()
  const endless = new pg.Client({ connectionString: scene.cluster.databaseUrl })
  await endless.connect()
  await endless.query("begin isolation level repeatable read")
  await endless.query("select count(*) from delivery")
  const beside = await pace()
  await endless.end()
  t.diagnostic(`${alone.toFixed(0)} events/s alone, ${beside.toFixed(0)} beside an open transaction`)
  assert.ok(beside >= alone / 2, `${beside} beside ${alone}`)
  await settle(t, scene, [])
})

async function open(t: TestContext, settings: readonly string[] = []): Promise<Scene> {
  const folder = temporaryFolder(t)
  const secret = newSecret()
  const server = await startPostgres({ quick: false, settings })
  t.after(() => server.stop())
  const cluster = await startCluster(t, server, { nodes: 2 })
  const receiver = await startReceiver(t, { folder, name: "all", secret, seed: 1, manners: {} })
  const [first] = cluster.nodes
  assert.ok(first)
  const policy = { retry_delays_ms: Array<number>(20).fill(500) }
  const destinations = await Promise.all(
    ["/plain", "/ordered"].map(async path => {
      const more = path === "/ordered" ? { ordered: true } : {}
      const given = { name: path.slice(1), url: receiver.url(path), secret, policy: { ...policy, ...more } }
      return { path, id: await createWebhook(first.waybill, given) }
    }),
  )
  const producers = await Promise.all(
    cluster.nodes.map(({ url }, i) =>
      startProducer(t, {
        ...{ folder, name: `node${i}`, url, key: testKey, seed: i, types: ["order.paid"] },
        ...{ concurrency: 16, perSecond: PER_SECOND, keys: 20 },
      }),
    ),
  )
  const acknowledged = async (): Promise<number> => {
    const all = await Promise.all(producers.map(producer => producer.progress()))
    return all.reduce((sum, one) => sum + one.acknowledged, 0)
  }
  return { server, cluster, producers, receiver, destinations, acknowledged }
}

/** Waits until so many more events have been answered with 202. */
async function more(scene: Scene, count: number): Promise<void> {
  const wanted = (await scene.acknowledged()) + count
  const until = performance.now() + 60_000
  while ((await scene.acknowledged()) < wanted) {
    assert.ok(performance.now() < until, "it goes on within a minute")
    await wait(100)
  }
}

async function settle(t: TestContext, scene: Scene, crashes: readonly number[]): Promise<void> {
  for (const producer of scene.producers) await producer.stop()
  await scene.cluster.drained(DRAIN_LIMIT_MS)
  for (const node of scene.cluster.nodes) assert.equal((await node.stop()).code, 0)
  await scene.receiver.stop()
  const receipts = Map.groupBy(scene.receiver.receipts(), ({ path }) => path)
  const producer: ProducerEntry[] = scene.producers.flatMap(each => each.entries())
  const account = settleAccounts({
    producer,
    destinations: scene.destinations.map(({ id, path }) => ({ id, name: path, receipts: receipts.get(path) ?? [] })),
    system: await scene.cluster.read(),
    kills: crashes,
  })
  t.diagnostic(accountLine(account, crashes.length))
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.delivered, account.accepted)
}

/** The server's processes: the one that was started, and those that it started. */
function processesOf({ pid }: PostgresServer): readonly number[] {
  const parentOf = (id: string): number | undefined => {
    try {
      const stat = readFileSync(`/proc/${id}/stat`, "utf8")
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])
    } catch {
      return undefined
    }
  }
  const children = readdirSync("/proc").filter(name => /^\d+$/.test(name) && parentOf(name) === pid)
  return [...(pid === undefined ? [] : [pid]), ...children.map(Number)]
}

async function takeConnections(url: string): Promise<readonly pg.Client[]> {
  const taken: pg.Client[] = []
  for (;;) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
    client.on("error", () => undefined)
    try {
      await client.connect()
    } catch {
      return taken
    }
    taken.push(client)
  }
}
