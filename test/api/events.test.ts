import assert from "node:assert/strict"
import { test } from "node:test"
import { formatDeliveryId, formatId } from "../../src/domain/id.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { numberOf, Program } from "../help/program.ts"

const DAY_MS = 86_400_000

async function find(program: Program, query: Record<string, string>): Promise<unknown[]> {
  const page = await program.call("GET", `/v1/events?${new URLSearchParams(query)}`)
  return items(page.data).map(event => event.id)
}

test("an event shows its payload byte for byte, where it went, what was answered, and who did not get it and why", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 422, body: '{"errors":{"email":["is missing"]}}' })
  const crm = await program.integrate(endpoint.url(), { name: "CRM" })
  const off = await program.integrate(endpoint.url(), { name: "Analytics", events: { default: "off" } })
  const data = '{ "n": 12345678901234567890,\r\n "x": 1.0, "x": 1e2, "__proto__": [ ] }'
  const event = await program.send(`{"type":"order_paid","profile_id":"p1","data":${data}}`)
  await program.recorded(1)
  const { text, body } = await program.ask("GET", `/v1/events/${formatId("evt", event)}`)
  assert.ok(text.includes(`"payload":${data}`), text)
  assert.equal(body.payload_encoding, "json")
  assert.equal(body.status, "retrying")
  const [delivery] = items(body.deliveries)
  assert.equal(delivery?.id, formatDeliveryId({ event, integration: numberOf("int", crm) }))
  assert.deepEqual(delivery.integration, { id: crm, name: "CRM", removed: false })
  assert.equal(delivery.reason?.code, "rejected")
  assert.equal(delivery.reason.colour, "amber")
  assert.match(
    String(delivery.reason.what),
    /^127\.0\.0\.1:\d+ answered 422.*email.*This was try 1 of 10; the next is due at 20/,
  )
  assert.match(String(delivery.reason.advice), /email/)
  const [attempt] = items(delivery.attempts)
  assert.deepEqual([attempt?.number, attempt?.status, attempt?.reason?.code], [1, 422, "rejected"])
  const withheld = items(body.withheld).map(({ integration, reason }) => [
    integration?.id,
    integration?.name,
    reason?.code,
  ])
  assert.deepEqual(withheld, [[off, "Analytics", "type_disabled"]])
  const [{ reason } = {}] = items(body.withheld)
  assert.equal(reason?.colour, "grey")
  assert.match(String(reason.advice), /switch the type on/)
})

test("an event that was filtered says whether the filter or a missing endpoint was it, by the settings of its time", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open()
  const url = endpoint.url()
  const filter = { eq: ["data.plan", "pro"] }
  const byFilter = await program.integrate(url, { name: "Filter", filter })
  const sandbox = { sandbox: { url }, verification: "none" }
  const { id: elsewhere } = await program.call("POST", "/v1/integrations", { name: "Sandbox", config: sandbox })
  const { id: both } = await program.call("POST", "/v1/integrations", { name: "Both", config: sandbox, filter })
  const told = async (event: number) => {
    const { withheld } = await program.call("GET", `/v1/events/${formatId("evt", event)}`)
    return items(withheld).map(({ integration, reason }) => [integration?.name, reason?.code, reason?.what])
  }
  const before = await program.send({ type: "a", data: { plan: "free" } })
  const byFilterSays = "The integration's filter leaves this event out."
  const noEndpointSays = "The integration has no endpoint for production events."
  const expected = [
    ["Filter", "filtered", byFilterSays],
    ["Sandbox", "filtered", noEndpointSays],
    ["Both", "filtered", noEndpointSays],
  ]
  assert.deepEqual(await told(before), expected)

  program.turn(1_000)
  const moved = { config: { production: null, sandbox: { url } }, filter: null }
  await program.call("PATCH", `/v1/integrations/${byFilter}`, moved)
  await program.call("PATCH", `/v1/integrations/${elsewhere}`, { config: { production: { url } }, filter })
  await program.call("DELETE", `/v1/integrations/${both}`)
  program.turn(1_000)
  const after = await program.send({ type: "a", data: { plan: "free" } })
  assert.deepEqual(await told(after), [
    ["Filter", "filtered", noEndpointSays],
    ["Sandbox", "filtered", byFilterSays],
  ])
  assert.deepEqual(await told(before), expected, "what was decided before stays told as it was")
  const here = await program.call("GET", `/v1/integrations/${elsewhere}/events`)
  assert.deepEqual(
    items(here.data).map(({ withheld }) => withheld?.what),
    [byFilterSays, noEndpointSays],
  )
})

test("a payload is there until its time is over, and then is null and says that it expired", async () => {
  await using program = await Program.open()
  const json = formatId("evt", await program.send({ type: "a", data: { n: 1 } }))
  const none = formatId("evt", await program.send({ type: "a" }))
  const payloadOf = async (id: string) => {
    const event = await program.call("GET", `/v1/events/${id}`)
    return [event.payload, event.payload_encoding, event.payload_expired]
  }
  program.turn(7 * DAY_MS - 1)
  assert.deepEqual(await payloadOf(json), [{ n: 1 }, "json", false])
  assert.deepEqual(await payloadOf(none), [null, null, false])
  program.turn(1)
  assert.deepEqual(await payloadOf(json), [null, null, true])
  program.turn(23 * DAY_MS - 1)
  assert.equal((await program.ask("GET", `/v1/events/${json}`)).status, 200)
  program.turn(1)
  assert.equal((await program.ask("GET", `/v1/events/${json}`)).status, 404)
})

test("events are found by each of their properties, with the record that the destination gave", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ body: '{"id":"rec-1"}' }, { status: 404 })
  const crm = await program.integrate(endpoint.url(), { config: { destination_record: { pointer: "/id" } } })
  const values = { app: "ios", profile_id: "p 1/ü", device_id: "d1", source_record: "order-1" }
  const first = formatId("evt", await program.send({ type: "trial_started", id: "own-1", ...values }))
  await program.recorded(1)
  program.turn(1_000)
  const second = formatId("evt", await program.send({ type: "order_paid" }))
  await program.recorded(2)
  const queries: Record<string, string>[] = [
    { type: "trial_started" },
    { type: "trial_*" },
    { app: "ios" },
    { profile_id: "p 1/ü" },
    { device_id: "d1" },
    { source_record: "order-1" },
    { destination_record: "rec-1" },
    { external_id: "own-1" },
    { status: "delivered" },
    { to: new Date(program.now).toISOString() },
    { type: "trial_*", app: "ios", profile_id: "p 1/ü", status: "delivered", integration: crm },
  ]
  for (const query of queries) assert.deepEqual(await find(program, query), [first], JSON.stringify(query))
  assert.deepEqual(await find(program, { environment: "production" }), [second, first])
  assert.deepEqual(await find(program, { integration: crm }), [second, first])
  assert.deepEqual(await find(program, { status: "retrying" }), [second])
  assert.deepEqual(await find(program, { from: new Date(program.now).toISOString() }), [second])
  assert.deepEqual(await find(program, { environment: "sandbox" }), [])
  assert.deepEqual(await find(program, { app: "nobody" }), [])
  const page = await program.call("GET", "/v1/events?source_record=order-1")
  assert.deepEqual(page.data?.[0]?.destination_records, [{ integration: crm, record: "rec-1" }])
})

test("a list with outcomes shows what became of each event at every integration, and why", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 200 }, { status: 422 })
  const crm = await program.integrate(endpoint.url(), { name: "CRM" })
  const filter = { eq: ["data.plan", "pro"] }
  const pro = await program.integrate(endpoint.url(), { name: "Pro only", filter })
  const sent = [
    await program.send({ type: "a", data: { plan: "free" } }),
    await program.send({ type: "a", data: { plan: "free" } }),
  ].map(event => formatId("evt", event))
  await program.recorded(2)
  await program.call("PATCH", `/v1/integrations/${pro}`, { events: { default: "off" } })
  program.turn(1_000)
  const later = formatId("evt", await program.send({ type: "a", data: { plan: "free" } }))
  await program.recorded(3)
  await program.call("DELETE", `/v1/integrations/${pro}`)
  const page = await program.call("GET", "/v1/events?outcomes=true&limit=50")
  const told = new Map(
    items(page.data).map(event => [
      String(event.id),
      items(event.outcomes).map(({ integration, status, reason }) => [
        integration?.id,
        integration?.name,
        integration?.removed,
        status,
        reason?.code,
      ]),
    ]),
  )
  const delivered = [crm, "CRM", false, "delivered", undefined]
  const refused = [crm, "CRM", false, "retrying", "rejected"]
  const withheld = (code: string) => [pro, "Pro only", true, "withheld", code]
  // Which of the two came first to the endpoint is its own affair.
  const ofCrm = sent.map(id => told.get(id)?.[0]).sort()
  assert.deepEqual(ofCrm, [delivered, refused].sort())
  for (const id of sent) assert.deepEqual(told.get(id)?.slice(1), [withheld("filtered")])
  assert.deepEqual(told.get(later)?.slice(1), [withheld("type_disabled")])
  const whys = items(page.data).flatMap(event => items(event.outcomes).map(({ reason }) => String(reason?.what)))
  assert.ok(whys.includes("The integration's filter leaves this event out."), whys.join("\n"))
  assert.ok(
    whys.some(why => why.includes("answered 422")),
    whys.join("\n"),
  )
  assert.deepEqual(
    items(page.data).map(event => event.outcomes_left_out),
    [0, 0, 0],
  )
  const [plain] = items((await program.call("GET", "/v1/events")).data)
  assert.equal(plain?.outcomes, undefined)
})

test("outcomes of an event that went to many integrations are those of the first, and the rest is counted", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open()
  for (let i = 0; i < 22; i++) await program.integrate(endpoint.url(), { name: `To ${i}` })
  for (let i = 0; i < 23; i++) {
    await program.integrate(endpoint.url(), { name: `Not ${i}`, events: { default: "off" } })
  }
  await program.send({ type: "a" })
  await program.recorded(22)
  const page = await program.call("GET", "/v1/events?outcomes=true")
  const statuses = items(page.data?.[0]?.outcomes).map(({ status }) => status)
  assert.deepEqual(
    ["delivered", "withheld"].map(each => statuses.filter(status => String(status) === each).length),
    [20, 20],
  )
  assert.equal(page.data?.[0]?.outcomes_left_out, 5)
})

test("pages follow one another by their cursor, and the last has none", async () => {
  await using program = await Program.open()
  const ids: string[] = []
  for (let i = 0; i < 5; i++) ids.push(formatId("evt", await program.send({ type: "a" })))
  const first = await program.call("GET", "/v1/events?limit=2")
  const second = await program.call("GET", `/v1/events?limit=2&cursor=${first.next_cursor}`)
  const third = await program.call("GET", `/v1/events?limit=2&cursor=${second.next_cursor}`)
  const shown = [first, second, third].flatMap(page => items(page.data).map(event => event.id))
  assert.deepEqual(shown, ids.toReversed())
  assert.equal(third.next_cursor, null)
  assert.equal(third.searched_back_to, null)
})

test("a search that makes no sense is refused with the field that is wrong", async () => {
  await using program = await Program.open()
  const refused: readonly (readonly [query: string, status: number, pointer: string])[] = [
    ["limit=0", 422, "query/limit"],
    ["limit=201", 422, "query/limit"],
    ["limit=51&outcomes=true", 422, "query/limit"],
    ["status=lost", 422, "query/status"],
    ["from=yesterday", 422, "query/from"],
    ["to=2026-02-30T00:00:00Z", 422, "query/to"],
    ["from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "query/from"],
    ["type=with%20space", 422, "query/type"],
    ["integration=dlv_1", 422, "query/integration"],
    ["colour=red", 422, "query/colour"],
    ["cursor=abc", 400, "query/cursor"],
    ["cursor=abc.def", 400, "query/cursor"],
  ]
  for (const [query, status, pointer] of refused) {
    const answer = await program.ask("GET", `/v1/events?${query}`)
    assert.equal(answer.status, status, query)
    assert.equal(answer.body.errors?.[0]?.pointer, pointer, query)
  }
  await program.send({ type: "a" })
  await program.send({ type: "a" })
  const { next_cursor } = await program.call("GET", "/v1/events?limit=1")
  assert.equal((await program.ask("GET", `/v1/deliveries?cursor=${next_cursor}`)).status, 400)
})

test("an id that is of nothing here, or no id at all, is not found", async () => {
  await using program = await Program.open()
  for (const id of ["evt_00000000000", "evt_zzz", "int_00000000000", "x".repeat(64)]) {
    assert.equal((await program.ask("GET", `/v1/events/${id}`)).status, 404, id)
  }
  assert.equal((await program.ask("GET", `/v1/events/${"x".repeat(65)}`)).status, 422)
})
