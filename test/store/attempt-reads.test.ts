import assert from "node:assert/strict"
import { test } from "node:test"
import { lastAttempts, readAttempts, readExchanges } from "../../src/store/attempt-reads.ts"
import { raw, sql } from "../../src/store/database.ts"
import { readDelivery } from "../../src/store/delivery-reads.ts"
import { answered, DAY_MS, type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { PlanWatcher } from "../help/query-plans.ts"

async function deliveryWith(filled: FilledStore, attempts: number) {
  const [crm] = filled.integrations
  const event = await filled.accept({ targets: [crm] })
  const id = { event: event.id, integration: crm }
  for (let n = 1; n <= attempts; n++) {
    filled.now += 1_000
    await filled.attempt(id, {
      next: n === attempts ? "delivered" : "retrying",
      at: filled.now,
      exchange: answered(200, `answer ${n}`),
    })
  }
  const delivery = await readDelivery(filled.store.reads, filled.project, id, filled.now)
  assert.ok(delivery)
  return delivery
}

test("the attempts of deliveries are read newest first, no more of each than asked for", async t => {
  const filled = await openFilledStore(t)
  const one = await deliveryWith(filled, 5)
  const other = await deliveryWith(filled, 2)
  const all = await readAttempts(filled.store.reads, [one, other], 100)
  assert.deepEqual(
    all.map(attempt => [attempt.delivery.event === one.id.event ? "one" : "other", attempt.number]),
    [
      ["other", 2],
      ["other", 1],
      ["one", 5],
      ["one", 4],
      ["one", 3],
      ["one", 2],
      ["one", 1],
    ],
  )
  assert.deepEqual(
    (await readAttempts(filled.store.reads, [one], 2)).map(attempt => attempt.number),
    [5, 4],
  )
  assert.deepEqual(await readAttempts(filled.store.reads, [{ lastAttempt: null }], 2), [])
})

test("an attempt says what was sent and what came back, secrets masked, and how long each phase took", async t => {
  const filled = await openFilledStore(t)
  const [crm] = filled.integrations
  const event = await filled.accept({ targets: [crm] })
  await filled.attempt({ event: event.id, integration: crm }, { requestBody: "{}", exchange: answered(200, "thanks") })
  const delivery = await readDelivery(
    filled.store.reads,
    filled.project,
    { event: event.id, integration: crm },
    filled.now,
  )
  const [attempt] = await readAttempts(filled.store.reads, delivery === undefined ? [] : [delivery], 10)
  assert.ok(attempt)
  assert.deepEqual(attempt.timings, { dnsMs: 1, connectMs: 2, tlsMs: null, waitMs: 3, bodyMs: 4, totalMs: 10 })
  const exchange = (await readExchanges(filled.store.reads, [attempt], filled.now)).get(attempt.id)
  assert.deepEqual(exchange?.requestHeaders, [
    ["content-type", "application/json"],
    ["authorization", null],
  ])
  assert.equal(exchange.requestBody, "{}")
  assert.deepEqual(exchange.response?.headers, [["content-type", "text/plain"]])
  assert.equal(Buffer.from(exchange.response?.body ?? []).toString(), "thanks")
})

test("an exchange can be read for its retention after the attempt, to the millisecond; the attempt stays", async t => {
  const filled = await openFilledStore(t)
  const delivery = await deliveryWith(filled, 1)
  const [attempt] = await readAttempts(filled.store.reads, [delivery], 10)
  assert.ok(attempt)
  assert.equal(attempt.exchangeExpiresAt, attempt.startedAt + 7 * DAY_MS)
  const isThere = async () => (await readExchanges(filled.store.reads, [attempt], filled.now)).has(attempt.id)
  filled.now = attempt.startedAt + 7 * DAY_MS - 1
  assert.equal(await isThere(), true)
  filled.now++
  assert.equal(await isThere(), false)
  assert.equal((await readAttempts(filled.store.reads, [delivery], 10)).length, 1)
})

test("an exchange whose table was dropped is not there, and no error", async t => {
  const filled = await openFilledStore(t)
  const delivery = await deliveryWith(filled, 1)
  const attempts = await readAttempts(filled.store.reads, [delivery], 10)
  await filled.query(raw(`drop table exchange_${attempts[0]?.exchangePart}`))
  assert.equal((await readExchanges(filled.store.reads, attempts, filled.now)).size, 0)
  await filled.query(sql`delete from part`)
  const [attempt] = await readAttempts(filled.store.reads, [delivery], 10)
  assert.equal(attempt?.exchangeExpiresAt, null)
  assert.notEqual(attempt.exchangePart, null)
})

test("what broke an exchange off, and an attempt with no known result, are told as they were recorded", async t => {
  const filled = await openFilledStore(t)
  const [crm] = filled.integrations
  const event = await filled.accept({ targets: [crm] })
  const id = { event: event.id, integration: crm }
  const timings = { dnsMs: null, connectMs: null, tlsMs: null, waitMs: null, bodyMs: null, totalMs: 5 }
  await filled.attempt(id, {
    next: "retrying",
    at: filled.now,
    reason: { code: "connection_refused", facts: {} },
    exchange: {
      kind: "broken",
      sentHeaders: [],
      timings,
      class: "ECONNREFUSED",
      phase: "connect",
      code: "ECONNREFUSED",
      message: "Refused.",
    },
  })
  await filled.attempt(id, {
    next: "retrying",
    outcome: "interrupted",
    at: filled.now,
    reason: { code: "interrupted", facts: {} },
    exchange: null,
  })
  const delivery = await readDelivery(filled.store.reads, filled.project, id, filled.now)
  const [interrupted, refused] = await readAttempts(filled.store.reads, delivery === undefined ? [] : [delivery], 10)
  assert.deepEqual(refused?.error, {
    class: "ECONNREFUSED",
    phase: "connect",
    code: "ECONNREFUSED",
    message: "Refused.",
  })
  assert.equal(refused.reason, "connection_refused")
  assert.equal(interrupted?.outcome, "interrupted")
  assert.equal(interrupted.timings, null)
  assert.equal(interrupted.exchangePart, null)
})

test("the last successes and errors of an integration come newest first, by the indexes made for them", async t => {
  const filled = await openFilledStore(t)
  const [crm, slack] = filled.integrations
  for (let i = 0; i < 12; i++) {
    filled.now += 1_000
    const event = await filled.accept({ targets: [crm, slack] })
    await filled.attempt({ event: event.id, integration: crm }, { next: i % 3 === 0 ? "failed" : "delivered" })
  }
  const watcher = new PlanWatcher(filled.store)
  const asked = { project: filled.project, integration: crm, limit: 3, now: filled.now }
  const successes = await lastAttempts(watcher, { ...asked, outcome: "success" })
  const errors = await lastAttempts(watcher, { ...asked, outcome: "error" })
  assert.equal(successes.length, 3)
  assert.equal(errors.length, 3)
  assert.deepEqual(
    successes,
    successes.toSorted((a, b) => b.id - a.id),
  )
  assert.ok(successes.every(attempt => attempt.outcome === "success" && attempt.delivery.integration === crm))
  assert.ok(errors.every(attempt => attempt.outcome === "error"))
  await watcher.assertNoScan()
  await watcher.assertStep(/INDEX attempt_succeeded \(integration_id=\? AND rowid>\?\)/)
  await watcher.assertStep(/INDEX attempt_failed \(integration_id=\? AND rowid>\?\)/)
  assert.deepEqual(await lastAttempts(filled.store.reads, { ...asked, project: 77, outcome: "success" }), [])
})
