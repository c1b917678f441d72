/** A policy is changed: by itself, field by field, and with a preset as a new beginning. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Program } from "../help/program.ts"

test("a preset that is named begins anew, and null in it says never, whatever the preset would do", async () => {
  await using program = await Program.open()
  const id = await program.integrate("http://127.0.0.1:9/hook", { policy: { timeout_ms: 7_000 } })
  const path = `/v1/integrations/${id}`
  const { policy: before } = await program.call("GET", path)
  assert.notEqual(before?.long_failure?.warn_after_ms, null, "the preset tells somebody")
  const long_failure = { warn_after_ms: null, disable_after_ms: null }
  const { policy } = await program.call("PATCH", path, { policy: { preset: "standard", long_failure } })
  assert.deepEqual(
    [policy?.long_failure?.warn_after_ms, policy?.long_failure?.disable_after_ms, policy?.timeout_ms],
    [null, null, 15_000],
  )
  const { policy: merged } = await program.call("PATCH", path, { policy: { timeout_ms: 8_000 } })
  assert.deepEqual([merged?.long_failure?.warn_after_ms, merged?.timeout_ms], [null, 8_000])
  const { policy: back } = await program.call("PATCH", path, { policy: { long_failure: null } })
  assert.deepEqual(back?.long_failure, before?.long_failure, "without a preset null takes a member away")
})
