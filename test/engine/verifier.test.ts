/** Endpoints show that they are there and listen before they get events: when they are asked, what passes, what is kept. */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { Endpoint, type Reply } from "../help/endpoint.ts"
import { type Json, numberOf, Program } from "../help/program.ts"

/** Makes an integration with this verification; gives the answer to the save. */
function save(program: Program, url: string, verification: string, more: object = {}): Promise<Json> {
  return program.call("POST", "/v1/integrations", { name: "x", config: { production: { url }, verification }, ...more })
}

/** The withholdings of the newest event. */
async function lastWithheld(program: Program): Promise<unknown> {
  const [row] = await program.rows<{ withheld: string }>(
    "select withheld from event where source = 'api' order by id desc limit 1",
  )
  return JSON.parse(row?.withheld ?? "null")
}

describe("the rules of verification", () => {
  const rows: [rule: string, reply: Reply, passes: boolean, message: RegExp | null][] = [
    ["json", { status: 200, body: "{}" }, true, null],
    ["json", { status: 204, body: "" }, false, /answered 204, but with an empty body/],
    ["json", { status: 202, body: '"fine"' }, true, null],
    ["json", { status: 200, body: "{}", headers: { "content-type": "text/plain" } }, true, null],
    ["json", { status: 200, body: "OK" }, false, /no JSON/],
    ["json", { status: 404, body: "{}" }, false, /answered 404/],
    ["json", { status: 302, body: "{}", headers: { location: "/other" } }, false, /answered 302/],
    ["status", { status: 200, body: "OK" }, true, null],
    ["status", { status: 299, body: "" }, true, null],
    ["status", { status: 500, body: "{}" }, false, /answered 500/],
  ]
  let shared: Program
  before(async () => {
    shared = await Program.open()
  })
  after(() => shared[Symbol.asyncDispose]())
  for (const [rule, reply, passes, message] of rows) {
    const { status, body } = reply
    test(`${rule} is ${passes ? "met" : "missed"} by ${status} ${JSON.stringify(body)}`, async () => {
      await using there = await Endpoint.open(reply)
      const { verification } = await save(shared, there.url(), rule)
      const { production } = verification ?? {}
      assert.equal(production?.state, passes ? "verified" : "failed")
      assert.equal(production?.rule, rule)
      if (message === null) assert.equal(production?.message, null)
      else assert.match(String(production?.message), message)
      assert.deepEqual([production?.answer?.status, production?.answer?.body], [status, body])
      assert.equal(verification?.sandbox, undefined, "where there is no endpoint there is nothing to verify")
      assert.equal(there.requests.length, 1)
    })
  }

  test("none sends nothing, and events go out at once", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 })
    const { verification } = await save(program, there.url(), "none")
    assert.equal(verification?.production?.state, "not_required")
    assert.equal(there.requests.length, 0)
    await program.send({ type: "a" })
    await there.received(1)
  })

  test("are missed where no answer comes, and the error is kept in its place", async () => {
    await using program = await Program.open()
    const { verification } = await save(program, "http://127.0.0.1:9/", "json", { policy: { timeout_ms: 1_000 } })
    const { production } = verification ?? {}
    assert.equal(production?.state, "failed")
    assert.match(String(production?.message), /^No answer came: 127\.0\.0\.1:9 refused the connection\.$/)
    assert.deepEqual([production?.answer?.status, production?.answer?.class], [null, "ECONNREFUSED"])
  })

  test("follow the policy's preset where the integration does not say which", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    for (const [preset, rule] of [
      ["standard", "json"],
      ["subscription", "json"],
      ["revenuecat", "none"],
      ["device", "none"],
    ]) {
      const config = { production: { url: there.url() } }
      const made = await program.call("POST", "/v1/integrations", { name: "x", config, policy: { preset } })
      assert.deepEqual([made.config?.verification, made.verification?.production?.rule], [rule, rule])
    }
  })
})

describe("the request that asks", () => {
  test("is POST {} with the endpoint's Authorization, headers and signature", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const production = { url: there.url("/in?x=1"), authorization: "Token abc", headers: { "x-team": "growth" } }
    await program.integrate("", { config: { production, verification: "json" } })
    const { method, path, headers, body } = await there.request(1)
    assert.deepEqual([method, path, body.toString()], ["POST", "/in?x=1", "{}"])
    assert.equal(headers["content-type"], "application/json")
    assert.deepEqual([headers.authorization, headers["x-team"]], ["Token abc", "growth"])
    assert.match(headers["webhook-signature"] ?? "", /^v1,/)
    assert.match(headers["webhook-id"] ?? "", /^evt_/)
    assert.match(headers["user-agent"] ?? "", /^Waybill\//)
  })

  test("goes to both environments at the same time, and each keeps its own answer", async () => {
    await using program = await Program.open()
    const both = Promise.withResolvers<void>()
    await using production = await Endpoint.open({ after: both.promise })
    await using sandbox = await Endpoint.open({ after: both.promise, status: 503 })
    const saved = program.call("POST", "/v1/integrations", {
      name: "x",
      config: { production: { url: production.url() }, sandbox: { url: sandbox.url() }, verification: "json" },
    })
    // Each is answered only once both have been asked.
    await Promise.all([production.received(1), sandbox.received(1)])
    both.resolve()
    const { verification, id } = await saved
    assert.deepEqual([verification?.production?.state, verification?.sandbox?.state], ["verified", "failed"])
    await program.send({ type: "a", environment: "sandbox" })
    assert.deepEqual(await lastWithheld(program), { not_verified: [numberOf("int", id)] })
    await program.send({ type: "a" })
    await production.received(2)
  })

  test("goes out again only where URL, Authorization or headers have changed", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const config = { production: { url: there.url(), authorization: "Token a", headers: { "x-a": "1", "x-b": "2" } } }
    const { id } = await program.call("POST", "/v1/integrations", { name: "x", config })
    assert.equal(there.requests.length, 1)
    const path = `/v1/integrations/${id}`
    const patches: [patch: object, asks: boolean][] = [
      [{ name: "y" }, false],
      [{ policy: { timeout_ms: 2_000 } }, false],
      [{ events: { default: "off" } }, false],
      [{ config: { format: "cloudevents" } }, false],
      [{ config: { production: { authorization: { set: true } } } }, false],
      [{ config: { production: { headers: { "x-b": null } } } }, true],
      [{ config: { production: { authorization: "Token b" } } }, true],
      [{ config: { production: { authorization: null } } }, true],
      [{ config: { production: { url: there.url("/other") } } }, true],
      [{ config: { verification: "status" } }, false],
    ]
    let expected = 1
    for (const [patch, asks] of patches) {
      const { verification } = await program.call("PATCH", path, patch)
      expected += asks ? 1 : 0
      assert.equal(there.requests.length, expected, JSON.stringify(patch))
      assert.equal(verification?.production?.state, "verified")
    }
    await program.call("POST", `${path}/disable`)
    await program.call("POST", `${path}/enable`)
    assert.equal(there.requests.length, expected, "what has passed is not asked again")
    await program.call("POST", `${path}/verify`)
    assert.equal(there.requests.length, expected + 1, "unless somebody says so")
  })
})

describe("until its endpoint has passed", () => {
  test("an integration's events are withheld in red, and those that come after it go out", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const { id } = await save(program, there.url(), "json")
    await program.send({ type: "a" })
    const [event] = (
      await program.rows<object>("select status, n_red, targets, withheld from event where source = 'api'")
    ).map(row => ({ ...row }))
    const withheld = JSON.stringify({ not_verified: [numberOf("int", id)] })
    assert.deepEqual(event, { status: "failed", n_red: 1, targets: "[]", withheld })
    assert.deepEqual(await program.deliveries(), [])
    const { verification } = await program.call("POST", `/v1/integrations/${id}/verify`)
    assert.equal(verification?.production?.state, "verified")
    await program.send({ type: "a" })
    await there.received(3)
  })

  test("one that was saved switched off is asked when it is enabled", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const made = await save(program, there.url(), "json", { enabled: false })
    assert.deepEqual([made.verification?.production?.state, there.requests.length], ["pending", 0])
    const enabled = await program.call("POST", `/v1/integrations/${made.id}/enable`)
    assert.deepEqual([enabled.verification?.production?.state, there.requests.length], ["verified", 1])
  })

  test("what it has passed, and what it has not, stands after a restart", async () => {
    await using program = await Program.open()
    await using good = await Endpoint.open()
    await using bad = await Endpoint.open({ status: 500, body: "no" })
    const { id: passed } = await save(program, good.url(), "json")
    const { id: failed } = await save(program, bad.url(), "json")
    const before = await program.call("GET", `/v1/integrations/${failed}`)
    await program.restart()
    assert.deepEqual((await program.call("GET", `/v1/integrations/${failed}`)).verification, before.verification)
    await program.send({ type: "a" })
    assert.deepEqual(await lastWithheld(program), { not_verified: [numberOf("int", failed)] })
    await program.recorded(1)
    assert.equal((await program.deliveries(String(passed)))[0]?.status, "delivered")
  })

  test("a new address gets nothing, from the moment that it is saved, while it is being asked", async () => {
    await using program = await Program.open()
    const asked = Promise.withResolvers<void>()
    await using before = await Endpoint.open()
    await using after = await Endpoint.open({ after: asked.promise, status: 500 })
    const { id } = await save(program, before.url(), "json")
    const sendMany = () => Promise.all(Array.from({ length: 30 }, () => program.send({ type: "a" })))
    const sent = sendMany()
    const saved = program.call("PATCH", `/v1/integrations/${id}`, { config: { production: { url: after.url() } } })
    await after.received(1)
    await sendMany()
    asked.resolve()
    const { verification } = await saved
    await sent
    assert.equal(verification?.production?.state, "failed")
    assert.deepEqual(await lastWithheld(program), { not_verified: [numberOf("int", id)] })
    // Those accepted before the save may go to the new address, as retries do; none that was accepted after it.
    const [row] = await program.rows<{ n: number }>(
      "select count(*) as n from event where withheld like '%not_verified%'",
    )
    assert.ok((row?.n ?? 0) >= 30)
  })

  test("what an address answers counts for nothing once another has taken its place", async () => {
    await using program = await Program.open()
    const asked = Promise.withResolvers<void>()
    await using slow = await Endpoint.open({ after: asked.promise })
    await using bad = await Endpoint.open({ status: 500 })
    const { id } = await save(program, bad.url(), "json")
    const path = `/v1/integrations/${id}`
    const first = program.call("PATCH", path, { config: { production: { url: slow.url() } } })
    await slow.received(1)
    const second = await program.call("PATCH", path, { config: { production: { url: bad.url() } } })
    assert.equal(second.verification?.production?.state, "failed")
    asked.resolve()
    await first
    const now = await program.call("GET", path)
    assert.deepEqual([now.config?.production?.url, now.verification?.production?.state], [bad.url(), "failed"])
  })

  test("a change is told of each verdict", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const { id } = await save(program, there.url(), "json")
    await program.call("POST", `/v1/integrations/${id}/verify`)
    const changes = await program.rows<{ kind: string; subject: string }>(
      "select kind, subject from change order by id",
    )
    assert.deepEqual(
      changes.map(({ kind, subject }) => [kind, subject]),
      [
        ["integration.created", id],
        ["verification.failed", id],
        ["integration.verification_asked", id],
        ["verification.passed", id],
      ],
    )
  })
})
