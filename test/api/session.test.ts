/** Sessions of people: how they begin, what they are worth, and that they end everywhere at once. */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { Browser } from "../help/browser.ts"
import { items } from "../help/items.ts"
import { join, newestChanges, PASSWORD, setUp, tokenIn } from "../help/people.ts"
import { Program } from "../help/program.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

let program: Program
let owner: Browser
before(async () => {
  program = await Program.open()
  owner = await setUp(program)
})
after(() => program[Symbol.asyncDispose]())

/** A further browser that the owner signs in with. */
async function another(): Promise<Browser> {
  const browser = new Browser(program)
  assert.equal((await browser.signIn("ada@shop.example", PASSWORD)).status, 201)
  return browser
}

async function statusOf(browser: Browser): Promise<number> {
  return (await browser.ask("GET", "/v1/session")).status
}

describe("who signs in", () => {
  test("is told who they are, what they may do and where, and gets a cookie that scripts cannot read", async () => {
    const browser = new Browser(program)
    const answer = await browser.signIn("Ada@Shop.Example", PASSWORD)
    assert.equal(answer.status, 201)
    const { person, project, scopes, projects, csrf_token } = answer.body
    assert.deepEqual([person?.email, person?.name, project?.role], ["ada@shop.example", "Ada", "owner"])
    assert.deepEqual([scopes, items(projects).length], [["admin"], 1])
    assert.match(String(csrf_token), /^[\w-]{43}$/)
    const { name, value, attributes = [] } = browser.lastSet ?? {}
    assert.equal(name, "waybill")
    assert.ok(Buffer.from(String(value), "base64url").length * 8 >= 128)
    const [expires = "", ...rest] = attributes.toSorted()
    assert.equal(Date.parse(expires.replace("expires=", "")), program.now + 30 * DAY)
    assert.deepEqual(rest, ["httponly", "path=/", "samesite=lax"])
    assert.deepEqual((await browser.call("GET", "/v1/session")).person, person)
    assert.deepEqual(await newestChanges(program, 1), ["session.created"])
  })

  test("has a session of which the database keeps the hash alone", async () => {
    const browser = await another()
    const kept = JSON.stringify(await program.rows("select * from session"))
    assert.ok(!kept.includes(String(browser.cookies.get("waybill"))))
    assert.ok(!JSON.stringify(await program.rows("select * from person")).includes(PASSWORD))
  })

  test("gets a new session, and one that the browser had is worth nothing any more", async () => {
    const victim = new Browser(program)
    victim.cookies.set("waybill", "planted-by-somebody-else-before-signing-in")
    await victim.signIn("ada@shop.example", PASSWORD)
    const first = String(victim.cookies.get("waybill"))
    assert.notEqual(first, "planted-by-somebody-else-before-signing-in")
    await victim.signIn("ada@shop.example", PASSWORD)
    assert.notEqual(victim.cookies.get("waybill"), first)
    const thief = new Browser(program)
    thief.cookies.set("waybill", first)
    assert.equal(await statusOf(thief), 401)
  })

  test("is let in with the address however it is written, and not with another password", async () => {
    const browser = new Browser(program)
    assert.equal((await browser.signIn("ADA@SHOP.EXAMPLE", PASSWORD)).status, 201)
    const refused = await new Browser(program).signIn("ada@shop.example", `${PASSWORD}!`)
    assert.deepEqual([refused.status, refused.body.code], [401, "sign_in_refused"])
    assert.equal(refused.headers.getSetCookie().length, 0)
    assert.deepEqual(await newestChanges(program, 1), ["session.refused"])
  })
})

describe("a session", () => {
  test("ends with signing out: the same cookie, sent again, is refused", async () => {
    const browser = await another()
    const cookie = `waybill=${browser.cookies.get("waybill")}`
    assert.equal((await browser.ask("DELETE", "/v1/session")).status, 204)
    assert.equal(browser.cookies.size, 0)
    const replay = await new Browser(program).ask("GET", "/v1/session", undefined, { cookie })
    assert.deepEqual([replay.status, replay.body.code], [401, "unauthorized"])
    assert.deepEqual(await newestChanges(program, 1), ["session.ended"])
    assert.equal(await statusOf(owner), 200, "the others go on")
  })

  test("ends when it was not used for twelve hours, and goes on while it is", async () => {
    const [used, idle] = [await another(), await another()]
    for (let i = 0; i < 4; i++) {
      program.turn(6 * HOUR)
      assert.equal(await statusOf(used), 200)
    }
    assert.equal(await statusOf(idle), 401)
    program.turn(12 * HOUR - 1)
    assert.equal(await statusOf(used), 200)
    program.turn(12 * HOUR)
    assert.equal(await statusOf(used), 401)
    owner = await another()
  })

  test("ends after thirty days, used or not", async () => {
    const browser = await another()
    for (let i = 0; i < 59; i++) {
      program.turn(12 * HOUR - MINUTE)
      assert.equal(await statusOf(browser), 200, String(i))
    }
    program.turn(12 * HOUR - MINUTE)
    program.turn(HOUR)
    assert.equal(await statusOf(browser), 401)
    owner = await another()
  })

  test("outlives a restart", async () => {
    const browser = await another()
    await program.restart()
    assert.equal(await statusOf(browser), 200)
  })

  test("is one of a list, from which any of them can be ended", async () => {
    const [here, there] = [await another(), await another()]
    const sessions = items((await here.call("GET", "/v1/sessions")).data)
    const [current] = sessions.filter(session => session.current)
    assert.equal(current?.id, (await here.call("GET", "/v1/session")).id)
    assert.deepEqual([current?.way, current?.address], ["password", "127.0.0.1"])
    const { id } = await there.call("GET", "/v1/session")
    assert.equal((await here.ask("DELETE", `/v1/sessions/${id}`)).status, 204)
    assert.deepEqual([await statusOf(there), await statusOf(here)], [401, 200])
    assert.equal((await here.ask("DELETE", `/v1/sessions/${id}`)).status, 404, "it is gone")
    assert.equal((await here.ask("DELETE", `/v1/sessions/${current?.id}`)).status, 204)
    assert.equal(await statusOf(here), 401)
  })

  test("ends everywhere at once where its person asks for that", async () => {
    const browsers = [await another(), await another(), await another()]
    const guest = await join(owner, program, "guest@shop.example", "viewer")
    assert.equal((await browsers[1]?.ask("DELETE", "/v1/sessions"))?.status, 204)
    assert.deepEqual(await Promise.all(browsers.map(statusOf)), [401, 401, 401])
    assert.deepEqual([await statusOf(owner), await statusOf(guest)], [401, 200], "of this person alone")
    assert.deepEqual(await newestChanges(program, 1), ["session.all_ended"])
    owner = await another()
  })

  test("of which nothing is left is refused, whatever stands in the cookie", async () => {
    for (const value of ["x", "a".repeat(3_000), "%00", '"', "' or 1=1 --"]) {
      const answer = await new Browser(program).ask("GET", "/v1/session", undefined, {
        cookie: `waybill=${encodeURIComponent(value)}`,
      })
      assert.equal(answer.status, 401, value)
    }
    assert.equal((await new Browser(program).ask("GET", "/v1/session")).status, 401)
  })
})

describe("a password", () => {
  test("is changed with the current one: other sessions end, this one goes on with a new cookie", async () => {
    const guest = await join(owner, program, "changes@shop.example", "viewer")
    const elsewhere = new Browser(program)
    await elsewhere.signIn("changes@shop.example", PASSWORD)
    const before = guest.cookies.get("waybill")
    const next = "a longer one than before"
    const wrong = { current_password: "not it at all", new_password: next }
    assert.equal((await guest.ask("PUT", "/v1/session/password", wrong)).status, 401)
    const missing = await guest.ask("PUT", "/v1/session/password", { new_password: next })
    assert.deepEqual([missing.status, missing.body.errors?.[0]?.pointer], [422, "/current_password"])
    await guest.call("PUT", "/v1/session/password", { current_password: PASSWORD, new_password: next })
    assert.deepEqual(await newestChanges(program, 1), ["person.password_changed"])
    assert.notEqual(guest.cookies.get("waybill"), before)
    assert.deepEqual([await statusOf(guest), await statusOf(elsewhere)], [200, 401])
    assert.equal((await elsewhere.signIn("changes@shop.example", PASSWORD)).status, 401)
    assert.equal((await elsewhere.signIn("changes@shop.example", next)).status, 201)
  })

  test("has twelve characters or more, of any kind, and may be typed on any keyboard", async () => {
    const { url } = await owner.call("POST", "/v1/invitations", { email: "kind@shop.example", role: "viewer" })
    const accept = (password: string) =>
      new Browser(program).ask("POST", "/v1/invitations/accept", { token: tokenIn(url), name: "K", password })
    const short = await accept("11 letters!")
    assert.deepEqual([short.status, short.body.errors?.[0]?.pointer], [422, "/password"])
    assert.match(short.text, /at least 12 characters/)
    assert.equal((await accept("ééééé aaaaaa")).status, 201)
    const decomposed = `${"e\u0301".repeat(5)} aaaaaa`
    assert.equal((await new Browser(program).signIn("kind@shop.example", decomposed)).status, 201)
  })
})

test("a person goes on in another of their projects with a new cookie, and in no project of others", async () => {
  const browser = await another()
  const made = await browser.call("POST", "/v1/projects", { name: "second" })
  const before = { cookie: browser.cookies.get("waybill"), csrf: browser.csrf }
  const moved = await browser.call("PUT", "/v1/session/project", { project: made.id })
  assert.deepEqual([moved.project?.id, moved.project?.role, moved.project?.name], [made.id, "owner", "second"])
  assert.notEqual(browser.cookies.get("waybill"), before.cookie)
  assert.notEqual(browser.csrf, before.csrf)
  const [shown] = items((await browser.call("GET", "/v1/projects")).data)
  assert.equal(shown?.id, made.id)
  assert.equal((await program.ask("GET", "/v1/people")).status, 200)
  const guest = await join(owner, program, "stranger@shop.example", "admin")
  const refused = await guest.ask("PUT", "/v1/session/project", { project: made.id })
  assert.deepEqual([refused.status, refused.body.code], [404, "not_found"])
})

test("over https the cookie is one that no other host can set, and goes over https alone", async () => {
  await using secure = await Program.open({ publicUrl: "https://hub.example" })
  const browser = await setUp(secure)
  const { name, attributes = [] } = browser.lastSet ?? {}
  assert.equal(name, "__Host-waybill")
  assert.deepEqual(attributes.filter(each => !each.startsWith("expires=")).toSorted(), [
    "httponly",
    "path=/",
    "samesite=lax",
    "secure",
  ])
  assert.equal(await statusOf(browser), 200)
  const [token] = [...browser.cookies.values()]
  const asPlain = await browser.ask("GET", "/v1/session", undefined, { cookie: `waybill=${token}` })
  assert.equal(asPlain.status, 401, "another name is not looked at")
})

test("routes for people refuse keys, and a request with a key is not looked at for a cookie", async () => {
  const withKey = await program.ask("GET", "/v1/session")
  assert.deepEqual([withKey.status, withKey.body.code], [403, "forbidden"])
  const browser = await another()
  const authorization = `Bearer ${program.key}`
  const both = await browser.ask("GET", "/v1/session", undefined, { authorization })
  assert.equal(both.status, 403)
  const wrongKey = await browser.ask("GET", "/v1/projects", undefined, { authorization: "Bearer wb_live_nonsense" })
  assert.equal(wrongKey.status, 401)
  const headers = { authorization, "sec-fetch-site": "cross-site", "x-csrf-token": "none" }
  assert.equal((await browser.ask("POST", "/v1/apps", { name: "by.key" }, headers)).status, 201, "keys need no token")
})
