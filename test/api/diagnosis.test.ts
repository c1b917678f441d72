/** What the API says of an integration in trouble: the verdict, its failures in groups, the report for the other side. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { formatId } from "../../src/domain/id.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { type Json, Program } from "../help/program.ts"

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** Failed attempts are not tried again by themselves, so that a test knows how many there are. */
const policy = { retry_delays_ms: [], on_gone: "as_status", protection: { enabled: false } }

async function diagnosisOf(program: Program, id: string): Promise<Json> {
  return program.call("GET", `/v1/integrations/${id}/diagnosis`)
}

/** Sends events one after the other, each recorded before the next. */
async function sendEach(program: Program, count: number, before: number, event: object = { type: "a" }): Promise<void> {
  for (let i = 1; i <= count; i++) {
    await program.send(event)
    await program.recorded(before + i)
  }
}

describe("GET /v1/integrations/{id}/diagnosis", () => {
  test("names what changed just before it began, with who changed it", async () => {
    await using program = await Program.open()
    await using endpoint = await Endpoint.open({})
    const id = await program.integrate(endpoint.url(), { policy })
    await sendEach(program, 2, 0)
    program.turn(2 * HOUR_MS)
    await program.call("PATCH", `/v1/integrations/${id}`, {
      config: { production: { url: endpoint.url("/moved"), authorization: "Token canary-9137" } },
    })
    program.turn(MINUTE_MS)
    endpoint.play({ status: 404, body: '{"message":"no such hook"}' })
    await sendEach(program, 3, 2)
    const { verdict } = await diagnosisOf(program, id)
    assert.deepEqual([verdict?.code, verdict?.case, verdict?.colour], ["several_in_a_row", "address", "amber"])
    assert.equal(verdict?.since, new Date(program.now).toISOString())
    const changes = items(verdict?.changes)
    assert.deepEqual(
      changes.map(change => [change.kind, change.when, change.touches, change.by?.name]),
      [
        ["integration.updated", "before", ["url", "authorization"], "first key"],
        ["integration.created", "before", [], "first key"],
      ],
    )
    assert.doesNotMatch(JSON.stringify(verdict), /canary-9137/)
  })

  test("a paused integration is paused, whatever waits; one that is off is off", async () => {
    await using program = await Program.open()
    await using endpoint = await Endpoint.open({})
    const id = await program.integrate(endpoint.url())
    program.turn(1_000)
    await program.call("POST", `/v1/integrations/${id}/pause`)
    const receivedAt = new Date(program.now).toISOString()
    const event = formatId("evt", await program.send({ type: "a" }))
    program.turn(HOUR_MS)
    await program.send({ type: "a" })
    const { verdict, last_change: change, oldest_waiting: oldest } = await diagnosisOf(program, id)
    assert.deepEqual([change?.kind, change?.by?.name], ["integration.paused", "first key"])
    assert.deepEqual([verdict?.code, verdict?.evidence?.facts?.waiting], ["paused", 2])
    assert.deepEqual(oldest, { event, received_at: receivedAt })
    await program.call("POST", `/v1/integrations/${id}/disable`)
    assert.equal((await diagnosisOf(program, id)).verdict?.code, "switched_off")
  })

  test("events that wait for a slow endpoint are told from events that are stuck", async () => {
    const held = Promise.withResolvers<void>()
    await using program = await Program.open()
    await using slow = await Endpoint.open({ after: held.promise })
    const id = await program.integrate(slow.url(), { policy: { max_concurrent: 1, timeout_ms: 120_000 } })
    await program.send({ type: "a" })
    await program.send({ type: "a" })
    await slow.received(1)
    program.turn(14 * MINUTE_MS)
    assert.equal((await diagnosisOf(program, id)).verdict?.code, "healthy")
    program.turn(2 * MINUTE_MS)
    const { verdict } = await diagnosisOf(program, id)
    assert.equal(verdict?.code, "stuck_in_processing")
    held.resolve()
  })

  test("types that arrive and match nothing are shown with the one that was meant", async () => {
    await using program = await Program.open()
    await using endpoint = await Endpoint.open({})
    const id = await program.integrate(endpoint.url(), {
      events: { default: "off", types: { trial_started: { enabled: true } } },
    })
    for (let i = 0; i < 20; i++) await program.send({ type: "Trial_Started" })
    const { verdict } = await diagnosisOf(program, id)
    assert.equal(verdict?.code, "none_matched")
    assert.deepEqual(verdict.evidence?.types, [{ type: "Trial_Started", count: 20, near: "trial_started" }])
    assert.deepEqual(verdict.evidence?.withheld, { type_disabled: 20 })
  })

  test("events that an unverified endpoint keeps back are told with the reason's own advice", async () => {
    await using program = await Program.open()
    await using endpoint = await Endpoint.open({ status: 500 })
    const id = await program.integrate(endpoint.url(), { config: { verification: "json" } })
    await program.send({ type: "a" })
    const { verdict } = await diagnosisOf(program, id)
    assert.deepEqual([verdict?.code, verdict?.colour], ["withheld", "red"])
    assert.match(String(verdict?.advice), /verify it again/)
  })

  test("hosts that all fail to connect at once are Waybill's own trouble, told in /v1/status too", async () => {
    await using program = await Program.open()
    await using one = await Endpoint.open({})
    await using other = await Endpoint.open({})
    const first = await program.integrate(one.url(), { policy })
    const second = await program.integrate(other.url().replace("127.0.0.1", "localhost"), { policy })
    await sendEach(program, 1, 0)
    await program.recorded(2)
    program.turn(20 * MINUTE_MS)
    await one.close()
    await other.close()
    for (let i = 1; i <= 3; i++) {
      await program.send({ type: "a" })
      await program.recorded(2 + 2 * i)
    }
    for (const id of [first, second]) {
      const { verdict, also } = await diagnosisOf(program, id)
      assert.deepEqual([verdict?.code, also], ["own_machine", []])
    }
    const status = await program.call("GET", "/v1/status")
    assert.deepEqual([status.healthy, status.own_trouble?.integrations, status.own_trouble?.hosts], [false, 2, 2])
    assert.match(String(items(status.problems)[0]), /2 integrations at 2 hosts at once/)
  })

  test("all integrations of the project are diagnosed page by page, and nobody else's", async () => {
    await using program = await Program.open()
    await using endpoint = await Endpoint.open({})
    const made: string[] = []
    for (const name of ["one", "two", "three"]) made.push(await program.integrate(endpoint.url(), { name }))
    const page = await program.call("GET", "/v1/diagnosis?limit=2")
    const rest = await program.call("GET", `/v1/diagnosis?limit=2&cursor=${page.next_cursor}`)
    const shown = [...items(page.data), ...items(rest.data)]
    assert.deepEqual(
      shown.map(({ integration }) => integration?.id),
      made.toReversed(),
    )
    assert.deepEqual([...new Set(shown.map(({ verdict }) => verdict?.code))], ["unused"])
    assert.equal(rest.next_cursor, null)
    for (const path of ["diagnosis", "failures", "report"]) {
      assert.equal((await program.ask("GET", `/v1/integrations/int_00000000000/${path}`)).status, 404)
    }
  })
})

describe("GET /v1/integrations/{id}/failures", () => {
  test("groups what looks alike, and a delivery says how many others failed the same way", async () => {
    await using program = await Program.open()
    await using endpoint = await Endpoint.open(
      { status: 422, body: '{"message":"record 17 is invalid"}' },
      { status: 422, body: '{"message":"record 4711 is invalid"}' },
      { status: 503 },
      {},
    )
    const id = await program.integrate(endpoint.url(), { policy })
    const firstAt = program.now
    await sendEach(program, 1, 0)
    program.turn(MINUTE_MS)
    const event = await program.send({ type: "a" })
    await program.recorded(2)
    await sendEach(program, 1, 2)
    const page = await program.call("GET", `/v1/integrations/${id}/failures`)
    const [server, invalid, ...others] = items(page.data)
    assert.equal(others.length, 0)
    assert.deepEqual([server?.reason, server?.status, server?.count], ["server_error", 503, 1])
    assert.deepEqual([invalid?.message, invalid?.count, invalid?.going_on], ["record {n} is invalid", 2, true])
    assert.equal(invalid?.first_at, new Date(firstAt).toISOString())
    assert.equal(invalid?.example?.event, formatId("evt", event))
    const delivery = await program.call("GET", `/v1/deliveries/${invalid?.example?.delivery}`)
    assert.deepEqual(delivery.same_failure, { count: 1, since: new Date(firstAt).toISOString(), group: invalid?.id })
    const alone = await program.call("GET", `/v1/deliveries/${server?.example?.delivery}`)
    assert.equal(alone.same_failure, null)
    program.turn(HOUR_MS)
    await sendEach(program, 1, 3)
    const after = await program.call("GET", `/v1/integrations/${id}/failures?limit=1`)
    assert.equal(items(after.data)[0]?.going_on, false, "something got through since")
    const next = await program.call("GET", `/v1/integrations/${id}/failures?limit=1&cursor=${after.next_cursor}`)
    assert.deepEqual([items(next.data)[0]?.id, next.next_cursor], [invalid?.id, null])
  })
})

describe("GET /v1/integrations/{id}/report", () => {
  const secret = "canary-Kx81vvQe"

  test("holds what the other side's support asks for, as JSON and as Markdown, and no secret in any form", async () => {
    await using program = await Program.open()
    await using endpoint = await Endpoint.open({ status: 200 })
    const id = await program.integrate(endpoint.url(), {
      name: "CRM",
      policy,
      config: {
        production: { url: endpoint.url(), authorization: `Bearer ${secret}`, headers: { "x-team": "growth" } },
      },
    })
    await sendEach(program, 1, 0)
    // The other side repeats in its answer what it was sent.
    endpoint.answer(({ headers }) => ({
      status: 401,
      headers: { "x-got": String(headers["authorization"]) },
      body: JSON.stringify({ message: `the token ${secret} of ${headers["authorization"]} is wrong` }),
    }))
    program.turn(MINUTE_MS)
    await sendEach(program, 2, 1, { type: "order.created", device_id: "dev-7", data: { note: secret } })
    const path = `/v1/integrations/${id}/report`
    const { text, body } = await program.ask("GET", path)
    assert.doesNotMatch(text, new RegExp(secret), "no secret in the JSON")
    assert.deepEqual([body.integration?.id, body.integration?.name, body.project?.name], [id, "CRM", "default"])
    assert.deepEqual(body.apps, [])
    assert.deepEqual(
      items(body.errors).map(error => [error.reason, error.status, error.count]),
      [["rejected", 401, 2]],
    )
    assert.equal(body.counts?.success, 1)
    const [last] = items(body.last_errors)
    assert.equal(last?.attempt?.response?.status, 401)
    assert.match(String(last?.attempt?.response?.body), /the token \{secret\} of/)
    assert.match(String(last?.attempt?.request?.body), /order\.created/)
    assert.equal(last?.event?.device_id, "dev-7")
    assert.deepEqual(items(body.failed_events)[0]?.device_id, "dev-7")
    assert.match(String(body.waybill?.version), /^\d/)
    assert.equal(items(body.failures)[0]?.message, "the token {secret} of {secret} is wrong")

    for (const asked of [
      await program.ask("GET", path, undefined, { accept: "text/markdown" }),
      await program.ask("GET", `${path}?format=markdown`),
    ]) {
      assert.match(asked.headers.get("content-type") ?? "", /^text\/markdown/)
      assert.doesNotMatch(asked.text, new RegExp(secret), "no secret in the Markdown")
      for (const said of [
        "# Delivery report: CRM",
        id,
        "order.created",
        "dev-7",
        "POST 127.0.0.1",
        "authorization: (secret)",
        "x-team: (secret)",
        "## Waybill",
      ]) {
        assert.ok(asked.text.includes(said), said)
      }
    }
    const failures = await program.ask("GET", `/v1/integrations/${id}/failures`)
    assert.doesNotMatch(failures.text, new RegExp(secret))
  })

  test("is of the time that was asked for, and what the other side wrote is no markup in it", async () => {
    await using program = await Program.open()
    await using endpoint = await Endpoint.open({ status: 400, body: "```\n# forged <b>|x|</b>\n````" })
    const id = await program.integrate(endpoint.url(), { name: "a `b` | <i>", policy })
    await sendEach(program, 1, 0)
    const before = new Date(program.now - MINUTE_MS).toISOString()
    const at = new Date(program.now).toISOString()
    const earlier = await program.call("GET", `/v1/integrations/${id}/report?from=2026-11-20T00:00:00Z&to=${before}`)
    assert.deepEqual([earlier.errors, earlier.last_errors, earlier.failed_events], [[], [], []])
    const { text } = await program.ask("GET", `/v1/integrations/${id}/report?from=${before}&format=markdown`)
    assert.match(text, /^`````$/m, "the fence is longer than any in the body")
    assert.match(text, /^# Delivery report: a \\`b\\` \| \\<i\\>$/m)
    for (const query of [
      `from=${at}&to=${before}`,
      "from=yesterday",
      "from=2026-01-01T00:00:00Z",
      "format=pdf",
      "nonsense=1",
    ]) {
      assert.equal((await program.ask("GET", `/v1/integrations/${id}/report?${query}`)).status, 422, query)
    }
  })
})
