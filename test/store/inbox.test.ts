/** What inboxes got, as it is kept, read and let go. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "../../src/store/database.ts"
import { keepInboxRequest, type NewInboxRequest } from "../../src/store/inbox.ts"
import { listInboxRequests } from "../../src/store/inbox-reads.ts"
import { DAY_MS, type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { countOf, letGo, makeIntegrations } from "../help/letting-go.ts"
import { PlanWatcher } from "../help/query-plans.ts"

async function keep(filled: FilledStore, count: number, more: Partial<NewInboxRequest> = {}): Promise<void> {
  await filled.store.ledger.inNextCommit(function* (commit) {
    for (let i = 0; i < count; i++) {
      yield* keepInboxRequest(commit, {
        integration: filled.integrations[0],
        at: filled.now,
        method: "POST",
        headers: [],
        body: Buffer.from(String(i)),
        bodyBytes: 1,
        signature: { kind: "valid" },
        status: 200,
        script: [],
        delayMs: 0,
        ...more,
      })
    }
  })
}

async function list(filled: FilledStore, more: { before?: number; limit?: number; integration?: number } = {}) {
  const asked = { integration: filled.integrations[0], before: Number.MAX_SAFE_INTEGER, limit: 2_000, ...more }
  const { requests } = await listInboxRequests(filled.store.reads, { ...asked, now: filled.now })
  return requests
}

test("an inbox keeps its last 1,000 requests, whatever others have", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [, other] = filled.integrations
  await keep(filled, 1, { integration: other })
  await keep(filled, 900)
  await keep(filled, 600, { body: Buffer.from("later") })
  const kept = await list(filled)
  assert.equal(kept.length, 1_000)
  assert.equal(Buffer.from(kept[0]?.body ?? []).toString(), "later")
  assert.equal(Buffer.from(kept.at(-1)?.body ?? []).toString(), "500")
  assert.equal((await list(filled, { integration: other })).length, 1)
})

test("requests are gone from the list after 7 days to the millisecond, and from the disk with the next retention", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  await keep(filled, 450)
  filled.now += DAY_MS
  await keep(filled, 2)
  filled.now += 6 * DAY_MS - 1
  assert.equal((await list(filled)).length, 452)
  assert.deepEqual(await letGo(filled), {})
  filled.now++
  assert.equal((await list(filled)).length, 2)
  // So many in a millisecond have ids of the next ones too, by which they are found.
  filled.now += 1_000
  assert.deepEqual(await letGo(filled), { inbox_request: 450 })
  assert.equal(await countOf(filled, "inbox_request"), 2)
})

test("what a process left behind of an inbox that it removed goes with the next retention", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [inbox, other] = filled.integrations
  await keep(filled, 25, { script: [500, 200] })
  await keep(filled, 1, { integration: other, script: [500] })
  await filled.query(sql`update integration set removed_at = ${filled.now} where id = ${inbox}`)
  assert.deepEqual(await letGo(filled), { inbox_request: 25 })
  assert.deepEqual([await countOf(filled, "inbox_request"), await countOf(filled, "inbox_script")], [1, 1])
  await keep(filled, 1)
  assert.equal(await countOf(filled, "inbox_request"), 1, "what comes after the removal is not kept")
})

test("an answer that waited when its process ended was not sent", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  await keep(filled, 1, { delayMs: 60_000 })
  assert.equal((await list(filled))[0]?.answer, "waiting")
  filled.now += 60_000
  assert.equal((await list(filled))[0]?.answer, "waiting")
  filled.now += 6_000
  assert.equal((await list(filled))[0]?.answer, "not_sent")
})

test("requests are paged by their ids, along their index", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  await keep(filled, 3)
  const [c, b] = await list(filled, { limit: 2 })
  const [a] = await list(filled, { limit: 2, before: b?.id ?? 0 })
  assert.deepEqual(
    [c, b, a].map(kept => Buffer.from(kept?.body ?? []).toString()),
    ["2", "1", "0"],
  )
  const watcher = new PlanWatcher(filled.store)
  const asked = { integration: filled.integrations[0], before: Number.MAX_SAFE_INTEGER, limit: 10, now: filled.now }
  await listInboxRequests(watcher, asked)
  assert.equal(watcher.statements.length, 2)
  await watcher.assertNoScan()
  const steps = await watcher.steps()
  assert.ok(steps.every(step => step.includes("inbox_request_by_integration")))
  assert.ok(steps.length > 0)
})
