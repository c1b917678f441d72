/** The steps of a recovery where commits fail, and where two processes lead by turns: nothing is lost, nothing counts twice. */
import assert from "node:assert/strict"
import { type TestContext, test } from "node:test"
import { setTimeout as rest } from "node:timers/promises"
import type { RecoveryAsk } from "../../src/domain/recovery.ts"
import type { Directory } from "../../src/engine/directory.ts"
import type { RecovererOptions } from "../../src/engine/recover.ts"
import { RecoverySteps } from "../../src/engine/recovery-steps.ts"
import { sql } from "../../src/store/database.ts"
import type { Ledger } from "../../src/store/ledger.ts"
import { insertRecovery, type OnTheirWay, openRecoveries, setRecoveryState } from "../../src/store/recoveries.ts"
import { type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { makeIntegrations } from "../help/letting-go.ts"

const EVENTS = 10

/** A store with a recovery of ten deliveries that have failed. */
async function openRecovering(t: TestContext): Promise<FilledStore> {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const { integrations, project, store } = filled
  const [integration] = integrations
  for (let i = 0; i < EVENTS; i++) {
    const { id: event } = await filled.accept({ targets: [integration] })
    const reason = { code: "rejected", facts: { status: 404 } } as const
    await filled.attempt({ integration, event }, { next: "failed", reason })
  }
  filled.now += 1_000
  const ask: RecoveryAsk = {
    ...{ integrations: [integration], from: 0, to: filled.now, statuses: ["failed"], reasons: null },
    ...{ eventTypes: null, environment: null, app: null, includeHistorical: false, maxPerSecond: null },
    configuration: "original",
  }
  const [id, at] = [store.ids.next(), filled.now]
  const by = { kind: "operator", id: null } as const
  const lanes = [{ integration, reached: 0, isThrough: false }]
  const times = { createdAt: at, updatedAt: at, endedAt: null }
  await store.db.transaction(tx =>
    insertRecovery(tx, { id, project, state: "running", ask, upTo: id, by, ...times, lanes }),
  )
  return filled
}

/** The steps of one process. `ledger`: makes its commits in place of the store's. */
function stepsOf({ store, integrations, now }: FilledStore, ledger: Pick<Ledger, "inNextCommit"> = store.ledger) {
  const live = { integration: { enabled: true, policy: { ordered: false } }, routing: { passes: null } }
  const directory = {
    integration: (id: number) => (id === integrations[0] ? live : undefined),
  } as unknown as Directory
  const engine = { expect: () => undefined, expectRecovered: () => undefined }
  const parts = { store: { ...store, ledger: ledger as Ledger }, directory, engine, now: () => now }
  return new RecoverySteps(parts as unknown as RecovererOptions)
}

/** The recovery as it stands, and its only lane. */
async function standing({ store }: FilledStore) {
  const [recovery] = await openRecoveries(store.reads)
  const [lane] = recovery?.lanes ?? []
  assert.ok(recovery && lane)
  return { recovery, lane }
}

/** A piece of a process, of so many at the most; false where it could do nothing. */
async function queue(filled: FilledStore, steps: RecoverySteps, room = 2_000): Promise<boolean> {
  // The pace allows some of them at a time.
  await rest(20)
  const { recovery, lane } = await standing(filled)
  const others = { recovery: 0, integration: lane.integration, waiting: 2_000 - room, sending: 0, retrying: 0 }
  return steps.queue(recovery, lane, room < 2_000 ? [others] : [])
}

/** All that it can. */
async function queueAll(filled: FilledStore, steps: RecoverySteps): Promise<void> {
  for (let pieces = 0; await queue(filled, steps); pieces++) assert.ok(pieces < 100, "it comes to an end")
}

async function counts(filled: FilledStore): Promise<Record<string, number>> {
  const rows = await filled.query<{ outcome: string; count: number }>(sql`
    select outcome, count from recovery_tally where count <> 0`)
  return Object.fromEntries(rows.map(({ outcome, count }) => [outcome, Number(count)]))
}

test("where a commit fails, or its answer is lost, everything is queued all the same, and counts once", async t => {
  const filled = await openRecovering(t)
  let commits = 0
  const steps = stepsOf(filled, {
    inNextCommit: async work => {
      const commit = ++commits
      if (commit === 1 || commit === 3) throw new Error("The disk is full.")
      const done = await filled.store.ledger.inNextCommit(work)
      if (commit === 4) throw new Error("The connection was lost.")
      return done
    },
  })
  let failed = 0
  for (let isBusy = true; isBusy; ) {
    isBusy = await queue(filled, steps, 3).catch((error: unknown) => {
      assert.match(String(error), /The (disk is full|connection was lost)/)
      failed++
      return true
    })
  }
  assert.equal(failed, 3)
  assert.deepEqual(await counts(filled), { found: EVENTS, queued: EVENTS })
})

test("a process that leads again goes on from where the other one was", async t => {
  const filled = await openRecovering(t)
  const processes = [stepsOf(filled), stepsOf(filled)]
  let reached = 0
  for (let turn = 0; !(await standing(filled)).lane.isThrough; turn++) {
    const steps = processes[turn % 2]
    assert.ok(steps)
    await queue(filled, steps, 3)
    const { lane } = await standing(filled)
    assert.ok(lane.reached >= reached, "it never goes back")
    reached = lane.reached
  }
  assert.deepEqual(await counts(filled), { found: EVENTS, queued: EVENTS })
})

test("what another process gave back is looked at again, though this one was through", async t => {
  const filled = await openRecovering(t)
  const [steps, other] = [stepsOf(filled), stepsOf(filled)]
  await queueAll(filled, steps)
  const { recovery, lane } = await standing(filled)
  const { id } = recovery
  assert.deepEqual([lane.isThrough, await steps.hasReturned(id, recovery.lanes)], [true, false])
  const { db } = filled.store
  await setRecoveryState(db, id, { from: ["running"], to: "paused", now: filled.now })
  const there: OnTheirWay[] = [
    { recovery: id, integration: lane.integration, waiting: EVENTS, sending: 0, retrying: 0 },
  ]
  assert.ok(await other.giveBack({ ...recovery, state: "paused" }, lane, there))
  await setRecoveryState(db, id, { from: ["paused"], to: "running", now: filled.now })
  for (let rounds = 0; await steps.hasReturned(id, recovery.lanes); rounds++) {
    assert.ok(rounds < 100, "it goes on")
    await queueAll(filled, steps)
  }
  assert.deepEqual(await counts(filled), { found: EVENTS, queued: 2 * EVENTS, returned: EVENTS })
})
