/** `waybill listen`: a receiver that shows what comes, checks it, answers as told and sets itself up where it is asked to. */
import assert from "node:assert/strict"
import { createHmac } from "node:crypto"
import { join } from "node:path"
import test from "node:test"
import { generateSecret, publicKeyOf } from "../../src/transport/sign.ts"
import { jsonLines, linesOf, runCli, type Started, startCli, waybillForFile } from "../help/cli.ts"
import { freshTransport, limits, post } from "../help/outbound.ts"
import { call, newSecret, startWaybill, temporaryFolder } from "../help/waybill.ts"

const waybill = waybillForFile()

interface ReceivedLine {
  readonly method: string
  readonly path: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body?: string
  readonly body_base64?: string
  readonly verified: boolean | null
  readonly verification: string
  readonly status: number
}

interface Integration {
  readonly id: string
  readonly name: string
  readonly events: unknown
}

async function integrations(): Promise<readonly Integration[]> {
  return ((await call(waybill, "GET", "/v1/integrations")) as { data: readonly Integration[] }).data
}

async function urlOf(listener: Started): Promise<string> {
  const [, url = ""] = await listener.prints(/Listening on (http:\/\/\S+?)\./)
  // A port stands between the dots of the address and the one of the sentence.
  const [whole = url] = /http:\/\/127\.0\.0\.1:\d+/.exec(listener.stderr()) ?? []
  return whole
}

/** The headers of a request that is signed with a secret. */
function signed(secret: string, body: string, seconds = Math.floor(Date.now() / 1_000)): Record<string, string> {
  const key = Buffer.from(secret.slice("whsec_".length), "base64")
  const signature = createHmac("sha256", key).update(`msg_1.${seconds}.${body}`).digest("base64")
  return { "webhook-id": "msg_1", "webhook-timestamp": String(seconds), "webhook-signature": `v1,${signature}` }
}

test("registered, it gets an event, verifies it with its own secret, and takes the integration away at the end", async () => {
  const listener = startCli(["listen", "--port", "0", "--register", "--name", "trial", "--types", "order.*,ping"], {
    at: waybill,
  })
  await listener.prints(/Registered as int_/)
  const [made] = await integrations()
  assert.equal(made?.name, "trial")
  assert.deepEqual(made.events, { default: "off", types: { "order.*": { enabled: true }, ping: { enabled: true } } })

  for (const type of ["other", "order.created"]) {
    await call(waybill, "POST", "/v1/events", { type, environment: "sandbox", data: { n: 1 } })
  }
  await listener.prints(/✓ signature verified\n {2}→ answered 200/)
  listener.child.kill("SIGINT")
  const { code, stdout, stderr } = await listener.ended
  assert.equal(code, 0)
  assert.match(stdout, /POST \/\n/)
  assert.match(stdout, /"type": "order\.created"/)
  assert.doesNotMatch(stdout, /"type": "other"/)
  assert.match(stderr, /1 request, 1 verified\.\n$/)
  assert.deepEqual(await integrations(), [])
})

test("an integration that cannot be taken away is named, with what to type later", async t => {
  const gone = await startWaybill(t, { dataDir: join(temporaryFolder(t), "data") })
  const listener = startCli(["listen", "--port", "0", "--register"], { at: gone })
  const [, id = ""] = await listener.prints(/Registered as (int_\w+)/)
  gone.kill("SIGKILL")
  await gone.stopped
  listener.child.kill("SIGINT")
  const { code, stderr } = await listener.ended
  assert.equal(code, 1)
  assert.match(
    stderr,
    new RegExp(`^The integration is still there. Remove it later: .* integrations remove ${id}$`, "m"),
  )
})

test("with --keep the integration stays", async () => {
  const listener = startCli(["listen", "--port", "0", "--register", "--keep"], { at: waybill })
  const [, id = ""] = await listener.prints(/Registered as (int_\w+)/)
  listener.child.kill("SIGTERM")
  assert.equal((await listener.ended).code, 0)
  assert.deepEqual(
    (await integrations()).map(integration => integration.id),
    [id],
  )
  await call(waybill, "DELETE", `/v1/integrations/${id}`)
})

test("as JSON, each request is one line, its body as it came and its secrets masked", async () => {
  const secret = newSecret()
  const listener = startCli(["listen", "--port", "0", "--secret", secret, "--json", "--count", "5"])
  const url = await urlOf(listener)
  const body = '{"n": 1.0, "n": 12345678901234567890}'
  const send = (headers: Record<string, string>, content: string | Uint8Array<ArrayBuffer> = body) =>
    fetch(`${url}/hook?x=1`, { method: "POST", headers, body: content })
  await send({ ...signed(secret, body), authorization: "Token abc", "x-api-key": "k", "x-team": "growth" })
  await send(signed(newSecret(), body))
  await send(signed(secret, body, 1_000))
  await send({})
  await send({}, new Uint8Array([0xff, 0xfe]))
  const { code, stdout } = await listener.ended
  assert.equal(code, 0)
  const lines = jsonLines<ReceivedLine>(stdout)
  assert.deepEqual(
    lines.map(({ verified, verification, status }) => [verified, verification, status]),
    [
      [true, "verified", 200],
      [false, "no_match", 200],
      [false, "too_old", 200],
      [false, "missing_header", 200],
      [false, "missing_header", 200],
    ],
  )
  assert.equal(lines[0]?.method, "POST")
  assert.equal(lines[0].path, "/hook?x=1")
  assert.equal(lines[0].body, body)
  assert.equal(lines[4]?.body_base64, "//4=")
  const headers = Object.fromEntries(lines[0].headers)
  assert.equal(headers["authorization"], "•••• (9 characters)")
  assert.equal(headers["x-api-key"], "•••• (1 characters)")
  assert.equal(headers["x-team"], "growth")
})

test("it answers with the status, the body and the delay that it is told", async () => {
  const listener = startCli([
    "listen",
    "--port",
    "0",
    "--status",
    "418",
    "--body",
    "tea",
    "--delay",
    "150ms",
    "--count",
    "1",
  ])
  const url = await urlOf(listener)
  const startedAt = performance.now()
  const response = await fetch(url)
  assert.equal(response.status, 418)
  assert.equal(await response.text(), "tea")
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain/)
  assert.ok(performance.now() - startedAt >= 149)
  const { stdout } = await listener.ended
  assert.match(stdout, /GET \/\n/)
  assert.match(stdout, /\(no body\)/)
  assert.match(stdout, /signature not checked: give the integration's secret with --secret/)
})

test("it fails as often as it is told, and answers verification otherwise", async () => {
  const failing = startCli(["listen", "--port", "0", "--fail-rate", "1", "--count", "1"])
  assert.equal((await fetch(await urlOf(failing))).status, 500)
  await failing.ended
  const willing = startCli(["listen", "--port", "0", "--count", "1"])
  const response = await fetch(await urlOf(willing), { method: "POST", body: "{}" })
  assert.deepEqual(await response.json(), { received: true })
  await willing.ended
})

test("a request that is signed as an HTTP message is checked by the secret, or by the public key alone", async () => {
  for (const scheme of ["v1", "v1a"] as const) {
    const secret = generateSecret(scheme)
    const given = scheme === "v1" ? secret : publicKeyOf(secret)
    const listener = startCli(["listen", "--port", "0", "--count", "2", "--json", "--secret", given])
    await using transport = freshTransport()
    const url = `${await urlOf(listener)}/hook?a=1`
    for (const key of [secret, generateSecret(scheme)]) {
      const signature = { id: "evt_1", keys: [{ scheme, secret: key }], form: "rfc9421" } as const
      await transport.send(post(url, { signature }), limits())
    }
    const lines = jsonLines<ReceivedLine>((await listener.ended).stdout)
    assert.deepEqual(
      lines.map(({ verification }) => verification),
      ["verified", "no_match"],
    )
  }
})

test("what a sender writes cannot act on the terminal", async () => {
  const listener = startCli(["listen", "--port", "0", "--count", "1"])
  await fetch(await urlOf(listener), { method: "POST", headers: { "x-a": "a\u009bb" }, body: "\u001b[2J\u202eabc\r" })
  const { stdout } = await listener.ended
  assert.doesNotMatch(stdout, /[\u001b\u009b\u202e\r]/)
  assert.match(stdout, /␛\[2J\\u202eabc␍/)
})

test("what was asked for in a wrong way is answered with what to type", async () => {
  const cases: readonly [readonly string[], RegExp, number][] = [
    [["--secret", "abc!"], /--secret must be a signing secret/, 2],
    [["--keep"], /add --register/, 2],
    [["--register"], /An API key is needed: set WAYBILL_API_KEY/, 2],
    [["--fail-rate", "2"], /Give a share from 0 to 1, such as 0\.3/, 2],
    [["--delay", "2 days"], /Give a duration such as 500ms or 2s/, 2],
    [["--host", "192.0.2.1"], /192\.0\.2\.1 is no address of this machine/, 2],
    [["--port", new URL(waybill.url).port], /is taken by another program: choose another port with --port/, 1],
  ]
  await Promise.all(
    cases.map(async ([args, sentence, expected]) => {
      const { code, stdout, stderr } = await runCli(["listen", ...args])
      assert.match(stderr, sentence)
      assert.equal(code, expected, stderr)
      assert.equal(stdout, "")
    }),
  )
})

test("a registration that Waybill refuses ends it", async () => {
  const { code, stderr } = await runCli(["listen", "--port", "0", "--register", "--public-url", "ftp://x"], {
    at: waybill,
  })
  assert.equal(code, 1)
  assert.match(linesOf(stderr)[0] ?? "", /http/)
})
