import assert from "node:assert/strict"
import { test } from "node:test"
import { formatId } from "../../src/domain/id.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { type Answer, MORNING, Program } from "../help/program.ts"

const HOUR_MS = 3_600_000
const FROM = new Date(MORNING - HOUR_MS).toISOString()
/** The first failure is the last, and protection stays out of the way. */
const once = { policy: { preset: "subscription", protection: { enabled: false } } }

/** The one fault of a refused request: where, and the sentence. */
function fault({ status, body }: Answer): [number, unknown, string] {
  const [error] = items(body.errors)
  return [status, error?.pointer, String(error?.message)]
}

test("what is wrong in a request is named, with how to mend it", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open()
  const integration = await program.integrate(endpoint.url(), { name: "CRM", apps: ["ios"] })
  const ask = async (body: object) => fault(await program.ask("POST", "/v1/recoveries", body))
  assert.deepEqual(await ask({}), [422, "/from", "`from` is missing."])
  assert.deepEqual((await ask({ from: "yesterday" })).slice(0, 2), [422, "/from"])
  assert.deepEqual((await ask({ from: FROM, to: FROM })).slice(0, 2), [422, "/from"])
  assert.match((await ask({ from: new Date(MORNING + HOUR_MS).toISOString() }))[2], /in the future/)
  const unknown = await ask({ from: FROM, integrations: [integration, "int_00000000000"] })
  assert.deepEqual(unknown, [422, "/integrations/1", "There is no integration int_00000000000 in this project."])
  assert.equal((await ask({ from: FROM, integrations: "int_00000000000" }))[1], "/integrations")
  assert.match((await ask({ from: FROM, statuses: ["missing"] }))[2], /name those that are to be filled/)
  assert.match((await ask({ from: FROM, app: "iod" }))[2], /Did you mean ios\?/)
  assert.equal((await ask({ from: FROM, statuses: ["lost"] }))[1], "/statuses/0")
  assert.equal((await ask({ from: FROM, reasons: ["bad_luck"] }))[1], "/reasons/0")
  assert.equal((await ask({ from: FROM, status: "failed" }))[1], "/status")
  assert.equal((await ask({ from: FROM, max_per_second: 0 }))[1], "/max_per_second")
  assert.equal((await program.rows("select 1 from recovery")).length, 0)
})

test("an integration that is switched off is not recovered to: 409 with what to do first", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open()
  const integration = await program.integrate(endpoint.url(), { name: "CRM" })
  await program.call("POST", `/v1/integrations/${integration}/disable`)
  const refused = await program.ask("POST", "/v1/recoveries", { from: FROM, integrations: integration })
  assert.equal(refused.status, 409)
  assert.match(
    String(refused.body.detail),
    new RegExp(`"CRM" is switched off. Enable it with POST /v1/integrations/${integration}/enable`),
  )
})

test("a dry run counts and shows ten of them, and queues nothing", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const integration = await program.integrate(endpoint.url(), { ...once, name: "CRM" })
  const sent: number[] = []
  for (let i = 0; i < 12; i++) sent.push(await program.send({ type: "a", data: { i } }))
  await program.recorded(12)
  await program.call("PATCH", `/v1/integrations/${integration}`, { filter: { gte: ["data.i", 3] } })
  const answer = await program.ask("POST", "/v1/recoveries", { from: FROM, dry_run: true })
  assert.equal(answer.status, 200)
  const { count, found, withheld, reasons, sample, counted_to } = answer.body
  assert.deepEqual([count, found, withheld, counted_to], [9, 12, 3, null])
  assert.deepEqual(
    items(reasons).map(({ outcome, code, count: n }) => [outcome, code, n]),
    [["withheld", "filtered", 3]],
  )
  const shown = items(sample)
  assert.equal(shown.length, 10)
  assert.deepEqual(
    shown.slice(2, 4).map(({ event, status, outcome, why }) => [event?.id, status, outcome, why?.code ?? null]),
    [
      [formatId("evt", sent[2] ?? 0), "failed", "withheld", "filtered"],
      [formatId("evt", sent[3] ?? 0), "failed", "send", null],
    ],
  )
  assert.equal(endpoint.requests.length, 12)
  assert.equal((await program.rows("select 1 from recovery")).length, 0)
})

test("recoveries are listed, newest first, page by page, and belong to their project", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open()
  await program.integrate(endpoint.url())
  const made: unknown[] = []
  for (let i = 0; i < 3; i++) made.unshift((await program.call("POST", "/v1/recoveries", { from: FROM })).id)
  const first = await program.call("GET", "/v1/recoveries?limit=2")
  const rest = await program.call("GET", `/v1/recoveries?limit=2&cursor=${first.next_cursor}`)
  assert.deepEqual(
    [...items(first.data), ...items(rest.data)].map(recovery => recovery.id),
    made,
  )
  assert.equal(rest.next_cursor, null)
  const other = await program.call("POST", "/v1/projects", { name: "other" })
  const key = String(other.key?.key ?? other.key)
  const asOther = { authorization: `Bearer ${key}` }
  assert.equal((await program.ask("GET", `/v1/recoveries/${made[0]}`, undefined, asOther)).status, 404)
  assert.deepEqual((await program.ask("GET", "/v1/recoveries", undefined, asOther)).body.data, [])
  assert.equal((await program.ask("POST", `/v1/recoveries/${made[0]}/cancel`, undefined, asOther)).status, 404)
  assert.equal((await program.ask("GET", "/v1/recoveries/rec_00000000000")).status, 404)
})

test("who began, paused and ended a recovery stands among the changes", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const integration = await program.integrate(endpoint.url(), once)
  for (let i = 0; i < 3; i++) await program.send({ type: "a" })
  await program.recorded(3)
  await program.call("POST", `/v1/integrations/${integration}/pause`)
  const { id } = await program.call("POST", "/v1/recoveries", { from: FROM })
  for (const action of ["pause", "pause", "resume", "cancel", "cancel"])
    assert.equal((await program.ask("POST", `/v1/recoveries/${id}/${action}`)).status, 200, action)
  const changes = await program.rows<{ kind: string; subject: string; by_kind: string }>(
    "select kind, subject, by_kind from change where kind like 'recovery.%' order by id",
  )
  assert.deepEqual(
    changes.map(({ kind, by_kind }) => [kind, by_kind]),
    ["created", "paused", "resumed", "canceled"].map(what => [`recovery.${what}`, "api_key"]),
  )
  assert.ok(changes.every(({ subject }) => subject === String(id)))
})

test("no more than twenty recoveries of a project run at a time", async () => {
  await using program = await Program.open()
  await using endpoint = await Endpoint.open({ status: 404 })
  const integration = await program.integrate(endpoint.url(), once)
  await program.send({ type: "a" })
  await program.recorded(1)
  await program.call("POST", `/v1/integrations/${integration}/pause`)
  const paused: unknown[] = []
  for (let i = 0; i < 20; i++) {
    const { id } = await program.call("POST", "/v1/recoveries", { from: FROM })
    await program.call("POST", `/v1/recoveries/${id}/pause`)
    paused.push(id)
  }
  const refused = await program.ask("POST", "/v1/recoveries", { from: FROM })
  assert.equal(refused.status, 409)
  assert.match(String(refused.body.detail), /20 recoveries that have not ended/)
})
