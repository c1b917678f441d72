/** What waits by a time that the clock showed before it was put back. */
import assert from "node:assert/strict"
import test, { type TestContext } from "node:test"
import type { WaitingPlace } from "../../src/store/ledger.ts"
import { DAY_MS, type FilledStore, openFilledStore } from "../help/filled-store.ts"

/** Brings everything of the first integration forward, so many at a time; gives the number of pieces. */
async function bringAllForward(filled: FilledStore, limit: number): Promise<number> {
  const [lane] = filled.integrations
  let pieces = 0
  let from: WaitingPlace | null = null
  do {
    from = await filled.store.ledger.bringForward(lane, from, limit)
    pieces++
  } while (from !== null)
  return pieces
}

/** Three queued, then one that failed and is tried again in an hour; the clock is put back by a day. */
async function waiting(t: TestContext): Promise<{ filled: FilledStore; ids: readonly number[] }> {
  const filled = await openFilledStore(t)
  const targets = [filled.integrations[0]]
  const retried = await filled.accept({ targets })
  await filled.attempt(
    { event: retried.id, integration: targets[0] ?? 0 },
    { next: "retrying", at: filled.now + 3_600_000 },
  )
  const ids: number[] = []
  for (let i = 0; i < 3; i++) ids.push((await filled.accept({ targets, lagMs: 5 })).id)
  filled.now -= DAY_MS
  return { filled, ids }
}

test("what was due by the old time is due now, in its old order; a retry waits as long as it was to wait", async t => {
  const { filled, ids } = await waiting(t)
  const [lane] = filled.integrations
  assert.deepEqual(await filled.claim(lane, 10), [], "until then nothing is due for a day")
  await bringAllForward(filled, 10)
  const { claims, nextAt } = await filled.store.ledger.claim(lane, filled.store.fence, 10, filled.now)
  assert.deepEqual(
    claims.map(claim => claim.delivery.event),
    ids,
  )
  assert.equal(nextAt, filled.now + 3_600_000)
})

test("it is done in pieces of any size, and a second time changes nothing", async t => {
  const { filled, ids } = await waiting(t)
  assert.ok((await bringAllForward(filled, 1)) > ids.length, "one for each, and one that finds no more")
  filled.now += 1_000
  await bringAllForward(filled, 3)
  const { claims, nextAt } = await filled.store.ledger.claim(filled.integrations[0], filled.store.fence, 10, filled.now)
  assert.equal(claims.length, ids.length)
  assert.equal(nextAt, filled.now - 1_000 + 3_600_000)
})

test("what was set by the right time stays as it is", async t => {
  const filled = await openFilledStore(t)
  const [lane] = filled.integrations
  const { id } = await filled.accept({ targets: [lane] })
  const at = filled.now + 3_600_000
  await filled.attempt({ event: id, integration: lane }, { next: "retrying", at })
  filled.now += 60_000
  await bringAllForward(filled, 10)
  const { nextAt } = await filled.store.ledger.claim(lane, filled.store.fence, 1, filled.now)
  assert.equal(nextAt, at)
})
