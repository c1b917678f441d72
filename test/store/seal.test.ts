import assert from "node:assert/strict"
import { createCipheriv, randomBytes } from "node:crypto"
import { describe, test } from "node:test"
import { readSealingKeys } from "../../src/domain/sealing-key.ts"
import { Ring, Seal, sealingKeyId } from "../../src/store/seal.ts"

const [older, newer, other] = [1, 2, 3].map(byte => new Uint8Array(32).fill(byte)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
]

/** As secrets were sealed before places held the project. */
function sealV1(key: Uint8Array, place: string, secret: string): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(place))
  const text = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()])
  const parts = [nonce, text, cipher.getAuthTag()].map(part => part.toString("base64url"))
  return ["v1", sealingKeyId(key), ...parts].join(".")
}

describe("a ring of keys", () => {
  test("seals with the newest, and opens what any of them has sealed", () => {
    const before = new Ring([older]).seal("t/1", "secret")
    const ring = new Ring([newer, older])
    assert.equal(ring.open("t/1", before), "secret")
    const now = ring.seal("t/1", "secret")
    assert.ok(now.startsWith(ring.prefix))
    assert.equal(new Ring([newer]).open("t/1", now), "secret")
    assert.throws(() => new Ring([older]).open("t/1", now), /sealed with a key that is not there/)
  })

  test("takes other keys in as it works", () => {
    const ring = new Ring([older])
    const before = ring.seal("t/1", "secret")
    ring.take([newer, older])
    assert.deepEqual(ring.ids, [newer, older].map(sealingKeyId))
    assert.equal(ring.open("t/1", before), "secret")
    ring.take([newer])
    assert.throws(() => ring.open("t/1", before), /not there/)
  })

  test("opens nothing of which a character was changed, or that was moved", () => {
    const ring = new Ring([older])
    const sealed = ring.seal("t/1", "a secret of some length")
    assert.throws(() => ring.open("t/2", sealed))
    for (let i = 0; i < sealed.length; i++) {
      const changed = sealed.slice(0, i) + (sealed[i] === "A" ? "B" : "A") + sealed.slice(i + 1)
      // The last character of a part may hold bits that belong to no byte.
      const isSame = changed
        .split(".")
        .every(
          (part, n) =>
            n < 2 || Buffer.from(part, "base64url").equals(Buffer.from(sealed.split(".")[n] ?? "", "base64url")),
        )
      if (isSame && changed.slice(0, 12) === sealed.slice(0, 12)) continue
      assert.throws(() => ring.open("t/1", changed), `the character ${i}`)
    }
  })

  test("opens the form of before, which was bound to a place without the project", () => {
    const ring = new Ring([older])
    const sealed = sealV1(older, "signing_key/5/1", "secret")
    assert.equal(ring.open("signing_key/9/5/1", sealed, "signing_key/5/1"), "secret")
    assert.throws(() => ring.open("signing_key/9/5/1", sealed))
    assert.throws(() => ring.open("signing_key/9/5/1", sealed.replace(/^v1/, "v3"), "signing_key/5/1"), /form/)
  })

  test("has keys of 32 bytes, and one at least", () => {
    assert.throws(() => new Ring([]), /one at least|at least/)
    assert.throws(() => new Ring([new Uint8Array(31)]), /32 bytes/)
  })
})

test("hashes stay the same when the sealing keys change", () => {
  const seal = new Seal([older], other)
  const before = seal.keyedHash("text")
  seal.take([newer])
  assert.equal(seal.keyedHash("text"), before)
  assert.equal(new Seal([newer], other).keyedHash("text"), before)
  assert.notEqual(new Seal([newer], older).keyedHash("text"), before)
})

test("keys are read from commas and lines, as base64 or hex, each once, and none where one of them is no key", () => {
  const [one, two] = [older, newer].map(key => Buffer.from(key).toString("base64"))
  const hex = Buffer.from(newer).toString("hex")
  const read = (text: string) => readSealingKeys(text)?.map(sealingKeyId)
  const ids = [older, newer].map(sealingKeyId)
  assert.deepEqual(read(`${one}`), [ids[0]])
  assert.deepEqual(read(`${one},${two}`), ids)
  assert.deepEqual(read(`${one}\n${hex}\n\n`), ids)
  assert.deepEqual(read(` ${one} , ${hex}, ${two}`), ids)
  for (const text of ["", ",", "short", `${one},short`, `${one}${two}`]) assert.equal(read(text), undefined, text)
})
