/**
 * Standard Webhooks 1.0.0: signatures over `id.timestamp.body`, `v1` with HMAC-SHA256 and `v1a` with Ed25519, their
 * secrets, and the receiving side for whoever has to check one. Works on bytes: what is signed is what is sent (SW-5).
 */
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  sign as ed25519Sign,
  verify as ed25519Verify,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from "node:crypto"
import type { SigningKey } from "../domain/exchange.ts"

/** A secret as a person typed it: fit for signing, or a sentence that says what is wrong with it. */
export type SecretReading =
  | { readonly kind: "symmetric"; readonly key: SigningKey }
  /** `publicKey` (`whpk_…`) is what the receiver is given. */
  | { readonly kind: "asymmetric"; readonly key: SigningKey; readonly publicKey: string }
  | { readonly kind: "invalid"; readonly message: string }

/** What a receiver finds. */
export type Verification =
  | { readonly kind: "verified" }
  | { readonly kind: "missing_header"; readonly header: string }
  | { readonly kind: "bad_timestamp" }
  | { readonly kind: "too_old" | "too_new"; readonly bySeconds: number }
  | { readonly kind: "no_match" }
  | { readonly kind: "bad_key" }

/** The three headers of a signed request, undefined where one was not there. */
export interface SignedHeaders {
  readonly id: string | undefined
  readonly timestamp: string | undefined
  readonly signature: string | undefined
}

const MIN_KEY_BYTES = 24
const MAX_KEY_BYTES = 64
const GENERATED_KEY_BYTES = 32
/** How far a signature's time may be from the receiver's clock (SW-12). */
export const TOLERANCE_SECONDS = 300
const MAX_CACHED_KEYS = 10_000

/** DER around the 32-byte seed of an Ed25519 private key (PKCS#8), and around a 32-byte public key (SPKI): RFC 8410. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex")
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex")

/**
 * The value of `webhook-signature`: one signature a key, separated by spaces, so that receivers can change secrets
 * without losing anything (SW-10, SW-11). Throws where the id holds a dot or a key is none: both were checked when they
 * were made, and a signature that says something else must never leave (SW-6).
 */
export function sign(message: {
  readonly id: string
  readonly timestampSeconds: number
  readonly body: string | Uint8Array
  readonly keys: readonly SigningKey[]
}): string {
  if (message.id.includes(".")) throw new Error("a message id with a dot in it cannot be signed")
  const prefix = `${message.id}.${message.timestampSeconds}.`
  let list = ""
  for (const key of message.keys) {
    const signature = `${key.scheme},${signatureOf(key, prefix, message.body)}`
    list = list === "" ? signature : `${list} ${signature}`
  }
  return list
}

/**
 * Checks a signed request as its receiver would: any signature that fits one of the secrets is enough, unknown versions
 * are passed over. `secrets` are `whsec_…` (with or without prefix), `whpk_…` or `whsk_…`; times in seconds.
 */
export function verify(request: {
  readonly headers: SignedHeaders
  readonly body: string | Uint8Array
  readonly secrets: readonly string[]
  readonly nowSeconds: number
}): Verification {
  const { id, timestamp, signature } = request.headers
  if (!id) return { kind: "missing_header", header: "webhook-id" }
  if (!timestamp) return { kind: "missing_header", header: "webhook-timestamp" }
  if (!signature) return { kind: "missing_header", header: "webhook-signature" }
  if (!/^\d{1,15}$/.test(timestamp)) return { kind: "bad_timestamp" }
  const ageSeconds = request.nowSeconds - Number(timestamp)
  if (ageSeconds > TOLERANCE_SECONDS) return { kind: "too_old", bySeconds: ageSeconds }
  if (ageSeconds < -TOLERANCE_SECONDS) return { kind: "too_new", bySeconds: -ageSeconds }

  const keys = request.secrets.map(verifyingKey)
  if (keys.length === 0 || keys.includes(null)) return { kind: "bad_key" }
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), Buffer.from(request.body)])
  const fits = signature.split(" ").some(part => keys.some(key => key !== null && isSignature(part, key, signed)))
  return { kind: fits ? "verified" : "no_match" }
}

/** A new secret: 32 random bytes as `whsec_…` for `v1`, an Ed25519 key pair as `whsk_…` for `v1a`. */
export function generateSecret(scheme: SigningKey["scheme"] = "v1"): string {
  if (scheme === "v1") return `whsec_${randomBytes(GENERATED_KEY_BYTES).toString("base64")}`
  const { privateKey } = generateKeyPairSync("ed25519")
  const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(PKCS8_PREFIX.length)
  return `whsk_${Buffer.concat([seed, publicBytes(privateKey)]).toString("base64")}`
}

/** Reads a secret that a user brings (SW-8): 24 to 64 bytes after `whsec_`, or a whole key pair after `whsk_`. */
export function parseSecret(text: string): SecretReading {
  if (text.startsWith("whpk_")) {
    return invalid("This is a public key (whpk_…), which can only check signatures. Give the private key (whsk_…).")
  }
  if (text.startsWith("whsk_")) return parsePrivateKey(text)
  if (!text.startsWith("whsec_")) {
    return invalid("A secret begins with whsec_ (or whsk_ for an asymmetric key), followed by base64.")
  }
  const bytes = fromBase64(text.slice("whsec_".length))
  if (bytes === null) return invalid("What follows whsec_ is not base64. Copy the secret again, in full.")
  if (bytes.length < MIN_KEY_BYTES || bytes.length > MAX_KEY_BYTES) {
    return invalid(
      `The secret holds ${bytes.length} bytes after whsec_; ${MIN_KEY_BYTES} to ${MAX_KEY_BYTES} are needed. Copy it in full or take a new one.`,
    )
  }
  return { kind: "symmetric", key: { scheme: "v1", secret: text } }
}

/** The public half (`whpk_…`) of a `whsk_…` key; throws where the text is no such key. */
export function publicKeyOf(secret: string): string {
  const reading = parseSecret(secret)
  if (reading.kind !== "asymmetric") throw new Error("only a whsk_ key has a public key")
  return reading.publicKey
}

function parsePrivateKey(text: string): SecretReading {
  const bytes = fromBase64(text.slice("whsk_".length))
  if (bytes === null) return invalid("What follows whsk_ is not base64. Copy the key again, in full.")
  if (bytes.length !== 64) {
    return invalid(
      `A whsk_ key holds 64 bytes (private and public half); this one has ${bytes.length}. Copy it in full.`,
    )
  }
  const derived = publicBytes(privateKeyOf(bytes))
  if (!derived.equals(bytes.subarray(32))) {
    return invalid("The two halves of this whsk_ key do not belong together. Copy it again, in full.")
  }
  return { kind: "asymmetric", key: { scheme: "v1a", secret: text }, publicKey: `whpk_${derived.toString("base64")}` }
}

/** Keys once decoded, oldest first; a second delivery with the same secret pays for its HMAC alone. */
const decodedKeys = new Map<string, KeyObject>()

function signatureOf(key: SigningKey, prefix: string, body: string | Uint8Array): string {
  const decoded = keyObjectOf(key.secret)
  if ((decoded.type === "secret") !== (key.scheme === "v1")) throw new Error(`the signing key is no ${key.scheme} key`)
  if (key.scheme === "v1") return createHmac("sha256", decoded).update(prefix).update(body).digest("base64")
  return ed25519Sign(null, Buffer.concat([Buffer.from(prefix), Buffer.from(body)]), decoded).toString("base64")
}

/** A secret as a key: symmetric of `whsec_…`, private of `whsk_…`; throws where it is neither. */
export function keyObjectOf(secret: string): KeyObject {
  return decodedKeys.get(secret) ?? decodeKey(secret)
}

function decodeKey(secret: string): KeyObject {
  const reading = parseSecret(secret)
  if (reading.kind === "invalid") throw new Error("the signing key is no v1 or v1a key")
  const bytes = Buffer.from(secret.slice(secret.indexOf("_") + 1), "base64")
  const decoded = reading.kind === "symmetric" ? createSecretKey(bytes) : privateKeyOf(bytes)
  if (decodedKeys.size >= MAX_CACHED_KEYS) forgetOldestKey()
  decodedKeys.set(secret, decoded)
  return decoded
}

function forgetOldestKey(): void {
  for (const secret of decodedKeys.keys()) {
    decodedKeys.delete(secret)
    return
  }
}

/** What a receiver checks signatures with. */
export type VerifyingKey =
  | { readonly version: "v1"; readonly key: Buffer }
  | { readonly version: "v1a"; readonly key: KeyObject }

/** Lenient where `parseSecret` is strict: the receiver's secret was given to it, it does not choose one. */
export function verifyingKey(secret: string): VerifyingKey | null {
  const [, prefix = "", encoded = ""] = /^(wh[a-z]+_)?(.*)$/s.exec(secret) ?? []
  const bytes = fromBase64(encoded)
  if (bytes === null || bytes.length === 0) return null
  if (prefix === "" || prefix === "whsec_") return { version: "v1", key: bytes }
  const half = prefix === "whsk_" && bytes.length === 64 ? bytes.subarray(32) : bytes
  if ((prefix !== "whpk_" && prefix !== "whsk_") || half.length !== 32) return null
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, half]), format: "der", type: "spki" })
  return { version: "v1a", key }
}

function isSignature(part: string, key: VerifyingKey, signed: Buffer): boolean {
  const comma = part.indexOf(",")
  if (part.slice(0, comma) !== key.version) return false
  const given = Buffer.from(part.slice(comma + 1), "base64")
  if (key.version === "v1a") return given.length === 64 && ed25519Verify(null, signed, key.key, given)
  const expected = createHmac("sha256", key.key).update(signed).digest()
  return given.length === expected.length && timingSafeEqual(given, expected)
}

function privateKeyOf(bytes: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, bytes.subarray(0, 32)]), format: "der", type: "pkcs8" })
}

function publicBytes(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ format: "der", type: "spki" }).subarray(SPKI_PREFIX.length)
}

/** The bytes of a base64 text, with or without padding; null where it is none. Node itself passes over what it cannot read. */
function fromBase64(text: string): Buffer | null {
  const bare = text.replace(/={1,2}$/, "")
  if (!/^[A-Za-z0-9+/]*$/.test(bare) || bare.length % 4 === 1) return null
  return Buffer.from(bare, "base64")
}

function invalid(message: string): SecretReading {
  return { kind: "invalid", message }
}
