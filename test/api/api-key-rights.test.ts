/** What a key may do, from whom it has that, and how another takes its place. */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { generateKey, isPlausibleKey } from "../../src/store/keys.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { type Answer, Program } from "../help/program.ts"
import { StreamListener, type StreamMessage } from "../help/stream-listener.ts"

let program: Program
before(async () => {
  program = await Program.open()
  await program.call("POST", "/v1/apps", { name: "ios" })
})
after(() => program[Symbol.asyncDispose]())

const DAY_MS = 86_400_000

async function make(more: object = {}): Promise<{ id: string; key: string; answer: Answer }> {
  const answer = await program.ask("POST", "/v1/api-keys", { name: "a key", ...more })
  assert.equal(answer.status, 201, answer.text)
  return { id: String(answer.body.id), key: String(answer.body.key), answer }
}

function as(key: string, method: string, path: string, body?: unknown): Promise<Answer> {
  return program.ask(method, path, body, { authorization: `Bearer ${key}` })
}

const soon = (ms: number) => new Date(program.now + ms).toISOString()

describe("a new key", () => {
  test("may send events and nothing else, where nothing else is asked for", async () => {
    const { key, answer } = await make()
    assert.deepEqual(answer.body.scopes, ["ingest"])
    assert.equal((await as(key, "POST", "/v1/events", { type: "a" })).status, 202)
    const refused = await as(key, "GET", "/v1/events")
    assert.deepEqual([refused.status, refused.body.code, refused.body["scope"]], [403, "forbidden", "events:read"])
    assert.match(refused.body.detail as unknown as string, /`events:read`.*Reads events/)
  })

  test("shows its scopes, limits, maker and end, in the answer, by itself and in the list", async () => {
    const asked = {
      scopes: ["ingest", "events:read"],
      app: "ios",
      environment: "sandbox",
      source: "https://shop.example",
      max_requests_per_minute: 600,
      expires_at: soon(DAY_MS),
    }
    const { id, key, answer } = await make(asked)
    const [first] = items((await program.call("GET", "/v1/api-keys?limit=200")).data).filter(
      ({ name }) => String(name) === "first key",
    )
    const { key: _, ...made } = answer.body
    assert.deepEqual({ ...made, ...asked, kind: "secret", created_by: first?.id }, made)
    assert.deepEqual((await program.ask("GET", `/v1/api-keys/${id}`)).body, made)
    assert.equal(first?.created_by, null)
    assert.match(key, /^wb_test_sk_/, "one that is limited to sandbox can be told by its beginning")
  })

  test("does nothing where its list of scopes is empty, but see its project", async () => {
    const { key } = await make({ scopes: [] })
    assert.deepEqual(
      await Promise.all(
        ["/v1/projects", "/v1/status", "/v1/events"].map(async path => (await as(key, "GET", path)).status),
      ),
      [200, 200, 403],
    )
  })

  test("is carried out once, however often the same request comes", async () => {
    const once = () => program.ask("POST", "/v1/api-keys", { name: "once" }, { "idempotency-key": "one key" })
    const [one, two] = [await once(), await once()]
    assert.deepEqual([one.status, two.status, two.body.key], [201, 201, one.body.key])
    assert.equal(two.headers.get("idempotency-replayed"), "true")
  })
})

describe("the maker of a key", () => {
  test("has to have the scope admin", async () => {
    const { key } = await make({ scopes: ["integrations:write", "secrets:read", "replay"] })
    const refused = await as(key, "POST", "/v1/api-keys", { name: "x" })
    assert.deepEqual([refused.status, refused.body["scope"]], [403, "admin"])
  })

  test("gives no key that lasts longer than its own", async () => {
    const end = soon(DAY_MS)
    const { id, key } = await make({ scopes: ["admin"], expires_at: end })
    const open = await as(key, "POST", "/v1/api-keys", { name: "x" })
    assert.deepEqual([open.status, open.body.expires_at], [201, end], "where nothing is said it ends with its maker")
    const longer = await as(key, "POST", "/v1/api-keys", { name: "x", expires_at: soon(2 * DAY_MS) })
    assert.deepEqual([longer.status, longer.body.errors?.[0]?.pointer], [403, "/expires_at"])
    const own = await as(key, "PATCH", `/v1/api-keys/${id}`, { expires_at: null })
    assert.equal(own.status, 403, "nor does it prolong itself")
    const other = await make({ scopes: ["admin"] })
    const rotated = await as(key, "POST", `/v1/api-keys/${other.id}/rotate`, {})
    assert.deepEqual([rotated.status, rotated.body.expires_at], [201, end], "nor take a lasting one's place for good")
    assert.equal((await as(key, "PATCH", `/v1/api-keys/${other.id}`, { name: "renamed" })).status, 200)
  })
})

describe("a key that is changed", () => {
  test("has another name, end and quota, and the same rights", async () => {
    const { id, key, answer } = await make({ scopes: ["events:read"] })
    const changed = await program.ask("PATCH", `/v1/api-keys/${id}`, { name: "other", expires_at: soon(60_000) })
    const { key: _, ...made } = answer.body
    assert.deepEqual(changed.body, { ...made, name: "other", expires_at: soon(60_000) })
    program.turn(60_000)
    assert.equal((await as(key, "GET", "/v1/events")).status, 401)
    const late = await program.ask("PATCH", `/v1/api-keys/${id}`, { expires_at: null })
    assert.deepEqual([late.status, late.body.code], [409, "conflict"], "one that has ended stays ended")
    assert.equal((await program.ask("PATCH", `/v1/api-keys/${id}`, { scopes: ["admin"] })).status, 422)
  })

  test("is not changed by who read another state of it", async () => {
    const { id } = await make()
    const tag = (await program.ask("GET", `/v1/api-keys/${id}`)).headers.get("etag") ?? ""
    const change = (name: string) => program.ask("PATCH", `/v1/api-keys/${id}`, { name }, { "if-match": tag })
    assert.deepEqual([(await change("one")).status, (await change("two")).status], [200, 412])
  })
})

describe("a key that is rotated", () => {
  test("has a successor with the same rights at once, and goes on until its grace is over", async () => {
    const { id, key, answer } = await make({ scopes: ["events:read"], app: "ios", max_requests_per_minute: 1_000 })
    const rotated = await program.ask("POST", `/v1/api-keys/${id}/rotate`, { grace_seconds: 600 })
    assert.equal(rotated.status, 201)
    assert.deepEqual(rotated.body["replaces"], { id, expires_at: soon(600_000) })
    for (const field of ["name", "scopes", "app", "environment", "source", "max_requests_per_minute", "expires_at"])
      assert.deepEqual(rotated.body[field], answer.body[field], field)
    const next = String(rotated.body.key)
    assert.notEqual(next, key)
    const good = async () => [(await as(key, "GET", "/v1/events")).status, (await as(next, "GET", "/v1/events")).status]
    program.turn(599_999)
    assert.deepEqual(await good(), [200, 200])
    program.turn(1)
    assert.deepEqual(await good(), [401, 200])
  })

  test("ends at once without grace, and never later than it would have", async () => {
    const one = await make({ scopes: ["events:read"] })
    await program.call("POST", `/v1/api-keys/${one.id}/rotate`, { grace_seconds: 0 })
    assert.equal((await as(one.key, "GET", "/v1/events")).status, 401)
    const two = await make({ expires_at: soon(60_000) })
    const { replaces } = await program.call("POST", `/v1/api-keys/${two.id}/rotate`, { expires_at: soon(DAY_MS) })
    assert.equal(replaces?.expires_at, soon(60_000))
    const { status, body } = await program.ask("POST", `/v1/api-keys/${one.id}/rotate`)
    assert.deepEqual([status, body.code], [409, "conflict"])
  })

  test("may be the one that the request came with", async () => {
    const { id, key } = await make({ scopes: ["admin"] })
    const rotated = await as(key, "POST", `/v1/api-keys/${id}/rotate`)
    assert.equal((await as(String(rotated.body.key), "GET", "/v1/api-keys")).status, 200)
  })
})

test("a key says what it is, and a typo in any of ours is told without the database", () => {
  for (const key of [generateKey(), generateKey("sandbox"), generateKey("production")]) {
    assert.match(key, /^wb_(live|test)_sk_[0-9A-Za-z]{36}$/)
    assert.equal(isPlausibleKey(key), true)
    for (const at of [12, 20, key.length - 1]) {
      const typo = key.slice(0, at) + (key[at] === "x" ? "y" : "x") + key.slice(at + 1)
      assert.equal(isPlausibleKey(typo), false, typo)
    }
  }
  const old = "wb_live_"
  assert.equal(isPlausibleKey(`${old}${"0".repeat(36)}`), false, "those of before are held against their checksum too")
  assert.equal(isPlausibleKey("wb_of_my_own"), true)
})

test("without payloads:read no answer holds what events, requests and answers hold", async () => {
  const reply = { status: 422, body: '{"error":"canary-answer"}', headers: { "x-canary": "canary-header" } }
  await using endpoint = await Endpoint.open(reply)
  const integration = await program.integrate(endpoint.url(), { policy: { retry_delays_ms: [] } })
  const { id: event } = await program.call("POST", "/v1/events", { type: "a", data: { secret: "canary-payload" } })
  await program.ask("POST", "/v1/events", '{"type": "canary-refused')
  await program.recorded(1)
  const [failed] = items((await program.call("GET", `/v1/deliveries?integration=${integration}`)).data)
  const delivery = failed?.id
  const paths = [
    `/v1/events/${event}`,
    "/v1/events",
    `/v1/deliveries/${delivery}`,
    `/v1/integrations/${integration}/logs`,
    `/v1/integrations/${integration}/failures`,
    `/v1/integrations/${integration}/diagnosis`,
    `/v1/integrations/${integration}/report`,
    `/v1/integrations/${integration}/report?format=markdown`,
    `/v1/integrations/${integration}/events`,
    "/v1/rejections",
  ]
  const all = ["ingest", "events:read", "integrations:read", "integrations:write", "replay", "metrics:read"]
  const narrow = await make({ scopes: all })
  const wide = await make({ scopes: [...all, "payloads:read"] })
  const canaries = async (key: string) => {
    const texts = await Promise.all(paths.map(async path => (await as(key, "GET", path)).text))
    const tested = await as(key, "POST", `/v1/integrations/${integration}/test`, { event })
    return new Set([...texts, tested.text].join("\n").match(/canary-\w+/g))
  }
  assert.deepEqual([...(await canaries(narrow.key))], [])
  assert.deepEqual([...(await canaries(wide.key))].sort(), [
    "canary-answer",
    "canary-header",
    "canary-payload",
    "canary-refused",
  ])
  const { body } = await as(narrow.key, "GET", `/v1/events/${event}`)
  assert.deepEqual([body.payload, body["payload_hidden"]], [null, true])
  const hidden = await as(narrow.key, "GET", `/v1/deliveries/${delivery}`)
  const [attempt] = items(hidden.body.attempts)
  assert.deepEqual([attempt?.request, attempt?.response, attempt?.["exchange_hidden"]], [null, null, true])
  assert.equal((await as(narrow.key, "GET", `/v1/integrations/${integration}/inbox`)).status, 403)
})

test("a stream shows its listener what its key may see: payloads, changes of the configuration, all changes", async () => {
  const listen = async (scopes: readonly string[]) => {
    const { key } = await make({ scopes: ["events:read", ...scopes] })
    return StreamListener.open({ url: program.url, key })
  }
  using bare = await listen([])
  using reader = await listen(["payloads:read", "integrations:read"])
  using admin = await listen(["admin"])
  const name = "canary-integration"
  const integration = await program.integrate("http://127.0.0.1:9/", { name })
  await program.call("POST", `/v1/integrations/${integration}/pause`)
  await make({ name: "canary-key" })
  const { id } = await program.call("POST", "/v1/events", { type: "a", data: "canary-payload" })
  const isIt = ({ id: at }: StreamMessage) => at === id
  const told = await Promise.all(
    [bare, reader, admin].map(async listener => {
      const { data } = await listener.find(isIt)
      const kinds = listener.messages.filter(({ name: kind }) => kind === "change").map(({ data: of }) => of["kind"])
      return { payload: data["payload"], hidden: data["payload_hidden"], kinds: [...new Set(kinds)].sort() }
    }),
  )
  const configuration = ["integration.created", "integration.paused"]
  assert.deepEqual(told, [
    { payload: null, hidden: true, kinds: [] },
    { payload: "canary-payload", hidden: false, kinds: configuration },
    { payload: "canary-payload", hidden: false, kinds: ["api_key.created", ...configuration] },
  ])
})
