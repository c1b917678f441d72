/** How Waybill itself is doing: for balancers, operators and people. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { Program } from "../help/program.ts"

/** Asks without a key. */
async function open(program: Program, path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(program.url + path)
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

describe("/livez and /readyz", () => {
  test("need no key and tell nothing of versions and hosts", async () => {
    await using program = await Program.open()
    const live = await open(program, "/livez")
    assert.deepEqual(live, { status: 200, body: { alive: true } })
    const { status, body } = await open(program, "/readyz")
    assert.equal(status, 200)
    const good = { ok: true, detail: null }
    assert.deepEqual(body, {
      ready: true,
      checks: { started: good, database: good, deliveries: good },
      oldest_due_seconds: 0,
    })
  })

  test("of these, /readyz writes to the database, once for all who ask at the same moment, and /livez does not", async () => {
    await using program = await Program.open()
    const probe = async () => await program.rows<{ at: number }>("select at from probe")
    await open(program, "/livez")
    assert.deepEqual(await probe(), [])
    program.turn(1_234)
    const answers = await Promise.all(Array.from({ length: 50 }, () => open(program, "/readyz")))
    assert.ok(answers.every(({ status }) => status === 200))
    assert.deepEqual(
      (await probe()).map(({ at }) => at),
      [program.now],
    )
  })

  test("say how late the oldest due delivery is, and stay ready for all that", async () => {
    const held = Promise.withResolvers<void>()
    await using program = await Program.open()
    await using slow = await Endpoint.open({ after: held.promise })
    const integration = await program.integrate(slow.url(), { policy: { max_concurrent: 1 } })
    await program.send({ type: "a" })
    await program.send({ type: "a" })
    await slow.received(1)
    program.turn(90_000)
    const { status, body } = await open(program, "/readyz")
    assert.deepEqual([status, body["ready"], body["oldest_due_seconds"]], [200, true, 90])
    assert.match((await program.ask("GET", "/metrics")).text, /^waybill_queue_oldest_age_seconds 90$/m)
    await program.call("POST", `/v1/integrations/${integration}/pause`)
    assert.equal((await open(program, "/readyz")).body["oldest_due_seconds"], 0, "what a person holds is not late")
    held.resolve()
  })

  test("go bad, with /v1/status and a metric, when what is due is later than it should be; the status code stays", async () => {
    const held = Promise.withResolvers<void>()
    await using program = await Program.open()
    await using slow = await Endpoint.open({ after: held.promise })
    const integration = await program.integrate(slow.url(), { policy: { max_concurrent: 1, timeout_ms: 120_000 } })
    await program.send({ type: "a" })
    await program.send({ type: "a" })
    await slow.received(1)
    const readings = async () => {
      const { status, body } = await open(program, "/readyz")
      const { deliveries } = body["checks"] as { deliveries: { ok: boolean; detail: string | null } }
      const { healthy, late_integrations } = await program.call("GET", "/v1/status")
      const [, lanes] = /^waybill_queue_late_lanes (\d+)$/m.exec((await program.ask("GET", "/metrics")).text) ?? []
      return {
        status,
        ready: body["ready"],
        ok: deliveries.ok,
        healthy,
        late_integrations,
        lanes,
        said: deliveries.detail,
      }
    }
    program.turn(14 * 60_000)
    const good = { status: 200, ready: true, ok: true, healthy: true, late_integrations: 0, lanes: "0", said: null }
    assert.deepEqual(await readings(), good)
    program.turn(2 * 60_000)
    assert.deepEqual(await readings(), {
      status: 200,
      ready: true,
      ok: false,
      healthy: false,
      late_integrations: 1,
      lanes: "1",
      said: "One integration is behind: the oldest delivery has been due for 16 min. GET /v1/diagnosis says why.",
    })
    await program.call("POST", `/v1/integrations/${integration}/pause`)
    assert.deepEqual(await readings(), good, "what waits by rule is not late")
    held.resolve()
  })
})

test("/readyz says at once that a stop has begun; until balancers had time to notice, requests are taken, and connections closed with their answers", async () => {
  await using program = await Program.open({ settings: { drainSeconds: "3" } })
  await using there = await Endpoint.open()
  await program.integrate(there.url())
  const before = await program.ask("POST", "/v1/events", { type: "a" })
  assert.deepEqual([before.status, before.headers.get("connection")], [202, "keep-alive"])
  const { url } = program
  let isStopped = false
  const stopped = program.stop().then(() => {
    isStopped = true
  })
  const ready = await fetch(`${url}/readyz`)
  const { checks } = (await ready.json()) as { checks: { started: unknown } }
  assert.equal(ready.status, 503)
  assert.deepEqual(checks.started, { ok: false, detail: "Waybill is stopping: send new requests to another process." })
  const meanwhile = await program.ask("POST", "/v1/events", { type: "a" })
  assert.deepEqual([meanwhile.status, meanwhile.headers.get("connection")], [202, "close"])
  await there.received(2)
  assert.equal(isStopped, false)
  await stopped
  await assert.rejects(fetch(`${url}/readyz`), "nobody listens any more")
})

test("what an endpoint that rests holds back is not late, nor stuck", async () => {
  await using program = await Program.open()
  await using down = await Endpoint.open({ status: 503 })
  const integration = await program.integrate(down.url())
  for (let i = 0; i < 30; i++) await program.send({ type: "a" })
  await program.until("it rests", async () =>
    (await program.deliveries(integration)).some(({ status }) => status === "skipped"),
  )
  const before = (await program.attempts(integration)).length
  program.turn(16 * 60_000)
  await program.until("it was tried again", async () => (await program.attempts(integration)).length > before)
  const { healthy, late_integrations, oldest_due_seconds } = await program.call("GET", "/v1/status")
  assert.deepEqual([healthy, late_integrations, oldest_due_seconds], [true, 0, 0])
  const { verdict, also } = await program.call("GET", `/v1/integrations/${integration}/diagnosis`)
  const codes = [verdict, ...items(also)].map(one => String(one?.code))
  assert.ok(!codes.includes("stuck_in_processing"), codes.join())
  assert.ok(codes.includes("everything_failing") || codes.includes("several_in_a_row"), codes.join())
})

describe("/metrics", () => {
  test("counts what happened, by the names of Prometheus, without a single id", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, {})
    await using refused = await Endpoint.open()
    await refused.close()
    await program.integrate(there.url(), { policy: { max_concurrent: 1 } })
    await program.integrate(refused.url())
    await program.send({ type: "a", id: "1" })
    await program.recorded(2)
    await program.send({ type: "a", id: "1" })
    await program.send({ type: "b" })
    await program.recorded(4)
    await program.ask("POST", "/v1/events", "no JSON")
    const { text, headers } = await program.ask("GET", "/metrics")
    assert.match(headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/)
    for (const line of [
      "waybill_events_accepted_total 2",
      "waybill_events_duplicate_total 1",
      'waybill_events_rejected_total{reason="malformed"} 1',
      'waybill_deliveries_total{destination_type="webhook",outcome="delivered"} 1',
      'waybill_deliveries_total{destination_type="webhook",outcome="retrying"} 3',
      'waybill_delivery_attempts_total{class="none",phase="none"} 2',
      'waybill_delivery_attempts_total{class="ECONNREFUSED",phase="connect"} 2',
      "waybill_delivery_latency_seconds_count 1",
      "waybill_inflight 0",
    ]) {
      assert.ok(text.split("\n").includes(line), line)
    }
    for (const name of [
      "ingest_duration_seconds",
      "delivery_attempt_duration_seconds",
      "queue_depth",
      "queue_oldest_age_seconds",
      "commit_duration_seconds",
      "commit_batch_size",
      "retention_lag_seconds",
      "event_loop_lag_seconds",
      "egress_blocked_total",
      "build_info",
    ]) {
      assert.match(text, new RegExp(`^# TYPE waybill_${name} `, "m"))
    }
    assert.doesNotMatch(text, /(int|evt|prj|key)_[0-9a-z]{8}|127\.0\.0\.1/)
  })
})

test("/v1/status tells people that all is well, what runs and since when", async () => {
  await using program = await Program.open()
  const { healthy, version, started_at, in_flight, problems } = await program.call("GET", "/v1/status")
  assert.deepEqual([healthy, in_flight, problems], [true, 0, []])
  assert.match(String(version), /^\d+\.\d+\.\d+/)
  assert.equal(started_at, new Date(program.now).toISOString())
})
