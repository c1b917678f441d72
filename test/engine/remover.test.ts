/** Removals side by side: of several jobs, and by two that both believe that they lead, as for a moment after one stood still. */
import assert from "node:assert/strict"
import test from "node:test"
import { formatId } from "../../src/domain/id.ts"
import { type Erasure, type ProjectRemoval, Remover, type RemoverOptions } from "../../src/engine/remover.ts"
import { Tallier } from "../../src/engine/tallier.ts"
import { type Log, openLog } from "../../src/log.ts"
import { sql } from "../../src/store/database.ts"
import { insertRemovalJob, openRemovalJobs, type RemovalJob, readErasure } from "../../src/store/removal-jobs.ts"
import { type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { countOf, makeIntegrations } from "../help/letting-go.ts"
import { until } from "../help/system-ledger.ts"

const EVENTS = 400
const log = openLog("silent")
const nobody = () => {
  throw new Error("Nobody asks for that here.")
}

function removerOf({ store, now }: FilledStore, more: Partial<RemoverOptions> = {}): Remover {
  return new Remover({
    ...{ store, log, now: () => now },
    directory: { integrationsOf: nobody, reloadProject: nobody },
    engine: { expect: () => undefined, refresh: nobody },
    changes: { inTransaction: nobody },
    keyring: { forget: nobody },
    ...more,
  })
}

/** Writes down that a person is to be erased; gives the job's id. */
async function askToErase({ store, project, now }: FilledStore, profile: string, cursor?: string): Promise<number> {
  const id = store.ids.next()
  const asked = JSON.stringify({ profile, hash: profile, upTo: id, first: null, phase: "events" } satisfies Erasure)
  const job = { id, kind: "erasure", key: `erasure/${profile}`, project, createdAt: now } as const
  await insertRemovalJob(store.db, { ...job, cursor: cursor ?? asked })
  return id
}

/** Waits until an erasure is done. */
async function erased({ store, project }: FilledStore, id: number): Promise<RemovalJob> {
  let job: RemovalJob | undefined
  await until("the person was erased", 30_000, async () => {
    job = await readErasure(store.db, project, id)
    return job?.state === "done"
  })
  assert.ok(job)
  return job
}

async function tallyAll({ store }: FilledStore): Promise<void> {
  const tallier = new Tallier({ store, log })
  await tallier.runOnce()
  await tallier.runOnce()
}

test("two processes that erase the same person for a moment count what went once, and take all of it", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [integration] = filled.integrations
  for (let i = 0; i < EVENTS; i++) await filled.accept({ profileId: "ann", targets: [integration] })
  await filled.accept({ profileId: "bob", targets: [integration] })
  await tallyAll(filled)

  const removers = [1, 2].map(() => removerOf(filled))
  const id = await askToErase(filled, "ann")
  for (const remover of removers) remover.start()
  t.after(() => Promise.all(removers.map(remover => remover.stop())))
  const job = await erased(filled, id)
  assert.deepEqual([job.removed["event"], job.removed["delivery"]], [EVENTS, EVENTS])
  assert.deepEqual([await countOf(filled, "event"), await countOf(filled, "delivery")], [1, 1])
})

test("an erasure that fails each time holds up no other, and its failures are logged with its id", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  await filled.accept({ profileId: "ann", targets: [] })
  await tallyAll(filled)
  const failing = await askToErase(filled, "bob", "not what this version writes")
  const next = await askToErase(filled, "ann")
  const told: object[] = []
  const spy = { ...log, error: (facts: object) => told.push(facts) } as unknown as Log
  const remover = removerOf(filled, { log: spy })
  remover.start()
  t.after(() => remover.stop())
  assert.equal((await erased(filled, next)).removed["event"], 1)
  assert.deepEqual(
    told.map(facts => "erasure" in facts && facts.erasure),
    [formatId("ers", failing)],
    "once: the next try comes later",
  )
  assert.equal((await readErasure(filled.store.db, filled.project, failing))?.state, "due")
})

test("an erasure that failed is done when what was wrong has been mended", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  await filled.accept({ profileId: "ann", targets: [] })
  await tallyAll(filled)
  const id = await askToErase(filled, "ann", "not what this version writes")
  const failed = Promise.withResolvers<void>()
  const remover = removerOf(filled, { log: { ...log, error: () => failed.resolve() } as unknown as Log })
  remover.start()
  t.after(() => remover.stop())
  await failed.promise
  const mended: Erasure = { profile: "ann", hash: "ann", upTo: id, first: null, phase: "events" }
  await filled.query(sql`update job set cursor = ${JSON.stringify(mended)} where id = ${id}`)
  assert.equal((await erased(filled, id)).removed["event"], 1)
})

test("an erasure that is asked for while a project is being removed does not wait until that is over", async t => {
  const filled = await openFilledStore(t)
  const { store, now } = filled
  await makeIntegrations(filled)
  await filled.accept({ profileId: "ann", targets: [] })
  const going = 1_001
  await filled.query(sql`insert into project (id, name, created_at) values (${going}, 'going', ${now})`)
  for (let i = 0; i < 2_000; i++) await filled.accept({ project: going, profileId: "bob" })
  await tallyAll(filled)
  const removal: ProjectRemoval = { project: going, by: { kind: "waybill", id: null }, table: null }
  const job = { id: store.ids.next(), kind: "project_removal", key: "project_removal/1", project: null } as const
  await insertRemovalJob(store.db, { ...job, cursor: JSON.stringify(removal), createdAt: now })
  // Asked for when the first piece of the project has been removed.
  let asked: Promise<number> | undefined
  const ledger: RemoverOptions["store"]["ledger"] = Object.create(store.ledger)
  ledger.inNextCommit = async work => {
    const done = await store.ledger.inNextCommit(work)
    asked ??= askToErase(filled, "ann")
    await asked
    return done
  }
  const remover = removerOf(filled, { store: { ...store, ledger } })
  remover.start()
  t.after(() => remover.stop())
  await until("something of the project has gone", 30_000, () => asked !== undefined)
  await until("ann's event has gone", 30_000, async () => (await countOf(filled, "event", "profile_id = 'ann'")) === 0)
  assert.ok((await countOf(filled, "event", `project_id = ${going}`)) > 0, "the project's go on going")
  assert.equal((await openRemovalJobs(store.reads)).length, 2)
})
