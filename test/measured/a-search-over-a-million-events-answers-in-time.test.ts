/**
 * With a million events in the history, the first page of every search comes within 300 ms: with what it found, or with
 * what it has by then and how far back it came. And following the cursors to the end finds everything there is.
 */
import assert from "node:assert/strict"
import { test } from "node:test"
import { SEARCH_BUDGET_MS } from "../../src/api/search-query.ts"
import type { DeliveryId } from "../../src/domain/id.ts"
import { lastAttempts } from "../../src/store/attempt-reads.ts"
import { type DeliveryFilter, searchDeliveries } from "../../src/store/delivery-search.ts"
import type { EventFilter } from "../../src/store/event-filter.ts"
import { destinationRecords, searchEvents } from "../../src/store/event-search.ts"
import { openFilledStore } from "../help/filled-store.ts"
import { fillWithEvents, STEP_MS } from "../help/many-events.ts"

const COUNT = 1_000_000
const FIRST_PAGE_MS = 300
/** What else runs on the machine only makes a page later: the best of so many looks counts. */
const LOOKS = 3
const budgetMs = SEARCH_BUDGET_MS
const HOUR_MS = 3_600_000

test("every search over a million events answers within 300 ms, and its pages lead to the end", {
  timeout: 180_000,
}, async t => {
  const filled = await openFilledStore(t)
  const { store, now, project } = filled
  const [crm] = filled.integrations
  await fillWithEvents(store, { project, integration: crm, count: COUNT, now })

  const eventFilters: readonly (readonly [what: string, filter: EventFilter])[] = [
    ["everything", {}],
    ["a type", { type: "t3" }],
    ["a type that never came", { type: "nothing" }],
    ["a prefix", { type: "t*" }],
    ["failed", { status: "failed" }],
    ["failed, of a type that never failed", { status: "failed", type: "t1" }],
    ["delivered", { status: "delivered" }],
    ["retrying, of which there are none", { status: "retrying" }],
    ["an app that never sent", { app: 5 }],
    ["an environment", { environment: "sandbox" }],
    ["a profile", { profileId: "p77" }],
    ["a profile that nobody has", { profileId: "nobody" }],
    ["a device with 1,000 events", { deviceId: "d77" }],
    ["a device and a type that it never sent", { deviceId: "d77", type: "t1" }],
    ["the oldest source record", { sourceRecord: "s1" }],
    ["the oldest destination record", { destinationRecord: "r1" }],
    ["an own id", { externalId: "own-1" }],
    ["an integration", { integration: crm }],
    ["an integration that got nothing", { integration: 1 }],
    ["a reason", { reason: "rejected" }],
    ["a reason at an integration", { reason: "rejected", integration: crm }],
    ["a reason for which nothing was sent", { reason: "type_disabled" }],
    ["a reason that never was", { reason: "gone" }],
    ["a time long ago", { to: now - 20 * HOUR_MS }],
    [
      "a type that never came, in an hour long ago",
      { type: "nothing", from: now - 20 * HOUR_MS, to: now - 19 * HOUR_MS },
    ],
  ]
  for (const [what, filter] of eventFilters) {
    const page = await inTime(`events by ${what}`, async () => {
      const found = await searchEvents(store.reads, { project, filter, limit: 50, now, budgetMs })
      await destinationRecords(
        store.reads,
        project,
        found.events.map(event => event.id),
      )
      return found
    })
    t.diagnostic(`${page.events.length} found${endOf(page.searchedBackTo)}`)
  }

  const deliveryFilters: readonly (readonly [what: string, filter: DeliveryFilter])[] = [
    ["nothing", {}],
    ["an integration", { integration: crm }],
    ["an integration and failed", { integration: crm, status: "failed" }],
    ["an integration and what waits", { integration: crm, status: "retrying" }],
    ["an integration and a reason that never was", { integration: crm, reason: "gone" }],
    ["failed", { status: "failed" }],
    ["a status that none has", { status: "withheld" }],
    ["the oldest destination record", { record: "r1" }],
    ["a time long ago", { to: now - 20 * HOUR_MS, integration: crm }],
  ]
  for (const [what, filter] of deliveryFilters) {
    const page = await inTime(`deliveries by ${what}`, () =>
      searchDeliveries(store.reads, { project, filter, limit: 50, now, budgetMs }),
    )
    t.diagnostic(`${page.deliveries.length} found${endOf(page.searchedBackTo)}`)
  }
  for (const outcome of ["success", "error"] as const) {
    await inTime(`the last attempts with ${outcome}`, () =>
      lastAttempts(store.reads, { project, integration: crm, outcome, limit: 10, now }),
    )
  }

  assert.equal(await countEvents({ status: "failed" }), COUNT / 10_000)
  assert.equal(await countEvents({ deviceId: "d77" }), COUNT / 1_000)
  assert.equal(await countEvents({ reason: "rejected" }), COUNT / 10_000)
  assert.equal(await countEvents({ type: "nothing" }), 0)
  assert.equal(await countEvents({ from: now - HOUR_MS, environment: "sandbox" }), HOUR_MS / STEP_MS / 20)
  assert.equal(await countDeliveries({ integration: crm, status: "failed" }), COUNT / 10_000)
  assert.equal(await countDeliveries({ reason: "rejected" }), COUNT / 10_000)

  /** Asserts that it is there in time, and gives it. */
  async function inTime<Page>(what: string, look: () => Promise<Page>): Promise<Page> {
    for (const tookMs: number[] = []; ; ) {
      const startedAt = performance.now()
      const page = await look()
      tookMs.push(performance.now() - startedAt)
      const isInTime = Math.min(...tookMs) <= FIRST_PAGE_MS
      if (!isInTime && tookMs.length < LOOKS) continue
      const took = `${tookMs.map(ms => ms.toFixed(0)).join(", ")} ms`
      t.diagnostic(`${took}: ${what}`)
      assert.ok(isInTime, `${what}: ${took}`)
      return page
    }
  }

  function endOf(searchedBackTo: number | null): string {
    return searchedBackTo === null ? "" : `, searched ${Math.round((now - searchedBackTo) / STEP_MS)}`
  }

  async function countEvents(filter: EventFilter): Promise<number> {
    let [count, before] = [0, undefined as number | undefined]
    do {
      const page = await searchEvents(store.reads, { project, filter, before, limit: 200, now, budgetMs })
      count += page.events.length
      before = page.next ?? undefined
    } while (before !== undefined)
    return count
  }

  async function countDeliveries(filter: DeliveryFilter): Promise<number> {
    let [count, after] = [0, undefined as DeliveryId | undefined]
    do {
      const page = await searchDeliveries(store.reads, { project, filter, after, limit: 200, now, budgetMs })
      count += page.deliveries.length
      after = page.next ?? undefined
    } while (after !== undefined)
    return count
  }
})
