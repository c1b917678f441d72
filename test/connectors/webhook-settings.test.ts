import assert from "node:assert/strict"
import { test } from "node:test"
import { faultsOfBody } from "../../src/api/validation.ts"
import { findConnector } from "../../src/connectors/index.ts"
import { webhook } from "../../src/connectors/webhook.ts"
import { type WebhookSettings, webhookSettings } from "../../src/connectors/webhook-settings.ts"
import { aSubject } from "../help/subjects.ts"

const url = "https://crm.example/hook"

/** Faults of the schema, or of `check` where the schema has none, as `pointer message`. */
function faultsOf(config: WebhookSettings | Record<string, unknown>): string[] {
  const shape = faultsOfBody(webhookSettings, config)
  const faults = shape.length > 0 ? shape : webhook.check(config)
  return faults.map(({ pointer, message }) => `${pointer} ${message}`)
}

function assertRefused(config: Record<string, unknown>, pointer: string, words: RegExp): void {
  const [fault = "(nothing)", ...more] = faultsOf(config)
  assert.deepEqual(more, [])
  assert.equal(fault.slice(0, fault.indexOf(" ")), pointer, fault)
  assert.match(fault, words)
}

test("the smallest and the fullest settings are taken", () => {
  assert.deepEqual(faultsOf({ sandbox: { url } }), [])
  const full: WebhookSettings = {
    production: { url, authorization: "Token abc", headers: { "X-Team": "growth", "x.a!~'": "1" } },
    sandbox: { url: "http://crm.example:8443/test?key=1", headers: {} },
    verification: "status",
    format: "cloudevents",
    cloudevents_mode: "binary",
    destination_record: { pointer: "/data/0/~0a~1b" },
    signature: { scheme: "v1a" },
  }
  assert.deepEqual(faultsOf(full), [])
  assert.deepEqual(faultsOf({ sandbox: { url }, destination_record: { pointer: "" } }), [])
  assert.deepEqual(faultsOf({ sandbox: { url }, destination_record: { header: "X-Record-Id" } }), [])
})

test("an endpoint has to be there, and only known fields", () => {
  assertRefused({}, "", /production, sandbox or both/)
  assertRefused({ verification: "none" }, "", /production, sandbox or both/)
  assertRefused({ production: {} }, "/production/url", /missing/)
  assertRefused({ production: { url, method: "PUT" } }, "/production/method", /not a field/)
  assertRefused({ production: { url }, retries: 3 }, "/retries", /not a field/)
  assertRefused({ production: { url }, destination_record: {} }, "/destination_record", /at least 1/)
  assertRefused(
    { production: { url }, destination_record: { pointer: "/id", header: "x" } },
    "/destination_record",
    /most 1/,
  )
  assertRefused({ production: { url }, signature: {} }, "/signature/scheme", /missing/)
})

test("what is not built yet says so", () => {
  const refused: readonly (readonly [field: string, value: string, words: RegExp])[] = [
    ["verification", "cloudevents", /The CloudEvents handshake is not built yet/],
    ["format", "adapty", /Adapty's format is not built yet/],
    ["format", "revenuecat", /RevenueCat's format is not built yet/],
    ["format", "template", /Templates are not built yet/],
  ]
  for (const [field, value, words] of refused) {
    assertRefused({ production: { url }, [field]: value }, `/${field}`, words)
  }
  assertRefused({ production: { url, headers: { "x-id": "{{id}}" } } }, "/production/headers/x-id", /not built yet/)
})

test("a URL that could not be used as it was typed is refused with a sentence", () => {
  const refused: readonly (readonly [url: string, words: RegExp])[] = [
    ["crm.example/hook", /Begin the URL with https/],
    ["ftp://crm.example/hook", /http and https/],
    ["javascript:alert(1)", /http and https/],
    ["https:crm.example", /Begin the URL/],
    ["https:\\\\crm.example", /Begin the URL/],
    ["https://", /no URL/],
    ["https://crm.example:99999/", /no URL/],
    ["https://[::1/", /no URL/],
    ["https://a b.example/", /space/],
    [" https://crm.example/", /space/],
    ["https://crm.example/hook ", /space/],
    ["https://crm.example/\nhook", /line break/],
    ["https://crm.example/\u0000", /control/],
    ["https://crm.example/\u00a0", /space/],
    ["https://user:secret@crm.example/", /user name or password/],
    ["https://user@crm.example/", /user name or password/],
    ["https://@crm.example/", /user name or password/],
    ["https://crm.example/hook#top", /from # on/],
    ["https://crm.example/hook#", /from # on/],
    ["https://crm.example/{{id}}", /not built yet/],
    ["https://{{host}}/hook", /not built yet/],
    [`https://crm.example/${"é".repeat(2_000)}`, /longer than 8 KiB/],
    [`https://crm.example/${"a".repeat(8_192)}`, /at most 8,192 characters/],
    ["", /at least 1 character/],
  ]
  for (const [text, words] of refused) assertRefused({ production: { url: text } }, "/production/url", words)
  const [message = ""] = faultsOf({ production: { url: "https://user:hunter2@crm.example/" } })
  assert.doesNotMatch(message, /hunter2/)
})

test("headers that Waybill or the connection set themselves are refused, in any case", () => {
  const names = [
    ...[
      "Host",
      "Content-Length",
      "Transfer-Encoding",
      "Connection",
      "Keep-Alive",
      "TE",
      "Trailer",
      "Upgrade",
      "Expect",
    ],
    ...["Proxy-Authorization", "Proxy-Connection", "proxy-anything", "Content-Encoding", "Content-Type", "User-Agent"],
    ...[
      "webhook-id",
      "Webhook-Signature",
      "WEBHOOK-ATTEMPT",
      "waybill-x",
      "X-Waybill-Event",
      "ce-id",
      "Accept-Encoding",
    ],
  ]
  for (const name of names) {
    for (const spelled of [name, name.toLowerCase(), name.toUpperCase()]) {
      assertRefused(
        { production: { url, headers: { [spelled]: "1" } } },
        `/production/headers/${spelled}`,
        /^\S+ The header /,
      )
    }
  }
  assertRefused(
    { sandbox: { url, headers: { Authorization: "Token abc" } } },
    "/sandbox/headers/Authorization",
    /put the value into authorization/,
  )
  for (const name of ["x-host", "cookie", "accept", "webhooks", "cer", "proxy", "x-request-id", "Date"]) {
    assert.deepEqual(faultsOf({ production: { url, headers: { [name]: "1" } } }), [], name)
  }
})

test("a header's name is a token, there once", () => {
  for (const name of [
    "",
    "x y",
    "x:y",
    "x\ny",
    "x\u0000",
    "größe",
    "x(y)",
    "x@y",
    "{x}",
    '"x"',
    "x".repeat(257),
    ":path",
  ]) {
    assertRefused({ production: { url, headers: { [name]: "1" } } }, pointerOf(name), /no header name/)
  }
  assertRefused({ production: { url, headers: { "a/b": "1" } } }, "/production/headers/a~1b", /no header name/)
  assertRefused({ production: { url, headers: { "x-a": "1", "X-A": "2" } } }, "/production/headers/X-A", /twice/)
  const headers = JSON.parse('{"__proto__": "1"}') as Record<string, string>
  assert.deepEqual(faultsOf({ production: { url, headers } }), [])
  const many = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`x-${i}`, "1"]))
  assertRefused({ production: { url, headers: many } }, "/production/headers", /at most 50/)
})

function pointerOf(name: string): string {
  const shown = `/production/headers/${name}`
  // Test messages are split at the first space.
  return shown.includes(" ") ? shown.slice(0, shown.indexOf(" ")) : shown
}

const badValues: readonly (readonly [value: string, words: RegExp])[] = [
  ["a\r\nx-evil: 1", /line break.*character 2/],
  ["a\nb", /control character/],
  ["a\u0000", /control character/],
  ["a\tb", /a tab/],
  ["a\u007f", /control character/],
  ["é", /beyond ASCII \(character 1\)/],
  ["ключ", /beyond ASCII/],
  ["😀", /beyond ASCII/],
  ["a\u0085", /beyond ASCII/],
  [" a", /begins with a space/],
  ["a ", /ends with a space/],
  ["a".repeat(4_097), /at most 4,096 characters/],
]

test("a value that HTTP would change or that would break out of its header is refused, never mended", () => {
  for (const [value, words] of badValues) {
    assertRefused({ production: { url, headers: { "x-a": value } } }, "/production/headers/x-a", words)
    assertRefused({ production: { url, authorization: value } }, "/production/authorization", words)
  }
  for (const value of ["", " ", "   "]) {
    assertRefused({ production: { url, authorization: value } }, "/production/authorization", /blank/)
  }
})

test("any printable ASCII is taken as it is", () => {
  const all = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join("")
  for (const value of [`x${all}x`, 'Token "a  b"', "{{not a template}}", "a".repeat(4_096), "a, b; c=d"]) {
    const config: WebhookSettings = { production: { url, authorization: value } }
    assert.deepEqual(faultsOf(config), [])
    const build = webhook.prepare(config).build(aSubject())
    assert.equal(build.kind === "send" && build.request.headers.find(h => h.name === "authorization")?.value, value)
  }
})

test("a fault tells no secret", () => {
  for (const value of ["hunter2\n", "hunter2é", " hunter2", "hunter2{{x}}"]) {
    const faults = faultsOf({ production: { url, authorization: `${value}\n`, headers: { "x-a": value } } })
    assert.equal(faults.length, 2)
    assert.doesNotMatch(faults.join(), /hunter2/)
  }
})

test("all faults are told at once, each at its place", () => {
  const config = {
    production: { url: "crm", authorization: " ", headers: { Host: "a", "x-a": "b\n" } },
    sandbox: { url: "https://u@crm.example" },
    destination_record: { pointer: "id" },
  }
  assert.deepEqual(
    faultsOf(config).map(fault => fault.split(" ")[0]),
    [
      "/production/url",
      "/production/authorization",
      "/production/headers/Host",
      "/production/headers/x-a",
      "/sandbox/url",
      "/destination_record/pointer",
    ],
  )
})

test("a destination record needs a JSON pointer or a header's name", () => {
  for (const pointer of ["id", "data/id", "/~", "/~2", "/a~", "$.id"]) {
    assertRefused(
      { production: { url }, destination_record: { pointer } },
      "/destination_record/pointer",
      /RFC|pointer/,
    )
  }
  for (const header of ["", "x id", "größe", "x:"]) {
    assertRefused(
      { production: { url }, destination_record: { header } },
      "/destination_record/header",
      /no header name/,
    )
  }
})

test("settings that were kept but are no good make no request, and leave the other environment alone", () => {
  const settings: WebhookSettings = {
    production: { url, headers: { Host: "evil.example" } },
    sandbox: { url },
  }
  const prepared = webhook.prepare(settings)
  assert.deepEqual(prepared.build(aSubject()), {
    kind: "fail",
    reason: "request_invalid",
    facts: {
      field: "production.headers.Host",
      environment: "production",
      detail: "The header Host belongs to the connection; Waybill sets it itself.",
    },
  })
  assert.equal(prepared.build(aSubject({ environment: "sandbox" })).kind, "send")
})

test("environments are those that have an endpoint", () => {
  assert.deepEqual(webhook.environments({ production: { url }, sandbox: { url } }), ["production", "sandbox"])
  assert.deepEqual(webhook.environments({ sandbox: { url } }), ["sandbox"])
  assert.deepEqual(webhook.environments({}), [])
})

test("a connector is found by its name", () => {
  assert.equal(findConnector("webhook")?.title, "Webhook")
  assert.equal(findConnector("Webhook"), undefined)
  assert.equal(findConnector("constructor"), undefined)
})
