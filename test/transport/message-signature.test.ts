/** HTTP message signatures: the vectors of RFC 9421, what goes out held against a check written from the text, refusals. */
import assert from "node:assert/strict"
import { createPrivateKey, createPublicKey, createSecretKey, sign, verify, type webcrypto } from "node:crypto"
import { describe, test } from "node:test"
import type { OutboundRequest, SigningKey } from "../../src/domain/exchange.ts"
import { jwkOf, keyIdOf, thumbprintOf } from "../../src/transport/jwk.ts"
import { contentDigest, signatureBase, signBase, verifyMessage } from "../../src/transport/message-signature.ts"
import { generateSecret, publicKeyOf } from "../../src/transport/sign.ts"
import { Endpoint, type Received } from "../help/endpoint.ts"
import { checkMessage, type Keys, type WireMessage } from "../help/message-verifier.ts"
import { freshTransport, limits, post, summary } from "../help/outbound.ts"

const NOW = 1_795_262_268_000

/** The test request of RFC 9421, B.2. */
const message = {
  "@method": "POST",
  "@path": "/foo",
  "@authority": "example.com",
  date: "Tue, 20 Apr 2021 02:07:55 GMT",
  "content-type": "application/json",
  "content-length": "18",
} as const

function base(names: readonly (keyof typeof message)[], keyId: string): string {
  const list = names.map(name => `"${name}"`).join(" ")
  const params = `(${list});created=1618884473;keyid="${keyId}"`
  return signatureBase(
    names.map(name => [name, message[name]]),
    params,
  )
}

describe("the vectors of RFC 9421", () => {
  test("B.2.5: HMAC-SHA256 over its components", () => {
    const key = createSecretKey(
      Buffer.from("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==", "base64"),
    )
    const text = base(["date", "@authority", "content-type"], "test-shared-secret")
    assert.equal(signBase(text, key).toString("base64"), "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=")
  })

  test("B.2.6: Ed25519 over its components", () => {
    const key = createPrivateKey(
      "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----\n",
    )
    const names = ["date", "@method", "@path", "@authority", "content-type", "content-length"] as const
    const signature = signBase(base(names, "test-key-ed25519"), key).toString("base64")
    assert.equal(signature, "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==")
  })

  test("2.5: the base has a line a component, and ends with the parameters", () => {
    assert.equal(
      base(["date", "@authority", "content-type"], "test-shared-secret"),
      [
        '"date": Tue, 20 Apr 2021 02:07:55 GMT',
        '"@authority": example.com',
        '"content-type": application/json',
        '"@signature-params": ("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
      ].join("\n"),
    )
  })

  test("RFC 9530: the digest of a body, also of an empty one", () => {
    assert.equal(
      contentDigest(Buffer.from('{"hello": "world"}')),
      "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
    )
    assert.equal(contentDigest(new Uint8Array(0)), "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:")
  })
})

describe("a key set", () => {
  test("names an Ed25519 key by its thumbprint: the example of RFC 8037, A.3", () => {
    assert.equal(
      thumbprintOf("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
      "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    )
  })

  test("holds keys that Node's own crypto takes and verifies with", () => {
    const secret = generateSecret("v1a")
    const jwk = jwkOf(secret)
    const seed = Buffer.from(secret.slice(5), "base64").subarray(0, 32)
    const own = createPrivateKey({
      key: { kty: "OKP", crv: "Ed25519", x: jwk.x, d: seed.toString("base64url") },
      format: "jwk",
    })
    const signature = sign(null, Buffer.from("text"), own)
    const key = createPublicKey({ key: { ...jwk } as webcrypto.JsonWebKey, format: "jwk" })
    assert.ok(verify(null, Buffer.from("text"), key, signature))
    assert.equal("d" in jwk, false)
  })

  test("says nothing of symmetric keys, whose name is their number", () => {
    const secret = generateSecret("v1")
    assert.throws(() => jwkOf(secret))
    assert.equal(keyIdOf({ scheme: "v1", secret, number: 7 }), "7")
    assert.equal(keyIdOf({ scheme: "v1", secret }), null)
  })
})

const asymmetric: SigningKey[] = [2, 1].map(number => ({ scheme: "v1a", secret: generateSecret("v1a"), number }))
const symmetric: SigningKey[] = [2, 1].map(number => ({ scheme: "v1", secret: generateSecret("v1"), number }))

/** All keys, as a receiver has them. */
const keys: Keys = Object.fromEntries([
  ...asymmetric.map(({ secret }) => [jwkOf(secret).kid, { ...jwkOf(secret) }]),
  ...symmetric.map(({ secret, number }) => [String(number), Buffer.from(secret.slice("whsec_".length), "base64")]),
])

function wireOf(received: Received, endpoint: Endpoint): WireMessage {
  const { method, path, rawHeaders, body } = received
  return { method, rawHeaders, body, targetUri: `http://127.0.0.1:${endpoint.port}${path}` }
}

async function sent(signing: readonly SigningKey[], changes: Partial<OutboundRequest> = {}) {
  await using transport = freshTransport({ now: () => NOW })
  await using there = await Endpoint.open()
  const request = post(there.url("/hook?a=1&b=%20x"), {
    signature: { id: "evt_1", keys: signing, form: "rfc9421" },
    ...changes,
  })
  assert.equal(summary(await transport.send(request, limits())), "answered 200")
  const [received] = there.requests
  assert.ok(received !== undefined)
  return { received, wire: wireOf(received, there) }
}

describe("what goes out", () => {
  for (const [algorithm, signing] of [
    ["ed25519", asymmetric],
    ["hmac-sha256", symmetric],
  ] as const) {
    test(`verifies by the text of the RFC, with each of the keys that sign: ${algorithm}`, async () => {
      const body = '{"n":1.0,"e":1e2,"u":"\\u00e9","é":"\\n"}\n'
      const { received, wire } = await sent(signing, { body })
      const checked = checkMessage(wire, keys)
      assert.deepEqual(
        checked.map(({ label, verified }) => [label, verified]),
        [
          ["sig1", true],
          ["sig2", true],
        ],
      )
      for (const { components, parameters } of checked) {
        assert.deepEqual(components, [
          ...["@method", "@target-uri", "content-digest", "content-type", "webhook-id", "webhook-timestamp"],
        ])
        assert.deepEqual([parameters["created"], parameters["alg"]], [NOW / 1_000, algorithm])
        assert.equal("nonce" in parameters, false)
      }
      assert.equal(received.headers["webhook-signature"], undefined)
      assert.equal(received.body.toString(), body)
    })
  }

  test("covers what is there: without a content type, without a body, with bytes that are no text", async () => {
    const empty = await sent(asymmetric, { headers: [], body: "" })
    const [bare] = checkMessage(empty.wire, keys)
    assert.deepEqual([bare?.verified, bare?.components.includes("content-type")], [true, false])
    const bytes = await sent(asymmetric, { body: new Uint8Array([0, 255, 254, 10]) })
    assert.equal(checkMessage(bytes.wire, keys)[0]?.verified, true)
  })

  test("no longer verifies where anything that is covered was changed", async () => {
    const { wire } = await sent(asymmetric)
    const changed = (name: string, value: string): WireMessage => ({
      ...wire,
      rawHeaders: wire.rawHeaders.map((text, i) => (wire.rawHeaders[i - 1]?.toLowerCase() === name ? value : text)),
    })
    assert.throws(() => checkMessage({ ...wire, body: Buffer.from("{ }") }, keys), /digest/)
    const others = [
      { ...wire, method: "PUT" },
      { ...wire, targetUri: `${wire.targetUri}x` },
      changed("content-type", "text/plain"),
      changed("webhook-id", "evt_2"),
      changed("webhook-timestamp", "1"),
    ]
    for (const other of others) for (const { verified } of checkMessage(other, keys)) assert.equal(verified, false)
  })

  test("takes no header of its own from anybody else", async () => {
    await using transport = freshTransport()
    for (const name of ["Signature", "signature-input", "Content-Digest", "webhook-id", "webhook-timestamp"]) {
      const request = post("http://127.0.0.1:9/", {
        headers: [{ name, value: "x" }],
        signature: { id: "evt_1", keys: asymmetric, form: "rfc9421" },
      })
      assert.equal(summary(await transport.send(request, limits())), "broken CONFIG_INVALID in send")
    }
  })
})

describe("the receiving side of our own", () => {
  const check = async (changes: object = {}, signing = asymmetric) => {
    const { received, wire } = await sent(signing)
    return verifyMessage({
      method: wire.method,
      uri: wire.targetUri,
      header: name => received.headers[name],
      body: wire.body,
      secrets: signing.map(({ secret }) => secret),
      nowSeconds: NOW / 1_000,
      ...changes,
    }).kind
  }

  test("verifies with a secret, a private key, a public key, and with one of two during a rotation", async () => {
    assert.equal(await check(), "verified")
    assert.equal(await check({}, symmetric), "verified")
    const [newest, old] = asymmetric
    assert.equal(await check({ secrets: [publicKeyOf(old?.secret ?? "")] }), "verified")
    assert.equal(await check({ secrets: [publicKeyOf(newest?.secret ?? "")] }), "verified")
  })

  test("refuses another key, another body, another place and another time", async () => {
    assert.equal(await check({ secrets: [generateSecret("v1a")] }), "no_match")
    assert.equal(await check({ secrets: [generateSecret("v1")] }), "no_match")
    assert.equal(await check({ body: Buffer.from("{ }") }), "no_match")
    assert.equal(await check({ uri: "http://127.0.0.1:1/hook" }), "no_match")
    assert.equal(await check({ method: "PUT" }), "no_match")
    assert.equal(await check({ nowSeconds: NOW / 1_000 + 300 }), "verified")
    assert.equal(await check({ nowSeconds: NOW / 1_000 + 301 }), "too_old")
    assert.equal(await check({ nowSeconds: NOW / 1_000 - 301 }), "too_new")
    assert.equal(await check({ secrets: ["whsec_%"] }), "bad_key")
    assert.equal(await check({ secrets: [] }), "bad_key")
  })

  test("refuses a signature that covers less, and what is no signature at all", async () => {
    const { received, wire } = await sent(asymmetric)
    const [key] = asymmetric
    const params = `("@method");created=${NOW / 1_000};keyid="${keyIdOf(key as SigningKey)}"`
    const narrow = sign(
      null,
      Buffer.from(signatureBase([["@method", "POST"]], params)),
      createPrivateKey({
        key: Buffer.concat([
          Buffer.from("302e020100300506032b657004220420", "hex"),
          Buffer.from(key?.secret.slice(5) ?? "", "base64").subarray(0, 32),
        ]),
        format: "der",
        type: "pkcs8",
      }),
    ).toString("base64")
    const verdict = (headers: Readonly<Record<string, string>>) =>
      verifyMessage({
        method: wire.method,
        uri: wire.targetUri,
        header: name => headers[name] ?? received.headers[name],
        body: wire.body,
        secrets: asymmetric.map(({ secret }) => secret),
        nowSeconds: NOW / 1_000,
      }).kind
    assert.equal(verdict({}), "verified")
    assert.equal(verdict({ "signature-input": `sig1=${params}`, signature: `sig1=:${narrow}:` }), "no_match")
    assert.equal(verdict({ signature: "sig1=::" }), "no_match")
    assert.equal(verdict({ signature: "" }), "no_match")
    assert.equal(verdict({ "signature-input": "(((" }), "no_match")
    assert.equal(verdict({ "signature-input": `x="${"a,".repeat(1_000)}` }), "no_match")
    assert.equal(verdict({ "webhook-timestamp": "soon" }), "bad_timestamp")
  })

  test("names the header that is missing", () => {
    const verdict = verifyMessage({
      method: "POST",
      uri: "",
      header: () => undefined,
      body: new Uint8Array(0),
      secrets: [],
      nowSeconds: 0,
    })
    assert.deepEqual(verdict, { kind: "missing_header", header: "webhook-id" })
  })
})
