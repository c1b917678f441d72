/**
 * Secrets of every kind are given to Waybill and used, in what goes well and in what goes wrong, with the log as talkative
 * as it can be: none of them comes out in a log line, a metric, an answer, a mail or what the doctor says, nor stands in the
 * database in clear (API-30). An answer that shows a secret once, when it is made, is held to that one.
 */
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import test from "node:test"
import { Canaries } from "../help/canaries.ts"
import { runCli, startCli } from "../help/cli.ts"
import { operationsOf } from "../help/document.ts"
import { clearPlace, newPlace, settingsOf } from "../help/engines.ts"
import { items } from "../help/items.ts"
import { Listened } from "../help/listened.ts"
import { MailServer } from "../help/mail-server.ts"
import { type Planted, plantAll } from "../help/planted-secrets.ts"
import { until } from "../help/system-ledger.ts"
import { stablePort } from "../help/waybill.ts"
import { foundIn } from "../help/whole-database.ts"

const LIMIT_MS = 40_000

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

/** Waits for what goes wrong to have gone wrong, tries things again, and has people and clients err. */
async function goThroughTrouble(waybill: Listened, { ids, browser }: Planted): Promise<void> {
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
async function askEverything(waybill: Listened, { ids, browser }: Planted): Promise<void> {
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
async function askRefused(waybill: Listened, { ids }: Planted): Promise<void> {
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
