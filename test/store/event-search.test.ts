import assert from "node:assert/strict"
import { test } from "node:test"
import type { Event } from "../../src/domain/event.ts"
import { eventStatuses } from "../../src/domain/event.ts"
import type { ReasonCode } from "../../src/domain/reason.ts"
import { raw } from "../../src/store/database.ts"
import { deliveriesOfEvent } from "../../src/store/delivery-reads.ts"
import { type EventFilter, matchesType } from "../../src/store/event-filter.ts"
import { readEvent } from "../../src/store/event-reads.ts"
import { destinationRecords, searchEvents, withheldFrom } from "../../src/store/event-search.ts"
import type { Reader } from "../../src/store/reader.ts"
import { DAY_MS, type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { PlanWatcher } from "../help/query-plans.ts"

/** Searches without a limit of time. */
function search(filled: FilledStore, filter: EventFilter, more: { limit?: number; before?: number; db?: Reader } = {}) {
  const { db = filled.store.reads, limit = 200, before } = more
  return searchEvents(db, { project: filled.project, filter, before, limit, now: filled.now, budgetMs: 60_000 })
}

async function found(filled: FilledStore, filter: EventFilter): Promise<number[]> {
  return (await search(filled, filter)).events.map(event => event.id)
}

/** All pages of a search, from the first to the last. */
async function allPages(filled: FilledStore, filter: EventFilter, limit: number): Promise<number[]> {
  const ids: number[] = []
  let before: number | undefined
  do {
    const page = await search(filled, filter, { limit, ...(before === undefined ? {} : { before }) })
    assert.ok(page.events.length <= limit)
    ids.push(...page.events.map(event => event.id))
    before = page.next ?? undefined
  } while (before !== undefined)
  return ids
}

/** The same numbers in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >>> 8) % below
  }
}

const at = <T>(list: readonly T[], i: number): T => {
  const value = list[i % list.length]
  if (value === undefined) throw new Error("The list is empty.")
  return value
}

const types = ["order_paid", "order_refunded", "trial_started", "trial*odd"]

test("every filter, alone and together, finds exactly what a look at every event finds, page by page", async t => {
  const filled = await openFilledStore(t)
  const next = numbers(7)
  const [crm, slack, off] = filled.integrations
  const events: { event: Event; record: string | null; targets: number[]; withheld: number[] }[] = []
  for (let i = 0; i < 400; i++) {
    filled.now += next(3) * 400
    const targets = next(3) === 0 ? [] : next(2) === 0 ? [crm] : [crm, slack]
    const withheld = next(4) === 0 ? [off] : []
    const event = await filled.accept({
      type: at(types, next(4)),
      environment: next(3) === 0 ? "sandbox" : "production",
      profileId: next(5) === 0 ? null : `p${next(6)}`,
      deviceId: next(2) === 0 ? null : `d${next(4)}`,
      sourceRecord: next(2) === 0 ? null : `s${next(9)}`,
      externalId: `own-${i}`,
      targets,
      ...(next(3) === 0 ? {} : { appId: 50 + next(2) }),
      ...(withheld.length === 0 ? {} : { withheld: { [next(2) === 0 ? "not_verified" : "type_disabled"]: withheld } }),
    })
    let record: string | null = null
    for (const integration of targets) {
      if (next(6) === 0) continue
      const [claim] = await filled.claim(integration)
      const delivered = next(3) > 0
      const given = delivered && next(2) === 0 ? `r${next(12)}` : null
      if (claim === undefined) continue
      const status = delivered ? "delivered" : next(2) === 0 ? "failed" : "retrying"
      await filled.settle(claim, {
        next: status,
        ...(given === null ? {} : { record: given }),
        at: filled.now + DAY_MS,
      })
      const whose =
        claim.delivery.event === event.id ? undefined : events.find(e => e.event.id === claim.delivery.event)
      if (given === null) continue
      if (whose === undefined) record = given
      else whose.record = given
    }
    events.push({ event, record, targets, withheld })
  }
  const statuses = new Map(
    await Promise.all(
      events.map(async ({ event }) => {
        const kept = await readEvent(filled.store.reads, filled.project, event.id, filled.now)
        return [event.id, kept?.summary.status] as const
      }),
    ),
  )
  const records = new Map<number, string[]>()
  for (const { event } of events) {
    const known = await destinationRecords(filled.store.reads, filled.project, [event.id])
    records.set(
      event.id,
      (known.get(event.id) ?? []).map(entry => entry.record),
    )
  }
  const reasons = new Map<number, readonly { readonly integration: number; readonly code: ReasonCode | undefined }[]>()
  for (const { event } of events) {
    const deliveries = await deliveriesOfEvent(filled.store.reads, filled.project, event.id, filled.now)
    const kept = await readEvent(filled.store.reads, filled.project, event.id, filled.now)
    const withheld = Object.entries(kept?.withheld ?? {}) as [ReasonCode, readonly number[]][]
    reasons.set(event.id, [
      ...deliveries.map(({ id, reason }) => ({ integration: id.integration, code: reason?.code })),
      ...withheld.flatMap(([code, ids]) => ids.map(integration => ({ integration, code }))),
    ])
  }
  const isFor = (event: Event, { reason, integration }: EventFilter) =>
    reasons.get(event.id)?.some(at => at.code === reason && (integration ?? at.integration) === at.integration) === true
  const isFound = (filter: EventFilter, { event, targets, withheld }: (typeof events)[number]): boolean =>
    (filter.from === undefined || event.receivedAt >= filter.from) &&
    (filter.to === undefined || event.receivedAt < filter.to) &&
    (filter.type === undefined || matchesType(event.type, filter.type)) &&
    (filter.status === undefined || statuses.get(event.id) === filter.status) &&
    (filter.app === undefined || event.appId === filter.app) &&
    (filter.environment === undefined || event.environment === filter.environment) &&
    (filter.profileId === undefined || event.profileId === filter.profileId) &&
    (filter.deviceId === undefined || event.deviceId === filter.deviceId) &&
    (filter.sourceRecord === undefined || event.sourceRecord === filter.sourceRecord) &&
    (filter.externalId === undefined || event.externalId === filter.externalId) &&
    (filter.destinationRecord === undefined || records.get(event.id)?.includes(filter.destinationRecord) === true) &&
    (filter.integration === undefined || [...targets, ...withheld].includes(filter.integration)) &&
    (filter.reason === undefined || isFor(event, filter))

  let most = 0
  for (let round = 0; round < 150; round++) {
    const from = filled.now - next(400) * 400
    const members: EventFilter[] = [
      { from },
      { from, to: from + next(100) * 1_000 + 1 },
      { to: from },
      { type: at(types, next(4)) },
      { type: at(["order*", "trial_*", "*", "o*", "zebra*"], next(5)) },
      { status: at(eventStatuses, next(5)) },
      { app: 50 + next(2) },
      { environment: next(2) === 0 ? "sandbox" : "production" },
      { profileId: `p${next(7)}` },
      { deviceId: `d${next(4)}` },
      { sourceRecord: `s${next(9)}` },
      { destinationRecord: `r${next(12)}` },
      { externalId: `own-${next(450)}` },
      { integration: at(filled.integrations, next(3)) },
      { reason: at(["server_error", "queued", "not_verified", "type_disabled", "gone"], next(5)) },
    ]
    const filter: EventFilter = Object.assign({}, ...Array.from({ length: next(3) + 1 }, () => at(members, next(15))))
    const expected = events.filter(entry => isFound(filter, entry)).map(entry => entry.event.id)
    most = Math.max(most, expected.length)
    const what = JSON.stringify(filter)
    assert.deepEqual(await allPages(filled, filter, 1 + next(60)), expected.reverse(), what)
  }
  assert.ok(most > 100, "the filters let enough through to need pages")
})

test("an event is found by its values at once, when the index has it, and after a restart", async t => {
  const filled = await openFilledStore(t)
  const [crm] = filled.integrations
  const values = { profileId: "p1", deviceId: "d1", sourceRecord: "s1" }
  const filters: EventFilter[] = [
    { profileId: "p1" },
    { deviceId: "d1" },
    { sourceRecord: "s1" },
    { destinationRecord: "r1" },
  ]
  const findsAll = async (ids: readonly number[]) => {
    for (const filter of filters)
      assert.deepEqual(await found(filled, filter), ids.toReversed(), JSON.stringify(filter))
  }
  const take = async () => {
    const event = await filled.accept({ ...values, targets: [crm] })
    await filled.attempt({ event: event.id, integration: crm }, { record: "r1" })
    return event.id
  }
  const first = await take()
  await findsAll([first])
  await filled.writeIndex()
  await findsAll([first])
  const second = await take()
  await findsAll([first, second])
  await filled.restart()
  await findsAll([first, second])
  await filled.writeIndex()
  await findsAll([first, second])
})

test("a record that a destination gives to an old event stands in the index behind newer events and is found", async t => {
  const filled = await openFilledStore(t)
  const [crm] = filled.integrations
  const old = await filled.accept({ targets: [crm], profileId: "p" })
  await filled.writeIndex()
  await filled.accept({ profileId: "p" })
  await filled.writeIndex()
  await filled.attempt({ event: old.id, integration: crm }, { record: "late" })
  assert.deepEqual(await found(filled, { destinationRecord: "late" }), [old.id])
  await filled.writeIndex()
  assert.deepEqual(await found(filled, { destinationRecord: "late" }), [old.id])
})

test("an event is found by values of any characters", async t => {
  const filled = await openFilledStore(t)
  const [crm] = filled.integrations
  for (const value of ["a\0b", "zwölf", "\u{1F600}", "'; drop table event", '{"a",b}', "\\", "NULL", " "]) {
    const event = await filled.accept({ profileId: value, externalId: value, targets: [crm] })
    await filled.attempt({ event: event.id, integration: crm }, { record: value })
    for (const filter of [{ profileId: value }, { externalId: value }, { destinationRecord: value }]) {
      assert.deepEqual(await found(filled, filter), [event.id], JSON.stringify(filter))
    }
  }
})

test("a record that a destination has replaced no longer finds the event", async t => {
  const filled = await openFilledStore(t)
  const [crm] = filled.integrations
  const event = await filled.accept({ targets: [crm] })
  const delivery = { event: event.id, integration: crm }
  await filled.attempt(delivery, { record: "first" })
  await filled.writeIndex()
  await filled.store.ledger.retry(delivery, filled.project)
  await filled.attempt(delivery, { record: "second" })
  assert.deepEqual(await found(filled, { destinationRecord: "first" }), [])
  assert.deepEqual(await found(filled, { destinationRecord: "second" }), [event.id])
})

test("pages stay whole while events come in: none of those that were there is missed or shown twice", async t => {
  const filled = await openFilledStore(t)
  const before: number[] = []
  for (let i = 0; i < 25; i++) before.push((await filled.accept()).id)
  const first = await search(filled, {}, { limit: 10 })
  for (let i = 0; i < 5; i++) await filled.accept()
  assert.ok(first.next !== null)
  const second = await search(filled, {}, { limit: 10, before: first.next })
  for (let i = 0; i < 5; i++) await filled.accept()
  assert.ok(second.next !== null)
  const third = await search(filled, {}, { limit: 10, before: second.next })
  const shown = [first, second, third].flatMap(page => page.events.map(event => event.id))
  assert.deepEqual(shown, before.toReversed())
  assert.equal(third.next, null)
})

test("a search whose time is over says how far back it came, and goes on from there until all is found", async t => {
  const filled = await openFilledStore(t)
  const rare = await filled.accept({ type: "rare" })
  // As text of ours: PostgreSQL cannot tell the type of a value that stands in a sum of a recursive query.
  await filled.query(
    raw(`
    with recursive n (i) as (select 1 union all select i + 1 from n where i < 9000)
    insert into event (project_id, id, type, source, environment, occurred_at, received_at, payload_part, payload_bytes,
      payload_expires_at)
    select ${filled.project}, ${rare.id} + i * 4096, 'often', 'api', 'production', ${filled.now} + i, ${filled.now} + i,
      0, 0, ${filled.now + DAY_MS} from n`),
  )
  filled.now += 9_000
  const found: number[] = []
  const reached: number[] = []
  let before: number | undefined
  do {
    const page = await searchEvents(filled.store.reads, {
      project: filled.project,
      filter: { type: "rare" },
      before,
      limit: 50,
      now: filled.now,
      budgetMs: 0,
    })
    found.push(...page.events.map(event => event.id))
    if (page.searchedBackTo !== null) {
      reached.push(page.searchedBackTo)
      assert.ok(page.next !== null, "there is a cursor to go on with")
    }
    before = page.next ?? undefined
  } while (before !== undefined)
  assert.deepEqual(found, [rare.id])
  assert.ok(reached.length >= 3, `it took several pages: ${reached.length}`)
  assert.deepEqual(reached, reached.toSorted().toReversed())
  assert.ok(reached.every(time => time <= filled.now && time > rare.receivedAt))
})

test("from and to are held against the time of receipt, not against the later one of the commit", async t => {
  const filled = await openFilledStore(t)
  const early = filled.now
  const slow = await filled.accept({ lagMs: 30_000 })
  const late = filled.now
  const next = await filled.accept()
  assert.deepEqual(await found(filled, { from: early, to: early + 1 }), [slow.id])
  assert.deepEqual(await found(filled, { from: early + 1 }), [next.id])
  assert.deepEqual(await found(filled, { to: late }), [slow.id])
  assert.deepEqual(await found(filled, { from: late, to: late }), [])
})

test("events of another project are found by none of the filters", async t => {
  const filled = await openFilledStore(t)
  const [crm] = filled.integrations
  const values = { profileId: "p1", deviceId: "d1", sourceRecord: "s1", externalId: "own", appId: 5 }
  const event = await filled.accept({ project: 77, ...values, targets: [crm], withheld: { filtered: [4] } })
  await filled.attempt({ event: event.id, integration: crm }, { record: "r1", next: "delivered" })
  await filled.writeIndex()
  const { profileId, deviceId, sourceRecord, externalId, appId: app } = values
  const filters: EventFilter[] = [
    {},
    { profileId },
    { deviceId },
    { sourceRecord },
    { externalId },
    { app },
    { destinationRecord: "r1" },
    { integration: crm },
    { status: "delivered" },
    { reason: "filtered" },
  ]
  for (const filter of filters) assert.deepEqual(await found(filled, filter), [], JSON.stringify(filter))
  assert.equal(await readEvent(filled.store.reads, filled.project, event.id, filled.now), undefined)
})

test("an event is gone 30 days after it was received, to the millisecond", async t => {
  const filled = await openFilledStore(t)
  const event = await filled.accept({ profileId: "p1", externalId: "own" })
  await filled.writeIndex()
  const filters: EventFilter[] = [{}, { profileId: "p1" }, { externalId: "own" }]
  filled.now = event.receivedAt + 30 * DAY_MS - 1
  for (const filter of filters) assert.deepEqual(await found(filled, filter), [event.id])
  assert.notEqual(await readEvent(filled.store.reads, filled.project, event.id, filled.now), undefined)
  filled.now++
  for (const filter of filters) assert.deepEqual(await found(filled, filter), [])
  assert.equal(await readEvent(filled.store.reads, filled.project, event.id, filled.now), undefined)
})

test("who an event was withheld from is found by exact id, with the reason", async t => {
  const filled = await openFilledStore(t)
  const one = await filled.accept({ withheld: { not_verified: [20], filtered: [202] } })
  const other = await filled.accept({ withheld: { filtered: [20, 2] }, targets: [202] })
  assert.deepEqual(await found(filled, { integration: 20 }), [other.id, one.id])
  assert.deepEqual(await found(filled, { integration: 2 }), [other.id])
  assert.deepEqual(await found(filled, { integration: 202 }), [other.id, one.id])
  assert.deepEqual(await found(filled, { reason: "filtered" }), [other.id, one.id])
  assert.deepEqual(await found(filled, { reason: "filtered", integration: 20 }), [other.id])
  assert.deepEqual(await found(filled, { reason: "filtered", integration: 2 }), [other.id])
  assert.deepEqual(await found(filled, { reason: "queued", integration: 20 }), [])
  assert.deepEqual(await found(filled, { reason: "queued", integration: 202 }), [other.id])
  const reasons = await withheldFrom(filled.store.reads, filled.project, 20, [one.id, other.id])
  assert.deepEqual(
    [...reasons],
    [
      [one.id, "not_verified"],
      [other.id, "filtered"],
    ],
  )
})

test("no search reads a table from end to end, and each uses the index made for it", async t => {
  const filled = await openFilledStore(t)
  const [crm] = filled.integrations
  const event = await filled.accept({ profileId: "p1", externalId: "own", targets: [crm] })
  await filled.attempt({ event: event.id, integration: crm }, { record: "r1" })
  await filled.writeIndex()
  const plans: readonly (readonly [EventFilter, RegExp])[] = [
    [{}, /SEARCH event USING PRIMARY KEY \(project_id=\? AND id>\? AND id<\?\)/],
    [{ type: "order*" }, /SEARCH event USING PRIMARY KEY \(project_id=\? AND id>\? AND id<\?\)/],
    [{ status: "failed" }, /SEARCH event USING (COVERING )?INDEX event_by_need \(project_id=\? AND id>\? AND id<\?\)/],
    [{ externalId: "own" }, /SEARCH own_id USING PRIMARY KEY \(project_id=\? AND external_id=\?\)/],
    [
      { profileId: "p1" },
      /SEARCH search_entry USING PRIMARY KEY \(segment=\? AND project_id=\? AND field=\? AND value=\? AND event_id>\? AND event_id<\?\)/,
    ],
    [{ destinationRecord: "r1" }, /SEARCH attempt USING INTEGER PRIMARY KEY \(rowid>\?\)/],
    [{ integration: crm }, /SEARCH event USING PRIMARY KEY \(project_id=\? AND id>\? AND id<\?\)/],
  ]
  for (const [filter, plan] of plans) {
    const watcher = new PlanWatcher(filled.store)
    await search(filled, filter, { db: watcher })
    await watcher.assertNoScan()
    await watcher.assertStep(plan, JSON.stringify(filter))
    // Along the index of what needs action no step may fall back to walking all events.
    if (filter.status === "failed") await watcher.assertNoStep(/event USING PRIMARY KEY \(project_id=\? AND id>/)
  }
  const watcher = new PlanWatcher(filled.store)
  await destinationRecords(watcher, filled.project, [event.id])
  await withheldFrom(watcher, filled.project, crm, [event.id])
  await readEvent(watcher, filled.project, event.id, filled.now)
  await watcher.assertNoScan()
})
