/** What is decided about an event when it comes in, and stored with it: who gets it, who does not, and why. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { numberOf, Program } from "../help/program.ts"

interface EventRow {
  readonly id: number
  readonly status: string
  readonly targets: string
  readonly withheld: string
  readonly n_red: number
  readonly historical: number
}

async function event(program: Program, id: number): Promise<EventRow> {
  const [row] = await program.rows<EventRow>(
    "select id, status, targets, withheld, n_red, historical from event where id = ?",
    id,
  )
  if (row === undefined) throw new Error(`There is no event ${id}.`)
  return row
}

describe("an event that comes in", () => {
  test("is stored with everybody who gets it and everybody who does not, by reason", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    await using broken = await Endpoint.open({ status: 500 })
    await using gone = await Endpoint.open({ status: 410 })
    const make = (more: Readonly<Record<string, unknown>> = {}) => program.integrate(there.url(), more)
    const off = await make({ events: { types: { renewed: { enabled: false } } } })
    const blank = await make({ events: { types: { "re*": { name: "" } } } })
    const filtered = await make({ filter: { gt: ["data.amount", 10] } })
    const passing = await make({ filter: { gte: ["data.amount", 10] }, apps: ["ios"] })
    const made = await program.call("POST", "/v1/integrations", {
      name: "sandbox",
      config: { sandbox: { url: there.url() }, verification: "none" },
    })
    const sandbox = String(made.id)
    await make({ apps: ["android"] })
    const byPerson = await make()
    await program.call("POST", `/v1/integrations/${byPerson}/disable`)
    const unverified = await program.integrate(broken.url(), { config: { verification: "status" } })
    const byWaybill = await program.integrate(gone.url(), { events: { types: { first: { name: "First" } } } })
    await program.send({ type: "first" })
    await program.until(
      "it is off",
      async () => (await program.rows("select 1 from integration where disabled_by = 'waybill'")).length > 0,
    )
    while ((await program.call("GET", `/v1/integrations/${byWaybill}`)).enabled);

    const id = await program.send({ type: "renewed", app: "ios", data: { amount: 10.0 } })
    const stored = await event(program, id)
    assert.deepEqual(JSON.parse(stored.targets), [numberOf("int", passing)])
    const numbers = (...ids: string[]) => ids.map(each => numberOf("int", each))
    assert.deepEqual(JSON.parse(stored.withheld), {
      type_disabled: numbers(off, blank),
      filtered: numbers(filtered, sandbox),
      not_verified: numbers(unverified),
      integration_disabled: numbers(byWaybill),
    })
    assert.equal(stored.n_red, 2)
    await program.tallied()
    const tallies = await program.rows<{ integration_id: number; outcome: string; reason: string }>(
      "select integration_id, outcome, reason from delivery_tally where type = 'renewed' and outcome in ('routed', 'withheld')",
    )
    assert.equal(tallies.filter(({ outcome }) => outcome === "withheld").length, 6)
    assert.deepEqual(
      tallies.filter(({ outcome }) => outcome === "routed").map(row => row.integration_id),
      numbers(passing),
    )
  })

  test("goes out under the name that its integration has for it, an exact type before the longest prefix", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const types = { trial_started: { name: "TrialBegan" }, "trial_*": { name: "Trial" }, "*": { enabled: false } }
    await program.integrate(there.url(), { policy: { max_concurrent: 1 }, events: { default: "on", types } })
    for (const type of ["trial_started", "trial_ended", "other"]) await program.send({ type })
    await program.recorded(2)
    const names = there.requests.map(({ body }) => (JSON.parse(body.toString()) as { type: string }).type)
    assert.deepEqual(names, ["TrialBegan", "Trial"])
  })

  test("goes by numbers as they were written, however long", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const filter = '{"eq":["data.n",12345678901234567890]}'
    const body = `{"name":"x","config":{"production":{"url":"${there.url()}"},"verification":"none"},"filter":${filter}}`
    const made = await program.ask("POST", "/v1/integrations", body)
    assert.equal(made.status, 201)
    await program.send('{"type":"a","data":{"n":12345678901234567891}}')
    await program.send('{"type":"a","data":{"n":12345678901234567890}}')
    await program.send('{"type":"a","data":{"n":1.2345678901234567890e19}}')
    await program.recorded(2)
    const targets = await program.rows<{ targets: string }>("select targets from event order by id")
    assert.deepEqual(
      targets.map(row => (JSON.parse(row.targets) as number[]).length),
      [0, 1, 1],
    )
  })

  test("is stored and delivered nowhere where it is imported history", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const integration = await program.integrate(there.url())
    const id = await program.send({ type: "a", historical: true, data: { n: 1 } })
    const stored = await event(program, id)
    assert.deepEqual([stored.historical, stored.status, stored.targets], [1, "received", "[]"])
    assert.deepEqual(JSON.parse(stored.withheld), { historical: [numberOf("int", integration)] })
    assert.deepEqual(await program.deliveries(), [])
    assert.equal((await program.call("GET", "/v1/events")).data?.[0]?.historical, true)
  })

  test("is decided about once: what is changed afterwards changes nothing about it", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const integration = await program.integrate(there.url())
    const id = await program.send({ type: "a" })
    await program.recorded(1)
    await program.call("PATCH", `/v1/integrations/${integration}`, {
      events: { default: "off" },
      filter: { exists: ["data.x"] },
    })
    const later = await program.integrate(there.url("/later"))
    program.turn(3_600_000)
    await program.recorded(2)
    assert.equal((await program.delivery(integration, id)).status, "delivered")
    assert.deepEqual(JSON.parse((await event(program, id)).targets), [numberOf("int", integration)])
    assert.deepEqual(await program.deliveries(later), [])
  })
})

test("the row of an event and of its deliveries is in the file by the time that it is answered", async () => {
  await using program = await Program.open()
  const held = Promise.withResolvers<void>()
  await using there = await Endpoint.open({ after: held.promise })
  await program.integrate(there.url(), { policy: { max_concurrent: 2 } })
  for (let i = 0; i < 20; i++) {
    const id = await program.send({ type: "a" })
    assert.equal((await event(program, id)).status, "processing")
    assert.equal((await program.rows("select 1 from delivery where event_id = ?", id)).length, 1)
  }
  held.resolve()
  await program.recorded(20)
})
