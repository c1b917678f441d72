import assert from "node:assert/strict"
import { test } from "node:test"
import { deliveryHistory } from "../../src/store/history-reads.ts"
import { DAY_MS, type FilledStore, openFilledStore } from "../help/filled-store.ts"

const HOUR_MS = 3_600_000

async function happen(filled: FilledStore, at: number, outcome: "success" | "error", more: { test?: boolean } = {}) {
  const [crm] = filled.integrations
  filled.now = at
  const event = await filled.accept({ targets: [crm], ...more })
  await filled.attempt({ event: event.id, integration: crm }, { next: outcome === "success" ? "delivered" : "failed" })
}

function history(filled: FilledStore, interval: "hour" | "day") {
  const [integration] = filled.integrations
  return deliveryHistory(filled.store.reads, { project: filled.project, integration, interval, now: filled.now })
}

test("the history has 30 UTC days, each attempt in the day in which it happened, empty days as zeros", async t => {
  const filled = await openFilledStore(t)
  const midnight = Date.UTC(2026, 10, 21)
  await happen(filled, midnight - 29 * DAY_MS - 1, "success")
  await happen(filled, midnight - 29 * DAY_MS, "success")
  await happen(filled, midnight - 1, "error")
  await happen(filled, midnight, "success")
  await happen(filled, midnight + 5, "success")
  await happen(filled, midnight + 6, "error", { test: true })
  filled.now = midnight + DAY_MS - 1
  const days = await history(filled, "day")
  assert.equal(days.length, 30)
  assert.deepEqual(
    days.map(day => day.at),
    Array.from({ length: 30 }, (_, i) => midnight - (29 - i) * DAY_MS),
  )
  const zero = { success: 0, error: 0, skipped: 0, interrupted: 0, senderFault: 0 }
  assert.deepEqual(days[0], { at: midnight - 29 * DAY_MS, ...zero, success: 1 })
  assert.deepEqual(days[1], { at: midnight - 28 * DAY_MS, ...zero })
  assert.deepEqual(days[28], { at: midnight - DAY_MS, ...zero, error: 1 })
  assert.deepEqual(days[29], { at: midnight, ...zero, success: 2 })
})

test("the history by hour has 720 hours, the one that is running now the last", async t => {
  const filled = await openFilledStore(t)
  const now = Date.UTC(2026, 10, 21, 10, 59, 59, 999)
  await happen(filled, now - HOUR_MS, "error")
  await happen(filled, now, "success")
  const hours = await history(filled, "hour")
  assert.equal(hours.length, 720)
  assert.equal(hours.at(-1)?.at, Date.UTC(2026, 10, 21, 10))
  assert.equal(hours.at(-1)?.success, 1)
  assert.equal(hours.at(-2)?.error, 1)
  assert.equal(hours[0]?.at, Date.UTC(2026, 10, 21, 10) - 719 * HOUR_MS)
})

test("attempts that nobody can be blamed for are counted apart", async t => {
  const filled = await openFilledStore(t)
  const [crm] = filled.integrations
  const event = await filled.accept({ targets: [crm] })
  const id = { event: event.id, integration: crm }
  const reason = { code: "interrupted", facts: {} } as const
  await filled.attempt(id, { next: "retrying", outcome: "interrupted", at: filled.now, reason, exchange: null })
  await filled.attempt(id, {
    next: "retrying",
    outcome: "sender_fault",
    at: filled.now,
    reason: { code: "sender_fault", facts: {} },
  })
  const [today] = (await history(filled, "day")).slice(-1)
  assert.deepEqual([today?.interrupted, today?.senderFault, today?.error], [1, 1, 0])
})
