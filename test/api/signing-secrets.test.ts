import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { join, setUp } from "../help/people.ts"
import { type Json, Program } from "../help/program.ts"
import { newSecret } from "../help/waybill.ts"

interface Change {
  readonly kind: string
  readonly subject: string
  readonly by_kind: string
  readonly by_id: string
  readonly facts: string
  readonly from_address: string
  readonly request: string
}

const readings = (program: Program) =>
  program.rows<Change>("select * from change where kind = 'integration.secret_read' order by id")

const secretsIn = (body: Json) => items(body.secrets).map(({ secret }) => secret)

async function keyWith(program: Program, ...scopes: readonly string[]) {
  const { id, key } = await program.call("POST", "/v1/api-keys", { name: scopes.join(), scopes })
  return { id: String(id), headers: { authorization: `Bearer ${key}` } }
}

describe("GET /v1/integrations/{id}/secret", () => {
  test("gives the secrets that sign now, and leaves exactly one entry with who and from where", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const [first, second] = [newSecret(), newSecret()]
    const id = await program.integrate(there.url(), { secret: first })
    const reader = await keyWith(program, "secrets:read")
    const path = `/v1/integrations/${id}/secret`
    const one = await program.ask("GET", path, undefined, reader.headers)
    assert.equal(one.status, 200)
    assert.match(one.headers.get("cache-control") ?? "", /no-store/)
    assert.deepEqual(secretsIn(one.body), [first])
    const [entry, ...others] = await readings(program)
    assert.equal(others.length, 0)
    assert.equal(entry?.subject, id)
    assert.deepEqual([entry?.by_kind, entry?.by_id], ["api_key", reader.id])
    assert.equal(entry?.from_address, "127.0.0.1")
    assert.equal(entry?.request, one.headers.get("x-request-id"))
    assert.equal(entry?.facts, '{"signing_keys":[1]}')

    await program.call("POST", `/v1/integrations/${id}/rotate-secret`, { secret: second, grace_seconds: 60 })
    const both = await program.call("GET", path)
    assert.deepEqual(secretsIn(both), [second, first])
    program.turn(61_000)
    const late = await program.call("GET", path)
    assert.deepEqual(secretsIn(late), [second])
    assert.equal((await readings(program)).length, 3)
  })

  test("is for secrets:read alone; what is refused leaves no entry, and nothing else shows a secret", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const secret = newSecret()
    const id = await program.integrate(there.url(), {
      secret,
      config: { production: { url: there.url(), authorization: "Bearer canary-1" } },
    })
    const path = `/v1/integrations/${id}/secret`
    const other = await keyWith(
      program,
      "integrations:read",
      "integrations:write",
      "events:read",
      "payloads:read",
      "replay",
    )
    const refused = await program.ask("GET", path, undefined, other.headers)
    assert.equal(refused.status, 403)
    assert.equal(refused.body.scope, "secrets:read")
    const owner = await setUp(program)
    for (const [role, status] of [
      ["developer", 200],
      ["support", 403],
      ["viewer", 403],
      ["admin", 200],
    ] as const) {
      const person = await join(owner, program, `${role}@shop.example`, role)
      const answer = await person.ask("GET", path)
      assert.equal(answer.status, status, role)
    }
    const unknown = await program.ask("GET", "/v1/integrations/int_00000000000/secret")
    assert.equal(unknown.status, 404)
    const entries = await readings(program)
    assert.deepEqual(
      entries.map(({ by_kind }) => by_kind),
      ["person", "person"],
    )
    for (const where of [
      `/v1/integrations/${id}`,
      "/v1/integrations",
      `/v1/integrations/${id}/revisions`,
      "/v1/audit-log",
    ]) {
      const { text } = await program.ask("GET", where)
      assert.equal(text.includes(secret), false, where)
      assert.equal(text.includes("canary-1"), false, where)
    }
  })
})
