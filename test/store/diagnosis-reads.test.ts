/** What a diagnosis is made of, as the store tells it. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "../../src/store/database.ts"
import {
  errorsBetween,
  failedBetween,
  failingRun,
  fieldsMissing,
  HOURS_SHOWN,
  hoursOf,
  keyNames,
  lastReached,
  lastSuccessAt,
  lastTried,
  switchesSince,
  triedLately,
  typesArrived,
  waitingOf,
} from "../../src/store/diagnosis-reads.ts"
import { answered, DAY_MS, type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { PlanWatcher } from "../help/query-plans.ts"

const MINUTE_MS = 60_000

function asked(filled: FilledStore) {
  const [integration] = filled.integrations
  return { project: filled.project, integration, now: filled.now }
}

async function happen(
  filled: FilledStore,
  next: "delivered" | "failed" | "retrying",
  more: { test?: boolean; status?: number } = {},
) {
  const [crm] = filled.integrations
  filled.now += MINUTE_MS
  const { status = 503, ...given } = more
  const event = await filled.accept({ targets: [crm], ...given })
  const exchange = answered(next === "delivered" ? 200 : status)
  await filled.attempt({ event: event.id, integration: crm }, { next, exchange, at: filled.now + DAY_MS })
  return event.id
}

test("hours hold what was routed, what got through, what failed and why, without a gap", async t => {
  const filled = await openFilledStore(t)
  const [crm] = filled.integrations
  await happen(filled, "delivered")
  await happen(filled, "failed")
  await happen(filled, "retrying", { test: true })
  await filled.accept({ withheld: { not_verified: [crm] } })
  const hours = await hoursOf(filled.store.reads, asked(filled))
  assert.equal(hours.length, HOURS_SHOWN)
  const { at, ...last } = hours.at(-1) ?? { at: 0 }
  assert.equal(at, filled.now - (filled.now % 3_600_000))
  assert.deepEqual(last, {
    routed: 2,
    delivered: 1,
    failed: { server_error: 1 },
    withheld: { not_verified: 1 },
    success: 1,
    errors: { server_error: 1 },
    skipped: 0,
  })
  assert.deepEqual(hours.at(-2), {
    at: at - 3_600_000,
    routed: 0,
    delivered: 0,
    failed: {},
    withheld: {},
    success: 0,
    errors: {},
    skipped: 0,
  })
})

test("the run of failures begins after the last success, and a test neither breaks nor lengthens it", async t => {
  const filled = await openFilledStore(t)
  assert.equal(await failingRun(filled.store.reads, asked(filled)), null)
  await happen(filled, "retrying")
  await happen(filled, "delivered")
  const lastSuccess = filled.now
  assert.equal(await failingRun(filled.store.reads, asked(filled)), null)
  await happen(filled, "retrying")
  const since = filled.now
  await happen(filled, "delivered", { test: true })
  await happen(filled, "retrying", { test: true })
  await happen(filled, "failed")
  const run = await failingRun(filled.store.reads, asked(filled))
  assert.deepEqual(run, { since, lastAt: filled.now, attempts: 2, events: 2, lastSuccessAt: lastSuccess })
  assert.equal(await lastSuccessAt(filled.store.reads, asked(filled)), lastSuccess)
  const tried = await lastTried(filled.store.reads, asked(filled))
  assert.deepEqual(
    tried.map(({ isSuccess, status }) => [isSuccess, status]),
    [
      [false, 503],
      [false, 503],
      [true, 200],
      [false, 503],
    ],
  )
})

test("what waits is counted, with its oldest event and the time of the oldest that waits for nothing but its time", async t => {
  const filled = await openFilledStore(t)
  const [crm] = filled.integrations
  await happen(filled, "retrying")
  const [oldest] = await filled.store.db.query<{ id: number }>(sql`select event_id as id from delivery`)
  const later = filled.now + DAY_MS
  const waits = { oldestEvent: oldest?.id, oldestSendingAt: null }
  assert.deepEqual(await waitingOf(filled.store.reads, crm), { ...waits, total: 1, oldestDueAt: later })
  filled.now += MINUTE_MS
  const dueAt = filled.now
  await filled.accept({ targets: [crm] })
  assert.deepEqual(await waitingOf(filled.store.reads, crm), { ...waits, total: 2, oldestDueAt: dueAt })
  filled.now += MINUTE_MS
  await filled.claim(crm)
  assert.deepEqual(await waitingOf(filled.store.reads, crm), {
    ...waits,
    total: 1,
    oldestDueAt: later,
    oldestSendingAt: filled.now,
  })
})

test("errors of a stretch of time are counted by what they failed with", async t => {
  const filled = await openFilledStore(t)
  const from = filled.now
  await happen(filled, "failed", { status: 500 })
  await happen(filled, "failed")
  await happen(filled, "failed")
  await happen(filled, "delivered")
  const to = filled.now
  await happen(filled, "failed")
  const errors = await errorsBetween(filled.store.reads, { ...asked(filled), from, to })
  assert.deepEqual(
    errors.map(({ reason, status, count, firstAt, lastAt }) => [reason, status, count, firstAt - from, lastAt - from]),
    [
      ["server_error", 503, 2, 2 * MINUTE_MS, 3 * MINUTE_MS],
      ["server_error", 500, 1, MINUTE_MS, MINUTE_MS],
    ],
  )
  const failed = await failedBetween(filled.store.reads, { ...asked(filled), from, to, limit: 2 })
  assert.deepEqual(
    failed.map(({ type, device }) => [type, device]),
    [
      ["order_paid", null],
      ["order_paid", null],
    ],
  )
})

test("types that arrived are counted by app, and attempts of late show which host they went to", async t => {
  const filled = await openFilledStore(t)
  const since = filled.now
  await happen(filled, "failed")
  await filled.accept({ type: "login", appId: 7 })
  await filled.accept({ type: "login", appId: 7 })
  assert.deepEqual(await typesArrived(filled.store.reads, filled.project, since), [
    { type: "login", app: 7, count: 2 },
    { type: "order_paid", app: 0, count: 1 },
  ])
  const [crm] = filled.integrations
  assert.deepEqual(await triedLately(filled.store.reads, since), [
    { integration: crm, host: "crm.example", reason: "server_error" },
  ])
  assert.deepEqual(await triedLately(filled.store.reads, filled.now + 1), [])
  assert.deepEqual(await lastReached(filled.store.reads, crm, filled.now), {
    lastSuccessAt: null,
    failingSince: filled.now,
  })
})

test("no question of a diagnosis reads a table from one end to the other", async t => {
  const filled = await openFilledStore(t)
  await happen(filled, "failed")
  const watcher = new PlanWatcher(filled.store)
  const [crm] = filled.integrations
  const all = asked(filled)
  await hoursOf(watcher, all)
  await lastTried(watcher, all)
  await failingRun(watcher, all)
  await waitingOf(watcher, crm)
  await typesArrived(watcher, filled.project, filled.now)
  await fieldsMissing(watcher, all)
  await triedLately(watcher, filled.now)
  await lastReached(watcher, crm, filled.now)
  await keyNames(watcher, filled.project, [1])
  await errorsBetween(watcher, { ...all, from: 0, to: filled.now })
  await failedBetween(watcher, { ...all, from: 0, to: filled.now, limit: 5 })
  await switchesSince(watcher, filled.project, "int_x", filled.now)
  await lastSuccessAt(watcher, all)
  await watcher.assertNoScan()
})
