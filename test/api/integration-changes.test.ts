/** Integrations as they are changed and removed. */
import assert from "node:assert/strict"
import { after, before, beforeEach, describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { type Answer, Program } from "../help/program.ts"

let program: Program
let there: Endpoint
before(async () => {
  program = await Program.open()
  there = await Endpoint.open()
})
after(async () => {
  await program[Symbol.asyncDispose]()
  await there.close()
})

/** What a config says where nobody has said anything else. */
const defaults = { format: "waybill", cloudevents_mode: "structured", signature: { scheme: "v1" } }

function create(more: object): Promise<Answer> {
  const config = { production: { url: there.url() }, verification: "none" }
  return program.ask("POST", "/v1/integrations", { name: "x", config, ...more })
}

describe("a change", () => {
  let id: string
  const patch = (body: unknown) => program.ask("PATCH", `/v1/integrations/${id}`, body)
  beforeEach(async () => {
    const answer = await create({
      apps: ["ios"],
      config: {
        production: { url: there.url(), authorization: "Token a", headers: { "x-a": "1", "x-b": "2" } },
        sandbox: { url: there.url("/sandbox") },
        verification: "none",
      },
      events: { default: "off", types: { a: { enabled: true }, b: { name: "B" } } },
      filter: { eq: ["data.plan", "pro"] },
      policy: { preset: "device", max_concurrent: 3 },
    })
    id = String(answer.body.id)
  })

  test("is a merge patch: what is named is changed, null takes away, everything else stays", async () => {
    const { body } = await patch({
      config: { production: { headers: { "x-a": null, "x-c": "3" } }, sandbox: null },
      events: { types: { b: null, c: {} } },
    })
    assert.deepEqual(body.config, {
      production: {
        url: there.url(),
        authorization: { set: true },
        headers: { "x-b": { set: true }, "x-c": { set: true } },
      },
      verification: "none",
      ...defaults,
    })
    assert.deepEqual(body.events, { default: "off", types: { a: { enabled: true }, c: {} } })
    assert.deepEqual([body.filter?.eq?.[0], body.policy?.max_concurrent, body.apps?.[0]], ["data.plan", 3, "ios"])
  })

  test("to null sets a part back to where it begins", async () => {
    const { body } = await patch({ apps: null, events: null, filter: null, policy: null })
    assert.deepEqual([body.apps, body.events, body.filter], [[], { default: "on", types: {} }, null])
    assert.deepEqual([body.policy?.preset, body.policy?.max_concurrent], ["standard", 10])
  })

  test("of the filter replaces it whole, and of the preset begins anew from there", async () => {
    const { body } = await patch({ filter: { exists: ["data.x"] }, policy: { preset: "subscription" } })
    assert.deepEqual(body.filter, { exists: ["data.x"] })
    assert.deepEqual([body.policy?.preset, body.policy?.max_concurrent], ["subscription", 10])
  })

  test("keeps a secret that comes back as it was shown, and refuses one that was never there", async () => {
    const shown = await program.call("GET", `/v1/integrations/${id}`)
    assert.equal((await patch({ config: shown.config })).status, 200)
    const calls = there.requests.length
    await program.call("POST", `/v1/integrations/${id}/test`)
    const { headers } = await there.request(calls + 1)
    assert.deepEqual([headers.authorization, headers["x-a"], headers["x-b"]], ["Token a", "1", "2"])
    const answer = await patch({ config: { sandbox: { authorization: { set: true } } } })
    assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [422, "/config/sandbox/authorization"])
  })

  test("that would leave it wrong is refused, and leaves it as it was", async () => {
    const before = await program.call("GET", `/v1/integrations/${id}`)
    for (const [body, pointer] of [
      [{ config: { production: null, sandbox: null } }, "/config"],
      [{ config: { production: { url: null } } }, "/config/production/url"],
      [{ events: { default: "maybe" } }, "/events/default"],
      [{ policy: { timeout_ms: "1000" } }, "/policy/timeout_ms"],
      [{ connector: "webhook" }, "/connector"],
      [{ enabled: false }, "/enabled"],
      [{ secret: "whsec_x" }, "/secret"],
      [{ id: "int_1" }, "/id"],
    ] as const) {
      const answer = await patch(body)
      assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [422, pointer], answer.text)
    }
    assert.deepEqual(await program.call("GET", `/v1/integrations/${id}`), before)
  })

  test("is a revision: who, when, and what differs, secrets masked", async () => {
    program.turn(60_000)
    await patch({ name: "renamed", config: { production: { url: there.url("/2"), authorization: "Token b" } } })
    program.turn(60_000)
    await patch({ config: { production: { headers: { "x-a": null } } } })
    const { data, next_cursor } = await program.call("GET", `/v1/integrations/${id}/revisions`)
    const keys = await program.call("GET", "/v1/api-keys")
    const by = { kind: "api_key", id: keys.data?.[0]?.id }
    const [third, second, first] = Object.values(data ?? {})
    assert.equal(next_cursor, null)
    assert.deepEqual([third?.revision, second?.revision, first?.revision], [3, 2, 1])
    assert.deepEqual([first?.by, second?.by], [by, by])
    assert.equal(second?.at, new Date(program.now - 60_000).toISOString())
    assert.deepEqual(second?.changes, [
      { pointer: "/name", from: "x", to: "renamed" },
      { pointer: "/config/production/url", from: there.url(), to: there.url("/2") },
      { pointer: "/config/production/authorization", from: { set: true }, to: { set: true } },
    ])
    assert.deepEqual(third?.changes, [{ pointer: "/config/production/headers/x-a", from: { set: true }, to: null }])
    const page = await program.call("GET", `/v1/integrations/${id}/revisions?limit=2`)
    assert.equal(Object.values(page.data ?? {}).length, 2)
    const rest = await program.call("GET", `/v1/integrations/${id}/revisions?limit=2&cursor=${page.next_cursor}`)
    assert.deepEqual(rest.data, [first])
  })

  test("of the last of a number's many digits is a change, shown as it was written; other space between parts is none", async () => {
    const [before, after] = ['["data.id",12345678901234567890]', '["data.id",12345678901234567891]']
    for (const operands of [before, after, after.replace(",", ", ")]) await patch(`{"filter":{"eq":${operands}}}`)
    const { text } = await program.ask("GET", `/v1/integrations/${id}/revisions`)
    const [fourth, third] = text.match(/"changes":\[.*?\](?=\},)/g) ?? []
    assert.equal(fourth, '"changes":[]')
    assert.equal(third, `"changes":[{"pointer":"/filter/eq","from":${before},"to":${after}}]`)
  })

  test("at the same moment as many others is not lost, nor is any of them", async () => {
    const names = Array.from({ length: 20 }, (_, i) => `type-${i}`)
    const answers = await Promise.all(names.map(name => patch({ events: { types: { [name]: { enabled: true } } } })))
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    const { events, revision } = await program.call("GET", `/v1/integrations/${id}`)
    assert.equal(revision, 21)
    for (const name of names) assert.deepEqual(events?.types?.[name], { enabled: true })
    const { data } = await program.call("GET", `/v1/integrations/${id}/revisions`)
    assert.deepEqual(
      Object.values(data ?? {}).map(each => each?.revision),
      Array.from({ length: 21 }, (_, i) => 21 - i),
    )
  })

  test("and a switch at the same moment both hold", async () => {
    for (let round = 0; round < 5; round++) {
      const path = `/v1/integrations/${id}`
      await Promise.all([
        patch({ name: `round ${round}` }),
        program.call("POST", `${path}/pause`),
        program.call("POST", `${path}/disable`),
        patch({ events: { types: { [`t${round}`]: {} } } }),
      ])
      const { name, paused, enabled, events } = await program.call("GET", path)
      assert.deepEqual([name, paused, enabled, events?.types?.[`t${round}`]], [`round ${round}`, true, false, {}])
      await Promise.all([program.call("POST", `${path}/resume`), program.call("POST", `${path}/enable`)])
    }
  })

  test("sends nothing that mixes the settings of before with the secrets of after", async () => {
    const a = { url: there.url("/a"), authorization: "Token of a" }
    const b = { url: there.url("/b"), authorization: null }
    const from = there.requests.length
    await patch({ events: null, filter: null, apps: null, config: { production: a } })
    const changes = (async () => {
      for (let i = 0; i < 25; i++) await patch({ config: { production: i % 2 === 0 ? b : a } })
    })()
    await Promise.all(Array.from({ length: 100 }, () => program.send({ type: "mixed" })))
    await changes
    await program.until("all are delivered", async () =>
      (await program.deliveries(id)).every(({ status }) => status === "delivered"),
    )
    for (const { path, headers } of there.requests.slice(from)) {
      if (path === "/a") assert.equal(headers.authorization, "Token of a")
      if (path === "/b") assert.equal(headers.authorization, undefined)
    }
  })
})

describe("an integration that is removed", () => {
  test("is gone for every call from then on, once and for all", async () => {
    const { body } = await create({ name: "short-lived" })
    const path = `/v1/integrations/${body.id}`
    const removals = await Promise.all([1, 2, 3].map(() => program.ask("DELETE", path)))
    assert.deepEqual(removals.map(({ status }) => status).sort(), [204, 404, 404])
    for (const [method, rest] of [
      ["GET", ""],
      ["PATCH", ""],
      ["DELETE", ""],
      ["POST", "/verify"],
      ["POST", "/enable"],
      ["POST", "/pause"],
      ["POST", "/test"],
      ["POST", "/rotate-secret"],
    ] as const) {
      const answer = await program.ask(method, path + rest, method === "GET" || method === "DELETE" ? undefined : {})
      assert.deepEqual([answer.status, answer.body.code], [404, "not_found"], `${method} ${rest}`)
    }
    const listed = await program.call("GET", "/v1/integrations?limit=200")
    assert.ok(Object.values(listed.data ?? {}).every(each => each?.id !== body.id))
  })

  test("does not come back through a change that was under way", async () => {
    for (let round = 0; round < 5; round++) {
      const { body } = await create({
        config: { production: { url: there.url(), authorization: "Token a" }, verification: "none" },
      })
      const path = `/v1/integrations/${body.id}`
      const [changed] = await Promise.all([program.ask("PATCH", path, { name: "y" }), program.ask("DELETE", path)])
      assert.ok(changed.status === 200 || changed.status === 404)
      assert.equal((await program.ask("GET", path)).status, 404)
    }
    const [left] = await program.rows<{ n: number }>(
      "select count(*) as n from integration_secret s join integration i on i.id = s.integration_id where i.removed_at is not null",
    )
    assert.equal(left?.n, 0, "no secret is kept of it")
  })
})
