/** What is written of an integration at one moment by two hands: people by the API, Waybill by an answer of the other side. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { loadIntegrations, type Switch, saveIntegration, switchIntegration } from "../../src/store/integrations.ts"
import { openAt } from "../help/engines.ts"
import { numberOf, Program } from "../help/program.ts"

test("a save or a switch that began before Waybill switched the integration off leaves it off", async () => {
  await using program = await Program.open()
  const id = numberOf("int", await program.integrate("https://crm.example/"))
  await program.stop()
  const store = await openAt(program.place, () => program.now)
  await using closing = new AsyncDisposableStack()
  closing.defer(() => store.close())
  const state = async () => {
    const [record] = await loadIntegrations(store.db, store.seal, id)
    return [record?.enabled, record?.disabledBy, record?.disabledReason, record?.paused, record?.revision]
  }
  const [before] = await loadIntegrations(store.db, store.seal, id)
  if (before === undefined) throw new Error("The integration is not there.")
  await program.leave("update integration set enabled = 0, disabled_by = 'waybill', disabled_reason = 'gone'")

  const by = { kind: "operator", id: null } as const
  const next = { ...before, revision: 2, snapshot: { ...before.snapshot, name: "renamed" } }
  await store.db.transaction(tx => saveIntegration(tx, store.seal, next, { by, secretsChanged: [] }))
  assert.deepEqual(await state(), [false, "waybill", "gone", false, 2])
  const switched = (to: Switch) => switchIntegration(store.db, id, to, program.now)
  assert.deepEqual([await switched("pause"), await switched("pause")], [true, false])
  assert.deepEqual(await state(), [false, "waybill", "gone", true, 2])
  assert.deepEqual([await switched("resume"), await switched("enable"), await switched("enable")], [true, true, false])
  assert.deepEqual(await state(), [true, null, null, false, 2])
})
