/** What one process has to learn of the others: configuration, keys, what happened, and who does what must be done once. */
import assert from "node:assert/strict"
import test, { type TestContext } from "node:test"
import { setTimeout as rest } from "node:timers/promises"
import { readConfig, type SettingName } from "../../../src/config.ts"
import { start } from "../../../src/main.ts"
import { Endpoint } from "../../help/endpoint.ts"
import { MailServer } from "../../help/mail-server.ts"
import { dropDatabase, keepApart, testDatabase, withClient } from "../../help/postgres.ts"
import { assertWithin } from "../../help/punctual.ts"
import { StreamListener } from "../../help/stream-listener.ts"
import {
  call,
  createWebhook,
  newSecret,
  type OpenWaybill,
  type Reachable,
  startWaybill,
  temporaryFolder,
  testKey,
} from "../../help/waybill.ts"

// How soon a stream shows something is held to a second here.
keepApart()

type Answer = Readonly<Record<string, unknown>>

/** Waybills in this process, as many as are asked for, over one database. */
async function openSeveral(
  t: TestContext,
  count: number,
  settings: Readonly<Partial<Record<SettingName, string>>> = {},
  aheadMs: readonly number[] = [],
): Promise<{ readonly url: string; readonly processes: readonly OpenWaybill[] }> {
  const url = await testDatabase()
  const secretKey = Buffer.alloc(32, 7).toString("base64")
  const processes: OpenWaybill[] = []
  // Before the database goes, or they would wait for it.
  t.after(async () => {
    await Promise.all(processes.map(({ stop }) => stop()))
    await dropDatabase(url)
  })
  for (let i = 0; i < count; i++) {
    const dataDir = temporaryFolder(t)
    const given = { dataDir, port: "0", apiKey: testKey, logLevel: "silent", databaseUrl: url, secretKey }
    const reading = readConfig({ ...given, allowUnsafeDatabase: "yes", ...settings }, {})
    if ("faults" in reading) throw new Error(reading.faults.join("\n"))
    const ahead = aheadMs[i]
    const { url: at, stop } = await start(reading.config, ahead === undefined ? undefined : () => Date.now() + ahead)
    processes.push({ url: at, key: testKey, dataDir, stop })
  }
  return { url, processes }
}

/** Asks again until it holds; throws where that takes longer than `limitMs`. */
async function within(limitMs: number, what: string, holds: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + limitMs
  while (!(await holds())) {
    if (performance.now() > until) throw new Error(`${what}: not within ${limitMs} ms`)
    await rest(20)
  }
}

async function send(at: Reachable, more: Answer = {}): Promise<string> {
  return String(((await call(at, "POST", "/v1/events", { type: "order_paid", data: {}, ...more })) as Answer)["id"])
}

/** Names of the integrations that an event goes to, and those it was withheld from with the reasons. */
async function routedTo(at: OpenWaybill, event: string): Promise<Record<string, string>> {
  const read = (await call(at, "GET", `/v1/events/${event}`)) as {
    deliveries: readonly { integration: { name: string } }[]
    withheld: readonly { integration: { name: string }; reason: { code: string } }[]
  }
  return Object.fromEntries([
    ...read.deliveries.map(({ integration }) => [integration.name, "delivery"]),
    ...read.withheld.map(({ integration, reason }) => [integration.name, reason.code]),
  ])
}

test("an event is routed by what another process has answered just before", async t => {
  const { processes } = await openSeveral(t, 2)
  const [one, other] = processes as [OpenWaybill, OpenWaybill]
  await using receiver = await Endpoint.open()
  const expected: Record<string, string> = {}
  for (let i = 0; i < 12; i++) {
    const [here, there] = i % 2 === 0 ? [one, other] : [other, one]
    const name = `number ${i}`
    const id = await createWebhook(here, { name, url: receiver.url(), secret: newSecret() })
    expected[name] = "delivery"
    assert.deepEqual(await routedTo(there, await send(there)), expected)
    await call(there, "POST", `/v1/integrations/${id}/disable`)
    // One that is switched off is not asked at all.
    delete expected[name]
    assert.deepEqual(await routedTo(here, await send(here)), expected)
  }
})

test("many events that come while the configuration changes elsewhere are all taken, each by one configuration", async t => {
  const { processes } = await openSeveral(t, 2)
  const [here, there] = processes as [OpenWaybill, OpenWaybill]
  await using receiver = await Endpoint.open()
  const id = await createWebhook(here, { name: "it", url: receiver.url(), secret: newSecret() })
  let isChanging = true
  const change = (async () => {
    for (let i = 0; i < 15; i++) {
      await call(here, "POST", `/v1/integrations/${id}/${i % 2 === 0 ? "disable" : "enable"}`)
    }
    isChanging = false
  })()
  const events: string[] = []
  while (isChanging) events.push(...(await Promise.all(Array.from({ length: 8 }, () => send(there)))))
  await change
  const routed = await Promise.all(events.map(event => routedTo(here, event)))
  for (const one of routed) assert.ok(["{}", '{"it":"delivery"}'].includes(JSON.stringify(one)), JSON.stringify(one))
  assert.deepEqual(await routedTo(there, await send(there)), {}, "the last change has switched it off")
})

test("what a strict project has just learnt of through one process is taken by another", async t => {
  const { processes } = await openSeveral(t, 2)
  const [here, there] = processes as [OpenWaybill, OpenWaybill]
  const [project] = ((await call(here, "GET", "/v1/projects")) as { data: readonly { id: string }[] }).data
  await call(here, "PATCH", `/v1/projects/${project?.id}`, { strict_types: true })
  await assert.rejects(send(there), /order_paid is not in this project's catalogue/)
  await call(here, "PUT", "/v1/event-types/order_paid", {})
  await send(there)
  await call(there, "DELETE", "/v1/event-types/order_paid")
  await assert.rejects(send(here), /order_paid is not in this project's catalogue/)
})

test("of saves that come to several processes at once none is lost", async t => {
  const { processes } = await openSeveral(t, 2)
  const [here, there] = processes as [OpenWaybill, OpenWaybill]
  await using receiver = await Endpoint.open()
  const id = await createWebhook(here, { name: "it", url: receiver.url(), secret: newSecret() })
  const types = Array.from({ length: 16 }, (_, i) => `type_${i}`)
  await Promise.all(
    types.map((type, i) =>
      call(i % 2 === 0 ? here : there, "PATCH", `/v1/integrations/${id}`, {
        events: { types: { [type]: { enabled: false } } },
      }),
    ),
  )
  for (const at of [here, there]) {
    const { events, revision } = (await call(at, "GET", `/v1/integrations/${id}`)) as {
      events: { types: Answer }
      revision: number
    }
    assert.deepEqual(Object.keys(events.types).sort(), types.toSorted())
    assert.equal(revision, 17)
  }
})

test("a key works everywhere at once, and stops everywhere within seconds of being revoked", async t => {
  const { url, processes } = await openSeveral(t, 3)
  const [here, ...others] = processes as [OpenWaybill, ...OpenWaybill[]]
  const made = (await call(here, "POST", "/v1/api-keys", { name: "shop" })) as { id: string; key: string }
  for (const at of others) await send({ ...at, key: made.key })
  await call(here, "DELETE", `/v1/api-keys/${made.id}`)
  const refuses = (at: OpenWaybill) =>
    send({ ...at, key: made.key }).then(
      () => false,
      (error: Error) => / 401: /.test(error.message),
    )
  for (const at of processes) await within(5_000, "it is refused", () => refuses(at))
  // Each process notes the last use by itself: the latest holds.
  const usedAt = () =>
    withClient(url, async client => {
      const { rows } = await client.query<{ at: string | null }>(
        "select last_used_at as at from api_key where name = 'shop'",
      )
      return Number(rows[0]?.at ?? 0)
    })
  for (const at of processes) await at.stop()
  assert.ok((await usedAt()) > Date.now() - 60_000)
})

test("a token of the portal works everywhere at once, stops everywhere within seconds, and disturbs nobody by being made", async t => {
  const { url, processes } = await openSeveral(t, 2)
  const [here, there] = processes as [OpenWaybill, OpenWaybill]
  await call(here, "POST", "/v1/apps", { name: "shop" })
  const version = () =>
    withClient(url, async client => {
      const { rows } = await client.query<{ version: string }>("select version from configuration")
      return Number(rows[0]?.version)
    })
  const before = await version()
  const made = (await call(here, "POST", "/v1/portal-tokens", { app: "shop" })) as { id: string; token: string }
  assert.equal(await version(), before, "no process has to read anything again")
  await call({ ...there, key: made.token }, "GET", "/v1/portal")
  await call(here, "DELETE", `/v1/portal-tokens/${made.id}`)
  const refuses = () =>
    call({ ...there, key: made.token }, "GET", "/v1/portal").then(
      () => false,
      (error: Error) => / 401: /.test(error.message),
    )
  await within(5_000, "it is refused", refuses)
})

test("a key that is changed, rotated or limited is so everywhere within seconds", async t => {
  const { processes } = await openSeveral(t, 2)
  const [here, there] = processes as [OpenWaybill, OpenWaybill]
  const statusAt = async (at: OpenWaybill, key: string) => {
    const response = await fetch(`${at.url}/v1/projects`, { headers: { authorization: `Bearer ${key}` } })
    await response.text()
    return response.status
  }
  const make = async (more: Answer = {}) =>
    (await call(here, "POST", "/v1/api-keys", { name: "shop", ...more })) as { id: string; key: string }
  const old = await make()
  assert.equal(await statusAt(there, old.key), 200)
  const { key } = (await call(here, "POST", `/v1/api-keys/${old.id}/rotate`, { grace_seconds: 0 })) as { key: string }
  assert.equal(await statusAt(there, key), 200)
  await within(5_000, "the old one is refused", async () => (await statusAt(there, old.key)) === 401)
  const ending = await make()
  assert.equal(await statusAt(there, ending.key), 200)
  const expires_at = new Date(Date.now() + 500).toISOString()
  await call(here, "PATCH", `/v1/api-keys/${ending.id}`, { expires_at })
  await within(5_000, "it has expired", async () => (await statusAt(there, ending.key)) === 401)
  // Two processes share a quota of six: each gives out three.
  const limited = await make({ max_requests_per_minute: 6 })
  const statuses = (at: OpenWaybill) =>
    Promise.all(Array.from({ length: 6 }, () => statusAt(at, limited.key))).then(all => all.toSorted())
  for (const at of processes) assert.deepEqual(await statuses(at), [200, 200, 200, 429, 429, 429])
})

test("a stream on any process shows what happens on all of them, within a second, and goes on at another one", async t => {
  const { processes } = await openSeveral(t, 3)
  const [one, two, three] = processes as [OpenWaybill, OpenWaybill, OpenWaybill]
  await using receiver = await Endpoint.open()
  using listener = await StreamListener.open(two)
  const ids = (...listeners: readonly StreamListener[]) =>
    listeners.flatMap(({ messages }) => messages.map(({ id }) => id).filter(id => id !== undefined))
  await createWebhook(one, { name: "it", url: receiver.url(), secret: newSecret() })
  const sentAt = new Map<string, number>()
  for (let i = 0; i < 9; i++) {
    sentAt.set(await send(processes[i % 3] as OpenWaybill), performance.now())
    const event = [...sentAt.keys()].at(-1)
    await listener.find(({ name, data }) => name === "event" && data["id"] === event)
    assertWithin(performance.now() - (sentAt.get(event ?? "") ?? 0), 1_000)
  }
  const attempts = ({ messages }: StreamListener) => messages.filter(({ name }) => name === "attempt").length
  await listener.until(() => attempts(listener) === 9)
  const last = ids(listener).at(-1) ?? ""
  listener.close()
  const missed = [await send(one), await send(two)]
  using another = await StreamListener.open(three, { lastEventId: last })
  await another.until(() => attempts(another) === 2)
  const events = [listener, another].flatMap(({ messages }) => messages.filter(({ name }) => name === "event"))
  assert.deepEqual(
    events.map(({ data }) => data["id"]),
    [...sentAt.keys(), ...missed],
    "each once, in order",
  )
})

test("a process that is stopped in the midst of its commits leaves the stream of another whole", async t => {
  const url = await testDatabase()
  const env = {
    DATABASE_URL: url,
    WAYBILL_SECRET_KEY: Buffer.alloc(32, 7).toString("base64"),
    WAYBILL_ALLOW_UNSAFE_DATABASE: "yes",
  }
  const [one, other] = await Promise.all([0, 1].map(() => startWaybill(t, { dataDir: temporaryFolder(t), env })))
  assert.ok(one !== undefined && other !== undefined)
  using listener = await StreamListener.open(other)
  const told = () => listener.messages.flatMap(({ name, data }) => (name === "event" ? [String(data["id"])] : []))
  const answered: string[] = []
  for (let round = 0; round < 3; round++) {
    let isGoing = true
    const load = Promise.all(
      Array.from({ length: 8 }, async () => {
        while (isGoing) answered.push(await send(one))
      }),
    )
    await rest(300 + round * 37)
    one.kill("SIGSTOP")
    const last = await send(other)
    answered.push(last)
    // Where it was stopped within a transaction, the server ends that after ten seconds.
    await listener.until(() => told().includes(last))
    one.kill("SIGCONT")
    isGoing = false
    await load
  }
  await listener.until(() => told().length >= answered.length)
  assert.deepEqual(told(), answered.toSorted())
  for (const { kill, stopped } of [one, other]) {
    kill("SIGKILL")
    await stopped
  }
  await dropDatabase(url)
})

test("a recovery that one process is asked for is carried out and stopped by whichever leads", async t => {
  const { processes } = await openSeveral(t, 2)
  const [here, there] = processes as [OpenWaybill, OpenWaybill]
  await using receiver = await Endpoint.open()
  const from = new Date(Date.now() - 60_000).toISOString()
  const events: string[] = []
  for (let i = 0; i < 30; i++) events.push(await send(i % 2 === 0 ? here : there))
  const id = await createWebhook(here, { name: "late", url: receiver.url(), secret: newSecret() })
  // Asked of the one that does not lead.
  const ask = { integrations: id, from, statuses: ["missing"], max_per_second: 10 }
  const made = (await call(there, "POST", "/v1/recoveries", ask)) as { id: string }
  await receiver.received(3)
  await call(there, "POST", `/v1/recoveries/${made.id}/pause`)
  const whenPaused = receiver.requests.length
  // Ten a second would not leave such a gap.
  const isStill = async () => performance.now() - (receiver.requests.at(-1)?.at ?? 0) > 1_500
  await within(10_000, "nothing more goes out", isStill)
  const then = receiver.requests.length
  assert.ok(then < 30, "it was paused in the midst of them")
  assert.ok(then - whenPaused <= 20, `${then - whenPaused} went out after it was paused, at 10 a second`)
  await call(here, "POST", `/v1/recoveries/${made.id}/resume`)
  await receiver.received(30)
  await within(5_000, "it is done", async () => {
    return ((await call(there, "GET", `/v1/recoveries/${made.id}`)) as Answer)["state"] === "done"
  })
  const sent = receiver.requests.map(({ headers }) => headers["webhook-id"])
  assert.deepEqual(sent.toSorted(), events.toSorted(), "each once")
})

test("a recovery finds what was stored before it was asked for by a process whose clock is ahead", async t => {
  const { processes } = await openSeveral(t, 2, {}, [0, 300_000])
  const [here, ahead] = processes as [OpenWaybill, OpenWaybill]
  await using receiver = await Endpoint.open()
  const from = new Date(Date.now() - 60_000).toISOString()
  const event = await send(ahead)
  const id = await createWebhook(here, { name: "late", url: receiver.url(), secret: newSecret() })
  const to = new Date(Date.now() + 600_000).toISOString()
  await call(here, "POST", "/v1/recoveries", { integrations: id, from, to, statuses: ["missing"] })
  await receiver.received(1)
  assert.equal(receiver.requests[0]?.headers["webhook-id"], event)
})

test("how late what is due is, is known also where another process sends", async t => {
  const { url, processes } = await openSeveral(t, 2)
  const [one] = processes as [OpenWaybill]
  const { promise: answers, resolve: answer } = Promise.withResolvers<void>()
  await using receiver = await Endpoint.open({ after: answers })
  t.after(() => answer())
  await createWebhook(one, { name: "it", url: receiver.url(), secret: newSecret(), policy: { max_concurrent: 1 } })
  await send(one)
  await receiver.received(1)
  // Behind it, and due for twenty minutes.
  await send(one)
  await withClient(url, client =>
    client.query("update delivery set next_at = next_at - 1200000 where next_at is not null"),
  )
  // Whoever sends for it goes by what it knew before; the other asks the database.
  await within(5_000, "it is late", async () => {
    const statuses = await Promise.all(processes.map(at => call(at, "GET", "/v1/status")))
    return (statuses as { oldest_due_seconds: number; late_integrations: number }[]).some(
      status => status.oldest_due_seconds > 1_100 && status.late_integrations === 1,
    )
  })
  answer()
  await receiver.received(2)
})

test("a mail is sent once, by one process, and by another when that one is gone", async t => {
  await using server = await MailServer.open()
  const { url, processes } = await openSeveral(t, 3, { smtpUrl: `smtp://127.0.0.1:${server.port}` })
  const [one, two, three] = processes as [OpenWaybill, OpenWaybill, OpenWaybill]
  const [project] = ((await call(one, "GET", "/v1/projects")) as { data: readonly { id: string }[] }).data
  await call(one, "PATCH", `/v1/projects/${project?.id}`, { alert_emails: ["ops@shop.example"] })
  await using receiver = await Endpoint.open({ status: 410 })
  const switchOff = async (name: string) => {
    await createWebhook(three, { name, url: receiver.url(), secret: newSecret() })
    await send(two)
  }
  const subjects = () => server.mails.map(({ source }) => /^subject: (.*)$/im.exec(source)?.[1] ?? "").toSorted()
  await switchOff("first")
  await server.received(1)
  await one.stop()
  await switchOff("second")
  await server.received(2)
  await rest(2_500)
  assert.equal(server.handedOver, 2, subjects().join("; "))
  const { rows } = await withClient(url, client =>
    client.query("select 1 from job where kind = 'mail' and state <> 'done'"),
  )
  assert.equal(rows.length, 0)
})
