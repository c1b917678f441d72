import assert from "node:assert/strict"
import { test } from "node:test"
import { deliveryStatuses } from "../../src/domain/delivery.ts"
import type { DeliveryId } from "../../src/domain/id.ts"
import { sql } from "../../src/store/database.ts"
import { credentialsChangedAt, type DeliveryRecord, readDelivery } from "../../src/store/delivery-reads.ts"
import { type DeliveryFilter, searchDeliveries } from "../../src/store/delivery-search.ts"
import { DAY_MS, type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { PlanWatcher } from "../help/query-plans.ts"

async function pages(filled: FilledStore, filter: DeliveryFilter, limit: number, budgetMs = 60_000) {
  const found: DeliveryRecord[] = []
  let after: DeliveryId | undefined
  let count = 0
  do {
    const page = await searchDeliveries(filled.store.reads, {
      project: filled.project,
      filter,
      after,
      limit,
      now: filled.now,
      budgetMs,
    })
    assert.ok(page.deliveries.length <= limit)
    found.push(...page.deliveries)
    after = page.next ?? undefined
    assert.ok(++count < 1_000, "a search ends")
  } while (after !== undefined)
  return found
}

const key = ({ id }: { readonly id: DeliveryId }) => `${id.event}/${id.integration}`

/** Deliveries in every state, of events that went to none, one or more integrations. */
async function fill(filled: FilledStore): Promise<DeliveryId[]> {
  const all: DeliveryId[] = []
  for (let i = 0; i < 240; i++) {
    filled.now += 500
    const targets = filled.integrations.slice(0, i % 4)
    const event = await filled.accept({ targets })
    for (const [n, integration] of targets.entries()) {
      all.push({ event: event.id, integration })
      const came = (i + n * 5) % 9
      if (came === 0) continue
      const [claim] = await filled.claim(integration)
      if (claim === undefined || came === 1) continue
      if (came < 4) await filled.settle(claim, { record: `r${i % 7}` })
      else if (came < 6) await filled.settle(claim, { next: "retrying", at: filled.now + DAY_MS })
      else if (came < 8)
        await filled.settle(claim, { next: "failed", reason: { code: "rejected", facts: { status: 404 } } })
      else await filled.settle(claim, { next: "withheld", reason: { code: "missing_data", facts: { field: "email" } } })
    }
  }
  return all
}

test("every filter, alone and together, finds exactly what a look at every delivery finds, page by page", async t => {
  const filled = await openFilledStore(t)
  const ids = await fill(filled)
  const all: DeliveryRecord[] = []
  for (const id of ids) {
    const delivery = await readDelivery(filled.store.reads, filled.project, id, filled.now)
    if (delivery !== undefined) all.push(delivery)
  }
  all.sort((a, b) => b.id.event - a.id.event || b.id.integration - a.id.integration)
  assert.equal(all.length, ids.length)
  assert.deepEqual(
    new Set(all.map(d => d.status)),
    new Set(["pending", "sending", "delivered", "retrying", "failed", "withheld"]),
  )
  const [crm, slack, other] = filled.integrations
  const middle = all[100]?.event.receivedAt ?? 0
  const members: DeliveryFilter[] = [
    {},
    ...[crm, slack, other, 4_711].map(integration => ({ integration })),
    ...deliveryStatuses.map(status => ({ status })),
    { reason: "rejected" },
    { reason: "missing_data" },
    { record: "r2" },
    { record: "r5" },
    { record: "nothing" },
    { from: middle },
    { to: middle },
    { event: all[50]?.id.event },
  ]
  for (const [i, one] of members.entries()) {
    for (const other of members.slice(i)) {
      const filter = { ...one, ...other }
      const expected = all.filter(
        d =>
          (filter.integration === undefined || d.id.integration === filter.integration) &&
          (filter.event === undefined || d.id.event === filter.event) &&
          (filter.status === undefined || d.status === filter.status) &&
          (filter.reason === undefined || d.reason?.code === filter.reason) &&
          (filter.record === undefined || d.record === filter.record) &&
          (filter.from === undefined || d.event.receivedAt >= filter.from) &&
          (filter.to === undefined || d.event.receivedAt < filter.to),
      )
      const found = await pages(filled, filter, 7 + (i % 40))
      assert.deepEqual(found.map(key), expected.map(key), JSON.stringify(filter))
    }
  }
})

test("a search of deliveries whose time is over goes on from where it came to, and misses none", async t => {
  const filled = await openFilledStore(t)
  const ids = await fill(filled)
  const unhurried = await pages(filled, {}, 200)
  assert.equal(unhurried.length, ids.length)
  assert.deepEqual((await pages(filled, {}, 200, 0)).map(key), unhurried.map(key))
  const [crm] = filled.integrations
  const there = unhurried.filter(d => d.id.integration === crm)
  assert.deepEqual((await pages(filled, { integration: crm }, 200, 0)).map(key), there.map(key))
})

test("a delivery is read with the facts of its reason, and by nobody but its own project", async t => {
  const filled = await openFilledStore(t)
  const [crm] = filled.integrations
  const event = await filled.accept({ targets: [crm], environment: "sandbox", appId: 5 })
  const id = { event: event.id, integration: crm }
  await filled.attempt(id, {
    next: "failed",
    reason: { code: "rejected", facts: { status: 404, host: "crm.example" } },
  })
  const delivery = await readDelivery(filled.store.reads, filled.project, id, filled.now)
  assert.deepEqual(delivery?.reason, { code: "rejected", facts: { status: 404, host: "crm.example" } })
  assert.equal(delivery.event.environment, "sandbox")
  assert.equal(delivery.event.app, 5)
  assert.equal(delivery.attempts, 1)
  assert.equal(await readDelivery(filled.store.reads, 77, id, filled.now), undefined)
  filled.now += 30 * DAY_MS
  assert.equal(await readDelivery(filled.store.reads, filled.project, id, filled.now), undefined)
})

test("when credentials last changed is the last save that touched a secret", async t => {
  const filled = await openFilledStore(t)
  const [crm, slack] = filled.integrations
  await filled.query(sql`
    insert into integration_revision (integration_id, revision, at, by_kind, snapshot, secrets_changed) values
      (${crm}, 1, 1000, 'operator', '{}', '["/production/authorization"]'),
      (${crm}, 2, 2000, 'operator', '{}', '["/production/authorization"]'),
      (${crm}, 3, 3000, 'operator', '{}', '[]')`)
  assert.equal(await credentialsChangedAt(filled.store.reads, crm), 2_000)
  assert.equal(await credentialsChangedAt(filled.store.reads, slack), null)
})

test("no search of deliveries reads a table from end to end, and each uses the index made for it", async t => {
  const filled = await openFilledStore(t)
  const [crm] = filled.integrations
  const ids = await fill(filled)
  await filled.writeIndex()
  const walked = /SEARCH delivery USING PRIMARY KEY \(integration_id=\? AND event_id>\? AND event_id<\?\)/
  const plans: readonly (readonly [DeliveryFilter, RegExp])[] = [
    [{}, /SEARCH event USING PRIMARY KEY \(project_id=\? AND id>\? AND id<\?\)/],
    [{ integration: crm }, walked],
    [{ integration: crm, status: "delivered" }, walked],
    [
      { integration: crm, status: "failed" },
      /SEARCH delivery USING (COVERING )?INDEX delivery_failed \(integration_id=\? AND event_id>\? AND event_id<\?\)/,
    ],
    [{ integration: crm, status: "retrying" }, /SEARCH delivery USING COVERING INDEX delivery_due \(integration_id=\?/],
    [{ status: "failed" }, /SEARCH event USING INDEX event_by_need \(project_id=\? AND id>\? AND id<\?\)/],
    [{ record: "r1" }, /SEARCH search_entry USING PRIMARY KEY/],
    [{ event: ids[3]?.event }, /SEARCH event USING PRIMARY KEY \(project_id=\? AND id=\?\)/],
  ]
  for (const [filter, plan] of plans) {
    const watcher = new PlanWatcher(filled.store)
    await searchDeliveries(watcher, { project: filled.project, filter, limit: 50, now: filled.now, budgetMs: 60_000 })
    await watcher.assertNoScan()
    await watcher.assertStep(plan, JSON.stringify(filter))
    if (plan !== walked) await watcher.assertNoStep(walked, JSON.stringify(filter))
  }
})
