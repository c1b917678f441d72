/** Operational events: who gets them and who does not, what they say, and that they never cause more of themselves. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Ajv2020 } from "ajv/dist/2020.js"
import formats from "ajv-formats"
import { Webhook } from "standardwebhooks"
import { formatId } from "../../src/domain/id.ts"
import { type OperationalType, operationalTypeNames, operationalTypes } from "../../src/domain/operational-types.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { type Json, Program } from "../help/program.ts"
import { eventsOf, goBy, quiet, told, unprotected } from "../help/told.ts"

const HOUR = 3_600_000

const asksForAll = { events: { default: "off", types: { "waybill.*": { enabled: true } } } }
const asksFor = (...types: string[]) => ({
  events: { default: "off", types: Object.fromEntries(types.map(type => [type, { enabled: true }])) },
})
const quick = { ...unprotected, long_failure: { warn_after_ms: 3 * HOUR, disable_after_ms: 6 * HOUR } }

const ajv = new Ajv2020({ strict: false, allErrors: true })
formats.default(ajv)

/** What is wrong with the data of an operational event by the schema of its type; null where nothing is. */
function faultOf(type: string, data: unknown): string | null {
  const { schema } = operationalTypes[type as OperationalType]
  const isExact = ajv.compile({ ...schema, additionalProperties: false })
  return isExact(data) ? null : `${type}: ${ajv.errorsText(isExact.errors)}`
}

/** Types of the events that came to an endpoint, in their order. */
function typesAt(there: Endpoint): string[] {
  return there.requests.map(({ body }) => String((JSON.parse(body.toString()) as { type?: string }).type))
}

/** Waits until nothing waits or is under way, for those that never get through until they have been tried. */
function tried(program: Program): Promise<void> {
  return quiet(program)
}

describe("the catalogue", () => {
  test("shows every operational event as reserved, with a schema that its example meets", async () => {
    await using program = await Program.open()
    await program.call("PUT", "/v1/event-types/order.paid", {})
    const types = items((await program.call("GET", "/v1/event-types")).data)
    assert.deepEqual(
      types.filter(({ reserved }) => Boolean(reserved)).map(({ name }) => name),
      operationalTypeNames,
    )
    assert.deepEqual(
      types.filter(({ reserved }) => !reserved).map(({ name }) => name),
      ["order.paid"],
    )
    for (const type of operationalTypeNames) {
      const shown = await program.call("GET", `/v1/event-types/${type}`)
      assert.deepEqual([shown.reserved, shown.created_at], [true, null])
      for (const example of items(shown.examples)) assert.equal(faultOf(type, example), null)
    }
    for (const method of ["PUT", "DELETE"]) {
      const { status } = await program.ask(
        method,
        "/v1/event-types/waybill.delivery.failed",
        method === "PUT" ? {} : undefined,
      )
      assert.equal(status, 422)
    }
  })
})

describe("an operational event", () => {
  test("goes, signed, to whoever asks for it by name or prefix, and to nobody else", async () => {
    await using program = await Program.open()
    await using broken = await Endpoint.open({ status: 503 })
    await using alerts = await Endpoint.open()
    const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`
    await program.integrate(alerts.url("/prefix"), { ...asksForAll, name: "alerts", secret })
    await program.integrate(alerts.url("/name"), { ...asksFor("waybill.integration.failing"), secret })
    await program.integrate(alerts.url("/other"), { ...asksFor("waybill.integration.recovered"), secret })
    await program.integrate(alerts.url("/default"), { events: { default: "on" }, secret })
    await program.integrate(alerts.url("/star"), { ...asksFor("*"), secret })
    await program.integrate(broken.url(), { name: "CRM", events: { types: { "order.*": {} } }, policy: quick })
    await goBy(program, 4 * HOUR, HOUR)
    const operational = alerts.requests.filter(({ body }) => body.includes('"waybill.'))
    assert.deepEqual(operational.map(({ path }) => path).sort(), ["/name", "/prefix"])
    for (const { headers, body } of operational) {
      const seconds = Number(headers["webhook-timestamp"])
      const signature = new Webhook(secret).sign(
        headers["webhook-id"] ?? "",
        new Date(seconds * 1_000),
        body.toString(),
      )
      assert.equal(headers["webhook-signature"], signature)
      const { type, data } = JSON.parse(body.toString()) as { type: string; data: unknown }
      assert.equal(faultOf(type, data), null)
    }
    const [event] = await eventsOf(program, "waybill.integration.failing")
    assert.deepEqual(
      [event?.source, event?.environment, event?.app, event?.status],
      ["waybill", "production", null, "delivered"],
    )
  })

  test("meets its schema, whichever it is", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 503 })
    await using silent = await Endpoint.open({ status: 200, body: "OK" })
    await using alerts = await Endpoint.open()
    await program.integrate(alerts.url(), asksForAll)
    const id = await program.integrate(there.url(), { name: "CRM", policy: { ...quick, retry_delays_ms: [HOUR] } })
    await goBy(program, 4 * HOUR, HOUR)
    there.play({})
    await goBy(program, HOUR, HOUR)
    there.play({ status: 503 })
    await goBy(program, 8 * HOUR, HOUR)
    await program.call("POST", `/v1/integrations/${id}/enable`)
    await program.call("POST", `/v1/integrations/${id}/disable`)
    const unverified = await program.call("POST", "/v1/integrations", {
      name: "Silent",
      config: { production: { url: silent.url() }, verification: "json" },
    })
    silent.play({})
    await program.call("POST", `/v1/integrations/${unverified.id}/verify`)
    await tried(program)
    const found = await eventsOf(program)
    const types = new Set(found.map(({ type }) => String(type)))
    assert.deepEqual(
      operationalTypeNames.filter(type => !types.has(type)),
      ["waybill.integration.sleeping"],
      "that one has tests of its own",
    )
    for (const event of found) {
      const { payload } = await program.call("GET", `/v1/events/${event.id}`)
      assert.equal(faultOf(String(event.type), payload), null)
    }
    assert.deepEqual(
      (await told(program, "waybill.integration.disabled")).map(({ cause }) => cause),
      ["long_failure", "person"],
    )
    assert.deepEqual(typesAt(alerts).sort(), found.map(({ type }) => String(type)).sort(), "all of them were delivered")
  })

  test("of a failed delivery is stored where somebody asks for it only, with the event's app and environment", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 400, body: "no such order" })
    await using alerts = await Endpoint.open()
    const policy = { stop: "400", ...unprotected }
    await program.integrate(there.url(), { name: "CRM", policy, config: { sandbox: { url: there.url() } } })
    await program.send({ type: "order.paid", data: {} })
    await quiet(program)
    assert.deepEqual(await told(program), [])

    await program.call("POST", "/v1/apps", { name: "ios" })
    const config = { sandbox: { url: alerts.url("/sandbox") } }
    await program.integrate(alerts.url("/production"), { ...asksFor("waybill.delivery.failed"), config, apps: ["ios"] })
    const sent = await program.send({ type: "order.paid", id: "o-1", app: "ios", environment: "sandbox", data: {} })
    await program.send({ type: "order.paid", app: "android", data: {} })
    await program.send({ type: "order.paid", data: {} })
    await alerts.received(1)
    await quiet(program)
    const [failed, ...more] = await told(program)
    assert.equal(more.length, 0, "those of other apps concern nobody")
    assert.deepEqual(failed?.event, {
      id: formatId("evt", sent),
      type: "order.paid",
      external_id: "o-1",
      source_record: null,
    })
    assert.deepEqual([failed?.reason, failed?.status, failed?.attempts], ["rejected", 400, 1])
    assert.deepEqual(
      alerts.requests.map(({ path }) => path),
      ["/sandbox"],
    )
  })

  test("tells of a person's switching off once, however often it is asked for", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const id = await program.integrate(there.url())
    for (let time = 0; time < 3; time++) await program.call("POST", `/v1/integrations/${id}/disable`)
    const [key] = items((await program.call("GET", "/v1/api-keys")).data)
    assert.deepEqual(
      (await told(program)).map(({ cause, by }) => [cause, by]),
      [["person", key?.id]],
    )
  })
})

test("an endpoint that is left alone is told of once for each opening, and when it is back", async () => {
  await using program = await Program.open()
  await using there = await Endpoint.open({ status: 503 })
  const id = await program.integrate(there.url(), { name: "CRM", policy: { protection: { min_attempts: 3 } } })
  const openings: number[] = []
  for (let time = 0; time < 2; time++) {
    there.play({ status: 503 })
    await Promise.all(Array.from({ length: 20 }, () => program.send({ type: "order.paid", data: {} })))
    await program.until("some are held", async () =>
      (await program.deliveries(id)).some(({ status }) => status === "skipped"),
    )
    openings.push((await told(program, "waybill.integration.sleeping")).length)
    there.play({})
    const isBack = async () => (await told(program, "waybill.integration.recovered")).length > time
    while (!(await isBack())) {
      const before = (await program.attempts(id)).length
      program.turn(15_000)
      // While some wait one of them is let through, else this one is.
      await program.send({ type: "order.paid", data: {} })
      await program.until("something got through", async () => (await program.attempts(id)).length > before)
    }
    program.turn(5 * 60_000)
    await program.until("all got through", async () =>
      (await program.deliveries(id)).every(({ status }) => status === "delivered"),
    )
    program.turn(HOUR)
  }
  assert.deepEqual(openings, [1, 2])
  const sleeping = await told(program, "waybill.integration.sleeping")
  for (const data of sleeping) {
    assert.equal(faultOf("waybill.integration.sleeping", data), null)
    assert.equal(data.message, "Sleeping, too many errors, please wait and try again")
    assert.equal(data.origin, new URL(there.url()).origin)
  }
  const back = await told(program, "waybill.integration.recovered")
  assert.deepEqual(
    back.map(({ after, origin }) => [after, origin]),
    [0, 1].map(() => ["sleeping", new URL(there.url()).origin]),
  )
})

test("an endpoint that begins to rest is told of by the attempt that brought it to that, also where it asks to be left alone", async () => {
  await using program = await Program.open()
  await using there = await Endpoint.open()
  there.answer(() => ({ status: 503, headers: { "retry-after": "60" } }))
  await program.integrate(there.url(), { policy: { protection: { min_attempts: 1 } } })
  await program.send({ type: "order.paid", data: {} })
  await program.recorded(1)
  assert.equal((await told(program, "waybill.integration.sleeping")).length, 1)
})

describe("what becomes of an operational event", () => {
  for (const [how, reply, policy] of [
    ["is refused", { status: 400 }, { stop: "400" }],
    ["is never answered well", { status: 503 }, { retry_delays_ms: [] }],
    ["is answered with 410", { status: 410 }, {}],
  ] as const) {
    test(`causes no other where it ${how}`, async () => {
      await using program = await Program.open()
      await using alerts = await Endpoint.open(reply)
      await using broken = await Endpoint.open({ status: 400 })
      const id = await program.integrate(alerts.url(), { ...asksForAll, policy: { ...quick, ...policy } })
      await program.integrate(broken.url(), {
        events: { types: { "order.*": {} } },
        policy: { ...unprotected, stop: "400" },
      })
      for (let hour = 0; hour < 10; hour++) {
        await program.send({ type: "order.paid", data: {} })
        await quiet(program)
        program.turn(HOUR)
      }
      const found = (await eventsOf(program)).filter(
        ({ type }) => type !== ("waybill.delivery.failed" as unknown as Json),
      )
      const about = await Promise.all(found.map(event => program.call("GET", `/v1/events/${event.id}`)))
      assert.deepEqual(
        about.filter(({ payload }) => String(payload?.integration?.id) === id),
        [],
        "of the integration that gets alerts nothing is told",
      )
      const failed = await told(program, "waybill.delivery.failed")
      assert.deepEqual([...new Set(failed.map(({ event }) => event?.type))], ["order.paid"])
      // It has its consequences all the same.
      assert.equal((await program.call("GET", `/v1/integrations/${id}`)).enabled, false)
    })
  }
})
