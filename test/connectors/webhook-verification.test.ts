import assert from "node:assert/strict"
import { createHmac } from "node:crypto"
import { test } from "node:test"
import type { VerificationRule } from "../../src/connectors/connector.ts"
import { webhook } from "../../src/connectors/webhook.ts"
import type { WebhookSettings } from "../../src/connectors/webhook-settings.ts"
import { verdictOfVerification } from "../../src/connectors/webhook-verification.ts"
import type { Answer, Exchange } from "../../src/domain/exchange.ts"

const timings = { dnsMs: null, connectMs: null, tlsMs: null, waitMs: 1, bodyMs: 1, totalMs: 2 }
const url = "https://crm.example/hook"
const keys = [{ scheme: "v1", secret: "whsec_new" } as const, { scheme: "v1", secret: "whsec_old" } as const]

function answered(status: number, body: string | Uint8Array, over: Partial<Answer> = {}): Exchange {
  const bytes = typeof body === "string" ? Buffer.from(body) : body
  const answer: Answer = { status, headers: [], body: bytes, truncated: false, incomplete: false, ...over }
  return { kind: "answered", sentHeaders: [], timings, answer }
}

function missed(rule: VerificationRule, exchange: Exchange): string {
  const verdict = verdictOfVerification(rule, exchange)
  return verdict.passed ? "nothing" : `${verdict.missed}: ${verdict.message}`
}

test("verification is POST {} with the endpoint's Authorization, headers and signature", () => {
  const settings: WebhookSettings = {
    production: { url, authorization: "Token abc", headers: { "x-team": "growth" } },
    sandbox: { url: "https://crm.example/test" },
    format: "cloudevents",
  }
  assert.deepEqual(
    webhook.verification?.request(settings, "production", { id: "ver_1", integration: 1, signingKeys: keys }),
    {
      kind: "send",
      request: {
        kind: "http",
        method: "POST",
        url,
        headers: [
          { name: "content-type", value: "application/json" },
          { name: "authorization", value: "Token abc", secret: true },
          { name: "x-team", value: "growth", secret: true },
        ],
        body: "{}",
        signature: { id: "ver_1", keys },
      },
    },
  )
  const sandbox = webhook.verification?.request(settings, "sandbox", { id: "ver_1", integration: 1, signingKeys: keys })
  assert.equal(sandbox?.kind === "send" && sandbox.request.headers.length, 1)
})

test("nothing is sent to verify where nothing is asked for, or no endpoint is there", () => {
  const message = { id: "ver_1", integration: 1, signingKeys: keys }
  assert.equal(webhook.verification?.request({ production: { url } }, "sandbox", message), null)
  assert.equal(
    webhook.verification?.request({ production: { url }, verification: "none" }, "production", message),
    null,
  )
})

test("the rule is json unless the settings say otherwise", () => {
  assert.equal(webhook.verification?.rule({ production: { url } }), "json")
  assert.equal(webhook.verification?.rule({ production: { url }, verification: "status" }), "status")
})

test("json passes on any 2xx with any valid JSON, of any content type", () => {
  const bodies = [
    "{}",
    "[]",
    "null",
    "0",
    '"ok"',
    "true",
    " {\n} ",
    "\ufeff{}",
    `${"[".repeat(9_000)}${"]".repeat(9_000)}`,
  ]
  for (const status of [200, 201, 202, 299]) {
    for (const body of bodies) assert.equal(missed("json", answered(status, body)), "nothing", body.slice(0, 20))
  }
})

test("a body that is no JSON misses json, and says why", () => {
  const cases: readonly (readonly [exchange: Exchange, words: RegExp])[] = [
    [answered(204, ""), /answered 204, but with an empty body\. Answer with a short JSON body such as \{\}/],
    [answered(200, "   "), /no JSON/],
    [answered(200, "OK"), /no JSON \(line 1, column 1: O cannot stand here\)/],
    [answered(200, "<html>"), /no JSON/],
    [answered(200, "{} {}"), /no JSON/],
    [answered(200, "{'a':1}"), /no JSON/],
    [answered(200, "NaN"), /no JSON/],
    [answered(200, Buffer.from([0x22, 0xff, 0x22])), /no UTF-8/],
    [answered(200, "{}", { incomplete: true }), /cut off/],
    [answered(200, "[1,2", { truncated: true }), /longer than the 4 bytes that are kept/],
  ]
  for (const [exchange, words] of cases) {
    assert.match(missed("json", exchange), /^json: /)
    assert.match(missed("json", exchange), words)
    assert.equal(missed("status", exchange), "nothing")
  }
})

test("a status that is no 2xx misses the status under either rule, whatever the body", () => {
  for (const status of [100, 199, 300, 304, 400, 404, 410, 500]) {
    for (const rule of ["json", "status"] as const) {
      assert.match(missed(rule, answered(status, "{}")), new RegExp(`^status: The endpoint answered ${status};`))
    }
  }
})

test("an exchange that broke off misses the answer", () => {
  const exchange: Exchange = {
    kind: "broken",
    sentHeaders: [],
    timings,
    class: "ECONNREFUSED",
    phase: "connect",
    code: "ECONNREFUSED",
    message: "nothing listens at crm.example:443.",
  }
  assert.equal(missed("json", exchange), "answer: No answer came: nothing listens at crm.example:443.")
  assert.deepEqual(verdictOfVerification("none", exchange), { passed: true })
})

test("only another URL, Authorization or header asks for verification again", () => {
  const hash = (text: string) => createHmac("sha256", "a key").update(text).digest("base64url")
  const print = (settings: WebhookSettings) => webhook.verification?.fingerprint(settings, "production", hash)
  const base = { url, authorization: "Token abc", headers: { "x-a": "1", "x-b": "2" } }
  const same: readonly WebhookSettings[] = [
    { production: { ...base } },
    { production: base, sandbox: { url: "https://other.example" } },
    { production: base, format: "cloudevents", verification: "status", signature: { scheme: "none" } },
    { production: base, destination_record: { pointer: "/id" } },
    { production: { ...base, headers: { "X-B": "2", "x-A": "1" } } },
    { production: { ...base, url: "HTTPS://crm.example:443/hook" } },
  ]
  const other: readonly WebhookSettings[] = [
    { production: { ...base, url: `${url}/` } },
    { production: { ...base, url: `${url}?a=1` } },
    { production: { ...base, authorization: "token abc" } },
    { production: { url, headers: base.headers } },
    { production: { ...base, headers: { "x-a": "1" } } },
    { production: { ...base, headers: { "x-a": "2", "x-b": "2" } } },
    { production: { ...base, headers: { "x-a": "2", "x-b": "1" } } },
  ]
  for (const settings of same) assert.equal(print(settings), print({ production: base }))
  const prints = [{ production: base }, ...other].map(print)
  assert.equal(new Set(prints).size, prints.length)
  assert.equal(print({ sandbox: base }), null)
})
