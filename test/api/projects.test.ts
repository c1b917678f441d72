/** Projects: their settings, what being strict means, and that none sees anything of another. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { formatId } from "../../src/domain/id.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { type Answer, Program } from "../help/program.ts"

const noPortal = { name: null, color: null, frame_origins: [] }

/** The project's path. */
async function pathOf(program: Program): Promise<string> {
  return `/v1/projects/${(await program.call("GET", "/v1/projects")).data?.[0]?.id}`
}

function firstError({ body }: Answer): unknown[] {
  return [body.status, body.code, body.errors?.[0]?.pointer]
}

describe("a project", () => {
  test("shows its settings, and keeps a change of some of them over a restart", async () => {
    await using program = await Program.open()
    const path = await pathOf(program)
    const { id, created_at, ...before } = await program.call("GET", path)
    assert.deepEqual(before, {
      name: "default",
      strict_types: false,
      strict_apps: false,
      payload_days: 7,
      alert_emails: [],
      private_fields: [],
      max_requests_per_minute: null,
      portal: noPortal,
    })
    const alert_emails = ["ops@shop.example", "ann@shop.example"]
    const changed = await program.call("PATCH", path, {
      name: "Shop",
      strict_apps: true,
      payload_days: 30,
      alert_emails,
    })
    assert.deepEqual(changed, {
      id,
      created_at,
      name: "Shop",
      strict_types: false,
      strict_apps: true,
      payload_days: 30,
      alert_emails,
      private_fields: [],
      max_requests_per_minute: null,
      portal: noPortal,
    })
    await program.restart()
    assert.deepEqual(await program.call("GET", path), changed)
  })

  test("tells who is told by mail only to those who read the configuration", async () => {
    await using program = await Program.open()
    const path = await pathOf(program)
    const alert_emails = ["ops@shop.example"]
    await program.call("PATCH", path, { alert_emails })
    for (const [scope, shown] of [
      ["ingest", null],
      ["events:read", null],
      ["integrations:read", alert_emails],
      ["admin", alert_emails],
    ] as const) {
      const { key } = await program.call("POST", "/v1/api-keys", { name: scope, scopes: [scope] })
      const as = { authorization: `Bearer ${key}` }
      const list = (await program.ask("GET", "/v1/projects", undefined, as)).body
      const { body } = await program.ask("GET", path, undefined, as)
      assert.deepEqual([items(list.data)[0]?.alert_emails, body.alert_emails], [shown, shown], scope)
    }
  })

  test("loses none of many changes at the same moment", async () => {
    await using program = await Program.open()
    const path = await pathOf(program)
    await Promise.all(
      [{ name: "Shop" }, { strict_types: true }, { strict_apps: true }, { payload_days: 14 }].map(patch =>
        program.call("PATCH", path, patch),
      ),
    )
    const { name, strict_types, strict_apps, payload_days } = await program.call("GET", path)
    assert.deepEqual([name, strict_types, strict_apps, payload_days], ["Shop", true, true, 14])
  })

  test("refuses what it does not have", async () => {
    await using program = await Program.open()
    const path = await pathOf(program)
    for (const [body, pointer] of [
      [{ payload_days: 2 }, "/payload_days"],
      [{ strict_types: "yes" }, "/strict_types"],
      [{ name: "" }, "/name"],
      [{ alert_emails: ["nobody"] }, "/alert_emails/0"],
      [{ colour: 1 }, "/colour"],
    ] as const) {
      assert.deepEqual(firstError(await program.ask("PATCH", path, body)), [422, "invalid", pointer])
    }
    assert.equal((await program.ask("GET", "/v1/projects/prj_0000000000a")).status, 404)
  })

  test("keeps the payloads of new events as long as it says from then on", async () => {
    await using program = await Program.open()
    await program.send({ type: "a", data: 1 })
    await program.call("PATCH", await pathOf(program), { payload_days: 30 })
    await program.send({ type: "a", data: 1 })
    const rows = await program.rows<{ days: number }>(
      "select (payload_expires_at - received_at) / 86400000 as days from event order by id",
    )
    assert.deepEqual(
      rows.map(({ days }) => days),
      [7, 30],
    )
  })
})

describe("a further project", () => {
  test("is made with a key that opens it and nothing else, shown this once", async () => {
    await using program = await Program.open()
    const answer = await program.ask("POST", "/v1/projects", { name: "Shop", strict_apps: true, payload_days: 30 })
    assert.equal(answer.status, 201, answer.text)
    const { id, key, created_at, ...rest } = answer.body
    assert.match(String(id), /^prj_/)
    assert.match(String(key), /^wb_live_sk_[0-9A-Za-z]{36}$/)
    assert.deepEqual(rest, {
      name: "Shop",
      strict_types: false,
      strict_apps: true,
      payload_days: 30,
      alert_emails: [],
      private_fields: [],
      max_requests_per_minute: null,
      portal: noPortal,
    })
    const there = (method: string, path: string, body?: unknown) =>
      program.ask(method, path, body, { authorization: `Bearer ${key}` })

    assert.deepEqual((await there("GET", "/v1/projects")).body, {
      data: [{ id, created_at, ...rest }],
      next_cursor: null,
    })
    assert.deepEqual((await there("PATCH", `/v1/projects/${id}`, { strict_apps: false })).body.strict_apps, false)
    const [listed] = items((await there("GET", "/v1/api-keys")).body.data)
    assert.deepEqual([listed?.name, listed?.key, listed?.last4], ["first key", undefined, String(key).slice(-4)])
    assert.equal((await there("POST", "/v1/events", { type: "a" })).status, 202)
    assert.equal(items((await program.call("GET", "/v1/events")).data).length, 0)
    await program.restart()
    assert.equal(items((await there("GET", "/v1/events")).body.data).length, 1, "and it is there after a restart")
    assert.ok(
      !JSON.stringify(await program.rows("select * from api_key")).includes(String(key)),
      "the key is kept as a hash",
    )
  })

  test("is not its maker's: the key that made it sees its own project only, and has the making in its history", async () => {
    await using program = await Program.open()
    const own = await pathOf(program)
    const { id, key } = await program.call("POST", "/v1/projects", { name: "Shop" })
    assert.equal((await program.ask("GET", `/v1/projects/${id}`)).status, 404)
    assert.equal((await program.ask("PATCH", `/v1/projects/${id}`, { name: "mine" })).status, 404)
    const listed = items((await program.call("GET", "/v1/projects")).data)
    assert.deepEqual(
      listed.map(project => `/v1/projects/${project.id}`),
      [own],
    )
    const changes = await program.rows<{ project_id: number; kind: string; subject: string; facts: string }>(
      "select project_id, kind, subject, facts from change",
    )
    assert.deepEqual(
      changes.map(change => [formatId("prj", change.project_id), change.kind, change.subject]),
      [[String(listed[0]?.id), "project.created", id]],
    )
    assert.ok(!JSON.stringify(changes).includes(String(key)))
  })

  test("needs a name and takes no setting that there is not", async () => {
    await using program = await Program.open()
    for (const [body, pointer] of [
      [{}, "/name"],
      [{ name: "" }, "/name"],
      [{ name: "x", payload_days: 2 }, "/payload_days"],
      [{ name: "x", alert_emails: ["nobody"] }, "/alert_emails/0"],
      [{ name: "x", id: "prj_0000000000a" }, "/id"],
    ] as const) {
      assert.deepEqual(firstError(await program.ask("POST", "/v1/projects", body)), [422, "invalid", pointer])
    }
    assert.equal((await program.rows("select 1 from project")).length, 1)
  })

  test("is not made by a key without the scope admin", async () => {
    await using program = await Program.open()
    const { key } = await program.call("POST", "/v1/api-keys", { name: "narrow", scopes: ["integrations:write"] })
    const authorization = `Bearer ${key}`
    const answer = await program.ask("POST", "/v1/projects", { name: "Shop" }, { authorization })
    assert.deepEqual([answer.status, answer.body.code], [403, "forbidden"])
    assert.match(String(answer.body.detail), /admin/)
    assert.equal((await program.rows("select 1 from project")).length, 1)
  })
})

describe("a project that is strict", () => {
  test("about types takes only those of its catalogue, and data that meets their schema", async () => {
    await using program = await Program.open()
    const schema = {
      type: "object",
      properties: { plan: { enum: ["pro", "basic"] }, price: { type: "object", required: ["amount"] } },
      required: ["plan"],
      additionalProperties: false,
    }
    await program.call("PUT", "/v1/event-types/trial_started", { schema })
    await program.call("PUT", "/v1/event-types/anything", {})
    const post = (body: unknown) => program.ask("POST", "/v1/events", body)
    assert.equal((await post({ type: "trial_ended", data: 7 })).status, 202, "as long as it is not strict, all come in")
    await program.call("PATCH", await pathOf(program), { strict_types: true })

    const unknown = await post({ type: "trial_startet" })
    assert.deepEqual(firstError(unknown), [422, "unknown_type", "/type"])
    assert.match(String(unknown.body.detail), /Did you mean trial_started\?.*PUT \/v1\/event-types/)
    const rows: [data: unknown, pointer: string | null][] = [
      [{ plan: "pro" }, null],
      [{ plan: "pro", price: { amount: 1 } }, null],
      [{ plan: "free" }, "/data/plan"],
      [{}, "/data/plan"],
      [{ plan: "pro", price: {} }, "/data/price/amount"],
      [{ plan: "pro", colour: "red" }, "/data/colour"],
      [7, "/data"],
      [undefined, "/data"],
    ]
    for (const [data, pointer] of rows) {
      const answer = await post({ type: "trial_started", data })
      if (pointer === null) assert.equal(answer.status, 202, answer.text)
      else assert.deepEqual(firstError(answer), [422, "schema_mismatch", pointer], answer.text)
    }
    assert.equal((await post({ type: "anything", data: [1, 2] })).status, 202)
    const batch = await program.ask("POST", "/v1/events/batch", {
      events: [{ type: "trial_started", data: { plan: "pro" } }, { type: "nope" }, { type: "trial_started", data: {} }],
    })
    const codes = Object.values(batch.body.results ?? {}).map(result => result?.problem?.code)
    assert.deepEqual(codes, [undefined, "unknown_type", "schema_mismatch"])
    await program.restart()
    assert.equal((await post({ type: "trial_startet" })).status, 422, "and it stays so")
  })

  test("about apps takes only those that were made by hand", async () => {
    await using program = await Program.open()
    await program.call("POST", "/v1/apps", { name: "ios" })
    await program.call("PATCH", await pathOf(program), { strict_apps: true })
    const post = (body: unknown) => program.ask("POST", "/v1/events", body)
    assert.equal((await post({ type: "a", app: "ios" })).status, 202)
    assert.equal((await post({ type: "a" })).status, 202)
    assert.deepEqual(firstError(await post({ type: "a", app: "android" })), [422, "unknown_app", "/app"])
    const config = { production: { url: "https://crm.example/" }, verification: "none" }
    const integration = await program.ask("POST", "/v1/integrations", { name: "x", config, apps: ["ios", "android"] })
    assert.deepEqual(firstError(integration), [422, "invalid", "/apps/1"])
    assert.equal((await program.rows("select 1 from app")).length, 1)
  })
})

describe("two projects", () => {
  test("know nothing of each other: every id of one is unknown to the other, on every call", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const { key: otherKey } = await program.call("POST", "/v1/projects", { name: "other" })
    const integration = await program.integrate(there.url())
    await program.send({ type: "a", id: "own-1", app: "ios", profile_id: "p" })
    await program.recorded(1)
    await program.call("PUT", "/v1/event-types/mine", {})
    await program.ask("POST", "/v1/events", {})
    const key = await program.call("POST", "/v1/api-keys", { name: "x" })
    const event = (await program.call("GET", "/v1/events")).data?.[0]?.id
    const delivery = (await program.call("GET", "/v1/deliveries")).data?.[0]?.id
    const project = await pathOf(program)

    const other = (method: string, path: string, body?: unknown) =>
      program.ask(method, path, body, { authorization: `Bearer ${otherKey}` })
    const calls: [method: string, path: string, body?: object][] = [
      ["GET", `/v1/integrations/${integration}`],
      ["PATCH", `/v1/integrations/${integration}`, { name: "mine" }],
      ["DELETE", `/v1/integrations/${integration}`],
      ...["verify", "enable", "disable", "pause", "resume", "rotate-secret", "test"].map(
        (act): [string, string, object] => ["POST", `/v1/integrations/${integration}/${act}`, {}],
      ),
      ...["revisions", "history", "logs", "events"].map((what): [string, string] => [
        "GET",
        `/v1/integrations/${integration}/${what}`,
      ]),
      ["GET", `/v1/events/${event}`],
      ["GET", `/v1/deliveries/${delivery}`],
      ["POST", `/v1/deliveries/${delivery}/retry`],
      ["GET", "/v1/event-types/mine"],
      ["DELETE", "/v1/event-types/mine"],
      ["DELETE", `/v1/api-keys/${key.id}`],
      ["GET", project],
      ["PATCH", project, { name: "taken over" }],
    ]
    for (const [method, path, body] of calls) {
      const answer = await other(method, path, body)
      assert.deepEqual([answer.status, answer.body.code], [404, "not_found"], `${method} ${path}: ${answer.text}`)
    }
    for (const path of ["integrations", "events", "deliveries", "apps", "rejections"]) {
      assert.deepEqual((await other("GET", `/v1/${path}`)).body.data, [], path)
    }
    const types = items((await other("GET", "/v1/event-types")).body.data)
    assert.ok(
      types.every(({ reserved }) => reserved),
      "Waybill's own types are those of every project",
    )
    assert.equal((await other("GET", "/v1/projects")).body.data?.[0]?.name, "other")

    const filtered = await other("GET", `/v1/deliveries?integration=${integration}`)
    assert.deepEqual(filtered.body.data, [])
    const again = await other("POST", "/v1/events", { type: "a", id: "own-1", app: "ios" })
    assert.deepEqual([again.status, again.body.duplicate], [202, false], "own ids are a project's own")
    await program.send({ type: "a" })
    await program.recorded(2)
    assert.equal(there.requests.length, 2, "and so are events")
    assert.equal((await program.rows("select 1 from app")).length, 2, "and apps")
    const mine = await program.call("GET", project)
    assert.equal(mine.name, "default")
  })
})
