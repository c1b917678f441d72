/** Configuration calls that come again with their Idempotency-Key: one effect, the same answer. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { type Answer, MORNING, Program } from "../help/program.ts"

const DAY_MS = 86_400_000

/** What can be repeated, with a body and where its effects are counted. */
const repeatable = [
  ["/v1/integrations", "integration"],
  ["/v1/api-keys", "api_key"],
  ["/v1/apps", "app"],
  ["/v1/projects", "project"],
  ["/v1/recoveries", "recovery"],
] as const

async function bodyFor(program: Program, path: string, url = "http://127.0.0.1:9/"): Promise<object> {
  if (path === "/v1/integrations") return { name: "a", config: { production: { url }, verification: "none" } }
  if (path !== "/v1/recoveries") return { name: "thing" }
  return { from: new Date(MORNING - DAY_MS).toISOString(), integrations: await program.integrate(url) }
}

const withKey = (key: string) => ({ "idempotency-key": key })
const replayed = ({ headers }: Answer) => headers.get("idempotency-replayed")
const count = async (program: Program, table: string) => (await program.rows(`select id from ${table}`)).length

describe("a configuration call with an Idempotency-Key", () => {
  test("is carried out once, and its repeats are answered the same, secrets included", async () => {
    await using program = await Program.open()
    for (const [path, table] of repeatable) {
      const body = await bodyFor(program, path)
      const first = await program.ask("POST", path, body, withKey("k-1"))
      assert.deepEqual([first.status, replayed(first)], [201, null], path)
      const made = await count(program, table)
      // In quotation marks, as the draft has it, it is the same key.
      for (const key of ["k-1", '"k-1"']) {
        const again = await program.ask("POST", path, body, withKey(key))
        assert.deepEqual([again.status, replayed(again), again.text], [201, "true", first.text], path)
      }
      assert.equal(await count(program, table), made, path)
      const other = await program.ask("POST", path, body, withKey("k-2"))
      // A name that is taken gives the app that has it.
      if (path !== "/v1/apps") assert.notEqual(other.body.id, first.body.id, path)
    }
  })

  test("has one effect, and one entry in the audit log, however many come at a time", async () => {
    await using program = await Program.open()
    for (const [path, table] of repeatable) {
      const body = await bodyFor(program, path)
      const before = await count(program, table)
      const changes = await count(program, "change")
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => program.ask("POST", path, body, withKey("at-once"))),
      )
      assert.equal((await count(program, table)) - before, 1, path)
      assert.equal((await count(program, "change")) - changes, 1, path)
      const told = new Set(answers.filter(({ status }) => status === 201).map(({ text }) => text))
      assert.equal(told.size, 1, path)
      for (const { status, body: problem } of answers.filter(answer => answer.status !== 201)) {
        assert.deepEqual([status, problem.code], [409, "still_running"])
      }
    }
  })

  test("is refused while the first is still running, and for another request", async () => {
    await using program = await Program.open()
    const go = Promise.withResolvers<void>()
    await using slow = await Endpoint.open({ after: go.promise })
    const body = { name: "slow", config: { production: { url: slow.url() }, verification: "json" } }
    const first = program.ask("POST", "/v1/integrations", body, withKey("slow"))
    await slow.received(1)
    const early = await program.ask("POST", "/v1/integrations", body, withKey("slow"))
    assert.deepEqual([early.status, early.body.code, early.headers.get("retry-after")], [409, "still_running", "1"])
    go.resolve()
    const answer = await first
    const repeat = await program.ask("POST", "/v1/integrations", body, withKey("slow"))
    assert.deepEqual([repeat.status, repeat.text], [201, answer.text], "with the verdict of its verification")
    assert.equal(repeat.body.verification?.production?.state, "verified")
    const other = await program.ask("POST", "/v1/integrations", { ...body, name: "other" }, withKey("slow"))
    assert.deepEqual([other.status, other.body.code], [422, "idempotency_mismatch"])
  })

  test("is known by its project and its route", async () => {
    await using program = await Program.open()
    const { key } = await program.call("POST", "/v1/projects", { name: "other" })
    const mine = await program.ask("POST", "/v1/apps", { name: "ios" }, withKey("same"))
    const theirs = await program.ask(
      "POST",
      "/v1/apps",
      { name: "ios" },
      { ...withKey("same"), authorization: `Bearer ${key}` },
    )
    assert.deepEqual([theirs.status, replayed(theirs)], [201, null])
    assert.notEqual(theirs.body.id, mine.body.id)
    const made = await program.ask("POST", "/v1/api-keys", { name: "ios", scopes: ["admin"] }, withKey("same"))
    assert.equal(replayed(made), null)
    // A colleague who hits upon the same key is not shown what was shown to me.
    const asColleague = { ...withKey("same"), authorization: `Bearer ${made.body.key}` }
    const taken = await program.ask("POST", "/v1/apps", { name: "ios" }, asColleague)
    assert.deepEqual([taken.status, taken.body.code], [422, "idempotency_mismatch"])
  })

  test("is answered again after a restart, and after a crash before the answer was out", async () => {
    await using program = await Program.open()
    const body = { name: "CRM", config: { production: { url: "http://127.0.0.1:9/" }, verification: "none" } }
    const first = await program.ask("POST", "/v1/integrations", body, withKey("kept"))
    // As a crash would have left it while the endpoint was being verified.
    await program.leave(`update kept_answer set running_until = ${program.now}`)
    await program.restart()
    const again = await program.ask("POST", "/v1/integrations", body, withKey("kept"))
    assert.deepEqual([again.status, again.body.id, again.body.secret], [201, first.body.id, first.body.secret])
    assert.equal(items((await program.call("GET", "/v1/integrations")).data).length, 1)
  })

  test("is kept sealed, and forgotten after 24 hours", async () => {
    await using program = await Program.open()
    const first = await program.ask("POST", "/v1/api-keys", { name: "one" }, withKey("day"))
    const [kept] = await program.rows<{ sealed: string }>("select sealed from kept_answer")
    assert.ok(kept?.sealed.startsWith("v"))
    assert.ok(!kept?.sealed.includes(String(first.body.key)))
    program.turn(DAY_MS - 1)
    assert.equal(replayed(await program.ask("POST", "/v1/api-keys", { name: "one" }, withKey("day"))), "true")
    program.turn(1)
    const later = await program.ask("POST", "/v1/api-keys", { name: "one" }, withKey("day"))
    assert.deepEqual([later.status, replayed(later)], [201, null])
    assert.notEqual(later.body.id, first.body.id)
  })

  test("that was refused may be sent again, mended, with the same key", async () => {
    await using program = await Program.open()
    assert.equal((await program.ask("POST", "/v1/api-keys", { name: "" }, withKey("mend"))).status, 422)
    assert.equal((await program.ask("POST", "/v1/api-keys", { name: "good" }, withKey("mend"))).status, 201)
    for (const key of ["x".repeat(256), '"open', ""]) {
      const answer = await program.ask("POST", "/v1/apps", { name: "a" }, withKey(key))
      assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [400, "header/idempotency-key"], key)
    }
  })
})
