import assert from "node:assert/strict"
import test, { type TestContext } from "node:test"
import { Keeper, type KeeperReport } from "../../src/engine/keeper.ts"
import { Metrics } from "../../src/engine/metrics.ts"
import { openLog } from "../../src/log.ts"
import { readJob } from "../../src/store/jobs.ts"
import { DAY_MS, type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { countOf, makeIntegrations } from "../help/letting-go.ts"

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

/** A keeper on a store whose two clocks the test turns: both together as time passes, or the wall clock alone. */
class Kept {
  readonly filled: FilledStore
  readonly metrics = new Metrics("0", "0")
  keeper: Keeper
  #monotonicMs = 0

  constructor(t: TestContext) {
    this.filled = openFilledStore(t)
    this.keeper = this.#make()
  }

  /** Time passes on both clocks, then the keeper runs. */
  async pass(ms: number): Promise<KeeperReport> {
    this.filled.now += ms
    this.#monotonicMs += ms
    return this.keeper.runOnce()
  }

  /** A new process, whose monotonic clock begins anew. */
  async restart(): Promise<void> {
    await this.keeper.stop()
    await this.filled.restart()
    this.#monotonicMs = 0
    this.keeper = this.#make()
  }

  async lag(): Promise<number> {
    return (await this.metrics.retentionLag.get()).values[0]?.value ?? Number.NaN
  }

  #make(): Keeper {
    return new Keeper({
      store: this.filled.store,
      metrics: this.metrics,
      now: () => this.filled.now,
      monotonicNow: () => this.#monotonicMs,
      log: openLog("silent"),
    })
  }
}

test("what is due goes, what is not stays, and the report says what went", async t => {
  const kept = new Kept(t)
  makeIntegrations(kept.filled)
  const [integration] = kept.filled.integrations
  await kept.keeper.runOnce()
  const event = await kept.filled.accept({ targets: [integration] })
  await kept.filled.attempt({ event: event.id, integration })
  assert.deepEqual((await kept.pass(7 * DAY_MS)).removed, {})
  assert.deepEqual((await kept.pass(DAY_MS)).removed, { payload: 1, exchange: 1, part: 1 })
  const report = await kept.pass(22 * DAY_MS)
  assert.deepEqual(report.removed, { event: 1, delivery: 1, attempt: 1 })
  assert.deepEqual([report.failed_steps, report.held_back_ms], [[], 0])
})

test("a clock that is a day or a month ahead for a moment lets nothing go", async t => {
  const kept = new Kept(t)
  const { filled } = kept
  await kept.keeper.runOnce()
  await filled.accept()
  await kept.pass(6 * DAY_MS)
  for (const leap of [HOUR_MS, DAY_MS, 3 * DAY_MS, 40 * DAY_MS]) {
    filled.now += leap
    for (let minute = 0; minute < 20; minute++) {
      const { removed, held_back_ms } = await kept.pass(MINUTE_MS)
      assert.deepEqual([removed, held_back_ms], [{}, leap])
    }
    filled.now -= leap
    await kept.pass(MINUTE_MS)
  }
  assert.deepEqual([countOf(filled, "event"), countOf(filled, "part")], [1, 1])
})

test("a clock that stays ahead is believed after six hours", async t => {
  const kept = new Kept(t)
  await kept.keeper.runOnce()
  await kept.filled.accept()
  kept.filled.now += 31 * DAY_MS
  await kept.pass(MINUTE_MS)
  assert.deepEqual((await kept.pass(6 * HOUR_MS - 1)).removed, {})
  assert.equal((await kept.pass(1)).removed.event, 1)
})

test("a clock that is ahead when Waybill starts lets nothing go either; a machine that was off lets it go later", async t => {
  const kept = new Kept(t)
  await kept.keeper.runOnce()
  await kept.filled.accept()
  await kept.pass(DAY_MS)
  kept.filled.now += 31 * DAY_MS
  await kept.restart()
  assert.deepEqual((await kept.pass(0)).removed, {})
  assert.deepEqual((await kept.pass(5 * HOUR_MS)).removed, {})
  assert.equal((await kept.pass(HOUR_MS)).removed.event, 1)
})

test("a restart in between holds up nothing for longer than it took", async t => {
  const kept = new Kept(t)
  await kept.keeper.runOnce()
  await kept.filled.accept()
  await kept.pass(8 * DAY_MS - MINUTE_MS)
  kept.filled.now += 2 * MINUTE_MS
  await kept.restart()
  await kept.pass(0)
  assert.equal((await kept.pass(2 * MINUTE_MS)).removed.part, undefined)
  await kept.pass(22 * DAY_MS)
  assert.equal(countOf(kept.filled, "event"), 0)
})

test("the job's row says when it ran, what it came to, and when it runs next", async t => {
  const kept = new Kept(t)
  const { filled } = kept
  await kept.keeper.runOnce()
  await filled.accept()
  const report = await kept.pass(8 * DAY_MS)
  const job = await readJob(filled.store.db, "retention")
  assert.deepEqual([job?.kind, job?.state, job?.dueAt], ["retention", "due", filled.now + MINUTE_MS])
  assert.deepEqual(JSON.parse(job?.cursor ?? ""), { at: filled.now })
  assert.deepEqual(JSON.parse(job?.report ?? ""), report)
  assert.deepEqual(kept.keeper.lastReport(), { ...report, at: new Date(filled.now).toISOString() })
  assert.equal(countOf(filled, "job"), 1)
})

test("the metric says how long ago the oldest thing that is still stored should have gone", async t => {
  const kept = new Kept(t)
  const { filled } = kept
  await kept.keeper.runOnce()
  assert.equal(await kept.lag(), 0)
  await filled.accept()
  await kept.pass(MINUTE_MS)
  assert.equal(await kept.lag(), 0)
  const dueAt = (Math.floor(filled.now / DAY_MS) + 8) * DAY_MS
  filled.now = dueAt + 90_000
  await kept.keeper.runOnce()
  assert.equal(await kept.lag(), 90)
})

test("a stop finishes the piece under way, and the next start goes on from there", async t => {
  const kept = new Kept(t)
  const { filled } = kept
  await kept.keeper.runOnce()
  await Promise.all(Array.from({ length: 4_000 }, () => filled.accept()))
  await kept.pass(DAY_MS)
  const running = kept.pass(31 * DAY_MS)
  while (countOf(filled, "event") > 3_000) await new Promise(setImmediate)
  await kept.keeper.stop()
  const left = countOf(filled, "event")
  assert.ok(left > 0 && left <= 3_000, `${left} events are left`)
  assert.equal((await running).removed.event, 4_000 - left)
  await kept.restart()
  await kept.pass(0)
  await kept.pass(32 * DAY_MS)
  assert.equal(countOf(filled, "event"), 0)
})

test("two runs that are asked for at once follow one another", async t => {
  const kept = new Kept(t)
  await kept.keeper.runOnce()
  await Promise.all(Array.from({ length: 1_000 }, () => kept.filled.accept()))
  await kept.pass(DAY_MS)
  const [first, second] = await Promise.all([kept.pass(31 * DAY_MS), kept.keeper.runOnce()])
  assert.deepEqual([first.removed.event, second.removed.event], [1_000, undefined])
})

test("a step that fails is told in the report and holds up no other", async t => {
  const kept = new Kept(t)
  const { filled } = kept
  await kept.keeper.runOnce()
  await filled.accept()
  filled.store.sqlite.connection.exec("drop table payload_1")
  const report = await kept.pass(31 * DAY_MS)
  assert.deepEqual([report.failed_steps, report.removed.event], [["parts"], 1])
})

test("it runs by itself from its start on", async t => {
  const kept = new Kept(t)
  const { filled, keeper } = kept
  keeper.start()
  t.after(() => keeper.stop())
  while (keeper.lastReport() === undefined) await new Promise(setImmediate)
  assert.equal((await readJob(filled.store.db, "retention"))?.state, "due")
})
