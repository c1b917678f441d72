/** What a token of the portal, and the key that gives it, must not take from the owner, nor learn of others by a side door. */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { type Answer, type Json, Program } from "../help/program.ts"
import { StreamListener } from "../help/stream-listener.ts"

let program: Program
let good: Endpoint
let bad: Endpoint
let quiet: Endpoint
const integrations = { own: "", all: "", quiet: "" }
/** More than a search looks through at a time, page by page. */
const EVENTS = 12

before(async () => {
  program = await Program.open()
  good = await Endpoint.open({ body: '{"record_id":"of-mine"}' })
  bad = await Endpoint.open({ status: 404 })
  quiet = await Endpoint.open({ body: '{"record_id":"of-others"}' })
  for (const name of ["mine", "theirs"]) await program.call("POST", "/v1/apps", { name })
  const destination_record = { pointer: "/record_id" }
  const make = async (name: string, apps: readonly string[], url: string) =>
    String(
      (
        await program.call("POST", "/v1/integrations", {
          ...{ name, apps, config: { production: { url }, verification: "none", destination_record } },
          policy: { retry_delays_ms: [] },
        })
      ).id,
    )
  integrations.own = await make("own", ["mine"], good.url())
  integrations.all = await make("of all", [], bad.url())
  integrations.quiet = await make("also of all", [], quiet.url())
  for (let n = 0; n < EVENTS; n++) await program.call("POST", "/v1/events", { type: "paid", app: "mine" })
  await program.until("all has gone where it goes", async () => {
    // An endpoint that fails again and again rests between its tries.
    program.turn(10_000)
    const { data } = await program.call("GET", "/v1/deliveries?limit=50")
    const ended = items(data).filter(({ status }) => ["delivered", "failed"].includes(String(status)))
    return ended.length === 3 * EVENTS
  })
})
after(async () => {
  await program[Symbol.asyncDispose]()
  await good.close()
  await bad.close()
  await quiet.close()
})

async function tokenOf(app = "mine", at = program): Promise<string> {
  return String((await at.call("POST", "/v1/portal-tokens", { app })).token)
}

function as(credential: string, path: string, at = program): Promise<Answer> {
  return at.ask("GET", path, undefined, { authorization: `Bearer ${credential}` })
}

const serverScopes = ["portal", "events:read", "payloads:read", "integrations:read"]

describe("a page of the portal ends with the key that its token came from", () => {
  async function keyAndToken(): Promise<{ readonly id: string; readonly token: string }> {
    const made = await program.call("POST", "/v1/api-keys", { name: "server", scopes: serverScopes })
    const authorization = `Bearer ${made.key}`
    const given = await program.ask("POST", "/v1/portal-tokens", { app: "mine" }, { authorization })
    assert.equal((await as(String(given.body.token), "/v1/portal")).status, 200)
    return { id: String(made.id), token: String(given.body.token) }
  }

  test("when that is revoked", async () => {
    const [leaked, other] = [await keyAndToken(), await keyAndToken()]
    await program.call("DELETE", `/v1/api-keys/${leaked.id}`)
    assert.equal((await as(leaked.token, "/v1/portal")).status, 401)
    assert.equal((await as(other.token, "/v1/portal")).status, 200, "tokens of another key go on")
  })

  test("when that is to end earlier, then and not before; a later end changes nothing", async () => {
    const { id, token } = await keyAndToken()
    const end = async () => (await as(token, "/v1/portal")).body["expires_at"] as unknown
    const usual = await end()
    await program.call("PATCH", `/v1/api-keys/${id}`, { expires_at: new Date(program.now + 9_000_000).toISOString() })
    assert.equal(await end(), usual)
    const soon = new Date(program.now + 90_000).toISOString()
    await program.call("PATCH", `/v1/api-keys/${id}`, { expires_at: soon })
    assert.equal(await end(), soon)
    await program.call("PATCH", `/v1/api-keys/${id}`, { expires_at: null })
    assert.equal(await end(), soon)
  })

  test("when another takes its place at once", async () => {
    const { id, token } = await keyAndToken()
    await program.call("POST", `/v1/api-keys/${id}/rotate`, { grace_seconds: 0 })
    assert.equal((await as(token, "/v1/portal")).status, 401)
  })
})

describe("pages of the portal leave the owner", () => {
  test("the project's quota of requests, and are not told of it", async () => {
    await using own = await Program.open()
    await own.call("POST", "/v1/apps", { name: "mine" })
    const token = await tokenOf("mine", own)
    const [project] = items((await own.call("GET", "/v1/projects")).data)
    await own.call("PATCH", `/v1/projects/${project?.id}`, { max_requests_per_minute: 4 })
    for (let n = 0; n < 5; n++) {
      const { status, headers } = await as(token, "/v1/events", own)
      assert.deepEqual([status, headers.get("ratelimit-policy")], [200, '"key";q=600;w=60'])
    }
    assert.equal((await own.ask("GET", "/v1/projects")).status, 200)
  })

  test("streams: five for a token and ten for an app, and the next is told to look again", async () => {
    const [first, second, third] = [await tokenOf(), await tokenOf(), await tokenOf()]
    const open: StreamListener[] = []
    const follow = async (key: string) => open.push(await StreamListener.open({ url: program.url, key }))
    try {
      for (let n = 0; n < 5; n++) await follow(first)
      const sixth = await as(first, "/v1/stream")
      assert.equal(sixth.status, 429)
      assert.match(String(sixth.body.detail), /with this token already: 5\. Close one, or look again/)
      for (let n = 0; n < 5; n++) await follow(second)
      const eleventh = await as(third, "/v1/stream")
      assert.equal(eleventh.status, 429)
      assert.match(String(eleventh.body.detail), /with the portal of this app already: 10\./)
      await follow(await tokenOf("theirs"))
      open[0]?.close()
      await program.until("there is room for one", async () => {
        const abort = new AbortController()
        const headers = { authorization: `Bearer ${first}` }
        const { status } = await fetch(`${program.url}/v1/stream`, { headers, signal: abort.signal })
        abort.abort()
        return status === 200
      })
    } finally {
      for (const listener of open) listener.close()
    }
  })
})

describe("a page of the portal that follows live", () => {
  test("is told a time for a position, and nothing of what came last for others", async () => {
    const { id } = await program.call("POST", "/v1/events", { type: "quiet", app: "theirs" })
    await using listening = await follow()
    assert.match(listening.raw, /^id: tim_\d{13}$/m)
    assert.ok(!listening.raw.includes(String(id)))
    const position = /^id: (tim_\d{13})$/m.exec(listening.raw)?.[1] ?? ""
    const own = await program.call("POST", "/v1/events", { type: "live", app: "mine" })
    await using again = await follow(position)
    await again.find(({ name, data }) => name === "event" && data["id"] === (own.id as unknown))
    assert.ok(again.messages.every(({ name }) => name !== "reset"))
  })

  test("goes on after what it was shown, and after nothing else, whether that is there or not", async () => {
    const [shown] = items((await as(await tokenOf(), "/v1/events?limit=1")).body.data)
    const theirs = await program.call("POST", "/v1/events", { type: "paid", app: "theirs" })
    const last = await program.call("POST", "/v1/events", { type: "last", app: "mine" })
    await using after = await follow(String(shown?.id))
    await after.find(({ name, data }) => name === "event" && data["id"] === (last.id as unknown))
    assert.ok(after.messages.every(({ name }) => name !== "reset"))

    const hidden = items((await program.call("GET", `/v1/deliveries?integration=${integrations.all}`)).data)[0]
    const { attempts } = (await program.call("GET", `/v1/deliveries/${hidden?.id}`)) as { attempts?: Json }
    const [change] = items((await program.call("GET", "/v1/audit-log")).data)
    const nothing = String(theirs.id).replace(/.$/, letter => (letter === "z" ? "y" : "z"))
    const told: string[] = []
    for (const id of [theirs.id, items(attempts)[0]?.id, change?.id, nothing].map(String)) {
      await using listener = await follow(id)
      const { text, id: position } = await listener.find(({ name }) => name === "reset")
      assert.match(String(position), /^tim_/)
      told.push(text)
    }
    assert.equal(told.length, 4)
    assert.equal(new Set(told).size, 1, told.join("\n"))
  })

  async function follow(lastEventId?: string): Promise<StreamListener & AsyncDisposable> {
    const key = await tokenOf()
    const listener = await StreamListener.open(
      { url: program.url, key },
      lastEventId === undefined ? {} : { lastEventId },
    )
    await listener.until(
      () => listener.raw.includes("retry: ") && (lastEventId !== undefined || /^id: /m.test(listener.raw)),
    )
    return Object.assign(listener, {
      async [Symbol.asyncDispose]() {
        listener.close()
        await listener.ended
      },
    })
  }
})

describe("a search of the portal", () => {
  test("answers for what stands at others' integrations as for what stands nowhere", async () => {
    const token = await tokenOf()
    const search = async (query: string) => {
      const { status, body, text } = await as(token, `/v1/events?limit=1&${query}`)
      assert.equal(status, 200, text)
      const { data, next_cursor, searched_back_to } = body
      return { data, next_cursor, searched_back_to }
    }
    const nothing = { data: [], next_cursor: null, searched_back_to: null }
    for (const query of ["status=failed", "reason=rejected", "destination_record=of-others", "reason=type_disabled"]) {
      assert.deepEqual(await search(query), nothing, query)
    }
    assert.equal(items((await search("destination_record=of-mine")).data).length, 1)
  })

  test("finds what was withheld from one's own, and not what was from others'", async () => {
    const off = (id: string) =>
      program.call("PATCH", `/v1/integrations/${id}`, { events: { types: { withheld: { enabled: false } } } })
    const token = await tokenOf()
    const found = async (query = "") =>
      items((await as(token, `/v1/events?reason=type_disabled${query}`)).body.data).map(({ id }) => id)
    await off(integrations.all)
    const { id } = await program.call("POST", "/v1/events", { type: "withheld", app: "mine" })
    const atAll = (await program.call("GET", "/v1/events?app=mine&reason=type_disabled")).data
    assert.deepEqual([items(atAll).map(each => each.id), await found()], [[id], []])
    await off(integrations.own)
    const both = await program.call("POST", "/v1/events", { type: "withheld", app: "mine" })
    assert.deepEqual(await found(), [both.id])
    assert.deepEqual(await found(`&integration=${integrations.own}`), [both.id])
  })
})

test("neither the machine, nor the version, nor the owner's key stands in what a token reads", async () => {
  const token = await tokenOf()
  const [event] = items((await program.call("GET", "/v1/events?type=paid&app=mine&limit=1")).data)
  const [delivery] = items(
    (await program.call("GET", `/v1/deliveries?integration=${integrations.own}&event=${event?.id}`)).data,
  )
  const { attempts } = (await program.call("GET", `/v1/deliveries/${delivery?.id}`)) as { attempts?: Json }
  const machine = String(items(attempts)[0]?.["process"])
  assert.ok(machine.length > 1 && String(event?.key).startsWith("key_"))
  const texts = [
    `/v1/events?limit=50`,
    `/v1/events/${event?.id}`,
    `/v1/deliveries/${delivery?.id}`,
    ...["history", "logs", "events", "report"].map(page => `/v1/integrations/${integrations.own}/${page}`),
  ]
  for (const path of texts) {
    const { status, text } = await as(token, path)
    assert.equal(status, 200, path)
    assert.ok(!text.includes(`"${machine}"`) && !text.includes(String(event?.key)), path)
  }
  const report = (await as(token, `/v1/integrations/${integrations.own}/report`)).body["waybill"]
  assert.deepEqual([report?.["version"], report?.["process"], report?.["started_at"]], ["", "", null])
  const text = (await as(token, `/v1/integrations/${integrations.own}/report?format=markdown`)).text
  assert.ok(!/Version|Running since/.test(text), text)
  using listener = await StreamListener.open({ url: program.url, key: token })
  await program.call("POST", "/v1/events", { type: "live", app: "mine" })
  const attempt = await listener.find(({ name }) => name === "attempt")
  assert.equal(attempt.data["process"], "")
  assert.ok(listener.messages.every(({ data }) => (data["key"] ?? null) === null))
})

test("a customer keeps an integration in sight however often it was changed lately", async () => {
  const name = (n: number) => ({ name: `changed ${n}` })
  const config = { production: { url: good.url() }, verification: "none" }
  const { id } = await program.call("POST", "/v1/integrations", { ...name(0), apps: ["mine"], config })
  for (let n = 1; n <= 101; n++) await program.call("PATCH", `/v1/integrations/${id}`, name(n))
  const listed = items((await as(await tokenOf(), "/v1/integrations")).body.data).map(each => each.id)
  assert.ok(listed.includes(id))
})

describe("a key that is limited", () => {
  const limited = async (more: object) =>
    String((await program.call("POST", "/v1/api-keys", { name: "server", scopes: serverScopes, ...more })).key)

  test("to one app learns of no other by asking for a token: not its name, nor whether it is there", async () => {
    const authorization = `Bearer ${await limited({ app: "mine" })}`
    const ask = async (app: string) => {
      const { status, body } = await program.ask("POST", "/v1/portal-tokens", { app }, { authorization })
      return [status, body.detail as unknown]
    }
    const refused = await ask("theirs")
    assert.equal(refused[0], 403)
    assert.deepEqual([await ask("their"), await ask("nobody")], [refused, refused])
    assert.equal((await ask("mine"))[0], 201)
  })

  test("to the sandbox ends no token of production", async () => {
    const given = await program.call("POST", "/v1/portal-tokens", { app: "mine" })
    const sandbox = await program.call("POST", "/v1/portal-tokens", { app: "mine", environment: "sandbox" })
    const authorization = `Bearer ${await limited({ environment: "sandbox" })}`
    const end = async (id: unknown) =>
      (await program.ask("DELETE", `/v1/portal-tokens/${id}`, undefined, { authorization })).status
    assert.deepEqual([await end(given.id), await end(sandbox.id)], [404, 204])
  })
})
