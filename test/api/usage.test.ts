/** `GET /v1/usage`: what went through a project, counted to the event, at once and after it was tallied. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { type Json, Program } from "../help/program.ts"

const HOUR_MS = 3_600_000

test("events are counted by type and deliveries by integration, within whole hours, without tests", async () => {
  await using program = await Program.open()
  await using taking = await Endpoint.open()
  await using failing = await Endpoint.open({ status: 500 })
  const crm = await program.integrate(taking.url(), { name: "CRM" })
  const off = await program.integrate(failing.url(), {
    name: "Mail",
    events: { default: "off", types: { left: {} } },
  })
  const before = new Date(program.now).toISOString()
  for (const type of ["paid", "paid", "left"]) await program.send({ type, data: { n: 1 } })
  await program.recorded(4)
  assert.equal((await program.ask("POST", "/v1/events", { type: "" })).status, 422)
  await program.call("POST", `/v1/integrations/${crm}/test`, { data: { n: 1 } })
  await program.until(
    "what was refused is counted",
    async () => (await program.rows("select 1 from rejection")).length === 1,
  )
  const usage = await program.call("GET", "/v1/usage")
  assert.deepEqual(
    items(usage.types).map(({ type, events, bytes }) => [type, events, bytes]),
    [
      ["paid", 2, 14],
      ["left", 1, 7],
    ],
  )
  assert.deepEqual(usage.total, { events: 3, bytes: 21, refused: 1 })
  assert.equal(usage.types_left_out, 0)
  const counted = (id: string) => {
    const found = items(usage.integrations).find(({ integration }) => String(integration?.id) === id)
    return [found?.routed, found?.withheld, found?.success, found?.error]
  }
  assert.deepEqual(counted(crm), [3, 0, 3, 0])
  assert.deepEqual(counted(off), [1, 2, 0, 1])

  program.turn(2 * HOUR_MS)
  await program.send({ type: "paid", data: { n: 1 } })
  const later = await program.call("GET", `/v1/usage?from=${encodeURIComponent(new Date(program.now).toISOString())}`)
  assert.deepEqual(later.total, { events: 1, bytes: 7, refused: 0 })
  const earlier = await program.call(
    "GET",
    `/v1/usage?from=${before}&to=${new Date(Date.parse(before) + 1).toISOString()}`,
  )
  assert.deepEqual(earlier.total, { events: 3, bytes: 21, refused: 1 })
  assert.equal(Number(Date.parse(String(earlier.to))) - Number(Date.parse(String(earlier.from))), HOUR_MS)
})

test("an integration that was removed is counted as long as it was sent something, and no other project's", async () => {
  await using program = await Program.open()
  await using taking = await Endpoint.open()
  const gone = await program.integrate(taking.url(), { name: "Gone" })
  const unused = await program.integrate(taking.url(), { name: "Unused", events: { default: "off" } })
  await program.send({ type: "paid" })
  await program.recorded(1)
  await program.call("DELETE", `/v1/integrations/${gone}`)
  await program.call("DELETE", `/v1/integrations/${unused}`)
  const names = items((await program.call("GET", "/v1/usage")).integrations).map(each => each.integration?.name)
  assert.deepEqual(names, ["Gone", "Unused"])
  const { key } = await program.call("POST", "/v1/projects", { name: "other" })
  const theirs = await program.ask("GET", "/v1/usage", undefined, { authorization: `Bearer ${key}` })
  assert.deepEqual([theirs.body.total, theirs.body.integrations], [{ events: 0, bytes: 0, refused: 0 }, []])
  const narrow = await program.call("POST", "/v1/api-keys", {
    name: "n",
    scopes: ["integrations:read"],
    environment: "sandbox",
  })
  const limited = await program.ask("GET", "/v1/usage", undefined, { authorization: `Bearer ${narrow.key}` })
  assert.equal(limited.status, 403)
  for (const query of ["from=yesterday", "from=2026-11-21T10:00:00Z&to=2026-11-21T10:00:00Z"])
    assert.equal((await program.ask("GET", `/v1/usage?${query}`)).status, 422, query)
})

test("usage of eleven months ago is counted still, as the document says, when the events themselves are long gone", async () => {
  await using program = await Program.open()
  const then = new Date(program.now).toISOString()
  await program.send({ type: "paid", data: { n: 1 } })
  await program.tallied()
  program.turn(330 * 24 * HOUR_MS)
  const { total } = await program.call("GET", `/v1/usage?from=${then}&to=${new Date(program.now).toISOString()}`)
  assert.deepEqual(total, { events: 1, bytes: 7, refused: 0 })
  assert.deepEqual((await program.call("GET", "/v1/usage")).total, { events: 0, bytes: 0, refused: 0 })
  const paths = (await program.call("GET", "/openapi.json")).paths as Json
  assert.match(String(paths["/v1/usage"]?.["get"]?.["description"]), /kept for 400 days/)
})
