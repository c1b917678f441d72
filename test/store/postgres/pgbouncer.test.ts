/**
 * Two processes behind PgBouncer in transaction mode, with far fewer connections to the server than they hold to it: nothing
 * that belongs to a session may be relied on. Where this machine has no PgBouncer the test says that it was left out.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { runCli } from "../../help/cli.ts"
import { drained, readCluster } from "../../help/cluster.ts"
import { accountLine, faultsOf, settleAccounts } from "../../help/ledgers.ts"
import { disorderIn } from "../../help/order.ts"
import { findPgBouncer, startPgBouncer } from "../../help/pgbouncer.ts"
import { startPostgres, withClient } from "../../help/postgres.ts"
import { startProducer } from "../../help/producer.ts"
import { startReceiver } from "../../help/receiver.ts"
import {
  call,
  createWebhook,
  newSecret,
  stablePort,
  startWaybill,
  temporaryFolder,
  testKey,
} from "../../help/waybill.ts"

const EVENTS = 1_500
const KEYS = 20
/** Of 28 that the two hold to it. */
const SERVER_CONNECTIONS = 6

const places = {
  flaky: {
    manner: { failing: { share: 0.1, status: 500 } },
    policy: { retry_delays_ms: Array<number>(12).fill(200), protection: { enabled: false } },
  },
  ordered: { manner: {}, policy: { ordered: true, max_concurrent: KEYS, protection: { enabled: false } } },
} as const

const skip = findPgBouncer() === undefined && "there is no PgBouncer on this machine: apt-get install pgbouncer"

test("everything works through PgBouncer in transaction mode, over kill -9 too", {
  timeout: 110_000,
  skip,
}, async t => {
  const folder = temporaryFolder(t)
  const secret = newSecret()
  const server = await startPostgres({ quick: false })
  t.after(() => server.stop())
  const bouncer = await startPgBouncer(t, server.url, SERVER_CONNECTIONS)
  t.diagnostic(bouncer.version)
  const direct = await server.database()
  const url = bouncer.through(direct)
  const migrated = await runCli(["migrate", "--database-url", url])
  assert.equal(migrated.code, 0, migrated.stderr)
  const env = {
    DATABASE_URL: url,
    WAYBILL_MIGRATE: "no",
    WAYBILL_SECRET_KEY: Buffer.alloc(32, 7).toString("base64"),
  }
  const [port, other] = [await stablePort(), await stablePort()]
  const open = (name: string, at: number) => startWaybill(t, { dataDir: `${folder}/${name}`, port: at, env })
  let [first, second] = await Promise.all([open("one", port), open("two", other)])
  const destinations = await Promise.all(
    Object.entries(places).map(async ([name, { manner, policy }], i) => {
      const receiver = await startReceiver(t, { folder, name, secret, seed: 11 + i, manners: { [`/${name}`]: manner } })
      return {
        name,
        receiver,
        id: await createWebhook(second, { name, url: receiver.url(`/${name}`), secret, policy }),
      }
    }),
  )
  const producer = await startProducer(t, {
    folder,
    name: "run",
    url: first.url,
    key: testKey,
    seed: 11,
    types: ["order.paid"],
    concurrency: 16,
    keys: KEYS,
  })
  await producer.acknowledged(EVENTS / 3)
  const kills = [Date.now()]
  first.kill("SIGKILL")
  await first.stopped
  first = await open("one", port)
  await producer.acknowledged((2 * EVENTS) / 3)
  kills.push(Date.now())
  second.kill("SIGKILL")
  await second.stopped
  second = await open("two", other)
  await producer.acknowledged(EVENTS)
  await producer.stop()
  await drained(direct, 60_000)

  const connections = await withClient(direct, async client => {
    const { rows } = await client.query<{ n: number }>(
      "select count(*)::int as n from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    )
    return rows[0]?.n ?? 0
  })
  assert.ok(connections <= SERVER_CONNECTIONS, `${connections} connections to the server`)
  const ready = (await call(first, "GET", "/readyz")) as { status: string }
  assert.ok(ready)
  const events = (await call(second, "GET", "/v1/events?limit=5&status=delivered")) as { data: readonly unknown[] }
  assert.equal(events.data.length, 5)
  const doctor = await runCli(["doctor", "--json", "--database-url", url, "--data-dir", `${folder}/one`], {
    env: { WAYBILL_SECRET_KEY: env.WAYBILL_SECRET_KEY },
  })
  const findings = JSON.parse(doctor.stdout) as readonly { subject: string; verdict: string; message: string }[]
  assert.deepEqual(
    findings.filter(({ verdict, subject }) => verdict === "wrong" && subject !== "dns"),
    [],
  )
  for (const waybill of [first, second]) {
    waybill.kill("SIGTERM")
    assert.deepEqual(await waybill.stopped, { code: 0, signal: null }, waybill.output())
  }
  await Promise.all(destinations.map(({ receiver }) => receiver.stop()))

  const account = settleAccounts({
    producer: producer.entries(),
    destinations: destinations.map(({ id, name, receiver }) => ({ id, name, receipts: receiver.receipts() })),
    system: await readCluster(direct),
    kills,
  })
  t.diagnostic(accountLine(account, kills.length))
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.delivered, account.accepted)
  assert.deepEqual(disorderIn(destinations.find(({ name }) => name === "ordered")?.receiver.receipts() ?? []), [])
})
