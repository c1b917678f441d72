/** Secrets of integrations: sent exactly as they were given, shown to nobody, kept in no clear form, changed without a gap. */
import assert from "node:assert/strict"
import { createPublicKey, randomBytes, verify } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { Webhook } from "standardwebhooks"
import { Endpoint, type Received } from "../help/endpoint.ts"
import { engine } from "../help/engines.ts"
import { Program } from "../help/program.ts"
import { newSecret } from "../help/waybill.ts"

const HOUR = 3_600_000

/** Whether a request is signed with a secret, as the public library sees it, at the request's own time. */
function isSignedWith(secret: string, { headers, body }: Received): boolean {
  const at = new Date(Number(headers["webhook-timestamp"]) * 1_000)
  const expected = new Webhook(secret).sign(headers["webhook-id"] ?? "", at, body.toString())
  return (headers["webhook-signature"] ?? "").split(" ").includes(expected)
}

/** The same for Ed25519, which that library does not know. */
function isSignedFor(publicKey: string, { headers, body }: Received): boolean {
  const raw = Buffer.from(publicKey.replace(/^whpk_/, ""), "base64")
  const key = createPublicKey({
    key: Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]),
    format: "der",
    type: "spki",
  })
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body.toString()}`
  const signatures = (headers["webhook-signature"] ?? "").split(" ").flatMap(text => {
    const [version, signature = ""] = text.split(",")
    return version === "v1a" ? [Buffer.from(signature, "base64")] : []
  })
  return signatures.some(signature => verify(null, Buffer.from(signed), key, signature))
}

test("no secret stands in the data folder in clear, nor in any answer but the one that shows it once", async () => {
  const canary = (name: string) => `canary-${name}-${randomBytes(12).toString("hex")}`
  const secrets = {
    authorization: canary("authorization"),
    header: canary("header"),
    changed: canary("changed"),
    sandbox: canary("sandbox"),
    signing: newSecret(),
  }
  await using program = await Program.open()
  await using there = await Endpoint.open({ status: 500 }, {})
  const production = {
    url: there.url(),
    authorization: `Bearer ${secrets.authorization}`,
    headers: { "x-key": secrets.header },
  }
  const sandbox = { url: there.url("/sandbox"), authorization: secrets.sandbox }
  const answers: string[] = []
  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await program.ask(method, path, body)
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`)
    answers.push(answer.text)
    return answer
  }
  const made = await program.ask("POST", "/v1/integrations", {
    name: "x",
    config: { production, sandbox, verification: "none" },
    secret: secrets.signing,
  })
  assert.equal(made.body.secret, secrets.signing)
  const { secret: _, ...withoutSecret } = made.body
  answers.push(JSON.stringify(withoutSecret))
  const path = `/v1/integrations/${made.body.id}`
  await program.send({ type: "a" })
  await program.recorded(1)
  await ask("PATCH", path, { config: { production: { authorization: secrets.changed } } })
  program.turn(24 * HOUR)
  await program.recorded(2)
  await ask("PATCH", path, { config: { verification: "json" } })
  const rotated = await program.ask("POST", `${path}/rotate-secret`)
  const second = String(rotated.body.secret)
  for (const [method, rest, body] of [
    ["GET", path],
    ["GET", "/v1/integrations"],
    ["GET", `${path}/revisions`],
    ["GET", `${path}/logs`],
    ["GET", `${path}/events`],
    ["GET", `${path}/history`],
    ["POST", `${path}/verify`],
    ["POST", `${path}/test`, { environment: "sandbox" }],
    ["POST", `${path}/test`],
    ["GET", "/v1/deliveries"],
    ["GET", "/v1/events"],
    ["GET", "/v1/api-keys"],
    ["GET", "/metrics"],
  ] as const) {
    await ask(method, rest, body)
  }
  const [delivery] = Object.values((await program.call("GET", "/v1/deliveries")).data ?? {})
  await ask("GET", `/v1/deliveries/${delivery?.id}`)
  const [event] = Object.values((await program.call("GET", "/v1/events")).data ?? {})
  await ask("GET", `/v1/events/${event?.id}`)
  assert.ok(there.requests.some(({ headers }) => headers.authorization === `Bearer ${secrets.authorization}`))
  assert.ok(there.requests.some(({ headers }) => headers.authorization === secrets.sandbox))
  await program.stop()

  const hidden = [...Object.values(secrets), second, program.key]
  const raw = [secrets.signing, second].map(text => Buffer.from(text.slice("whsec_".length), "base64"))
  for (const text of hidden) {
    for (const answer of answers) assert.ok(!answer.includes(text), `${text} in ${answer}`)
  }
  const kept = await tablesOf(program)
  for (const file of readdirSync(program.dataDir)) kept.set(file, readFileSync(join(program.dataDir, file)))
  assert.ok(kept.has("waybill.db") || kept.has("integration_secret"))
  for (const [place, bytes] of kept) {
    for (const text of [...hidden, ...raw]) assert.ok(!bytes.includes(text), `${text} in ${place}`)
  }
})

/** On PostgreSQL: each table with all that stands in its rows, as text and as bytes. */
async function tablesOf(program: Program): Promise<Map<string, Buffer>> {
  const tables = new Map<string, Buffer>()
  if (engine === "sqlite") return tables
  const names = await program.rows<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = 'public'",
  )
  for (const { name } of names) {
    const rows = await program.rows<Record<string, unknown>>(`select * from "${name}"`)
    const values = rows.flatMap(row => Object.values(row))
    tables.set(name, Buffer.concat(values.map(value => (Buffer.isBuffer(value) ? value : Buffer.from(`${value}\n`)))))
  }
  return tables
}

describe("the Authorization", () => {
  test("goes out exactly as it was typed", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const values = [
      "Bearer abc",
      "token  with   spaces inside",
      'Basic "quoted", and, commas; too=yes',
      "no-scheme",
      "bearer lower",
      "%41%20",
      "\\backslash\\",
      "x".repeat(4_096),
      "~!@#$%^&*()_+{}|:<>?`-=[];',./",
    ]
    const made = await program.integrate(there.url())
    for (const [i, authorization] of values.entries()) {
      await program.call("PATCH", `/v1/integrations/${made}`, { config: { production: { authorization } } })
      await program.send({ type: "a" })
      assert.equal((await there.request(i + 1)).headers.authorization, authorization)
    }
    const { rawHeaders } = await there.request(1)
    assert.equal(rawHeaders.filter(name => name.toLowerCase() === "authorization").length, 1)
  })
})

describe("a signing secret", () => {
  let program: Program
  let there: Endpoint
  before(async () => {
    program = await Program.open()
    there = await Endpoint.open()
  })
  after(async () => {
    await program[Symbol.asyncDispose]()
    await there.close()
  })

  const make = async (more: object = {}, config: object = {}) => {
    const body = { name: "x", config: { production: { url: there.url() }, verification: "none", ...config }, ...more }
    const made = await program.call("POST", "/v1/integrations", body)
    return { path: `/v1/integrations/${made.id}`, secret: String(made.secret), made }
  }
  /** The request that a test call to an integration makes. */
  const sent = async (path: string): Promise<Received> => {
    const count = there.requests.length
    await program.call("POST", `${path}/test`)
    return there.request(count + 1)
  }

  test("is made where none is given, and is another one for each integration", async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => make()))
    assert.equal(new Set(made.map(({ secret }) => secret)).size, 20)
    for (const { secret } of made) assert.equal(Buffer.from(secret.slice("whsec_".length), "base64").length, 32)
  })

  test("may be the user's own, of 24 to 64 bytes", async () => {
    for (const bytes of [24, 32, 64]) {
      const secret = `whsec_${randomBytes(bytes).toString("base64")}`
      const { path } = await make({ secret })
      assert.ok(isSignedWith(secret, await sent(path)))
    }
  })

  test("that is none is refused", async () => {
    const good = randomBytes(32).toString("base64")
    for (const secret of [
      "",
      "w",
      "whsec_",
      "whsec_%",
      "whsec_wronglength",
      `whsec_${randomBytes(23).toString("base64")}`,
      `whsec_${randomBytes(65).toString("base64")}`,
      `hwsec_${good}`,
      `whpk_${good}`,
      `whsk_${good}`,
    ]) {
      const config = { production: { url: there.url() }, verification: "none" }
      const answer = await program.ask("POST", "/v1/integrations", { name: "x", config, secret })
      assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [422, "/secret"], secret)
    }
  })

  test("of the asymmetric kind verifies with the public key that is shown", async () => {
    const { path, made, secret } = await make({}, { signature: { scheme: "v1a" } })
    assert.match(secret, /^whsk_/)
    const publicKey = String(made.signing_keys?.[0]?.public_key)
    assert.match(publicKey, /^whpk_/)
    const request = await sent(path)
    assert.ok(isSignedFor(publicKey, request))
    assert.ok(!isSignedFor(publicKey, { ...request, body: Buffer.concat([request.body, Buffer.from(" ")]) }))
  })

  test("signs nothing where the scheme is none, and the message still has its id", async () => {
    const { path } = await make({}, { signature: { scheme: "none" } })
    const { headers } = await sent(path)
    assert.deepEqual([headers["webhook-signature"], headers["webhook-timestamp"]], [undefined, undefined])
    assert.match(headers["webhook-id"] ?? "", /^evt_/)
  })

  test("that is rotated signs beside the new one until its time is over, then the new one alone does", async () => {
    const { path, secret: first } = await make()
    const rotated = await program.call("POST", `${path}/rotate-secret`, { grace_seconds: 3_600 })
    const second = String(rotated.secret)
    assert.notEqual(second, first)
    assert.deepEqual(
      Object.values(rotated.signing_keys ?? {}).map(key => [key?.number, key?.expires_at]),
      [
        [2, null],
        [1, new Date(program.now + HOUR).toISOString()],
      ],
    )
    const during = await sent(path)
    assert.deepEqual([isSignedWith(first, during), isSignedWith(second, during)], [true, true])
    program.turn(HOUR - 1)
    assert.ok(isSignedWith(first, await sent(path)))
    program.turn(1)
    const afterwards = await sent(path)
    assert.deepEqual([isSignedWith(first, afterwards), isSignedWith(second, afterwards)], [false, true])
    assert.equal("secret" in (await program.call("GET", path)), false)
  })

  test("may be replaced at once, with one of the user's own", async () => {
    const { path, secret: first } = await make()
    const secret = newSecret()
    const rotated = await program.call("POST", `${path}/rotate-secret`, { secret, grace_seconds: 0 })
    assert.equal(rotated.secret, secret)
    const request = await sent(path)
    assert.deepEqual([isSignedWith(first, request), isSignedWith(secret, request)], [false, true])
    const wrong = await program.ask("POST", `${path}/rotate-secret`, { secret: "whsec_short" })
    assert.deepEqual([wrong.status, wrong.body.errors?.[0]?.pointer], [422, "/secret"])
  })

  test("may be rotated ten times within the grace of the first, and no more until that is over", async () => {
    const { path, secret: first } = await make()
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => program.ask("POST", `${path}/rotate-secret`, { grace_seconds: 3_600 })),
    )
    const statuses = answers.map(({ status }) => status)
    assert.deepEqual(statuses.sort(), [...Array(10).fill(200), 409, 409], "also where all come at the same moment")
    const request = await sent(path)
    assert.equal((request.headers["webhook-signature"] ?? "").split(" ").length, 11)
    assert.ok(isSignedWith(first, request))
    for (const { status, body } of answers) if (status === 200) assert.ok(isSignedWith(String(body.secret), request))
    program.turn(HOUR)
    assert.equal((await program.ask("POST", `${path}/rotate-secret`)).status, 200)
  })

  test("that cannot be opened any more fails its own integration's deliveries, and nobody else's", async () => {
    await using fresh = await Program.open()
    await using mine = await Endpoint.open()
    const config = { production: { url: mine.url("/broken"), authorization: "Token a" }, verification: "none" }
    const broken = await fresh.integrate("", { config })
    const whole = await fresh.integrate(mine.url("/whole"))
    await fresh.stop()
    await fresh.leave("update integration_secret set sealed = substr(sealed, 1, length(sealed) - 4) || 'AAAA'")
    await fresh.restart()
    const event = await fresh.send({ type: "a" })
    await mine.received(1)
    await fresh.until("the other one has failed", async () => (await fresh.delivery(broken, event)).status === "failed")
    assert.deepEqual(
      [(await fresh.delivery(broken, event)).reason, mine.requests[0]?.path],
      ["request_invalid", "/whole"],
    )
    await fresh.until("it is delivered", async () => (await fresh.delivery(whole, event)).status === "delivered")
    await fresh.call("PATCH", `/v1/integrations/${broken}`, { config: { production: { authorization: "Token b" } } })
    await fresh.send({ type: "a" })
    await mine.received(3)
    assert.ok(mine.requests.some(({ path, headers }) => path === "/broken" && headers.authorization === "Token b"))
  })
})
