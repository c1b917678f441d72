import assert from "node:assert/strict"
import { test } from "node:test"
import { deliveriesOfEvents } from "../../src/store/delivery-reads.ts"
import { readRouting } from "../../src/store/event-reads.ts"
import { destinationRecords } from "../../src/store/event-search.ts"
import { holdLanes } from "../help/engines.ts"
import { openFilledStore } from "../help/filled-store.ts"
import { PlanWatcher } from "../help/query-plans.ts"

test("what became of a page of events is read in two statements, neither of which reads a table from end to end", async t => {
  const filled = await openFilledStore(t)
  const [crm, other] = filled.integrations
  const one = await filled.accept({ targets: [crm, other] })
  const two = await filled.accept({ targets: [crm], withheld: { filtered: [other] } })
  const watcher = new PlanWatcher(filled.store)
  const events = [one.id, two.id]
  const routing = await readRouting(watcher, filled.project, events)
  const deliveries = await deliveriesOfEvents(watcher, filled.project, events, 20)
  assert.deepEqual(routing.get(two.id), { targets: [crm], withheld: { filtered: [other] } })
  assert.deepEqual(
    events.map(event => deliveries.get(event)?.map(({ id }) => id.integration)),
    [[crm, other], [crm]],
  )
  const firstOfEach = await deliveriesOfEvents(filled.store.reads, filled.project, events, 1)
  assert.deepEqual(
    events.map(event => firstOfEach.get(event)?.length),
    [1, 1],
  )
  assert.equal(watcher.statements.length, 2)
  await watcher.assertNoScan()
})

test("who sees one of many integrations is shown what went to it, however many others the event went to first", async t => {
  const filled = await openFilledStore(t)
  const others = Array.from({ length: 20 }, (_, n) => 3_000 + n)
  const [own, second, third] = [4_001, 4_002, 4_003]
  await holdLanes(filled.store, [own])
  const one = await filled.accept({ targets: [...others, own, second, third] })
  const two = await filled.accept({ targets: [...others, third] })
  const none = await filled.accept({ targets: others })
  const [claim] = await filled.claim(own)
  assert.ok(claim)
  await filled.settle(claim, { record: "r-own" })
  const events = [one.id, two.id, none.id]
  const watcher = new PlanWatcher(filled.store)
  const read = await deliveriesOfEvents(watcher, filled.project, events, 2, [third, own, second])
  assert.deepEqual(
    events.map(event => read.get(event)?.map(({ id }) => id.integration)),
    [[own, second], [third], undefined],
  )
  const records = await destinationRecords(watcher, filled.project, events, [own])
  assert.deepEqual([...records], [[one.id, [{ integration: own, record: "r-own" }]]])
  await watcher.assertNoScan()
  assert.equal((await destinationRecords(filled.store.reads, filled.project, events)).size, 0)
  assert.equal((await deliveriesOfEvents(filled.store.reads, filled.project, events, 20, [])).size, 0)
})
