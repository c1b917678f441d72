import assert from "node:assert/strict"
import test from "node:test"
import { sql } from "../../../src/store/database.ts"
import type { EventFilter } from "../../../src/store/event-filter.ts"
import { searchEvents } from "../../../src/store/event-search.ts"
import { DAY_MS, type FilledStore, openFilledStore } from "../../help/filled-store.ts"
import { makeIntegrations } from "../../help/letting-go.ts"

/** More than what is read at a time after a start. */
const MANY = 25_000
const HOUR_MS = 3_600_000

/** Up to which id the index reaches. */
async function reached(filled: FilledStore): Promise<number> {
  const [row] = await filled.query<{ id: number | null }>(sql`select max(indexed_up_to) as id from search_segment`)
  return row?.id ?? 0
}

async function entries(filled: FilledStore): Promise<number> {
  const [row] = await filled.query<{ n: number }>(sql`select count(*) as n from search_entry`)
  return row?.n ?? 0
}

/** All that a search finds, from the first page to the last. */
async function found(filled: FilledStore, filter: EventFilter): Promise<number[]> {
  const ids: number[] = []
  for (let before: number | undefined; ; ) {
    const search = { project: filled.project, filter, before, limit: 200, now: filled.now, budgetMs: 60_000 }
    const page = await searchEvents(filled.store.reads, search)
    ids.push(...page.events.map(event => event.id))
    if (page.next === null) return ids
    before = page.next
  }
}

/** As a version left a folder whose index moved only with an entry, and had none to write. */
async function forgetIndex(filled: FilledStore): Promise<void> {
  await filled.query(sql`delete from search_entry`)
  await filled.query(sql`delete from search_segment`)
}

/** Puts in so many events, a millisecond apart; each `every`th of a device. */
async function putIn(filled: FilledStore, { count, every }: { count: number; every: number }): Promise<void> {
  const from = filled.now - count
  await filled.query(sql`
    insert into event (project_id, id, type, source, environment, device_id, occurred_at, received_at, payload_part,
      payload_bytes, payload_expires_at, targets)
    with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < ${count})
    select ${filled.project}, (${from} + i - 1704067200000) * 4096, 'order_paid', 'api', 'production',
      iif(i % ${every} = 0, 'd1', null), ${from} + i, ${from} + i, 0, 0, ${filled.now + DAY_MS}, '[]'
    from n`)
}

test("the index also reaches events that have nothing to index", async t => {
  const filled = await openFilledStore(t)
  const first = await filled.accept()
  await filled.writeIndex()
  assert.ok((await reached(filled)) >= first.id)
  assert.equal(await entries(filled), 0)

  await filled.accept({ profileId: "p1" })
  await filled.writeIndex()
  const last = await filled.accept()
  assert.ok((await reached(filled)) < last.id, "not with each commit")
  await filled.writeIndex()
  assert.ok((await reached(filled)) >= last.id, "not only with an entry")
  assert.equal(await entries(filled), 1)
})

test("the index also reaches attempts that came with no record", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [crm] = filled.integrations
  await filled.accept({ targets: [crm] })
  await filled.writeIndex()
  const [claim] = await filled.claim(crm)
  assert.ok(claim)
  const { attempt } = await filled.settle(claim)
  await filled.writeIndex()
  assert.ok((await reached(filled)) >= (attempt ?? Number.MAX_SAFE_INTEGER))
})

test("nothing is written for an index that has reached the last id", async t => {
  const filled = await openFilledStore(t)
  await filled.accept()
  await filled.writeIndex()
  await filled.query(sql`update search_segment set entries = 77`)
  for (let i = 0; i < 3; i++) await filled.writeIndex()
  const [segment] = await filled.query<{ entries: number }>(sql`select entries from search_segment`)
  assert.equal(segment?.entries, 77)
})

test("the index never says that it reaches what a commit that was undone would have written", async t => {
  const filled = await openFilledStore(t)
  await filled.accept()
  await filled.writeIndex()
  for (const profileId of ["p1", null]) {
    const before = await reached(filled)
    const event = await filled.accept({ profileId })
    const undone = filled.store.ledger.inNextCommit(function* (commit) {
      yield* commit.scrub()
      throw new Error("undone")
    })
    await assert.rejects(undone, /undone/)
    assert.equal(await reached(filled), before)
    await filled.writeIndex()
    assert.ok((await reached(filled)) >= event.id)
    assert.equal(await entries(filled), 1)
    assert.equal((await found(filled, { profileId: "p1" })).length, 1)
  }
})

test("what a stop left unwritten is found after a day of standing still, and the index reaches it", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [crm] = filled.integrations
  await filled.accept()
  await filled.writeIndex()
  const event = await filled.accept({ profileId: "p1", deviceId: "d1", sourceRecord: "s1", targets: [crm] })
  const [claim] = await filled.claim(crm)
  assert.ok(claim)
  const { attempt } = await filled.settle(claim, { record: "r1" })
  assert.equal(await entries(filled), 0)

  filled.now += DAY_MS
  await filled.restart()
  assert.ok((await reached(filled)) >= (attempt ?? Number.MAX_SAFE_INTEGER))
  assert.equal(await entries(filled), 4)
  await filled.writeIndex()
  for (const filter of [{ profileId: "p1" }, { deviceId: "d1" }, { sourceRecord: "s1" }, { destinationRecord: "r1" }]) {
    assert.deepEqual(await found(filled, filter), [event.id], JSON.stringify(filter))
  }
  assert.equal(await entries(filled), 4, "each once")
})

test("a folder whose index never moved is caught up with once, and nothing of it is missed", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [crm] = filled.integrations
  await filled.accept({ profileId: "old", targets: [crm] })
  const [claim] = await filled.claim(crm)
  assert.ok(claim)
  await filled.settle(claim, { record: "r1" })
  filled.now += 20 * HOUR_MS
  await putIn(filled, { count: MANY, every: 1_000 })
  const last = await filled.accept({ profileId: "new" })
  await forgetIndex(filled)

  await filled.restart()
  assert.ok((await reached(filled)) >= last.id)
  assert.equal(await entries(filled), 3 + MANY / 1_000)
  assert.equal((await found(filled, { deviceId: "d1" })).length, MANY / 1_000)
  for (const filter of [{ profileId: "old" }, { profileId: "new" }, { destinationRecord: "r1" }]) {
    assert.equal((await found(filled, filter)).length, 1, JSON.stringify(filter))
  }
})

test("a folder with more to catch up with than is read at a time is found whole, newest first", async t => {
  const filled = await openFilledStore(t)
  await putIn(filled, { count: MANY, every: 1 })
  await forgetIndex(filled)

  await filled.restart()
  assert.equal(await entries(filled), MANY)
  const ids = await found(filled, { deviceId: "d1" })
  assert.equal(ids.length, MANY)
  assert.ok(ids.every((id, i) => i === 0 || id < (ids[i - 1] ?? 0)))
})
