/** Removals by two that both believe that they lead, as for a moment after one of them stood still. */
import assert from "node:assert/strict"
import test from "node:test"
import { Remover } from "../../src/engine/remover.ts"
import { Tallier } from "../../src/engine/tallier.ts"
import { openLog } from "../../src/log.ts"
import { findRemovalJob, insertRemovalJob, type RemovalJob } from "../../src/store/removal-jobs.ts"
import { openFilledStore } from "../help/filled-store.ts"
import { countOf, makeIntegrations } from "../help/letting-go.ts"
import { until } from "../help/system-ledger.ts"

const EVENTS = 400
const log = openLog("silent")
const nobody = () => {
  throw new Error("Nobody asks for that here.")
}

test("two processes that erase the same person for a moment count what went once, and take all of it", async t => {
  const filled = await openFilledStore(t)
  const { store, project } = filled
  await makeIntegrations(filled)
  const [integration] = filled.integrations
  for (let i = 0; i < EVENTS; i++) await filled.accept({ profileId: "ann", targets: [integration] })
  await filled.accept({ profileId: "bob", targets: [integration] })
  const tallier = new Tallier({ store, log })
  await tallier.runOnce()
  await tallier.runOnce()

  const removers = [1, 2].map(
    () =>
      new Remover({
        ...{ store, log, now: () => filled.now },
        directory: { integrationsOf: nobody, reloadProject: nobody },
        engine: { expect: () => undefined, refresh: nobody },
        changes: { inTransaction: nobody },
        keyring: { forget: nobody },
      }),
  )
  const key = "erasure/ann"
  const id = store.ids.next()
  const cursor = JSON.stringify({ profile: "ann", hash: "-", upTo: id, first: null, phase: "events" })
  await insertRemovalJob(store.db, { id, kind: "erasure", key, project, cursor, createdAt: filled.now })
  for (const remover of removers) remover.start()
  t.after(() => Promise.all(removers.map(remover => remover.stop())))
  const doneKey = `erasure/${project}/-/${id}`
  let job: RemovalJob | undefined
  await until("it is done", 30_000, async () => {
    job = await findRemovalJob(store.db, doneKey)
    return job?.state === "done"
  })
  assert.deepEqual([job?.removed["event"], job?.removed["delivery"]], [EVENTS, EVENTS])
  assert.deepEqual([await countOf(filled, "event"), await countOf(filled, "delivery")], [1, 1])
})
