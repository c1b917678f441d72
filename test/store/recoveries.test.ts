import assert from "node:assert/strict"
import { test } from "node:test"
import type { EventId } from "../../src/domain/id.ts"
import { type RecoverableStatus, type RecoveryAsk, recoverableStatuses, walkFrom } from "../../src/domain/recovery.ts"
import { sql } from "../../src/store/database.ts"
import { searchDeliveries } from "../../src/store/delivery-search.ts"
import {
  insertRecovery,
  onTheirWay,
  openRecoveries,
  type RecoveryRecord,
  readRecovery,
} from "../../src/store/recoveries.ts"
import { lookOn } from "../../src/store/recovery-look.ts"
import { giveBack, queuePiece, type RecoveryPiece, type Send } from "../../src/store/recovery-moves.ts"
import { DAY_MS, type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { countOf, letGo, makeIntegrations } from "../help/letting-go.ts"
import { PlanWatcher } from "../help/query-plans.ts"

const askFor = (filled: FilledStore, more: Partial<RecoveryAsk> = {}): RecoveryAsk => ({
  integrations: [filled.integrations[0]],
  from: 0,
  to: filled.now + 1,
  statuses: ["failed", "withheld"],
  reasons: null,
  eventTypes: null,
  environment: null,
  app: null,
  includeHistorical: false,
  configuration: "current",
  maxPerSecond: null,
  ...more,
})

/** Events that stand at the first integration in every way there is; gives each one's way. */
async function fill(filled: FilledStore): Promise<Map<EventId, RecoverableStatus | "other">> {
  const [integration, other] = filled.integrations
  const ways = new Map<EventId, RecoverableStatus | "other">()
  for (let i = 0; i < 140; i++) {
    filled.now += 500
    const way = i % 7
    const withheld = way === 3 ? { not_verified: [other, integration] } : way === 4 ? { filtered: [integration] } : {}
    const targets = way === 5 ? [other] : way === 3 || way === 4 ? [] : [integration]
    const event = await filled.accept({ targets, withheld, type: i % 2 === 0 ? "order_paid" : "user_left" })
    const [claim] = targets[0] === integration ? await filled.claim(integration) : []
    if (claim === undefined) {
      ways.set(event.id, way === 3 ? "withheld" : way === 5 ? "missing" : "other")
      continue
    }
    if (way === 0) await filled.settle(claim, { next: "failed", reason: { code: "rejected", facts: { status: 404 } } })
    else if (way === 1) await filled.settle(claim, { next: "failed", reason: { code: "sleeping", facts: {} } })
    else if (way === 2) await filled.settle(claim)
    else await filled.settle(claim, { next: "retrying", at: filled.now + DAY_MS })
    ways.set(event.id, (["failed", "skipped", "delivered"] as const)[way] ?? "other")
  }
  return ways
}

/** All that a look finds, window by window. */
async function lookAll(
  filled: FilledStore,
  ask: RecoveryAsk,
  rows: number,
  db = filled.store.reads,
): Promise<EventId[]> {
  const found: EventId[] = []
  const [integration] = ask.integrations
  const look = { project: filled.project, integration: integration ?? 0, recovery: 0, ask, now: filled.now, rows }
  for (let after: EventId | null = walkFrom(filled.now - 29 * DAY_MS); after !== null; ) {
    const step = await lookOn(db, { ...look, after, upTo: filled.store.ids.last })
    found.push(...step.found.map(event => event.id))
    assert.ok(step.reached === null || step.reached > after, "a walk goes on")
    after = step.reached
  }
  return found
}

test("a look finds exactly what is asked for, whatever the windows, oldest first", async t => {
  const filled = await openFilledStore(t)
  const ways = await fill(filled)
  const of = (...wanted: readonly string[]) => [...ways].flatMap(([id, way]) => (wanted.includes(way) ? [id] : []))
  const cases: [Partial<RecoveryAsk>, EventId[]][] = [
    [{}, of("failed", "skipped", "withheld")],
    [{ statuses: ["failed"] }, of("failed", "skipped")],
    [{ statuses: ["skipped"] }, of("skipped")],
    [{ statuses: ["missing"] }, of("missing")],
    [{ statuses: ["delivered"] }, of("delivered")],
    [{ statuses: [...recoverableStatuses] }, of(...recoverableStatuses)],
    [{ reasons: ["rejected"] }, of("failed")],
    [{ reasons: ["not_verified"] }, of("withheld")],
    [{ reasons: ["no_recent_success"] }, []],
  ]
  for (const [more, expected] of cases) {
    for (const rows of [3, 1_000])
      assert.deepEqual(await lookAll(filled, askFor(filled, more), rows), expected, JSON.stringify(more))
  }
  const paid = await lookAll(filled, askFor(filled, { eventTypes: ["order_*"], statuses: ["failed"] }), 1_000)
  const left = await lookAll(filled, askFor(filled, { eventTypes: ["user_left"], statuses: ["failed"] }), 1_000)
  assert.deepEqual([...paid, ...left].sort(), of("failed", "skipped"))
  const grey = await lookAll(filled, askFor(filled, { reasons: ["filtered"] }), 1_000)
  assert.equal(grey.length, 20)
})

test("no look reads a whole table: each goes along an index", async t => {
  const filled = await openFilledStore(t)
  await fill(filled)
  const watch = async (more: Partial<RecoveryAsk>) => {
    const watcher = new PlanWatcher(filled.store)
    await lookAll(filled, askFor(filled, more), 50, watcher)
    await watcher.assertNoScan()
    return watcher
  }
  await (await watch({ statuses: ["failed"] })).assertStep(/delivery.*delivery_failed/)
  await (await watch({})).assertStep(/event.*event_by_need/)
  for (const statuses of [["missing"], ["delivered"], ["withheld"]] as RecoverableStatus[][]) {
    const watched = await watch({ statuses, reasons: statuses[0] === "withheld" ? ["filtered"] : null })
    await watched.assertStep(/SEARCH event USING PRIMARY KEY/)
  }
  const watcher = new PlanWatcher(filled.store)
  await onTheirWay(watcher, [1, 2], 3)
  await onTheirWay(watcher, [1, 2])
  await openRecoveries(watcher)
  await watcher.assertNoScan()
  await watcher.assertStep(/delivery.*COVERING INDEX delivery_recovering/)
  const searches = new PlanWatcher(filled.store)
  const search = { project: filled.project, limit: 10, now: filled.now, budgetMs: 60_000 }
  await searchDeliveries(searches, { ...search, filter: { recovery: 1 } })
  await searches.assertNoScan()
  await searches.assertStep(/delivery.*delivery_recovered/)
})

test("a piece is queued once: not where the recovery is elsewhere by now, nor what is no longer as it was found", async t => {
  const filled = await openFilledStore(t)
  const ways = await fill(filled)
  const [integration] = filled.integrations
  const ask = askFor(filled, { statuses: ["failed"] })
  const id = filled.store.ids.next()
  const by = { kind: "operator", id: null } as const
  const lanes = [{ integration, reached: 0, isThrough: false }]
  const at = filled.now
  const record = {
    id,
    project: filled.project,
    state: "running",
    ask,
    upTo: id,
    by,
    createdAt: at,
    updatedAt: at,
  } as const
  await filled.store.db.transaction(tx => insertRecovery(tx, { ...record, endedAt: null, lanes }))
  const failed = [...ways].flatMap(([event, way]) => (way === "failed" ? [event] : []))
  const sends: Send[] = failed.map(event => ({
    event,
    standing: { kind: "delivery", status: "failed", reason: "rejected" },
    orderingKey: null,
    keepsRevision: false,
  }))
  const piece = (more: Partial<RecoveryPiece>): RecoveryPiece => ({
    recovery: id,
    project: filled.project,
    integration,
    from: 0,
    reached: failed[9] ?? 0,
    isThrough: false,
    sends: sends.slice(0, 10),
    again: [],
    counts: [],
    ...more,
  })
  const queue = (more: Partial<RecoveryPiece>) =>
    filled.store.ledger.inNextCommit(commit => queuePiece(commit, piece(more)))
  assert.equal(await queue({}), 10)
  assert.equal(await queue({}), null)
  assert.equal(await queue({ from: failed[9] ?? 0, sends: sends.slice(5, 15) }), 5)
  const [there] = await onTheirWay(filled.store.reads, [id], integration)
  assert.equal(there?.waiting, 15)
  const stored = await readRecovery(filled.store.reads, filled.project, id)
  assert.equal(stored?.lanes[0]?.reached, failed[9])
})

/** Writes a recovery down that runs at the first integration and has looked at nothing. */
async function begin(filled: FilledStore): Promise<number> {
  const [id, at] = [filled.store.ids.next(), filled.now]
  const record: RecoveryRecord = {
    ...{ id, project: filled.project, ask: askFor(filled), upTo: id, createdAt: at, updatedAt: at, endedAt: null },
    state: "running",
    by: { kind: "operator", id: null },
    lanes: [{ integration: filled.integrations[0], reached: 0, isThrough: false }],
  }
  await filled.store.db.transaction(tx => insertRecovery(tx, record))
  return id
}

/** Queues some at the first integration without moving on; gives how many were queued. */
function queue(filled: FilledStore, recovery: number, sends: readonly Pick<Send, "event" | "standing">[]) {
  const piece: RecoveryPiece = {
    ...{
      recovery,
      project: filled.project,
      integration: filled.integrations[0],
      from: 0,
      reached: 0,
      isThrough: false,
    },
    sends: sends.map(send => ({ ...send, orderingKey: null, keepsRevision: false })),
    again: [],
    counts: [],
  }
  return filled.store.ledger.inNextCommit(commit => queuePiece(commit, piece))
}

const wasRejected = { kind: "delivery", status: "failed", reason: "rejected" } as const
const rejected = { next: "failed", reason: { code: "rejected", facts: { status: 404 } } } as const

for (const [what, change] of [
  ["switched off", sql`update integration set enabled = 0, disabled_by = 'person'`],
  ["removed", sql`update integration set enabled = 0, removed_at = 1`],
] as const) {
  test(`nothing is queued at an integration that is ${what} by then, and the recovery stays where it was`, async t => {
    const filled = await openFilledStore(t)
    await makeIntegrations(filled)
    const [integration] = filled.integrations
    const { id: event } = await filled.accept({ targets: [integration] })
    await filled.attempt({ integration, event }, rejected)
    const recovery = await begin(filled)
    await filled.query(change)
    assert.equal(await queue(filled, recovery, [{ event, standing: wasRejected }]), null)
    assert.equal(await countOf(filled, "delivery", "status = 'failed'"), 1)
    assert.equal(await countOf(filled, "recovery_tally"), 0)
    await filled.query(sql`update integration set enabled = 1, removed_at = null`)
    assert.equal(await queue(filled, recovery, [{ event, standing: wasRejected }]), 1)
  })
}

for (const [rule, reasons] of [
  ["stop", ["rejected", "waiting_turn"]],
  ["skip", ["rejected", "queued"]],
] as const) {
  test(`what held its line and is given back holds it by the policy of today: ${rule}`, async t => {
    const filled = await openFilledStore(t)
    await makeIntegrations(filled)
    const [integration] = filled.integrations
    const events: number[] = []
    for (let i = 0; i < 2; i++)
      events.push((await filled.accept({ targets: [integration], orderingKey: "k", ordered: true })).id)
    const [event = 0] = events
    await filled.attempt({ integration, event }, { ...rejected, blocksLine: true })
    const recovery = await begin(filled)
    assert.equal(await queue(filled, recovery, [{ event, standing: wasRejected }]), 1)
    const snapshot = JSON.stringify({ policy: { ordered: true, ordered_on_failure: rule } })
    await filled.query(sql`update integration set snapshot = ${snapshot}`)
    const back = { recovery, integration, toResume: false, limit: 10 }
    assert.equal(await filled.store.ledger.inNextCommit(commit => giveBack(commit, back)), 1)
    const rows = await filled.query<{ reason: string }>(sql`select reason from delivery order by event_id`)
    assert.deepEqual(
      rows.map(row => row.reason),
      reasons,
    )
    assert.equal((await filled.claim(integration)).length, rule === "stop" ? 0 : 1)
  })
}

test("what is queued, given back and queued again counts as routed once, in the hour in which it was queued", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [integration] = filled.integrations
  const { id: withheld } = await filled.accept({ withheld: { filtered: [integration] } })
  const { id: missing } = await filled.accept()
  const sends = [
    { event: withheld, standing: { kind: "withheld", reason: "filtered" } },
    { event: missing, standing: { kind: "missing" } },
  ] as const
  const recovery = await begin(filled)
  const hours = async () => {
    const rows = await filled.query<{ hour: number; count: number }>(sql`
      select hour, sum(count) as count from delivery_tally
      where outcome = 'routed' and hour > ${begun} group by hour having sum(count) <> 0 order by hour`)
    return rows.map(({ hour, count }) => [(hour - begun) / 3_600_000, Number(count)])
  }
  const begun = filled.now - (filled.now % 3_600_000)
  filled.now += 3_600_000
  for (const _ of [1, 2, 3]) {
    assert.equal(await queue(filled, recovery, sends), 2)
    const hour = (filled.now - (filled.now % 3_600_000) - begun) / 3_600_000
    assert.deepEqual(await hours(), [[hour, 2]])
    filled.now += 3_600_000
    const back = { recovery, integration, toResume: true, limit: 10 }
    assert.equal(await filled.store.ledger.inNextCommit(commit => giveBack(commit, back)), 2)
    assert.deepEqual(await hours(), [])
  }
})

test("a recovery goes 30 days after it has ended, with what it counted", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  await filled.query(sql`
    insert into recovery (id, project_id, state, asked, up_to, by_kind, created_at, updated_at, ended_at) values
      (1, ${filled.project}, 'done', '{}', 1, 'api_key', 0, 0, ${filled.now}),
      (2, ${filled.project}, 'running', '{}', 1, 'api_key', 0, 0, null)`)
  await filled.query(sql`insert into recovery_lane (recovery_id, integration_id, reached) values (1, 1, 0), (2, 1, 0)`)
  await filled.query(sql`
    insert into recovery_tally (recovery_id, integration_id, outcome, reason, count)
    values (1, 1, 'found', '', 1), (2, 1, 'found', '', 1)`)
  filled.now += 30 * DAY_MS - 1
  assert.equal((await letGo(filled))["recovery"], undefined)
  filled.now++
  assert.equal((await letGo(filled))["recovery"], 1)
  for (const table of ["recovery", "recovery_lane", "recovery_tally"]) {
    assert.equal(await countOf(filled, table), 1, table)
  }
})
