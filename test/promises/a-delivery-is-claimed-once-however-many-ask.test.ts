/**
 * Several processes claim the deliveries of one integration from one database, each as fast as it can: every delivery is
 * claimed once, by one of them. (A second Waybill on a data folder is refused; this is about what holds if that fails.)
 */
import assert from "node:assert/strict"
import test from "node:test"
import { firstIdAt } from "../../src/domain/id.ts"
import { embedded } from "../help/engines.ts"
import { openFilledStore } from "../help/filled-store.ts"
import { HelperProcess } from "../help/helper-process.ts"
import type { RivalQuestion, RivalSetup, Spoils } from "../help/rival-process.ts"
import { queryDatabase } from "../help/system-ledger.ts"

const DELIVERIES = 20_000
const RIVALS = 4
/** So many ids are kept apart for each. */
const IDS = 1_000_000

test("four processes that claim 20,000 deliveries from one database get each of them once", {
  timeout: 120_000,
}, async t => {
  const filled = await openFilledStore(t)
  const { now } = filled
  const { dataDir } = filled.place
  const [lane] = filled.integrations
  await Promise.all(Array.from({ length: DELIVERIES }, () => filled.accept({ targets: [lane] })))

  const rivals = Array.from({ length: RIVALS }, (_, i) => {
    const setup: RivalSetup = {
      path: embedded(filled.store).path,
      lane,
      fence: filled.store.fence + 1 + i,
      now,
      firstId: firstIdAt(now) + (i + 1) * IDS,
      room: 20,
    }
    return new HelperProcess(t, "rival-process.ts", setup)
  })
  const askAll = (question: RivalQuestion) => Promise.all(rivals.map(rival => rival.ask(question)))
  await askAll({ kind: "ready" })
  const spoils = (await askAll({ kind: "claim" })) as Spoils[]

  const turnedAway = spoils.reduce((sum, one) => sum + one.turnedAway, 0)
  t.diagnostic(`claimed: ${spoils.map(({ claimed }) => claimed.length).join(" + ")}; turned away ${turnedAway} times`)
  assert.ok(
    spoils.every(({ claimed }) => claimed.length > 0),
    "all of them had a share, so they did run beside each other",
  )
  const claimed = spoils.flatMap(one => one.claimed)
  assert.equal(claimed.length, DELIVERIES)
  assert.equal(new Set(claimed).size, DELIVERIES, "none was claimed twice")
  assert.equal(
    spoils.reduce((sum, one) => sum + one.moved, 0),
    DELIVERIES,
    "every claim held until it was settled",
  )
  assert.deepEqual(queryDatabase(dataDir, "select status, attempts, count(*) as n from delivery group by 1, 2"), [
    { status: "delivered", attempts: 1, n: DELIVERIES },
  ])
  assert.deepEqual(
    queryDatabase(dataDir, "select number, count(*) as n, count(distinct event_id) as events from attempt group by 1"),
    [{ number: 1, n: DELIVERIES, events: DELIVERIES }],
  )
})
