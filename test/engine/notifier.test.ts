/** Mail to the people of a project, handed over to a real SMTP server: what it says, and that no key ever gets two. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { getCACertificates, setDefaultCACertificates } from "node:tls"
import type { SMTPServerOptions } from "smtp-server"
import { authority, leaf } from "../help/certificates.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { bodyOf, header, MailServer } from "../help/mail-server.ts"
import { type Json, Program } from "../help/program.ts"
import { goBy, quiet, told, unprotected } from "../help/told.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const quick = { ...unprotected, long_failure: { warn_after_ms: 3 * HOUR, disable_after_ms: 9 * HOUR } }

/** A program that hands its mail to this server, and whose project names these people. */
async function openWith(smtpUrl: string, more: Readonly<Record<string, string>> = {}): Promise<Program> {
  const program = await Program.open({ publicUrl: "https://hub.example/", settings: { smtpUrl, ...more } })
  const [project] = items((await program.call("GET", "/v1/projects")).data)
  await program.call("PATCH", `/v1/projects/${project?.id}`, { alert_emails: ["ops@shop.example", "ann@shop.example"] })
  return program
}

async function mailStatus(
  program: Program,
): Promise<{ mail: Json | undefined; problems: Json[]; healthy: Json | undefined }> {
  const { mail, problems, healthy } = await program.call("GET", "/v1/status")
  return { mail, problems: items(problems), healthy }
}

/** Waits until no mail waits any more. */
function allDone(program: Program): Promise<void> {
  return program.until(
    "no mail waits",
    async () => (await program.rows("select 1 from job where kind = 'mail' and state <> 'done'")).length === 0,
  )
}

test("a warning is mailed with what happened, since when, how often, what to do and a link", async () => {
  await using server = await MailServer.open()
  await using program = await openWith(`smtp://127.0.0.1:${server.port}`)
  await using there = await Endpoint.open({ status: 503 })
  const id = await program.integrate(there.url(), { name: "CRM <b>\u202e & sons", policy: quick })
  await goBy(program, 5 * HOUR, HOUR)
  await server.received(1)
  const [mail] = server.mails
  assert.deepEqual([mail?.from, mail?.to], ["waybill@hub.example", ["ops@shop.example", "ann@shop.example"]])
  assert.equal(header(mail, "from"), "Waybill <waybill@hub.example>")
  assert.equal(header(mail, "subject"), "CRM <b> & sons is failing")
  assert.equal(header(mail, "auto-submitted"), "auto-generated")
  assert.match(header(mail, "message-id"), new RegExp(`^<mail\\.${id}\\.failing\\.2026-11-21@hub\\.example>$`))
  const body = bodyOf(mail)
  assert.match(
    body,
    /Nothing has got through to the integration CRM <b> & sons since 2026-11-21 11:00:00 UTC\. After 9 h without a success it is switched off\./,
  )
  assert.match(body, /Failed attempts: \d+/)
  assert.match(body, /What to do: Look at the server's health/)
  assert.match(body, new RegExp(`https://hub\\.example/v1/integrations/${id}`))
  assert.match(body, /<p>Nothing has got through to the integration CRM &#60;b&#62; &#38; sons since/)
  await allDone(program)
  const { mail: status, healthy } = await mailStatus(program)
  assert.deepEqual([healthy, status?.waiting, status?.error], [true, 0, null])
})

test("an integration gets one mail a day for each cause, whatever happens in it", async () => {
  await using server = await MailServer.open()
  await using program = await openWith(`smtp://127.0.0.1:${server.port}`)
  await using there = await Endpoint.open({ status: 503 })
  const policy = { ...unprotected, preset: "revenuecat", long_failure: { warn_after_ms: HOUR } }
  await program.integrate(there.url(), { name: "CRM", policy })
  const subjects = () => server.mails.map(mail => header(mail, "subject")).sort()
  // Three failing times on one day.
  for (let time = 0; time < 3; time++) {
    there.play({ status: 503 })
    await goBy(program, 2 * HOUR, HOUR / 2)
    there.play({})
    await goBy(program, HOUR / 2, HOUR / 2)
  }
  assert.equal((await told(program, "waybill.integration.failing")).length, 3)
  await server.received(2)
  await allDone(program)
  await program.restart()
  await allDone(program)
  assert.deepEqual(subjects(), ["CRM is failing", "CRM works again"])
  program.turn(DAY)
  there.play({ status: 503 })
  await goBy(program, 2 * HOUR, HOUR / 2)
  await server.received(3)
  await allDone(program)
  assert.deepEqual(subjects(), ["CRM is failing", "CRM is failing", "CRM works again"])
})

test("what is switched off is mailed with its cause: a 410, a long failure", async () => {
  await using server = await MailServer.open()
  await using program = await openWith(`smtp://127.0.0.1:${server.port}`)
  await using there = await Endpoint.open({ status: 410 })
  await program.integrate(there.url(), { name: "Gone" })
  await program.send({ type: "order.paid", data: {} })
  await server.received(1)
  there.play({ status: 500 })
  await program.integrate(there.url(), { name: "Slow", policy: quick })
  await goBy(program, 11 * HOUR, HOUR)
  await server.received(3)
  assert.deepEqual(
    server.mails.map(mail => header(mail, "subject")),
    ["Gone was switched off: 410 Gone", "Slow is failing", "Slow was switched off: failed for too long"],
  )
})

test("nothing is written down where nobody is to be told, or mail is not set up", async () => {
  await using server = await MailServer.open()
  await using there = await Endpoint.open({ status: 410 })
  await using without = await Program.open({ settings: { smtpUrl: `smtp://127.0.0.1:${server.port}` } })
  await using unset = await Program.open()
  const [project] = items((await unset.call("GET", "/v1/projects")).data)
  await unset.call("PATCH", `/v1/projects/${project?.id}`, { alert_emails: ["ops@shop.example"] })
  for (const program of [without, unset]) {
    await program.integrate(there.url())
    await program.send({ type: "order.paid", data: {} })
    await program.until(
      "it is off",
      async () => (await program.rows("select 1 from integration where enabled = 0")).length === 1,
    )
    assert.deepEqual(await program.rows("select * from job where kind = 'mail'"), [])
  }
  assert.equal((await mailStatus(unset)).mail, null)
})

describe("a server that does not take mail", () => {
  test("is asked again, later and later, also after a restart, and shows on the status meanwhile", async () => {
    await using server = await MailServer.open()
    await server.down()
    await using program = await openWith(`smtp://127.0.0.1:${server.port}`)
    await using there = await Endpoint.open({ status: 410 })
    await program.integrate(there.url(), { name: "CRM" })
    await program.send({ type: "order.paid", data: {} })
    await program.until(
      "it is off",
      async () => (await program.rows("select 1 from integration where enabled = 0")).length === 1,
    )
    const isTold = async () => (await mailStatus(program)).mail?.error !== null
    while (!(await isTold())) program.turn(0)
    const { mail, problems, healthy } = await mailStatus(program)
    assert.deepEqual([healthy, mail?.waiting], [false, 1])
    assert.match(String(problems[0]), /^Mail cannot be handed over to 127\.0\.0\.1:\d+: .*ECONNREFUSED/)
    await program.restart()
    await server.up()
    program.turn(MINUTE)
    await server.received(1)
    await allDone(program)
    assert.deepEqual([(await mailStatus(program)).healthy, server.mails.length], [true, 1])
  })

  test("and says so of one mail, is asked again for that one", async () => {
    await using server = await MailServer.open()
    server.manner = { refuse: 451 }
    await using program = await openWith(`smtp://127.0.0.1:${server.port}`)
    await using there = await Endpoint.open({ status: 410 })
    await program.integrate(there.url(), { name: "CRM" })
    await program.send({ type: "order.paid", data: {} })
    await server.received(1)
    const dueAt = async () =>
      (await program.rows<{ due_at: number }>("select due_at from job where kind = 'mail' and state = 'due'"))[0]
        ?.due_at
    for (const delayMs of [30_000, 60_000, 120_000]) {
      await program.until("it was put off", async () => ((await dueAt()) ?? 0) > program.now)
      assert.equal(((await dueAt()) ?? 0) - program.now, delayMs)
      const before = server.handedOver
      if (delayMs === 120_000) server.manner = "take"
      program.turn(delayMs)
      await server.received(before + 1)
    }
    await allDone(program)
    assert.equal(server.mails.length, 1)
  })

  test("and hangs up after a mail was handed over, does not get it twice", async () => {
    await using server = await MailServer.open()
    server.manner = "hang_up"
    await using program = await openWith(`smtp://127.0.0.1:${server.port}`)
    await using there = await Endpoint.open({ status: 410 })
    await program.integrate(there.url(), { name: "CRM" })
    await program.send({ type: "order.paid", data: {} })
    await server.received(1)
    await allDone(program)
    server.manner = "take"
    program.turn(HOUR)
    await program.restart()
    program.turn(HOUR)
    await program.integrate(there.url(), { name: "Second" })
    await program.send({ type: "order.paid", data: {} })
    await server.received(2)
    assert.deepEqual(
      server.mails.map(mail => header(mail, "subject")),
      ["Second was switched off: 410 Gone"],
    )
    const [row] = await program.rows<{ report: string }>(
      "select report from job where kind = 'mail' order by id limit 1",
    )
    assert.match(String(row?.report), /Whether it was taken is not known/)
  })
})

test("a mail that was being handed over when the process was killed is not sent again", async () => {
  await using server = await MailServer.open()
  await server.down()
  await using program = await openWith(`smtp://127.0.0.1:${server.port}`)
  await using there = await Endpoint.open({ status: 410 })
  await program.integrate(there.url(), { name: "CRM" })
  await program.send({ type: "order.paid", data: {} })
  await program.until(
    "it is written down",
    async () => (await program.rows("select 1 from job where kind = 'mail'")).length === 1,
  )
  await program.stop()
  // As a kill leaves it.
  await program.leave("update job set state = 'running', fence = 1 where kind = 'mail'")
  await server.up()
  await program.restart()
  await allDone(program)
  program.turn(HOUR)
  await program.integrate(there.url(), { name: "Second" })
  await program.send({ type: "order.paid", data: {} })
  await server.received(1)
  assert.deepEqual(
    server.mails.map(mail => header(mail, "subject")),
    ["Second was switched off: 410 Gone"],
  )
})

describe("the way to the server", () => {
  const user = "waybill:s3cr3t%40@"

  test("is encrypted with STARTTLS where a password is sent, and the password is sent then only", async t => {
    const own = await authority("mail authority")
    const { key, cert } = await leaf("localhost", { by: own, addresses: ["127.0.0.1"] })
    const before = getCACertificates("default")
    t.after(() => setDefaultCACertificates(before))
    setDefaultCACertificates([...before, own.cert])
    await using server = await MailServer.open({ key, cert })
    const url = `smtp://${user}127.0.0.1:${server.port}?starttls=required`
    await using program = await openWith(url, { mailFrom: "Night shift <night@shop.example>" })
    await using there = await Endpoint.open({ status: 410 })
    await program.integrate(there.url(), { name: "CRM" })
    await program.send({ type: "order.paid", data: {} })
    const [mail] = await server.received(1)
    assert.deepEqual([mail?.isEncrypted, mail?.user, mail?.from], [true, "waybill", "night@shop.example"])
    assert.equal(header(mail, "from"), "Night shift <night@shop.example>")
  })

  for (const [what, query, options] of [
    [
      "offers no STARTTLS where it is required",
      "?starttls=required",
      { disabledCommands: ["STARTTLS"], allowInsecureAuth: true },
    ],
    ["has a certificate that nobody vouches for", "", {}],
  ] satisfies [string, string, SMTPServerOptions][]) {
    test(`is not taken to a server that ${what}`, async () => {
      await using server = await MailServer.open({
        ...options,
        ...(await leaf("localhost", { addresses: ["127.0.0.1"] })),
      })
      await using program = await openWith(`smtp://${user}127.0.0.1:${server.port}${query}`)
      await using there = await Endpoint.open({ status: 410 })
      await program.integrate(there.url(), { name: "CRM" })
      await program.send({ type: "order.paid", data: {} })
      await quiet(program)
      while ((await mailStatus(program)).mail?.error === null) program.turn(0)
      assert.equal(server.handedOver, 0)
      assert.equal((await mailStatus(program)).mail?.waiting, 1)
    })
  }
})
