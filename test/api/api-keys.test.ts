/** API keys: shown once, good at once, gone at once. */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { type Answer, MORNING, Program } from "../help/program.ts"

let program: Program
before(async () => {
  program = await Program.open()
})
after(() => program[Symbol.asyncDispose]())

async function make(more: object = {}): Promise<{ id: string; key: string; answer: Answer }> {
  const answer = await program.ask("POST", "/v1/api-keys", { name: "a key", ...more })
  return { id: String(answer.body.id), key: String(answer.body.key), answer }
}

/** The status of a call that is made with a key. */
async function statusWith(key: string, path = "/v1/projects"): Promise<number> {
  return (await program.ask("GET", path, undefined, { authorization: `Bearer ${key}` })).status
}

async function shown(id: string) {
  const { data } = await program.call("GET", "/v1/api-keys?limit=200")
  return Object.values(data ?? {}).find(key => key?.id === (id as unknown))
}

describe("a new key", () => {
  test("is good at once, and stands in full in the one answer that makes it", async () => {
    const { id, key, answer } = await make({ name: "billing" })
    assert.equal(answer.status, 201)
    assert.match(key, /^wb_live_sk_[0-9A-Za-z]{36}$/)
    assert.equal(await statusWith(key), 200)
    const { key: _, ...rest } = answer.body
    const { last_used_at, ...listed } = (await shown(id)) ?? {}
    assert.deepEqual(listed, Object.fromEntries(Object.entries(rest).filter(([name]) => name !== "last_used_at")))
    assert.equal(last_used_at, new Date(MORNING).toISOString())
    assert.deepEqual([listed.name, listed.prefix, listed.last4], ["billing", "wb_live_sk_", key.slice(-4)])
    assert.deepEqual(await program.rows("select 1 from api_key where hash = ?", key), [])
  })

  test("is another one each time, and one letter off is none of ours", async () => {
    const keys = await Promise.all(Array.from({ length: 10 }, async () => (await make()).key))
    assert.equal(new Set(keys).size, 10)
    const [key = ""] = keys
    const typo = key.slice(0, 20) + (key[20] === "x" ? "y" : "x") + key.slice(21)
    assert.deepEqual([await statusWith(key), await statusWith(typo)], [200, 401])
  })

  test("may end by itself, to the second", async () => {
    const { key, id } = await make({ expires_at: new Date(program.now + 60_000).toISOString() })
    program.turn(59_999)
    assert.equal(await statusWith(key), 200)
    program.turn(1)
    assert.equal(await statusWith(key), 401)
    assert.equal((await shown(id))?.expires_at, new Date(program.now).toISOString())
  })

  test("is refused with an end that is no time to come", async () => {
    for (const expires_at of [
      "2020-01-01T00:00:00Z",
      "soon",
      "",
      new Date(program.now).toISOString(),
      7,
      "2027-13-01T00:00:00Z",
    ]) {
      const { answer } = await make({ expires_at })
      assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [422, "/expires_at"], String(expires_at))
    }
    const { answer } = await make({ expires_at: "2026-12-31T23:59:60Z" })
    assert.deepEqual([answer.status, answer.body.expires_at], [201, "2027-01-01T00:00:00.000Z"], "a leap second is one")
  })

  test("is refused where it is not as it has to be, with a sentence about the field", async () => {
    for (const [body, pointer, sentence] of [
      [{}, "/name", /missing/],
      [{ name: "" }, "/name", /at least 1/],
      [{ name: "x", scopes: ["everything"] }, "/scopes/0", /"ingest", "events:read"/],
      [{ name: "x", scopes: ["ingest", "ingest"] }, "/scopes", /duplicate/],
      [{ name: "x", kind: "publishable" }, "/kind", /^Publishable keys are not built yet/],
      [{ name: "x", kind: "device" }, "/kind", /^Device keys are not built yet/],
      [{ name: "x", kind: "golden" }, "/kind", /"secret"/],
      [{ name: "x", app: "nowhere" }, "/app", /POST \/v1\/apps/],
      [{ name: "x", environment: "staging" }, "/environment", /sandbox/],
      [{ name: "x", max_requests_per_minute: 0 }, "/max_requests_per_minute", /at least 1/],
      [{ name: "x", environment: "sandbox", scopes: ["admin"] }, "/scopes", /`admin` is about all of the project/],
      [
        { name: "x", source: "api", scopes: ["ingest", "secrets:read"] },
        "/scopes",
        /Leave out the scope, or the limits/,
      ],
      [{ name: "x", colour: 1 }, "/colour", /not a field/],
    ] as const) {
      const answer = await program.ask("POST", "/v1/api-keys", body)
      assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [422, pointer], JSON.stringify(body))
      assert.match(String(answer.body.errors?.[0]?.message), sentence)
    }
  })
})

describe("a key that is revoked", () => {
  test("is no good from that answer on, and stays in the list", async () => {
    const { key, id } = await make()
    assert.equal(await statusWith(key), 200)
    const answer = await program.ask("DELETE", `/v1/api-keys/${id}`)
    assert.deepEqual([answer.status, answer.body.revoked_at], [200, new Date(program.now).toISOString()])
    assert.equal(await statusWith(key), 401)
    await program.restart()
    assert.equal(await statusWith(key), 401)
    assert.equal((await shown(id))?.revoked_at, new Date(program.now).toISOString())
  })

  test("keeps the time of the first revocation", async () => {
    const { id } = await make()
    const first = await program.call("DELETE", `/v1/api-keys/${id}`)
    program.turn(60_000)
    assert.equal((await program.call("DELETE", `/v1/api-keys/${id}`)).revoked_at, first.revoked_at)
  })

  test("is not the one that the request came with", async () => {
    const { key, id } = await make({ scopes: ["admin"] })
    const answer = await program.ask("DELETE", `/v1/api-keys/${id}`, undefined, { authorization: `Bearer ${key}` })
    assert.deepEqual([answer.status, answer.body.code], [409, "conflict"])
    assert.equal(await statusWith(key), 200)
  })

  test("has to be there", async () => {
    for (const id of ["key_0000000000a", "int_0000000000a", "x"]) {
      for (const [method, path, body] of [
        ["GET", id],
        ["PATCH", id, { name: "x" }],
        ["POST", `${id}/rotate`],
        ["DELETE", id],
      ] as const)
        assert.equal((await program.ask(method, `/v1/api-keys/${path}`, body)).status, 404)
    }
  })
})

test("the list shows when each key was last used, and when it last sent an event", async () => {
  const { key, id } = await make()
  const authorization = `Bearer ${key}`
  assert.deepEqual([(await shown(id))?.last_used_at, (await shown(id))?.last_event_at], [null, null])
  const sent = async (path: string, body: unknown) => {
    program.turn(60_000)
    await program.ask("POST", path, body, { authorization })
    return program.now
  }
  const refusedAt = await sent("/v1/events", { type: "" })
  const afterRefusal = await shown(id)
  assert.deepEqual([afterRefusal?.last_used_at, afterRefusal?.last_event_at], [new Date(refusedAt).toISOString(), null])
  const sentAt = await sent("/v1/events", { type: "a" })
  assert.equal((await shown(id))?.last_event_at, new Date(sentAt).toISOString())
  const batchAt = await sent("/v1/events/batch", { events: [{ type: "a" }] })
  program.turn(60_000)
  await statusWith(key)
  await program.restart()
  const listed = await shown(id)
  assert.deepEqual(
    [listed?.last_used_at, listed?.last_event_at],
    [new Date(program.now).toISOString(), new Date(batchAt).toISOString()],
  )
})

test("the list has the newest first, page by page", async () => {
  const ids: string[] = []
  for (let i = 0; i < 3; i++) ids.unshift((await make()).id)
  const first = await program.call("GET", "/v1/api-keys?limit=2")
  const second = await program.call("GET", `/v1/api-keys?limit=2&cursor=${first.next_cursor}`)
  const found = [...Object.values(first.data ?? {}), ...Object.values(second.data ?? {})].map(key => String(key?.id))
  assert.deepEqual(found.slice(0, 3), ids)
  const forged = await program.ask("GET", `/v1/api-keys?cursor=${String(first.next_cursor).replace(/.$/, "A")}x`)
  assert.deepEqual([forged.status, forged.body.code], [400, "malformed"])
})
