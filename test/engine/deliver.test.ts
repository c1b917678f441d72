/** One delivery after the other through the whole program: its schedule, its bytes, what is recorded of each attempt. */
import assert from "node:assert/strict"
import { hostname } from "node:os"
import { after, before, describe, test } from "node:test"
import { Webhook } from "standardwebhooks"
import { type PresetName, presetNames, presets } from "../../src/domain/policy.ts"
import { Endpoint, type Received } from "../help/endpoint.ts"
import { answers, hangsUp, receiver } from "../help/misbehaving.ts"
import { type DeliveryRow, MORNING, numberOf, Program } from "../help/program.ts"
import { newSecret } from "../help/waybill.ts"

const SECOND = 1_000
const HOUR = 3_600 * SECOND
const DAY = 24 * HOUR

function factsOf({ facts }: DeliveryRow): Record<string, unknown> {
  return JSON.parse(facts ?? "{}") as Record<string, unknown>
}

/** What a delivery has come to, in one line. */
function summary({ status, reason }: DeliveryRow): string {
  return reason === null ? status : `${status}: ${reason}`
}

describe("a delivery that fails", () => {
  for (const preset of presetNames) {
    test(`follows the schedule of ${preset} to the second, and no further`, async () => {
      const { retryDelaysMs, jitter } = presets[preset as PresetName]
      await using program = await Program.open()
      await using there = await Endpoint.open({ status: 500 })
      const integration = await program.integrate(there.url(), { policy: { preset } })
      const event = await program.send({ type: "a" })
      let at = MORNING
      for (const [retry, delay] of retryDelaysMs.entries()) {
        await program.recorded(retry + 1)
        const row = await program.delivery(integration, event)
        assert.equal(summary(row), "retrying: server_error")
        assert.equal(row.charged, retry + 1)
        const waits = (row.next_at ?? 0) - at
        const up = retry === retryDelaysMs.length - 1 ? jitter.lastUp : jitter.up
        assert.ok(
          waits >= Math.floor(delay * (1 - jitter.down)) && waits <= delay * (1 + up),
          `${waits} of ${delay} ms`,
        )
        // A millisecond sooner nothing is due.
        program.turnTo((row.next_at ?? 0) - 1)
        assert.deepEqual(await program.delivery(integration, event), row)
        program.turn(1)
        at = row.next_at ?? 0
      }
      await program.recorded(retryDelaysMs.length + 1)
      const row = await program.delivery(integration, event)
      assert.equal(summary(row), "failed: server_error")
      const { ended, try: last, tries } = factsOf(row)
      assert.deepEqual([ended, last, tries], ["exhausted", retryDelaysMs.length + 1, retryDelaysMs.length + 1])
      const attempts = await program.attempts(integration)
      assert.deepEqual(
        attempts.map(({ number, outcome, status }) => [number, outcome, status]),
        Array.from({ length: retryDelaysMs.length + 1 }, (_, i) => [i + 1, "error", 500]),
      )
      assert.equal(attempts.at(-1)?.started_at, at)
      program.turn(30 * DAY)
      assert.equal(there.requests.length, retryDelaysMs.length + 1)
    })
  }

  test("is delivered by the attempt that succeeds, and left alone from then on", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, { status: 500 }, { status: 200 })
    const integration = await program.integrate(there.url(), { policy: { preset: "device" } })
    const event = await program.send({ type: "a" })
    await program.recorded(1)
    program.turn(30 * SECOND)
    await program.recorded(2)
    program.turn(60 * SECOND)
    await program.recorded(3)
    const row = await program.delivery(integration, event)
    assert.deepEqual([summary(row), row.attempts, row.next_at], ["delivered", 3, null])
    assert.deepEqual(
      (await program.attempts(integration)).map(({ started_at, outcome, reason }) => [
        started_at - MORNING,
        outcome,
        reason,
      ]),
      [
        [0, "error", "server_error"],
        [30 * SECOND, "error", "server_error"],
        [90 * SECOND, "success", null],
      ],
    )
    assert.deepEqual(await program.rows("select status, n_open, n_retrying, n_delivered from event"), [
      { status: "delivered", n_open: 0, n_retrying: 0, n_delivered: 1 },
    ])
  })

  test("is not tried again after a status at which the policy stops", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 404 })
    const integration = await program.integrate(there.url(), { policy: { preset: "subscription" } })
    const event = await program.send({ type: "a" })
    await program.recorded(1)
    const row = await program.delivery(integration, event)
    assert.equal(summary(row), "failed: rejected")
    const { ended, stop, status } = factsOf(row)
    assert.deepEqual([ended, stop, status], ["stop", "400-404", 404])
  })

  test("counts a 410 as a status like any other where the policy says so", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 410 })
    const integration = await program.integrate(there.url(), { policy: { preset: "subscription" } })
    const event = await program.send({ type: "a" })
    await program.recorded(1)
    assert.equal(summary(await program.delivery(integration, event)), "retrying: rejected")
    assert.equal((await program.call("GET", `/v1/integrations/${integration}`)).enabled, true)
  })

  test("is charged neither to itself nor to the endpoint where the fault is Waybill's own", async () => {
    const answersNothing = { kind: "failed", code: "ECONNREFUSED" } as const
    let works = false
    const found = { kind: "found", addresses: ["127.0.0.1"], ttlMs: 0 } as const
    const resolver = { resolve: () => Promise.resolve(works ? found : answersNothing) }
    await using program = await Program.open({ resolver })
    await using there = await Endpoint.open()
    const integration = await program.integrate(`http://crm.example:${there.port}/`)
    const event = await program.send({ type: "a" })
    await program.recorded(1)
    for (const [i, delay] of [1, 2, 4, 8, 16, 32, 60, 60].entries()) {
      const row = await program.delivery(integration, event)
      assert.equal(summary(row), "retrying: sender_fault")
      assert.equal(row.charged, 0)
      assert.equal((row.next_at ?? 0) - program.now, delay * SECOND)
      program.turn(delay * SECOND)
      await program.recorded(i + 2)
    }
    works = true
    program.turn(60 * SECOND)
    await program.recorded(10)
    assert.equal(summary(await program.delivery(integration, event)), "delivered")
    const outcomes = (await program.attempts(integration)).map(({ outcome }) => outcome)
    assert.deepEqual([new Set(outcomes.slice(0, 9)), outcomes.at(-1)], [new Set(["sender_fault"]), "success"])
  })
})

describe("Retry-After", () => {
  const rows: [says: string, value: string | string[], status: number, waits: number][] = [
    ["is obeyed where it asks for more than the schedule", "7200", 429, 2 * HOUR],
    ["is obeyed on any status", "7200", 500, 2 * HOUR],
    ["never shortens the schedule", "1", 429, 5 * SECOND],
    ["is obeyed for a day at most", "864000", 503, DAY],
    ["may be a date", "Sat, 21 Nov 2026 11:00:00 GMT", 503, HOUR],
    ["counts with its longest wait where it stands there twice", ["60", "120"], 503, 120 * SECOND],
    ["is passed over where it makes no sense", "soon", 503, 5 * SECOND],
  ]
  let program: Program
  before(async () => {
    program = await Program.open()
  })
  after(() => program[Symbol.asyncDispose]())
  for (const [i, [says, value, status, waits]] of rows.entries()) {
    test(says, async () => {
      await using there = await Endpoint.open({ status, headers: { "retry-after": value } })
      const events = { default: "off", types: { [`type-${i}`]: { enabled: true } } }
      const integration = await program.integrate(there.url(), { policy: { jitter: 0 }, events })
      const event = await program.send({ type: `type-${i}` })
      await program.until("it waits", async () => (await program.delivery(integration, event)).status === "retrying")
      assert.equal(((await program.delivery(integration, event)).next_at ?? 0) - MORNING, waits)
    })
  }
})

describe("what goes over the wire", () => {
  test("is the same body with the same id at each attempt, its number, a fresh time and a signature that is good", async () => {
    const secret = newSecret()
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, { status: 500 }, {})
    await program.integrate(there.url(), { policy: { preset: "device" }, secret })
    await program.send('{"type":"a","data":{"x": 1.0,  "y":[1e2]}}')
    await program.recorded(1)
    program.turn(30 * SECOND)
    await program.recorded(2)
    program.turn(60 * SECOND)
    const requests = await there.received(3)
    assert.deepEqual([...new Set(requests.map(({ body }) => body.toString()))].length, 1)
    assert.deepEqual([...new Set(requests.map(({ headers }) => headers["webhook-id"]))].length, 1)
    assert.deepEqual(
      requests.map(({ headers }) => headers["webhook-attempt"]),
      ["1", "2", "3"],
    )
    assert.deepEqual(
      requests.map(({ headers }) => Number(headers["webhook-timestamp"]) - MORNING / 1_000),
      [0, 30, 90],
    )
    for (const { headers, body } of requests) {
      const at = new Date(Number(headers["webhook-timestamp"]) * 1_000)
      const signed = new Webhook(secret).sign(headers["webhook-id"] ?? "", at, body.toString())
      assert.equal(headers["webhook-signature"], signed)
      assert.match(headers["user-agent"] ?? "", /^Waybill\/\d/)
      assert.equal(headers["content-type"], "application/json")
    }
  })

  test("goes to today's address with today's Authorization, and in the bytes of the first attempt", async () => {
    await using program = await Program.open()
    await using before = await Endpoint.open({ status: 500 })
    await using after = await Endpoint.open()
    const integration = await program.integrate(before.url(), {
      policy: { preset: "device" },
      config: { production: { url: before.url(), authorization: "Token old" } },
      events: { types: { a: { name: "OldName" } } },
    })
    await program.send({ type: "a", data: { n: 1 } })
    const first = await before.request(1)
    await program.recorded(1)
    await program.call("PATCH", `/v1/integrations/${integration}`, {
      config: { production: { url: after.url("/new?token=x"), authorization: "Token new" }, format: "cloudevents" },
      events: { types: { a: { name: "NewName" } } },
    })
    program.turn(30 * SECOND)
    const second = await after.request(1)
    assert.equal(second.path, "/new?token=x")
    assert.equal(second.headers.authorization, "Token new")
    assert.equal(second.headers["content-type"], "application/json")
    assert.deepEqual(second.body, first.body)
    assert.match(first.body.toString(), /"type":"OldName"/)
    await program.recorded(2)
    assert.equal(before.requests.length, 1)
    assert.deepEqual(
      (await program.attempts(integration)).map(({ revision }) => revision),
      [1, 1],
    )
    await program.send({ type: "a" })
    assert.match((await after.request(2)).body.toString(), /"specversion":"1.0".*"type":"NewName"/)
  })

  test("carries no signature that a receiver of the chosen kind would not find, and goes out once it has its key", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const integration = await program.integrate(there.url())
    await program.call("PATCH", `/v1/integrations/${integration}`, { config: { signature: { scheme: "v1a" } } })
    const event = await program.send({ type: "a" })
    await program.until(
      "the delivery is withheld",
      async () => (await program.delivery(integration, event)).status === "withheld",
    )
    assert.equal(summary(await program.delivery(integration, event)), "withheld: missing_credentials")
    assert.deepEqual(
      (await program.rows<{ status: string; n_red: number }>("select status, n_red from event")).map(row => ({
        ...row,
      })),
      [{ status: "failed", n_red: 1 }],
    )
    await program.call("POST", `/v1/integrations/${integration}/rotate-secret`, { grace_seconds: 0 })
    const { id } = (await program.call("GET", "/v1/deliveries")).data?.[0] ?? {}
    await program.call("POST", `/v1/deliveries/${id}/retry`)
    assert.match((await there.request(1)).headers["webhook-signature"] ?? "", /^v1a,\S+$/)
    await program.recorded(1)
    assert.equal(summary(await program.delivery(integration, event)), "delivered")
  })
})

describe("an attempt", () => {
  test("is recorded with its address, its parts in time, its revision, its process and both sides of the exchange", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({
      status: 503,
      headers: { "x-node": "7", "set-cookie": ["a=1", "b=2"] },
      body: "down, sorry",
    })
    const integration = await program.integrate(there.url(), {
      config: {
        production: {
          url: there.url("/hook/path?key=hidden-in-the-query"),
          authorization: "Bearer hidden-token",
          headers: { "x-team": "hidden-team" },
        },
      },
    })
    await program.send({ type: "a" })
    await program.recorded(1)
    const attempt = only(await program.attempts(integration))
    assert.equal(attempt.url, `127.0.0.1:${there.port}/hook/path`)
    assert.deepEqual([attempt.status, attempt.outcome, attempt.reason], [503, "error", "server_error"])
    assert.deepEqual([attempt.class, attempt.phase, attempt.code, attempt.message], [null, null, null, null])
    assert.deepEqual([attempt.revision, attempt.process], [1, `${hostname()}/${process.pid}`])
    assert.equal(attempt.dns_ms, null, "an address needs no name server")
    for (const part of ["connect_ms", "wait_ms", "body_ms", "total_ms"] as const) {
      const took = attempt[part]
      assert.ok(took !== null && took >= 0 && took <= (attempt.total_ms ?? 0), `${part}: ${took}`)
    }
    const kept = await program.exchange(attempt)
    const sent = JSON.parse(kept.request_headers) as [string, string | null][]
    const received = only(there.requests)
    assert.deepEqual(
      sent.filter(([, value]) => value === null).map(([name]) => name),
      ["x-team", "authorization"].sort((a, b) => indexOfHeader(received, a) - indexOfHeader(received, b)),
    )
    for (const [name, value] of sent) if (value !== null) assert.equal(received.headers[name.toLowerCase()], value)
    assert.deepEqual(
      (JSON.parse(kept.response_headers ?? "[]") as [string, string][]).filter(([name]) => /x-node|cookie/.test(name)),
      [
        ["x-node", "7"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
      ],
    )
    assert.equal(Buffer.from(kept.response_body ?? []).toString(), "down, sorry")
    assert.doesNotMatch(JSON.stringify([attempt, kept]), /hidden/)
  })

  test("keeps the answer's body up to the limit, as bytes, and marks what is missing of it", async () => {
    const HEAD = "HTTP/1.1 200 OK\r\n"
    const rows: [answer: string | Buffer, kept: string, flags: number, hangs: boolean][] = [
      [`${HEAD}content-length: 10\r\n\r\n0123456789`, "0123456789", 0, false],
      [`${HEAD}content-length: 11\r\n\r\n0123456789a`, "0123456789", 1, false],
      [`${HEAD}content-length: 11\r\n\r\n012345`, "012345", 2, true],
      [
        Buffer.concat([Buffer.from(`${HEAD}content-length: 3\r\n\r\n`), Buffer.from([0xff, 0, 0xc3])]),
        "\xff\0\xc3",
        0,
        false,
      ],
    ]
    await using program = await Program.open()
    for (const [answer, kept, flags, hangs] of rows) {
      await using there = await receiver(hangs ? hangsUp(String(answer)) : answers(answer))
      const name = `row ${kept.length} ${flags}`
      const integration = await program.integrate(there.url, { name, policy: { keep_response_bytes: 10 } })
      const event = await program.send({ type: "a" })
      await program.until(
        "it is delivered",
        async () => (await program.delivery(integration, event)).status === "delivered",
      )
      const attempt = only(await program.attempts(integration))
      assert.deepEqual([attempt.status, attempt.outcome, attempt.flags], [200, "success", flags])
      assert.equal(Buffer.from((await program.exchange(attempt)).response_body ?? []).toString("latin1"), kept)
      await program.call("DELETE", `/v1/integrations/${integration}`)
    }
  })

  test("takes the id that the destination gave the record from its answer, digit for digit", async () => {
    const rows: [from: object, reply: { body?: string; headers?: Record<string, string> }, record: string | null][] = [
      [{ pointer: "/data/id" }, { body: '{"data":{"id":"rec_1"}}' }, "rec_1"],
      [{ pointer: "/data/0/id" }, { body: '{"data":[{"id":12345678901234567890}]}' }, "12345678901234567890"],
      [{ pointer: "/data/id" }, { body: '{"data":{}}' }, null],
      [{ pointer: "/data/id" }, { body: "thanks" }, null],
      [{ header: "X-Record-Id" }, { headers: { "x-record-id": "42" } }, "42"],
    ]
    await using program = await Program.open()
    for (const [from, reply, record] of rows) {
      await using there = await Endpoint.open(reply)
      const integration = await program.integrate(there.url(), { config: { destination_record: from } })
      const event = await program.send({ type: "a" })
      await program.until(
        "it is delivered",
        async () => (await program.delivery(integration, event)).status === "delivered",
      )
      assert.equal((await program.delivery(integration, event)).record_id, record, JSON.stringify(from))
      await program.call("DELETE", `/v1/integrations/${integration}`)
    }
  })
})

describe("a 410", () => {
  test("ends the delivery and switches the integration off in the commit that records it", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 410 })
    const integration = await program.integrate(there.url())
    type Snapshot = { attempts: number; failed: number; enabled: number; changes: number }
    const seen = new Set<string>()
    const look = async (): Promise<boolean> => {
      const [row] = await program.rows<Snapshot>(`
        select (select count(*) from attempt) as attempts,
          (select count(*) from delivery where status = 'failed' and reason = 'gone') as failed,
          (select enabled from integration) as enabled,
          (select count(*) from change where kind = 'integration.disabled') as changes`)
      seen.add(Object.values(row ?? {}).join(" "))
      return row?.attempts === 1
    }
    await look()
    const recorded = program.recorded(1)
    const event = await program.send({ type: "a" })
    while (!(await look())) await new Promise(resolve => setImmediate(resolve))
    await recorded
    assert.deepEqual([...seen].sort(), ["0 0 1 0", "1 1 0 1"], "never one without the other")
    assert.equal(summary(await program.delivery(integration, event)), "failed: gone")
    await isOff(program, integration)
    const shown = await program.call("GET", `/v1/integrations/${integration}`)
    assert.deepEqual([shown.enabled, shown.disabled?.by, shown.disabled?.reason], [false, "waybill", "gone"])
  })

  test("holds back what comes later, where it shows in red, until the integration is enabled again", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 410 }, {})
    const integration = await program.integrate(there.url())
    await program.send({ type: "a" })
    await program.recorded(1)
    await isOff(program, integration)
    const later = await program.send({ type: "a" })
    const [row] = await program.rows<{ withheld: string; n_red: number; status: string }>(
      "select withheld, n_red, status from event where id = ?",
      later,
    )
    assert.deepEqual(JSON.parse(row?.withheld ?? ""), { integration_disabled: [numberOf("int", integration)] })
    assert.deepEqual([row?.n_red, row?.status], [1, "failed"])
    await program.call("POST", `/v1/integrations/${integration}/enable`)
    await program.send({ type: "a" })
    await program.recorded(2)
    assert.equal(there.requests.length, 2)
  })

  test("ends what waited for another try", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, { status: 410 })
    const integration = await program.integrate(there.url())
    const first = await program.send({ type: "a" })
    await program.recorded(1)
    await program.send({ type: "a" })
    await program.recorded(2)
    await program.until("nothing waits", async () =>
      (await program.deliveries()).every(({ next_at }) => next_at === null),
    )
    const row = await program.delivery(integration, first)
    assert.equal(summary(row), "failed: integration_disabled")
    assert.deepEqual(factsOf(row), { by: "waybill", cause: "gone" })
  })
})

/** Resolves when the program itself knows that an integration is off, which is a moment after it stands on disk. */
async function isOff(program: Program, integration: string): Promise<void> {
  while ((await program.call("GET", `/v1/integrations/${integration}`)).enabled);
}

function only<T>(rows: readonly T[]): T {
  const [row] = rows
  assert.equal(rows.length, 1)
  if (row === undefined) throw new Error("There is none.")
  return row
}

function indexOfHeader({ rawHeaders }: Received, name: string): number {
  return rawHeaders.findIndex(header => header.toLowerCase() === name)
}
