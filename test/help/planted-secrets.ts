/** Secrets of all kinds, given to a Waybill and used there: by integrations that work and that fail, by people, keys and events. */
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import type { TestContext } from "node:test"
import { Browser } from "./browser.ts"
import { authority, leaf } from "./certificates.ts"
import { Endpoint } from "./endpoint.ts"
import { items } from "./items.ts"
import type { Listened } from "./listened.ts"
import { tokenIn } from "./people.ts"
import { secureEndpoint } from "./secure-endpoint.ts"
import { TokenServer } from "./token-server.ts"

/** What there is once all are planted. */
export interface Planted {
  /** By the beginnings of the ids: `int`, `evt`, … */
  readonly ids: Readonly<Record<string, readonly string[]>>
  readonly good: Endpoint
  readonly browser: Browser
}

/** Gives Waybill secrets of all kinds, and has them used. */
export async function plantAll(t: TestContext, waybill: Listened): Promise<Planted> {
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
