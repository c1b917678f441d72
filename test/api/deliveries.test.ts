import assert from "node:assert/strict"
import { test } from "node:test"
import { formatDeliveryId, formatId } from "../../src/domain/id.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { MORNING, numberOf, Program } from "../help/program.ts"

const DAY_MS = 86_400_000

function idOf(event: number, integration: string): string {
  return formatDeliveryId({ event, integration: numberOf("int", integration) })
}

test("a delivery shows what was sent, masked where it is secret, and what came back, whole", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 500, headers: { "x-trace": "t1" }, body: "down" })
  const integration = await program.integrate(endpoint.url("/hook?token=abc"), {
    config: {
      production: { url: endpoint.url("/hook?token=abc"), authorization: "Token abc", headers: { "x-team": "growth" } },
    },
  })
  const event = await program.send('{"type":"order_paid","data":{"n":1.0}}')
  await program.recorded(1)
  const { text, body } = await program.ask("GET", `/v1/deliveries/${idOf(event, integration)}`)
  assert.doesNotMatch(text, /abc|growth/)
  const [attempt] = items(body.attempts)
  const request = await endpoint.request(1)
  assert.equal(attempt?.request?.body, request.body.toString())
  assert.match(String(attempt.request.body), /"data":\{"n":1\.0\}/)
  const sent = items(attempt.request.headers)
  const shown = Object.fromEntries(sent.map(({ name, value }) => [name, value]))
  assert.equal(shown["authorization"], null)
  assert.equal(shown["x-team"], null)
  assert.equal(shown["webhook-id"], formatId("evt", event))
  assert.equal(shown["webhook-attempt"], "1")
  assert.equal(shown["webhook-signature"], request.headers["webhook-signature"])
  assert.equal(attempt.response?.status, 500)
  assert.equal(attempt.response.body, "down")
  assert.ok(
    items(attempt.response.headers).some(({ name, value }) => String(name) === "x-trace" && String(value) === "t1"),
  )
  assert.equal(attempt.url, `127.0.0.1:${endpoint.port}/hook`)
  assert.equal(attempt.outcome, "error")
  assert.equal(attempt.reason?.code, "server_error")
  assert.equal(typeof attempt.timings?.total_ms, "number")
  assert.equal(attempt.revision, 1)
})

test("the rest of the retry plan follows from the policy, after the attempt that is due", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 500 })
  const integration = await program.integrate(endpoint.url(), {
    policy: { preset: "device", retry_delays_ms: [10_000, 20_000, 40_000] },
  })
  const event = await program.send({ type: "a" })
  await program.recorded(1)
  const path = `/v1/deliveries/${idOf(event, integration)}`
  const first = await program.call("GET", path)
  assert.equal(first.next_attempt_at, new Date(MORNING + 10_000).toISOString())
  assert.deepEqual(first.retry_plan, [
    { try: 3, delay_ms: 20_000, not_before: new Date(MORNING + 30_000).toISOString() },
    { try: 4, delay_ms: 40_000, not_before: new Date(MORNING + 70_000).toISOString() },
  ])
  for (const [attempts, delay] of [10_000, 20_000, 40_000].entries()) {
    program.turn(delay)
    await program.recorded(attempts + 2)
  }
  const last = await program.call("GET", path)
  assert.equal(last.status, "failed")
  assert.equal(last.next_attempt_at, null)
  assert.deepEqual(last.retry_plan, [])
  assert.equal(last.attempt_count, 4)
  const attempts = items(last.attempts)
  assert.deepEqual(
    attempts.map(attempt => [attempt.number, attempt.reason?.colour]),
    [
      [4, "red"],
      [3, "amber"],
      [2, "amber"],
      [1, "amber"],
    ],
  )
  assert.match(String(last.reason?.what), /This was try 4 of 4, so it is not tried again by itself/)
})

test("an old attempt says what its own answer said, the last one what follows from it", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open(
    { status: 422, body: '{"errors":{"email":["is missing"]}}' },
    { status: 302, headers: { location: "https://new.example/hook?token=1" } },
  )
  const integration = await program.integrate(endpoint.url())
  const event = await program.send({ type: "a" })
  await program.recorded(1)
  program.turn(10_000)
  await program.recorded(2)
  const { attempts } = await program.call("GET", `/v1/deliveries/${idOf(event, integration)}`)
  const [redirect, rejected] = items(attempts)
  assert.match(String(redirect?.reason?.what), /https:\/\/new\.example\/hook.*This was try 2 of 10/)
  assert.doesNotMatch(String(redirect?.reason?.what), /token/)
  assert.match(String(rejected?.reason?.what), /422.*email\.$/)
})

test("an answer that is no text comes as base64, one that was cut within a letter as the text before it", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ body: Buffer.from([0, 255, 254]) }, { body: "ü".repeat(100) })
  const integration = await program.integrate(endpoint.url(), { policy: { keep_response_bytes: 33 } })
  const bodies: unknown[] = []
  for (let i = 0; i < 2; i++) {
    const event = await program.send({ type: "a" })
    await program.recorded(i + 1)
    const { attempts } = await program.call("GET", `/v1/deliveries/${idOf(event, integration)}`)
    const [attempt] = items(attempts)
    bodies.push(attempt?.response?.body_encoding, attempt?.response?.body, attempt?.truncated)
  }
  assert.deepEqual(bodies, ["base64", "AP/+", false, "text", "ü".repeat(16), true])
})

test("request and answer are there for their retention after the attempt, and then say that they expired", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open()
  const integration = await program.integrate(endpoint.url())
  const event = await program.send({ type: "a", data: {} })
  await program.recorded(1)
  const path = `/v1/deliveries/${idOf(event, integration)}`
  program.turn(7 * DAY_MS - 1)
  const before = items((await program.call("GET", path)).attempts)[0]
  assert.deepEqual([before?.exchange_expired, before?.response?.body], [false, "{}"])
  program.turn(1)
  const after = items((await program.call("GET", path)).attempts)[0]
  assert.deepEqual([after?.exchange_expired, after?.request, after?.response], [true, null, null])
  assert.equal(after?.status, 200)
})

test("a failed delivery is retried by hand at once, with its schedule anew", async () => {
  await using program = await Program.open()
  const { promise: after, resolve: answer } = Promise.withResolvers<void>()
  await using endpoint = await Endpoint.open({ status: 400 }, { status: 500, after }, { status: 200 })
  const integration = await program.integrate(endpoint.url(), { policy: { preset: "subscription" } })
  const event = await program.send({ type: "a" })
  await program.recorded(1)
  const path = `/v1/deliveries/${idOf(event, integration)}`
  assert.equal((await program.call("GET", path)).status, "failed")
  const retry = await program.ask("POST", `${path}/retry`)
  assert.equal(retry.status, 202)
  // On a quick machine it is under way by the time that it is read.
  assert.match(`${retry.body.status} ${retry.body.reason?.code}`, /^(pending queued|sending undefined)$/)
  answer()
  await program.recorded(2)
  const again = await program.call("GET", path)
  assert.equal(again.status, "retrying")
  assert.match(String(again.reason?.what), /This was try 1 of 10/)
  assert.equal((await program.ask("POST", `${path}/retry`)).status, 202)
  await program.recorded(3)
  assert.equal((await program.call("GET", path)).status, "delivered")
  assert.equal((await program.ask("POST", `${path}/retry`)).status, 202)
  await program.recorded(4)
})

test("a delivery that is being sent is not retried by hand: 409", async () => {
  await using program = await Program.open()
  const answer = Promise.withResolvers<void>()
  await using endpoint = await Endpoint.open({ after: answer.promise })
  const integration = await program.integrate(endpoint.url())
  const event = await program.send({ type: "a" })
  await endpoint.received(1)
  const path = `/v1/deliveries/${idOf(event, integration)}`
  assert.equal((await program.call("GET", path)).status, "sending")
  const refused = await program.ask("POST", `${path}/retry`)
  assert.equal(refused.status, 409)
  assert.match(String(refused.body.detail), /being sent/)
  answer.resolve()
  await program.recorded(1)
})

test("what has no payload, no destination or a destination that is off is not retried: 409 with the reason", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 200 })
  const integration = await program.integrate(endpoint.url(), { name: "CRM" })
  const event = await program.send({ type: "a", data: {} })
  await program.recorded(1)
  const path = `/v1/deliveries/${idOf(event, integration)}/retry`
  program.turn(7 * DAY_MS)
  const expired = await program.ask("POST", path)
  assert.deepEqual([expired.status, expired.body.code], [409, "payload_expired"])
  assert.match(String(expired.body.detail), new RegExp(new Date(MORNING + 7 * DAY_MS).toISOString()))
  program.turn(-7 * DAY_MS)
  await program.call("POST", `/v1/integrations/${integration}/disable`)
  const off = await program.ask("POST", path)
  assert.equal(off.status, 409)
  assert.match(String(off.body.detail), /"CRM" is switched off. Enable it/)
  await program.call("DELETE", `/v1/integrations/${integration}`)
  const removed = await program.ask("POST", path)
  assert.equal(removed.status, 409)
  assert.match(String(removed.body.detail), /"CRM" was removed/)
  const unknown = await program.ask("POST", "/v1/deliveries/dlv_0000000000000000000000/retry")
  assert.equal(unknown.status, 404)
})

test("what waits says what it waits for: its turn, a pause, the rate", async () => {
  await using program = await Program.open()
  const answer = Promise.withResolvers<void>()
  await using endpoint = await Endpoint.open({ after: answer.promise })
  const busy = await program.integrate(endpoint.url(), { policy: { max_concurrent: 1 } })
  const paused = await program.integrate(endpoint.url())
  const slow = await program.integrate(endpoint.url(), { policy: { max_per_second: 0.1 } })
  await program.call("POST", `/v1/integrations/${paused}/pause`)
  await program.send({ type: "a" })
  await program.send({ type: "a" })
  await endpoint.received(2)
  const waiting = async (integration: string) => {
    const page = await program.call("GET", `/v1/deliveries?status=pending&integration=${integration}`)
    return items(page.data).map(({ reason }) => [reason?.code, reason?.colour])
  }
  assert.deepEqual(await waiting(busy), [["queued", "plain"]])
  assert.deepEqual(await waiting(slow), [["waiting_rate", "plain"]])
  assert.deepEqual(await waiting(paused), [
    ["paused", "plain"],
    ["paused", "plain"],
  ])
  answer.resolve()
})

test("deliveries are found by integration, status, reason, event and record, page by page", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ body: '{"id":"rec-1"}' }, { status: 404 })
  const one = await program.integrate(endpoint.url(), { config: { destination_record: { header: "x-id" } } })
  const first = await program.send({ type: "a" })
  await program.recorded(1)
  const second = await program.send({ type: "a" })
  await program.recorded(2)
  const find = async (query: string) =>
    items((await program.call("GET", `/v1/deliveries?${query}`)).data).map(d => d.id)
  const [delivered, rejected] = [idOf(first, one), idOf(second, one)]
  assert.deepEqual(await find(""), [rejected, delivered])
  assert.deepEqual(await find(`integration=${one}`), [rejected, delivered])
  assert.deepEqual(await find("status=delivered"), [delivered])
  assert.deepEqual(await find("reason=rejected"), [rejected])
  assert.deepEqual(await find(`event=${formatId("evt", first)}`), [delivered])
  assert.deepEqual(await find("destination_record=rec-1"), [])
  assert.deepEqual(await find("integration=int_00000000000"), [])
  const page = await program.call("GET", "/v1/deliveries?limit=1")
  const rest = await program.call("GET", `/v1/deliveries?limit=1&cursor=${page.next_cursor}`)
  assert.deepEqual([page.data?.[0]?.id, rest.data?.[0]?.id, rest.next_cursor], [rejected, delivered, null])
  assert.equal((await program.ask("GET", "/v1/deliveries?reason=bad_luck")).status, 422)
  assert.equal((await program.ask("GET", "/v1/deliveries?event=int_1")).status, 422)
})
