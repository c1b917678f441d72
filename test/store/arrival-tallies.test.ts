/** What came in is tallied after the fact, each event once, and whoever reads a tally sees it at once. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { nextUntallied, talliedUpTo, tallyArrivals } from "../../src/store/arrival-tallies.ts"
import { raw, sql } from "../../src/store/database.ts"
import { hoursOf, typesArrived } from "../../src/store/diagnosis-reads.ts"
import { giveBack, queuePiece, type Send } from "../../src/store/recovery-moves.ts"
import type { Step } from "../../src/store/step.ts"
import { type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { makeIntegrations } from "../help/letting-go.ts"
import { PlanWatcher } from "../help/query-plans.ts"
import { keptArrivals, type Query, wrongArrivals } from "../help/tallies.ts"

const HOUR_MS = 3_600_000
const queryOf =
  ({ store }: FilledStore): Query =>
  text =>
    store.db.query(raw(text))

/** Events of several projects, hours, sources, apps and types, and one that is a test. */
async function fill(filled: FilledStore): Promise<void> {
  await filled.query(sql`insert into project (id, name, created_at) values (1001, 'other', 0), (1002, 'quiet', 0)`)
  const [a, b, c] = filled.integrations
  for (let i = 0; i < 60; i++) {
    filled.now += HOUR_MS / 20
    await filled.accept({
      project: i % 5 === 0 ? 1_001 : filled.project,
      type: i % 2 === 0 ? "order_paid" : "user_left",
      source: `device/${i % 7}`,
      environment: i % 3 === 0 ? "sandbox" : "production",
      ...(i % 4 === 0 ? { appId: 7 } : {}),
      targets: i % 6 === 0 ? [] : [a, b],
      withheld: i % 6 === 0 ? { type_disabled: [a, c], filtered: [b] } : { filtered: [c] },
      payload: { kind: "text", text: "x".repeat(i), mediaType: "text/plain" },
      test: i % 11 === 0,
    })
  }
}

/** Tallies all that is there. */
async function tallyAll({ store }: FilledStore): Promise<number> {
  for (let pieces = 0; ; pieces++) {
    const some = await nextUntallied(store.reads, store.ids.last)
    if (some === null) return pieces
    await store.ledger.inNextCommit(() => tallyArrivals(some))
  }
}

/** What is read of all integrations and types. */
async function readAll({ store, project, integrations, now }: FilledStore) {
  const hours = []
  for (const integration of integrations) hours.push(await hoursOf(store.reads, { project, integration, now }))
  const types = await typesArrived(store.reads, project, now - 5 * HOUR_MS)
  return { hours, types: types.map(one => JSON.stringify(one)).sort() }
}

test("accepting writes no tally, and what it comes to is tallied from the events' rows", async t => {
  const filled = await openFilledStore(t)
  await fill(filled)
  const query = queryOf(filled)
  assert.deepEqual(await keptArrivals(query), {})
  assert.equal(await tallyAll(filled), 1)
  assert.deepEqual(await wrongArrivals(query, "true"), {})
  assert.ok(Object.keys(await keptArrivals(query)).length > 50)
  assert.equal(await tallyAll(filled), 0, "nothing is left")
  await filled.accept({ targets: [filled.integrations[0]] })
  await tallyAll(filled)
  assert.deepEqual(await wrongArrivals(query, "true"), {})
})

test("many events are tallied in pieces of some hundreds, whichever project they are of", async t => {
  const filled = await openFilledStore(t)
  await filled.query(sql`insert into project (id, name, created_at) values (1001, 'other', 0)`)
  const one = { key: null, fingerprint: null, idempotencyKey: null, appId: null, payloadDays: 7, red: 0, test: false }
  const event = await filled.accept()
  await filled.store.ledger.accept(
    Array.from({ length: 2_600 }, (_, i) => ({
      ...one,
      project: i % 9 === 0 ? 1_001 : filled.project,
      draft: { ...event, externalId: null, app: null },
      receivedAt: filled.now,
      targets: [],
      withheld: { filtered: [filled.integrations[i % 3] ?? 0] },
    })),
  )
  const first = await nextUntallied(filled.store.reads, filled.store.ids.last)
  assert.deepEqual(first?.projects.toSorted(), [filled.project, 1_001])
  const [{ n } = { n: 0 }] = await filled.query<{ n: number }>(
    sql`select count(*) as n from event where id <= ${first?.upTo ?? 0}`,
  )
  assert.ok(n > 500 && n <= 1_000, `${n} events in a piece`)
  assert.ok((await tallyAll(filled)) >= 3)
  assert.deepEqual(await wrongArrivals(queryOf(filled), "true"), {})
})

test("tallying that is cut short at any of its statements counts nothing, and once more counts all once", async t => {
  const filled = await openFilledStore(t)
  await fill(filled)
  const query = queryOf(filled)
  const piece = await nextUntallied(filled.store.reads, filled.store.ids.last)
  assert.ok(piece)
  let isWhole = false
  for (let statements = 0; !isWhole; statements++) {
    const cut = filled.store.ledger.inNextCommit(() => cutAfter(tallyArrivals(piece), statements))
    isWhole = await cut.then(
      () => true,
      () => false,
    )
    if (!isWhole) {
      assert.deepEqual(await keptArrivals(query), {}, `after ${statements} statements`)
      assert.equal(await talliedUpTo(filled.store.reads), 0)
    } else assert.ok(statements > 5, `${statements} statements`)
  }
  assert.deepEqual(await wrongArrivals(query, "true"), {})
  // The same piece again, as when its answer was lost with a connection.
  await filled.store.ledger.inNextCommit(() => tallyArrivals(piece))
  assert.deepEqual(await wrongArrivals(query), {})
})

/** Carries out so many statements of a step, and fails where it wants more. */
function* cutAfter(step: Step<void>, statements: number): Step<void> {
  let turn = step.next()
  for (let done = 0; turn.done !== true; done++) {
    if (done === statements) throw new Error("cut short")
    turn = step.next(yield turn.value)
  }
}

test("a read right after an event was accepted sees it, and tallying it changes nothing of that", async t => {
  const filled = await openFilledStore(t)
  const { project, integrations } = filled
  const [a, b] = integrations
  const latest = async (integration: number) =>
    (await hoursOf(filled.store.reads, { project, integration, now: filled.now })).at(-1)
  await filled.accept({ targets: [a], withheld: { filtered: [b] } })
  assert.equal((await latest(a))?.routed, 1)
  assert.deepEqual([(await latest(b))?.routed, (await latest(b))?.withheld], [0, { filtered: 1 }])
  assert.deepEqual(await typesArrived(filled.store.reads, project, filled.now), [
    { type: "order_paid", app: 0, count: 1 },
  ])
  await tallyAll(filled)
  await filled.accept({ targets: [a], withheld: { filtered: [b] } })
  assert.equal((await latest(a))?.routed, 2)
  assert.deepEqual((await latest(b))?.withheld, { filtered: 2 })
  await fill(filled)
  const before = await readAll(filled)
  await tallyAll(filled)
  assert.deepEqual(await readAll(filled), before)
})

test("two that tally the same at the same time count it once", async t => {
  const filled = await openFilledStore(t)
  await fill(filled)
  const piece = await nextUntallied(filled.store.reads, filled.store.ids.last)
  assert.ok(piece)
  await Promise.all([1, 2, 3].map(() => filled.store.ledger.inNextCommit(() => tallyArrivals(piece))))
  assert.deepEqual(await wrongArrivals(queryOf(filled), "true"), {})
})

for (const isTallied of [true, false]) {
  const when = isTallied ? "was tallied" : "has not been tallied yet"
  test(`a recovery of an event that ${when} counts what it was accepted with, and that it is sent, unless it is given back`, async t => {
    const filled = await openFilledStore(t)
    await makeIntegrations(filled)
    const { project, integrations, store } = filled
    const [a, b] = integrations
    const withheld = await filled.accept({ targets: [], withheld: { filtered: [a] } })
    const missing = await filled.accept({ targets: [b] })
    if (isTallied) await tallyAll(filled)
    filled.now += 2 * HOUR_MS
    const recovery = await recover(filled, [
      { event: withheld.id, standing: { kind: "withheld", reason: "filtered" } },
      { event: missing.id, standing: { kind: "missing" } },
    ])
    const summary = async () => {
      const hours = (await hoursOf(store.reads, { project, integration: a, now: filled.now })).slice(-3)
      return hours.map(hour => [hour.routed, hour.withheld["filtered"] ?? 0])
    }
    const counted = (sent: number) => [
      [0, 1],
      [0, 0],
      [sent, 0],
    ]
    assert.deepEqual(await summary(), counted(2))
    const back = { recovery, integration: a, toResume: false, limit: 1 }
    await store.ledger.inNextCommit(commit => giveBack(commit, back))
    assert.deepEqual(await summary(), counted(1))
    await tallyAll(filled)
    assert.deepEqual(await summary(), counted(1))
    await store.ledger.inNextCommit(commit => giveBack(commit, { ...back, limit: 5 }))
    assert.deepEqual(await summary(), counted(0))
  })
}

/** Queues events at the first integration for a recovery of its own. */
async function recover(filled: FilledStore, some: readonly Pick<Send, "event" | "standing">[]): Promise<number> {
  const { store, project, integrations, now } = filled
  const [integration] = integrations
  const recovery = store.ids.next()
  await filled.query(sql`
    insert into recovery (id, project_id, state, asked, up_to, by_kind, created_at, updated_at)
    values (${recovery}, ${project}, 'running', '{}', ${recovery}, 'operator', ${now}, ${now})`)
  await filled.query(sql`
    insert into recovery_lane (recovery_id, integration_id, reached) values (${recovery}, ${integration}, 0)`)
  const queued = await store.ledger.inNextCommit(commit =>
    queuePiece(commit, {
      recovery,
      project,
      integration,
      from: 0,
      reached: store.ids.last,
      isThrough: true,
      sends: some.map(one => ({ ...one, orderingKey: null, keepsRevision: false })),
      again: [],
      counts: [],
    }),
  )
  assert.equal(queued, some.length)
  return recovery
}

test("no question of tallying reads a table from one end to the other", async t => {
  const filled = await openFilledStore(t)
  await fill(filled)
  const watcher = new PlanWatcher(filled.store)
  const piece = await nextUntallied(watcher, filled.store.ids.last)
  assert.ok(piece)
  const [, ask] = [...asks(tallyArrivals(piece))]
  assert.ok(ask)
  await watcher.query(ask)
  await watcher.assertNoScan()
})

/** The first two statements of the step. */
function* asks(step: Step<void>) {
  const first = step.next()
  if (first.done !== true) yield first.value.statement
  const second = step.next([{ event_id: 5 }])
  if (second.done !== true) yield second.value.statement
}
