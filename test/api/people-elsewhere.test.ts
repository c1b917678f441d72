/** What reaches people and their sessions past the API: mail and streams. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Browser } from "../help/browser.ts"
import { bodyOf, header, MailServer } from "../help/mail-server.ts"
import { PASSWORD, setUp, tokenIn } from "../help/people.ts"
import { Program } from "../help/program.ts"

test("an invitation goes to its address by mail, with the link, and its token lies nowhere in clear", async () => {
  await using server = await MailServer.open()
  await using program = await Program.open({
    publicUrl: "https://hub.example",
    settings: { smtpUrl: `smtp://127.0.0.1:${server.port}` },
  })
  const owner = await setUp(program)
  const made = await owner.call("POST", "/v1/invitations", { email: "grace@shop.example", role: "developer" })
  assert.equal(made.mailed, true)
  await program.until("the mail has come", () => server.mails.length === 1)
  const [mail] = server.mails
  assert.ok(mail)
  assert.deepEqual(mail.to, ["grace@shop.example"])
  assert.match(header(mail, "subject") ?? "", /Invitation to default/)
  const text = bodyOf(mail)
  const [link = ""] = /https:\/\/hub\.example\/invitation\?token=[\w-]+/.exec(text) ?? []
  assert.equal(link, made.url)
  assert.match(text, /Ada invites you/)
  const kept = JSON.stringify([await program.rows("select * from job"), await program.rows("select * from change")])
  assert.ok(!kept.includes(tokenIn(made.url)))
  const browser = new Browser(program)
  await browser.call("POST", "/v1/invitations/accept", { token: tokenIn(link), name: "Grace", password: PASSWORD })
})

test("whose address a mail server refuses is told to no other project", async () => {
  await using server = await MailServer.open({
    disabledCommands: ["AUTH", "STARTTLS"],
    onRcptTo: ({ address }, _session, done) => done(new Error(`<${address}>: no such mailbox here`)),
  })
  await using program = await Program.open({ settings: { smtpUrl: `smtp://127.0.0.1:${server.port}` } })
  const owner = await setUp(program)
  const other = await program.call("POST", "/v1/projects", { name: "other" })
  await owner.call("POST", "/v1/invitations", { email: "grace@shop.example", role: "developer" })
  const status = async () => program.ask("GET", "/v1/status", undefined, { authorization: `Bearer ${other.key}` })
  await program.until("the mail was refused", async () => typeof (await status()).body.mail?.error === "string")
  const { text } = await status()
  assert.match(text, /<\{email\}>: no such mailbox here/)
  assert.doesNotMatch(text, /grace/)
})

test("a stream ends with its session, which it does not keep alive by itself", async () => {
  await using program = await Program.open()
  const owner = await setUp(program)
  const cookie = `waybill=${owner.cookies.get("waybill")}`
  const stream = await fetch(`${program.url}/v1/stream`, { headers: { cookie } })
  assert.equal(stream.status, 200)
  const text = stream.text()
  program.turn(12 * 3_600_000)
  assert.match(await text, /event: bye\ndata: .*unauthorized/)
})
