import assert from "node:assert/strict"
import { test } from "node:test"
import { formatDeliveryId, formatId } from "../../src/domain/id.ts"
import { Endpoint } from "../help/endpoint.ts"
import { type Json, numberOf, Program } from "../help/program.ts"
import { assertWithin } from "../help/punctual.ts"
import { StreamListener, type StreamMessage } from "../help/stream-listener.ts"

const DAY_MS = 86_400_000

/** Ids of everything that happened, in the order in which it was stored. */
async function orderOnDisk(program: Program): Promise<string[]> {
  const rows = await program.rows<{ kind: "evt" | "att" | "chg"; id: number }>(
    `select 'evt' as kind, id from event union all select 'att', id from attempt union all select 'chg', id from change
     order by id`,
  )
  return rows.map(row => formatId(row.kind, row.id))
}

const shown = (listener: StreamListener) => listener.messages.map(message => message.id)
const isEvent = (type: string) => (message: StreamMessage) => message.name === "event" && message.data["type"] === type

test("accepted events, attempts and changes are told in the order in which they were stored, within a second", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  using listener = await StreamListener.open(program)
  const integration = await program.integrate(endpoint.url(), { name: "CRM", policy: { preset: "subscription" } })
  const sentAt = performance.now()
  const data = '{"n": 12345678901234567890,\r\n "x": 1.0}'
  const event = await program.send(`{"type":"order_paid","profile_id":"p1","data":${data}}`)
  const told = await listener.find(isEvent("order_paid"))
  const attempt = await listener.find(message => message.name === "attempt")
  assertWithin(performance.now() - sentAt, 1_000)
  assert.equal(told.id, formatId("evt", event))
  assert.ok(told.text.includes(`"payload":${data.replace("\r\n", "\n")}`), told.text)
  assert.deepEqual(told.data["integrations"], [integration])
  const { delivery, integration: to, event: of, reason, status, number } = attempt.data as Record<string, Json>
  assert.equal(delivery?.id, formatDeliveryId({ event, integration: numberOf("int", integration) }))
  assert.equal(delivery.status, "failed")
  assert.deepEqual(to, { id: integration, name: "CRM", removed: false })
  assert.deepEqual([of?.id, of?.type, of?.profile_id], [told.id, "order_paid", "p1"])
  assert.deepEqual([status, number, reason?.code, reason?.colour], [404, 1, "rejected", "red"])
  const change = await listener.find(message => message.name === "change")
  assert.deepEqual([change.data["kind"], change.data["subject"]], ["integration.created", integration])
  assert.deepEqual(shown(listener), await orderOnDisk(program))
})

test("a listener that comes back with the id of the last message is told what it missed, and nothing twice", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open()
  await program.integrate(endpoint.url())
  let first: StreamListener | undefined
  {
    using listener = await StreamListener.open(program)
    first = listener
    await program.send({ type: "before" })
    await listener.find(isEvent("before"))
    await program.recorded(1)
  }
  const last = first.messages.find(isEvent("before"))?.id ?? ""
  await program.send({ type: "meanwhile" })
  await program.recorded(2)
  for (const options of [{ lastEventId: last }, { query: `?last_event_id=${last}` }]) {
    using listener = await StreamListener.open(program, options)
    const live = `live${options.query ?? ""}`
    await program.send({ type: live.slice(0, 20) })
    await listener.find(isEvent(live.slice(0, 20)))
    const order = await orderOnDisk(program)
    const expected = order.slice(order.indexOf(last) + 1)
    assert.deepEqual(shown(listener), expected.slice(0, listener.messages.length))
    assert.ok(listener.messages.some(isEvent("meanwhile")))
  }
})

test("a listener without a position is told what happens from now on, and can come back to that moment", async () => {
  await using program = await Program.open()
  await program.send({ type: "before" })
  let position = ""
  {
    using listener = await StreamListener.open(program)
    await listener.until(() => /^id: (\S+)$/m.test(listener.raw))
    position = /^id: (\S+)$/m.exec(listener.raw)?.[1] ?? ""
    assert.deepEqual(listener.messages, [])
  }
  await program.send({ type: "between" })
  using listener = await StreamListener.open(program, { lastEventId: position })
  await listener.find(isEvent("between"))
  assert.equal(listener.messages.some(isEvent("before")), false)
})

test("listeners that come and go while much happens are together told all of it, in order, nothing twice", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open()
  await program.integrate(endpoint.url(), { policy: { max_concurrent: 50 } })
  using whole = await StreamListener.open(program)
  const begun = await program.send({ type: "begin" })
  await whole.find(isEvent("begin"))
  let [isWatched, sent] = [true, 0]
  const sending = (async () => {
    while (isWatched) {
      await Promise.all(Array.from({ length: 25 }, () => program.send({ type: "often" })))
      sent += 25
    }
  })()
  const told: (string | undefined)[] = []
  let position = formatId("evt", begun)
  for (let round = 0; round < 20; round++) {
    using listener = await StreamListener.open(program, { lastEventId: position })
    await listener.until(() => listener.messages.length >= 60)
    told.push(...shown(listener))
    position = listener.messages.at(-1)?.id ?? position
  }
  isWatched = false
  await sending
  await program.recorded(1 + sent)
  await program.send({ type: "end" })
  using listener = await StreamListener.open(program, { lastEventId: position })
  await listener.find(isEvent("end"))
  told.push(...shown(listener))
  await whole.find(isEvent("end"))
  const order = await orderOnDisk(program)
  const end = order.indexOf(whole.messages.find(isEvent("end"))?.id ?? "")
  assert.deepEqual(
    told.slice(0, told.indexOf(order[end]) + 1),
    order.slice(order.indexOf(formatId("evt", begun)) + 1, end + 1),
  )
  const all = shown(whole)
  assert.deepEqual(all.slice(0, all.indexOf(order[end]) + 1), order.slice(order.indexOf(all[0] ?? ""), end + 1))
})

test("each filter lets through the events that it names, their attempts, and nothing else", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open()
  const crm = await program.integrate(endpoint.url(), { name: "CRM", config: { sandbox: { url: endpoint.url() } } })
  const off = await program.integrate(endpoint.url(), { name: "off", events: { default: "off" } })
  const one = { type: "trial_started", app: "ios", environment: "sandbox", profile_id: "p1", device_id: "d1" }
  await program.send(one)
  await program.send({ type: "order_paid", app: "android", profile_id: "p2", device_id: "d2" })
  await program.recorded(2)
  const filters: readonly (readonly [query: string, told: readonly string[]])[] = [
    ["type=trial_*", ["event trial_started", "attempt trial_started"]],
    ["type=order_paid", ["event order_paid", "attempt order_paid"]],
    ["app=ios", ["event trial_started", "attempt trial_started"]],
    ["environment=production", ["event order_paid", "attempt order_paid"]],
    ["profile_id=p2", ["event order_paid", "attempt order_paid"]],
    ["device_id=d1", ["event trial_started", "attempt trial_started"]],
    [`integration=${off}`, ["change", "event trial_started", "event order_paid"]],
    [`integration=${crm}&type=trial_*`, ["event trial_started", "attempt trial_started"]],
    ["app=nobody", []],
  ]
  const begin = `prj_${(await program.rows<{ id: number }>("select id from project")).map(({ id }) => formatId("prj", id).slice(4))[0]}`
  for (const [query, expected] of filters) {
    // What was stored before is read with the conditions of the store, what follows with `matches`.
    using listener = await StreamListener.open(program, { query: `?${query}`, lastEventId: begin })
    using follower = await StreamListener.open(program)
    await program.send({ type: "mark" })
    await follower.find(isEvent("mark"))
    await listener.until(() => listener.messages.length >= expected.length)
    const told = listener.messages.map(({ name, data }) => {
      const type = name === "attempt" ? (data["event"] as Json).type : data["type"]
      return name === "change" ? name : `${name} ${type}`
    })
    assert.deepEqual(told.filter(text => !text.endsWith(" mark")).sort(), [...expected].sort(), query)
  }
  const wrong = await program.ask("GET", "/v1/stream?environment=staging")
  assert.equal(wrong.status, 422)
})

test("a position that is too old, or none of this database, gets a reset that says so; the stream goes on from now", async () => {
  await using program = await Program.open()
  const old = formatId("evt", await program.send({ type: "old" }))
  const resetFor = async (lastEventId: string) => {
    using listener = await StreamListener.open(program, { lastEventId })
    const reset = await listener.find(message => message.name === "reset")
    await program.send({ type: "after" })
    await listener.find(isEvent("after"))
    assert.deepEqual(
      listener.messages.map(message => message.name),
      ["reset", "event"],
    )
    assert.match(reset.id ?? "", /^(evt|att|chg)_/)
    assert.match(String(reset.data["detail"]), /\/v1\/events/)
    return reset.data["reason"]
  }
  assert.equal(await resetFor(`${old.slice(0, -1)}${old.endsWith("0") ? "1" : "0"}`), "unknown")
  assert.equal(await resetFor("att_zzzzzzzzzzz"), "unknown")
  assert.equal(await resetFor("nonsense"), "unknown")
  program.turn(30 * DAY_MS + 1)
  assert.equal(await resetFor(old), "too_old")
})

test("when Waybill stops, listeners are told so, and after its start they go on where they were", async () => {
  await using program = await Program.open()
  using listener = await StreamListener.open(program)
  await program.send({ type: "before" })
  await listener.find(isEvent("before"))
  await program.stop()
  await listener.ended
  assert.equal(listener.messages.at(-1)?.name, "bye")
  assert.equal(listener.messages.at(-1)?.data["reason"], "stopping")
  await program.restart()
  await program.send({ type: "after" })
  const lastEventId = listener.messages.find(isEvent("before"))?.id ?? ""
  using again = await StreamListener.open(program, { lastEventId })
  await again.find(isEvent("after"))
  assert.equal(again.messages.some(isEvent("before")), false)
})
