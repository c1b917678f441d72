import assert from "node:assert/strict"
import { test } from "node:test"
import { Tallier } from "../../src/engine/tallier.ts"
import { openLog } from "../../src/log.ts"
import { raw } from "../../src/store/database.ts"
import type { Store } from "../../src/store/store.ts"
import { openFilledStore } from "../help/filled-store.ts"
import { wrongArrivals } from "../help/tallies.ts"

const log = openLog("silent")

/** A store whose commits of the tallier are counted. */
function watched(store: Store): { readonly store: Store; commits(): number } {
  let commits = 0
  const ledger = new Proxy(store.ledger, {
    get: (target, name) => {
      if (name !== "inNextCommit") return Reflect.get(target, name, target)
      commits++
      return target.inNextCommit.bind(target)
    },
  })
  return { store: { ...store, ledger }, commits: () => commits }
}

test("what came in a moment ago is tallied, and nothing is written while nothing comes in", async t => {
  const filled = await openFilledStore(t)
  const { store, commits } = watched(filled.store)
  const tallier = new Tallier({ store, log })
  const [a, b] = filled.integrations
  const runTwice = async () => {
    // Where several processes make ids, it goes as far as the run before has seen.
    await tallier.runOnce()
    await tallier.runOnce()
  }
  await runTwice()
  assert.equal(commits(), 0)
  for (let i = 0; i < 20; i++) await filled.accept({ targets: [a], withheld: { filtered: [b] } })
  await runTwice()
  assert.equal(commits(), 1)
  assert.deepEqual(await wrongArrivals(text => filled.query(raw(text)), "true"), {})
  await runTwice()
  assert.equal(commits(), 1)
  await filled.accept({ targets: [a] })
  await runTwice()
  assert.equal(commits(), 2)
  assert.deepEqual(await wrongArrivals(text => filled.query(raw(text)), "true"), {})
})

test("it goes on after an error, and an orderly stop leaves nothing that nobody else would tally", async t => {
  const filled = await openFilledStore(t)
  let isFailing = true
  const ledger = new Proxy(filled.store.ledger, {
    get: (target, name) => {
      if (name !== "inNextCommit") return Reflect.get(target, name, target)
      if (isFailing) return () => Promise.reject(new Error("not now"))
      return target.inNextCommit.bind(target)
    },
  })
  const tallier = new Tallier({ store: { ...filled.store, ledger }, log })
  await filled.accept()
  await tallier.runOnce().catch(() => undefined)
  await assert.rejects(tallier.runOnce(), /not now/)
  isFailing = false
  if (filled.store.engine === "sqlite") await tallier.stop()
  else await tallier.runOnce()
  assert.deepEqual(await wrongArrivals(text => filled.query(raw(text)), "true"), {})
})
