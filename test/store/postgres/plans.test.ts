/**
 * Every question that is asked of events, deliveries and attempts, on a million rows over thirty-one days: none reads a
 * table from one end to the other, and none comes to days that it has no need of.
 */
import assert from "node:assert/strict"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import test, { after, before } from "node:test"
import { firstIdAt } from "../../../src/domain/id.ts"
import type { RecoveryAsk } from "../../../src/domain/recovery.ts"
import { nextUntallied, tallyArrivals, untallied } from "../../../src/store/arrival-tallies.ts"
import { lastAttempts, readAttempts } from "../../../src/store/attempt-reads.ts"
import { blockedLines, expiredBehind } from "../../../src/store/blocked-lines.ts"
import { sql } from "../../../src/store/database.ts"
import { deliveriesAt, deliveriesOfEvent, readDelivery } from "../../../src/store/delivery-reads.ts"
import { type DeliveryFilter, searchDeliveries } from "../../../src/store/delivery-search.ts"
import {
  errorsBetween,
  failedBetween,
  failingRun,
  hoursOf,
  lastReached,
  lastSuccessAt,
  lastTried,
  triedLately,
  typesArrived,
  waitingOf,
} from "../../../src/store/diagnosis-reads.ts"
import type { EventFilter } from "../../../src/store/event-filter.ts"
import { readEvent, readRouting } from "../../../src/store/event-reads.ts"
import { destinationRecords, searchEvents, withheldFrom } from "../../../src/store/event-search.ts"
import { countQueue } from "../../../src/store/held-reads.ts"
import { lastSuccesses } from "../../../src/store/last-successes.ts"
import { expiredOf } from "../../../src/store/paused-waiting.ts"
import type { Reader } from "../../../src/store/reader.ts"
import { lookAt, lookOn } from "../../../src/store/recovery-look.ts"
import { findPosition, readStream, streamEnd } from "../../../src/store/stream-reads.ts"
import { clearPlace } from "../../help/engines.ts"
import { DAY_MS, FilledStore } from "../../help/filled-store.ts"
import { PartitionPlans } from "../../help/partition-plans.ts"
import { testDatabase, withClient } from "../../help/postgres.ts"

/** A million rows in all. */
const perDay = 5_200
const days = 31
const place = { dataDir: mkdtempSync(join(tmpdir(), "waybill-store-")), url: "" }
let filled: FilledStore
let plans: PartitionPlans

before(async () => {
  place.url = await testDatabase()
  filled = new FilledStore(place)
  await filled.open()
  // Shortly before midnight, so that the days are all of one length.
  filled.now = (Math.floor(filled.now / DAY_MS) + 1) * DAY_MS - 1
  await fill(filled)
  plans = new PartitionPlans(filled.store.reads)
})
after(async () => {
  await filled.close()
  await clearPlace(place)
})

const project = 1_000
const lane = 2_001
/** The day (0: the first) and place of an event; its id. */
const eventAt = (day: number, i: number) =>
  firstIdAt((Math.floor(filled.now / DAY_MS) - days + 1 + day) * DAY_MS) + i * Math.floor((DAY_MS * 4_096) / perDay)
const recent = () => eventAt(days - 1, perDay - 10)

/** How many of a table's partitions one statement may come to. */
type Limits = Readonly<Partial<Record<"event" | "delivery" | "attempt" | "search_entry" | "wasted", number>>>
const few = 3
/** Rows that one statement may look at for nothing: no index was made for it where there are more. */
const FEW_WASTED = 1_000

async function asked(question: (reads: Reader) => Promise<unknown>, limits: Limits = {}) {
  await question(plans)
  const faults: string[] = []
  for (const { text, visits } of plans.take()) {
    const wasted = visits.reduce((sum, visit) => sum + visit.wasted, 0)
    if (wasted > (limits.wasted ?? FEW_WASTED)) faults.push(`looks at ${wasted} rows for nothing: ${text}`)
    for (const [table, own] of Map.groupBy(visits, visit => visit.table)) {
      const most = limits[table as keyof Limits] ?? few
      const partitions = new Set(own.map(visit => visit.partition))
      // One that is empty, such as tomorrow's, is read whole in no time.
      const whole = own.filter(visit => visit.isWhole && visit.rows + visit.wasted > 0)
      if (whole.length > 0) faults.push(`reads all of ${table}_${whole[0]?.partition}: ${text}`)
      if (partitions.size > most) faults.push(`comes to ${partitions.size} of ${table}: ${text}`)
    }
  }
  assert.deepEqual([...new Set(faults)], [])
}

const all = 40
const search = { limit: 50, budgetMs: 10_000 }
/** What no index was made for: the events, or the deliveries of an integration, are walked through. */
const walks = ["a type that is rare", "an app", "an integration's reason"]

test("an event, a delivery and its attempts are found in the day that their ids name", async () => {
  const { now } = filled
  const id = eventAt(12, 100)
  await asked(reads => readEvent(reads, project, id, now), { event: 1 })
  await asked(reads => readRouting(reads, project, [id, recent()]), { event: 2 })
  await asked(reads => readDelivery(reads, project, { event: id, integration: lane }, now), { event: 1, delivery: 1 })
  await asked(reads => deliveriesOfEvent(reads, project, id, now), { event: 1, delivery: 1 })
  await asked(reads => deliveriesAt(reads, project, lane, [id, recent()]), { event: 2, delivery: 2 })
  await asked(reads => readAttempts(reads, [{ lastAttempt: id + 1 }], 20), { attempt: 2 })
  await asked(reads => destinationRecords(reads, project, [id, id + 1]), { event: 1, delivery: 1 })
  await asked(reads => withheldFrom(reads, project, lane, [id]), { event: 1 })
  await asked(reads => lookAt(reads, look("failed"), [id]), { event: 1, delivery: 1 })
})

const filters: Readonly<Record<string, () => EventFilter>> = {
  nothing: () => ({}),
  "a type": () => ({ type: "order_paid" }),
  "a type that is rare": () => ({ type: "rare" }),
  "failed ones": () => ({ status: "failed" }),
  "delivered ones": () => ({ status: "delivered" }),
  "an environment": () => ({ environment: "sandbox" }),
  "an app": () => ({ app: 77 }),
  "a profile": () => ({ profileId: "p17" }),
  "a device": () => ({ deviceId: "d17" }),
  "a source record": () => ({ sourceRecord: "none" }),
  "an own id": () => ({ externalId: "own-400" }),
  "an integration": () => ({ integration: lane }),
  "a day": () => ({ from: filled.now - 10 * DAY_MS, to: filled.now - 9 * DAY_MS }),
}
for (const [name, filter] of Object.entries(filters)) {
  test(`a search for events by ${name} comes to the days of its page`, async () => {
    const { now } = filled
    // A walk looks at 32,000 events at once at the most, which are seven days here. What is rare lies on many days: failed ones
    // are found by their index, and so are those of a value, a look at each day.
    const isRare = /profile|device|failed/.test(name)
    const limits = { event: isRare ? all : 8, search_entry: all, wasted: walks.includes(name) ? 32_000 : 1_000 }
    await asked(reads => searchEvents(reads, { project, filter: filter(), now, ...search }), limits)
  })
}
test("a search for events by a destination record asks the index of each day, and the days of what it finds", async () => {
  const filter = { destinationRecord: "r-5000" }
  await asked(reads => searchEvents(reads, { project, filter, now: filled.now, ...search }), { search_entry: all })
})

const deliveryFilters: Readonly<Record<string, () => DeliveryFilter>> = {
  nothing: () => ({}),
  "a status": () => ({ status: "failed" }),
  "an event": () => ({ event: eventAt(3, 3) }),
  "a record": () => ({ record: "r-5000" }),
  "an integration": () => ({ integration: lane }),
  "an integration's failures": () => ({ integration: lane, status: "failed" }),
  "an integration's reason": () => ({ integration: lane, reason: "server_error" }),
  "what waits": () => ({ integration: lane, status: "retrying" }),
  "what waits in a line": () => ({ integration: 2_002, status: "pending", orderingKey: "k3" }),
  "a recovery": () => ({ recovery: 900 }),
}
for (const [name, filter] of Object.entries(deliveryFilters)) {
  test(`a search for deliveries by ${name} comes to the days of its page`, async () => {
    const { now } = filled
    const isRare = /wait|recovery|status|failures/.test(name)
    const most = isRare ? all : 14
    const limits = { event: most, delivery: most, search_entry: all, wasted: walks.includes(name) ? 32_000 : 1_000 }
    await asked(reads => searchDeliveries(reads, { project, filter: filter(), now, ...search }), limits)
  })
}

test("a page of the stream comes to the day it stands in", async () => {
  const { now } = filled
  const from = eventAt(20, 5_000)
  const page = { project, after: from, upTo: recent(), filter: {}, rows: 500 }
  await asked(reads => readStream(reads, page), { event: 3, attempt: 2, delivery: 3 })
  await asked(reads => readStream(reads, { ...page, filter: { integration: lane, type: "order_*" } }))
  await asked(reads => streamEnd(reads, project))
  await asked(reads => findPosition(reads, project, "evt_00000000000", now))
})

test("a diagnosis reads the ends of its indexes", async () => {
  const { now } = filled
  const one = { project, integration: lane, now }
  const between = { ...one, from: now - DAY_MS, to: now }
  await asked(reads => lastTried(reads, one))
  await asked(reads => failingRun(reads, one))
  await asked(reads => triedLately(reads, now - 600_000))
  await asked(reads => lastReached(reads, lane, now))
  await asked(reads => errorsBetween(reads, between))
  await asked(reads => failedBetween(reads, { ...between, limit: 20 }))
  await asked(reads => lastSuccessAt(reads, one))
  await asked(reads => lastSuccesses(reads, [...filled.integrations]))
  for (const outcome of ["success", "error"] as const) {
    await asked(reads => lastAttempts(reads, { ...one, outcome, limit: 20 }))
  }
})

test("what has not been tallied yet is found by its ids", async () => {
  const { now } = filled
  const [tallied, last] = [eventAt(days - 1, perDay - 1_500), eventAt(days - 1, perDay)]
  await filled.query(sql`update tally_marker set event_id = ${tallied}`)
  await asked(reads => hoursOf(reads, { project, integration: lane, now }))
  await asked(reads => typesArrived(reads, project, now - DAY_MS))
  await asked(reads => untallied(reads))
  await asked(async reads => {
    const some = await nextUntallied(reads, last)
    assert.ok(some)
    const step = tallyArrivals(some)
    step.next()
    const select = step.next([{ event_id: tallied }])
    if (select.done !== true) await reads.query(select.value.statement)
  })
})

test("what waits is found by its index in each day, and nothing else of those days is read", async () => {
  const { now } = filled
  const limits = { delivery: all, event: all }
  await asked(reads => waitingOf(reads, lane), limits)
  await asked(reads => countQueue(reads, lane, 0, now), limits)
  await asked(reads => drain(expiredOf(reads, { id: 2_003, project }, { at: now, rows: 500 })), limits)
  await asked(reads => drain(blockedLines(reads, 100)), limits)
  const line = { integration: 2_002, project, key: "k3" }
  await asked(reads => expiredBehind(reads, line, { at: now, rows: 100 }), limits)
})

test("a recovery looks on from where it is", async () => {
  for (const status of ["failed", "delivered", "withheld", "missing"] as const) {
    const most = status === "failed" ? all : 4
    await asked(reads => lookOn(reads, look(status)), { event: most, delivery: most })
  }
})

test("accept, claim and settle come to today alone, and to a look at each day for what waits or stands in a line", async () => {
  const before = await visits()
  await filled.open()
  const [, lane] = filled.integrations
  for (let i = 0; i < 20; i++) {
    const key = { orderingKey: `fresh${i % 4}`, externalId: `fresh-${i}`, profileId: "p1" }
    await filled.accept({ targets: [lane], ordered: true, ...key })
  }
  let settled = 0
  for (let claims = await filled.claim(lane, 10); claims.length > 0; claims = await filled.claim(lane, 10)) {
    for (const claim of claims) await filled.settle(claim)
    settled += claims.length
  }
  assert.equal(settled, 20)
  const after = await visits()
  await filled.open()
  plans = new PartitionPlans(filled.store.reads)
  const today = Math.floor(filled.now / DAY_MS)
  const came = [...after].flatMap(([table, { whole, byIndex }]) => {
    const [, parent = "", partition = ""] = /^([a-z_]+?)_(\d+)$/.exec(table) ?? []
    const earlier = before.get(table)
    // One that was made meanwhile was read whole for that.
    if (earlier === undefined) return []
    return [{ parent, partition: Number(partition), whole: whole - earlier.whole, byIndex: byIndex - earlier.byIndex }]
  })
  assert.deepEqual(
    came.filter(one => one.whole > 0),
    [],
  )
  const calls = 20 + 3 + 20
  for (const { parent, partition, byIndex } of came) {
    const at = `${parent}_${partition}: ${byIndex}`
    if (parent === "delivery") assert.ok(partition >= today - 3 || byIndex <= 4 * calls, at)
    else if (parent === "event" || parent === "attempt") assert.ok(partition === today || byIndex === 0, at)
    else if (parent === "payload") assert.ok(Math.floor(partition / 1_000) === today || byIndex === 0, at)
  }
  assert.ok(came.some(one => one.parent === "delivery" && one.partition === today && one.byIndex > 0))
})

/** Closes the store; gives how often each partition was read since the beginning, whole or by an index. */
async function visits(): Promise<Map<string, { readonly whole: number; readonly byIndex: number }>> {
  await filled.close()
  return withClient(place.url, async client => {
    // A connection tells what it has done when it ends at the latest.
    for (let others = 1; others > 0; ) {
      const found = await client.query<{ n: string }>(
        "select count(*) as n from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'",
      )
      others = Number(found.rows[0]?.n)
    }
    const found = await client.query<{ relname: string; seq_scan: string; idx_scan: string }>(
      "select relname, seq_scan, coalesce(idx_scan, 0) as idx_scan from pg_stat_user_tables where relname ~ '_[0-9]+$'",
    )
    return new Map(found.rows.map(row => [row.relname, { whole: Number(row.seq_scan), byIndex: Number(row.idx_scan) }]))
  })
}

function look(status: RecoveryAsk["statuses"][number]) {
  const ask: RecoveryAsk = {
    ...{ integrations: [lane], from: filled.now - 20 * DAY_MS, to: filled.now, statuses: [status], reasons: null },
    ...{ eventTypes: null, environment: null, app: null, includeHistorical: true, configuration: "current" },
    maxPerSecond: null,
  }
  const [after, upTo] = [eventAt(11, 0), recent()]
  return { project, integration: lane, recovery: 0, ask, after, upTo, rows: 2_000, now: filled.now }
}

async function drain(pages: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of pages);
}

/** A million rows as a project of some traffic would have them after a month. */
async function fill({ store, now }: FilledStore): Promise<void> {
  const today = Math.floor(now / DAY_MS)
  const { db } = store
  for (let day = today - days + 1; day <= today; day++) await db.query(sql`select make_day_1(${day})`)
  for (let day = today - 7; day <= today; day++) {
    await db.query(sql`select make_part_1(${day * 1_000 + 7}, 7, ${day * DAY_MS}, ${(day + 8) * DAY_MS})`)
  }
  await db.query(sql`
    insert into integration (id, project_id, name, connector, revision, enabled, paused, snapshot, created_at, updated_at)
    select 2000 + i, ${project}, 'one', 'webhook', 1, 1, case i when 3 then 1 else 0 end, '{}', 0, 0
    from generate_series(1, 20) i`)
  const step = Math.floor((DAY_MS * 4_096) / perDay)
  for (let day = today - days + 1; day <= today; day++) {
    const from = firstIdAt(day * DAY_MS)
    const part = day > today - 8 ? day * 1_000 + 7 : 0
    // Every tenth event is another project's; one in fifty has failed at one of its two integrations.
    await db.query(sql`
      insert into event (
        project_id, id, type, source, external_id, environment, app_id, profile_id, device_id, ordering_key, occurred_at,
        received_at, payload_part, payload_bytes, payload_expires_at, targets, n_failed, n_retrying, n_delivered)
      select case i % 10 when 9 then 1001 else ${project}::bigint end, ${from}::bigint + i * ${step}::bigint,
        case when i % 2000 = 7 then 'rare' when i % 3 = 0 then 'order_paid' else 'user_created' end, 'api',
        case when i % 4 = 0 then 'own-' || i || '-' || ${day}::bigint end, case i % 5 when 4 then 'sandbox' else 'production' end,
        case i % 50 when 1 then 77 end, 'p' || i % 3000, 'd' || i % 3000, 'k' || i % 40,
        ${day * DAY_MS}::bigint + i * 16000, ${day * DAY_MS}::bigint + i * 16000, ${part}::bigint, 30,
        ${day * DAY_MS}::bigint + i * 16000 + ${7 * DAY_MS}::bigint,
        '[' || 2001 + i % 10 || ',' || 2011 + i % 10 || ']',
        case when i % 50 = 0 then 1 else 0 end, case when i % 50 = 1 and ${day}::bigint > ${today - 3}::bigint then 1 else 0 end, 1
      from generate_series(0, ${perDay - 1}::bigint) i`)
    await db.query(sql`
      insert into delivery (
        integration_id, event_id, project_id, status, reason, next_at, ordering_key, queue, revision, attempts,
        last_attempt_id, record_id, recovery_id, created_at, updated_at)
      select 2001 + i % 10 + 10 * k, e.id, e.project_id,
        case when k = 0 and i % 50 = 0 then 'failed' when k = 0 and i % 50 = 1 and ${day}::bigint > ${today - 3}::bigint then 'retrying'
          else 'delivered' end,
        case when k = 0 and i % 50 < 2 then 'server_error' end,
        case when k = 0 and i % 50 = 1 and ${day}::bigint > ${today - 3}::bigint then ${now + DAY_MS}::bigint end,
        case i % 10 when 1 then e.ordering_key end, 0, 1, 1, e.id + 1 + k, case when k = 0 then 'r-' || i end,
        case when i % 100 = 0 then 900 end, e.received_at, e.received_at
      from (select *, (id - ${from}::bigint) / ${step}::bigint as i from event
        where id >= ${from} and id < ${firstIdAt((day + 1) * DAY_MS)}) e cross join generate_series(0, 1) k`)
    await db.query(sql`
      insert into attempt (
        id, project_id, integration_id, event_id, number, started_at, outcome, reason, status, revision, process, url)
      select last_attempt_id, project_id, integration_id, event_id, 1, created_at,
        case status when 'delivered' then 'success' else 'error' end, reason, case status when 'delivered' then 200 else 503 end,
        1, 'a/1', 'crm.example/hook'
      from delivery where event_id >= ${from} and event_id < ${firstIdAt((day + 1) * DAY_MS)}`)
    await db.query(sql`
      insert into search_entry (segment, project_id, field, value, event_id)
      select ${day}::bigint, project_id, 1, profile_id, id from event
      where id >= ${from} and id < ${firstIdAt((day + 1) * DAY_MS)}`)
    await db.query(sql`
      insert into own_id (project_id, source, external_id, event_id, fingerprint)
      select project_id, source, external_id, id, '' from event
      where id >= ${from} and id < ${firstIdAt((day + 1) * DAY_MS)} and external_id is not null`)
    if (part === 0) continue
    await db.query(sql`
      insert into payload (part, event_id, project_id, kind, data)
      select payload_part, id, project_id, 'json', '{"a":"some thirty bytes of it"}'::bytea from event
      where id >= ${from} and id < ${firstIdAt((day + 1) * DAY_MS)}`)
  }
  await db.query(sql`analyze`)
}
