/** The catalogue of event types. */
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { items } from "../help/items.ts"
import { MORNING, Program } from "../help/program.ts"

let program: Program
before(async () => {
  program = await Program.open()
})
after(() => program[Symbol.asyncDispose]())

function put(name: string, body: unknown) {
  return program.ask("PUT", `/v1/event-types/${encodeURIComponent(name)}`, body)
}

test("a type is added with its description, schema and examples, and changed whole", async () => {
  const body = {
    description: "A trial began.",
    schema: { type: "object", required: ["plan"] },
    examples: [{ plan: "pro" }],
    private_fields: ["/device/id"],
  }
  const added = await put("trial_started", body)
  const at = new Date(MORNING).toISOString()
  assert.deepEqual(added.body, { name: "trial_started", ...body, reserved: false, created_at: at, updated_at: at })
  program.turn(60_000)
  const changed = await put("trial_started", { description: "Began." })
  const later = new Date(program.now).toISOString()
  const own = { description: "Began.", schema: null, examples: [], private_fields: [], reserved: false }
  const expected = { ...own, created_at: at, updated_at: later }
  assert.deepEqual(changed.body, { name: "trial_started", ...expected })
  assert.deepEqual(await program.call("GET", "/v1/event-types/trial_started"), changed.body)
  await program.restart()
  const listed = items((await program.call("GET", "/v1/event-types")).data)
  assert.deepEqual(
    listed.filter(({ reserved }) => !reserved),
    [changed.body],
  )
  assert.equal((await program.ask("DELETE", "/v1/event-types/trial_started")).status, 204)
  for (const method of ["GET", "DELETE"]) {
    assert.equal((await program.ask(method, "/v1/event-types/trial_started")).status, 404)
  }
})

test("a name may be of any printable ASCII, as long as an event's type may be", async () => {
  for (const name of [
    "a",
    "a/b",
    "%2f",
    "~!@#$^&*()[]{}|;:'\",.<>?`",
    "{".repeat(128),
    "A",
    "__proto__",
    "constructor",
  ]) {
    const answer = await put(name, {})
    assert.deepEqual([answer.status, answer.body.name], [200, name], answer.text)
    assert.equal((await program.call("GET", `/v1/event-types/${encodeURIComponent(name)}`)).name, name)
  }
  for (const [name, status] of [
    ["a b", 422],
    ["é", 422],
    ["a".repeat(129), 422],
    ["waybill.test", 422],
  ] as const) {
    assert.equal((await put(name, {})).status, status, name)
  }
  const { data } = await program.call("GET", "/v1/event-types")
  assert.ok(Object.values(data ?? {}).some(type => String(type?.name) === "__proto__"))
})

test("a schema that cannot be used is refused when it is saved, and nothing is fetched for it", async () => {
  for (const [schema, pointer] of [
    [{ type: "strin" }, "/schema"],
    [{ properties: 7 }, "/schema"],
    [{ $ref: "https://schemas.example/a.json" }, "/schema/$ref"],
    [{ $ref: "#/$defs/none" }, "/schema/$ref"],
    [{ minimum: "1" }, "/schema"],
    [{ $async: true, type: "string" }, "/schema/$async"],
    [{ allOf: [{ $ref: "#" }] }, "/schema/allOf/0/$ref"],
  ] as const) {
    const answer = await put("broken", { schema })
    assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [422, pointer], JSON.stringify(schema))
  }
  assert.equal((await program.ask("GET", "/v1/event-types/broken")).status, 404)
  for (const schema of [true, false, {}, { $ref: "#/$defs/a", $defs: { a: { type: "string", format: "email" } } }]) {
    assert.equal((await put("good", { schema })).status, 200, JSON.stringify(schema))
  }
})

test("what is no type is refused", async () => {
  for (const [body, pointer] of [
    [{ schema: "text" }, "/schema"],
    [{ examples: {} }, "/examples"],
    [{ examples: Array(21).fill(1) }, "/examples"],
    [{ description: "x".repeat(2_001) }, "/description"],
    [{ name: "other" }, "/name"],
  ] as const) {
    const answer = await put("a", body)
    assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [422, pointer])
  }
})
