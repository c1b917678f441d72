/** Forty days on PostgreSQL with a clock that is turned: what is due goes in time, and nothing else. */
import assert from "node:assert/strict"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import test, { type TestContext } from "node:test"
import type { Event } from "../../../src/domain/event.ts"
import { timeOfId } from "../../../src/domain/id.ts"
import { Keeper } from "../../../src/engine/keeper.ts"
import { Metrics } from "../../../src/engine/metrics.ts"
import { openLog } from "../../../src/log.ts"
import { raw, sql } from "../../../src/store/database.ts"
import { readEvent } from "../../../src/store/event-reads.ts"
import { METADATA_MS } from "../../../src/store/kept.ts"
import type { Claim } from "../../../src/store/ledger.ts"
import { clearPlace } from "../../help/engines.ts"
import { DAY_MS, FilledStore, json } from "../../help/filled-store.ts"
import { countOf, makeIntegrations, pause } from "../../help/letting-go.ts"
import { testDatabase, withClient } from "../../help/postgres.ts"
import { assertWithin } from "../../help/punctual.ts"

const HOUR_MS = 3_600_000
const classes = [1, 7, 30] as const

/** A store on PostgreSQL with a keeper, on one clock. */
class Days {
  readonly filled: FilledStore
  readonly metrics = new Metrics("0", "0")
  readonly errors: string[] = []
  readonly keeper: Keeper
  readonly #startedAt: number

  constructor(filled: FilledStore) {
    this.filled = filled
    this.#startedAt = filled.now
    const log = openLog("silent")
    log.error = ((what: unknown) => void this.errors.push(String(what))) as typeof log.error
    this.keeper = new Keeper({
      store: filled.store,
      metrics: this.metrics,
      now: () => filled.now,
      monotonicNow: () => filled.now - this.#startedAt,
      log,
    })
  }

  /** The days of a table's partitions, or the parts, in order. */
  async partitionsOf(parent: string): Promise<number[]> {
    const rows = await this.filled.query<{ name: string }>(sql`
      select inhrelid::regclass::text as name from pg_inherits where inhparent = to_regclass(${parent})`)
    return rows.map(({ name }) => Number(name.slice(parent.length + 1))).sort((a, b) => a - b)
  }

  async eventsWithPayload(): Promise<ReadonlySet<number>> {
    const rows = await this.filled.query<{ id: number }>(sql`
      select e.id from event e join payload p on p.event_id = e.id and p.part = e.payload_part`)
    return new Set(rows.map(({ id }) => id))
  }
}

async function openDays(t: TestContext): Promise<Days> {
  const place = { dataDir: mkdtempSync(join(tmpdir(), "waybill-store-")), url: await testDatabase() }
  const filled = new FilledStore(place)
  t.after(async () => {
    await filled.close()
    await clearPlace(place)
  })
  filled.now = Date.UTC(2026, 10, 21, 1)
  await filled.open()
  await makeIntegrations(filled)
  return new Days(filled)
}

const dayOf = (at: number) => Math.floor(at / DAY_MS)

test("over forty days each day and each part goes in its time, nothing before, and all that is due to be kept can be read", async t => {
  const days = await openDays(t)
  const { filled, keeper } = days
  const [running, paused, ordered] = filled.integrations
  await pause(filled, paused)
  const start = filled.now
  const events: { event: Event; class: number; isHeld: boolean }[] = []
  let ended = 0
  // It fails and blocks its key; what comes behind it waits.
  let first: Claim | undefined
  for (let hours = 0; hours < 40 * 24; hours += 6) {
    filled.now = start + hours * HOUR_MS
    // What was put off for three weeks is sent with what it came with.
    const late = await filled.claim(running, 10)
    assert.equal(late.length, hours >= 21 * 24 && hours % 24 === 6 ? 1 : 0)
    for (const claim of late) {
      assert.deepEqual(claim.event?.payload, json(`{"n":${hours - 21 * 24}}`))
      await filled.settle(claim)
    }
    for (const [i, payloadDays] of classes.entries()) {
      const externalId = `order-${hours}-${i}`
      const targets = i === 1 && hours % 24 === 0 ? [running, paused, ordered] : [running]
      const event = await filled.accept({
        ...{ payloadDays, externalId, targets, ordered: targets.length > 1, orderingKey: "k", profileId: `p${i}` },
        payload: json(`{"n":${hours}}`),
      })
      // Once a day a delivery is to be tried again in three weeks: its payload has to last until then.
      const isHeld = i === 0 && hours % 24 === 6
      events.push({ event, class: payloadDays, isHeld })
      const [claim] = await filled.claim(running)
      assert.equal(claim?.delivery.event, event.id)
      assert.deepEqual(claim.event?.payload, event.payload)
      await filled.settle(claim, isHeld ? { next: "retrying", at: filled.now + 21 * DAY_MS } : {})
    }
    first ??= (await filled.claim(ordered))[0]
    if (hours === 0 && first !== undefined) await filled.settle(first, { next: "failed", blocksLine: true })
    if (hours % 24 !== 18) continue
    const report = await keeper.runOnce()
    assert.deepEqual(report.failed_steps, [])
    ended += report.removed.delivery_ended ?? 0
    await assertKept(days, events)
  }
  assert.deepEqual(days.errors, [])
  // At the paused integration one a day, after seven days each; behind the block those of its first 24 days, until it went itself
  // with its event, thirty days old, and the rest could go on.
  assert.equal(ended, 33 + 24)
})

async function assertKept(days: Days, events: readonly { event: Event; class: number; isHeld: boolean }[]) {
  const { filled } = days
  const { now } = filled
  const today = dayOf(now)
  const oldest = Math.max(dayOf(events[0]?.event.receivedAt ?? 0), dayOf(now - METADATA_MS))
  const expected = Array.from({ length: today + 3 - oldest }, (_, i) => oldest + i)
  for (const parent of ["event", "delivery", "attempt", "search_entry"]) {
    assert.deepEqual(await days.partitionsOf(parent), expected, parent)
  }
  assert.ok(today + 1 - oldest <= 31)
  // Today and tomorrow have parts of all classes; what expires with a day goes when it is over.
  const parts = events.flatMap(one => (dayOf(one.event.receivedAt) + one.class >= today ? [partOf(one)] : []))
  const ahead = classes.map(one => (today + 1) * 1_000 + one)
  const kept = new Set([...parts, ...ahead])
  for (const parent of ["payload", "exchange"]) {
    const found = await days.partitionsOf(parent)
    assert.deepEqual(
      found.filter(part => part % 1_000 !== 0),
      [...kept].sort((a, b) => a - b),
      parent,
    )
    assert.ok(found.filter(part => part % 1_000 === 0).length <= 2, "what is held is held in one place")
  }
  const [strays] = await filled.query<{ n: number }>(sql`
    select count(*) as n from pg_partitioned_table where partdefid <> 0`)
  assert.equal(strays?.n, 0, "no table has a partition for what belongs nowhere")
  const [young, old] = [
    events.filter(one => isYoung(one.event, oldest)),
    events.filter(one => !isYoung(one.event, oldest)),
  ]
  for (const table of ["event", "own_id"]) assert.equal(await countOf(filled, table), young.length, table)
  assert.equal(await countOf(filled, "delivery d left join event e on e.id = d.event_id", "e.id is null"), 0)
  assert.equal(
    await countOf(
      filled,
      "event e",
      "e.n_open + e.n_retrying > 0 and not exists (select from payload p where p.event_id = e.id and p.part = e.payload_part)",
    ),
    0,
  )
  // Some of each, by id: those on either side of each border.
  for (const one of [...young.slice(0, 3), ...young.slice(-3)]) {
    const found = await readEvent(filled.store.reads, filled.project, one.event.id, now)
    const isReadable = one.event.receivedAt > now - METADATA_MS
    assert.equal(found === undefined, !isReadable)
    const isOver = one.event.receivedAt + one.class * DAY_MS <= now
    if (isReadable && !isOver) assert.deepEqual(found?.event?.payload, one.event.payload)
  }
  const withPayload = await days.eventsWithPayload()
  for (const one of young) {
    const lasts =
      dayOf(one.event.receivedAt) + one.class >= today || (one.isHeld && now < one.event.receivedAt + 21 * DAY_MS)
    if (lasts) assert.ok(withPayload.has(one.event.id), `the payload of ${one.event.externalId}`)
  }
  for (const one of old.slice(-3)) {
    assert.equal(await countOf(filled, "delivery", `event_id = ${one.event.id}`), 0)
  }
}

function partOf(one: { event: Event; class: number }): number {
  return dayOf(one.event.receivedAt) * 1_000 + one.class
}

function isYoung(event: Event, oldest: number): boolean {
  return dayOf(timeOfId(event.id)) >= oldest
}

test("tomorrow's partitions missing late in the day are told, and a batch that finds none makes its own", async t => {
  const days = await openDays(t)
  const { filled, keeper, metrics } = days
  const day = dayOf(filled.now)
  const missing = async () => {
    for (const parent of ["event", "delivery", "attempt", "search_entry"]) {
      await filled.query(sql`drop table ${raw(`${parent}_${day + 1}`)}`)
    }
    await filled.query(sql`delete from search_segment where id = ${day + 1}`)
  }
  const ahead = async () => (await metrics.daysAhead.get()).values[0]?.value
  await keeper.runOnce()
  assert.deepEqual([await ahead(), keeper.partitionFault()], [2, null])
  await missing()
  // As if Waybill's user could not make tables any more.
  await filled.query(sql`alter function make_day_1(bigint) rename to make_day_0`)
  const early = await keeper.runOnce()
  assert.deepEqual([early.failed_steps, await ahead(), keeper.partitionFault()], [["partitions ahead"], 0, null])
  filled.now = (day + 1) * DAY_MS - HOUR_MS
  await keeper.runOnce()
  assert.match(keeper.partitionFault() ?? "", /no partitions for tomorrow/)
  assert.equal(days.errors.length, 1)
  await filled.query(sql`alter function make_day_0(bigint) rename to make_day_1`)
  filled.now = (day + 1) * DAY_MS + 1
  const event = await filled.accept()
  assert.equal(await countOf(filled, `event_${day + 1}`, `id = ${event.id}`), 1)
  await keeper.runOnce()
  assert.equal(keeper.partitionFault(), null)
})

test("a partition goes while others write and a slow query reads: nobody waits for it", async t => {
  const days = await openDays(t)
  const { filled, keeper } = days
  const old = await filled.accept()
  await keeper.runOnce()
  filled.now += 31 * DAY_MS
  const { url = "" } = filled.place
  let longestMs = 0
  await withClient(url, async reader => {
    await reader.query("begin")
    await reader.query("select count(*) from event, payload")
    const run = keeper.runOnce()
    for (let i = 0; i < 200; i++) {
      const startedAt = performance.now()
      await filled.accept({ targets: [filled.integrations[0]] })
      longestMs = Math.max(longestMs, performance.now() - startedAt)
    }
    await reader.query("commit")
    const report = await run
    // A query that lasts longer than a lock is waited for leaves it to the next run.
    if (report.failed_steps.length > 0) await keeper.runOnce()
  })
  assert.equal(await countOf(filled, "event", `id = ${old.id}`), 0)
  assert.deepEqual(
    (await days.partitionsOf("event")).filter(day => day < dayOf(old.receivedAt) + 1),
    [],
  )
  t.diagnostic(`the longest accept took ${Math.round(longestMs)} ms`)
  assertWithin(longestMs, 1_000)
})
