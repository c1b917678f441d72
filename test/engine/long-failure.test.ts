/** Long failure over the started program: warned, switched off, without retries; over restarts, and with a clock that jumps. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { Program } from "../help/program.ts"
import { goBy, quiet, told, unprotected } from "../help/told.ts"

const HOUR = 3_600_000
const DAY = 24 * HOUR

const failing = "waybill.integration.failing"
const disabled = "waybill.integration.disabled"
const recovered = "waybill.integration.recovered"

/** The reasons of an integration's deliveries, each once, by status. */
async function outcomes(program: Program, integration: string): Promise<string[]> {
  return [...new Set((await program.deliveries(integration)).map(({ status, reason }) => `${status} ${reason}`))].sort()
}

describe("under the standard preset", () => {
  test("an integration is warned of at two days and switched off at five, over restarts", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 503, body: "down" })
    const id = await program.integrate(there.url(), { name: "CRM", policy: unprotected })
    await program.send({ type: "order.paid", data: {} })
    await quiet(program)
    const since = new Date(program.now).toISOString()
    await goBy(program, 42 * HOUR, 6 * HOUR)
    await program.restart()
    assert.deepEqual(await told(program), [], "at 42 hours")
    await goBy(program, 12 * HOUR, 6 * HOUR)
    const [warning, ...more] = await told(program)
    assert.equal(more.length, 0)
    assert.deepEqual(
      [warning?.integration?.id, warning?.integration?.name, warning?.consequence, warning?.failing_since],
      [id, "CRM", "warned", since],
    )
    assert.equal(warning?.disabled_after_ms, 5 * DAY)
    assert.deepEqual([warning?.last_error?.reason, warning?.last_error?.status], ["server_error", 503])

    await program.restart()
    await goBy(program, 3 * DAY - 18 * HOUR, 6 * HOUR)
    assert.equal((await program.call("GET", `/v1/integrations/${id}`)).enabled, true)
    assert.equal((await told(program, failing)).length, 1, "once for a failing time")
    await goBy(program, 24 * HOUR, 6 * HOUR)
    const { enabled, disabled: off } = await program.call("GET", `/v1/integrations/${id}`)
    assert.deepEqual([enabled, off?.by, off?.reason], [false, "waybill", "long_failure"])
    const [end, ...others] = await told(program, disabled)
    assert.equal(others.length, 0)
    assert.deepEqual([end?.cause, end?.by, end?.failing_since], ["long_failure", null, since])
    assert.ok(Number(end?.failed_attempts) > 20)
  })

  test("what waits ends when it is switched off, later events are withheld in red, and enabling begins anew", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 503 })
    const policy = { ...unprotected, long_failure: { warn_after_ms: 2 * HOUR, disable_after_ms: 6 * HOUR } }
    const id = await program.integrate(there.url(), { policy })
    await goBy(program, 7 * HOUR, HOUR)
    await program.until("all have ended", async () =>
      (await program.deliveries(id)).every(({ status }) => status === "failed"),
    )
    assert.deepEqual(await outcomes(program, id), ["failed integration_disabled"])
    const [last] = (await program.deliveries(id)).slice(-1)
    const cause = JSON.parse(last?.facts ?? "{}") as { by?: string; cause?: string }
    assert.deepEqual([cause.by, cause.cause], ["waybill", "long_failure"])
    const later = await program.send({ type: "order.paid", data: {} })
    const [row] = await program.rows<{ withheld: string; status: string }>(
      "select withheld, status from event where id = ?",
      later,
    )
    assert.deepEqual(Object.keys(JSON.parse(row?.withheld ?? "{}") as object), ["integration_disabled"])
    assert.equal(row?.status, "failed")

    await program.call("POST", `/v1/integrations/${id}/enable`)
    const before = (await told(program)).length
    await goBy(program, HOUR, HOUR)
    assert.equal((await told(program)).length, before, "neither warned nor switched off by what was before")
    assert.equal((await program.call("GET", `/v1/integrations/${id}`)).enabled, true)
  })

  test("another URL begins anew, another name does not", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 503 })
    const policy = { ...unprotected, long_failure: { warn_after_ms: 5 * HOUR } }
    const ids = [
      await program.integrate(there.url("/one"), { policy }),
      await program.integrate(there.url("/two"), { policy }),
    ]
    await goBy(program, 4 * HOUR, HOUR)
    const config = { production: { url: there.url("/elsewhere") } }
    await program.call("PATCH", `/v1/integrations/${ids[0]}`, { config })
    await program.call("PATCH", `/v1/integrations/${ids[1]}`, { name: "Other" })
    await goBy(program, 2 * HOUR, HOUR)
    const warned = (await told(program, failing)).map(({ integration }) => integration?.id)
    assert.deepEqual(warned, [ids[1]])
  })

  test("a success ends it and is told of, and the next failing time is warned of again", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 503 })
    const policy = { ...unprotected, long_failure: { warn_after_ms: 3 * HOUR, disable_after_ms: 6 * HOUR } }
    const id = await program.integrate(there.url(), { policy })
    await goBy(program, 5 * HOUR, HOUR)
    there.play({})
    await goBy(program, HOUR, HOUR)
    const [back] = await told(program, recovered)
    assert.deepEqual([back?.integration?.id, back?.after], [id, "long_failure"])
    await program.restart()
    there.play({ status: 503 })
    await goBy(program, 5 * HOUR, HOUR)
    assert.equal((await program.call("GET", `/v1/integrations/${id}`)).enabled, true)
    assert.equal((await told(program, failing)).length, 2)
    assert.equal((await told(program, recovered)).length, 1)
  })

  test("a failing time that nobody was told of ends without a word", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 503 }, { status: 503 }, {})
    await program.integrate(there.url(), { policy: unprotected })
    await goBy(program, 6 * HOUR, HOUR)
    assert.deepEqual(await told(program), [])
  })
})

describe("what never counts against the endpoint", () => {
  test("a time without traffic", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 503 })
    const policy = { ...unprotected, retry_delays_ms: [] }
    const id = await program.integrate(there.url(), { policy })
    await goBy(program, 60 * DAY, 20 * DAY)
    assert.deepEqual(await told(program), [])
    assert.equal((await program.call("GET", `/v1/integrations/${id}`)).enabled, true)
  })

  for (const [what, jumps] of [
    ["leaps ahead by a month and back", [30 * DAY, -30 * DAY]],
    ["is put back by a month and right again", [-30 * DAY, 30 * DAY]],
  ] as const) {
    test(`a clock that ${what}`, async () => {
      await using program = await Program.open()
      await using there = await Endpoint.open({ status: 503 })
      const id = await program.integrate(there.url(), { policy: unprotected })
      for (const jump of [0, ...jumps]) {
        program.turn(jump)
        await goBy(program, 2 * HOUR, HOUR)
      }
      await program.restart()
      await goBy(program, 2 * HOUR, HOUR)
      assert.deepEqual(await told(program), [])
      assert.equal((await program.call("GET", `/v1/integrations/${id}`)).enabled, true)
    })
  }

  test("a fault of Waybill's own machine or network", async () => {
    const resolver = { resolve: async () => ({ kind: "failed", code: "EMFILE" }) as const }
    await using program = await Program.open({ resolver, egressAllow: "crm.example" })
    const policy = { ...unprotected, long_failure: { warn_after_ms: HOUR, disable_after_ms: 2 * HOUR } }
    const id = await program.integrate("http://crm.example/hook", { policy })
    for (let hour = 0; hour < 8; hour++) {
      await program.send({ type: "order.paid", data: {} })
      await program.until("it was tried", async () => (await program.attempts(id)).length > hour)
      program.turn(HOUR)
    }
    assert.deepEqual([...new Set((await program.attempts(id)).map(({ outcome }) => outcome))], ["sender_fault"])
    assert.deepEqual(await told(program), [])
  })
})

describe("under the subscription preset", () => {
  test("nothing is retried after 24 h without a success, first attempts are made, until one delivery succeeds", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 503 })
    const config = { verification: "none" }
    const id = await program.integrate(there.url(), { config, policy: { preset: "subscription", ...unprotected } })
    await goBy(program, 23 * HOUR, HOUR)
    assert.deepEqual(await outcomes(program, id), ["retrying server_error"])
    await goBy(program, 2 * HOUR, HOUR)
    const [stopped, ...more] = await told(program, failing)
    assert.equal(more.length, 0)
    assert.equal(stopped?.consequence, "retries_stopped")

    await program.restart()
    const failed = await program.send({ type: "order.paid", data: {} })
    await quiet(program)
    const { status, reason, attempts } = await program.delivery(id, failed)
    assert.deepEqual([status, reason, attempts], ["failed", "no_recent_success", 1])
    const shown = await program.call("GET", `/v1/deliveries?integration=${id}&reason=no_recent_success&limit=1`)
    assert.match(
      String(items(shown.data)[0]?.reason?.what),
      /^Nothing has got through to 127\.0\.0\.1:\d+ since 2026-11-21 11:00:00 UTC/,
    )

    there.play({})
    const good = await program.send({ type: "order.paid", data: {} })
    await quiet(program)
    assert.equal((await program.delivery(id, good)).status, "delivered")
    assert.equal((await told(program, recovered)).length, 1)
    there.play({ status: 503 })
    const next = await program.send({ type: "order.paid", data: {} })
    await quiet(program)
    assert.deepEqual(
      [(await program.delivery(id, next)).status, (await program.delivery(id, next)).reason],
      ["retrying", "server_error"],
    )
  })
})

test("the revenuecat preset warns after three hours", async () => {
  await using program = await Program.open()
  await using there = await Endpoint.open({ status: 500 })
  await program.integrate(there.url(), { policy: { preset: "revenuecat" } })
  await program.send({ type: "order.paid", data: {} })
  await quiet(program)
  await goBy(program, 2.5 * HOUR, HOUR / 2)
  assert.deepEqual(await told(program), [])
  await goBy(program, HOUR, HOUR / 2)
  assert.deepEqual(
    (await told(program)).map(({ consequence }) => consequence),
    ["warned"],
  )
})

test("a 410 switches the integration off in the commit that says so, once, with its event", async () => {
  await using program = await Program.open()
  await using there = await Endpoint.open({ status: 410 })
  const id = await program.integrate(there.url())
  await Promise.all(Array.from({ length: 5 }, () => program.send({ type: "order.paid", data: {} })))
  await program.until(
    "it is off",
    async () => (await program.rows("select 1 from integration where enabled = 0")).length === 1,
  )
  await quiet(program)
  const { disabled: off } = await program.call("GET", `/v1/integrations/${id}`)
  assert.deepEqual([off?.by, off?.reason], ["waybill", "gone"])
  const [end, ...more] = await told(program)
  assert.equal(more.length, 0, "however many answers said so")
  assert.deepEqual([end?.cause, end?.last_error?.reason, end?.last_error?.status], ["gone", "gone", 410])
})

test("an endpoint that only rests is warned of and switched off all the same: it is probed as long as something waits", async () => {
  await using program = await Program.open()
  await using there = await Endpoint.open({ status: 503 })
  const policy = {
    protection: { min_attempts: 3 },
    long_failure: { warn_after_ms: 6 * HOUR, disable_after_ms: 12 * HOUR },
  }
  const id = await program.integrate(there.url(), { policy })
  await Promise.all(Array.from({ length: 20 }, () => program.send({ type: "order.paid", data: {} })))
  await program.until("the rest is held", async () =>
    (await program.deliveries(id)).some(({ status }) => status === "skipped"),
  )
  const isOn = async () => (await program.rows("select 1 from integration where enabled = 1")).length === 1
  const tries = async () => (await program.attempts(id)).length
  for (let hour = 0; hour < 20 && (await isOn()); hour++) {
    const before = await tries()
    program.turn(HOUR)
    // No event comes in any more: what tries is the probe.
    await program.until("it was probed, or is off", async () => (await tries()) > before || !(await isOn()))
  }
  assert.equal(await isOn(), false)
  const [warning] = await told(program, failing)
  assert.equal(warning?.consequence, "warned")
  assert.equal((await told(program, disabled)).length, 1)
  await program.until("all have ended", async () =>
    (await program.deliveries(id)).every(({ status }) => status === "failed"),
  )
})
