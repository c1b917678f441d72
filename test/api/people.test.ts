/** People of a project: the first owner, invitations, roles, and what becomes of sessions when they change. */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { Browser } from "../help/browser.ts"
import { items } from "../help/items.ts"
import { join, newestChanges, PASSWORD, setUp, tokenIn } from "../help/people.ts"
import { type Json, Program } from "../help/program.ts"

const DAY = 86_400_000

let program: Program
let owner: Browser
before(async () => {
  program = await Program.open()
  owner = await setUp(program)
})
after(() => program[Symbol.asyncDispose]())

async function personNamed(email: string): Promise<Json | undefined> {
  return items((await owner.call("GET", "/v1/people")).data).find(person => String(person.email) === email)
}

function accept(token: unknown, more: object = {}) {
  const body = { token, name: "Somebody", password: PASSWORD, ...more }
  return new Browser(program).ask("POST", "/v1/invitations/accept", body)
}

describe("a set-up link", () => {
  test("makes one owner, and is of no more use after", async () => {
    await using fresh = await Program.open()
    const links = await Promise.all([1, 2].map(() => fresh.call("POST", "/v1/setup-link")))
    const who = { email: "ada@shop.example", name: "Ada", password: PASSWORD }
    const answers = await Promise.all(
      [...links, ...links].map(({ url }) =>
        new Browser(fresh).ask("POST", "/v1/setup", { token: tokenIn(url), ...who }),
      ),
    )
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [201, 409, 409, 409])
    const rows = await fresh.rows("select role from membership")
    assert.deepEqual(rows, [{ role: "owner" }])
    const further = await fresh.ask("POST", "/v1/setup-link")
    assert.deepEqual([further.status, further.body.code], [409, "conflict"])
  })

  test("does not open with another token, and nothing without one", async () => {
    const who = { email: "x@shop.example", name: "X", password: PASSWORD }
    const unknown = await new Browser(program).ask("POST", "/v1/setup", { token: "a".repeat(43), ...who })
    assert.deepEqual([unknown.status, unknown.body.code], [404, "not_found"])
    assert.equal((await new Browser(program).ask("POST", "/v1/setup", who)).status, 422)
    assert.equal(await personNamed("x@shop.example"), undefined)
  })

  test("of a further project takes a person who is here already, with their own password", async () => {
    const { key } = await program.call("POST", "/v1/projects", { name: "by key" })
    const made = await program.ask("POST", "/v1/setup-link", undefined, { authorization: `Bearer ${key}` })
    const token = tokenIn(made.body.url)
    const who = { token, email: "ada@shop.example", name: "ignored" }
    const browser = new Browser(program)
    assert.equal((await browser.ask("POST", "/v1/setup", { ...who, password: "some other password" })).status, 401)
    const { person, projects } = await browser.call("POST", "/v1/setup", { ...who, password: PASSWORD })
    assert.deepEqual([person?.name, items(projects).length], ["Ada", 2])
  })
})

describe("an invitation", () => {
  test("is shown once, in the answer that makes it, and lets one person in", async () => {
    const made = await owner.ask("POST", "/v1/invitations", { email: "dev@shop.example", role: "developer" })
    const { id, url, state, mailed, role } = made.body
    assert.deepEqual([made.status, state, mailed, role], [201, "open", false, "developer"])
    const token = tokenIn(url)
    assert.ok(!JSON.stringify(await owner.call("GET", "/v1/invitations")).includes(token))
    assert.ok(!JSON.stringify(await program.rows("select * from invitation")).includes(token))
    const accepted = await accept(token, { name: "Dev" })
    assert.deepEqual([accepted.status, accepted.body.project?.role], [201, "developer"])
    assert.deepEqual(await newestChanges(program, 2), ["invitation.created", "invitation.accepted"])
    const again = await accept(token)
    assert.deepEqual([again.status, again.body.code], [409, "conflict"])
    const [listed] = items((await owner.call("GET", "/v1/invitations")).data)
    assert.deepEqual([listed?.id, listed?.state], [id, "used"])
    assert.equal((await personNamed("dev@shop.example"))?.name, "Dev")
  })

  test("lets in one of many who come with it at once", async () => {
    const { url } = await owner.call("POST", "/v1/invitations", { email: "race@shop.example", role: "viewer" })
    const answers = await Promise.all(Array.from({ length: 6 }, () => accept(tokenIn(url))))
    assert.equal(answers.filter(({ status }) => status === 201).length, 1)
  })

  test("is of no use when it was revoked, or after seven days", async () => {
    const [revoked, late] = await Promise.all(
      ["gone@shop.example", "late@shop.example"].map(email =>
        owner.call("POST", "/v1/invitations", { email, role: "viewer" }),
      ),
    )
    const answer = await owner.ask("DELETE", `/v1/invitations/${revoked?.id}`)
    assert.deepEqual([answer.status, answer.body.state], [200, "revoked"])
    assert.equal((await accept(tokenIn(revoked?.url))).status, 409)
    program.turn(7 * DAY)
    const expired = await accept(tokenIn(late?.url))
    assert.equal(expired.status, 409)
    assert.match(String(expired.body.detail), /its time is over/)
    assert.equal((await accept("b".repeat(43))).status, 404)
    owner = new Browser(program)
    await owner.signIn("ada@shop.example", PASSWORD)
    const states = items((await owner.call("GET", "/v1/invitations")).data).map(({ state }) => String(state))
    assert.deepEqual(states.slice(0, 2).toSorted(), ["expired", "revoked"])
  })

  test("says what a new person lacks, and takes one who is here already by their own password", async () => {
    const { url } = await owner.call("POST", "/v1/invitations", { email: "new@shop.example", role: "viewer" })
    const nameless = await accept(tokenIn(url), { name: undefined })
    assert.deepEqual([nameless.status, nameless.body.errors?.[0]?.pointer], [422, "/name"])
    assert.equal((await accept(tokenIn(url))).status, 201)
    const { id } = await owner.call("POST", "/v1/projects", { name: "other" })
    await owner.call("PUT", "/v1/session/project", { project: id })
    const further = await owner.call("POST", "/v1/invitations", { email: "NEW@shop.example", role: "admin" })
    assert.equal((await accept(tokenIn(further.url), { password: "a guess of some sort" })).status, 401)
    const accepted = await accept(tokenIn(further.url), { name: undefined })
    assert.deepEqual([accepted.status, items(accepted.body.projects).length], [201, 2])
    const first = items((await owner.call("GET", "/v1/session")).projects)[0]
    await owner.call("PUT", "/v1/session/project", { project: first?.id })
  })

  test("is refused for who belongs to the project, for no address, no role, and an unknown field", async () => {
    for (const [body, status] of [
      [{ email: "dev@shop.example", role: "viewer" }, 409],
      [{ email: "nobody", role: "viewer" }, 422],
      [{ email: "a@shop.example", role: "king" }, 422],
      [{ email: "a@shop.example" }, 422],
      [{ email: "a@shop.example", role: "viewer", project: "prj_00000000001" }, 422],
    ] as const) {
      assert.equal((await owner.ask("POST", "/v1/invitations", body)).status, status, JSON.stringify(body))
    }
  })
})

describe("a role", () => {
  const can: Readonly<Record<string, readonly number[]>> = {
    owner: [200, 200, 200, 200],
    admin: [200, 200, 200, 200],
    developer: [200, 200, 403, 403],
    support: [200, 403, 403, 403],
    viewer: [200, 403, 403, 403],
  }
  for (const [role, statuses] of Object.entries(can)) {
    test(`allows what it says: ${role}`, async () => {
      const browser = await join(owner, program, `${role}@roles.example`, role)
      const found = [
        await browser.ask("GET", "/v1/events"),
        await browser.ask("PUT", "/v1/event-types/role.test", {}),
        await browser.ask("GET", "/v1/api-keys"),
        await browser.ask("GET", "/v1/people"),
      ].map(({ status }) => (status === 201 ? 200 : status))
      assert.deepEqual(found, statuses)
    })
  }

  test("changes at once: sessions of before end, and the next have the new one", async () => {
    const browser = await join(owner, program, "moves@shop.example", "viewer")
    const person = await personNamed("moves@shop.example")
    const changed = await owner.ask("PATCH", `/v1/people/${person?.id}`, { role: "admin" })
    assert.deepEqual([changed.status, changed.body.role], [200, "admin"])
    assert.deepEqual(await newestChanges(program, 1), ["person.role_changed"])
    assert.equal((await browser.ask("GET", "/v1/session")).status, 401)
    assert.equal((await browser.signIn("moves@shop.example", PASSWORD)).body.project?.role, "admin")
  })

  test("of one's own changes with a new cookie", async () => {
    const browser = await join(owner, program, "steps.down@shop.example", "admin")
    const before = browser.cookies.get("waybill")
    const person = await personNamed("steps.down@shop.example")
    assert.equal((await browser.ask("PATCH", `/v1/people/${person?.id}`, { role: "viewer" })).status, 200)
    assert.notEqual(browser.cookies.get("waybill"), before)
    assert.equal((await browser.call("GET", "/v1/session")).project?.role, "viewer")
    assert.equal((await browser.ask("GET", "/v1/people")).status, 403)
  })

  test("of an owner is an owner's to give and to take, not an admin's and not a key's", async () => {
    const admin = await join(owner, program, "climbs@shop.example", "admin")
    const own = await personNamed("climbs@shop.example")
    const ada = await personNamed("ada@shop.example")
    const byKey = program.ask.bind(program)
    for (const ask of [admin.ask.bind(admin), byKey]) {
      assert.equal((await ask("PATCH", `/v1/people/${own?.id}`, { role: "owner" })).status, 403)
      assert.equal((await ask("PATCH", `/v1/people/${ada?.id}`, { role: "viewer" })).status, 403)
      assert.equal((await ask("DELETE", `/v1/people/${ada?.id}`)).status, 403)
      assert.equal((await ask("POST", "/v1/invitations", { email: "q@shop.example", role: "owner" })).status, 403)
    }
    assert.equal((await owner.ask("GET", "/v1/session")).status, 200)
  })
})

describe("the last owner", () => {
  test("stays, also where two of them leave at once", async () => {
    await using fresh = await Program.open()
    const first = await setUp(fresh)
    const { person } = await first.call("GET", "/v1/session")
    assert.equal((await first.ask("DELETE", `/v1/people/${person?.id}`)).status, 409)
    assert.equal((await first.ask("PATCH", `/v1/people/${person?.id}`, { role: "admin" })).status, 409)
    const second = await join(first, fresh, "bob@shop.example", "owner")
    const other = (await second.call("GET", "/v1/session")).person
    const answers = await Promise.all([
      first.ask("DELETE", `/v1/people/${other?.id}`),
      second.ask("PATCH", `/v1/people/${person?.id}`, { role: "viewer" }),
    ])
    assert.equal(
      answers.filter(({ status }) => status < 300).length,
      1,
      JSON.stringify(answers.map(({ body }) => body)),
    )
    assert.equal((await fresh.rows("select 1 from membership where role = 'owner'")).length, 1)
  })
})

describe("a person who is taken out of a project", () => {
  test("has no session there from that answer on, and cannot sign in without another project", async () => {
    const browser = await join(owner, program, "leaves@shop.example", "admin")
    const person = await personNamed("leaves@shop.example")
    assert.equal((await owner.ask("DELETE", `/v1/people/${person?.id}`)).status, 204)
    assert.deepEqual(await newestChanges(program, 1), ["person.removed"])
    assert.equal((await browser.ask("GET", "/v1/session")).status, 401)
    const refused = await browser.signIn("leaves@shop.example", PASSWORD)
    assert.deepEqual([refused.status, refused.body.code], [401, "sign_in_refused"])
    assert.match(String(refused.body.detail), /no project any more/)
    assert.equal((await owner.ask("DELETE", `/v1/people/${person?.id}`)).status, 404)
  })

  test("stays what they are in others, which see nothing of them but their own", async () => {
    const { id: project } = await owner.call("POST", "/v1/projects", { name: "apart" })
    const here = await personNamed("dev@shop.example")
    await owner.call("PUT", "/v1/session/project", { project })
    const { data } = await owner.call("GET", "/v1/people")
    assert.deepEqual(
      items(data).map(({ email }) => String(email)),
      ["ada@shop.example"],
    )
    assert.equal((await owner.ask("PATCH", `/v1/people/${here?.id}`, { role: "viewer" })).status, 404)
    assert.equal((await owner.ask("DELETE", `/v1/people/${here?.id}`)).status, 404)
  })
})

test("what a person does is told under their name", async () => {
  const browser = new Browser(program)
  const { person } = (await browser.signIn("ada@shop.example", PASSWORD)).body
  await browser.call("POST", "/v1/apps", { name: "by.person" })
  const [change] = await program.rows("select by_kind, by_id, from_address from change order by id desc limit 1")
  assert.deepEqual(change, { by_kind: "person", by_id: person?.id, from_address: "127.0.0.1" })
  assert.equal((await browser.ask("POST", "/v1/events", { type: "a.b" })).status, 202)
})
