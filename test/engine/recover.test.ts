/** What a recovery sends again, and how: all that was asked for, once, as it was or as it is configured today. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { formatDeliveryId, formatId } from "../../src/domain/id.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { MORNING, numberOf, Program } from "../help/program.ts"
import {
  assertCounts,
  ended,
  FROM,
  failAll,
  numbers,
  once,
  queued,
  recover,
  show,
  stateOf,
} from "../help/recovering.ts"

const DAY_MS = 86_400_000

test("what failed is sent again, oldest first, with the id it had, and is marked as recovered", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const integration = await program.integrate(endpoint.url(), { policy: { ...once.policy, max_concurrent: 1 } })
  const sent = await failAll(program, 5)
  endpoint.play({ status: 200 })
  const id = await recover(program, { integrations: integration })
  const done = await ended(program, id)
  assert.deepEqual(numbers(done), { found: 5, queued: 5, delivered: 5 })
  assert.equal(done.progress?.share_done, 1)
  const again = (await endpoint.received(10)).slice(5)
  assert.deepEqual(
    again.map(request => request.headers["webhook-id"]),
    sent.map(event => formatId("evt", event)),
  )
  const found = await program.call("GET", `/v1/deliveries?recovery=${id}&status=delivered`)
  assert.equal(items(found.data).length, 5)
  assert.equal(items((await program.call("GET", "/v1/deliveries?recovery=rec_00000000000")).data).length, 0)
  const delivery = formatDeliveryId({ event: sent[0] ?? 0, integration: numberOf("int", integration) })
  const shown = await program.call("GET", `/v1/deliveries/${delivery}`)
  assert.equal(shown.recovery, id)
  assert.deepEqual(
    items(shown.attempts).map(attempt => [attempt.number, attempt.recovery]),
    [
      [2, id],
      [1, null],
    ],
  )
  await assertCounts(program)
})

test("only what is asked for is sent: by integration, type, reason and time", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const one = await program.integrate(endpoint.url(), once)
  await failAll(program, 1, "order_paid")
  program.turn(60_000)
  const later = new Date(program.now).toISOString()
  const [wanted] = await failAll(program, 1, "order_paid")
  await failAll(program, 1, "user_left")
  endpoint.play({ status: 400 })
  await failAll(program, 1, "order_paid")
  endpoint.play({ status: 200 })
  program.turn(1_000)
  const body = {
    integrations: [one],
    from: later,
    event_types: ["order_*"],
    statuses: ["failed"],
    reasons: ["rejected"],
  }
  const until = { ...body, to: new Date(program.now).toISOString() }
  const plan = await program.call("POST", "/v1/recoveries", { ...until, dry_run: true })
  assert.deepEqual([plan.count, plan.found, plan.counted_to], [2, 2, null])
  const none = await program.call("POST", "/v1/recoveries", { ...until, reasons: ["server_error"], dry_run: true })
  assert.equal(none.count, 0)
  const done = await ended(program, await recover(program, until))
  assert.deepEqual(numbers(done), { found: 2, queued: 2, delivered: 2 })
  const delivered = await program.rows<{ event_id: number }>("select event_id from delivery where status = 'delivered'")
  assert.equal(delivered[0]?.event_id, wanted)
})

test("what was withheld goes once its cause is mended, and until then says why it does not", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 500 })
  const config = { verification: "json" }
  const integration = await program.integrate(endpoint.url(), { config })
  const before = endpoint.requests.length
  const event = await program.send({ type: "a", data: {} })
  await program.send({ type: "b", data: {} })
  const plan = await program.call("POST", "/v1/recoveries", { from: FROM, dry_run: true })
  assert.deepEqual([plan.count, plan.withheld], [0, 2])
  assert.deepEqual(
    items(plan.sample).map(({ status, outcome, why }) => [status, outcome, why?.code]),
    [
      ["withheld", "withheld", "not_verified"],
      ["withheld", "withheld", "not_verified"],
    ],
  )
  const first = await recover(program, {})
  await program.until("the first is done", async () => (await stateOf(program, first)) === "done")
  const kept = await show(program, first)
  assert.deepEqual(numbers(kept), { found: 2, withheld: 2 })
  assert.deepEqual(
    items(kept.progress?.reasons).map(({ outcome, code, count }) => [outcome, code, count]),
    [["withheld", "not_verified", 2]],
  )
  assert.equal((await program.call("GET", `/v1/events/${formatId("evt", event)}`)).status, "failed")
  endpoint.play({ status: 200, body: "{}" })
  await program.call("POST", `/v1/integrations/${integration}/verify`)
  const second = await recover(program, {})
  await program.until("the second is done", async () => (await stateOf(program, second)) === "done")
  assert.deepEqual(numbers(await show(program, second)), { found: 2, queued: 2, delivered: 2 })
  const shown = await program.call("GET", `/v1/events/${formatId("evt", event)}`)
  assert.deepEqual([shown.status, shown.withheld, items(shown.deliveries).length], ["delivered", [], 1])
  // Two verifications, two events.
  assert.equal(endpoint.requests.length - before, 3)
  await assertCounts(program)
})

test("a new integration is filled from history, by its own rules; imported history only where it is asked for", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({})
  const events = []
  for (const [i, type] of ["a", "b", "a"].entries()) events.push(await program.send({ type, data: { i } }))
  await program.send({ type: "a", data: { i: 3 }, historical: true })
  const integration = await program.integrate(endpoint.url(), { filter: { lt: ["data.i", 2] } })
  const body = { integrations: integration, statuses: ["missing"] }
  const plan = await program.call("POST", "/v1/recoveries", { ...body, from: FROM, dry_run: true })
  assert.deepEqual([plan.count, plan.found, plan.withheld], [2, 4, 2])
  const done = await ended(program, await recover(program, body))
  assert.deepEqual(numbers(done), { found: 4, queued: 2, delivered: 2, withheld: 2 })
  assert.deepEqual(
    items(done.progress?.reasons)
      .map(({ code, count }) => [code, count])
      .sort(),
    [
      ["filtered", 1],
      ["historical", 1],
    ],
  )
  await program.call("PATCH", `/v1/integrations/${integration}`, { filter: null })
  const all = await recover(program, { ...body, include_historical: true })
  await program.until("all are there", async () => (await stateOf(program, all)) === "done")
  assert.deepEqual(numbers(await show(program, all)), { found: 2, queued: 2, delivered: 2 })
  const ids = endpoint.requests.map(request => request.headers["webhook-id"])
  assert.equal(new Set(ids).size, 4)
  assert.equal(ids.length, 4)
  await assertCounts(program)
})

test("what was delivered is sent once more where that is asked for, once and not again and again", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({})
  const integration = await program.integrate(endpoint.url())
  for (let i = 0; i < 3; i++) await program.send({ type: "a", data: { i } })
  await program.recorded(3)
  const done = await ended(program, await recover(program, { integrations: integration, statuses: ["delivered"] }))
  assert.deepEqual(numbers(done), { found: 3, queued: 3, delivered: 3 })
  assert.equal(endpoint.requests.length, 6)
  await assertCounts(program)
})

test("what fails again is counted with its reason, and retried as its policy says", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const integration = await program.integrate(endpoint.url(), once)
  await failAll(program, 2)
  endpoint.play({ status: 404 }, { status: 500 }, { status: 200 })
  const id = await recover(program, { integrations: integration })
  const done = await ended(program, id)
  assert.deepEqual(numbers(done), { found: 2, queued: 2, failed: 1, retrying: 1 })
  assert.deepEqual(
    items(done.progress?.reasons).map(({ outcome, code, count }) => [outcome, code, count]),
    [["failed", "rejected", 1]],
  )
  program.turn(70_000)
  await program.recorded(5)
  assert.deepEqual(numbers(await show(program, id)), { found: 2, queued: 2, failed: 1, delivered: 1 })
  await assertCounts(program)
})

test("events whose payload has expired are counted and never sent; where there are no others it says since when", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const integration = await program.integrate(endpoint.url(), once)
  await failAll(program, 2)
  program.turn(7 * DAY_MS)
  const refused = await program.ask("POST", "/v1/recoveries", { from: FROM, integrations: integration })
  assert.deepEqual([refused.status, refused.body.code], [409, "payload_expired"])
  assert.equal(refused.body.payload_expired_at, new Date(MORNING + 7 * DAY_MS).toISOString())
  assert.match(String(refused.body.detail), new RegExp(new Date(MORNING + 7 * DAY_MS).toISOString()))
  await failAll(program, 1)
  endpoint.play({})
  const done = await ended(program, await recover(program, { integrations: integration }))
  assert.deepEqual(numbers(done), { found: 3, queued: 1, delivered: 1, expired: 2 })
  assert.equal(endpoint.requests.length, 4)
})

test("the original configuration sends the bytes of then, today's those of now", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const integration = await program.integrate(endpoint.url(), {
    ...once,
    events: { default: "on", types: { a: { name: "OldName" } } },
  })
  await failAll(program, 1)
  await program.call("PATCH", `/v1/integrations/${integration}`, { events: { types: { a: { name: "NewName" } } } })
  for (const [configuration, name] of [
    ["original", "OldName"],
    ["current", "NewName"],
  ] as const) {
    const before = endpoint.requests.length
    const id = await recover(program, { integrations: integration, configuration })
    await program.until("it is done", async () => (await stateOf(program, id)) === "done")
    assert.match(String((await endpoint.request(before + 1)).body), new RegExp(name))
  }
})

test("in the order of its key, what is recovered goes before what came later", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const integration = await program.integrate(endpoint.url(), {
    policy: { ...once.policy, ordered: true, ordered_on_failure: "skip" },
  })
  const sent: number[] = []
  for (let i = 0; i < 4; i++) sent.push(await program.send({ type: "a", data: { i }, ordering_key: "k" }))
  await program.until("all have failed", async () => (await program.deliveries()).every(d => d.status === "failed"))
  const answer = Promise.withResolvers<void>()
  endpoint.play({ after: answer.promise }, {})
  const live = await program.send({ type: "a", data: { i: 4 }, ordering_key: "k" })
  await endpoint.received(5)
  const id = await recover(program, { integrations: integration, statuses: ["failed"] })
  await program.until("all are queued", async () => (await queued(program)) === 4)
  const last = await program.send({ type: "a", data: { i: 5 }, ordering_key: "k" })
  answer.resolve()
  await endpoint.received(10)
  assert.deepEqual(
    endpoint.requests.slice(4).map(request => request.headers["webhook-id"]),
    [live, ...sent, last].map(event => formatId("evt", event)),
  )
  await ended(program, id)
  assert.equal(endpoint.mostAtOnce, 1)
})

test("nothing is made of a test event", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const integration = await program.integrate(endpoint.url(), once)
  await program.call("POST", `/v1/integrations/${integration}/test`, {})
  const body = { from: FROM, integrations: integration, statuses: ["failed", "missing", "delivered"], dry_run: true }
  assert.equal((await program.call("POST", "/v1/recoveries", body)).found, 0)
})
