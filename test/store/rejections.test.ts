import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "../../src/store/database.ts"
import { insertRejections, listRejections, type NewRejection } from "../../src/store/rejections.ts"
import { DAY_MS, type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { PlanWatcher } from "../help/query-plans.ts"

function rejection(filled: FilledStore, more: Partial<NewRejection> = {}): NewRejection {
  return {
    project: filled.project,
    key: 7,
    at: filled.now,
    problem: {
      status: 422,
      code: "invalid",
      detail: "`type` is missing.",
      errors: [{ pointer: "/type", message: "`type` is missing." }],
    },
    request: "POST /v1/events",
    body: Buffer.from("{}"),
    ...more,
  }
}

function list(filled: FilledStore, more: { project?: number; before?: number; limit?: number } = {}) {
  const { project = filled.project, before = Number.MAX_SAFE_INTEGER, limit = 2_000 } = more
  return listRejections(filled.store.reads, { project, before, limit, now: filled.now })
}

test("a refused request is kept with its problem and the first KiB of its body", async t => {
  const filled = await openFilledStore(t)
  const body = Buffer.from("x".repeat(5_000))
  await insertRejections(filled.store.db, filled.store.ids, [rejection(filled, { body })])
  const [kept] = await list(filled)
  assert.equal(kept?.status, 422)
  assert.equal(kept.code, "invalid")
  assert.deepEqual(kept.errors, [{ pointer: "/type", message: "`type` is missing." }])
  assert.equal(kept.request, "POST /v1/events")
  assert.equal(kept.body.length, 1_024)
  assert.equal(kept.bodyBytes, 5_000)
})

test("a project keeps its last 1,000 refused requests, whatever other projects have", async t => {
  const filled = await openFilledStore(t)
  const many = Array.from({ length: 1_500 }, (_, i) => rejection(filled, { body: Buffer.from(String(i)) }))
  await insertRejections(filled.store.db, filled.store.ids, [rejection(filled, { project: 77 }), ...many.slice(0, 900)])
  await insertRejections(filled.store.db, filled.store.ids, many.slice(900))
  const kept = await list(filled)
  assert.equal(kept.length, 1_000)
  assert.equal(Buffer.from(kept[0]?.body ?? []).toString(), "1499")
  assert.equal(Buffer.from(kept.at(-1)?.body ?? []).toString(), "500")
  assert.equal((await list(filled, { project: 77 })).length, 1)
})

test("a refused request is gone after 7 days, to the millisecond", async t => {
  const filled = await openFilledStore(t)
  await insertRejections(filled.store.db, filled.store.ids, [rejection(filled)])
  filled.now += 7 * DAY_MS - 1
  assert.equal((await list(filled)).length, 1)
  filled.now++
  assert.equal((await list(filled)).length, 0)
})

test("refused requests are counted by hour and key in the commit that keeps them, a batch by its events", async t => {
  const filled = await openFilledStore(t)
  await insertRejections(filled.store.db, filled.store.ids, [
    rejection(filled),
    rejection(filled, { events: 41 }),
    rejection(filled, { key: 8 }),
  ])
  const rows = await filled.query(sql`select key_id, refused, events, bytes from ingest_tally order by key_id`)
  assert.deepEqual(
    rows.map(row => ({ ...row })),
    [
      { key_id: 7, refused: 42, events: 0, bytes: 4 },
      { key_id: 8, refused: 1, events: 0, bytes: 2 },
    ],
  )
})

test("refused requests are paged by their ids, along their index", async t => {
  const filled = await openFilledStore(t)
  const bodies = ["a", "b", "c"]
  await insertRejections(
    filled.store.db,
    filled.store.ids,
    bodies.map(text => rejection(filled, { body: Buffer.from(text) })),
  )
  const [c, b] = await list(filled, { limit: 2 })
  const [a] = await list(filled, { limit: 2, before: b?.id ?? 0 })
  assert.deepEqual(
    [c, b, a].map(kept => Buffer.from(kept?.body ?? []).toString()),
    ["c", "b", "a"],
  )
  const watcher = new PlanWatcher(filled.store)
  await listRejections(watcher, { project: filled.project, before: 1, limit: 10, now: filled.now })
  await watcher.assertNoScan()
})
