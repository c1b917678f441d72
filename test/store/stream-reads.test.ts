import assert from "node:assert/strict"
import { test } from "node:test"
import { formatId } from "../../src/domain/id.ts"
import { recordChange } from "../../src/store/changes.ts"
import type { Reader } from "../../src/store/reader.ts"
import {
  findPosition,
  formatPosition,
  matches,
  readStream,
  type StreamFilter,
  type StreamItem,
  streamEnd,
} from "../../src/store/stream-reads.ts"
import { DAY_MS, type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { PlanWatcher } from "../help/query-plans.ts"

async function change(filled: FilledStore, subject: string, project = filled.project): Promise<void> {
  const { db, ids } = filled.store
  await db.transaction(tx =>
    recordChange(tx, {
      id: ids.next(),
      project,
      at: filled.now,
      kind: "integration.updated",
      subject,
      by: { kind: "api_key", id: "key_x" },
      facts: {},
    }),
  )
}

/** Everything that happened, in pages of so many rows. */
async function all(filled: FilledStore, filter: StreamFilter, rows: number, db: Reader = filled.store.reads) {
  const end = await streamEnd(db, filled.project)
  const items: StreamItem[] = []
  let after = 0
  while (after < end.id) {
    const page = await readStream(db, { project: filled.project, after, upTo: end.id, filter, rows })
    assert.ok(page.reached > after, "each page comes further")
    assert.ok(page.items.every(item => item.id > after && item.id <= page.reached))
    items.push(...page.items)
    after = page.reached
  }
  return items
}

async function fill(filled: FilledStore): Promise<string[]> {
  const [crm, slack, off] = filled.integrations
  const order: string[] = []
  for (let i = 0; i < 60; i++) {
    filled.now += 50
    const event = await filled.accept({
      type: i % 3 === 0 ? "order_paid" : "trial_started",
      environment: i % 4 === 0 ? "sandbox" : "production",
      profileId: i % 2 === 0 ? "p1" : "p2",
      deviceId: i % 5 === 0 ? "d1" : null,
      appId: 50 + (i % 2),
      targets: i % 2 === 0 ? [crm, slack] : [crm],
      withheld: i % 6 === 0 ? { filtered: [off] } : {},
    })
    order.push(`event ${event.id}`)
    for (const integration of i % 2 === 0 ? [crm, slack] : [crm]) {
      const { attempt } = await filled.attempt(
        { event: event.id, integration },
        { next: i % 7 === 0 ? "failed" : "delivered" },
      )
      order.push(`attempt ${attempt}`)
    }
    if (i % 10 === 0) {
      await change(filled, formatId("int", i % 20 === 0 ? crm : slack))
      order.push(`change ${filled.store.ids.last}`)
    }
    if (i % 8 === 0) await filled.accept({ project: 77 })
  }
  return order
}

test("events, attempts and changes come in the order in which they were stored, in pages of any size", async t => {
  const filled = await openFilledStore(t)
  const order = await fill(filled)
  for (const rows of [1, 2, 7, 1_000]) {
    const items = await all(filled, {}, rows)
    assert.deepEqual(
      items.map(item => `${item.kind} ${item.id}`),
      order,
    )
  }
})

test("what the store leaves out for a filter is exactly what `matches` leaves out", async t => {
  const filled = await openFilledStore(t)
  await fill(filled)
  const everything = await all(filled, {}, 500)
  const [crm, slack, off] = filled.integrations
  const members: StreamFilter[] = [
    {},
    { type: "order_paid" },
    { type: "trial*" },
    { type: "*" },
    { environment: "sandbox" },
    { profileId: "p2" },
    { deviceId: "d1" },
    { app: 51 },
    { app: 0 },
    { integration: crm },
    { integration: slack },
    { integration: off },
  ]
  for (const one of members) {
    for (const other of members) {
      const filter = { ...one, ...other }
      const expected = everything.filter(item => matches(filter, item))
      assert.deepEqual(await all(filled, filter, 40), expected, JSON.stringify(filter))
    }
  }
  const kinds = (filter: StreamFilter) =>
    new Set(everything.filter(item => matches(filter, item)).map(item => item.kind))
  assert.deepEqual(kinds({ integration: crm }), new Set(["event", "attempt", "change"]))
  assert.deepEqual(kinds({ integration: off }), new Set(["event"]))
  assert.deepEqual(kinds({ type: "order_paid" }), new Set(["event", "attempt"]))
})

test("the end of the order is the last thing stored, and reading on from there gives what comes after it only", async t => {
  const filled = await openFilledStore(t)
  await fill(filled)
  const end = await streamEnd(filled.store.reads, filled.project)
  const event = await filled.accept()
  const after = await streamEnd(filled.store.reads, filled.project)
  assert.deepEqual(after.last, { kind: "event", id: event.id })
  const asked = { project: filled.project, after: end.id, upTo: after.id, filter: {}, rows: 100 }
  const { items } = await readStream(filled.store.reads, asked)
  assert.deepEqual(
    items.map(item => item.id),
    [event.id],
  )
})

test("every item's position is found again, in its own project only", async t => {
  const filled = await openFilledStore(t)
  await fill(filled)
  for (const item of await all(filled, {}, 500)) {
    const text = formatPosition(item)
    assert.deepEqual(await findPosition(filled.store.reads, filled.project, text, filled.now), {
      kind: "after",
      id: item.id,
    })
    assert.deepEqual(await findPosition(filled.store.reads, 77, text, filled.now), { kind: "unknown" })
  }
})

test("a project in which nothing has happened yet has a position too", async t => {
  const filled = await openFilledStore(t)
  const project = filled.store.ids.next()
  const { last } = await streamEnd(filled.store.reads, project)
  assert.deepEqual(last, { kind: "project", id: project })
  const found = await findPosition(filled.store.reads, project, formatPosition(last), filled.now)
  assert.deepEqual(found, { kind: "after", id: project })
})

test("a position that is too old, of another database, or none at all is told apart from one to go on from", async t => {
  const filled = await openFilledStore(t)
  const event = await filled.accept()
  const position = formatPosition({ kind: "event", id: event.id })
  const find = (text: string) => findPosition(filled.store.reads, filled.project, text, filled.now)
  assert.deepEqual(await find(formatPosition({ kind: "event", id: event.id + 1 })), { kind: "unknown" })
  assert.deepEqual(await find(formatPosition({ kind: "attempt", id: event.id })), { kind: "unknown" })
  assert.deepEqual(await find("nonsense"), { kind: "unknown" })
  filled.now += 30 * DAY_MS - 1
  assert.deepEqual(await find(position), { kind: "after", id: event.id })
  filled.now += 2
  assert.deepEqual(await find(position), { kind: "too_old" })
})

test("reading the stream goes along the keys from its position on", async t => {
  const filled = await openFilledStore(t)
  await fill(filled)
  const watcher = new PlanWatcher(filled.store)
  await all(filled, { integration: filled.integrations[0] }, 500, watcher)
  // `streamEnd` takes the last row of each key: a scan of one step.
  const steps = await watcher.steps()
  assert.deepEqual(
    steps.filter(step => step.startsWith("SCAN") && step !== "SCAN attempt"),
    [],
  )
  await watcher.assertStep(/SEARCH attempt USING INTEGER PRIMARY KEY \(rowid>\? AND rowid<\?\)/)
  await watcher.assertStep(/SEARCH event USING PRIMARY KEY \(project_id=\? AND id>\? AND id<\?\)/)
})
