/** Integrations that are paused, switched off or removed while events wait for them; and what a restart finds. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { type DeliveryRow, MORNING, Program } from "../help/program.ts"

const SECOND = 1_000
const DAY = 86_400 * SECOND

function summary({ status, reason }: DeliveryRow): string {
  return reason === null ? status : `${status}: ${reason}`
}

/** Resolves when nothing waits and nothing is under way. */
function over(program: Program): Promise<void> {
  const isOver = ({ status, next_at }: DeliveryRow) => next_at === null && status !== "sending"
  return program.until("no delivery waits", async () => (await program.deliveries()).every(isOver))
}

/** A promise, and what makes it come true. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>()
  return { opened, open }
}

describe("a paused integration", () => {
  test("sends nothing, keeps what comes, and goes on with the oldest when it is resumed", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const integration = await program.integrate(there.url(), { policy: { max_concurrent: 1, preset: "device" } })
    await program.send({ type: "a", data: 0 })
    await program.recorded(1)
    const paused = await program.call("POST", `/v1/integrations/${integration}/pause`)
    assert.equal(paused.paused, true)
    for (const data of [1, 2, 3]) await program.send({ type: "a", data })
    program.turn(DAY)
    assert.deepEqual((await program.deliveries(integration)).map(summary), [
      "retrying: server_error",
      ...Array(3).fill("pending: queued"),
    ])
    assert.equal(there.requests.length, 1)
    await program.call("POST", `/v1/integrations/${integration}/resume`)
    await program.recorded(5)
    const order = there.requests.map(({ body }) => (JSON.parse(body.toString()) as { data: number }).data)
    assert.deepEqual(order, [0, 1, 2, 3, 0], "oldest by the time at which they became due")
  })

  test("is still paused after a restart", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const integration = await program.integrate(there.url())
    await program.call("POST", `/v1/integrations/${integration}/pause`)
    await program.send({ type: "a" })
    await program.restart()
    await program.send({ type: "a" })
    assert.deepEqual((await program.deliveries()).map(summary), Array(2).fill("pending: queued"))
    await program.call("POST", `/v1/integrations/${integration}/resume`)
    await program.recorded(2)
  })
})

describe("an integration that a person switches off", () => {
  test("ends what waits, is not listed on later events, and takes up again what comes once it is enabled", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const integration = await program.integrate(there.url())
    const waiting = await program.send({ type: "a" })
    await program.recorded(1)
    const shown = await program.call("POST", `/v1/integrations/${integration}/disable`)
    assert.deepEqual(
      [shown.enabled, shown.disabled?.by, shown.disabled?.at],
      [false, "person", new Date(MORNING).toISOString()],
    )
    await over(program)
    const ended = await program.delivery(integration, waiting)
    assert.equal(summary(ended), "failed: integration_disabled")
    assert.deepEqual(JSON.parse(ended.facts ?? ""), { by: "person", cause: null })
    await program.send({ type: "a" })
    const [later] = await program.rows<{ withheld: string; targets: string; status: string }>(
      "select withheld, targets, status from event order by id desc",
    )
    assert.deepEqual({ ...later }, { withheld: "{}", targets: "[]", status: "received" })
    await program.call("POST", `/v1/integrations/${integration}/enable`)
    program.turn(DAY)
    await program.send({ type: "a" })
    await program.recorded(2)
    assert.equal(
      summary(await program.delivery(integration, waiting)),
      "failed: integration_disabled",
      "ended is ended",
    )
    assert.equal(there.requests.length, 2)
  })

  test("is a person's doing also where Waybill had switched it off before, and no longer shows in red", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 410 })
    const integration = await program.integrate(there.url())
    await program.send({ type: "a" })
    await program.until(
      "it is off",
      async () => (await program.rows("select 1 from integration where enabled = 0")).length === 1,
    )
    await program.call("POST", `/v1/integrations/${integration}/disable`)
    await program.send({ type: "a" })
    assert.deepEqual(
      (await program.rows<{ withheld: string }>("select withheld from event order by id desc limit 1")).map(row => ({
        ...row,
      })),
      [{ withheld: "{}" }],
    )
  })

  test("ends what had not ended when the process did", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 })
    const integration = await program.integrate(there.url())
    await program.send({ type: "a" })
    await program.recorded(1)
    await program.stop()
    await program.leave("update integration set enabled = 0, disabled_by = 'person'")
    await program.restart()
    await over(program)
    assert.deepEqual((await program.deliveries(integration)).map(summary), ["failed: integration_disabled"])
  })
})

describe("an integration that is removed", () => {
  test("ends all that waits, however much it is, and leaves the history", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const integration = await program.integrate(there.url())
    await program.call("POST", `/v1/integrations/${integration}/pause`)
    const events = Array.from({ length: 600 }, () => ({ type: "a" }))
    await program.call("POST", "/v1/events/batch", { events })
    await program.call("POST", "/v1/events/batch", { events })
    assert.equal((await program.ask("DELETE", `/v1/integrations/${integration}`)).status, 204)
    await over(program)
    const ended = await program.deliveries(integration)
    assert.equal(ended.length, 1_200)
    assert.deepEqual(new Set(ended.map(summary)), new Set(["failed: integration_removed"]))
    assert.equal(there.requests.length, 0)
    assert.equal((await program.ask("GET", `/v1/integrations/${integration}`)).status, 404)
    await program.tallied()
    assert.deepEqual(
      (
        await program.rows<{ outcome: string; n: number }>(
          "select outcome, sum(count) as n from delivery_tally group by outcome order by outcome",
        )
      ).map(row => ({ ...row })),
      [
        { outcome: "failed", n: 1_200 },
        { outcome: "routed", n: 1_200 },
      ],
    )
    assert.deepEqual(await program.rows("select * from integration_secret"), [])
    assert.deepEqual(await program.rows("select * from signing_key"), [])
  })

  test("ends what had not ended when the process did", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 })
    const integration = await program.integrate(there.url())
    await program.send({ type: "a" })
    await program.recorded(1)
    await program.stop()
    await program.leave(`update integration set removed_at = ${MORNING}, enabled = 0`)
    await program.restart()
    await over(program)
    assert.deepEqual((await program.deliveries(integration)).map(summary), ["failed: integration_removed"])
  })

  for (const [way, reason] of [
    ["remove", "integration_removed"],
    ["disable", "integration_disabled"],
  ] as const) {
    test(`ends what was under way meanwhile and would be tried again (${way})`, async () => {
      const { opened, open } = gate()
      await using program = await Program.open()
      await using there = await Endpoint.open({ status: 500, after: opened })
      const integration = await program.integrate(there.url())
      await program.send({ type: "a" })
      await there.received(1)
      if (way === "remove") await program.ask("DELETE", `/v1/integrations/${integration}`)
      else await program.call("POST", `/v1/integrations/${integration}/disable`)
      open()
      await program.recorded(1)
      await over(program)
      assert.deepEqual((await program.deliveries(integration)).map(summary), [`failed: ${reason}`])
      assert.equal((await program.attempts(integration))[0]?.status, 500)
    })

    test(`ends what is accepted at the same moment (${way})`, async () => {
      await using program = await Program.open()
      await using there = await Endpoint.open({ status: 500 })
      for (let round = 0; round < 5; round++) {
        const integration = await program.integrate(there.url(), { policy: { max_concurrent: 1 } })
        const sent = Array.from({ length: 30 }, () => program.send({ type: "a" }))
        const path = `/v1/integrations/${integration}`
        const gone = way === "remove" ? program.ask("DELETE", path) : program.call("POST", `${path}/disable`)
        sent.push(...Array.from({ length: 30 }, () => program.send({ type: "a" })))
        await Promise.all([...sent, gone])
        await over(program)
        const ends = new Set((await program.deliveries(integration)).map(summary))
        assert.ok(ends.isSubsetOf(new Set([`failed: ${reason}`])), [...ends].join())
      }
    })
  }
})

describe("a restart", () => {
  test("goes on where the process stood: what waits is tried at its time, what is over stays over", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const integration = await program.integrate(there.url(), { policy: { preset: "device" } })
    await program.send({ type: "a" })
    await program.recorded(1)
    await program.send({ type: "a" })
    await program.recorded(2)
    const before = await program.deliveries()
    await program.restart()
    assert.deepEqual(await program.deliveries(), before)
    program.turn(30 * SECOND - 1)
    assert.deepEqual(await program.deliveries(), before)
    program.turn(1)
    await program.recorded(1)
    assert.deepEqual((await program.deliveries(integration)).map(summary), ["delivered", "delivered"])
    assert.equal(there.requests.length, 3)
  })

  test("waits for the answers to what is under way", async () => {
    const { opened, open } = gate()
    await using program = await Program.open()
    await using there = await Endpoint.open({ after: opened })
    const integration = await program.integrate(there.url())
    await program.send({ type: "a" })
    await there.received(1)
    const stopped = program.stop()
    open()
    await stopped
    assert.deepEqual((await program.deliveries(integration)).map(summary), ["delivered"])
  })

  test("records an attempt that was under way when the process was killed, and tries again at once, free of charge", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const integration = await program.integrate(there.url())
    const event = await program.send({ type: "a" })
    await program.recorded(1)
    await program.stop()
    await program.leave("update delivery set status = 'sending', reason = null, next_at = null, claim = 1")
    await program.leave("update event set n_retrying = 0, n_open = 1")
    await program.restart()
    // What was interrupted is recorded before anybody can hear of it.
    await program.recorded(1)
    const attempts = await program.attempts(integration)
    assert.deepEqual(
      attempts.map(({ number, outcome, reason }) => [number, outcome, reason]),
      [
        [1, "error", "server_error"],
        [2, "interrupted", "interrupted"],
        [3, "success", null],
      ],
    )
    const delivery = await program.delivery(integration, event)
    assert.deepEqual([summary(delivery), delivery.attempts, delivery.charged], ["delivered", 3, 2])
    const ids = there.requests.map(({ headers }) => [headers["webhook-id"], headers["webhook-attempt"]])
    assert.deepEqual([ids[0]?.[0] === ids[1]?.[0], ids.map(([, attempt]) => attempt)], [true, ["1", "3"]])
    assert.deepEqual(
      (await program.rows<object>("select status, n_open, n_retrying, n_delivered from event")).map(row => ({
        ...row,
      })),
      [{ status: "delivered", n_open: 0, n_retrying: 0, n_delivered: 1 }],
    )
  })
})
