/** A large backlog behind an endpoint that fails: it costs next to nothing while it waits, and goes oldest first. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { fillBacklog } from "../help/backlog.ts"
import { Endpoint } from "../help/endpoint.ts"
import { MORNING, numberOf, Program } from "../help/program.ts"

const SECOND = 1_000
const BACKLOG = 100_000

test("100,000 due deliveries behind an endpoint that fails are not rewritten, and go oldest first when it is back", {
  timeout: 60_000,
}, async () => {
  await using program = await Program.open()
  await using there = await Endpoint.open({ status: 500 })
  const policy = { retry_delays_ms: [86_400_000], jitter: 0, protection: { min_attempts: 4 } }
  const integration = await program.integrate(there.url(), { policy })
  await program.call("POST", `/v1/integrations/${integration}/pause`)
  await program.stop()
  await fillBacklog(program.place, numberOf("int", integration), BACKLOG, MORNING)
  await program.restart()
  await program.call("POST", `/v1/integrations/${integration}/resume`)
  const count = async (where: string) =>
    (await program.rows<{ n: number }>(`select count(*) as n from delivery where ${where}`))[0]?.n ?? 0
  // Those that were under way when it opened come to their end first.
  const isQuiet = async () => (await count("status = 'sending'")) === 0
  await program.until("the endpoint rests", async () => (await count("status = 'skipped'")) > 0 && isQuiet())
  const failed = there.requests.length
  assert.ok(failed >= 4 && failed <= 14, `${failed} requests until it was left alone`)

  for (let tenths = 0; tenths < 40; tenths++) {
    const before = await count("status = 'skipped'")
    program.turn(SECOND / 10)
    // What is let through in a tenth of a second is lost where the next one comes before it was taken.
    await program.until("some more are marked", async () => (await count("status = 'skipped'")) > before)
  }
  await program.call("POST", `/v1/integrations/${integration}/pause`)
  await program.until("nothing is under way", isQuiet)
  const marked = await count("status = 'skipped'")
  assert.ok(marked > 500 && marked <= 4 * 200 + 30, `${marked} were marked in 4 s`)
  assert.equal(await count(`updated_at >= ${MORNING}`), marked + failed, "all others are as they were")
  assert.equal(there.requests.length, failed)
  const { protection } = await program.call("GET", `/v1/integrations/${integration}`)
  assert.deepEqual(protection?.waiting, { count: 10_000, or_more: true })

  there.play({})
  await program.call("POST", `/v1/integrations/${integration}/resume`)
  program.turn(SECOND)
  await program.until("much of it has gone", () => {
    program.turn(SECOND / 4)
    return there.requests.length > failed + 3_000
  })
  await program.call("POST", `/v1/integrations/${integration}/pause`)
  await program.until("nothing is under way", isQuiet)
  const gone = there.requests.length - failed
  assert.equal(
    await count(`updated_at >= ${MORNING} and status <> 'delivered'`),
    failed + (await count("status = 'skipped'")),
  )
  const oldest = await program.rows<{ event_id: number }>(
    `select event_id from delivery order by event_id limit ${gone} offset ${failed}`,
  )
  const order = there.requests.slice(failed).map(({ headers }) => numberOf("evt", headers["webhook-id"]))
  assert.deepEqual(new Set(order), new Set(oldest.map(row => row.event_id)), "the oldest of all that waited")
  // As many as may be under way at a time can overtake each other on the wire.
  for (const [place, id] of order.entries()) {
    // The probe is whichever was at hand when its time came.
    if (place === 0) continue
    const due = oldest[place]?.event_id ?? 0
    assert.ok(Math.abs(id - due) <= 20 * 4_096, `in place ${place}: ${Math.round((id - due) / 4_096)}`)
  }
})

test("an endpoint that fails every other time gets on with its backlog, and is not hammered", {
  timeout: 60_000,
}, async t => {
  await using program = await Program.open()
  await using there = await Endpoint.open()
  let asked = 0
  there.answer(() => ({ status: asked++ % 2 === 0 ? 500 : 200 }))
  const policy = { retry_delays_ms: [86_400_000, 86_400_000], jitter: 0, max_concurrent: 4 }
  const integration = await program.integrate(there.url(), { policy })
  await program.call("POST", "/v1/events/batch", { events: Array.from({ length: 400 }, () => ({ type: "a" })) })
  const from = program.now
  const count = async (status: string) =>
    (await program.deliveries(integration)).filter(row => row.status === status).length
  await program.until("some have got through", async () => {
    program.turn(SECOND / 2)
    return (await count("delivered")) >= 40
  })
  const seconds = (program.now - from) / SECOND
  t.diagnostic(`${there.requests.length} requests in ${seconds} s, ${await count("skipped")} held`)
  const { totals } = await program.call("GET", `/v1/integrations/${integration}/history`)
  assert.ok(Number(totals?.skipped) >= (await count("skipped")), "every skip is counted")
  assert.ok(there.requests.length <= 40 + 45 * seconds, "no more than its easing lets through")
})
