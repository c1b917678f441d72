import assert from "node:assert/strict"
import { createHmac, randomBytes } from "node:crypto"
import { describe, test } from "node:test"
import { Webhook } from "standardwebhooks"
import { generateSecret, parseSecret, publicKeyOf, sign, verify } from "../../src/transport/sign.ts"

/** The published vectors, recomputed from the libraries of Standard Webhooks (standards 1.3). */
const vectors = [
  {
    name: "V1",
    key: { scheme: "v1", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" },
    id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
    timestampSeconds: 1614265330,
    body: '{"test": 2432232314}',
    signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  },
  {
    name: "V2",
    key: { scheme: "v1", secret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD" },
    id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
    timestampSeconds: 1649367553,
    body: '{"email":"test@example.com","username":"test_user"}',
    signature: "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
  },
  {
    name: "V3",
    key: {
      scheme: "v1a",
      secret: "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
    },
    id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
    timestampSeconds: 1614265330,
    body: '{"test": 2432232314}',
    signature: "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
  },
] as const

const [first, , third] = vectors
const PUBLIC_KEY = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="

/** V1 as its receiver sees it, with what a test changes. */
function received(
  changes: Partial<Parameters<typeof verify>[0]["headers"]> & { nowSeconds?: number; secret?: string },
) {
  const { nowSeconds = first.timestampSeconds, secret = first.key.secret, ...headers } = changes
  return verify({
    headers: { id: first.id, timestamp: String(first.timestampSeconds), signature: first.signature, ...headers },
    body: first.body,
    secrets: [secret],
    nowSeconds,
  })
}

describe("signing", () => {
  for (const { name, key, signature, ...message } of vectors) {
    test(`${name} gives the published signature`, () => {
      assert.equal(sign({ ...message, keys: [key] }), signature)
      assert.equal(sign({ ...message, body: Buffer.from(message.body), keys: [key] }), signature)
    })
  }

  test("several keys give a list with spaces, in their order", () => {
    const keys = [first.key, vectors[1].key, third.key]
    const list = sign({ id: "evt_1", timestampSeconds: 5, body: "{}", keys }).split(" ")
    assert.deepEqual(
      list,
      keys.map(key => sign({ id: "evt_1", timestampSeconds: 5, body: "{}", keys: [key] })),
    )
  })

  test("what is signed are the bytes of the body, whatever they are", () => {
    const key = randomBytes(32)
    const secret = `whsec_${key.toString("base64")}`
    const bodies = [
      Buffer.from('{"n":1.0,"m":1e2,"t":"\\u00e9"}\n'),
      Buffer.from([0xff, 0xfe, 0x00, 0x80]),
      Buffer.alloc(0),
    ]
    for (const body of bodies) {
      const expected = createHmac("sha256", key).update("evt_1.5.").update(body).digest("base64")
      assert.equal(sign({ id: "evt_1", timestampSeconds: 5, body, keys: [{ scheme: "v1", secret }] }), `v1,${expected}`)
    }
  })

  test("an id with a dot is never signed, because it could be read as another message", () => {
    assert.throws(() => sign({ id: "a.1614265330.{}", timestampSeconds: 5, body: "", keys: [first.key] }), /dot/)
  })

  test("a key of another scheme, or none, is never signed with, and the error does not hold it", () => {
    for (const key of [
      { scheme: "v1a", secret: first.key.secret },
      { scheme: "v1", secret: "whsec_geheim" },
    ] as const) {
      assert.throws(
        () => sign({ id: "evt_1", timestampSeconds: 5, body: "", keys: [key] }),
        (error: Error) => !error.message.includes(key.secret) && error.message.includes(key.scheme),
      )
    }
  })

  test("the keys of 20,000 integrations are signed with, though not all of them are kept decoded", () => {
    const secrets = Array.from({ length: 20_000 }, () => generateSecret())
    for (const secret of secrets) sign({ id: "e", timestampSeconds: 5, body: "", keys: [{ scheme: "v1", secret }] })
    const secret = secrets[0] ?? ""
    const signature = sign({ id: "e", timestampSeconds: 5, body: "x", keys: [{ scheme: "v1", secret }] })
    const headers = { id: "e", timestamp: "5", signature }
    assert.deepEqual(verify({ headers, body: "x", secrets: [secret], nowSeconds: 5 }), { kind: "verified" })
  })

  test("the public library verifies what is signed, and this side verifies what the library signs", () => {
    for (const body of ["{}", '{"name":"Žluťoučký kůň 🐎"}', "x".repeat(100_000)]) {
      const secret = generateSecret()
      const now = new Date()
      const timestampSeconds = Math.floor(now.getTime() / 1000)
      const library = new Webhook(secret)
      const ours = sign({ id: "evt_1", timestampSeconds, body, keys: [{ scheme: "v1", secret }] })
      const headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": String(timestampSeconds),
        "webhook-signature": ours,
      }
      assert.doesNotThrow(() => library.verify(body, headers, { jsonParse: false }))
      const theirs = { id: "evt_1", timestamp: String(timestampSeconds), signature: library.sign("evt_1", now, body) }
      assert.equal(verify({ headers: theirs, body, secrets: [secret], nowSeconds: timestampSeconds }).kind, "verified")
    }
  })

  test("while a secret is rotated, receivers with the old one and with the new one both verify", () => {
    const [old, fresh] = [generateSecret(), generateSecret()]
    const now = new Date()
    const timestampSeconds = Math.floor(now.getTime() / 1000)
    const keys = [fresh, old].map(secret => ({ scheme: "v1", secret }) as const)
    const signature = sign({ id: "evt_1", timestampSeconds, body: "{}", keys })
    const headers = {
      "webhook-id": "evt_1",
      "webhook-timestamp": String(timestampSeconds),
      "webhook-signature": signature,
    }
    for (const secret of [old, fresh]) assert.doesNotThrow(() => new Webhook(secret).verify("{}", headers))
    assert.throws(() => new Webhook(generateSecret()).verify("{}", headers))
  })
})

describe("verifying", () => {
  for (const { name, key, signature, ...message } of vectors) {
    test(`${name} is verified, and no other body is`, () => {
      const headers = { id: message.id, timestamp: String(message.timestampSeconds), signature }
      const request = { headers, secrets: [key.secret], nowSeconds: message.timestampSeconds }
      assert.deepEqual(verify({ ...request, body: message.body }), { kind: "verified" })
      assert.deepEqual(verify({ ...request, body: Buffer.from(message.body) }), { kind: "verified" })
      assert.deepEqual(verify({ ...request, body: `${message.body} ` }), { kind: "no_match" })
    })
  }

  test("a v1a signature is verified with the public key alone", () => {
    assert.equal(publicKeyOf(third.key.secret), PUBLIC_KEY)
    assert.deepEqual(received({ signature: third.signature, secret: PUBLIC_KEY }), { kind: "verified" })
    const { publicKey } = { publicKey: publicKeyOf(generateSecret("v1a")) }
    assert.deepEqual(received({ signature: third.signature, secret: publicKey }), { kind: "no_match" })
  })

  test("one good signature in a list is enough; unknown versions are passed over", () => {
    const bad = "v1,AAAM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert.equal(
      received({ signature: `${bad} v2,${first.signature.slice(3)} ${first.signature} ${bad}` }).kind,
      "verified",
    )
    assert.equal(received({ signature: `v2,${first.signature.slice(3)}` }).kind, "no_match")
    assert.equal(received({ signature: `v1a,${first.signature.slice(3)}` }).kind, "no_match")
  })

  test("a secret with or without its prefix, with or without padding, is the same secret", () => {
    const secret = Buffer.from("thirty-two bytes are not divisible by 3!".slice(0, 32)).toString("base64")
    const signature = sign({
      id: "e",
      timestampSeconds: 5,
      body: "",
      keys: [{ scheme: "v1", secret: `whsec_${secret}` }],
    })
    for (const spelling of [secret, `whsec_${secret}`, secret.replace("=", ""), `whsec_${secret.replace("=", "")}`]) {
      const headers = { id: "e", timestamp: "5", signature }
      assert.equal(verify({ headers, body: "", secrets: [spelling], nowSeconds: 5 }).kind, "verified", spelling)
    }
  })

  test("a header that is missing is named", () => {
    for (const [missing, header] of [
      ["id", "webhook-id"],
      ["timestamp", "webhook-timestamp"],
      ["signature", "webhook-signature"],
    ] as const) {
      for (const value of [undefined, ""]) {
        assert.deepEqual(received({ [missing]: value }), { kind: "missing_header", header })
      }
    }
  })

  test("a timestamp that is no count of seconds is refused as such", () => {
    for (const timestamp of ["hello", "161426533.0", "-161426533", "1e9", " 5", "0x5", "9".repeat(30)]) {
      assert.deepEqual(received({ timestamp }), { kind: "bad_timestamp" }, timestamp)
    }
  })

  test("a timestamp may be off by 300 seconds and no more, either way", () => {
    const at = first.timestampSeconds
    assert.deepEqual(received({ nowSeconds: at + 300 }), { kind: "verified" })
    assert.deepEqual(received({ nowSeconds: at - 300 }), { kind: "verified" })
    assert.deepEqual(received({ nowSeconds: at + 301 }), { kind: "too_old", bySeconds: 301 })
    assert.deepEqual(received({ nowSeconds: at - 301 }), { kind: "too_new", bySeconds: 301 })
  })

  test("a signature that is wrong, cut or empty does not match", () => {
    for (const signature of [
      "v1,dawfeoifkpqwoekfpqoekf",
      first.signature.slice(0, 8),
      "v1,",
      "v1",
      ",",
      " ",
      first.signature.slice(3),
    ]) {
      assert.deepEqual(received({ signature }), { kind: "no_match" }, signature)
    }
  })

  test("a secret that is none is told apart from a signature that does not match", () => {
    for (const secret of ["", "whsec_", "whsec_%", "whpk_AAAA", "whsk_AAAA", "whxx_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]) {
      assert.deepEqual(received({ secret }), { kind: "bad_key" }, secret)
    }
  })
})

describe("secrets", () => {
  test("those that are made hold 24 to 64 bytes, all different, and can be read back", () => {
    const made = Array.from({ length: 1_000 }, () => generateSecret())
    assert.equal(new Set(made).size, 1_000)
    for (const secret of made) {
      const bytes = Buffer.from(secret.slice("whsec_".length), "base64").length
      assert.ok(bytes >= 24 && bytes <= 64)
      assert.equal(parseSecret(secret).kind, "symmetric")
    }
  })

  test("an asymmetric one that is made can be read back, with its public key", () => {
    const secret = generateSecret("v1a")
    const reading = parseSecret(secret)
    assert.equal(reading.kind, "asymmetric")
    const signature = sign({ id: "e", timestampSeconds: 5, body: "x", keys: [{ scheme: "v1a", secret }] })
    const headers = { id: "e", timestamp: "5", signature }
    assert.equal(verify({ headers, body: "x", secrets: [publicKeyOf(secret)], nowSeconds: 5 }).kind, "verified")
  })

  test("a whsk_ key gives its published public key", () => {
    const reading = parseSecret(third.key.secret)
    assert.deepEqual(reading, { kind: "asymmetric", key: third.key, publicKey: PUBLIC_KEY })
  })

  const long = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString("base64")}`

  test("24 and 64 bytes are taken, 23 and 65 are not", () => {
    assert.deepEqual(
      [23, 24, 64, 65].map(bytes => parseSecret(long(bytes)).kind),
      ["invalid", "symmetric", "symmetric", "invalid"],
    )
  })

  const wrong: [secret: string, sentence: RegExp][] = [
    ["", /begins with whsec_/],
    ["w", /begins with whsec_/],
    ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", /begins with whsec_/],
    ["hwsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", /begins with whsec_/],
    ["whsec_", /holds 0 bytes/],
    ["whsec_%", /not base64/],
    ["whsec_wronglength", /not base64|bytes/],
    ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw ", /not base64/],
    [long(300), /holds 300 bytes/],
    [PUBLIC_KEY, /public key/],
    [third.key.secret.slice(0, 40), /Copy it in full|not base64/],
    [`whsk_${Buffer.alloc(64, 1).toString("base64")}`, /do not belong together/],
    ["whsk_%", /not base64/],
  ]
  for (const [secret, sentence] of wrong) {
    test(`"${secret.slice(0, 30)}" is refused with a sentence`, () => {
      const reading = parseSecret(secret)
      assert.ok(reading.kind === "invalid")
      assert.match(reading.message, sentence)
    })
  }
})
