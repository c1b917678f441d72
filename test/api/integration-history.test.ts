import assert from "node:assert/strict"
import { test } from "node:test"
import { formatId } from "../../src/domain/id.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { MORNING, Program } from "../help/program.ts"

const DAY_MS = 86_400_000

test("the history counts attempts in the UTC day in which they happened, over 30 days, and tests not at all", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 500 }, { status: 200 })
  const integration = await program.integrate(endpoint.url(), { policy: { retry_delays_ms: [DAY_MS] } })
  await program.send({ type: "a" })
  await program.recorded(1)
  program.turn(2 * DAY_MS)
  await program.recorded(2)
  await program.call("POST", `/v1/integrations/${integration}/test`, {})
  const history = await program.call("GET", `/v1/integrations/${integration}/history`)
  const days = items(history.data)
  assert.equal(days.length, 30)
  const nothing = { success: 0, error: 0, skipped: 0, interrupted: 0, sender_fault: 0 }
  const midnight = MORNING - (MORNING % DAY_MS)
  const dayAt = (at: number) => new Date(at).toISOString()
  assert.deepEqual(days.slice(-3), [
    { at: dayAt(midnight), ...nothing, error: 1 },
    { at: dayAt(midnight + DAY_MS), ...nothing },
    { at: dayAt(midnight + 2 * DAY_MS), ...nothing, success: 1 },
  ])
  assert.deepEqual(history.totals, { ...nothing, success: 1, error: 1 })
  const hours = await program.call("GET", `/v1/integrations/${integration}/history?interval=hour`)
  assert.equal(items(hours.data).length, 720)
  assert.equal((await program.ask("GET", `/v1/integrations/${integration}/history?interval=week`)).status, 422)
})

test("the logs show the last successes and errors with event, request, answer and error message", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404, body: "no such hook" }, { body: '{"ok":true}' })
  const integration = await program.integrate(endpoint.url(), { policy: { preset: "subscription" } })
  const data = '{"n": 1.0, "n": 2.0}'
  const failed = await program.send(`{"type":"a","data":${data}}`)
  await program.recorded(1)
  const delivered = await program.send(`{"type":"b","data":${data}}`)
  await program.recorded(2)
  const { text, body } = await program.ask("GET", `/v1/integrations/${integration}/logs`)
  const [success] = items(body.successes)
  const [error] = items(body.errors)
  assert.equal(success?.event?.id, formatId("evt", delivered))
  assert.equal(success.attempt?.response?.body, '{"ok":true}')
  assert.match(String(success.attempt.request?.body), /"type":"b"/)
  assert.equal(success.error_message, null)
  assert.equal(error?.event?.id, formatId("evt", failed))
  assert.equal(error.attempt?.response?.body, "no such hook")
  assert.match(String(error.error_message), /answered 404/)
  assert.equal(text.split(`"payload":${data}`).length, 3, "both payloads stand there byte for byte")
})

test("the logs hold ten of each unless asked for another number, the newest first", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open()
  const integration = await program.integrate(endpoint.url())
  const sent: string[] = []
  for (let i = 0; i < 12; i++) {
    sent.push(formatId("evt", await program.send({ type: "a" })))
    await program.recorded(i + 1)
  }
  const shown = async (query: string) => {
    const logs = await program.call("GET", `/v1/integrations/${integration}/logs${query}`)
    return items(logs.successes).map(entry => entry.event?.id)
  }
  assert.deepEqual(await shown(""), sent.toReversed().slice(0, 10))
  assert.deepEqual(await shown("?limit=2"), sent.toReversed().slice(0, 2))
  assert.equal((await program.ask("GET", `/v1/integrations/${integration}/logs?limit=51`)).status, 422)
})

test("an integration lists the latest events and what became of each here, withheld ones too", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 200 })
  const integration = await program.integrate(endpoint.url(), {
    events: { default: "on", types: { off: { enabled: false } } },
  })
  await program.integrate(endpoint.url(), { name: "other", events: { default: "off" } })
  await program.send({ type: "on" })
  await program.recorded(1)
  await program.send({ type: "off" })
  const here = await program.call("GET", `/v1/integrations/${integration}/events`)
  assert.deepEqual(
    items(here.data).map(({ event, delivery, withheld }) => [event?.type, delivery?.status, withheld?.code]),
    [
      ["off", undefined, "type_disabled"],
      ["on", "delivered", undefined],
    ],
  )
  const page = await program.call("GET", `/v1/integrations/${integration}/events?limit=1`)
  const rest = await program.call("GET", `/v1/integrations/${integration}/events?limit=1&cursor=${page.next_cursor}`)
  assert.deepEqual([rest.data?.[0]?.event?.type, rest.next_cursor], ["on", null])
})

test("the history of an integration that was removed stays; one that never was is not found", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open()
  const integration = await program.integrate(endpoint.url(), { name: "CRM" })
  const event = await program.send({ type: "a" })
  await program.recorded(1)
  await program.call("DELETE", `/v1/integrations/${integration}`)
  const history = await program.call("GET", `/v1/integrations/${integration}/history`)
  assert.equal(history.totals?.success, 1)
  const logs = await program.call("GET", `/v1/integrations/${integration}/logs`)
  const [entry] = items(logs.successes)
  assert.equal(entry?.attempt?.response?.status, 200)
  // The mapping that made the body is gone with the integration.
  assert.equal(entry.attempt.request?.body, null)
  const here = await program.call("GET", `/v1/integrations/${integration}/events`)
  assert.deepEqual(here.data?.[0]?.delivery?.integration, { id: integration, name: "CRM", removed: true })
  const shown = await program.call("GET", `/v1/events/${formatId("evt", event)}`)
  assert.deepEqual(shown.deliveries?.[0]?.integration, { id: integration, name: "CRM", removed: true })
  for (const path of ["history", "logs", "events"]) {
    for (const id of ["int_00000000000", "evt_1", "x"]) {
      assert.equal((await program.ask("GET", `/v1/integrations/${id}/${path}`)).status, 404)
    }
  }
})
