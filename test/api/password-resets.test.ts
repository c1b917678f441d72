/** A new password by mail: for its person alone, once, soon, and without telling anybody which addresses are known. */
import assert from "node:assert/strict"
import { after, before, beforeEach, describe, test } from "node:test"
import { Browser } from "../help/browser.ts"
import { items } from "../help/items.ts"
import { bodyOf, header, MailServer } from "../help/mail-server.ts"
import { join, newestChanges, PASSWORD, setUp, tokenIn } from "../help/people.ts"
import { type Answer, Program } from "../help/program.ts"

const MINUTE = 60_000
const NEXT = "another horse battery"

let server: MailServer
let program: Program
let owner: Browser
before(async () => {
  server = await MailServer.open()
  const settings = { smtpUrl: `smtp://127.0.0.1:${server.port}` }
  program = await Program.open({ publicUrl: "https://hub.example", settings })
  owner = await setUp(program)
})
after(() => program[Symbol.asyncDispose]())
after(() => server[Symbol.asyncDispose]())
beforeEach(() => program.turn(16 * MINUTE))

let people = 0

/** A new person of the project, without any mail of before. */
async function somebody(): Promise<{ email: string; browser: Browser }> {
  const email = `person${people++}@shop.example`
  const browser = await join(owner, program, email, "viewer")
  await program.until("the invitation has come", () => server.mails.some(mail => mail.to.includes(email)))
  server.mails.length = 0
  return { email, browser }
}

const ask = (email: string, headers = {}): Promise<Answer> =>
  new Browser(program).ask("POST", "/v1/password-resets", { email }, headers)

const use = (token: string, password = NEXT): Promise<Answer> =>
  new Browser(program).ask("POST", "/v1/password-resets/use", { token, new_password: password })

/** The token of the mail that comes next. */
async function mailed(email: string): Promise<string> {
  await program.until("the mail has come", () => server.mails.length > 0)
  const mail = server.mails.shift()
  assert.ok(mail)
  assert.deepEqual(mail.to, [email])
  assert.equal(header(mail, "subject"), "A new password for your Waybill account")
  const [link = ""] = /https:\/\/hub\.example\/password-reset\?token=[\w-]+/.exec(bodyOf(mail)) ?? []
  return tokenIn(link)
}

describe("whoever has forgotten their password", () => {
  test("gets a link by mail, chooses another one, and is signed out everywhere", async () => {
    const { email, browser } = await somebody()
    const asked = await ask(email.toUpperCase())
    assert.equal(asked.status, 202)
    const token = await mailed(email)
    const kept = [await program.rows("select * from password_reset"), await program.rows("select * from job")]
    assert.ok(!JSON.stringify(kept).includes(token), "its token lies nowhere in clear")
    assert.equal((await browser.ask("GET", "/v1/session")).status, 200, "asking alone changes nothing")
    assert.equal((await use(token)).status, 204)
    assert.equal((await browser.ask("GET", "/v1/session")).status, 401)
    assert.equal((await new Browser(program).signIn(email, PASSWORD)).status, 401)
    assert.equal((await new Browser(program).signIn(email, NEXT)).status, 201)
    assert.deepEqual((await newestChanges(program, 4)).slice(0, 2), [
      "person.password_reset_asked",
      "person.password_reset",
    ])
    const { data } = await owner.call("GET", "/v1/audit-log?kind=person.password_reset_asked")
    assert.deepEqual([items(data)[0]?.by?.id, items(data)[0]?.from?.address], ["password_reset", "127.0.0.1"])
  })

  test("comes in again also after too many tries", async () => {
    const { email } = await somebody()
    for (let i = 0; i < 11; i++) await new Browser(program).signIn(email, `guess number ${i}`)
    assert.equal((await new Browser(program).signIn(email, PASSWORD)).status, 429)
    await ask(email)
    assert.equal((await use(await mailed(email))).status, 204)
    assert.equal((await new Browser(program).signIn(email, NEXT)).status, 201)
  })

  test("uses a link once, within half an hour, and not after the password has changed", async () => {
    const { email, browser } = await somebody()
    await ask(email)
    const [first, answers] = [await mailed(email), [] as number[]]
    await ask(email)
    const second = await mailed(email)
    for (const { status } of await Promise.all([use(first), use(first), use(first)])) answers.push(status)
    assert.equal(answers.filter(status => status === 204).length, 1, String(answers))
    assert.equal((await use(first)).status, 404)
    assert.equal((await use(second)).status, 404, "one of before went with it")
    await ask(email)
    const third = await mailed(email)
    program.turn(30 * MINUTE)
    const late = await use(third)
    assert.deepEqual([late.status, late.body.code], [409, "conflict"])
    await ask(email)
    const fourth = await mailed(email)
    await browser.signIn(email, NEXT)
    const change = { current_password: NEXT, new_password: "a third horse battery" }
    assert.equal((await browser.ask("PUT", "/v1/session/password", change)).status, 200)
    assert.equal((await use(fourth)).status, 404)
  })

  test("is told of a password that is too short before the link is used up", async () => {
    const { email } = await somebody()
    await ask(email)
    const token = await mailed(email)
    assert.equal((await use(token, "short")).status, 422)
    assert.equal((await use(token)).status, 204)
  })
})

describe("whoever asks for an address that is not theirs", () => {
  test("learns nothing of who is known: the answer, the writing and the limit are the same", async () => {
    const { email } = await somebody()
    const answers: unknown[] = []
    for (const address of [email, "nobody@shop.example"]) {
      const told: unknown[] = []
      for (let i = 0; i < 4; i++) {
        const { status, body, headers } = await ask(address)
        told.push([status, body.message ?? body.detail, headers.get("set-cookie"), headers.get("retry-after")])
      }
      answers.push(told)
    }
    assert.deepEqual(answers[0], answers[1])
    assert.deepEqual(
      (answers[0] as [number][]).map(([status]) => status),
      [202, 202, 202, 429],
    )
    const [row] = await program.rows<{ n: number }>("select count(*) as n from password_reset where person_id = 0")
    assert.equal(row?.n, 3)
    await program.until("the mails have come", () => server.mails.length === 3)
    assert.ok(server.mails.every(mail => mail.to.includes(email)))
    assert.equal((await ask("NOBODY@shop.example")).status, 429)
  })

  test("opens nothing with a token that was never sent, and does not guess many", async () => {
    const limited = { "x-forwarded-for": "203.0.113.9" }
    const unknown = await use("a".repeat(43))
    assert.deepEqual([unknown.status, unknown.body.code], [404, "not_found"])
    const statuses = new Set<number>()
    for (let i = 0; i < 50; i++) statuses.add((await use(`guess ${i}`)).status)
    assert.ok(statuses.has(429))
    assert.equal((await ask("nobody@shop.example", limited)).status, 429, "no proxy is trusted here")
  })

  test("has no browser do it from another site's page", async () => {
    const answer = await ask("ada@shop.example", { "sec-fetch-site": "cross-site" })
    assert.deepEqual([answer.status, answer.body.code], [403, "cross_site"])
  })
})

test("nobody gets a link who has no password, was switched off or belongs to no project", async () => {
  const [elsewhere, off, gone] = [await somebody(), await somebody(), await somebody()]
  await program.leave(`update person set password = null where email = '${elsewhere.email}'`)
  await program.leave(`update person set disabled_at = 1 where email = '${off.email}'`)
  await program.leave(`delete from membership where person_id = (select id from person where email = '${gone.email}')`)
  for (const { email } of [elsewhere, off, gone]) assert.equal((await ask(email)).status, 202)
  const rows = await program.rows("select 1 from job where kind = 'mail' and state <> 'done'")
  assert.deepEqual([rows, server.mails], [[], []])
})

test("where mail is not set up that is said, and the sign-in says so too", async () => {
  assert.equal((await new Browser(program).call("GET", "/v1/sign-in")).password_reset, true)
  await using plain = await Program.open()
  const answer = await new Browser(plain).ask("POST", "/v1/password-resets", { email: "ada@shop.example" })
  assert.equal(answer.status, 404)
  assert.match(String(answer.body.detail), /waybill people reset/)
  assert.equal((await new Browser(plain).call("GET", "/v1/sign-in")).password_reset, false)
})
