/** What a customer's page shows where many of the owner's own integrations stand before the customer's. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { Program } from "../help/program.ts"

test("a customer's own delivery and its record stand in the list, however many integrations of the owner come before it", async () => {
  await using program = await Program.open()
  await using there = await Endpoint.open({ body: '{"record_id":"r-1842"}' })
  await program.call("POST", "/v1/apps", { name: "acme" })
  for (let n = 0; n < 20; n++) await program.integrate(there.url(), { name: `for all ${n}` })
  const destination_record = { pointer: "/record_id" }
  const own = [
    await program.integrate(there.url(), { name: "CRM of Acme", apps: ["acme"], config: { destination_record } }),
    await program.integrate(there.url(), { name: "Mail of Acme", apps: ["acme"] }),
  ]
  await program.send({ type: "order.created", app: "acme" })
  await program.recorded(22)
  const { token } = await program.call("POST", "/v1/portal-tokens", { app: "acme" })
  const authorization = `Bearer ${token}`
  const { body } = await program.ask("GET", "/v1/events?outcomes=true", undefined, { authorization })
  const [event] = items(body.data)
  assert.deepEqual(
    items(event?.outcomes).map(({ integration, status }) => [integration?.id, status]),
    own.map(id => [id, "delivered"]),
  )
  assert.equal(event?.outcomes_left_out, 0)
  assert.deepEqual(event?.destination_records, [{ integration: own[0], record: "r-1842" }])

  const [whole] = items((await program.call("GET", "/v1/events?outcomes=true")).data)
  assert.deepEqual(
    [items(whole?.outcomes).length, whole?.outcomes_left_out],
    [20, 2],
    "the owner's list is cut as before",
  )
})
