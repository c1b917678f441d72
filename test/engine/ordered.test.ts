/** Ordered delivery: one after another per key, whatever happens to those in front and to their integration. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { formatDeliveryId, formatId, parseId } from "../../src/domain/id.ts"
import { Endpoint, type Received } from "../help/endpoint.ts"
import { type DeliveryRow, type Json, Program } from "../help/program.ts"

const SECOND = 1_000
/** Two retries, after 30 s and 60 s; the endpoint is never left alone. */
const policy = {
  preset: "device",
  protection: { enabled: false },
  ordered: true,
}
const stopping = { ...policy, ordered_on_failure: "stop", retry_delays_ms: [] }

/** What a request carried, as `a1`: the key and the number of the event. */
function label({ body }: Received): string {
  return String((JSON.parse(body.toString()) as { data: unknown }).data)
}

function labels(there: Endpoint): string[] {
  return there.requests.map(label)
}

/** Sends events such as `a1` under the key `a`; gives their numbers. */
async function send(program: Program, ...names: readonly string[]): Promise<number[]> {
  const ids: number[] = []
  for (const name of names) ids.push(await program.send({ type: "t", ordering_key: name.slice(0, 1), data: name }))
  return ids
}

function idOf(integration: string, event: number | undefined): string {
  return formatDeliveryId({ event: event ?? 0, integration: parseId("int", integration) ?? 0 })
}

function read(program: Program, integration: string, event: number | undefined): Promise<Json> {
  return program.call("GET", `/v1/deliveries/${idOf(integration, event)}`)
}

async function statuses(program: Program, integration: string): Promise<string[]> {
  return (await program.deliveries(integration)).map(({ status, reason }: DeliveryRow) =>
    reason === null ? status : `${status}: ${reason}`,
  )
}

/** Resolves when nothing waits and nothing is under way. */
function over(program: Program): Promise<void> {
  return program.until("no delivery waits", async () =>
    (await program.deliveries()).every(({ status, next_at }) => next_at === null && status !== "sending"),
  )
}

/** A promise, and what makes it come true. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>()
  return { opened, open }
}

describe("an integration that delivers in order", () => {
  test("sends one after another of a key, over all retries, and holds no other key for it", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    let fails = 2
    there.answer(request => ({ status: label(request) === "a1" && fails-- > 0 ? 500 : 200 }))
    const integration = await program.integrate(there.url(), { policy })
    await send(program, "a1", "a2", "b1", "a3", "b2")
    await program.recorded(3)
    assert.deepEqual(labels(there), ["a1", "b1", "b2"])
    program.turn(30 * SECOND)
    await program.recorded(4)
    assert.deepEqual(await statuses(program, integration), [
      "retrying: server_error",
      "pending: waiting_turn",
      "delivered",
      "pending: waiting_turn",
      "delivered",
    ])
    program.turn(60 * SECOND)
    await program.recorded(7)
    assert.deepEqual(labels(there), ["a1", "b1", "b2", "a1", "a1", "a2", "a3"])
  })

  test("has one request of a key under way at a time, and as many as it may of different keys", async () => {
    const { opened, open } = gate()
    await using program = await Program.open()
    await using there = await Endpoint.open({ after: opened })
    await program.integrate(there.url(), { policy })
    await send(program, "a1", "a2", "a3", "b1", "b2", "c1")
    await there.received(3)
    assert.deepEqual(labels(there).sort(), ["a1", "b1", "c1"])
    open()
    await program.recorded(6)
    assert.deepEqual(
      labels(there).filter(name => name.startsWith("a")),
      ["a1", "a2", "a3"],
    )
  })

  test("sends events without a key at once, and its tests past every line", async () => {
    const { opened, open } = gate()
    await using program = await Program.open()
    await using there = await Endpoint.open({ after: opened })
    const integration = await program.integrate(there.url(), { policy })
    const [, second = 0] = await send(program, "a1", "a2")
    for (const data of ["-1", "-2"]) await program.send({ type: "t", data })
    const test = { event: formatId("evt", second) }
    const tested = program.call("POST", `/v1/integrations/${integration}/test`, test)
    await there.received(4)
    open()
    await Promise.all([tested, program.recorded(5)])
    assert.deepEqual(labels(there).sort(), ["-1", "-2", "a1", "a2", "a2"])
    assert.equal(labels(there).at(-1), "a2", "the last one in its turn")
  })

  test("keeps the order when the process was killed in the middle of the first", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const integration = await program.integrate(there.url(), { policy })
    const [first = 0] = await send(program, "a1", "a2")
    await program.recorded(1)
    await program.stop()
    await program.leave(
      "update delivery set status = 'sending', reason = null, next_at = null, claim = 1 where event_id = ?",
      first,
    )
    await program.leave("update event set n_retrying = 0, n_open = 1 where id = ?", first)
    await program.restart()
    await over(program)
    assert.deepEqual(labels(there), ["a1", "a1", "a2"])
    assert.deepEqual(
      (await program.attempts(integration)).map(({ outcome }) => outcome),
      ["error", "interrupted", "success", "success"],
    )
  })
})

describe("when the one in front has failed for good", () => {
  test("`skip` goes on with the next", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const integration = await program.integrate(there.url(), { policy: { ...policy, retry_delays_ms: [] } })
    await send(program, "a1", "a2")
    await over(program)
    assert.deepEqual(await statuses(program, integration), ["failed: server_error", "delivered"])
    assert.deepEqual(labels(there), ["a1", "a2"])
  })

  test("`stop` holds its key, says so, and lets it go on when it is released", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const integration = await program.integrate(there.url(), { policy: stopping })
    const [first, second, third] = await send(program, "a1", "a2", "a3")
    await send(program, "b1")
    await program.recorded(2)
    assert.deepEqual(labels(there), ["a1", "b1"])

    const front = idOf(integration, first)
    const held = await read(program, integration, second)
    assert.deepEqual([held.status, held.waiting_behind, held.blocks_key], ["pending", front, false])
    assert.equal(
      held.reason?.what,
      `It waits behind ${front} of the same ordering key, a, which has failed and holds those behind it.`,
    )
    assert.match(String(held.reason?.advice), new RegExp(`POST /v1/deliveries/${front}/release`))
    const shown = await read(program, integration, first)
    assert.deepEqual([shown.status, shown.waiting_behind, shown.blocks_key], ["failed", null, true])
    const listed = await program.call("GET", `/v1/deliveries?integration=${integration}&ordering_key=a&status=pending`)
    assert.deepEqual(
      (listed.data as unknown as Json[]).map(({ id, waiting_behind }) => [id, waiting_behind]),
      [
        [idOf(integration, third), front],
        [idOf(integration, second), front],
      ],
    )

    const wrong = await program.ask("POST", `/v1/deliveries/${idOf(integration, third)}/release`)
    assert.equal(wrong.status, 409)
    assert.match(String(wrong.body.detail), new RegExp(`waits behind ${front}. Ask for that one.`))
    const released = await program.call("POST", `/v1/deliveries/${front}/release`)
    assert.deepEqual(
      [released.status, released.blocks_key, released.released],
      ["failed", false, idOf(integration, second)],
    )
    await over(program)
    assert.deepEqual(labels(there), ["a1", "b1", "a2", "a3"])
    const again = await program.ask("POST", `/v1/deliveries/${front}/release`)
    assert.equal(again.status, 409)
    assert.match(String(again.body.detail), /blocks no ordering key, so there is nothing to release/)
  })

  test("`stop` is ended in order by a retry of the one that failed", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const integration = await program.integrate(there.url(), { policy: stopping })
    const [first, second] = await send(program, "a1", "a2", "a3")
    await program.recorded(1)
    const waiting = await program.call("POST", `/v1/deliveries/${idOf(integration, second)}/retry`)
    assert.deepEqual([waiting.status, waiting.waiting_behind], ["pending", idOf(integration, first)])
    await program.call("POST", `/v1/deliveries/${idOf(integration, first)}/retry`)
    await over(program)
    assert.deepEqual(labels(there), ["a1", "a1", "a2", "a3"])
  })

  test("`stop` still holds its key after a restart, and for what comes later", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const integration = await program.integrate(there.url(), { policy: stopping })
    const [first] = await send(program, "a1", "a2")
    await program.recorded(1)
    await program.restart()
    await send(program, "a3", "b1")
    await program.recorded(1)
    assert.deepEqual(labels(there), ["a1", "b1"])
    await program.call("POST", `/v1/deliveries/${idOf(integration, first)}/release`)
    await over(program)
    assert.deepEqual(labels(there), ["a1", "b1", "a2", "a3"])
  })

  for (const [change, says] of [
    [{ ordered_on_failure: "skip" }, "the policy says `skip` from now on"],
    [{ ordered: false }, "the integration no longer delivers in order"],
  ] as const) {
    test(`\`stop\` ends, in order, where ${says}`, async () => {
      await using program = await Program.open()
      await using there = await Endpoint.open({ status: 500 }, {})
      const integration = await program.integrate(there.url(), { policy: stopping })
      await send(program, "a1", "a2", "a3")
      await program.recorded(1)
      await program.call("PATCH", `/v1/integrations/${integration}`, { policy: { ...stopping, ...change } })
      await over(program)
      assert.deepEqual(labels(there), ["a1", "a2", "a3"])
    })
  }

  test("an answer of 410 switches off: nothing more is sent, and the key is held no longer", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 410 }, {})
    const given = { ...stopping, preset: "standard" }
    const integration = await program.integrate(there.url(), { policy: given })
    await send(program, "a1", "a2")
    await over(program)
    assert.deepEqual(await statuses(program, integration), ["failed: gone", "failed: integration_disabled"])
    assert.deepEqual(labels(there), ["a1"], "the second was not sent to an endpoint that asked to be left alone")
    await program.call("POST", `/v1/integrations/${integration}/enable`)
    await send(program, "a3")
    await over(program)
    assert.deepEqual(labels(there), ["a1", "a3"])
  })
})

describe("what happens to the integration meanwhile", () => {
  test("`ordered` switched off: those that wait keep their order, what comes later waits for nobody", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const integration = await program.integrate(there.url(), { policy })
    await send(program, "a1", "a2")
    await program.recorded(1)
    await program.call("PATCH", `/v1/integrations/${integration}`, { policy: { ...policy, ordered: false } })
    const [, late] = await send(program, "a3", "a4")
    await program.recorded(3)
    assert.deepEqual(labels(there), ["a1", "a3", "a4"])
    assert.equal((await read(program, integration, late)).ordering_key, null, "it stands in no line")
    program.turn(30 * SECOND)
    await over(program)
    assert.deepEqual(labels(there), ["a1", "a3", "a4", "a1", "a2"])
  })

  test("`ordered` switched on: what waited before stands in no line, what comes later does", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, { status: 500 }, {})
    const integration = await program.integrate(there.url(), { policy: { ...policy, ordered: false } })
    await send(program, "a1")
    await program.recorded(1)
    await program.call("PATCH", `/v1/integrations/${integration}`, { policy })
    await send(program, "a2", "a3")
    await program.recorded(2)
    assert.deepEqual(labels(there), ["a1", "a2"])
    program.turn(30 * SECOND)
    await over(program)
    const order = labels(there).slice(2)
    assert.equal(order.length, 3)
    assert.ok(order.indexOf("a2") < order.indexOf("a3"), order.join())
  })

  test("paused and resumed: in order", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const integration = await program.integrate(there.url(), { policy })
    await program.call("POST", `/v1/integrations/${integration}/pause`)
    await send(program, "a1", "a2", "b1", "a3")
    await program.call("POST", `/v1/integrations/${integration}/resume`)
    await over(program)
    assert.deepEqual(
      labels(there).filter(name => name.startsWith("a")),
      ["a1", "a2", "a3"],
    )
  })

  test("switched off and on again: what waited has ended, blocks too, and the key begins anew", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    const integration = await program.integrate(there.url(), { policy: stopping })
    const [first] = await send(program, "a1", "a2", "a3")
    await program.recorded(1)
    await program.call("POST", `/v1/integrations/${integration}/disable`)
    await over(program)
    await program.until(
      "nothing blocks",
      async () => (await program.rows("select 1 from delivery where in_line is not null")).length === 0,
    )
    assert.deepEqual(await statuses(program, integration), [
      "failed: server_error",
      "failed: integration_disabled",
      "failed: integration_disabled",
    ])
    await program.call("POST", `/v1/integrations/${integration}/enable`)
    await send(program, "a4")
    await over(program)
    assert.deepEqual(labels(there), ["a1", "a4"])
    assert.equal((await read(program, integration, first)).blocks_key, false)
  })

  test("switched off while the first is under way: it blocks nothing afterwards", async () => {
    const { opened, open } = gate()
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500, after: opened }, {})
    const integration = await program.integrate(there.url(), { policy: stopping })
    await send(program, "a1", "a2")
    await there.received(1)
    await program.call("POST", `/v1/integrations/${integration}/disable`)
    open()
    await program.recorded(1)
    await over(program)
    await program.call("POST", `/v1/integrations/${integration}/enable`)
    await send(program, "a3")
    await over(program)
    assert.deepEqual(labels(there), ["a1", "a3"])
  })

  test("removed: all that waited has ended", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 })
    const integration = await program.integrate(there.url(), { policy: stopping })
    await send(program, "a1", "a2", "a3")
    await program.recorded(1)
    assert.equal((await program.ask("DELETE", `/v1/integrations/${integration}`)).status, 204)
    await over(program)
    assert.deepEqual((await statuses(program, integration)).slice(1), Array(2).fill("failed: integration_removed"))
  })
})
