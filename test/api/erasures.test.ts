/** A person is erased: all that their events left goes, nobody else's, and the report says how much it was. */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { describe, test } from "node:test"
import { formatId } from "../../src/domain/id.ts"
import { Endpoint } from "../help/endpoint.ts"
import { engine } from "../help/engines.ts"
import { fillProject } from "../help/full-project.ts"
import { items } from "../help/items.ts"
import { type Json, Program } from "../help/program.ts"
import { wrongArrivals } from "../help/tallies.ts"

/** Erases a person, and resolves when it is done. */
async function erase(program: Program, profile: string, call = program.call.bind(program)): Promise<Json> {
  const { id } = await call("POST", "/v1/erasures", { profile_id: profile })
  let found: Json = {}
  await program.until("the person was erased", async () => {
    found = await call("GET", `/v1/erasures/${id}`)
    return String(found.state) === "done"
  })
  return found
}

/** Tables with a row that says this, as text or within bytes. */
async function saying(program: Program, text: string): Promise<string[]> {
  const tables = await program.rows<{ name: string }>(
    engine === "sqlite"
      ? "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'"
      : `select relname as name from pg_class
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`,
  )
  const found: string[] = []
  for (const { name } of tables) {
    const rows = await program.rows<Record<string, unknown>>(`select * from "${name}"`)
    const says = (value: unknown) =>
      (value instanceof Uint8Array ? Buffer.from(value).toString() : String(value)).includes(text)
    if (rows.some(row => Object.values(row).some(says))) found.push(name)
  }
  return found
}

const about = (profile: string, more: object = {}) => ({ type: "order.paid", profile_id: profile, ...more })

describe("an erasure", () => {
  test("takes all that is kept of one person, and leaves everybody else's", async () => {
    await using good = await Endpoint.open()
    await using bad = await Endpoint.open({ status: 404 })
    await using program = await Program.open()
    const a = await fillProject(program, "canary-a", { good, bad })
    const b = await fillProject(program, "canary-b", { good, bad })
    const kept = await b.call("POST", "/v1/events", about(a.profile))
    const erased = await erase(program, a.profile, a.call)

    const { report, profile_id, profile_hash } = erased
    assert.equal(profile_id, null)
    assert.match(String(profile_hash), /^[\w-]{43}$/)
    const { events, deliveries, deliveries_ended, attempts, payloads, exchanges, rejections, inbox_requests } =
      report as unknown as Record<string, number>
    assert.deepEqual(
      { events, deliveries, deliveries_ended, attempts, payloads, exchanges, rejections, inbox_requests },
      // To three integrations and an inbox, one of them paused.
      {
        events: 1,
        deliveries: 4,
        deliveries_ended: 1,
        attempts: 3,
        payloads: 1,
        exchanges: 3,
        rejections: 1,
        inbox_requests: 1,
      },
    )
    assert.ok(Number((report as unknown as Record<string, number>)["search_entries"]) >= 3)
    assert.equal((await a.ask("GET", `/v1/events/${a.ids.event}`)).status, 404)
    assert.equal((await a.ask("GET", `/v1/deliveries/${a.ids.delivery}`)).status, 404)
    assert.deepEqual(items((await a.call("GET", `/v1/events?profile_id=${a.profile}`)).data), [])
    assert.equal(items((await a.call("GET", "/v1/events?profile_id=canary-a-other")).data).length, 1)
    assert.equal(items((await a.call("GET", "/v1/events?device_id=canary-a-device")).data).length, 1)
    assert.equal((await b.ask("GET", `/v1/events/${kept.id}`)).status, 200)
    // The other project's event of the same name is all that still says it.
    const still = (await saying(program, a.profile)).map(name => name.replace(/_\d+$/, ""))
    assert.deepEqual([...new Set(still)].filter(name => name !== "exchange" && name !== "inbox_request").sort(), [
      "event",
      "search_entry",
    ])
    const dangling = await program.rows(
      "select 1 from search_entry s where not exists (select 1 from event e where e.id = s.event_id)",
    )
    assert.deepEqual(dangling, [])
    // Its own id may be used again.
    const again = await a.call("POST", "/v1/events", { type: "again", id: "canary-a-own" })
    assert.equal(again.duplicate, false)
  })

  test("leaves the tallies as they are", async () => {
    await using endpoint = await Endpoint.open()
    await using program = await Program.open()
    await program.integrate(endpoint.url())
    for (let i = 0; i < 3; i++) await program.send(about("ada"))
    await program.recorded(3)
    await erase(program, "ada")
    await program.tallied()
    const sums = await program.rows<{ outcome: string; n: number }>(
      "select outcome, sum(count) as n from delivery_tally group by 1 order by 1",
    )
    assert.deepEqual(
      sums.map(({ outcome, n }) => [outcome, Number(n)]),
      [
        ["delivered", 3],
        ["routed", 3],
        ["success", 3],
      ],
    )
    assert.deepEqual(await program.rows("select 1 from event"), [])
    assert.notDeepEqual(await wrongArrivals(text => program.rows(text)), {}, "they count what is no longer there")
  })

  test("ends what waits, lets what is on its way arrive, and erases that too", async () => {
    const answer = Promise.withResolvers<void>()
    await using slow = await Endpoint.open({ after: answer.promise })
    await using program = await Program.open()
    const policy = { max_concurrent: 1, ordered: true }
    const integration = await program.integrate(slow.url(), { policy })
    await program.send(about("ada", { ordering_key: "k" }))
    await slow.received(1)
    await program.send(about("ada", { ordering_key: "k" }))
    const next = await program.send(about("grace", { ordering_key: "k" }))
    const begun = await program.call("POST", "/v1/erasures", { profile_id: "ada" })
    const twice = await program.call("POST", "/v1/erasures", { profile_id: "ada" })
    assert.equal(twice.id, begun.id)
    await program.until("the one that waits has ended", async () => (await program.deliveries()).length === 2)
    assert.equal((await program.call("GET", `/v1/erasures/${begun.id}`)).state, "running")
    answer.resolve()
    const done = await erase(program, "ada")
    assert.equal(done.id, begun.id)
    await program.until("the next of the key has arrived", async () => {
      return (await program.delivery(integration, next)).status === "delivered"
    })
    assert.equal(slow.requests.length, 2)
    assert.deepEqual(
      (await program.deliveries()).map(row => row.event_id),
      [next],
    )
    assert.equal((await program.attempts(integration)).length, 1)
    const [tally] = await program.rows<{ count: number }>(
      "select count from delivery_tally where reason = 'person_erased'",
    )
    assert.equal(tally?.count, 1)
  })

  test("keeps what comes in later, which the next one takes", async () => {
    await using program = await Program.open()
    await program.send(about("ada"))
    const first = await erase(program, "ada")
    const later = await program.send(about("ada"))
    assert.equal((await program.ask("GET", `/v1/events/${formatId("evt", later)}`)).status, 200)
    const second = await erase(program, "ada")
    assert.notEqual(second.id, first.id)
    assert.equal(second.profile_hash, first.profile_hash)
    assert.equal(second.report?.events, 1)
    assert.deepEqual(await program.rows("select 1 from event"), [])
    const third = await erase(program, "ada")
    assert.equal(third.report?.events, 0)
  })

  test("is told in the audit log, without the id", async () => {
    await using program = await Program.open()
    await program.send(about("canary-ada"))
    const { id, profile_hash } = await erase(program, "canary-ada")
    const rows = await program.rows<{ subject: string; facts: string }>(
      "select * from change where kind like 'erasure.%'",
    )
    assert.deepEqual(
      rows.map(({ subject, facts }) => [subject, JSON.parse(facts) as unknown]),
      [[id, { profile_hash }]],
    )
    assert.deepEqual(await saying(program, "canary-ada"), [])
  })

  test("goes on after a restart", async () => {
    const answer = Promise.withResolvers<void>()
    await using endpoint = await Endpoint.open({ after: answer.promise })
    await using program = await Program.open()
    await program.integrate(endpoint.url())
    await program.send(about("ada"))
    await endpoint.received(1)
    const { id } = await program.call("POST", "/v1/erasures", { profile_id: "ada" })
    answer.resolve()
    await program.restart()
    const done = await erase(program, "ada")
    assert.ok(done.id === id || Number(done.report?.events) === 0)
    assert.deepEqual(await program.rows("select 1 from event"), [])
    assert.deepEqual(await program.rows("select 1 from attempt"), [])
  })

  test("of a person with a thousand events takes all of them", async () => {
    await using endpoint = await Endpoint.open()
    await using program = await Program.open()
    await program.integrate(endpoint.url())
    for (let i = 0; i < 10; i++) {
      const events = Array.from({ length: 100 }, (_, n) => about(n % 2 === 0 ? "ada" : "grace"))
      await program.call("POST", "/v1/events/batch", { events })
    }
    await program.recorded(1_000)
    const { report } = await erase(program, "ada")
    assert.deepEqual([report?.events, report?.attempts, report?.search_entries], [500, 500, 500])
    const left = await program.rows<{ profile_id: string }>("select distinct profile_id from event")
    assert.deepEqual(left, [{ profile_id: "grace" }])
  })

  test("counts as theirs only what was theirs, not what retention has left of others", async () => {
    await using endpoint = await Endpoint.open()
    await using program = await Program.open()
    await program.integrate(endpoint.url())
    await program.send(about("ada", { device_id: "device-a" }))
    const other = await program.send(about("grace", { device_id: "device-g" }))
    await program.recorded(2)
    await program.tallied()
    // Gone as retention has events go, before what names them.
    for (const table of ["delivery", "own_id"]) await program.leave(`delete from ${table} where event_id = ?`, other)
    await program.leave("delete from event where id = ?", other)
    const { report } = await erase(program, "ada")
    const { events, attempts, exchanges, search_entries, leftovers } = report as unknown as Record<string, number>
    assert.deepEqual(
      { events, attempts, exchanges, search_entries, leftovers },
      { events: 1, attempts: 1, exchanges: 1, search_entries: 2, leftovers: 2 },
    )
    assert.deepEqual(await program.rows("select 1 from attempt"), [])
  })

  test("overwrites a payload where it lay in the file", { skip: engine !== "sqlite" }, async () => {
    await using program = await Program.open()
    await program.send(about("ada", { data: { note: `canary-${"x".repeat(3_000)}-payload` } }))
    await program.restart()
    const file = () => readFileSync(`${program.dataDir}/waybill.db`).includes("-payload")
    assert.ok(file())
    await erase(program, "ada")
    await program.stop()
    assert.equal(file(), false)
  })
})

test("an erasure belongs to its project, and asks for an id that events can bear", async () => {
  await using program = await Program.open()
  const { id } = await erase(program, "ada")
  const other = await program.call("POST", "/v1/projects", { name: "other" })
  const as = { authorization: `Bearer ${other.key}` }
  assert.equal((await program.ask("GET", `/v1/erasures/${id}`, undefined, as)).status, 404)
  assert.equal((await program.ask("POST", "/v1/erasures", { profile_id: "" })).status, 422)
  assert.equal((await program.ask("POST", "/v1/erasures", { profile_id: "x".repeat(257) })).status, 422)
  assert.equal((await program.ask("POST", "/v1/erasures", {})).status, 422)
})
