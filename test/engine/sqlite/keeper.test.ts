/** What the keeper does piece by piece on the embedded engine; on PostgreSQL days and parts go as a whole. */
import assert from "node:assert/strict"
import test from "node:test"
import { raw, sql } from "../../../src/store/database.ts"
import { Retention } from "../../../src/store/retention.ts"
import { DAY_MS, openFilledStore } from "../../help/filled-store.ts"
import { Kept } from "../../help/kept-store.ts"
import { countOf } from "../../help/letting-go.ts"

test("a stop finishes the piece under way, and the next start goes on from there", async t => {
  const kept = new Kept(await openFilledStore(t))
  const { filled } = kept
  await kept.keeper.runOnce()
  await Promise.all(Array.from({ length: 4_000 }, () => filled.accept()))
  await kept.pass(DAY_MS)
  const { steps } = Retention.prototype
  let [gone, stopped] = [0, undefined as Promise<void> | undefined]
  const watched = t.mock.method(
    Retention.prototype,
    "steps",
    function (this: Retention, at: number, keepFree: boolean) {
      return steps.call(this, at, keepFree).map(step => ({
        name: step.name,
        pieces: async function* () {
          for await (const piece of step.pieces()) {
            gone += piece.counts.event ?? 0
            if (gone >= 1_000) stopped ??= kept.keeper.stop()
            yield piece
          }
        },
      }))
    },
  )
  const { removed } = await kept.pass(31 * DAY_MS)
  watched.mock.restore()
  await stopped
  const left = await countOf(filled, "event")
  assert.ok(left > 0 && left <= 3_000, `${left} events are left`)
  assert.equal(removed.event, 4_000 - left)
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
