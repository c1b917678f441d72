import assert from "node:assert/strict"
import test from "node:test"
import { readJob } from "../../src/store/jobs.ts"
import { DAY_MS, openFilledStore } from "../help/filled-store.ts"
import { Kept } from "../help/kept-store.ts"
import { countOf, makeIntegrations, WHOLE_DAY_MS } from "../help/letting-go.ts"

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

test("what is due goes, what is not stays, and the report says what went", async t => {
  const kept = new Kept(await openFilledStore(t))
  await makeIntegrations(kept.filled)
  const [integration] = kept.filled.integrations
  await kept.keeper.runOnce()
  const event = await kept.filled.accept({ targets: [integration] })
  await kept.filled.attempt({ event: event.id, integration })
  assert.deepEqual((await kept.pass(7 * DAY_MS)).removed, {})
  assert.deepEqual((await kept.pass(DAY_MS)).removed, { payload: 1, exchange: 1, part: 1 })
  const report = await kept.pass(22 * DAY_MS + WHOLE_DAY_MS)
  assert.deepEqual(report.removed, { event: 1, delivery: 1, attempt: 1 })
  assert.deepEqual([report.failed_steps, report.held_back_ms], [[], 0])
})

test("a clock that is a day or a month ahead for a moment lets nothing go", async t => {
  const kept = new Kept(await openFilledStore(t))
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
  assert.deepEqual([await countOf(filled, "event"), await countOf(filled, "part")], [1, 1])
})

test("a clock that stays ahead is believed after six hours", async t => {
  const kept = new Kept(await openFilledStore(t))
  await kept.keeper.runOnce()
  await kept.filled.accept()
  kept.filled.now += 31 * DAY_MS
  await kept.pass(MINUTE_MS)
  assert.deepEqual((await kept.pass(6 * HOUR_MS - 1)).removed, {})
  assert.equal((await kept.pass(1)).removed.event, 1)
})

test("a clock that is ahead when Waybill starts lets nothing go either; a machine that was off lets it go later", async t => {
  const kept = new Kept(await openFilledStore(t))
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
  const kept = new Kept(await openFilledStore(t))
  await kept.keeper.runOnce()
  await kept.filled.accept()
  await kept.pass(8 * DAY_MS - MINUTE_MS)
  kept.filled.now += 2 * MINUTE_MS
  await kept.restart()
  await kept.pass(0)
  assert.equal((await kept.pass(2 * MINUTE_MS)).removed.part, undefined)
  await kept.pass(22 * DAY_MS + WHOLE_DAY_MS)
  assert.equal(await countOf(kept.filled, "event"), 0)
})

test("the job's row says when it ran, what it came to, and when it runs next", async t => {
  const kept = new Kept(await openFilledStore(t))
  const { filled } = kept
  await kept.keeper.runOnce()
  await filled.accept()
  const report = await kept.pass(8 * DAY_MS)
  const job = await readJob(filled.store.db, "retention")
  assert.deepEqual([job?.kind, job?.state, job?.dueAt], ["retention", "due", filled.now + MINUTE_MS])
  assert.deepEqual(JSON.parse(job?.cursor ?? ""), { at: filled.now })
  assert.deepEqual(JSON.parse(job?.report ?? ""), report)
  assert.deepEqual(kept.keeper.lastReport(), { ...report, at: new Date(filled.now).toISOString() })
  assert.equal(await countOf(filled, "job"), 1)
})

test("the metric says how long ago the oldest thing that is still stored should have gone", async t => {
  const kept = new Kept(await openFilledStore(t))
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

test("two runs that are asked for at once follow one another", async t => {
  const kept = new Kept(await openFilledStore(t))
  await kept.keeper.runOnce()
  await Promise.all(Array.from({ length: 1_000 }, () => kept.filled.accept()))
  await kept.pass(DAY_MS)
  const [first, second] = await Promise.all([kept.pass(31 * DAY_MS), kept.keeper.runOnce()])
  assert.deepEqual([first.removed.event, second.removed.event], [1_000, undefined])
})

test("it runs by itself from its start on", async t => {
  const kept = new Kept(await openFilledStore(t))
  const { filled, keeper } = kept
  keeper.start()
  t.after(() => keeper.stop())
  while (keeper.lastReport() === undefined) await new Promise(setImmediate)
  assert.equal((await readJob(filled.store.db, "retention"))?.state, "due")
})
