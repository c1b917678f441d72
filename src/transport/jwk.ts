/** Public keys as JSON Web Keys: Ed25519 as an octet key pair (RFC 8037), named by its thumbprint (RFC 7638). */
import { createHash } from "node:crypto"
import type { SigningKey } from "../domain/exchange.ts"
import { publicKeyOf } from "./sign.ts"

/** A public key of Ed25519. */
export interface PublicJwk {
  readonly kty: "OKP"
  readonly crv: "Ed25519"
  /** The 32 bytes of the key in base64url. */
  readonly x: string
  readonly kid: string
  readonly use: "sig"
  readonly alg: "EdDSA"
}

/** The public half of a `whsk_` key. */
export function jwkOf(secret: string): PublicJwk {
  const x = Buffer.from(publicKeyOf(secret).slice("whpk_".length), "base64").toString("base64url")
  return { kty: "OKP", crv: "Ed25519", x, kid: thumbprintOf(x), use: "sig", alg: "EdDSA" }
}

/** The thumbprint of an Ed25519 key: SHA-256 over its members that matter, in the order of their names. */
export function thumbprintOf(x: string): string {
  return createHash("sha256").update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest("base64url")
}

/**
 * What a signing key is called in `keyid` and `kid`. A symmetric one by its number, as a hash of it would let a secret
 * that somebody chose be guessed; null where it has none.
 */
export function keyIdOf({ scheme, secret, number }: SigningKey): string | null {
  if (scheme === "v1") return number === undefined ? null : String(number)
  const known = keyIds.get(secret) ?? jwkOf(secret).kid
  if (keyIds.size >= MAX_KEY_IDS) keyIds.clear()
  keyIds.set(secret, known)
  return known
}

/** Worked out once, since each request names its key. */
const keyIds = new Map<string, string>()
const MAX_KEY_IDS = 10_000
