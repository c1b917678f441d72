/**
 * HTTP message signatures (RFC 9421) over a request and the digest of its body (RFC 9530): signing, and the receiving side
 * for inboxes and `waybill listen`. Ed25519 with a `whsk_` key, HMAC-SHA256 with a `whsec_` secret.
 *
 * Covered are the method, the whole URL, the digest, the content type where there is one, and the message's id and time.
 * There is no nonce: `webhook-id` is what a receiver tells repeats by.
 */
import { createHash, createHmac, type KeyObject, sign, timingSafeEqual, verify } from "node:crypto"
import type { Header, SigningKey } from "../domain/exchange.ts"
import { keyIdOf } from "./jwk.ts"
import { keyObjectOf, TOLERANCE_SECONDS, type Verification, verifyingKey } from "./sign.ts"

/** A component of a message and its value, such as `@method` and `POST`. */
export type Component = readonly [name: string, value: string]

/** What is signed of a request. `headers` are all that go out before the signature's own. */
export interface SignedMessage {
  readonly method: string
  readonly uri: string
  readonly headers: readonly Header[]
  readonly body: Uint8Array
  /** In s since 1970. */
  readonly createdSeconds: number
  readonly keys: readonly SigningKey[]
}

const algorithms = { v1: "hmac-sha256", v1a: "ed25519" } as const

/** The headers that sign a request: one signature a key, `sig1` by the newest. */
export function signMessage({ method, uri, headers, body, createdSeconds, keys }: SignedMessage): Header[] {
  const digest = contentDigest(body)
  const headerOf = (name: string) => headers.find(header => header.name.toLowerCase() === name)?.value
  const components = componentsOf(method, uri, digest, headerOf)
  const signed = keys.map((key, i) => {
    const keyId = keyIdOf(key)
    const named = keyId === null ? "" : `;keyid="${keyId}"`
    const params = `${listOf(components)};created=${createdSeconds}${named};alg="${algorithms[key.scheme]}"`
    const signature = signBase(signatureBase(components, params), keyObjectOf(key.secret))
    return { label: `sig${i + 1}`, params, signature: signature.toString("base64") }
  })
  return [
    { name: "content-digest", value: digest },
    { name: "signature-input", value: signed.map(({ label, params }) => `${label}=${params}`).join(", ") },
    { name: "signature", value: signed.map(({ label, signature }) => `${label}=:${signature}:`).join(", ") },
  ]
}

/** What is covered, in the order in which it is signed. */
function componentsOf(
  method: string,
  uri: string,
  digest: string,
  headerOf: (name: string) => string | undefined,
): Component[] {
  const type = headerOf("content-type")
  return [
    ["@method", method],
    ["@target-uri", uri],
    ["content-digest", digest],
    ...(type === undefined ? [] : [["content-type", type.trim()] as const]),
    ["webhook-id", headerOf("webhook-id") ?? ""],
    ["webhook-timestamp", headerOf("webhook-timestamp") ?? ""],
  ]
}

function listOf(components: readonly Component[]): string {
  return `(${components.map(([name]) => `"${name}"`).join(" ")})`
}

/** The text that is signed (RFC 9421, 2.5). `params` is the inner list with its parameters, as it stands in the header. */
export function signatureBase(components: readonly Component[], params: string): string {
  return `${components.map(([name, value]) => `"${name}": ${value}\n`).join("")}"@signature-params": ${params}`
}

/** Signs such a text, by what kind of key it is. */
export function signBase(base: string, key: KeyObject): Buffer {
  if (key.type === "secret") return createHmac("sha256", key).update(base).digest()
  return sign(null, Buffer.from(base), key)
}

/** `Content-Digest` of a body (RFC 9530). */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${createHash("sha256").update(body).digest("base64")}:`
}

/** A request as its receiver has it. */
export interface ReceivedMessage {
  readonly method: string
  readonly uri: string
  /** The first value of a header by its name in lower case; undefined where there is none. */
  readonly header: (name: string) => string | undefined
  readonly body: Uint8Array
  readonly secrets: readonly string[]
  readonly nowSeconds: number
}

/**
 * Checks a request that `signMessage` signed, as its receiver would: any signature that covers all of it and fits one of
 * the secrets (`whsec_…`, `whpk_…`, `whsk_…`) is enough.
 */
export function verifyMessage(message: ReceivedMessage): Verification {
  const { method, uri, header, body, secrets, nowSeconds } = message
  for (const name of ["webhook-id", "webhook-timestamp", "content-digest", "signature-input", "signature"]) {
    if (header(name) === undefined) return { kind: "missing_header", header: name }
  }
  const timestamp = header("webhook-timestamp") ?? ""
  if (!/^\d{1,15}$/.test(timestamp)) return { kind: "bad_timestamp" }
  const ageSeconds = nowSeconds - Number(timestamp)
  if (ageSeconds > TOLERANCE_SECONDS) return { kind: "too_old", bySeconds: ageSeconds }
  if (ageSeconds < -TOLERANCE_SECONDS) return { kind: "too_new", bySeconds: -ageSeconds }
  const keys = secrets.map(verifyingKey)
  if (keys.length === 0 || keys.includes(null)) return { kind: "bad_key" }
  // Over the digest of the body that came: a header that says another one then fits no signature.
  const components = componentsOf(method, uri, contentDigest(body), header)
  const signatures = new Map(members(header("signature") ?? ""))
  const fits = members(header("signature-input") ?? "").some(([label, params]) => {
    const signature = /^:([A-Za-z0-9+/]*={0,2}):$/.exec(signatures.get(label) ?? "")?.[1]
    // The rest of the parameters is signed with it; what is covered must be all of this, no less.
    if (signature === undefined || !params.startsWith(`${listOf(components)};created=${timestamp}`)) return false
    const base = signatureBase(components, params)
    return keys.some(key => key !== null && isSignature(Buffer.from(signature, "base64"), base, key))
  })
  return { kind: fits ? "verified" : "no_match" }
}

function isSignature(given: Buffer, base: string, key: NonNullable<ReturnType<typeof verifyingKey>>): boolean {
  if (key.version === "v1a") return given.length === 64 && verify(null, Buffer.from(base), key.key, given)
  const expected = createHmac("sha256", key.key).update(base).digest()
  return given.length === expected.length && timingSafeEqual(given, expected)
}

/** The members of a dictionary (RFC 8941), as far as these headers use it: no member holds a comma outside of quotes. */
function members(text: string): [label: string, value: string][] {
  return [...text.matchAll(/([a-z*][a-z0-9_.*-]*)=((?:"(?:[^"\\]|\\.)*"|[^",])*)/g)].map(
    ([, label = "", value = ""]) => [label, value.trim()],
  )
}
