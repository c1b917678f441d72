/** Credentials beyond the header: what of them is refused when they are saved, with which words, and what is verified anew. */
import assert from "node:assert/strict"
import { generateKeyPairSync } from "node:crypto"
import { before, describe, test } from "node:test"
import { faultsOfBody } from "../../src/api/validation.ts"
import { madeOfSecrets } from "../../src/connectors/auth-settings.ts"
import type { Settings } from "../../src/connectors/connector.ts"
import { splitSecrets } from "../../src/connectors/secrets.ts"
import { identityOf } from "../../src/connectors/tls-settings.ts"
import { webhook } from "../../src/connectors/webhook.ts"
import { type WebhookSettings, webhookSettings } from "../../src/connectors/webhook-settings.ts"
import { authority, leaf, type Pair } from "../help/certificates.ts"

const url = "https://crm.example/hook"
const DAY_MS = 86_400_000

const basic = { kind: "basic", username: "waybill", password: "s3cret" } as const
const oauth2 = {
  kind: "oauth2",
  token_url: "https://auth.example/token",
  client_id: "waybill",
  client_secret: "s3cret",
  client_auth: "basic",
} as const

/** Faults of the schema, or of `check` where the schema has none, as `pointer message`. */
function faultsOf(endpoint: Settings, more: Settings = {}): string[] {
  const config = { production: { url, ...endpoint }, ...more }
  const shape = faultsOfBody(webhookSettings, config)
  const faults = shape.length > 0 ? shape : webhook.check(config as WebhookSettings, Date.now())
  return faults.map(({ pointer, message }) => `${pointer} ${message}`)
}

function assertRefused(endpoint: Settings, pointer: string, words: RegExp): void {
  const [fault = "(nothing)", ...more] = faultsOf(endpoint)
  assert.deepEqual(more, [])
  assert.equal(fault.slice(0, fault.indexOf(" ")), `/production${pointer}`, fault)
  assert.match(fault, words)
}

describe("auth", () => {
  test("is one of its kinds, whole, and its faults are that kind's alone", () => {
    assert.deepEqual(faultsOf({ auth: basic }), [])
    assert.deepEqual(faultsOf({ auth: oauth2 }), [])
    assert.deepEqual(faultsOf({ auth: { ...oauth2, scope: "a.b c:d", audience: "https://crm.example" } }), [])
    assertRefused({ auth: {} }, "/auth/kind", /is missing/)
    assertRefused({ auth: { kind: "digest" } }, "/auth/kind", /"basic" or "oauth2"/)
    assertRefused({ auth: { kind: "basic", username: "a" } }, "/auth/password", /is missing/)
    assertRefused({ auth: { ...basic, client_id: "x" } }, "/auth/client_id", /known are kind, username, password/)
    const { client_auth: _, ...without } = oauth2
    assertRefused({ auth: without }, "/auth/client_auth", /is missing/)
    assertRefused({ auth: { ...oauth2, client_auth: "jwt" } }, "/auth/client_auth", /"basic" or "post"/)
    assertRefused({ auth: { ...oauth2, password: "x" } }, "/auth/password", /not a field/)
    assertRefused({ auth: "Basic abc" }, "/auth", /an object/)
  })

  test("stands in place of authorization, not beside it", () => {
    assertRefused({ auth: basic, authorization: "Token abc" }, "/auth", /Both authorization and auth/)
  })

  test("by user name and password takes any text but what would break out of it", () => {
    for (const [username, password] of [
      ["key", ""],
      ["", "secret"],
      ["wäybill", "pä:ss wörd 😀"],
    ]) {
      assert.deepEqual(faultsOf({ auth: { kind: "basic", username, password } }), [])
    }
    assertRefused({ auth: { ...basic, username: "", password: "" } }, "/auth/username", /user name or a password/)
    assertRefused({ auth: { ...basic, username: "a:b" } }, "/auth/username", /colon/)
    assertRefused({ auth: { ...basic, username: "a\n" } }, "/auth/username", /line break/)
    assertRefused(
      { auth: { ...basic, password: "hunter2\u0000" } },
      "/auth/password",
      /^(?!.*hunter2).*control character/,
    )
  })

  test("by OAuth 2.0 has a token URL like every other URL, and printable texts", () => {
    assertRefused({ auth: { ...oauth2, token_url: "auth.example" } }, "/auth/token_url", /Begin the URL with https/)
    assertRefused(
      { auth: { ...oauth2, token_url: "https://u:p@auth.example/" } },
      "/auth/token_url",
      /user name or password/,
    )
    assertRefused(
      { auth: { ...oauth2, client_secret: "hunter2é" } },
      "/auth/client_secret",
      /^(?!.*hunter2).*printable/,
    )
    assertRefused({ auth: { ...oauth2, client_id: "a\nb" } }, "/auth/client_id", /printable/)
    for (const scope of ["a  b", " a", 'a"b', "é"]) {
      assertRefused({ auth: { ...oauth2, scope } }, "/auth/scope", /one space between/)
    }
  })
})

describe("tls", () => {
  let trusted: Pair
  let anna: Pair
  let ben: Pair
  before(async () => {
    trusted = await authority("an authority")
    anna = await leaf("anna", { by: trusted })
    ben = await leaf("ben", { by: trusted })
  })

  test("takes a client certificate with its key, with its chain, and own authorities with or without it", () => {
    assert.deepEqual(faultsOf({ tls: { certificate: anna.cert, key: anna.key } }), [])
    assert.deepEqual(
      faultsOf({ tls: { certificate: `${anna.cert}\n${trusted.cert}`, key: anna.key, ca: trusted.cert } }),
      [],
    )
    assert.deepEqual(faultsOf({ tls: { ca: `# our own\n${trusted.cert}\n\n${trusted.cert}` } }), [])
    assert.deepEqual(faultsOf({ tls: { certificate: anna.cert.replaceAll("\n", "\r\n"), key: anna.key } }), [])
  })

  test("is refused where a part is missing, or cannot be read", () => {
    assertRefused({ tls: {} }, "/tls", /at least 1/)
    assertRefused({ tls: { certificate: anna.cert } }, "/tls/key", /needs its private key/)
    assertRefused({ tls: { key: anna.key } }, "/tls/certificate", /needs its certificate/)
    assertRefused({ tls: { certificate: "hello", key: anna.key } }, "/tls/certificate", /no certificate in PEM/)
    const cut = anna.cert.replace(/\n[^\n]+\n-----END/, "\n-----END")
    assertRefused({ tls: { certificate: cut, key: anna.key } }, "/tls/certificate", /Certificate 1 of 1 cannot be read/)
    assertRefused({ tls: { certificate: anna.cert, key: "hello" } }, "/tls/key", /no private key in PEM/)
    assertRefused({ tls: { certificate: anna.cert, key: anna.cert } }, "/tls/key", /no private key in PEM/)
    assertRefused({ tls: { ca: anna.key } }, "/tls/ca", /private key stands among/)
    assertRefused({ tls: { ca: Array(21).fill(trusted.cert).join("\n") } }, "/tls/ca", /20 are the most/)
    assertRefused({ tls: { ca: trusted.cert, verify: false } }, "/tls/verify", /not a field/)
  })

  test("is refused where certificate and key are no pair, or in the wrong order", () => {
    assertRefused({ tls: { certificate: anna.cert, key: ben.key } }, "/tls/certificate", /do not belong together/)
    const chain = `${trusted.cert}\n${anna.cert}`
    assertRefused({ tls: { certificate: chain, key: anna.key } }, "/tls/certificate", /has to stand first/)
  })

  test("is refused where the key is encrypted or too short, and the words say how to mend it", () => {
    const encrypted = generateKeyPairSync("ed25519", {
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "hunter2" },
    }).privateKey
    assertRefused({ tls: { certificate: anna.cert, key: encrypted } }, "/tls/key", /passphrase.*openssl pkey/)
    const old = generateKeyPairSync("rsa", {
      modulusLength: 2_048,
      publicKeyEncoding: { type: "pkcs1", format: "pem" },
      privateKeyEncoding: { type: "pkcs1", format: "pem", cipher: "aes-128-cbc", passphrase: "hunter2" },
    }).privateKey
    assertRefused({ tls: { certificate: anna.cert, key: old } }, "/tls/key", /passphrase/)
    const short = generateKeyPairSync("rsa", {
      modulusLength: 1_024,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    }).privateKey
    const [fault = ""] = faultsOf({ tls: { certificate: anna.cert, key: short } })
    assert.match(fault, /1024 bits; 2048 are the least/)
  })

  test("is refused where it has run out when it is saved, and taken as it is later on", async () => {
    const expired = await leaf("anna", { by: trusted, fromMs: Date.now() - 9 * DAY_MS, untilMs: Date.now() - DAY_MS })
    const tls = { certificate: expired.cert, key: expired.key }
    assertRefused({ tls }, "/tls/certificate", /has expired on \d{4}-\d\d-\d\d/)
    assertRefused({ tls: { ca: expired.cert } }, "/tls/ca", /has expired/)
    const settings: WebhookSettings = { production: { url, tls } }
    assert.deepEqual(webhook.check(settings), [])
  })

  test("needs a URL with TLS", () => {
    assertRefused({ url: "http://crm.example/hook", tls: { ca: trusted.cert } }, "/tls", /Begin it with https/)
  })

  test("is another identity as soon as any part of it is another", () => {
    const tls = { certificate: anna.cert, key: anna.key, ca: trusted.cert }
    const all = [tls, { ...tls, ca: ben.cert }, { certificate: anna.cert, key: anna.key }, { ca: trusted.cert }]
    assert.equal(new Set(all.map(one => identityOf(one).digest)).size, all.length)
    assert.equal(identityOf({ ...tls }).digest, identityOf(tls).digest)
  })
})

test("passwords, client secrets and private keys are kept apart, and nothing else of the credentials", () => {
  const config = {
    production: { url, auth: basic },
    sandbox: { url, auth: oauth2, tls: { certificate: "C", key: "K", ca: "A" } },
  }
  const { shown, secrets } = splitSecrets(webhookSettings, config)
  assert.deepEqual(
    [...secrets.keys()],
    ["/production/auth/password", "/sandbox/auth/client_secret", "/sandbox/tls/key"],
  )
  assert.doesNotMatch(JSON.stringify(shown), /s3cret|"K"/)
  assert.deepEqual(madeOfSecrets(config), [`Basic ${Buffer.from("waybill:s3cret").toString("base64")}`])
  assert.deepEqual(madeOfSecrets({ verification: "none" }), [])
})

test("an endpoint is verified anew where its credentials change, and not where only their order does", () => {
  const fingerprint = (endpoint: object) =>
    webhook.verification?.fingerprint(
      { production: { url, ...endpoint } } as WebhookSettings,
      "production",
      text => text,
    )
  const { kind, ...rest } = oauth2
  const tls = { certificate: "C", key: "K" }
  const different = [
    ...[{}, { auth: basic }, { auth: { ...basic, password: "other" } }, { auth: oauth2 }],
    ...[{ auth: { ...oauth2, scope: "a" } }, { tls }, { tls: { ...tls, ca: "A" } }, { auth: oauth2, tls }],
  ]
  assert.equal(new Set(different.map(fingerprint)).size, different.length)
  assert.equal(fingerprint({ auth: { ...rest, kind } }), fingerprint({ auth: oauth2 }))
  assert.equal(fingerprint({}), JSON.stringify([url, null, []]), "those without any stay verified as they were")
})

describe("the signature rfc9421", () => {
  test("has a choice of algorithm, which no other scheme has", () => {
    for (const algorithm of ["ed25519", "hmac-sha256"]) {
      assert.deepEqual(faultsOf({}, { signature: { scheme: "rfc9421", algorithm } }), [])
    }
    const [fault = ""] = faultsOf({}, { signature: { scheme: "v1", algorithm: "ed25519" } })
    assert.match(fault, /^\/signature\/algorithm Only the scheme rfc9421/)
  })

  test("takes its headers for itself, which other schemes leave to the owner", () => {
    for (const name of ["Signature", "signature-input", "Content-Digest"]) {
      const headers = { [name]: "x" }
      assert.deepEqual(faultsOf({ headers }), [])
      const [fault = ""] = faultsOf({ headers }, { signature: { scheme: "rfc9421" } })
      assert.match(fault, /carries the signature of the scheme rfc9421/)
    }
  })
})
