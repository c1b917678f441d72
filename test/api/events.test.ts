import assert from "node:assert/strict"
import { test } from "node:test"
import { openDesk } from "../help/api-desk.ts"

const DAY_MS = 86_400_000

interface EventView {
  readonly id: string
  readonly status: string
  readonly payload: unknown
  readonly payload_expired: boolean
  readonly payload_encoding: string | null
  readonly deliveries: readonly {
    readonly id: string
    readonly status: string
    readonly reason: {
      readonly code: string
      readonly colour: string
      readonly what: string
      readonly advice: string
    } | null
    readonly integration: { readonly name: string; readonly removed: boolean }
    readonly attempts: readonly { readonly status: number; readonly reason: { readonly code: string } | null }[]
  }[]
  readonly withheld: readonly {
    readonly integration: { readonly id: string; readonly name: string }
    readonly reason: { readonly code: string; readonly colour: string; readonly advice: string }
  }[]
}

interface List {
  readonly data: readonly { readonly id: string; readonly destination_records: readonly unknown[] }[]
  readonly next_cursor: string | null
  readonly searched_back_to: string | null
}

test("an event shows its payload byte for byte, where it went, what was answered, and who did not get it and why", async t => {
  const desk = await openDesk(t)
  const crm = await desk.webhook("CRM")
  const off = await desk.webhook("Analytics", { events: { default: "off" } })
  desk.receiver.answer = () => ({ status: 422, body: '{"errors":{"email":["is missing"]}}' })
  const data = '{ "n": 12345678901234567890, "x": 1.0, "x": 1e2, "__proto__": [ ] }'
  const id = await desk.attempted(`{"type":"order_paid","profile_id":"p1","data":${data}}`)
  const { text, body } = await desk.api.send<EventView>("GET", `/v1/events/${id}`)
  assert.ok(text.includes(`"payload":${data}`), text)
  assert.equal(body.payload_encoding, "json")
  assert.equal(body.status, "retrying")
  const [delivery] = body.deliveries
  assert.equal(delivery?.id, desk.delivery(id, crm))
  assert.equal(delivery.integration.name, "CRM")
  assert.equal(delivery.reason?.code, "rejected")
  assert.equal(delivery.reason.colour, "amber")
  assert.match(
    delivery.reason.what,
    /^127\.0\.0\.1:\d+ answered 422.*email.*This was try 1 of 10; the next is due at 20/,
  )
  assert.match(delivery.reason.advice, /email/)
  assert.deepEqual(
    delivery.attempts.map(attempt => [attempt.status, attempt.reason?.code]),
    [[422, "rejected"]],
  )
  assert.deepEqual(
    body.withheld.map(({ integration, reason }) => [integration.id, integration.name, reason.code, reason.colour]),
    [[off, "Analytics", "type_disabled", "grey"]],
  )
  assert.match(body.withheld[0]?.reason.advice ?? "", /switch the type on/)
})

test("a payload is there until its time is over, and then is null and says that it expired", async t => {
  const desk = await openDesk(t)
  const json = await desk.event({ type: "a", data: { n: 1 } })
  const none = await desk.event({ type: "a" })
  const before = await desk.api.get<EventView>(`/v1/events/${json}`)
  assert.deepEqual([before.payload, before.payload_expired], [{ n: 1 }, false])
  const empty = await desk.api.get<EventView>(`/v1/events/${none}`)
  assert.deepEqual([empty.payload, empty.payload_encoding, empty.payload_expired], [null, null, false])
  desk.aheadMs = 7 * DAY_MS
  const after = await desk.api.get<EventView>(`/v1/events/${json}`)
  assert.deepEqual([after.payload, after.payload_encoding, after.payload_expired], [null, null, true])
  desk.aheadMs = 30 * DAY_MS
  assert.equal((await desk.api.send("GET", `/v1/events/${json}`)).status, 404)
})

test("events are found by each of their properties, with the record that the destination gave", async t => {
  const desk = await openDesk(t)
  await desk.api.send("POST", "/v1/integrations", {
    name: "CRM",
    config: { production: { url: desk.receiver.url }, verification: "none", destination_record: { pointer: "/id" } },
  })
  desk.receiver.answer = () => ({ status: 200, body: '{"id":"rec-1"}' })
  const event = {
    type: "trial_started",
    app: "ios",
    profile_id: "p 1/ü",
    device_id: "d1",
    source_record: "order-1",
    id: "own-1",
    environment: "production",
  }
  const id = await desk.attempted(event)
  desk.receiver.answer = () => ({ status: 404 })
  const other = await desk.attempted({ type: "order_paid", environment: "production" })
  const find = async (query: Record<string, string>) => {
    const page = await desk.api.get<List>(`/v1/events?${new URLSearchParams(query)}`)
    return page.data.map(found => found.id)
  }
  for (const query of [
    { type: "trial_started" },
    { type: "trial_*" },
    { app: "ios" },
    { profile_id: "p 1/ü" },
    { device_id: "d1" },
    { source_record: "order-1" },
    { destination_record: "rec-1" },
    { external_id: "own-1" },
    { status: "delivered" },
    { type: "trial_*", app: "ios", profile_id: "p 1/ü", status: "delivered" },
  ]) {
    assert.deepEqual(await find(query), [id], JSON.stringify(query))
  }
  assert.deepEqual(await find({ environment: "production" }), [other, id])
  assert.deepEqual(await find({ environment: "sandbox" }), [])
  assert.deepEqual(await find({ app: "nobody" }), [])
  assert.deepEqual(await find({ status: "retrying" }), [other])
  const soon = new Date(Date.now() + 60_000).toISOString()
  assert.deepEqual(await find({ from: soon }), [])
  assert.deepEqual(await find({ to: soon, type: "order_paid" }), [other])
  const { data } = await desk.api.get<List>("/v1/events?source_record=order-1")
  assert.equal(data[0]?.destination_records.length, 1)
})

test("pages follow one another by their cursor, and the last has none", async t => {
  const desk = await openDesk(t)
  const ids: string[] = []
  for (let i = 0; i < 5; i++) ids.push(await desk.event({ type: "a" }))
  const first = await desk.api.get<List>("/v1/events?limit=2")
  const second = await desk.api.get<List>(`/v1/events?limit=2&cursor=${first.next_cursor}`)
  const third = await desk.api.get<List>(`/v1/events?limit=2&cursor=${second.next_cursor}`)
  const shown = [first, second, third].flatMap(page => page.data.map(event => event.id))
  assert.deepEqual(shown, ids.toReversed())
  assert.equal(third.next_cursor, null)
  assert.equal(third.searched_back_to, null)
})

test("a search that asks for what makes no sense is refused with the field that is wrong", async t => {
  const desk = await openDesk(t)
  const refused: readonly (readonly [string, number, string])[] = [
    ["limit=0", 422, "query/limit"],
    ["limit=201", 422, "query/limit"],
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
    const answer = await desk.api.send("GET", `/v1/events?${query}`)
    assert.equal(answer.status, status, query)
    assert.match(JSON.stringify(answer.body["errors"]), new RegExp(`"pointer":"${pointer}"`), query)
  }
  const { next_cursor } = await (async () => {
    for (let i = 0; i < 2; i++) await desk.event({ type: "a" })
    return desk.api.get<List>("/v1/events?limit=1")
  })()
  assert.equal((await desk.api.send("GET", `/v1/deliveries?cursor=${next_cursor}`)).status, 400)
  for (const id of ["evt_00000000000", "evt_zzz", "int_00000000000", "x".repeat(60)]) {
    assert.equal((await desk.api.send("GET", `/v1/events/${id}`)).status, 404, id)
  }
  assert.equal((await desk.api.send("GET", `/v1/events/${"x".repeat(65)}`)).status, 422)
})

test("events of one project are not found with another project's key", async t => {
  const desk = await openDesk(t)
  const id = await desk.event({ type: "a" })
  const other = { ...desk.waybill, key: "wb_test_unknown" }
  const response = await fetch(`${other.url}/v1/events/${id}`, { headers: { authorization: `Bearer ${other.key}` } })
  assert.equal(response.status, 401)
})
