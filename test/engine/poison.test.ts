/**
 * Poison: events that break whatever reads them, and integrations whose rows somebody has spoilt. It stays where it is: the
 * event or the integration fails with a reason, and everything else goes on.
 */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { parseId } from "../../src/domain/id.ts"
import { Endpoint } from "../help/endpoint.ts"
import { type DeliveryRow, Program } from "../help/program.ts"

const deep = (levels: number, open: string, close: string) => `${open.repeat(levels)}1${close.repeat(levels)}`

/** Bodies of `POST /v1/events`, as text: what each holds may be refused, and may break nothing. */
const corpus: readonly string[] = [
  `{"type":"a","data":${deep(62, "[", "]")}}`,
  `{"type":"a","data":${deep(62, '{"a":', "}")}}`,
  `{"type":"a","data":${deep(32_000, "[", "]")}}`,
  `{"type":"a","data":"\\ud800"}`,
  `{"type":"a","data":{"\\ud83d":1}}`,
  `{"type":"a","data":"\\u0000\\u0001\\u2028\\u202e\\ufeff"}`,
  `{"type":"a","data":{"__proto__":{"plan":"pro"},"constructor":{"prototype":1},"toString":1}}`,
  `{"type":"a","data":{"plan":"pro","plan":"free"}}`,
  `{"type":"a","data":${"9".repeat(5_000)}}`,
  `{"type":"a","data":1e400}`,
  `{"type":"a","data":-0.0e-400}`,
  `{"type":"a","data":{"plan":${deep(60, "[", "]")}}}`,
  `{"type":"a","data":{"plan":{"plan":{"plan":null}}}}`,
  `{"type":"a","data":"${"x".repeat(262_000)}"}`,
  `{"type":"a","data":"${"x".repeat(300_000)}"}`,
  `{"type":"a","data":[${"1,".repeat(100_000)}1]}`,
  `{"type":"constructor","data":1}`,
  `{"type":"__proto__","data":1}`,
  `{"type":"a","profile_id":"\u{1f600} \\"'%0d%0a","device_id":"%","source_record":"../..","ordering_key":"\\u00a0"}`,
  `{"type":"a","profile_id":"${"é".repeat(256)}"}`,
  `{"type":"a","occurred_at":"0001-01-01T00:00:00Z"}`,
  `{"type":"a","occurred_at":"2016-12-31T23:59:60Z"}`,
  `{"type":"a","app":"toString"}`,
]

const filter = {
  or: [
    { eq: ["data.plan", "pro"] },
    { gt: ["data", 5] },
    { contains: ["data.plan.plan", "x"] },
    { not: { exists: ["data.0.0.0.0"] } },
  ],
}
const formats = [
  { name: "own form", config: {} },
  { name: "CloudEvents", config: { format: "cloudevents" } },
  { name: "CloudEvents, binary", config: { format: "cloudevents", cloudevents_mode: "binary" } },
  { name: "with a filter", config: {}, more: { filter } },
  { name: "in order", config: {}, more: { policy: { ordered: true } } },
]

function isOver({ next_at, status }: DeliveryRow): boolean {
  return next_at === null && status !== "sending"
}

describe("an event that breaks what reads it", () => {
  test("is refused, or delivered, or fails with a reason; the events around it are delivered", async t => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const ids = await Promise.all(
      formats.map(({ name, config, more }) => program.integrate(there.url(), { name, config, ...more })),
    )
    const statuses: number[] = []
    const good: number[] = []
    for (const body of corpus) {
      const answer = await program.ask("POST", "/v1/events", body)
      statuses.push(answer.status)
      assert.ok(answer.status < 500, `${body.slice(0, 80)} was answered with ${answer.status}`)
      good.push(await program.send({ type: "a", data: { plan: "pro" }, ordering_key: "k" }))
    }
    await program.until("all is over", async () => (await program.deliveries()).every(isOver))
    t.diagnostic(`${statuses.filter(status => status === 202).length} of ${corpus.length} were taken`)
    assert.ok(statuses.includes(202) && statuses.some(status => status >= 400), "it is a mixed lot")
    for (const [i, id] of ids.entries()) {
      const rows = await program.deliveries(id)
      for (const event of good) {
        const row = rows.find(one => one.event_id === event)
        assert.equal(row?.status, "delivered", `${formats[i]?.name}: a good event ended as ${row?.reason}`)
      }
      const reasons = rows.filter(({ status }) => status !== "delivered").map(({ reason }) => reason)
      assert.ok(new Set(reasons).isSubsetOf(new Set(["request_invalid"])), `${formats[i]?.name}: ${reasons.join()}`)
    }
    assert.equal((await program.ask("GET", "/livez")).status, 200)
  })
})

describe("an integration whose rows were spoilt", () => {
  const secrets = [
    [
      "its Authorization",
      "update integration_secret set sealed = substr(sealed, 1, length(sealed) - 4) || 'AAAA' where integration_id = ?",
    ],
    [
      "its signing key",
      "update signing_key set sealed = substr(sealed, 1, length(sealed) - 4) || 'AAAA' where integration_id = ?",
    ],
    [
      "a secret of another key",
      "update integration_secret set sealed = 'v1.unknown0.AAAA.AAAA.AAAA' where integration_id = ?",
    ],
    ["a secret that is none", "update integration_secret set sealed = '' where integration_id = ?"],
  ] as const
  for (const [what, text] of secrets) {
    test(`${what}: its deliveries fail and say so, all others go on, and a save mends it`, async () => {
      await using program = await Program.open()
      await using there = await Endpoint.open()
      const config = { production: { url: there.url("/spoilt"), authorization: "Token abc" } }
      const spoilt = await program.integrate(there.url("/spoilt"), { name: "spoilt", config })
      const sound = await program.integrate(there.url("/sound"))
      await program.stop()
      await program.leave(text, parseId("int", spoilt) ?? 0)
      await program.restart()
      const event = await program.send({ type: "a" })
      await program.until("both are over", async () => (await program.deliveries()).every(isOver))
      assert.equal((await program.delivery(sound, event)).status, "delivered")
      const row = await program.delivery(spoilt, event)
      assert.deepEqual([row.status, row.reason], ["failed", "request_invalid"])
      assert.match(row.facts ?? "", /cannot be opened|sealed|save/i)
      assert.ok(there.requests.every(({ path }) => path === "/sound"))

      await program.call("PATCH", `/v1/integrations/${spoilt}`, {
        config: { production: { url: there.url("/spoilt"), authorization: "Token abc" } },
      })
      await program.call("POST", `/v1/integrations/${spoilt}/rotate-secret`, { grace_seconds: 0 })
      await program.send({ type: "a" })
      await program.until("all are over", async () => (await program.deliveries()).every(isOver))
      assert.equal(there.requests.filter(({ path }) => path === "/spoilt").length, 1)
    })
  }

  test("its URL and its secret changed between retries: the next one uses today's", async () => {
    await using program = await Program.open()
    await using before = await Endpoint.open({ status: 500 })
    await using after = await Endpoint.open()
    const integration = await program.integrate(before.url(), {
      policy: { preset: "device", protection: { enabled: false } },
    })
    await program.send({ type: "a", data: 1 })
    await program.recorded(1)
    await program.call("PATCH", `/v1/integrations/${integration}`, {
      config: { production: { url: after.url("/new"), authorization: "Token new" } },
    })
    program.turn(30_000)
    const { path, headers, body } = await after.request(1)
    assert.deepEqual([path, headers["authorization"]], ["/new", "Token new"])
    assert.equal(body.toString(), before.requests[0]?.body.toString(), "and carries the same bytes")
  })

  test("removed while a delivery waits for its retry: it ends with that as its reason", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 })
    const integration = await program.integrate(there.url())
    await program.send({ type: "a" })
    await program.recorded(1)
    await program.ask("DELETE", `/v1/integrations/${integration}`)
    await program.until("it is over", async () => (await program.deliveries()).every(isOver))
    assert.deepEqual(
      (await program.deliveries(integration)).map(({ status, reason }) => [status, reason]),
      [["failed", "integration_removed"]],
    )
  })
})
