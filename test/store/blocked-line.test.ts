/** Blocks of lines: one that has failed stands in front of its key, and holds those behind it until somebody acts. */
import assert from "node:assert/strict"
import test from "node:test"
import { readDelivery } from "../../src/store/delivery-reads.ts"
import { searchDeliveries } from "../../src/store/delivery-search.ts"
import { Retention } from "../../src/store/retention.ts"
import { DAY_MS, type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { countOf, goesAt, letGo, makeIntegrations } from "../help/letting-go.ts"
import { PlanWatcher } from "../help/query-plans.ts"

/** A line of three at one integration: the first has failed and blocks it. */
async function blocked(filled: FilledStore, payloadDays = 7) {
  const [lane] = filled.integrations
  const given = { targets: [lane], ordered: true, orderingKey: "order-1", payloadDays }
  const events: number[] = []
  for (let i = 0; i < 3; i++) {
    events.push((await filled.accept(given)).id)
    filled.now += 1_000
  }
  const [first = 0, second = 0, third = 0] = events
  await filled.attempt({ event: first, integration: lane }, { next: "failed", blocksLine: true })
  return { lane, first, second, third, id: (event: number) => ({ event, integration: lane }) }
}

test("a delivery behind another names it and its status; a question of one index", async t => {
  const filled = await openFilledStore(t)
  const { lane, first, second, third, id } = await blocked(filled)
  const watcher = new PlanWatcher(filled.store)
  const read = (event: number) => readDelivery(watcher, filled.project, id(event), filled.now)
  assert.deepEqual((await read(third))?.behind, { id: id(first), status: "failed" })
  assert.deepEqual([(await read(first))?.behind, (await read(first))?.blocksKey], [null, true])
  const filter = { integration: lane, orderingKey: "order-1" }
  const search = { project: filled.project, limit: 10, now: filled.now, budgetMs: 60_000 }
  const all = await searchDeliveries(watcher, { ...search, filter })
  const waiting = await searchDeliveries(watcher, { ...search, filter: { ...filter, status: "pending" } })
  assert.deepEqual(
    all.deliveries.map(one => one.id.event),
    [third, second, first],
  )
  assert.deepEqual(
    waiting.deliveries.map(one => [one.id.event, one.behind?.id.event, one.reason?.code]),
    [
      [third, first, "waiting_turn"],
      [second, first, "waiting_turn"],
    ],
  )
  const other = await searchDeliveries(watcher, { ...search, filter: { integration: lane, orderingKey: "order-2" } })
  assert.deepEqual(other.deliveries, [])
  await watcher.assertNoScan()
  await watcher.assertStep(/delivery_in_line \(integration_id=\? AND ordering_key=\? AND in_line=\?/)
})

test("a retry by hand of the one that blocks keeps the order: nothing goes before it, and the next after it", async t => {
  const filled = await openFilledStore(t)
  const { lane, first, second, third, id } = await blocked(filled)
  assert.deepEqual(await filled.claim(lane, 10), [])
  assert.equal(await filled.store.ledger.retry(id(second), filled.project), "due", "it is due, and waits for its turn")
  assert.deepEqual(await filled.claim(lane, 10), [])
  assert.equal(await filled.store.ledger.retry(id(first), filled.project), "due")
  for (const event of [first, second, third]) {
    const claims = await filled.claim(lane, 10)
    assert.deepEqual(
      claims.map(claim => claim.delivery.event),
      [event],
    )
    for (const claim of claims) await filled.settle(claim)
  }
})

test("a block ends once, by those of its project, and only where there is one", async t => {
  const filled = await openFilledStore(t)
  const { first, second, third, id } = await blocked(filled)
  const { ledger } = filled.store
  assert.equal(await ledger.unblock(id(first), filled.project + 1), undefined)
  assert.equal(await ledger.unblock(id(third), filled.project), undefined)
  assert.equal(await ledger.unblock(id(first), filled.project), second)
  assert.equal(await ledger.unblock(id(first), filled.project), undefined)
})

test("those behind one that blocks fail when their payloads are due to go; it blocks on", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const { lane, first, second, third, id } = await blocked(filled)
  filled.now += 7 * DAY_MS - 1_500
  assert.equal((await letGo(filled))["delivery_ended"], 1, "the third came later than the second")
  filled.now += 1_500
  assert.equal((await letGo(filled))["delivery_ended"], 1)
  const read = async (event: number) => await readDelivery(filled.store.reads, filled.project, id(event), filled.now)
  assert.deepEqual(
    [(await read(second))?.reason?.code, (await read(third))?.reason?.code],
    ["payload_expired", "payload_expired"],
  )
  assert.equal((await read(first))?.blocksKey, true)
  const late = await filled.accept({ targets: [lane], ordered: true, orderingKey: "order-1" })
  assert.equal((await read(late.id))?.behind?.id.event, first)
})

test("those behind one that is tried again keep their payloads beyond their time, and go when their turn comes", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const { lane, first, second, id } = await blocked(filled, 1)
  await filled.store.ledger.retry(id(first), filled.project)
  const [claim] = await filled.claim(lane)
  assert.ok(claim)
  await filled.settle(claim, { next: "retrying", at: filled.now + 3 * DAY_MS })
  filled.now += 3 * DAY_MS
  assert.equal((await letGo(filled))["delivery_ended"], undefined)
  await filled.attempt(id(first))
  const [next] = await filled.claim(lane)
  assert.deepEqual([next?.delivery.event, next?.event?.payload.kind], [second, "json"])
})

test("a block goes with its event after thirty days, and whoever is behind it goes on", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const { lane, first } = await blocked(filled, 30)
  filled.now += 20 * DAY_MS
  const late = await filled.accept({ targets: [lane], ordered: true, orderingKey: "order-1", payloadDays: 30 })
  filled.now = goesAt(filled, filled.now + 10 * DAY_MS)
  const released = await piecesOf(filled)
  assert.equal(await countOf(filled, "delivery", `event_id = ${first}`), 0)
  assert.deepEqual(released, [lane], "the engine is told where something is due")
  const [claim] = await filled.claim(lane)
  assert.equal(claim?.delivery.event, late.id)
})

/** Lets go everything that is due now; gives the integrations in which something became due by it. */
async function piecesOf({ store, now }: FilledStore): Promise<number[]> {
  const all: number[] = []
  for (const step of new Retention(store).steps(now, true)) {
    for await (const { released = [] } of step.pieces()) all.push(...released)
  }
  return all
}
