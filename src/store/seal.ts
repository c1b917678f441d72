/**
 * Secrets at rest: AES-256-GCM, a fresh nonce each time, bound to the row they belong to, so that a ciphertext that is
 * moved or changed does not open (API-40). Form: `v1.<key id>.<nonce>.<ciphertext>.<tag>`, base64url. One key now; the
 * key's id in the text is the seam for a ring of them.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto"

export class Seal {
  readonly #key: Uint8Array
  readonly #keyId: string

  /** Takes a key of 32 bytes. */
  constructor(key: Uint8Array) {
    if (key.length !== 32) throw new Error(`A sealing key has 32 bytes, this one ${key.length}.`)
    this.#key = key
    this.#keyId = createHash("sha256").update("waybill sealing key").update(key).digest("base64url").slice(0, 8)
  }

  /** Identifies the key without giving it away: kept in the database, so that a wrong key is noticed at the start. */
  get fingerprint(): string {
    return this.#keyId
  }

  /** Seals a secret for one place, such as `integration_secret/123//production/authorization`. */
  seal(place: string, secret: string): string {
    const nonce = randomBytes(12)
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce).setAAD(Buffer.from(place))
    const text = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()])
    return ["v1", this.#keyId, ...[nonce, text, cipher.getAuthTag()].map(part => part.toString("base64url"))].join(".")
  }

  /** A hash that only the holder of the key can make: for telling whether a secret has changed without keeping it. */
  keyedHash(text: string): string {
    return createHmac("sha256", this.#key).update(text).digest("base64url")
  }

  /** Opens what was sealed for that place; throws where it was changed, moved or sealed with another key. */
  open(place: string, sealed: string): string {
    const [version, keyId, nonce = "", text = "", tag = ""] = sealed.split(".")
    if (version !== "v1" || keyId !== this.#keyId) throw new Error(`A secret at ${place} was sealed with another key.`)
    const decipher = createDecipheriv("aes-256-gcm", this.#key, Buffer.from(nonce, "base64url"), { authTagLength: 16 })
      .setAAD(Buffer.from(place))
      .setAuthTag(Buffer.from(tag, "base64url"))
    return Buffer.concat([decipher.update(Buffer.from(text, "base64url")), decipher.final()]).toString("utf8")
  }
}
