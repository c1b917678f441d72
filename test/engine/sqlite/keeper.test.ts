/** What the keeper does piece by piece on the embedded engine; on PostgreSQL days and parts go as a whole. */
import assert from "node:assert/strict"
import test from "node:test"
import { raw, sql } from "../../../src/store/database.ts"
import { DAY_MS, openFilledStore } from "../../help/filled-store.ts"
import { Kept } from "../../help/kept-store.ts"
import { countOf } from "../../help/letting-go.ts"

test("a stop finishes the piece under way, and the next start goes on from there", async t => {
  const kept = new Kept(await openFilledStore(t))
  const { filled } = kept
  await kept.keeper.runOnce()
  await Promise.all(Array.from({ length: 4_000 }, () => filled.accept()))
  await kept.pass(DAY_MS)
  const running = kept.pass(31 * DAY_MS)
  while ((await countOf(filled, "event")) > 3_000) await new Promise(setImmediate)
  await kept.keeper.stop()
  const left = await countOf(filled, "event")
  assert.ok(left > 0 && left <= 3_000, `${left} events are left`)
  assert.equal((await running).removed.event, 4_000 - left)
  await kept.restart()
  await kept.pass(0)
  await kept.pass(32 * DAY_MS)
  assert.equal(await countOf(filled, "event"), 0)
})

test("a step that fails is told in the report and holds up no other", async t => {
  const kept = new Kept(await openFilledStore(t))
  const { filled } = kept
  await kept.keeper.runOnce()
  await filled.accept()
  const [part] = await filled.query<{ id: number }>(sql`select id from part`)
  await filled.query(raw(`drop table payload_${part?.id}`))
  const report = await kept.pass(31 * DAY_MS)
  assert.deepEqual([report.failed_steps, report.removed.event], [["parts"], 1])
})
