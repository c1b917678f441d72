/**
 * From the embedded database to PostgreSQL while producers never stop: the process is killed, what it kept goes through
 * `waybill export` and `waybill import`, and two processes go on where it was. Producers get refused connections meanwhile and
 * send again; whatever was answered with 202 before is there afterwards, under its id, and goes out once, in its order.
 */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { randomInt } from "node:crypto"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import test from "node:test"
import { drained as databaseDrained, readCluster } from "../help/cluster.ts"
import { accountLine, faultsOf, settleAccounts } from "../help/ledgers.ts"
import { disorderIn } from "../help/order.ts"
import { startPostgres } from "../help/postgres.ts"
import { startProducer } from "../help/producer.ts"
import { startReceiver } from "../help/receiver.ts"
import { countClaims, countOpen, queryDatabase } from "../help/system-ledger.ts"
import { call, createWebhook, newSecret, stablePort, startWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

const BEFORE = 3_000
const AFTER = 2_000
const KEYS = 20
const cli = join(import.meta.dirname, "../../src/cli.ts")

const places = {
  flaky: {
    manner: { failing: { share: 0.1, status: 500 }, delayMs: [0, 20] },
    policy: { retry_delays_ms: Array<number>(12).fill(200), protection: { enabled: false } },
  },
  ordered: {
    manner: { delayMs: [0, 10] },
    policy: { ordered: true, max_concurrent: KEYS, protection: { enabled: false } },
  },
} as const

test("a move to PostgreSQL in the middle of traffic loses nothing that was answered with 202", {
  timeout: 240_000,
}, async t => {
  const seed = Number(process.env["PROMISES_SEED"] ?? randomInt(1_000_000))
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const secret = newSecret()
  const [port, other] = [await stablePort(), await stablePort()]
  const server = await startPostgres({ quick: false })
  t.after(() => server.stop())
  const old = await startWaybill(t, { dataDir, port })
  const destinations = await Promise.all(
    Object.entries(places).map(async ([name, { manner, policy }], i) => {
      const manners = { [`/${name}`]: manner }
      const receiver = await startReceiver(t, { folder, name, secret, seed: seed + i, manners })
      return { name, receiver, id: await createWebhook(old, { name, url: receiver.url(`/${name}`), secret, policy }) }
    }),
  )
  const producer = await startProducer(t, {
    folder,
    name: `run${seed}`,
    url: old.url,
    key: testKey,
    seed,
    types: ["order.paid"],
    concurrency: 32,
    keys: KEYS,
  })
  await producer.acknowledged(BEFORE)

  const stoppedAt = Date.now()
  old.kill("SIGKILL")
  await old.stopped
  const [claimed, open] = [countClaims(dataDir), countOpen(dataDir)]
  const stored = queryDatabase<{ id: number }>(dataDir, "select id from event order by id").map(({ id }) => id)
  const databaseUrl = await server.database()
  const moved = await throughPipe(dataDir, databaseUrl)
  const env = { DATABASE_URL: databaseUrl, WAYBILL_SECRET_KEY: readFileSync(`${dataDir}/secret.key`, "utf8").trim() }
  const [first, second] = await Promise.all([
    startWaybill(t, { dataDir: `${folder}/one`, port, env }),
    startWaybill(t, { dataDir: `${folder}/two`, port: other, env }),
  ])
  const seconds = (Date.now() - stoppedAt) / 1_000
  await producer.acknowledged(BEFORE + AFTER)
  await producer.stop()
  await databaseDrained(databaseUrl, 90_000)
  const read = (await call(second, "GET", `/v1/events?limit=1`)) as { data: readonly unknown[] }
  for (const waybill of [first, second]) {
    waybill.kill("SIGTERM")
    assert.deepEqual(await waybill.stopped, { code: 0, signal: null })
  }
  await Promise.all(destinations.map(({ receiver }) => receiver.stop()))

  const system = await readCluster(databaseUrl)
  const account = settleAccounts({
    producer: producer.entries(),
    destinations: destinations.map(({ id, name, receiver }) => ({ id, name, receipts: receiver.receipts() })),
    system,
    kills: [stoppedAt],
  })
  t.diagnostic(accountLine(account, 1))
  t.diagnostic(
    `seed ${seed}; ${open} deliveries were open and ${claimed} under way at the stop, which took ${seconds} s`,
  )
  t.diagnostic(moved.trim())
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.delivered, account.accepted)
  assert.equal(account.interrupted, claimed, "what was under way at the stop, and nothing else")
  assert.ok(claimed > 0, "something was under way at the stop")
  assert.equal(read.data.length, 1)
  const ids = new Set(system.events.map(({ id }) => id))
  assert.ok(
    stored.every(id => ids.has(id)),
    "events keep their ids",
  )
  const isMoved = new Set(stored)
  const later = system.events.map(({ id }) => id).filter(id => !isMoved.has(id))
  assert.ok(Math.min(...later) > Math.max(...stored), "what came after the move stands behind what was moved")
  const orderedReceipts = destinations.find(({ name }) => name === "ordered")?.receiver.receipts() ?? []
  assert.equal(new Set(orderedReceipts.map(({ key }) => key)).size, KEYS)
  assert.deepEqual(disorderIn(orderedReceipts), [])
})

/** `waybill export - | waybill import -`; gives what the second says. */
async function throughPipe(dataDir: string, databaseUrl: string): Promise<string> {
  const env = { PATH: process.env["PATH"] }
  const start = (...args: readonly string[]) => spawn(process.execPath, [cli, ...args, "--data-dir", dataDir], { env })
  const [from, into] = [start("export", "-"), start("import", "-", "--database-url", databaseUrl)]
  from.stdout.pipe(into.stdin)
  let [said, printed] = ["", ""]
  for (const child of [from, into]) {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text
    })
  }
  into.stdout.setEncoding("utf8").on("data", (text: string) => {
    printed += text
  })
  const codes = await Promise.all([from, into].map(async child => Number((await once(child, "close"))[0])))
  assert.deepEqual(codes, [0, 0], said)
  return printed
}
