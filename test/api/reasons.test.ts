/** `GET /v1/reasons`: what a filter by reason and the page of a reason are made of. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { reasonCodes } from "../../src/domain/reason.ts"
import { Browser } from "../help/browser.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { join, setUp } from "../help/people.ts"
import { Program } from "../help/program.ts"

test("each reason is told with its words, its colours and whether it is tried again, to whoever belongs to the project", async () => {
  await using program = await Program.open()
  const viewer = await join(await setUp(program), program, "vic@shop.example", "viewer")
  const reasons = items((await viewer.call("GET", "/v1/reasons")).data)
  assert.deepEqual(
    reasons.map(({ code }) => code),
    reasonCodes,
  )
  for (const { code, title, what, causes, advice, outlook, variants } of reasons)
    for (const text of [
      title,
      what,
      causes,
      advice,
      outlook,
      ...items(variants).flatMap(each => [each.title, each.what]),
    ])
      assert.match(String(text), /^[A-Z0-9][^{}[\]]*$/, `${code}: ${text}`)
  const named = (code: string) => reasons.find(each => String(each.code) === code)
  const told = (code: string) => [named(code)?.colour, named(code)?.colour_failed, named(code)?.tried_again]
  assert.deepEqual(told("dns_failed"), ["amber", "red", "yes"])
  assert.deepEqual(told("queued"), ["plain", "plain", null])
  assert.deepEqual(told("not_verified"), ["red", "red", "on_replay"])
  assert.ok(
    items(named("rejected")?.variants).some(({ fact, value }) => String(fact) === "status" && String(value) === "401"),
  )
  assert.equal((await new Browser(program).ask("GET", "/v1/reasons")).status, 401)
})

test("events are found by the reason of a delivery or of a withholding, at any integration or at one", async () => {
  await using program = await Program.open()
  await using rejecting = await Endpoint.open({ status: 422 })
  await using taking = await Endpoint.open()
  const crm = await program.integrate(rejecting.url(), { name: "CRM" })
  const off = await program.integrate(taking.url(), { name: "Analytics", events: { default: "off", types: { b: {} } } })
  await program.send({ type: "a" })
  await program.recorded(1)
  const first = items((await program.call("GET", "/v1/events")).data).map(({ id }) => id)
  const found = async (query: string) =>
    items((await program.call("GET", `/v1/events?${query}`)).data).map(({ id }) => id)
  assert.deepEqual(await found("reason=rejected"), first)
  assert.deepEqual(await found("reason=type_disabled"), first)
  assert.deepEqual(await found(`reason=type_disabled&integration=${off}`), first)
  assert.deepEqual(await found(`reason=type_disabled&integration=${crm}`), [])
  assert.deepEqual(await found(`reason=rejected&integration=${off}`), [])
  assert.deepEqual(await found("reason=gone"), [])
  const unknown = await program.ask("GET", "/v1/events?reason=because")
  assert.deepEqual([unknown.status, unknown.body.code], [422, "invalid"])
})
