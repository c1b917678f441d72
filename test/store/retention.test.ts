import assert from "node:assert/strict"
import test from "node:test"
import { sql } from "../../src/store/database.ts"
import { keepAnswer } from "../../src/store/kept-answers.ts"
import { insertRejections } from "../../src/store/rejections.ts"
import { engine } from "../help/engines.ts"
import { DAY_MS, json, openFilledStore } from "../help/filled-store.ts"
import { assertSound, countOf, goesAt, letGo, makeIntegrations, partTables, pause } from "../help/letting-go.ts"

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

test("payloads and exchanges go with their part, at the end of the day on which the last of them expires", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [integration] = filled.integrations
  const event = await filled.accept({ targets: [integration], payload: json('{"n":1}') })
  await filled.attempt({ event: event.id, integration })
  const midnight = (Math.floor(filled.now / DAY_MS) + 1) * DAY_MS
  filled.now = midnight + 7 * DAY_MS - 1
  assert.deepEqual(await letGo(filled), {})
  filled.now++
  assert.deepEqual(await letGo(filled), { payload: 1, exchange: 1, part: 1 })
  assert.deepEqual(await partTables(filled), [])
  assert.deepEqual(
    [await countOf(filled, "event"), await countOf(filled, "delivery"), await countOf(filled, "attempt")],
    [1, 1, 1],
  )
})

test("each retention class goes in its own time", async t => {
  const filled = await openFilledStore(t)
  await filled.accept({ payloadDays: 1 })
  await filled.accept({ payloadDays: 30 })
  filled.now += 3 * DAY_MS
  assert.deepEqual(await letGo(filled), { payload: 1, part: 1 })
  assert.equal((await partTables(filled)).length, 2)
  assert.equal(await countOf(filled, "part", "retention_days = 30"), 1)
})

test("a delivery that waits in a running lane is sent with its payload however late", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [integration, other] = filled.integrations
  const waiting = await filled.accept({ targets: [integration], payload: json('{"n":1}') })
  const retrying = await filled.accept({ targets: [integration, other], payload: json('{"n":2}') })
  await filled.accept({ payload: json('{"n":3}') })
  await filled.attempt({ event: retrying.id, integration: other }, { next: "retrying", at: filled.now + 20 * DAY_MS })
  for (let day = 0; day < 12; day++) {
    filled.now += DAY_MS
    await letGo(filled)
    await assertSound(filled)
  }
  const claims = [...(await filled.claim(integration, 10)), ...(await filled.claim(other, 10))]
  assert.deepEqual(
    claims.map(claim => claim.event?.payload),
    [waiting.payload, retrying.payload],
  )
})

test("a payload that was held for a delivery goes within a day of the delivery's end", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [integration] = filled.integrations
  const event = await filled.accept({ targets: [integration] })
  filled.now += 10 * DAY_MS
  assert.equal((await letGo(filled))["payload_carried"], 1)
  await filled.attempt({ event: event.id, integration })
  filled.now += DAY_MS
  assert.equal((await letGo(filled))["payload"], 1)
  assert.equal(await countOf(filled, "part", "retention_days = 0"), 0)
})

test("a delivery that is being sent keeps its payload, since it may have to be tried again", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [integration] = filled.integrations
  const event = await filled.accept({ targets: [integration], payload: json('{"n":1}') })
  const [claim] = await filled.claim(integration)
  assert.ok(claim)
  filled.now += 9 * DAY_MS
  await letGo(filled)
  await filled.settle(claim, { next: "retrying", at: filled.now })
  const [again] = await filled.claim(integration)
  assert.deepEqual(again?.event?.payload, event.payload)
})

test("deliveries of a paused integration fail when their payload expires, those of a running one do not", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [paused, running] = filled.integrations
  await pause(filled, paused)
  const old = await filled.accept({ targets: [paused, running] })
  filled.now += HOUR_MS
  const young = await filled.accept({ targets: [paused] })
  filled.now += 7 * DAY_MS - MINUTE_MS
  assert.deepEqual(await letGo(filled), { delivery_ended: 1 })
  const rows = await filled.query(sql`
    select event_id, integration_id, status, reason, facts from delivery order by event_id, integration_id`)
  const facts = JSON.stringify({ expired_at: old.receivedAt + 7 * DAY_MS })
  assert.deepEqual(
    rows.map(row => ({ ...row })),
    [
      { event_id: old.id, integration_id: paused, status: "failed", reason: "payload_expired", facts },
      { event_id: old.id, integration_id: running, status: "pending", reason: "queued", facts: null },
      { event_id: young.id, integration_id: paused, status: "pending", reason: "queued", facts: null },
    ],
  )
  assert.equal(await countOf(filled, "event", `id = ${old.id} and n_open = 1 and n_failed = 1`), 1)
  assert.equal(await countOf(filled, "delivery_tally", "outcome = 'failed' and reason = 'payload_expired'"), 1)
})

test("all that wait in a paused integration too long are found, however many they are and whatever their next attempt was to be", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [paused] = filled.integrations
  // More than are looked at together, many of them due at the same moment. Each is some round trips on PostgreSQL.
  const COUNT = engine === "sqlite" ? 12_000 : 5_500
  const given = Array.from({ length: COUNT }, () => filled.accept({ targets: [paused] }))
  await Promise.all(given)
  await filled.query(sql`update delivery set next_at = next_at + (event_id % 3) * 86400000`)
  await pause(filled, paused)
  filled.now += 8 * DAY_MS
  assert.equal((await letGo(filled))["delivery_ended"], COUNT)
})

test("an event goes after thirty days with its deliveries, every attempt and its own id; a younger one stays whole", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [one, two] = filled.integrations
  const old = await filled.accept({ targets: [one, two], externalId: "order-1" })
  for (let i = 0; i < 5; i++)
    await filled.attempt({ event: old.id, integration: one }, { next: "retrying", at: filled.now })
  await filled.attempt({ event: old.id, integration: one })
  await filled.attempt({ event: old.id, integration: two }, { next: "failed" })
  filled.now += DAY_MS
  const young = await filled.accept({ targets: [one], externalId: "order-2" })
  await filled.attempt({ event: young.id, integration: one })
  filled.now = goesAt(filled, old.receivedAt + 30 * DAY_MS) - 1
  await letGo(filled)
  assert.deepEqual(await letGo(filled), {})
  filled.now++
  const { event, delivery, attempt } = await letGo(filled)
  assert.deepEqual({ event, delivery, attempt }, { event: 1, delivery: 2, attempt: 7 })
  assert.equal(await countOf(filled, "failure_group"), 0)
  for (const table of ["event", "delivery", "attempt", "own_id"]) assert.equal(await countOf(filled, table), 1)
  await assertSound(filled)
  const again = await filled.accept({ externalId: "order-1" })
  assert.notEqual(again.id, old.id)
})

test("what is still open when the event goes has failed with payload_expired", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [integration] = filled.integrations
  const event = await filled.accept({ targets: [integration] })
  await filled.attempt({ event: event.id, integration }, { next: "retrying", at: filled.now + 40 * DAY_MS })
  filled.now += 31 * DAY_MS
  const gone = await letGo(filled)
  assert.deepEqual([gone["delivery_ended"], gone["event"]], [1, 1])
  assert.equal(await countOf(filled, "delivery_tally", "outcome = 'failed' and reason = 'payload_expired'"), 1)
})

test("an event that is being sent at this moment stays until it is settled", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [integration] = filled.integrations
  const before = await filled.accept()
  filled.now += DAY_MS
  const event = await filled.accept({ targets: [integration] })
  const [claim] = await filled.claim(integration)
  assert.ok(claim)
  filled.now += 31 * DAY_MS
  assert.equal((await letGo(filled))["event"], 1)
  assert.deepEqual(
    [await countOf(filled, "event", `id = ${before.id}`), await countOf(filled, "event", `id = ${event.id}`)],
    [0, 1],
  )
  assert.equal((await filled.settle(claim)).kind, "moved")
  assert.equal((await letGo(filled))["event"], 1)
})

test("attempts that were recorded without their claim go too", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [integration] = filled.integrations
  await filled.accept({ targets: [integration] })
  const [claim] = await filled.claim(integration)
  assert.ok(claim)
  await filled.settle(claim)
  assert.equal((await filled.settle(claim)).kind, "lease-lost")
  filled.now += 31 * DAY_MS
  assert.equal((await letGo(filled))["attempt"], 2)
  assert.equal(await countOf(filled, "attempt"), 0)
})

test("events of a time when the clock was ahead go late rather than early, and hold up only what came after them", async t => {
  const filled = await openFilledStore(t)
  await filled.accept()
  filled.now += DAY_MS
  await filled.accept()
  filled.now -= DAY_MS - MINUTE_MS
  await filled.accept()
  filled.now = goesAt(filled, filled.now + 30 * DAY_MS)
  assert.equal((await letGo(filled))["event"], 1)
  filled.now += DAY_MS
  assert.equal((await letGo(filled))["event"], 2)
})

test("events that a wrong clock dated years ahead go with those that came after them", async t => {
  const filled = await openFilledStore(t)
  const rightTime = filled.now
  filled.now += 1_400 * DAY_MS
  for (let i = 0; i < 700; i++) await filled.accept()
  filled.now = rightTime
  await filled.accept()
  filled.now += DAY_MS
  await filled.accept()
  filled.now = rightTime + 30 * DAY_MS - 1
  assert.equal((await letGo(filled))["event"], undefined)
  filled.now++
  // Where they go by whole days they go together with the last of them.
  const isByDay = filled.store.engine === "postgres"
  assert.equal((await letGo(filled))["event"], isByDay ? undefined : 701)
  filled.now += DAY_MS
  assert.equal((await letGo(filled))["event"], isByDay ? 702 : 1)
})

test("idempotency keys are known for 48 hours, refused requests are kept for seven days", async t => {
  const filled = await openFilledStore(t)
  const { store, project } = filled
  for (let i = 0; i < 1_200; i++) {
    await filled.query(sql`
      insert into idempotency (project_id, key, fingerprint, event_id, created_at)
      values (${project}, ${`key-${(i * 7_919) % 1_200}`}, 'f', 1, ${filled.now + i})`)
  }
  await insertRejections(store.db, store.ids, [
    {
      project,
      key: null,
      at: filled.now,
      problem: { status: 400, code: "malformed", detail: "It is no JSON." },
      request: "POST /v1/events",
      body: Buffer.from("{"),
    },
  ])
  const start = filled.now
  filled.now = start + 48 * HOUR_MS - 1
  assert.deepEqual(await letGo(filled), {})
  filled.now = start + 48 * HOUR_MS + 599
  assert.deepEqual(await letGo(filled), { idempotency: 600 })
  filled.now = start + 7 * DAY_MS - 1
  assert.deepEqual(await letGo(filled), { idempotency: 600 })
  filled.now++
  assert.deepEqual(await letGo(filled), { rejection: 1 })
})

test("answers to configuration calls are kept for 24 hours", async t => {
  const filled = await openFilledStore(t)
  const call = { project: filled.project, route: "POST /v1/apps", key: "k" }
  const answer = { fingerprint: "f", status: 201, sealed: "v1", runningUntil: null, createdAt: filled.now }
  assert.equal(await keepAnswer(filled.store.db, call, answer), true)
  assert.equal(await keepAnswer(filled.store.db, call, answer), false)
  filled.now += DAY_MS - 1
  assert.deepEqual(await letGo(filled), {})
  filled.now++
  assert.deepEqual(await letGo(filled), { kept_answer: 1 })
})

test("counts and changes are kept for 400 days", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [integration] = filled.integrations
  const start = filled.now
  await filled.accept({ targets: [integration] })
  await filled.query(sql`
    insert into change (id, project_id, at, kind, subject, by_kind)
    values (${filled.store.ids.next()}, ${filled.project}, ${filled.now}, 'app.created', '', 'operator')`)
  const hourAfter = start - (start % HOUR_MS) + HOUR_MS
  filled.now = hourAfter + 400 * DAY_MS - 1
  await letGo(filled)
  assert.deepEqual(
    [await countOf(filled, "ingest_tally"), await countOf(filled, "delivery_tally", "outcome = 'routed'")],
    [1, 1],
  )
  filled.now++
  const gone = await letGo(filled)
  assert.deepEqual([gone["ingest_tally"], gone["delivery_tally"]], [1, 1])
  assert.equal(await countOf(filled, "change"), 0)
})

test("a revision goes 400 days after the next one has taken its place; the current one stays for good", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [integration, other] = filled.integrations
  const insert = (integration: number, revision: number, at: number) =>
    filled.query(sql`
      insert into integration_revision (integration_id, revision, at, by_kind, snapshot)
      values (${integration}, ${revision}, ${at}, 'operator', '{}')`)
  const start = filled.now
  for (const [revision, day] of [
    [1, 0],
    [2, 1],
    [3, 300],
  ] as const)
    await insert(integration, revision, start + day * DAY_MS)
  await insert(other, 1, start)
  filled.now = start + 401 * DAY_MS - 1
  assert.deepEqual(await letGo(filled), {})
  filled.now++
  assert.deepEqual(await letGo(filled), { integration_revision: 1 })
  filled.now = start + 2_000 * DAY_MS
  await letGo(filled)
  const revisions = await filled.query<{ integration_id: number; revision: number }>(
    sql`select integration_id, revision from integration_revision order by 1, 2`,
  )
  assert.deepEqual(
    revisions.map(row => [row.integration_id, row.revision]),
    [
      [integration, 3],
      [other, 1],
    ],
  )
})

test("a delivery whose payload has gone all the same is claimed without it, and spoils nothing for the others", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [integration] = filled.integrations
  const event = await filled.accept({ targets: [integration] })
  await filled.attempt({ event: event.id, integration }, { next: "failed" })
  filled.now += 8 * DAY_MS
  assert.equal((await letGo(filled))["part"], 1)
  // The clock goes back to when its payload could still be sent, and somebody has it sent again.
  filled.now -= 7 * DAY_MS
  const next = await filled.accept({ targets: [integration] })
  assert.equal(await filled.store.ledger.retry({ event: event.id, integration }, filled.project), "due")
  const claims = await filled.claim(integration, 10)
  assert.deepEqual(
    claims.map(claim => [claim.delivery.event, claim.event === null]),
    [
      [event.id, true],
      [next.id, false],
    ],
  )
})

test("nothing is put into a part that is going, even when the clock goes back to its day", async t => {
  const filled = await openFilledStore(t)
  await filled.accept()
  filled.now += 8 * DAY_MS
  assert.equal((await letGo(filled))["part"], 1)
  filled.now -= 8 * DAY_MS
  const event = await filled.accept()
  const [part] = await filled.query<{ payload_part: number }>(
    sql`select payload_part from event where id = ${event.id}`,
  )
  assert.equal(await countOf(filled, `payload_${part?.payload_part}`, `event_id = ${event.id}`), 1)
})

test("a run that ends after any of its pieces leaves everything sound, and the next goes on", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [one, two] = filled.integrations
  for (let i = 0; i < 300; i++) {
    const targets = i % 3 === 0 ? [one, two] : [one]
    const event = await filled.accept({ targets, externalId: `own-${i}`, profileId: `p${i}` })
    await filled.attempt({ event: event.id, integration: one })
    const at = filled.now + 100 * DAY_MS
    if (i % 3 === 0)
      await filled.attempt({ event: event.id, integration: two }, { next: i % 6 === 0 ? "failed" : "retrying", at })
    filled.now += HOUR_MS
  }
  filled.now += 31 * DAY_MS
  const total: Record<string, number> = {}
  for (let pieces = 1, isCut = true; isCut; pieces++) {
    let left = pieces
    isCut = false
    const gone = await letGo(filled, () => {
      isCut = --left === 0
      return isCut
    })
    for (const [name, count] of Object.entries(gone)) total[name] = (total[name] ?? 0) + count
    await assertSound(filled)
    if (pieces % 20 === 0) await filled.restart()
  }
  assert.deepEqual([total["event"], total["delivery"], total["delivery_ended"]], [300, 400, 50])
  assert.ok((total["payload_carried"] ?? 0) >= 50)
  for (const table of ["event", "delivery", "attempt", "own_id"]) assert.equal(await countOf(filled, table), 0)
})

test("a bug elsewhere that spoils a commit spoils nothing of what went with it", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [integration] = filled.integrations
  const payload = json(JSON.stringify("x".repeat(50_000)))
  // More than is carried over in one piece.
  for (let i = 0; i < 50; i++) await filled.accept({ targets: [integration], payload })
  filled.now += 8 * DAY_MS
  let isOver = false
  const gone = letGo(filled).finally(() => {
    isOver = true
  })
  while (!isOver) {
    const bug = filled.store.ledger.inNextCommit(() => {
      throw new Error("a bug")
    })
    await assert.rejects(bug, /a bug/)
  }
  assert.deepEqual(await gone, { payload_carried: 50, payload: 50, part: 1 })
  await assertSound(filled)
})
