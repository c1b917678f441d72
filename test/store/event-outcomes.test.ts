import assert from "node:assert/strict"
import { test } from "node:test"
import { deliveriesOfEvents } from "../../src/store/delivery-reads.ts"
import { readRouting } from "../../src/store/event-reads.ts"
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
