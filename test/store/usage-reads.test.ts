/** What went through a project is counted once, whether it has been tallied, has not been yet, or is being tallied just then. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { nextUntallied, tallyArrivals } from "../../src/store/arrival-tallies.ts"
import type { Sql } from "../../src/store/database.ts"
import type { Reader } from "../../src/store/reader.ts"
import { usageByIntegration, usageByType } from "../../src/store/usage-reads.ts"
import { type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { PlanWatcher } from "../help/query-plans.ts"

/** Has everything tallied after each statement: what is counted by two of them would be missed, or counted twice. */
class TallyingReader implements Reader {
  readonly #filled: FilledStore

  constructor(filled: FilledStore) {
    this.#filled = filled
  }

  async query<Row extends object>(statement: Sql): Promise<Row[]> {
    const { store } = this.#filled
    const rows = await store.reads.query<Row>(statement)
    const piece = await nextUntallied(store.reads, store.ids.last)
    if (piece !== null) await store.ledger.inNextCommit(() => tallyArrivals(piece))
    return rows
  }
}

test("what is tallied while usage is being read is counted once, by integration and by type", async t => {
  const filled = await openFilledStore(t)
  const [crm, mail] = filled.integrations
  const asked = { project: filled.project, from: filled.now - 3_600_000, to: filled.now + 3_600_000 }
  const all = [...filled.integrations]
  const counted = async () => {
    const byIntegration = await usageByIntegration(new TallyingReader(filled), asked, all)
    return all.map(id => byIntegration.get(id))
  }
  await filled.accept({ targets: [crm, mail] })
  await filled.accept({ targets: [crm], withheld: { filtered: [mail] } })
  const expected = [{ routed: 2 }, { routed: 1, withheld: 1 }, {}]
  assert.deepEqual(await counted(), expected, "tallied while they were read")
  assert.deepEqual(await counted(), expected, "tallied before")
  await filled.accept({ targets: [crm] })
  assert.deepEqual((await counted())[0], { routed: 3 }, "some tallied before, one while they were read")
  await filled.accept({ targets: [crm] })
  const { total, shown } = await usageByType(new TallyingReader(filled), asked, 10)
  assert.deepEqual([total.events, shown.map(({ events }) => events)], [4, [4]])
})

test("more integrations than one statement names are counted each once, along the keys of the tallies and of events", async t => {
  const filled = await openFilledStore(t)
  const targets = Array.from({ length: 600 }, (_, n) => 5_000 + n)
  await filled.accept({ targets })
  const asked = { project: filled.project, from: filled.now - 3_600_000, to: filled.now + 3_600_000 }
  const watcher = new PlanWatcher(filled.store)
  const used = await usageByIntegration(watcher, asked, [...targets, 9_999])
  assert.equal([...used.values()].filter(({ routed }) => routed === 1).length, 600)
  assert.deepEqual(used.get(9_999), {})
  await watcher.assertNoScan()
})
