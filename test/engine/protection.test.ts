/** An endpoint that fails is left alone, tried, and eased back in: through the whole program, with a clock that the test turns. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { type DeliveryRow, Program } from "../help/program.ts"
import { StreamListener } from "../help/stream-listener.ts"

const SECOND = 1_000

interface Row extends DeliveryRow {
  readonly queue: number
}

function summary({ status, reason }: DeliveryRow): string {
  return reason === null ? status : `${status}: ${reason}`
}

function factsOf({ facts }: DeliveryRow): Record<string, unknown> {
  return JSON.parse(facts ?? "{}") as Record<string, unknown>
}

/** How many deliveries stand how. */
async function tally(program: Program, integration?: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const row of await program.deliveries(integration)) counts[summary(row)] = (counts[summary(row)] ?? 0) + 1
  return counts
}

/** Judges by four attempts, and keeps retries out of the way. */
const quick = { retry_delays_ms: [3_600_000, 3_600_000], jitter: 0, max_concurrent: 1, protection: { min_attempts: 4 } }

function sendAll(program: Program, from: number, count: number): Promise<unknown> {
  const events = Array.from({ length: count }, (_, i) => ({ type: "a", data: from + i }))
  return program.call("POST", "/v1/events/batch", { events })
}

function numbersOf(there: Endpoint): number[] {
  return there.requests.map(({ body }) => (JSON.parse(body.toString()) as { data: number }).data)
}

/** Resolves when nothing is being sent and nothing but what is held, or due later, waits. */
function quiet(program: Program): Promise<void> {
  const now = program.now
  return program.until("nothing is under way", async () =>
    ((await program.deliveries()) as Row[]).every(
      row => row.status !== "sending" && (row.next_at === null || row.queue >= 16 || row.next_at > now),
    ),
  )
}

/** Lets the clock go on, a tenth of a second at a time, until something is so. */
function goOnUntil(program: Program, what: string, isSo: () => Promise<boolean>): Promise<void> {
  return program.until(what, () => {
    program.turn(SECOND / 10)
    return isSo()
  })
}

describe("an endpoint that fails", () => {
  test("is left alone, what waits for it is marked once, and goes oldest first when it is back", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 })
    const integration = await program.integrate(there.url(), { policy: quick })
    await sendAll(program, 0, 12)
    await quiet(program)
    assert.equal(there.requests.length, 4)
    assert.deepEqual(await tally(program), { "retrying: server_error": 4, "skipped: sleeping": 8 })
    const [, , , , held] = await program.deliveries(integration)
    assert.ok(held)
    const { host, errors, successes, probe_at } = factsOf(held)
    assert.deepEqual([host, errors, successes, probe_at], [`127.0.0.1:${there.port}`, 4, 0, program.now + 5 * SECOND])
    assert.equal(held.charged, 0)
    // Twice as long after each probe that fails, and one request each.
    for (const rest of [5, 10, 20]) {
      program.turn(rest * SECOND - 1)
      const before: number = there.requests.length
      program.turn(1)
      await program.recorded(before + 1)
      await quiet(program)
      assert.equal(there.requests.length, before + 1)
    }
    there.play({})
    await sendAll(program, 12, 3)
    await quiet(program)
    program.turn(40 * SECOND)
    await goOnUntil(program, "all that waited is delivered", async () => (await tally(program))["delivered"] === 8)
    assert.deepEqual(await tally(program), { "retrying: server_error": 7, delivered: 8 })
    const order = numbersOf(there).slice(7)
    assert.deepEqual(order, [7, 8, 9, 10, 11, 12, 13, 14])
    const history = await program.call("GET", `/v1/integrations/${integration}/history`)
    assert.equal(history.totals?.skipped, 11, "each is marked once, however often the endpoint was tried")
  })

  test("shows what it is, why, since when, when it is tried next and how much waits", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 })
    const integration = await program.integrate(there.url(), { policy: quick })
    const before = await program.call("GET", `/v1/integrations/${integration}`)
    assert.deepEqual([before.protection?.origins, before.protection?.concurrency_limit], [[], 1])
    await sendAll(program, 0, 10)
    await quiet(program)
    const { protection } = await program.call("GET", `/v1/integrations/${integration}`)
    assert.deepEqual(protection?.origins?.[0], {
      origin: new URL(there.url()).origin,
      state: "open",
      since: new Date(program.now).toISOString(),
      errors: 4,
      successes: 0,
      next_probe_at: new Date(program.now + 5 * SECOND).toISOString(),
      limit: null,
      paused_until: null,
      waiting: { count: 6, or_more: false },
    })
    const { data } = await program.call("GET", `/v1/deliveries?integration=${integration}&status=skipped`)
    const held = data?.[0]
    assert.equal(held?.next_attempt_at, new Date(program.now + 5 * SECOND).toISOString())
    assert.match(
      String(held?.reason?.what),
      /^Sleeping, too many errors, please wait and try again: .*4 errors, 0 successes/,
    )
  })

  test("rests on after a restart, with what was held, and goes on from there", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 })
    const integration = await program.integrate(there.url(), { policy: quick })
    await sendAll(program, 0, 10)
    await quiet(program)
    program.turn(2 * SECOND)
    await program.restart()
    await sendAll(program, 10, 2)
    await quiet(program)
    assert.equal(there.requests.length, 4, "nothing was sent that rests")
    assert.equal((await tally(program))["skipped: sleeping"], 8)
    const { protection } = await program.call("GET", `/v1/integrations/${integration}`)
    assert.equal(protection?.origins?.[0]?.since, new Date(program.now - 2 * SECOND).toISOString())
    there.play({})
    program.turn(3 * SECOND)
    await goOnUntil(program, "all is delivered", async () => (await tally(program))["delivered"] === 8)
    assert.deepEqual(numbersOf(there).slice(4), [4, 5, 6, 7, 8, 9, 10, 11])
  })

  test("that is fixed by a change of its URL gets at once what waited, at the new address", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 })
    await using elsewhere = await Endpoint.open()
    const integration = await program.integrate(there.url(), { policy: { ...quick, max_concurrent: 2 } })
    await sendAll(program, 0, 12)
    await quiet(program)
    const sent = there.requests.length
    await program.call("PATCH", `/v1/integrations/${integration}`, { config: { production: { url: elsewhere.url() } } })
    await elsewhere.received(12 - sent)
    await quiet(program)
    assert.equal(there.requests.length, sent)
    const { protection } = await program.call("GET", `/v1/integrations/${integration}`)
    assert.deepEqual(
      [protection?.origins?.[0]?.origin, protection?.origins?.[0]?.state, protection?.origins?.[1]],
      [new URL(elsewhere.url()).origin, "closed", undefined],
    )
  })

  test("is tried with a delivery that a person retries, before its rest is over", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 })
    const integration = await program.integrate(there.url(), { policy: quick })
    await sendAll(program, 0, 10)
    await quiet(program)
    const newest = (await program.deliveries(integration)).at(-1)
    assert.ok(newest)
    const { data } = await program.call("GET", `/v1/deliveries?integration=${integration}&limit=1`)
    assert.equal(data?.[0]?.status, "skipped")
    there.play({})
    await program.call("POST", `/v1/deliveries/${String(data?.[0]?.id)}/retry`)
    await program.recorded(5)
    assert.equal(numbersOf(there).at(-1), 9)
    assert.equal(summary(await program.delivery(integration, newest.event_id)), "delivered")
    const { protection } = await program.call("GET", `/v1/integrations/${integration}`)
    assert.notEqual(protection?.origins?.[0]?.state, "open")
  })

  test("is not protected from a test, which changes nothing of it", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 })
    const integration = await program.integrate(there.url(), { policy: quick })
    await sendAll(program, 0, 5)
    await quiet(program)
    there.play({})
    await program.call("POST", `/v1/integrations/${integration}/test`, {})
    assert.equal(there.requests.length, 5)
    const { protection } = await program.call("GET", `/v1/integrations/${integration}`)
    assert.equal(protection?.origins?.[0]?.state, "open")
  })

  test("is not protected where the policy says so", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 })
    await program.integrate(there.url(), { policy: { preset: "revenuecat" } })
    await sendAll(program, 0, 30)
    await program.recorded(30)
    assert.deepEqual(await tally(program), { "retrying: server_error": 30 })
  })

  test("of one environment holds back nothing of the other", async () => {
    await using program = await Program.open()
    await using dead = await Endpoint.open({ status: 500 })
    await using well = await Endpoint.open()
    const integration = await program.integrate(dead.url(), {
      policy: quick,
      config: { sandbox: { url: well.url() } },
    })
    const events = Array.from({ length: 100 }, (_, i) => ({
      type: "a",
      data: i,
      environment: i % 2 === 0 ? "production" : "sandbox",
    }))
    await program.call("POST", "/v1/events/batch", { events })
    await well.received(50)
    await quiet(program)
    assert.equal(dead.requests.length, 4)
    assert.deepEqual(await tally(program, integration), {
      "retrying: server_error": 4,
      "skipped: sleeping": 46,
      delivered: 50,
    })
    dead.play({})
    program.turn(5 * SECOND)
    await goOnUntil(program, "all that waited is delivered", async () => (await tally(program))["delivered"] === 96)
    const order = numbersOf(dead).slice(4)
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    )
  })
})

describe("under the preset of devices", () => {
  test("a skipped delivery is tried again 30 s after the skip, once more 60 s after that, then it has failed", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 })
    const policy = {
      preset: "device",
      max_concurrent: 1,
      // So long that nothing is ever let through.
      protection: { min_attempts: 4, rest_ms: 3_600_000, longest_rest_ms: 3_600_000 },
    }
    const integration = await program.integrate(there.url(), { policy })
    using listener = await StreamListener.open(program)
    await sendAll(program, 0, 5)
    await quiet(program)
    const row = async () => (await program.deliveries(integration)).at(-1) ?? assert.fail()
    assert.deepEqual(
      [summary(await row()), ((await row()).next_at ?? 0) - program.now, (await row()).charged],
      ["skipped: sleeping", 30_000, 1],
    )
    program.turn(30 * SECOND)
    await quiet(program)
    assert.deepEqual(
      [summary(await row()), ((await row()).next_at ?? 0) - program.now, (await row()).charged],
      ["skipped: sleeping", 60_000, 2],
    )
    program.turn(60 * SECOND)
    await quiet(program)
    assert.deepEqual([summary(await row()), (await row()).next_at], ["failed: sleeping", null])
    assert.equal(there.requests.length, 4)
    const { data } = await program.call("GET", `/v1/deliveries?integration=${integration}&limit=1`)
    const last = data?.[0]?.id
    const ofLast = ({ delivery }: Record<string, unknown>) => (delivery as { id: unknown }).id === last
    const skips = () => listener.messages.filter(({ name, data: skip }) => name === "skip" && ofLast(skip))
    await listener.until(() => skips().length >= 3)
    assert.deepEqual(
      skips().map(({ id, data }) => [id, data["text"], (data["delivery"] as { status: string }).status]),
      ["skipped", "skipped", "failed"].map(status => [
        undefined,
        "Sleeping, too many errors, please wait and try again",
        status,
      ]),
    )
  })
})

describe("an endpoint that asks for less", () => {
  test("holds its whole lane until the time that its Retry-After names, over a restart too", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 503, headers: { "retry-after": "120" } }, {})
    const integration = await program.integrate(there.url(), { policy: { max_concurrent: 1 } })
    await sendAll(program, 0, 3)
    await program.recorded(1)
    const shown = await program.call("GET", `/v1/integrations/${integration}`)
    const until = program.now + 120 * SECOND
    assert.equal(shown.protection?.origins?.[0]?.paused_until, new Date(until).toISOString())
    const { data } = await program.call("GET", `/v1/deliveries?integration=${integration}&limit=1`)
    assert.equal(data?.[0]?.reason?.code, "waiting_rate")
    assert.match(String(data?.[0]?.reason?.what), /asked to be left alone until/)
    program.turn(60 * SECOND)
    await program.restart()
    await sendAll(program, 3, 1)
    program.turnTo(until - 1)
    await program.until("nothing is under way", async () => (await tally(program))["sending"] === undefined)
    assert.equal(there.requests.length, 1)
    program.turn(1)
    await program.recorded(4)
    assert.equal(there.requests.length, 5)
  })

  test("by a Retry-After of a day holds its lane for an hour, and the delivery itself for the day", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 429, headers: { "retry-after": "86400" } }, {})
    const integration = await program.integrate(there.url(), { policy: { max_concurrent: 1 } })
    const first = await program.send({ type: "a", data: 0 })
    await program.recorded(1)
    assert.equal(((await program.delivery(integration, first)).next_at ?? 0) - program.now, 86_400 * SECOND)
    await sendAll(program, 1, 1)
    program.turn(3_600 * SECOND)
    await program.recorded(2)
    assert.deepEqual(numbersOf(there), [0, 1])
  })

  test("gets half as much at a time, and one more after each round that goes well", async () => {
    await using program = await Program.open()
    const { promise: opened, resolve: open } = Promise.withResolvers<void>()
    await using there = await Endpoint.open()
    there.answer(() => ({ status: 429, after: opened }))
    const integration = await program.integrate(there.url(), {
      policy: { max_concurrent: 8, protection: { enabled: false } },
    })
    await sendAll(program, 0, 8)
    await there.received(8)
    open()
    await program.recorded(8)
    const limit = async () =>
      (await program.call("GET", `/v1/integrations/${integration}`)).protection?.concurrency_limit
    assert.equal(await limit(), 4, "eight at once say it only once")
    there.play({})
    program.turn(1)
    await sendAll(program, 8, 9)
    await program.recorded(17)
    assert.equal(await limit(), 5)
    await sendAll(program, 17, 60)
    await program.recorded(77)
    assert.equal(await limit(), 8)
  })

  test("from one account holds all that share its budget, and nobody else", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const spent = { "ratelimit-policy": '"account";q=100;w=60', ratelimit: '"account";r=0;t=30' }
    there.answer(({ path }) => (path === "/one" ? { headers: spent } : {}))
    const policy = { budget: "account" }
    const only = (type: string) => ({ default: "off", types: { [type]: { enabled: true } } })
    await program.integrate(there.url("/one"), { policy, events: only("one") })
    const two = await program.integrate(there.url("/two"), { policy, events: only("two") })
    await program.integrate(there.url("/three"), { events: only("three") })
    await program.send({ type: "one" })
    await program.recorded(1)
    await program.send({ type: "two" })
    await program.send({ type: "three" })
    await program.recorded(2)
    assert.deepEqual(
      there.requests.map(({ path }) => path),
      ["/one", "/three"],
    )
    const { protection } = await program.call("GET", `/v1/integrations/${two}`)
    assert.equal(protection?.budget_used_up_until, new Date(program.now + 30 * SECOND).toISOString())
    const { data } = await program.call("GET", `/v1/deliveries?integration=${two}`)
    assert.match(String(data?.[0]?.reason?.what), /budget that it shares with other integrations is used up/)
    program.turn(30 * SECOND)
    await program.recorded(3)
    assert.equal(there.requests.at(-1)?.path, "/two")
  })
})
