/** Trying a filter on what came in, before it is saved. */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { items } from "../help/items.ts"
import { Program } from "../help/program.ts"

const EMAIL = "eve@shop.example"

let program: Program
before(async () => {
  program = await Program.open()
  await program.call("PUT", "/v1/event-types/order_paid", { private_fields: ["/email"] })
  await program.send({ type: "order_paid", data: { plan: "pro", amount: 10, email: EMAIL } })
  await program.send({ type: "order_paid", data: { plan: "pro", amount: 9.99 }, app: "ios" })
  // As text: the number has more digits than JavaScript keeps.
  await program.send('{"type": "order_lost", "environment": "sandbox", "data": {"amount": 900719925474099267}}')
})
after(() => program[Symbol.asyncDispose]())

function attempt(body: object | string) {
  return program.ask("POST", "/v1/filters/try", body)
}

/** What it says of each, the oldest first. */
async function outcomes(body: object | string): Promise<unknown[]> {
  const { body: tried, text, status } = await attempt(body)
  assert.equal(status, 200, text)
  return items(tried.data)
    .map(({ outcome }) => outcome)
    .reverse()
}

describe("trying a filter", () => {
  test("says of each of the last events whether it would go out, and saves nothing", async () => {
    const { body } = await attempt({ filter: { gte: ["data.amount", 10] } })
    const told = items(body.data).map(({ event, passes, outcome }) => [event?.type, passes, outcome])
    assert.deepEqual(told, [
      ["order_lost", true, "passes"],
      ["order_paid", false, "filtered"],
      ["order_paid", true, "passes"],
    ])
    assert.deepEqual([body.passed, body.tried, body.searched_back_to], [2, 3, null])
    assert.deepEqual((await program.call("GET", "/v1/integrations")).data, [])
  })

  test("compares numbers by all of their digits", async () => {
    const text = '{"filter": {"eq": ["data.amount", 900719925474099267]}}'
    assert.deepEqual(await outcomes(text), ["filtered", "filtered", "passes"])
    assert.deepEqual(await outcomes(text.replace("267]", "268]")), ["filtered", "filtered", "filtered"])
  })

  test("sees private fields as readers do, and says so", async () => {
    assert.deepEqual(await outcomes({ filter: { eq: ["data.email", EMAIL] } }), ["filtered", "filtered", "filtered"])
    const { body } = await attempt({ filter: { eq: ["data.email", "[private]"] } })
    const told = items(body.data).map(({ outcome, payload_masked }) => [outcome, payload_masked])
    assert.deepEqual(told.at(-1), ["passes", true])
    assert.deepEqual(told.at(0), ["filtered", false])
  })

  test("lets all through where it is null", async () => {
    assert.deepEqual(await outcomes({ filter: null }), ["passes", "passes", "passes"])
    assert.equal(items((await attempt({ filter: null, limit: 1 })).body.data).length, 1)
  })

  test("says where each mistake stands", async () => {
    const { status, body } = await attempt({ filter: { and: [{ eq: ["plan", 1] }, { equals: ["type", "a"] }] } })
    assert.equal(status, 422)
    const errors = items(body.errors).map(({ pointer, message }) => [pointer, String(message)] as const)
    assert.deepEqual(
      errors.map(([pointer]) => pointer),
      ["/filter/and/0/eq/0", "/filter/and/1"],
    )
    assert.match(errors[0]?.[1] ?? "", /did you mean "data.plan"/)
  })

  test("asks for more than reading, as a filter could be used to guess what payloads hold", async () => {
    const { key } = await program.call("POST", "/v1/api-keys", {
      name: "reader",
      scopes: ["events:read", "integrations:read"],
    })
    const headers = { authorization: `Bearer ${key}` }
    const refused = await program.ask("POST", "/v1/filters/try", { filter: null }, headers)
    assert.deepEqual([refused.status, refused.body.scope], [403, "integrations:write"])
  })

  test("with an integration, tells its other rules from the filter", async () => {
    const integration = await program.integrate("http://127.0.0.1:9/", {
      enabled: false,
      filter: { eq: ["type", "nothing"] },
      events: { types: { order_paid: { enabled: false } } },
    })
    assert.deepEqual(await outcomes({ filter: null, integration }), ["type_disabled", "type_disabled", "no_endpoint"])
    const forIos = await program.integrate("http://127.0.0.1:9/", { enabled: false, apps: ["ios"] })
    const filter = { eq: ["data.plan", "max"] }
    assert.deepEqual(await outcomes({ filter, integration: forIos }), ["other_app", "filtered", "other_app"])
    assert.equal((await attempt({ filter: null, integration: "int_00000000000" })).status, 404)
  })

  test("says so where the payload is no longer kept", async () => {
    program.turn(31 * 86_400_000)
    await program.until("the payloads are gone", async () => {
      const told = await outcomes({ filter: null })
      return told.every(outcome => outcome === "payload_gone")
    })
  })
})
