import assert from "node:assert/strict"
import { test } from "node:test"
import { type EventCounts, type EventStatus, eventStatus } from "../../src/domain/event.ts"
import { formatDeliveryId, formatId } from "../../src/domain/id.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { type Json, MORNING, numberOf, Program } from "../help/program.ts"

const DAY_MS = 86_400_000
const FROM = new Date(MORNING - DAY_MS).toISOString()

/** A policy under which the first failure is the last, and protection stays out of the way. */
const once = { policy: { preset: "subscription", protection: { enabled: false } } }

/** Asks for a recovery; gives its id. */
async function recover(program: Program, body: object): Promise<string> {
  return String((await program.call("POST", "/v1/recoveries", { from: FROM, ...body })).id)
}

const show = (program: Program, id: string): Promise<Json> => program.call("GET", `/v1/recoveries/${id}`)

/** Resolves with a recovery when it is done, or in another state. */
async function ended(program: Program, id: string, state = "done"): Promise<Json> {
  await program.until(`${id} is ${state}`, async () => {
    const [row] = await program.rows<{ state: string; ended_at: number | null }>("select state, ended_at from recovery")
    return row?.state === state && (state === "paused" || row.ended_at !== null)
  })
  return show(program, id)
}

/** Numbers of a recovery's progress that are not 0. */
function numbers({ progress }: Json): Record<string, unknown> {
  const names = "found queued waiting sending retrying delivered failed withheld expired other_apps changed".split(" ")
  return Object.fromEntries(names.flatMap(name => (Number(progress?.[name]) === 0 ? [] : [[name, progress?.[name]]])))
}

/** Every event's counts and status are those of its deliveries and withholdings. */
async function assertCounts(program: Program): Promise<void> {
  const events = await program.rows<EventRow>("select * from event order by id")
  for (const event of events) {
    const rows = await program.rows<{ status: string; reason: string; integration_id: number }>(
      "select status, reason, integration_id from delivery where event_id = ?",
      event.id,
    )
    const count = (...statuses: string[]) => rows.filter(row => statuses.includes(row.status)).length
    const withheld = JSON.parse(event.withheld) as Record<string, number[]>
    const counts: EventCounts = {
      open: count("pending", "sending"),
      retrying: count("retrying", "skipped"),
      failed: count("failed"),
      delivered: count("delivered"),
      red: Object.entries(withheld)
        .filter(([code]) => ["not_verified", "integration_disabled", "missing_data"].includes(code))
        .reduce((sum, [, ids]) => sum + ids.length, rows.filter(row => row.reason === "missing_data").length),
    }
    const { n_open, n_retrying, n_failed, n_delivered, n_red } = event
    const kept = { open: n_open, retrying: n_retrying, failed: n_failed, delivered: n_delivered, red: n_red }
    assert.deepEqual(kept, counts, `counts of ${event.id}`)
    assert.equal(event.status, eventStatus(counts))
    const targets = (JSON.parse(event.targets) as number[]).sort()
    assert.deepEqual(targets, rows.map(row => row.integration_id).sort(), `targets of ${event.id}`)
    for (const ids of Object.values(withheld)) for (const id of ids) assert.ok(!targets.includes(id))
  }
}

interface EventRow {
  readonly id: number
  readonly status: EventStatus
  readonly targets: string
  readonly withheld: string
  readonly n_open: number
  readonly n_retrying: number
  readonly n_failed: number
  readonly n_delivered: number
  readonly n_red: number
}

/** Sends events and waits until each has failed for good. */
async function failAll(program: Program, count: number, type = "a"): Promise<number[]> {
  const before =
    (await program.rows<{ n: number }>("select count(*) as n from delivery where status = 'failed'"))[0]?.n ?? 0
  const sent: number[] = []
  for (let i = 0; i < count; i++) sent.push(await program.send({ type, data: { i } }))
  await program.until("all have failed", async () => {
    const [row] = await program.rows<{ n: number }>("select count(*) as n from delivery where status = 'failed'")
    return row?.n === before + count
  })
  return sent
}

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

test("a pause makes what waits what it was, a resume goes on where it stopped, and nothing is sent twice", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const integration = await program.integrate(endpoint.url(), { policy: { ...once.policy, max_concurrent: 4 } })
  await failAll(program, 40)
  const answer = Promise.withResolvers<void>()
  endpoint.play({ after: answer.promise })
  const id = await recover(program, { integrations: integration })
  await endpoint.received(41)
  await program.until("all are queued", async () => (await queued(program)) === 40)
  await program.call("POST", `/v1/recoveries/${id}/pause`)
  await program.until("nothing waits", async () => (await waiting(program)) === 0)
  const paused = await show(program, id)
  assert.equal(paused.state, "paused")
  assert.equal(Number(paused.progress?.queued), Number(paused.progress?.sending))
  await assertCounts(program)
  const failed = await program.rows<{ reason: string; facts: string; recovery_id: number | null }>(
    "select reason, facts, recovery_id from delivery where status = 'failed'",
  )
  assert.ok(failed.length >= 36)
  for (const row of failed)
    assert.deepEqual([row.reason, JSON.parse(row.facts).status, row.recovery_id], ["rejected", 404, null])
  answer.resolve()
  endpoint.play({})
  await program.call("POST", `/v1/recoveries/${id}/resume`)
  const done = await ended(program, id)
  assert.deepEqual(numbers(done), { found: 40, queued: 40, delivered: 40 })
  assert.equal(endpoint.requests.length, 80)
  await assertCounts(program)
})

test("a cancel makes what waits what it was, withheld events too, and what was sent stays sent", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 500 })
  const integration = await program.integrate(endpoint.url(), {
    config: { verification: "json" },
    policy: { max_concurrent: 1 },
  })
  for (let i = 0; i < 10; i++) await program.send({ type: "a", data: { i } })
  endpoint.play({ body: "{}" })
  await program.call("POST", `/v1/integrations/${integration}/verify`)
  const answer = Promise.withResolvers<void>()
  endpoint.play({ after: answer.promise })
  const before = endpoint.requests.length
  const id = await recover(program, { integrations: integration })
  await endpoint.received(before + 1)
  await program.until("all are queued", async () => (await queued(program)) === 10)
  const canceled = await program.call("POST", `/v1/recoveries/${id}/cancel`)
  assert.equal(canceled.state, "canceled")
  await program.until("nothing waits", async () => (await waiting(program)) === 0)
  answer.resolve()
  const shown = await ended(program, id, "canceled")
  assert.deepEqual(numbers(shown), { found: 10, queued: 1, delivered: 1 })
  const withheld = (await program.rows<{ withheld: string }>("select withheld from event where type = 'a'")).filter(
    row => row.withheld !== "{}",
  )
  assert.equal(withheld.length, 9)
  assert.equal(endpoint.requests.length, before + 1)
  await assertCounts(program)
  const refused = await program.ask("POST", `/v1/recoveries/${id}/resume`)
  assert.equal(refused.status, 409)
  assert.match(String(refused.body.detail), /was canceled/)
})

test("what protection holds back is given back by a cancel, too", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 500 })
  const protection = { min_attempts: 5, rest_ms: 60_000 }
  const integration = await program.integrate(endpoint.url(), {
    config: { verification: "json" },
    policy: { max_concurrent: 1, protection },
  })
  for (let i = 0; i < 20; i++) await program.send({ type: "a", data: { i } })
  endpoint.play({ body: "{}" })
  await program.call("POST", `/v1/integrations/${integration}/verify`)
  endpoint.play({ status: 500 })
  const id = await recover(program, { integrations: integration, event_types: ["a"] })
  await program.until("the endpoint rests and the others are held", async () => {
    const rows = await program.deliveries(integration)
    const [lane] = await program.rows<{ protection: string | null }>("select protection from lane")
    return rows.length === 20 && /open/.test(lane?.protection ?? "") && rows.every(row => row.status !== "sending")
  })
  const before = await show(program, id)
  assert.ok(Number(before.progress?.waiting) > 0)
  await program.call("POST", `/v1/recoveries/${id}/cancel`)
  const shown = await ended(program, id, "canceled")
  assert.equal(shown.progress?.queued, before.progress?.retrying)
  await assertCounts(program)
})

test("recoveries that overlap and a retry by hand send each event once", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const integration = await program.integrate(endpoint.url(), { policy: { ...once.policy, max_concurrent: 2 } })
  const sent = await failAll(program, 30)
  const answer = Promise.withResolvers<void>()
  endpoint.play({ after: answer.promise })
  const ids = [await recover(program, {}), await recover(program, { statuses: ["failed"] })]
  await endpoint.received(32)
  await program.until("all are queued", async () => (await queued(program)) >= 30)
  const delivery = formatDeliveryId({ event: sent.at(-1) ?? 0, integration: numberOf("int", integration) })
  assert.equal((await program.ask("POST", `/v1/deliveries/${delivery}/retry`)).status, 202)
  answer.resolve()
  endpoint.play({})
  await program.until("all are delivered", async () => {
    const [row] = await program.rows<{ n: number }>("select count(*) as n from delivery where status = 'delivered'")
    return row?.n === 30
  })
  await program.until("both are done", async () => {
    const states = await Promise.all(ids.map(id => stateOf(program, id)))
    return states.every(state => state === "done")
  })
  assert.equal(endpoint.requests.length, 60)
  const [first, second] = [await show(program, ids[0] ?? ""), await show(program, ids[1] ?? "")]
  assert.equal(Number(first.progress?.queued) + Number(second.progress?.queued), 30)
  assert.equal(Number(first.progress?.changed) + Number(second.progress?.changed) >= 1, true)
  await assertCounts(program)
})

test("a restart goes on where it was", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const integration = await program.integrate(endpoint.url(), { policy: { ...once.policy, max_concurrent: 2 } })
  await failAll(program, 30)
  endpoint.play({ delayMs: 5 })
  const id = await recover(program, { integrations: integration })
  await endpoint.received(35)
  await program.restart()
  const done = await ended(program, id)
  assert.equal(done.progress?.delivered, 30)
  assert.equal(endpoint.requests.length, 60)
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

test("an integration that is switched off keeps its part for later, one that is removed ends it", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const one = await program.integrate(endpoint.url(), once)
  const two = await program.integrate(endpoint.url(), once)
  for (let i = 0; i < 3; i++) await program.send({ type: "a", data: { i } })
  await program.until(
    "all have failed",
    async () => (await program.deliveries()).filter(d => d.status === "failed").length === 6,
  )
  endpoint.play({})
  const id = await recover(program, { integrations: [one, two], max_per_second: 2 })
  await endpoint.received(8)
  await program.call("POST", `/v1/integrations/${one}/disable`)
  await program.call("DELETE", `/v1/integrations/${two}`)
  const held = await show(program, id)
  assert.deepEqual(
    items(held.by_integration).map(({ held_by, queued: n }) => [held_by, n]),
    [
      ["integration_disabled", 1],
      ["integration_removed", 1],
    ],
  )
  await program.call("POST", `/v1/integrations/${one}/enable`)
  const done = await ended(program, id)
  assert.deepEqual(
    items(done.by_integration).map(part => part.delivered),
    [3, 1],
  )
})

test("it queues no more a second than it may", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const integration = await program.integrate(endpoint.url(), once)
  await failAll(program, 12)
  endpoint.play({})
  const startedAt = performance.now()
  await ended(program, await recover(program, { integrations: integration, max_per_second: 10 }))
  // The first goes at once, the other eleven at ten a second.
  assert.ok(performance.now() - startedAt >= 1_000)
  assert.equal(endpoint.requests.length, 24)
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

async function stateOf(program: Program, id: string): Promise<string | undefined> {
  const rows = await program.rows<{ id: number; state: string }>("select id, state from recovery")
  return rows.find(row => formatId("rec", row.id) === id)?.state
}

/** How many were queued by all recoveries so far. */
async function queued(program: Program): Promise<number> {
  const [row] = await program.rows<{ n: number | null }>(
    "select sum(count) as n from recovery_tally where outcome = 'queued'",
  )
  return row?.n ?? 0
}

/** How many recovered deliveries wait for their first try. */
async function waiting(program: Program): Promise<number> {
  const [row] = await program.rows<{ n: number }>(
    "select count(*) as n from delivery where recovery_id is not null and status in ('pending', 'skipped')",
  )
  return row?.n ?? 0
}
