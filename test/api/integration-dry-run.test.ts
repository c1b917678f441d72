/** A test event that is only shown: what would go out, without its going out. */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { formatId } from "../../src/domain/id.ts"
import { verify } from "../../src/transport/sign.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { type Json, Program } from "../help/program.ts"
import { newSecret } from "../help/waybill.ts"

let program: Program
let endpoint: Endpoint
before(async () => {
  program = await Program.open()
  endpoint = await Endpoint.open({ status: 200 })
})
after(async () => {
  await program[Symbol.asyncDispose]()
  await endpoint[Symbol.asyncDispose]()
})

function show(integration: string, body: object = {}) {
  return program.ask("POST", `/v1/integrations/${integration}/test`, { dry_run: true, ...body })
}

function headerOf(request: Json | undefined, name: string): unknown {
  return items(request?.headers).find(header => String(header.name).toLowerCase() === name)?.value
}

describe("a dry run of a test", () => {
  test("shows the request that the test then sends, and sends nothing", async () => {
    const secret = newSecret()
    const config = { production: { url: endpoint.url("/hook?a=1"), authorization: "Bearer sesame" } }
    const integration = await program.integrate(endpoint.url(), {
      secret,
      config,
      events: { types: { a: { name: "A" } } },
    })
    const { body, status, text } = await show(integration, { type: "a", data: { n: 1 } })
    assert.equal(status, 200, text)
    assert.deepEqual([body.dry_run, body.reason, body.exchange_hidden, body.payload_masked], [true, null, false, false])
    assert.deepEqual([body.request?.method, body.request?.url], ["POST", endpoint.url("/hook?a=1")])
    assert.equal(headerOf(body.request, "authorization"), null)
    assert.doesNotMatch(text, /sesame/)
    const shown = String(body.request?.body)
    const headers = {
      id: String(headerOf(body.request, "webhook-id")),
      timestamp: String(headerOf(body.request, "webhook-timestamp")),
      signature: String(headerOf(body.request, "webhook-signature")),
    }
    const nowSeconds = program.now / 1_000
    assert.equal(verify({ headers, body: shown, secrets: [secret], nowSeconds }).kind, "verified")
    assert.equal(endpoint.requests.length, 0)
    assert.deepEqual(await program.rows("select 1 from event"), [])

    await program.call("POST", `/v1/integrations/${integration}/test`, { type: "a", data: { n: 1 } })
    const [sent] = await endpoint.received(1)
    const { id: _, ...really } = JSON.parse(String(sent?.body)) as Record<string, unknown>
    const { id: __, ...would } = JSON.parse(shown) as Record<string, unknown>
    assert.deepEqual(would, really)
    assert.equal(would["type"], "A")
    const names = items(body.request?.headers).map(({ name }) => String(name).toLowerCase())
    assert.deepEqual(names.sort(), Object.keys(sent?.headers ?? {}).sort())
  })

  test("of a past event shows its data, with private values masked", async () => {
    await program.call("PUT", "/v1/event-types/order", { private_fields: ["/email"] })
    // As long as it is being tried its data is whole, for those who get it.
    await using failing = await Endpoint.open({ status: 500 })
    const integration = await program.integrate(failing.url())
    const event = formatId("evt", await program.send({ type: "order", data: { email: "eve@shop.example", n: 7 } }))
    const { body, text } = await show(integration, { event })
    assert.deepEqual([body.event, body.payload_masked], [event, true])
    assert.match(String(body.request?.body), /"n":7/)
    assert.doesNotMatch(text, /eve@shop/)
  })

  test("says why nothing would be sent", async () => {
    const integration = await program.integrate(endpoint.url(), { config: { signature: { scheme: "v1a" } } })
    await program.call("PATCH", `/v1/integrations/${integration}`, { config: { signature: { scheme: "v1" } } })
    const { body } = await show(integration)
    assert.deepEqual([body.request, body.reason?.code], [null, "missing_credentials"])
    assert.equal((await show(integration, { environment: "sandbox" })).status, 422)
  })

  test("leaves the request out for a key that reads no payloads", async () => {
    const integration = await program.integrate(endpoint.url())
    const { key } = await program.call("POST", "/v1/api-keys", { name: "writer", scopes: ["integrations:write"] })
    const headers = { authorization: `Bearer ${key}` }
    const path = `/v1/integrations/${integration}/test`
    const { body } = await program.ask("POST", path, { dry_run: true }, headers)
    assert.deepEqual([body.request, body.exchange_hidden], [null, true])
  })
})
