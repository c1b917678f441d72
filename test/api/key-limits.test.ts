/** Keys that are limited to an app, an environment or a source send only events of these, and read only these. */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { type Answer, type Json, Program } from "../help/program.ts"
import { StreamListener } from "../help/stream-listener.ts"

const scopes = ["ingest", "events:read", "payloads:read", "integrations:read", "replay"]
const sources = { api: "api", shop: "https://shop.example" }

let program: Program
let endpoint: Endpoint
let integration: string
/** A key for each limit, and one without. */
const keys: Record<"app" | "environment" | "source" | "none", string> = {
  app: "",
  environment: "",
  source: "",
  none: "",
}
/** Ids of events by what they are of. */
const events: Record<"ios" | "android" | "sandbox" | "shop", string> = { ios: "", android: "", sandbox: "", shop: "" }

before(async () => {
  program = await Program.open()
  endpoint = await Endpoint.open({ status: 422 })
  const config = { sandbox: { url: endpoint.url("/sandbox") } }
  integration = await program.integrate(endpoint.url(), { config, policy: { retry_delays_ms: [] } })
  for (const name of ["ios", "android"]) await program.call("POST", "/v1/apps", { name })
  const make = async (limits: object) =>
    (await program.call("POST", "/v1/api-keys", { name: "k", scopes, ...limits })).key
  keys.app = String(await make({ app: "ios" }))
  keys.environment = String(await make({ environment: "sandbox" }))
  keys.source = String(await make({ source: sources.shop }))
  keys.none = String(await make({}))
  const send = async (body: object) => String((await program.call("POST", "/v1/events", body)).id)
  events.ios = await send({ type: "of.ios", app: "ios", data: { of: "ios" } })
  events.android = await send({ type: "of.android", app: "android", data: { of: "android" } })
  events.sandbox = await send({ type: "of.sandbox", environment: "sandbox", data: { of: "sandbox" } })
  events.shop = String((await sendCloud(keys.none, { source: sources.shop, type: "of.shop", id: "1" })).body.id)
  await program.recorded(4)
})
after(async () => {
  await program[Symbol.asyncDispose]()
  await endpoint.close()
})

/** Which of the events each key may see. */
const seen = {
  app: ["ios"],
  environment: ["sandbox"],
  source: ["shop"],
  none: ["ios", "android", "sandbox", "shop"],
} as const
const limits = ["app", "environment", "source"] as const

function as(key: string, method: string, path: string, body?: unknown): Promise<Answer> {
  return program.ask(method, path, body, { authorization: `Bearer ${key}` })
}

function sendCloud(key: string, attributes: object): Promise<Answer> {
  const type = "application/cloudevents+json"
  const headers = { authorization: `Bearer ${key}`, "content-type": type }
  return program.ask("POST", "/v1/events", { specversion: "1.0", ...attributes }, headers)
}

async function listed(key: string, path: string, idOf: (entry: Json) => Json | undefined = entry => entry.id) {
  const answer = await as(key, "GET", path)
  assert.equal(answer.status, 200, answer.text)
  const ids = items(answer.body.data).map(entry => String(idOf(entry)))
  return Object.entries(events)
    .filter(([, id]) => ids.includes(id))
    .map(([name]) => name)
}

const ofDelivery = (entry: Json) => entry.event?.id

for (const name of [...limits, "none"] as const) {
  describe(`a key that is limited to ${name === "none" ? "nothing" : `one ${name}`}`, () => {
    test("finds its events, whatever it asks by", async () => {
      for (const path of ["/v1/events", `/v1/events?integration=${integration}`, "/v1/events?status=failed"])
        assert.deepEqual(await listed(keys[name], path), seen[name], path)
      const here = await listed(keys[name], `/v1/integrations/${integration}/events`, ofDelivery)
      assert.deepEqual(here, seen[name])
    })

    test("finds their deliveries, and no other", async () => {
      const all = Object.values(events).map(id => `/v1/deliveries?event=${id}`)
      const paths = ["/v1/deliveries", `/v1/deliveries?integration=${integration}`, "/v1/deliveries?status=failed"]
      for (const path of paths) assert.deepEqual(await listed(keys[name], path, ofDelivery), seen[name], path)
      const found = await Promise.all(all.map(path => listed(keys[name], path, ofDelivery)))
      assert.deepEqual(found.flat(), seen[name])
    })

    test("opens each of them, and tries it again; of any other it learns nothing", async () => {
      for (const [of, id] of Object.entries(events)) {
        const isSeen = seen[name].some(one => one === of)
        const event = await as(keys[name], "GET", `/v1/events/${id}`)
        assert.equal(event.status, isSeen ? 200 : 404, of)
        const delivery = await deliveryOf(id)
        for (const [method, path] of [
          ["GET", ""],
          ["POST", "/release"],
          ["POST", "/retry"],
        ] as const) {
          const { status } = await as(keys[name], method, `/v1/deliveries/${delivery}${path}`)
          if (isSeen) assert.notEqual(status, 404, `${method} ${of}${path}`)
          else assert.equal(status, 404, `${method} ${of}${path}`)
        }
      }
    })

    test("reads the log of an integration as far as its events go", async () => {
      const { body } = await as(keys[name], "GET", `/v1/integrations/${integration}/logs?limit=50`)
      const ids = new Set(items(body["errors"]).map(entry => String(entry.event?.id)))
      const found = Object.entries(events).filter(([, id]) => ids.has(id))
      assert.deepEqual(
        found.map(([of]) => of),
        seen[name],
      )
    })

    test("follows them in the stream, from the first on", async () => {
      using listener = await StreamListener.open({ url: program.url, key: keys[name] }, { lastEventId: await start() })
      const last = { app: events.ios, environment: events.sandbox, source: events.shop, none: events.shop }[name]
      await listener.find(message => message.name === "event" && message.data["id"] === last)
      // What comes behind is read with what came before it.
      await program.call("POST", `/v1/deliveries/${await deliveryOf(last)}/retry`)
      const retried = listener.messages.length
      await listener.find(message => message.name === "attempt" && listener.messages.indexOf(message) >= retried)
      const told = listener.messages.map(({ text }) => text).join("\n")
      const found = Object.entries(events).filter(([, id]) => told.includes(id))
      assert.deepEqual(
        found.map(([of]) => of),
        seen[name],
      )
    })
  })
}

describe("what a limited key sends", () => {
  test("is of its app, environment and source, where it does not say so itself", async () => {
    const sent = await Promise.all(
      limits.map(async name => {
        const { status, body } = await as(keys[name], "POST", "/v1/events", { type: "filled.in" })
        assert.equal(status, 202)
        const event = await program.call("GET", `/v1/events/${body.id}`)
        return [event["app"], event["environment"], event["source"]]
      }),
    )
    assert.deepEqual(sent, [
      ["ios", "production", "api"],
      [null, "sandbox", "api"],
      [null, "production", sources.shop],
    ])
  })

  test("is refused where it says something else, in a batch each for itself, and as a CloudEvent", async () => {
    for (const [name, own, other, pointer] of [
      ["app", { app: "ios" }, { app: "android" }, "/app"],
      ["environment", { environment: "sandbox" }, { environment: "production" }, "/environment"],
    ] as const) {
      assert.equal((await as(keys[name], "POST", "/v1/events", { type: "a", ...own })).status, 202)
      const refused = await as(keys[name], "POST", "/v1/events", { type: "a", ...other })
      assert.deepEqual(
        [refused.status, refused.body.code, refused.body.errors?.[0]?.pointer],
        [403, "forbidden", pointer],
      )
      const batch = await as(keys[name], "POST", "/v1/events/batch", {
        events: [
          { type: "a", ...own },
          { type: "b", ...other },
        ],
      })
      assert.deepEqual([batch.status, batch.body["accepted"], batch.body["refused"]], [202, 1, 1])
      const cloud = await sendCloud(keys[name], { source: "x", type: "a", id: name, ...other })
      assert.equal(cloud.status, 403)
    }
    assert.equal((await sendCloud(keys.source, { source: sources.shop, type: "a", id: "2" })).status, 202)
    const strange = await sendCloud(keys.source, { source: "https://other.example", type: "a", id: "3" })
    assert.match(strange.body.detail as unknown as string, /limited to the source https:\/\/shop\.example/)
  })
})

test("a limited key that asks for other events is told so", async () => {
  for (const [name, query] of [
    ["app", "app=android"],
    ["environment", "environment=production"],
  ] as const) {
    for (const path of ["/v1/events", "/v1/stream"]) {
      const { status, body } = await as(keys[name], "GET", `${path}?${query}`)
      assert.deepEqual([status, body.code], [403, "forbidden"], `${path} ${query}`)
    }
  }
})

test("counts over time are those of its events", async () => {
  const errors = async (key: string) => {
    const { status, body } = await as(key, "GET", `/v1/integrations/${integration}/history`)
    return status === 200 ? Number(body["totals"]?.["error"]) : status
  }
  const [app, environment, source, none] = await Promise.all([
    errors(keys.app),
    errors(keys.environment),
    errors(keys.source),
    errors(keys.none),
  ])
  assert.ok(Number(app) > 0 && Number(environment) > 0 && Number(app) + Number(environment) < Number(none))
  assert.equal(source, 403, "they are not told apart by source")
})

test("a limited key sees what was refused of its own, and the app that it is limited to", async () => {
  await as(keys.none, "POST", "/v1/events", { type: "" })
  await as(keys.app, "POST", "/v1/events", { type: "", app: "ios" })
  const list = async (key: string) => items((await as(key, "GET", "/v1/rejections?limit=200")).body.data)
  await program.until("both are kept", async () => {
    const kept = await list(keys.none)
    return new Set(kept.filter(({ code }) => String(code) === "invalid").map(({ key }) => key)).size > 1
  })
  assert.equal(new Set((await list(keys.app)).map(({ key }) => key)).size, 1)
  const apps = items((await as(keys.app, "GET", "/v1/apps")).body.data).map(app => String(app["name"]))
  assert.deepEqual(apps, ["ios"])
})

test("a recovery by a limited key is of its events, and it sees no other", async () => {
  const previewed = async (key: string) => {
    const asked = recovery({ dry_run: true, event_types: ["of.ios", "of.sandbox"] })
    return Number((await as(key, "POST", "/v1/recoveries", asked)).body["found"])
  }
  // Once what the tests before have retried has failed again.
  await program.until("both have failed", async () => (await previewed(keys.none)) === 2)
  assert.equal(await previewed(keys.environment), 1)
  const { id: foreign } = await program.call("POST", "/v1/recoveries", recovery({ app: "android" }))
  const { id: whole } = await program.call("POST", "/v1/recoveries", recovery({}))
  const made = await as(keys.app, "POST", "/v1/recoveries", recovery({}))
  assert.deepEqual([made.status, made.body["app"]], [201, "ios"])
  assert.equal((await as(keys.app, "POST", "/v1/recoveries", recovery({ app: "android" }))).status, 403)
  const shown = items((await as(keys.app, "GET", "/v1/recoveries")).body.data).map(({ id }) => id)
  assert.deepEqual(shown, [made.body.id])
  for (const id of [foreign, whole]) {
    assert.equal((await as(keys.app, "GET", `/v1/recoveries/${id}`)).status, 404)
    assert.equal((await as(keys.app, "POST", `/v1/recoveries/${id}/cancel`)).status, 404)
  }
  assert.equal((await as(keys.source, "GET", "/v1/recoveries")).status, 403)
})

test("what is made of all events is refused to a limited key, with a sentence that says why", async () => {
  for (const path of ["diagnosis", "failures", "report", "inbox"]) {
    const { status, body } = await as(keys.app, "GET", `/v1/integrations/${integration}/${path}`)
    assert.equal(status, 403, path)
    assert.match(String(body.detail), /is limited to some events, and .+ Use one without limits\./)
    assert.notEqual((await as(keys.none, "GET", `/v1/integrations/${integration}/${path}`)).status, 403, path)
  }
  assert.equal((await as(keys.app, "GET", "/v1/diagnosis")).status, 403)
})

test("a limited key with a scope of the whole project, as none can be made, gets no further", async () => {
  const { key, id } = await program.call("POST", "/v1/api-keys", { name: "k", scopes: [], app: "ios" })
  await program.stop()
  await program.leave("update api_key set scopes = ? where last4 = ?", '["admin"]', String(key).slice(-4))
  await program.restart()
  for (const path of ["/v1/api-keys", `/v1/api-keys/${id}`, "/metrics"])
    assert.equal((await as(String(key), "GET", path)).status, 403, path)
  assert.deepEqual(await listed(String(key), "/v1/events?type=of.*"), ["ios"])
})

/** The delivery of an event, as whoever may see everything finds it. */
async function deliveryOf(event: string): Promise<string> {
  const [found] = items((await program.call("GET", `/v1/deliveries?event=${event}`)).data)
  return String(found?.id)
}

/** Where the stream begins: at the project itself, before anything had happened. */
async function start(): Promise<string> {
  return String(items((await program.call("GET", "/v1/projects")).data)[0]?.id)
}

function recovery(more: object): object {
  return { integrations: integration, from: new Date(program.now - 60_000).toISOString(), ...more }
}
