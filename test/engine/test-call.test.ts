/** `POST /v1/integrations/{id}/test`: one event sent at once, whatever the integration's state, and counted nowhere. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { Program } from "../help/program.ts"

const DAY = 86_400_000

describe("a test call", () => {
  test("is sent while the integration is off and unverified, marked as a test, and shows what came back", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 200, headers: { "x-record": "9" }, body: '{"id":"r1"}' })
    const made = await program.call("POST", "/v1/integrations", {
      name: "off",
      enabled: false,
      config: { production: { url: there.url(), authorization: "Token secret" }, verification: "json" },
    })
    assert.equal(made.verification?.production?.state, "pending")
    const shown = await program.call("POST", `/v1/integrations/${made.id}/test`, { type: "trial", data: { n: 1 } })
    assert.equal(shown.status, "delivered")
    assert.deepEqual([shown.response?.status, shown.response?.body], [200, '{"id":"r1"}'])
    assert.doesNotMatch(JSON.stringify(shown), /Token secret/)
    const { body, headers } = await there.request(1)
    assert.equal(headers.authorization, "Token secret")
    const sent = JSON.parse(body.toString()) as Record<string, unknown>
    assert.deepEqual([sent.type, sent.test, sent.data], ["trial", true, { n: 1 }])
  })

  test("is one attempt whatever comes of it, counted in no tally, and switches nothing off", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, { status: 410 })
    const integration = await program.integrate(there.url())
    for (const reason of ["server_error", "gone"]) {
      const shown = await program.call("POST", `/v1/integrations/${integration}/test`)
      assert.deepEqual([shown.status, shown.reason?.code], ["failed", reason])
    }
    program.turn(DAY)
    assert.equal(there.requests.length, 2)
    assert.equal((await program.call("GET", `/v1/integrations/${integration}`)).enabled, true)
    await program.tallied()
    assert.deepEqual(await program.rows("select * from delivery_tally"), [])
    assert.deepEqual(await program.rows("select * from ingest_tally"), [])
  })

  test("is not tried again where the process was killed during its attempt", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const integration = await program.integrate(there.url())
    await program.call("POST", `/v1/integrations/${integration}/test`)
    await program.stop()
    await program.leave(
      "update delivery set status = 'sending', reason = null, attempts = 0, last_attempt_id = null, claim = 1",
    )
    await program.leave("update event set n_failed = 0, n_open = 1")
    await program.restart()
    await program.until("it is over", async () =>
      (await program.deliveries(integration)).every(({ status }) => status !== "sending"),
    )
    program.turn(DAY)
    const [delivery] = await program.deliveries(integration)
    assert.deepEqual([delivery?.status, delivery?.reason, delivery?.next_at], ["failed", "interrupted", null])
    assert.equal(there.requests.length, 1)
    await program.tallied()
    assert.deepEqual(await program.rows("select * from delivery_tally"), [])
  })

  test("takes up no place and no rate of the integration's own traffic", async () => {
    let answer = (): void => {}
    const held = new Promise<void>(resolve => {
      answer = resolve
    })
    await using program = await Program.open()
    await using there = await Endpoint.open({ after: held }, {})
    const integration = await program.integrate(there.url(), { policy: { max_concurrent: 1, max_per_second: 0.001 } })
    await program.send({ type: "a" })
    await there.received(1)
    const shown = await program.call("POST", `/v1/integrations/${integration}/test`)
    assert.equal(shown.status, "delivered")
    answer()
    await program.recorded(2)
  })

  test("sends an event of the past again, with its own bytes", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const integration = await program.integrate(there.url())
    const sent = await program.ask("POST", "/v1/events", '{"type":"a","id":"own-1","data":{"n":1.00}}')
    await program.recorded(1)
    await program.call("POST", `/v1/integrations/${integration}/test`, { event: sent.body.id })
    assert.match((await there.request(2)).body.toString(), /"data":\{"n":1\.00\}.*"test":true\}$/)
  })

  test("is refused for an environment that has no endpoint", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const integration = await program.integrate(there.url())
    const answer = await program.ask("POST", `/v1/integrations/${integration}/test`, { environment: "sandbox" })
    assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [422, "/environment"])
    assert.equal(there.requests.length, 0)
  })
})
