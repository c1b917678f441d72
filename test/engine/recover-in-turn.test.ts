/** A recovery on its way: paused, cancelled, beside others, over a restart, at its rate, when an integration is off. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { formatDeliveryId } from "../../src/domain/id.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { numberOf, Program } from "../help/program.ts"
import {
  assertCounts,
  ended,
  failAll,
  numbers,
  once,
  queued,
  recover,
  show,
  stateOf,
  waiting,
} from "../help/recovering.ts"

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
