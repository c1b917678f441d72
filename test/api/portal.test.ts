/**
 * A token of the portal sees one app of a project, and nothing of another: a crawler asks each operation of the OpenAPI
 * document with one, for its own things and for those of others. An operation that is new falls in by itself.
 */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { type Operation, operationsOf } from "../help/document.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { type Answer, type Json, Program } from "../help/program.ts"
import { StreamListener } from "../help/stream-listener.ts"

let program: Program
let good: Endpoint
let bad: Endpoint
let operations: readonly Operation[]
let token: string
/** Ids by what they are of: `own` is the app's alone, `theirs` another app's, `shared` both apps', `all` every app's. */
const integrations = { own: "", failing: "", theirs: "", shared: "", all: "", moved: "" }
const events = { mine: "", theirs: "" }
/** Stands in everything that the portal must not tell of. */
const MARK = "canary-theirs"

before(async () => {
  program = await Program.open({ publicUrl: "https://hub.example" })
  good = await Endpoint.open({ body: '{"record_id":"rec"}' })
  bad = await Endpoint.open({ status: 404, body: `{"message":"no such ${MARK}"}` })
  for (const name of ["mine", MARK]) await program.call("POST", "/v1/apps", { name })
  const make = async (name: string, apps: readonly string[], url = good.url()) =>
    String(
      (
        await program.call("POST", "/v1/integrations", {
          name,
          apps,
          config: { production: { url, authorization: "Bearer of-the-receiver" }, verification: "none" },
          policy: { retry_delays_ms: [] },
        })
      ).id,
    )
  integrations.own = await make("own", ["mine"])
  integrations.failing = await make("failing", ["mine"], bad.url("/own"))
  integrations.theirs = await make(`${MARK} crm`, [MARK], bad.url())
  integrations.shared = await make(`${MARK} shared`, ["mine", MARK], bad.url())
  integrations.all = await make(`${MARK} of all`, [], bad.url())
  integrations.moved = await make(`${MARK} moved`, [])
  await program.call("PATCH", `/v1/integrations/${integrations.moved}`, { apps: ["mine"] })
  const send = async (app: string, type: string, data: string) =>
    String((await program.call("POST", "/v1/events", { type, app, profile_id: `${app}-profile`, data: { data } })).id)
  events.theirs = await send(MARK, `${MARK}.paid`, MARK)
  events.mine = await send("mine", "paid", "of mine")
  await program.until("all has gone where it goes", async () => {
    const { data } = await program.call("GET", "/v1/deliveries?limit=50")
    const ended = items(data).filter(({ status }) => ["delivered", "failed"].includes(String(status)))
    return ended.length === items(data).length && ended.length >= 8
  })
  operations = operationsOf(await (await fetch(`${program.url}/openapi.json`)).json())
  token = await tokenFor({ may: ["events", "payloads", "integrations", "replay"] })
})
after(async () => {
  await program[Symbol.asyncDispose]()
  await good.close()
  await bad.close()
})

async function tokenFor(more: object = {}): Promise<string> {
  return String((await program.call("POST", "/v1/portal-tokens", { app: "mine", ...more })).token)
}

function as(credential: string, method: string, path: string, body?: unknown): Promise<Answer> {
  return program.ask(method, path, body, { authorization: `Bearer ${credential}` })
}

const portal = (method: string, path: string, body?: unknown) => as(token, method, path, body)

async function deliveryAt(integration: string, event: string): Promise<string> {
  const { data } = await program.call("GET", `/v1/deliveries?integration=${integration}&event=${event}`)
  return String(items(data)[0]?.id)
}

/** What the bad endpoint said of one's own is told: it is the answer to one's own request. */
function tells(text: string): boolean {
  const hidden = [events.theirs, integrations.theirs, integrations.shared, integrations.all, integrations.moved]
  const said = text.replaceAll(`no such ${MARK}`, "").replaceAll(`no such ${MARK.toLowerCase()}`, "")
  return said.includes(MARK) || hidden.some(id => text.includes(id))
}

describe("with a token of one app every operation", () => {
  /** All that could be meant by a parameter: what is one's own, and what is not. */
  const idsFor = async (path: string): Promise<readonly string[]> => {
    if (path.startsWith("/v1/integrations/{id}")) return Object.values(integrations)
    if (path.startsWith("/v1/events/{id}")) return Object.values(events)
    if (path.startsWith("/v1/deliveries/{id}")) {
      const all: string[] = []
      for (const integration of Object.values(integrations))
        for (const event of Object.values(events)) all.push(await deliveryAt(integration, event))
      return all.filter(id => id !== "undefined")
    }
    return ["nobody"]
  }

  test("tells nothing of another app, whatever it is asked for", async () => {
    const faults: string[] = []
    const answered = new Set<string>()
    for (const { id, method, path, raw, takesBody } of operations) {
      // It goes on: a test of its own.
      if (id === "stream" || (raw["security"] as readonly object[]).length === 0) continue
      const parameters = (raw["parameters"] ?? []) as readonly { readonly in: string; readonly name: string }[]
      const named = parameters.filter(each => each.in === "query").map(({ name }) => name)
      const queries = ["", ...named.flatMap(name => (values[name]?.() ?? []).map(value => `?${name}=${value}`))]
      for (const one of await idsFor(path)) {
        for (const query of method === "GET" ? queries : [""]) {
          const { status, text } = await portal(
            method,
            path.replace(/\{\w+\}/, one) + query,
            takesBody ? {} : undefined,
          )
          if (status < 300) answered.add(id)
          const asked = `${one} ${query}`
          // What was asked for may be said again by the sentence that refuses it.
          if (status < 400 && tells(text)) faults.push(`${id} ${asked}: ${status} ${text.slice(0, 400)}`)
          if (status >= 400 && tells(without(text, one, query))) faults.push(`${id} ${asked}: ${status} ${text}`)
        }
      }
    }
    assert.deepEqual(faults, [])
    assert.deepEqual([...answered].sort(), [...open].sort())
  })

  /** Whoever adds one here has thought of what it tells of other apps. */
  const open = [
    "getPortal",
    "listEvents",
    "getEvent",
    "listDeliveries",
    "getDelivery",
    "retryDelivery",
    "listIntegrations",
    "getIntegration",
    "getIntegrationHistory",
    "getIntegrationLogs",
    "listIntegrationEvents",
    "getDiagnosis",
    "listDiagnoses",
    "listFailures",
    "getReport",
    "listConnectors",
    "listReasons",
  ]
  const values: Readonly<Record<string, () => readonly string[]>> = {
    integration: () => Object.values(integrations),
    event: () => Object.values(events),
    app: () => ["mine", MARK],
    type: () => ["paid", `${MARK}.paid`],
    profile_id: () => ["mine-profile", `${MARK}-profile`],
    destination_record: () => ["rec"],
    status: () => ["failed", "delivered", "processing"],
    reason: () => ["rejected", "type_disabled"],
    outcomes: () => ["true"],
    format: () => ["markdown"],
    environment: () => ["production", "sandbox"],
  }
  const without = (text: string, ...asked: readonly string[]) =>
    asked
      .flatMap(each => [each, each.split("=")[1] ?? ""])
      .filter(each => each !== "")
      .reduce((rest, each) => rest.replaceAll(each, ""), text)

  test("but those that the portal is made of refuses it, with a sentence that says so", async () => {
    for (const [method, path, body] of [
      ["GET", "/v1/projects"],
      ["GET", "/v1/status"],
      ["GET", "/v1/apps"],
      ["GET", "/v1/event-types"],
      ["GET", "/v1/rejections"],
      ["GET", "/v1/recoveries"],
      ["POST", "/v1/recoveries", {}],
      ["GET", "/v1/api-keys"],
      ["POST", "/v1/events", { type: "a" }],
      ["POST", "/v1/portal-tokens", { app: "mine" }],
      ["GET", `/v1/integrations/${integrations.own}/revisions`],
      ["PATCH", `/v1/integrations/${integrations.own}`, { name: "mine now" }],
    ] as const) {
      const answer = await portal(method, path, body)
      assert.equal(answer.status, 403, path)
      assert.match(String(answer.body.detail), /token of a portal: it reads the events and the integrations of its app/)
    }
  })
})

describe("a token of one app sees", () => {
  test("the integrations that are this app's alone, and never were another's", async () => {
    const listed = items((await portal("GET", "/v1/integrations")).body.data).map(({ id }) => String(id))
    assert.deepEqual(listed.sort(), [integrations.own, integrations.failing].sort())
    const diagnosed = items((await portal("GET", "/v1/diagnosis")).body.data).map(each => String(each.integration?.id))
    assert.deepEqual(diagnosed.sort(), listed.sort())
    for (const id of [integrations.theirs, integrations.shared, integrations.all, integrations.moved]) {
      for (const path of ["", "/history", "/logs", "/events", "/diagnosis", "/failures", "/report"]) {
        const { status, body } = await portal("GET", `/v1/integrations/${id}${path}`)
        assert.deepEqual([status, body.code], [404, "not_found"], path)
      }
    }
  })

  test("one that was other apps' too once nothing is kept of that time", async () => {
    await using later = await Program.open()
    await later.call("POST", "/v1/apps", { name: "mine" })
    const id = await later.integrate(good.url())
    await later.call("PATCH", `/v1/integrations/${id}`, { apps: ["mine"] })
    const listed = async () => {
      const made = await later.call("POST", "/v1/portal-tokens", { app: "mine" })
      const headers = { authorization: `Bearer ${made.token}` }
      return items((await later.ask("GET", "/v1/integrations", undefined, headers)).body.data).length
    }
    assert.equal(await listed(), 0)
    later.turn(29 * 86_400_000)
    assert.equal(await listed(), 0)
    later.turn(86_400_000)
    assert.equal(await listed(), 1)
  })

  test("an event as it stands at these, in lists, alone, and by its status", async () => {
    const [listed] = items((await portal("GET", "/v1/events?outcomes=true")).body.data)
    assert.equal(listed?.id, events.mine)
    const counts = { open: 0, retrying: 0, delivered: 1, failed: 1, withheld_red: 0 }
    assert.deepEqual(listed?.counts, counts)
    const outcomes = items(listed?.outcomes).map(each => String(each.integration?.name))
    assert.deepEqual(outcomes.sort(), ["failing", "own"])
    assert.equal(listed?.outcomes_left_out, 0)
    const event = (await portal("GET", `/v1/events/${events.mine}`)).body
    assert.deepEqual(event.counts, counts)
    assert.deepEqual(event["payload"], { data: "of mine" })
    assert.equal(items(event["deliveries"]).length, 2)
    const found = async (status: string) => items((await portal("GET", `/v1/events?status=${status}`)).body.data).length
    assert.deepEqual([await found("failed"), await found("delivered")], [1, 0])
  })

  test("an event that failed elsewhere alone as delivered", async () => {
    await using receiver = await Endpoint.open()
    await program.call("POST", "/v1/apps", { name: "calm" })
    const config = { production: { url: receiver.url() }, verification: "none" }
    await program.call("POST", "/v1/integrations", { name: "calm", apps: ["calm"], config })
    const { id } = await program.call("POST", "/v1/events", { type: "calm", app: "calm" })
    await program.until("it has failed at that of all apps", async () => {
      const { counts } = (await program.call("GET", `/v1/events/${id}`)) as { counts?: Record<string, number> }
      return counts?.["failed"] === 1 && (counts["delivered"] ?? 0) >= 1
    })
    const calm = await tokenFor({ app: "calm" })
    const statuses = async (query: string) =>
      items((await as(calm, "GET", `/v1/events${query}`)).body.data).map(({ status }) => String(status))
    assert.deepEqual(await statuses(""), ["delivered"])
    assert.deepEqual(await statuses("?status=delivered"), ["delivered"])
    assert.deepEqual(await statuses("?status=failed"), [])
    assert.deepEqual(await statuses("?reason=rejected"), [])
  })

  test("all that a diagnosis says of them, but not who has changed them nor how others do", async () => {
    const { status, body } = await portal("GET", `/v1/integrations/${integrations.failing}/diagnosis`)
    assert.equal(status, 200)
    for (const change of items(body["verdict"]?.["changes"])) {
      assert.deepEqual([change["by"]?.id, change["by"]?.name], [null, null])
    }
    const report = (await portal("GET", `/v1/integrations/${integrations.failing}/report`)).body
    assert.deepEqual([report["waybill"]?.["process"], report["waybill"]?.["oldest_due_seconds"]], ["", 0])
    const limited = await tokenFor({ environment: "sandbox" })
    const refused = await as(limited, "GET", `/v1/integrations/${integrations.failing}/diagnosis`)
    assert.equal(refused.status, 403, "what is counted over both environments is not for a token of one")
  })

  test("the stream of its events, without what becomes of them elsewhere", async () => {
    const start = String(items((await program.call("GET", "/v1/projects")).data)[0]?.id)
    using listener = await StreamListener.open({ url: program.url, key: token }, { lastEventId: start })
    await program.call("POST", "/v1/events", { type: `${MARK}.live`, app: MARK })
    const { id } = await program.call("POST", "/v1/events", { type: "live", app: "mine" })
    const arrived = await listener.find(({ name, data }) => name === "event" && data["id"] === id)
    assert.deepEqual(
      [...(arrived.data["integrations"] as string[])].sort(),
      [integrations.own, integrations.failing].sort(),
    )
    assert.deepEqual(arrived.data["withheld"], [])
    for (const integration of [integrations.own, integrations.failing]) {
      await listener.find(
        ({ name, data }) =>
          name === "attempt" &&
          (data["integration"] as Json).id === (integration as unknown) &&
          (data["event"] as Json).id === (id as unknown),
      )
    }
    for (const { text } of listener.messages) assert.equal(tells(text), false, text)
    assert.ok(listener.messages.every(({ name }) => name !== "change"))
  })

  test("what it was given, and no more", async () => {
    const bare = await tokenFor({ may: ["events"] })
    assert.equal((await as(bare, "GET", `/v1/events/${events.mine}`)).body["payload_hidden"], true)
    assert.equal((await as(bare, "GET", "/v1/integrations")).status, 403)
    const delivery = await deliveryAt(integrations.failing, events.mine)
    assert.equal((await as(bare, "POST", `/v1/deliveries/${delivery}/retry`)).status, 403)
    assert.equal((await portal("POST", `/v1/deliveries/${delivery}/retry`)).status, 202)
    const hidden = await deliveryAt(integrations.all, events.mine)
    assert.equal((await portal("POST", `/v1/deliveries/${hidden}/retry`)).status, 404)
  })
})

describe("a token", () => {
  test("says whose portal it opens, and comes with an address to frame", async () => {
    const project = String(items((await program.call("GET", "/v1/projects")).data)[0]?.id)
    await program.call("PATCH", `/v1/projects/${project}`, { portal: { name: "Shop", color: "#0B5FFF" } })
    const made = await program.call("POST", "/v1/portal-tokens", { app: "mine", expires_in: 60 })
    assert.match(String(made.token), /^wb_pt_[0-9A-Za-z]{36}$/)
    assert.equal(made.url, `https://hub.example/portal/${project}#token=${made.token}`)
    const expires_at = new Date(program.now + 60_000).toISOString()
    assert.deepEqual((await as(String(made.token), "GET", "/v1/portal")).body, {
      project: { id: project },
      name: "Shop",
      color: "#0b5fff",
      app: { name: "mine", title: null },
      environment: null,
      may: ["events", "payloads", "integrations"],
      expires_at,
    })
    assert.equal((await program.ask("GET", "/v1/portal")).status, 404, "a key is none")
  })

  test("ends when its time is over, and stands in no list of keys but that of its kind", async () => {
    await using own = await Program.open()
    await own.call("POST", "/v1/apps", { name: "mine" })
    const { token: made } = await own.call("POST", "/v1/portal-tokens", { app: "mine", expires_in: 60 })
    const look = () => own.ask("GET", "/v1/events", undefined, { authorization: `Bearer ${made}` })
    assert.equal((await look()).status, 200)
    own.turn(60_000)
    const { status, body } = await look()
    assert.equal(status, 401)
    assert.match(String(body.detail), /token of a portal has expired/)
    const listed = async (query: string) => items((await own.call("GET", `/v1/api-keys${query}`)).data).length
    assert.deepEqual([await listed(""), await listed("?kind=portal")], [1, 1])
  })

  test("ends at once when it is revoked, also for a page that is open, and stands in the audit log", async () => {
    const made = await program.call("POST", "/v1/portal-tokens", { app: "mine" })
    using listener = await StreamListener.open({ url: program.url, key: String(made.token) })
    assert.equal((await program.ask("DELETE", `/v1/portal-tokens/${made.id}`)).status, 204)
    assert.equal((await as(String(made.token), "GET", "/v1/portal")).status, 401)
    await listener.find(({ name }) => name === "bye")
    const kinds = items((await program.call("GET", `/v1/audit-log?subject=${made.id}`)).data).map(({ kind }) => kind)
    assert.deepEqual(kinds, ["portal_token.revoked", "portal_token.created"])
    const text = JSON.stringify(await program.rows("select * from api_key where kind = 'portal'"))
    assert.ok(!text.includes(String(made.token)), "only its hash is kept")
  })

  test("is ended as a key is too, and is neither changed nor rotated", async () => {
    const made = await program.call("POST", "/v1/portal-tokens", { app: "mine" })
    const path = `/v1/api-keys/${made.id}`
    for (const [method, at, body] of [
      ["PATCH", path, { expires_at: null }],
      ["POST", `${path}/rotate`, {}],
    ] as const) {
      const { status, body: said } = await program.ask(method, at, body)
      assert.equal(status, 409)
      assert.match(String(said.detail), /POST \/v1\/portal-tokens/)
    }
    assert.equal((await program.call("DELETE", path))["kind"], "portal")
    assert.equal((await as(String(made.token), "GET", "/v1/portal")).status, 401)
  })

  test("gives no more than the key that asks for it", async () => {
    const key = async (scopes: readonly string[], more: object = {}) =>
      String((await program.call("POST", "/v1/api-keys", { name: "server", scopes, ...more })).key)
    const reading = ["portal", "events:read", "integrations:read"]
    const ask = async (by: string, body: object = {}) => {
      const answer = await as(by, "POST", "/v1/portal-tokens", { app: "mine", ...body })
      return [answer.status, answer.body["scope"] ?? answer.body["expires_at"]]
    }
    assert.deepEqual(await ask(await key(["events:read"])), [403, "portal"])
    const narrow = await key(reading)
    assert.deepEqual(await ask(narrow), [403, "payloads:read"])
    assert.equal((await ask(narrow, { may: ["events", "integrations"] }))[0], 201)
    assert.equal((await ask(await key(reading, { app: MARK }), { may: ["events"] }))[0], 403, "of another app")
    const expires_at = new Date(program.now + 90_000).toISOString()
    assert.deepEqual(await ask(await key(reading, { expires_at }), { may: ["events"] }), [201, expires_at])
  })

  test("is refused for an app that there is not, and for a time or a right that there is not, each with a sentence", async () => {
    for (const [body, pointer] of [
      [{}, "/app"],
      [{ app: "mime" }, "/app"],
      [{ app: "mine", expires_in: 59 }, "/expires_in"],
      [{ app: "mine", expires_in: 86_401 }, "/expires_in"],
      [{ app: "mine", may: [] }, "/may"],
      [{ app: "mine", may: ["admin"] }, "/may/0"],
    ] as const) {
      const answer = await program.ask("POST", "/v1/portal-tokens", body)
      assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [422, pointer], answer.text)
    }
    assert.match((await program.ask("POST", "/v1/portal-tokens", { app: "mime" })).text, /Did you mean mine\?/)
  })
})
