/** Private fields: receivers get them whole, readers never see them, and no disk holds them. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { formatDeliveryId, formatId } from "../../src/domain/id.ts"
import { verify } from "../../src/transport/sign.ts"
import { Endpoint, type Received } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { MORNING, numberOf, Program } from "../help/program.ts"
import { StreamListener } from "../help/stream-listener.ts"
import { newSecret } from "../help/waybill.ts"
import { foundIn } from "../help/whole-database.ts"

const SECOND = 1_000
const HOUR = 3_600_000
const EMAIL = "canary-4d1c@shop.example"
const CARD = "4111000022223333"
const NAME = "Zoë Canary-Quill"
const canaries = [EMAIL, CARD, NAME, "Zo\\u00eb"]
/** The order of its members, and the way in which its numbers are written, are its sender's. */
const DATA = `{"n":1.0E+2,"customer":{"email":"${EMAIL}","names":["${NAME}"]},"cards":[{"no":${CARD},"kind":"visa"}]}`
const MASKED =
  '{"n":1.0E+2,"customer":{"email":"[private]","names":"[private]"},"cards":[{"no":"[private]","kind":"visa"}]}'
/** Retries after 10, 20 and 40 s, whatever the endpoint says. */
const policy = { preset: "device", retry_delays_ms: [10_000, 20_000, 40_000], protection: { enabled: false } }

async function setPrivate(program: Program): Promise<void> {
  const [project] = items((await program.call("GET", "/v1/projects")).data)
  const set = await program.call("PATCH", `/v1/projects/${project?.id}`, { private_fields: ["/customer/email"] })
  assert.deepEqual(set.private_fields, ["/customer/email"])
  const own = ["/customer/names", "/cards/*/no"]
  const type = await program.call("PUT", "/v1/event-types/order_paid", { private_fields: own })
  assert.deepEqual(type.private_fields, own)
}

/** Sends an order; gives the number of its event. */
function order(program: Program, more = ""): Promise<number> {
  return program.send(`{"type":"order_paid","device_id":"d1"${more},"data":${DATA}}`)
}

function assertWhole({ headers, body }: Received, secret: string, now: number): void {
  assert.ok(body.toString().includes(`"data":${DATA}`), body.toString())
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature } = headers
  const nowSeconds = Math.floor(now / SECOND)
  assert.equal(verify({ headers: { id, timestamp, signature }, body, secrets: [secret], nowSeconds }).kind, "verified")
}

/** Sends back what it got, as many error pages do. */
function echo(status: number) {
  return ({ body }: Received) => ({
    status,
    headers: {
      "x-card": `no ${CARD}`,
      "content-type": "application/json",
      location: `/c/${encodeURIComponent(EMAIL)}`,
    },
    body: JSON.stringify({
      id: EMAIL,
      message: `The card ${CARD} of Zo\u00eb Canary-Quill is wrong`,
      got: JSON.parse(body.toString()),
    }),
  })
}

/** Everything that can be read of an event and its delivery. */
function pathsOf(event: number, integration: string): string[] {
  const delivery = formatDeliveryId({ event, integration: numberOf("int", integration) })
  const id = formatId("evt", event)
  return [
    "/v1/events",
    `/v1/events/${id}`,
    "/v1/deliveries",
    `/v1/deliveries/${delivery}`,
    `/v1/integrations/${integration}`,
    `/v1/integrations/${integration}/history`,
    `/v1/integrations/${integration}/logs`,
    `/v1/integrations/${integration}/events`,
    `/v1/integrations/${integration}/diagnosis`,
    `/v1/integrations/${integration}/failures`,
    `/v1/integrations/${integration}/report`,
    `/v1/integrations/${integration}/report?format=markdown`,
    "/v1/diagnosis",
    "/v1/rejections",
    "/v1/status",
    "/metrics",
  ]
}

async function assertHidden(program: Program, event: number, integration: string): Promise<void> {
  for (const path of pathsOf(event, integration)) {
    const { status, text } = await program.ask("GET", path)
    assert.equal(status, 200, path)
    for (const canary of canaries) assert.ok(!text.includes(canary), `${path} shows ${canary}: ${text}`)
  }
}

test("receivers get private fields whole and signed at every try, over restarts, and nobody sees them before or after", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open()
  endpoint.answer(request => echo(endpoint.requests.length < 4 ? 500 : 200)(request))
  await setPrivate(program)
  const secret = newSecret()
  const integration = await program.integrate(endpoint.url(), {
    policy,
    secret,
    config: { destination_record: { pointer: "/id" } },
  })
  const stream = await StreamListener.open(program)
  const event = await order(program)
  for (const [tries, delay] of [10_000, 20_000, 40_000].entries()) {
    await program.recorded(tries === 0 ? 1 : 1)
    await assertHidden(program, event, integration)
    assert.deepEqual(await foundIn(program.place, canaries), [])
    assert.equal((await program.rows("select 1 from sealed_payload where sealed is not null")).length, 1)
    if (tries === 0) {
      await stream.until(() => stream.messages.some(({ name }) => name === "attempt"))
      for (const canary of canaries) assert.ok(!stream.raw.includes(canary))
      stream.close()
    }
    await program.restart()
    program.turn(delay)
  }
  await program.recorded(1)
  const requests = await endpoint.received(4)
  for (const request of requests) {
    const at = Number(request.headers["webhook-timestamp"]) * SECOND
    assertWhole(request, secret, at)
    assert.deepEqual(request.body, requests[0]?.body)
  }
  assert.equal((await program.delivery(integration, event)).status, "delivered")
  assert.equal((await program.delivery(integration, event)).record_id, null)
  assert.equal((await program.rows("select 1 from sealed_payload where sealed is not null")).length, 0)
  await assertHidden(program, event, integration)
  const shown = await program.ask("GET", `/v1/events/${formatId("evt", event)}`)
  assert.ok(shown.text.includes(`"payload":${MASKED}`), shown.text)
  assert.equal(shown.body.payload_masked, true)
  const delivery = formatDeliveryId({ event, integration: numberOf("int", integration) })
  const [attempt] = items((await program.call("GET", `/v1/deliveries/${delivery}`)).attempts)
  assert.ok(String(attempt?.request?.body).includes(`"data":${MASKED}`))
  assert.match(
    String(attempt?.response?.body),
    /^\{"id":"\[private\]","message":"The card \[private\] of \[private\] is wrong"/,
  )
  const [signature] = items(attempt?.request?.headers).filter(({ name }) => String(name) === "webhook-signature")
  assert.equal(signature?.value, null)
  await program.stop()
  assert.deepEqual(await foundIn(program.place, canaries), [])
})

test("fields count from the event on that comes after they were named", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open()
  await program.integrate(endpoint.url())
  const before = await order(program)
  await program.recorded(1)
  await setPrivate(program)
  const other = await program.send({ type: "other", data: { customer: { email: EMAIL, names: "public" } } })
  await program.recorded(2)
  const text = async (event: number) => (await program.ask("GET", `/v1/events/${formatId("evt", event)}`)).text
  assert.ok((await text(before)).includes(DATA))
  assert.ok((await text(other)).includes('{"customer":{"email":"[private]","names":"public"}}'))
})

test("what names no field is refused, and says how to write one", async () => {
  await using program = await Program.open()
  const [project] = items((await program.call("GET", "/v1/projects")).data)
  for (const wrong of ["customer.email", "customer", "/a~2", "#/a"]) {
    const refused = await program.ask("PATCH", `/v1/projects/${project?.id}`, { private_fields: [wrong] })
    assert.equal(refused.status, 422, wrong)
    assert.match(refused.text, /must be a JSON pointer into `data`, such as \/customer\/email/)
  }
})

describe("data that is masked", () => {
  test("is not sent again: a retry, a recovery and a test say when it was masked", async () => {
    await using program = await Program.open()
    await using endpoint = await Endpoint.open({ status: 500 })
    await setPrivate(program)
    const integration = await program.integrate(endpoint.url(), { policy: { ...policy, retry_delays_ms: [] } })
    const event = await order(program)
    await program.recorded(1)
    const at = new Date(MORNING).toISOString()
    program.turn(HOUR)
    endpoint.play({ status: 200 })
    const delivery = formatDeliveryId({ event, integration: numberOf("int", integration) })
    const from = new Date(MORNING - HOUR).toISOString()
    const asked = [
      ["/v1/recoveries", { from }],
      [`/v1/deliveries/${delivery}/retry`, undefined],
      [`/v1/integrations/${integration}/test`, { event: formatId("evt", event) }],
    ] as const
    for (const [path, body] of asked) {
      const refused = await program.ask("POST", path, body)
      assert.equal(refused.status, 409, refused.text)
      assert.equal(refused.body.code, "payload_expired")
      assert.equal(refused.body.masked_at, at)
      assert.match(String(refused.body.detail), new RegExp(`private fields of .* were masked at ${at}`))
    }
    assert.equal(endpoint.requests.length, 1)
  })

  test("is whole for all as long as one delivery is open: a retry, a test, and a recovery that asks a filter", async () => {
    await using program = await Program.open()
    await using endpoint = await Endpoint.open({ status: 200 })
    await using slow = await Endpoint.open({ status: 500 }, { status: 200 })
    await setPrivate(program)
    const secret = newSecret()
    const first = await program.integrate(endpoint.url(), { secret })
    await program.integrate(slow.url(), { policy })
    const event = await order(program)
    await program.recorded(2)
    program.turn(SECOND)
    const delivery = formatDeliveryId({ event, integration: numberOf("int", first) })
    await program.call("POST", `/v1/deliveries/${delivery}/retry`)
    await program.recorded(3)
    const tested = await program.call("POST", `/v1/integrations/${first}/test`, { event: formatId("evt", event) })
    assert.equal(tested.status, "delivered")
    const filtered = { secret, filter: { eq: ["data.customer.email", EMAIL] } }
    const late = await program.integrate(endpoint.url("/late"), { ...filtered, name: "late" })
    const ask = { from: new Date(MORNING - HOUR).toISOString(), integrations: [late], statuses: ["missing"] }
    await program.call("POST", "/v1/recoveries", ask)
    const requests = await endpoint.received(4)
    assert.deepEqual(
      requests.map(({ path }) => path),
      ["/hook", "/hook", "/hook", "/late"],
    )
    for (const request of requests) assertWhole(request, secret, program.now)
    await program.until(
      "the last has been recorded",
      async () => (await program.delivery(late, event)).status === "delivered",
    )
    program.turn(10 * SECOND)
    await slow.received(2)
    await program.until("nothing is kept whole", async () => {
      return (await program.rows("select 1 from sealed_payload where sealed is not null")).length === 0
    })
    // The address stands in the filter, where its owner has written it.
    assert.deepEqual(await foundIn(program.place, [CARD, NAME]), [])
  })
})

test("an integration that is chosen by a private field gets the events that the rule names", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open()
  await setPrivate(program)
  await program.integrate(endpoint.url("/hers"), { filter: { eq: ["data.customer.email", EMAIL] } })
  await program.integrate(endpoint.url("/other"), { filter: { eq: ["data.customer.email", "[private]"] } })
  await order(program)
  await program.recorded(1)
  assert.deepEqual(
    (await endpoint.received(1)).map(({ path }) => path),
    ["/hers"],
  )
})

test("an inbox keeps the masked body of what it got, and that its signature was right", async () => {
  await using program = await Program.open()
  await setPrivate(program)
  for (const format of ["waybill", "cloudevents"]) {
    const made = await program.call("POST", "/v1/integrations", {
      name: format,
      connector: "inbox",
      config: { production: {}, format, answer: { status: 500 } },
      policy,
    })
    const inbox = String(made.id)
    await order(program)
    await program.until(
      "a request has come",
      async () => items((await program.call("GET", `/v1/integrations/${inbox}/inbox`)).data).length > 0,
    )
    const { text, body } = await program.ask("GET", `/v1/integrations/${inbox}/inbox`)
    const [request] = items(body.data)
    assert.equal(request?.signature?.verdict, "valid")
    assert.equal(request?.body_truncated, false)
    assert.ok(String(request?.body).includes(`"data":${MASKED}`), text)
    for (const canary of canaries) assert.ok(!text.includes(canary))
    // Whoever sends there what they guess learns nothing from what is kept of it.
    const url = new URL(String(body.url))
    const guess = await fetch(program.url + url.pathname, {
      method: "POST",
      headers: { "webhook-id": String(request?.event) },
      body: `is it ${EMAIL} or other@shop.example?`,
    })
    assert.equal(guess.status, 500)
    const [kept] = items((await program.call("GET", `/v1/integrations/${inbox}/inbox`)).data)
    assert.equal(kept?.body, "[private]")
    await program.call("DELETE", `/v1/integrations/${inbox}`)
  }
  assert.deepEqual(await foundIn(program.place, canaries), [])
})

test("a refused body is kept masked where it can be read, and not at all where it cannot", async () => {
  await using program = await Program.open()
  await setPrivate(program)
  const refused = [
    `{"type":"waybill.x","data":${DATA}}`,
    `{"type":"order_paid","data":${DATA}`,
    `{"type":"order_paid","dat":${DATA}}`,
    `{"events":[{"type":"order_paid","data":${DATA}}],"more":"${EMAIL}"}`,
  ]
  for (const body of refused) assert.ok((await program.ask("POST", "/v1/events", body)).status >= 400)
  await program.until("they are remembered", async () => (await program.rows("select 1 from rejection")).length === 4)
  const { text, body } = await program.ask("GET", "/v1/rejections")
  for (const canary of canaries) assert.ok(!text.includes(canary), text)
  const bodies = new Set(items(body.data).map(rejection => String(rejection.body)))
  assert.ok(bodies.has(`{"type":"waybill.x","data":${MASKED}}`), text)
  assert.ok(bodies.has(""))
  assert.deepEqual(await foundIn(program.place, canaries), [])
})
