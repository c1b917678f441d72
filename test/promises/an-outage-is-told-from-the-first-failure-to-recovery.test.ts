/** The story of an outage as its owner reads it, from the first failure until all is well again. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { type Json, Program } from "../help/program.ts"

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

test("the diagnosis tells an outage: healthy, several in a row, everything failing, healthy again", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({})
  const id = await program.integrate(endpoint.url(), {
    policy: { retry_delays_ms: [8 * HOUR_MS], protection: { enabled: false } },
  })
  const diagnosis = () => program.call("GET", `/v1/integrations/${id}/diagnosis`)
  let recorded = 0
  const sendOne = async () => {
    await program.send({ type: "order.created" })
    await program.recorded(++recorded)
  }

  // A morning like any other, every minute an event.
  for (let i = 0; i < 8; i++) {
    await sendOne()
    program.turn(MINUTE_MS)
  }
  const { verdict: before } = await diagnosis()
  assert.deepEqual([before?.code, before?.colour], ["healthy", "plain"])

  // The endpoint goes down.
  endpoint.play({ status: 503, body: "down for maintenance" })
  const downAt = program.now
  await sendOne()
  assert.equal((await diagnosis()).verdict?.code, "scattered_failures", "one failure is none to speak of")
  program.turn(MINUTE_MS)
  for (let i = 0; i < 2; i++) {
    await sendOne()
    program.turn(MINUTE_MS)
  }
  const { verdict: early } = await diagnosis()
  assert.deepEqual(
    [early?.code, early?.case, early?.since],
    ["several_in_a_row", "outage", new Date(downAt).toISOString()],
  )

  // It stays down.
  for (let i = 0; i < 15; i++) {
    await sendOne()
    program.turn(MINUTE_MS)
  }
  const { verdict: late, also } = await diagnosis()
  assert.deepEqual([late?.code, late?.case, late?.colour], ["everything_failing", "outage", "red"])
  assert.equal(late?.since, new Date(downAt).toISOString())
  assert.equal(late?.evidence?.facts?.attempts, 18)
  assert.equal(items(late?.questions).length, 3)
  assert.deepEqual(codes(also), [])
  const [group] = items((await program.call("GET", `/v1/integrations/${id}/failures`)).data)
  assert.deepEqual([group?.count, group?.message, group?.going_on], [18, "down for maintenance", true])

  // It comes back, and what failed gets through by itself.
  endpoint.play({})
  await sendOne()
  assert.notEqual((await diagnosis()).verdict?.code, "everything_failing", "one success ends it")
  program.turn(9 * HOUR_MS)
  recorded += 18
  await program.recorded(recorded)
  const { verdict: after, also: past } = await diagnosis()
  assert.deepEqual([after?.code, after?.colour], ["healthy", "plain"])
  const [spike] = items(past)
  assert.deepEqual([spike?.code, spike?.case, spike?.colour], ["failure_spike", "over", "grey"])
  const [over] = items((await program.call("GET", `/v1/integrations/${id}/failures`)).data)
  assert.equal(over?.going_on, false)
  const { healthy } = await program.call("GET", "/v1/status")
  assert.equal(healthy, true)
})

function codes(verdicts: Json | undefined): unknown[] {
  return items(verdicts).map(({ code }) => code)
}
