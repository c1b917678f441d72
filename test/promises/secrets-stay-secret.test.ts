/**
 * Secrets of every kind are given to Waybill and used, in what goes well and in what goes wrong, with the log as talkative
 * as it can be: none of them comes out in a log line, a metric, an answer, a mail or what the doctor says, nor stands in the
 * database in clear (API-30). An answer that shows a secret once, when it is made, is held to that one.
 */
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import test, { type TestContext } from "node:test"
import { Browser } from "../help/browser.ts"
import { Canaries } from "../help/canaries.ts"
import { authority, leaf } from "../help/certificates.ts"
import { runCli, startCli } from "../help/cli.ts"
import { operationsOf } from "../help/document.ts"
import { Endpoint } from "../help/endpoint.ts"
import { clearPlace, newPlace, settingsOf } from "../help/engines.ts"
import { items } from "../help/items.ts"
import { MailServer } from "../help/mail-server.ts"
import { tokenIn } from "../help/people.ts"
import type { Answer, Json } from "../help/program.ts"
import { secureEndpoint } from "../help/secure-endpoint.ts"
import { until } from "../help/system-ledger.ts"
import { TokenServer } from "../help/token-server.ts"
import { stablePort } from "../help/waybill.ts"
import { foundIn } from "../help/whole-database.ts"

const LIMIT_MS = 40_000

/** Waybill, and everything that it has answered. */
class Listened {
  readonly url: string
  readonly canaries: Canaries
  readonly hits: string[] = []
  readonly asked = new Set<string>()
  readonly #key: string
  #readsSettings = true
  readonly #ending = new AbortController()

  constructor(url: string, key: string, canaries: Canaries) {
    this.url = url
    this.#key = key
    this.canaries = canaries
  }

  /** From now on for callers who see events and no settings. */
  asReader(): void {
    this.#readsSettings = false
  }

  /** Follows everything that happens, until `end`. */
  async follow(): Promise<() => Promise<void>> {
    const signal = this.#ending.signal
    const stream = await fetch(`${this.url}/v1/stream`, { headers: { authorization: `Bearer ${this.#key}` }, signal })
    let text = ""
    const reading = (async () => {
      for await (const piece of stream.body ?? []) text += Buffer.from(piece).toString("utf8")
    })().catch(() => undefined)
    return async () => {
      this.#ending.abort()
      await reading
      assert.match(text, /order\.paid/)
      this.note("the stream", text, ["url-query"])
    }
  }

  /** Asks, and notes what the answer gives away. `shows` are the secrets that it is for. */
  async ask(
    method: string,
    path: string,
    {
      body,
      headers = {},
      shows = [],
    }: { body?: unknown; headers?: Record<string, string>; shows?: readonly string[] } = {},
  ): Promise<Answer> {
    const isText = typeof body === "string"
    const response = await fetch(this.url + path, {
      method,
      redirect: "manual",
      headers: {
        authorization: `Bearer ${this.#key}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
    })
    return this.hear(`${method} ${path}`, response, shows)
  }

  /** The same, where a secret is made that the answer shows: `plant` says which. */
  async make(
    path: string,
    body: unknown,
    plant: (answer: Json) => readonly [name: string, secret: unknown],
  ): Promise<Json> {
    const answer = await this.ask("POST", path, { body })
    assert.ok(answer.status < 300, `${path}: ${answer.text}`)
    const [name, secret] = plant(answer.body)
    assert.equal(typeof secret, "string", `${path} shows ${name}`)
    this.canaries.plant(name, String(secret))
    return answer.body
  }

  async call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Json> {
    const answer = await this.ask(method, path, { body, ...(headers === undefined ? {} : { headers }) })
    assert.ok(answer.status < 300, `${method} ${path} was answered with ${answer.status}: ${answer.text}`)
    return answer.body
  }

  async hear(what: string, response: Response, shows: readonly string[] = []): Promise<Answer> {
    const text = await response.text()
    // A token in a URL is part of a setting, which those see who may see settings.
    const settings =
      this.#readsSettings && /^\w+ \/v1\/(integrations|deliveries|events|audit-log)/.test(what) ? ["url-query"] : []
    this.note(`${response.status} to ${what}`, `${text}\n${JSON.stringify([...response.headers])}`, [
      ...shows,
      ...settings,
    ])
    this.asked.add(what.split("?")[0] ?? what)
    const isJson = /[/+]json/.test(response.headers.get("content-type") ?? "")
    return {
      status: response.status,
      headers: response.headers,
      body: isJson && text !== "" ? (JSON.parse(text) as Json) : {},
      text,
    }
  }

  /** Looks through a text. */
  note(where: string, text: string, shows: readonly string[] = []): void {
    for (const name of this.canaries.foundIn(text, shows)) this.hits.push(`${name} in ${where}`)
  }
}

test("secrets of twenty kinds and more come out nowhere, whatever happens to them", { timeout: 150_000 }, async t => {
  const canaries = new Canaries()
  const bytes = randomBytes(32)
  canaries.plant("secret key", bytes.toString("base64"), bytes.toString("hex"))
  const apiKey = canaries.make("first-key", text => `wb_${text.replaceAll("-", "_")}`)
  const smtpPassword = canaries.make("smtp-password")
  const oidcSecret = canaries.make("oidc-client-secret")
  await using mail = await MailServer.open({ disabledCommands: ["STARTTLS"] })
  const place = await newPlace()
  t.after(() => clearPlace(place))
  const { databaseUrl, allowUnsafeDatabase } = settingsOf(place)
  const url = databaseUrl === undefined ? undefined : new URL(databaseUrl)
  // The server of the tests lets in whoever comes.
  if (url !== undefined) url.password = canaries.make("database-password")
  const env: Record<string, string> = {
    WAYBILL_DATA_DIR: place.dataDir,
    PORT: "0",
    WAYBILL_LOG_LEVEL: "debug",
    WAYBILL_API_KEY: apiKey,
    WAYBILL_SECRET_KEY: bytes.toString("base64"),
    WAYBILL_SMTP_URL: `smtp://waybill:${smtpPassword}@127.0.0.1:${mail.port}`,
    WAYBILL_OIDC_ISSUER: `http://127.0.0.1:${await stablePort()}`,
    WAYBILL_OIDC_CLIENT_ID: "waybill",
    WAYBILL_OIDC_CLIENT_SECRET: oidcSecret,
    ...(url === undefined ? {} : { DATABASE_URL: url.href, WAYBILL_ALLOW_UNSAFE_DATABASE: allowUnsafeDatabase ?? "" }),
  }
  const server = startCli(["serve"], { env })
  t.after(() => server.child.kill("SIGKILL"))
  const [, at = ""] = await server.prints(/listens on (http:\/\/[^\s"]+)/)
  const waybill = new Listened(at, apiKey, canaries)

  const endStream = await waybill.follow()
  const scene = await plantAll(t, waybill)
  await goThroughTrouble(waybill, scene)
  await askEverything(waybill, scene)
  await askRefused(waybill, scene)
  await endStream()

  const doctor = await runCli(["doctor"], { env })
  waybill.note("waybill doctor", doctor.stdout + doctor.stderr)
  const status = await runCli(["secrets", "status"], { env })
  waybill.note("waybill secrets status", status.stdout + status.stderr)
  await refuseToStart(waybill, env)
  server.child.kill("SIGTERM")
  const { stdout, stderr } = await server.ended
  // What a first start shows once.
  waybill.note("the log", stderr + stdout)
  assert.match(stderr, /Waybill has stopped/, "the log is all there")
  const settings = ["url-query"]
  const kept = await foundIn(place, canaries.forms(settings))
  for (const form of kept) waybill.hits.push(`${canaries.nameOf(form)} in the database`)
  for (const { source } of mail.mails) waybill.note("a mail", source, ["invitation"])

  t.diagnostic(`${canaries.count} secrets, ${waybill.asked.size} calls, ${stderr.length} characters of log`)
  assert.ok(canaries.count >= 20, `${canaries.count} secrets`)
  assert.deepEqual([...new Set(waybill.hits)], [])
  assert.deepEqual(canaries.foundIn(`x ${apiKey}`), ["first-key"], "a canary that comes out is seen")
})

interface Scene {
  readonly ids: Readonly<Record<string, readonly string[]>>
  readonly good: Endpoint
  readonly browser: Browser
}

/** Gives Waybill secrets of all kinds, and has them used. */
async function plantAll(t: TestContext, waybill: Listened): Promise<Scene> {
  const { canaries } = waybill
  const good = await Endpoint.open()
  const bad = await Endpoint.open({ status: 500, body: '{"error":"down"}' })
  // As places do that are for trying requests out.
  const echo = await Endpoint.open()
  echo.answer(({ headers, body }) => ({
    status: 422,
    headers: { "x-got": String(headers["authorization"]) },
    body: JSON.stringify({ error: headers["x-api-key"] ?? "", headers, body: body.toString() }),
  }))
  const tokens = await TokenServer.open()
  const ca = await authority("Own authority")
  const client = await leaf("client", { by: ca })
  const secure = await secureEndpoint({ pair: await leaf("there", { by: ca, addresses: ["127.0.0.1"] }), clients: ca })
  t.after(async () => {
    for (const one of [good, bad, echo, tokens, secure]) await one[Symbol.asyncDispose]()
  })
  const integrations: string[] = []
  const integrate = async (name: string, production: object, more: object = {}, secret?: string): Promise<string> => {
    const plain = {
      name,
      config: { production, verification: "none", ...more },
      ...(secret === undefined ? {} : { secret }),
    }
    const body = { ...plain, policy: { retry_delays_ms: [200, 3_600_000] } }
    const made =
      secret === undefined
        ? await waybill.make("/v1/integrations", body, answer => [`generated secret of ${name}`, answer.secret])
        : (await waybill.ask("POST", "/v1/integrations", { body, shows: ["own-secret"] })).body
    integrations.push(String(made.id))
    return String(made.id)
  }
  const own = `whsec_${randomBytes(32).toString("base64")}`
  canaries.plant("own-secret", own, own.slice("whsec_".length))
  const headers = { "x-api-key": canaries.make("header-value") }
  const first = await integrate(
    "plain",
    { url: good.url(), authorization: `Bearer ${canaries.make("authorization")}`, headers },
    {},
    own,
  )
  await integrate("failing", {
    url: `${bad.url()}?token=${canaries.make("url-query")}`,
    headers: { "x-secret": canaries.make("header-of-failing") },
  })
  await integrate("away", { url: "http://127.0.0.1:9/", authorization: canaries.make("authorization-of-away") })
  await integrate("basic", {
    url: bad.url(),
    auth: { kind: "basic", username: "waybill", password: canaries.make("basic-password") },
  })
  await integrate("echo", {
    url: echo.url(),
    authorization: `Bearer ${canaries.make("echoed-authorization")}`,
    headers: { "x-api-key": canaries.make("echoed-header") },
  })
  const echoed = { kind: "basic", username: "waybill", password: canaries.make("echoed-password") }
  await integrate("echo with verification", { url: echo.url(), auth: echoed }, { verification: "json" })
  const oauth = { kind: "oauth2", token_url: tokens.url, client_id: "waybill", client_auth: "post" }
  await integrate("refused token", {
    url: good.url(),
    auth: { ...oauth, client_secret: canaries.make("oauth-secret") },
  })
  const token = canaries.make("access-token")
  tokens.answer(({ form }) =>
    form.get("client_id") === "known"
      ? { body: JSON.stringify({ access_token: token, token_type: "Bearer", expires_in: 60 }) }
      : { status: 401 },
  )
  const known = { ...oauth, client_id: "known", client_secret: canaries.make("oauth-secret-that-works") }
  await integrate("token", { url: good.url(), auth: known })
  canaries.plant("client-key", client.key, client.key.split("\n")[2] ?? "")
  await integrate("mutual", { url: secure.url(), tls: { certificate: client.cert, key: client.key, ca: ca.cert } })
  await integrate("strange", { url: secure.url(), tls: { ca: (await authority("Another")).cert } })
  await integrate("asymmetric", { url: good.url() }, { signature: { scheme: "v1a" } })
  await integrate("message", { url: good.url() }, { signature: { scheme: "rfc9421" } })
  await waybill.make(`/v1/integrations/${first}/rotate-secret`, {}, answer => ["rotated secret", answer.secret])
  const shows = ["own-secret", "rotated secret"]
  const read = await waybill.ask("GET", `/v1/integrations/${first}/secret`, { shows })
  assert.equal(read.status, 200)

  const key = await waybill.make("/v1/api-keys", { name: "another" }, answer => ["another-key", answer.key])
  const idempotent = { "idempotency-key": "once" }
  const kept = await waybill.call("POST", "/v1/api-keys", { name: "kept" }, idempotent)
  canaries.plant("kept-key", String(kept.key))
  const again = await waybill.ask("POST", "/v1/api-keys", {
    body: { name: "kept" },
    headers: idempotent,
    shows: ["kept-key"],
  })
  assert.equal(again.headers.get("idempotency-replayed"), "true")
  const turned = await waybill.make(`/v1/api-keys/${key.id}/rotate`, {}, answer => ["rotated-key", answer.key])

  const link = await waybill.make("/v1/setup-link", undefined, answer => ["setup-token", tokenIn(answer.url)])
  const password = canaries.make("password")
  const browser = new Browser(waybill)
  const owner = { email: "ada@shop.example", name: "Ada", password }
  await browser.call("POST", "/v1/setup", { token: tokenIn(link.url), ...owner })
  canaries.plant("session", browser.cookies.get("waybill") ?? "no cookie")
  canaries.plant("csrf-token", browser.csrf ?? "no token")
  const projects = await waybill.call("GET", "/v1/projects")
  const project = String(items(projects.data)[0]?.id)
  await browser.call("PATCH", `/v1/projects/${project}`, { alert_emails: ["ops@shop.example"] })
  const invited = await browser.call("POST", "/v1/invitations", { email: "grace@shop.example", role: "support" })
  canaries.plant("invitation", tokenIn(invited.url))

  await waybill.call("PUT", "/v1/event-types/order.private", { private_fields: ["/email", "/card/number"] })
  const data = { email: canaries.make("private-field"), card: { number: canaries.make("private-number") }, n: 1 }
  const events: string[] = []
  for (const type of ["order.paid", "order.private"]) {
    const sent = await waybill.call("POST", "/v1/events", {
      type,
      profile_id: "prf-1",
      data: type === "order.paid" ? { n: 2 } : data,
    })
    events.push(String(sent.id))
  }
  const inbox = await waybill.call("POST", `/v1/integrations/${first}/duplicate-to-inbox`)
  const inboxId = String(inbox.integration?.id)
  if (typeof inbox.integration?.secret === "string") canaries.plant("secret of the inbox", inbox.integration.secret)
  await waybill.call("POST", "/v1/events", { type: "order.private", data })
  return {
    good,
    browser,
    ids: {
      int: [...integrations, inboxId],
      evt: events,
      key: [String(turned.id), String(kept.id)],
      prj: [project],
      inv: [String(invited.id)],
    },
  }
}

/** Waits for what goes wrong to have gone wrong, tries things again, and has people and clients err. */
async function goThroughTrouble(waybill: Listened, { ids, browser }: Scene): Promise<void> {
  const { canaries } = waybill
  await until("every integration has been tried", LIMIT_MS, async () => {
    const { data } = await waybill.call("GET", "/v1/deliveries?limit=200")
    const rows = items(data)
    return rows.length >= 20 && rows.every(one => !["pending", "sending"].includes(String(one.status)))
  })
  for (const id of ids["int"] ?? []) {
    await waybill.ask("POST", `/v1/integrations/${id}/test`, { body: {} })
    await waybill.ask("POST", `/v1/integrations/${id}/verify`)
  }
  const { data } = await waybill.call("GET", "/v1/deliveries?limit=5&status=retrying")
  for (const { id } of items(data)) await waybill.ask("POST", `/v1/deliveries/${id}/retry`)
  const from = new Date(Date.now() - 3_600_000).toISOString()
  await waybill.ask("POST", "/v1/recoveries", { body: { from, statuses: ["failed", "missing"] } })

  // Bad credentials, in every place where one can stand.
  const wrong = canaries.make("wrong-key", text => `wb_${text.replaceAll("-", "_")}`)
  for (const headers of [
    { authorization: `Bearer ${wrong}` },
    { authorization: `Basic ${Buffer.from(`a:${canaries.make("wrong-basic")}`).toString("base64")}` },
    { authorization: canaries.make("no-scheme") },
    { authorization: "", cookie: `waybill=${canaries.make("wrong-cookie")}` },
    { "x-api-key": canaries.make("foreign-header"), cookie: `other=${canaries.make("foreign-cookie")}` },
  ]) {
    for (const path of ["/v1/events", "/v1/integrations", "/metrics", "/v1/status", "/nowhere"]) {
      await waybill.ask(path === "/v1/events" ? "POST" : "GET", path, {
        headers,
        ...(path === "/v1/events" ? { body: "{" } : {}),
      })
    }
  }
  await waybill.ask("POST", `/v1/events?access_token=${canaries.make("query-token")}`, { body: { type: "a.b" } })
  await waybill.ask("GET", `/v1/events?access_token=${canaries.make("query-token-of-read")}`)
  await waybill.ask("POST", `/v1/session`, {
    body: { email: "ada@shop.example", password: canaries.make("wrong-password") },
  })
  await waybill.ask("POST", `/v1/setup`, {
    body: {
      token: canaries.make("wrong-setup-token"),
      email: "a@b.example",
      name: "A",
      password: canaries.make("password-of-nobody"),
    },
  })
  await waybill.ask("GET", "/v1/session/oidc")
  await waybill.ask("GET", `/v1/session/oidc/callback?code=${canaries.make("oidc-code")}&state=x`)
  await browser.ask("POST", "/v1/session/password", {
    current_password: "wrong",
    new_password: canaries.make("new-password"),
  })

  // What is refused is told by what is wrong with it, not by what it holds.
  const refused = (production: object) => ({ name: "refused", config: { production, verification: "none" } })
  for (const production of [
    { url: `https://user:${canaries.make("userinfo")}@crm.example/` },
    { url: "https://crm.example/", authorization: `${canaries.make("bad-authorization")}\n` },
    { url: "https://crm.example/", headers: { host: canaries.make("refused-header") } },
    { url: "https://crm.example/", auth: { kind: "basic", username: "a:b", password: canaries.make("refused-basic") } },
    { url: "https://crm.example/", tls: { certificate: "none", key: canaries.make("refused-pem") } },
    { url: 5, authorization: canaries.make("authorization-beside-a-fault") },
  ]) {
    const answer = await waybill.ask("POST", "/v1/integrations", { body: refused(production) })
    assert.ok(answer.status === 422 || answer.status === 400, answer.text)
  }
  const own = canaries.make("refused-own-secret", text => `whsec_${text}`)
  await waybill.ask("POST", "/v1/integrations", { body: { ...refused({ url: "https://crm.example/" }), secret: own } })
  await waybill.ask("POST", "/v1/integrations", {
    body: `{"name":"x","config":{"production":{"authorization":"${canaries.make("broken-json")}"`,
  })
}

/** Every reading operation of the document, of everything that there is. */
async function askEverything(waybill: Listened, { ids, browser }: Scene): Promise<void> {
  const document = await waybill.call("GET", "/openapi.json")
  const attempts = await waybill.call("GET", "/v1/deliveries?limit=60")
  const all: Record<string, readonly string[]> = { ...ids, dlv: items(attempts.data).map(({ id }) => String(id)) }
  const prefixOf: readonly (readonly [string, string])[] = [
    ["/v1/integrations", "int"],
    ["/v1/events", "evt"],
    ["/v1/deliveries", "dlv"],
    ["/v1/api-keys", "key"],
    ["/v1/projects", "prj"],
  ]
  for (const { method, path } of operationsOf(document)) {
    if (method !== "GET" || path === "/v1/stream" || path.endsWith("/secret")) continue
    const prefix = prefixOf.find(([beginning]) => path.startsWith(beginning))?.[1] ?? ""
    const names = path.includes("{") ? (all[prefix] ?? []) : [""]
    for (const id of names) {
      const place = path.replace("{id}", id).replace("{name}", "order.private").replace("{code}", "invalid")
      await waybill.ask("GET", place)
      const response = await browser.ask("GET", place)
      waybill.note(`${place} as the owner`, response.text, ["url-query", "csrf-token"])
    }
  }
  const metrics = await waybill.ask("GET", "/metrics")
  assert.match(metrics.text, /waybill_events_accepted_total/)
  const log = await waybill.ask("GET", "/v1/audit-log/export")
  assert.match(log.text, /integration\.secret_read/)
}

/** The same for callers who may not know: nothing of it is told to them either. */
async function askRefused(waybill: Listened, { ids }: Scene): Promise<void> {
  const reader = await waybill.make("/v1/api-keys", { name: "reader", scopes: ["events:read"] }, answer => [
    "reader-key",
    answer.key,
  ])
  const headers = { authorization: `Bearer ${reader.key}` }
  waybill.asReader()
  const { data } = (await waybill.ask("GET", "/v1/deliveries?limit=60", { headers })).body
  for (const { id } of items(data)) await waybill.ask("GET", `/v1/deliveries/${id}`, { headers })
  for (const id of ids["int"] ?? []) {
    for (const path of ["", "/secret", "/revisions", "/diagnosis"]) {
      await waybill.ask("GET", `/v1/integrations/${id}${path}`, { headers })
    }
  }
  for (const id of ids["evt"] ?? []) await waybill.ask("GET", `/v1/events/${id}`, { headers })
}

/** Starts that fail say why, and not with what. */
async function refuseToStart(waybill: Listened, env: Readonly<Record<string, string>>): Promise<void> {
  const { canaries } = waybill
  const password = canaries.make("password-of-a-database-that-is-away")
  const settings: readonly Record<string, string>[] = [
    { DATABASE_URL: `postgres://waybill:${password}@127.0.0.1:9/waybill`, WAYBILL_ALLOW_UNSAFE_DATABASE: "yes" },
    { DATABASE_URL: `postgres//waybill:${canaries.make("password-in-no-url")}@h/d` },
    { WAYBILL_SECRET_KEY: canaries.make("key-that-is-none") },
    { WAYBILL_SECRET_KEY: randomBytes(32).toString("base64") },
    { WAYBILL_SMTP_URL: `http://waybill:${canaries.make("password-of-no-mail-server")}@h` },
    { WAYBILL_API_KEY: canaries.make("key-of-another-form") },
  ]
  for (const wrong of settings) {
    for (const command of ["serve", "doctor"]) {
      const { stdout, stderr, code } = await runCli([command], { env: { ...env, ...wrong } })
      waybill.note(`${command} with ${Object.keys(wrong)[0]}`, stdout + stderr)
      if (command === "serve") assert.notEqual(code, 0)
    }
  }
}
