/** Changing who works in a project: by who has seen the last state, once however often it is asked for, and told once. */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import type { Browser } from "../help/browser.ts"
import { items } from "../help/items.ts"
import { join, setUp } from "../help/people.ts"
import { type Answer, Program } from "../help/program.ts"

let program: Program
let owner: Browser
before(async () => {
  program = await Program.open()
  owner = await setUp(program)
})
after(() => program[Symbol.asyncDispose]())

const etagOf = ({ headers }: Answer): string => headers.get("etag") ?? ""
const changeCount = async (): Promise<number> => (await program.rows("select id from change")).length

async function memberPath(email: string): Promise<string> {
  await join(owner, program, email, "viewer")
  const found = items((await owner.call("GET", "/v1/people")).data).find(person => String(person.email) === email)
  return `/v1/people/${found?.id}`
}

describe("a person", () => {
  test("is made something else, and taken out, by who has read what they are", async () => {
    const path = await memberPath("edited@shop.example")
    const read = etagOf(await owner.ask("GET", path))
    assert.equal((await owner.ask("GET", path, undefined, { "if-none-match": read })).status, 304)
    const first = await owner.ask("PATCH", path, { role: "support" }, { "if-match": read })
    assert.deepEqual([first.status, first.body.role], [200, "support"])
    const second = await owner.ask("PATCH", path, { role: "admin" }, { "if-match": read })
    assert.deepEqual([second.status, second.body.code], [412, "stale"])
    const stale = await owner.ask("DELETE", path, undefined, { "if-match": read })
    assert.equal(stale.status, 412)
    assert.equal((await owner.call("GET", path)).role, "support")
    assert.equal((await owner.ask("DELETE", path, undefined, { "if-match": etagOf(first) })).status, 204)
    assert.equal((await owner.ask("GET", path)).status, 404)
  })

  test("is not stale because they were seen meanwhile", async () => {
    const browser = await join(owner, program, "seen@shop.example", "viewer")
    const path = `/v1/people/${(await browser.call("GET", "/v1/session")).person?.id}`
    const read = etagOf(await owner.ask("GET", path))
    program.turn(120_000)
    await browser.call("GET", "/v1/session")
    assert.notEqual(etagOf(await owner.ask("GET", path)), read)
    assert.equal((await owner.ask("PATCH", path, { role: "support" }, { "if-match": read })).status, 200)
  })

  test("stays signed in, and out of the audit log, where the role is the one that they have", async () => {
    const browser = await join(owner, program, "same@shop.example", "viewer")
    const path = `/v1/people/${(await browser.call("GET", "/v1/session")).person?.id}`
    const before = await changeCount()
    assert.equal((await owner.ask("PATCH", path, { role: "viewer" })).status, 200)
    assert.equal(await changeCount(), before)
    assert.equal((await browser.ask("GET", "/v1/session")).status, 200)
  })
})

describe("an invitation", () => {
  test("is made once, however often the same request comes, and its link is told again", async () => {
    const again = { "idempotency-key": "one-invitation" }
    const body = { email: "once@shop.example", role: "viewer" }
    const answers: Answer[] = []
    for (let i = 0; i < 3; i++) answers.push(await owner.ask("POST", "/v1/invitations", body, again))
    assert.deepEqual(
      answers.map(({ status, headers }) => [status, headers.get("idempotency-replayed")]),
      [
        [201, null],
        [201, "true"],
        [201, "true"],
      ],
    )
    assert.equal(new Set(answers.map(({ body: { url } }) => String(url))).size, 1)
    const rows = await program.rows("select id from invitation where email = 'once@shop.example'")
    assert.equal(rows.length, 1)
    const other = await owner.ask("POST", "/v1/invitations", { ...body, role: "admin" }, again)
    assert.deepEqual([other.status, other.body.code], [422, "idempotency_mismatch"])
    const byKey = await program.ask("POST", "/v1/invitations", body, again)
    assert.deepEqual([byKey.status, byKey.body.url], [422, undefined], "what was shown to one is shown to nobody else")
  })

  test("is revoked by who has read it as it is, and told of once", async () => {
    const made = await owner.call("POST", "/v1/invitations", { email: "revoked@shop.example", role: "viewer" })
    const path = `/v1/invitations/${made.id}`
    const read = await owner.ask("GET", path)
    assert.ok(!read.text.includes("token"))
    assert.equal((await owner.ask("DELETE", path, undefined, { "if-match": '"another"' })).status, 412)
    assert.equal((await owner.ask("DELETE", path, undefined, { "if-match": etagOf(read) })).status, 200)
    const before = await changeCount()
    assert.equal((await owner.ask("DELETE", path)).body.state, "revoked")
    assert.equal(await changeCount(), before)
    assert.equal((await owner.ask("DELETE", path, undefined, { "if-match": etagOf(read) })).status, 412)
  })
})

test("a key that is revoked once more leaves no second entry in the audit log", async () => {
  const { id } = await program.call("POST", "/v1/api-keys", { name: "gone" })
  await program.call("DELETE", `/v1/api-keys/${id}`)
  const before = await changeCount()
  await program.call("DELETE", `/v1/api-keys/${id}`)
  assert.equal(await changeCount(), before)
})
