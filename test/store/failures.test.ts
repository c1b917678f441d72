/** Failures that look alike: one group for what is the same, in the commit of the attempt, and never too many. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Exchange } from "../../src/domain/exchange.ts"
import { GROUPS_KEPT, groupLike, listFailures } from "../../src/store/failures.ts"
import { DAY_MS, type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { PlanWatcher } from "../help/query-plans.ts"

const timings = { dnsMs: null, connectMs: null, tlsMs: null, waitMs: 1, bodyMs: 1, totalMs: 2 }

function answered(status: number, body: string): Exchange {
  const answer = {
    status,
    headers: [["content-type", "application/json"] as const],
    body: Buffer.from(body),
    truncated: false,
    incomplete: false,
  }
  return { kind: "answered", answer, sentHeaders: [], timings }
}

async function fail(
  filled: FilledStore,
  exchange: Exchange,
  more: { readonly test?: boolean; next?: "delivered" } = {},
) {
  const [crm] = filled.integrations
  const event = await filled.accept({ targets: [crm], ...(more.test === true ? { test: true } : {}) })
  const status = exchange.kind === "answered" ? exchange.answer.status : null
  const reason = { code: "rejected", facts: { status } } as const
  const next = more.next ?? "failed"
  await filled.attempt(
    { event: event.id, integration: crm },
    next === "delivered" ? { next, exchange } : { next, reason, exchange },
  )
  return event.id
}

function groupsOf(filled: FilledStore, more: { limit?: number; after?: { lastAt: number; id: number } } = {}) {
  const [integration] = filled.integrations
  const { project, now } = filled
  return listFailures(filled.store.reads, { project, integration, limit: 500, now, ...more })
}

test("failures that differ in what they name only are one group, with the first, the last and an example", async t => {
  const filled = await openFilledStore(t)
  const firstAt = filled.now
  await fail(filled, answered(404, '{"message":"record 1 not found"}'))
  filled.now += 60_000
  const last = await fail(filled, answered(404, '{"message":"record 27 not found"}'))
  const [group, ...rest] = await groupsOf(filled)
  assert.equal(rest.length, 0)
  assert.deepEqual(
    [group?.reason, group?.status, group?.message, group?.count, group?.firstAt, group?.lastAt, group?.event],
    ["rejected", 404, "record {n} not found", 2, firstAt, filled.now, last],
  )
})

test("another status, another message and another integration are other groups; the last seen stands first", async t => {
  const filled = await openFilledStore(t)
  await fail(filled, answered(404, '{"message":"gone"}'))
  filled.now += 1_000
  await fail(filled, answered(422, '{"message":"gone"}'))
  filled.now += 1_000
  await fail(filled, answered(404, '{"message":"no such hook"}'))
  const groups = await groupsOf(filled)
  assert.deepEqual(
    groups.map(({ status, message }) => [status, message]),
    [
      [404, "no such hook"],
      [422, "gone"],
      [404, "gone"],
    ],
  )
  const [, other] = filled.integrations
  const none = await listFailures(filled.store.reads, {
    project: filled.project,
    integration: other,
    limit: 9,
    now: filled.now,
  })
  assert.deepEqual(none, [])
})

test("tests and what got through are in no group, and the success path writes nothing", async t => {
  const filled = await openFilledStore(t)
  await fail(filled, answered(404, "{}"), { test: true })
  await fail(filled, answered(200, '{"message":"fine"}'), { next: "delivered" })
  assert.deepEqual(await groupsOf(filled), [])
})

test("an integration has 200 groups at most: those seen the longest ago go", async t => {
  const filled = await openFilledStore(t)
  const letters = (n: number) => String.fromCharCode(97 + (Math.floor(n / 26) % 26), 97 + (n % 26))
  for (let i = 0; i < GROUPS_KEPT + 5; i++) {
    filled.now += 1_000
    await fail(filled, answered(400, JSON.stringify({ message: `fault ${letters(i)}` })))
  }
  const groups = await groupsOf(filled)
  assert.equal(groups.length, GROUPS_KEPT)
  assert.equal(groups.at(-1)?.message, `fault ${letters(5)}`)
})

test("a page goes on where the one before ended", async t => {
  const filled = await openFilledStore(t)
  for (const message of ["a", "b", "c"]) await fail(filled, answered(400, JSON.stringify({ message })))
  const [first, second] = await groupsOf(filled, { limit: 2 })
  assert.deepEqual([first?.message, second?.message], ["c", "b"])
  const rest = await groupsOf(filled, { after: { lastAt: second?.lastAt ?? 0, id: second?.id ?? 0 } })
  assert.deepEqual(
    rest.map(({ message }) => message),
    ["a"],
  )
})

test("a group is read for 30 days after it was last seen, then it goes", async t => {
  const filled = await openFilledStore(t)
  await fail(filled, answered(400, '{"message":"a"}'))
  filled.now += 30 * DAY_MS - 1
  assert.equal((await groupsOf(filled)).length, 1)
  filled.now += 1
  assert.equal((await groupsOf(filled)).length, 0)
})

test("the group of a failure is found by what it has in common, or by reason and status where there is only one", async t => {
  const filled = await openFilledStore(t)
  const [integration] = filled.integrations
  await fail(filled, answered(404, '{"message":"gone"}'))
  const alike = { integration, reason: "rejected", status: 404, message: "gone" } as const
  const reads = filled.store.reads
  assert.equal((await groupLike(reads, alike, true))?.count, 1)
  assert.equal(await groupLike(reads, { ...alike, message: "else" }, true), undefined)
  assert.equal((await groupLike(reads, { ...alike, message: "" }, false))?.message, "gone")
  await fail(filled, answered(404, '{"message":"else"}'))
  assert.equal(await groupLike(reads, { ...alike, message: "" }, false), undefined)
})

test("listing and finding groups reads no table from one end to the other", async t => {
  const filled = await openFilledStore(t)
  const watcher = new PlanWatcher(filled.store)
  const [integration] = filled.integrations
  await listFailures(watcher, { project: filled.project, integration, limit: 5, now: filled.now })
  await groupLike(watcher, { integration, reason: "rejected", status: 404, message: "gone" }, true)
  await watcher.assertNoScan()
})
