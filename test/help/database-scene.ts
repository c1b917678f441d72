/** Two processes over a PostgreSQL, with producers and a receiver: what tests of a database in trouble begin with, and end with. */
import assert from "node:assert/strict"
import type { TestContext } from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { type Cluster, startCluster } from "./cluster.ts"
import { accountLine, faultsOf, settleAccounts } from "./ledgers.ts"
import { type PostgresServer, startPostgres } from "./postgres.ts"
import { noteUnknown, type Producer, type ProducerEntry, startProducer } from "./producer.ts"
import { type Receiver, startReceiver } from "./receiver.ts"
import { createWebhook, newSecret, temporaryFolder, testKey } from "./waybill.ts"

const PER_SECOND = 100
const DRAIN_LIMIT_MS = 60_000
const LIMIT_MS = 60_000

export interface DatabaseScene {
  readonly server: PostgresServer
  readonly cluster: Cluster
  readonly producers: readonly Producer[]
  readonly receiver: Receiver
  readonly destinations: readonly { readonly id: string; readonly path: string }[]
  /** What the test itself has sent. */
  readonly sent: ProducerEntry[]
  /** How many events have been answered with 202. */
  acknowledged(): Promise<number>
}

export interface SceneOptions {
  /** One of its own where it is left out, with these settings. */
  readonly server?: PostgresServer
  readonly settings?: readonly string[]
  /** The length of the text in each event. */
  readonly padBytes?: number
}

/** Opens it; all of it ends with the test. */
export async function openScene(
  t: TestContext,
  { server: given, settings = [], padBytes = 300 }: SceneOptions = {},
): Promise<DatabaseScene> {
  const folder = temporaryFolder(t)
  const secret = newSecret()
  const server = given ?? (await startPostgres({ quick: false, settings }))
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
        ...{ concurrency: 16, perSecond: PER_SECOND, keys: 20, padBytes },
      }),
    ),
  )
  const acknowledged = async (): Promise<number> => {
    const all = await Promise.all(producers.map(producer => producer.progress()))
    return all.reduce((sum, one) => sum + one.acknowledged, 0)
  }
  return { server, cluster, producers, receiver, destinations, sent: [], acknowledged }
}

/** Waits until so many more events have been answered with 202. */
export async function more(scene: DatabaseScene, count: number): Promise<void> {
  const wanted = (await scene.acknowledged()) + count
  const until = performance.now() + LIMIT_MS
  while ((await scene.acknowledged()) < wanted) {
    assert.ok(performance.now() < until, "it goes on within a minute")
    await wait(100)
  }
}

/** Waits until every process tells producers when to come again, and says at /readyz why. */
export async function refused(scene: DatabaseScene, why: RegExp): Promise<void> {
  for (const { url } of scene.cluster.nodes) {
    for (let isTaken = true; isTaken; await wait(50)) {
      const answer = await sendOne(scene, url)
      isTaken = answer.status === 202
      if (isTaken) continue
      assert.equal(answer.status, 503, await answer.text())
      assert.match(answer.headers.get("retry-after") ?? "", /^[1-9]\d*$/)
    }
    await unready(url, why)
  }
}

/** Waits until a process says at /readyz that it cannot take events, and why. */
export async function unready(url: string, why: RegExp): Promise<void> {
  let last = ""
  for (const until = performance.now() + LIMIT_MS; ; await wait(50)) {
    const answer = await fetch(`${url}/readyz`)
    last = ((await answer.json()) as Readiness).checks.database.detail ?? ""
    if (answer.status === 503 && why.test(last)) return
    assert.ok(performance.now() < until, `${url} says ${why} within a minute, and not ${last}`)
  }
}

/** Waits until every process is ready again: each finds out by itself. */
export async function ready({ cluster }: DatabaseScene): Promise<void> {
  for (const { url } of cluster.nodes) {
    for (const until = performance.now() + LIMIT_MS; ; await wait(50)) {
      const answer = await fetch(`${url}/readyz`)
      const says = await answer.text()
      if (answer.status === 200) break
      assert.ok(performance.now() < until, `${url} is ready within a minute, and does not say ${says}`)
    }
  }
}

/** Asserts that none of them is. */
export async function notReady({ cluster }: DatabaseScene): Promise<void> {
  for (const { url } of cluster.nodes) assert.equal((await fetch(`${url}/readyz`)).status, 503)
}

interface Readiness {
  readonly checks: { readonly database: { readonly ok: boolean; readonly detail: string | null } }
}

async function sendOne({ sent }: DatabaseScene, url: string): Promise<Response> {
  const id = `test-${sent.length}`
  return await fetch(`${url}/v1/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${testKey}`, "content-type": "application/json" },
    body: noteUnknown(sent, id),
  })
}

/** Stops everybody, and finds every event again. */
export async function settle(t: TestContext, scene: DatabaseScene, crashes: readonly number[]): Promise<void> {
  for (const producer of scene.producers) await producer.stop()
  await scene.cluster.drained(DRAIN_LIMIT_MS)
  for (const node of scene.cluster.nodes) assert.equal((await node.stop()).code, 0)
  await scene.receiver.stop()
  const receipts = Map.groupBy(scene.receiver.receipts(), ({ path }) => path)
  const producer: ProducerEntry[] = [...scene.producers.flatMap(each => each.entries()), ...scene.sent]
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
