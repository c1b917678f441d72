/**
 * Secrets at rest: AES-256-GCM, a fresh nonce each time, bound to the row they belong to, so that a ciphertext that is
 * moved or changed does not open (API-40). Form: `v2.<key id>.<nonce>.<ciphertext>.<tag>`, base64url. The newest key of the
 * ring seals, and each opens what it has sealed: so keys are changed while everything works (API-41).
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto"

/** Characters of a sealed text that say with which key, and in which form: `v2.<key id>.` */
export const PREFIX_LENGTH = 12

/** Identifies a key without giving it away: 8 characters of base64url. */
export function sealingKeyId(key: Uint8Array): string {
  return createHash("sha256").update("waybill sealing key").update(key).digest("base64url").slice(0, 8)
}

/** Keys by their ids, newest first. */
export class Ring {
  #keys: ReadonlyMap<string, Uint8Array>
  #newest: readonly [id: string, key: Uint8Array]

  /** Takes keys of 32 bytes, newest first; there has to be one. */
  constructor(keys: readonly Uint8Array[]) {
    ;[this.#keys, this.#newest] = ringOf(keys)
  }

  /** Takes other keys in the place of those that it has. */
  take(keys: readonly Uint8Array[]): void {
    ;[this.#keys, this.#newest] = ringOf(keys)
  }

  /** Ids of the keys, newest first. */
  get ids(): readonly string[] {
    return [...this.#keys.keys()]
  }

  /** The id of the key that seals. */
  get newest(): string {
    return this.#newest[0]
  }

  /** How a text begins that was sealed with the newest key. */
  get prefix(): string {
    return `v2.${this.newest}.`
  }

  /** Seals a secret for one place, such as `signing_key/4/123/1`: a table, the project where there is one, and the row's key. */
  seal(place: string, secret: string): string {
    const [id, key] = this.#newest
    const nonce = randomBytes(12)
    const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(place))
    const text = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()])
    return ["v2", id, ...[nonce, text, cipher.getAuthTag()].map(part => part.toString("base64url"))].join(".")
  }

  /**
   * Opens what was sealed for that place; throws where it was changed, moved, or sealed with a key that is not there.
   * `placeOfV1` is what texts of the form `v1` were bound to where that was another: it lacked the project.
   */
  open(place: string, sealed: string, placeOfV1 = place): string {
    const [version, id = "", nonce = "", text = "", tag = ""] = sealed.split(".")
    const key = this.#keys.get(id)
    if (key === undefined) throw new Error(`A secret at ${place} was sealed with a key that is not there (${id}).`)
    if (version !== "v2" && version !== "v1") throw new Error(`A secret at ${place} has a form that is not known.`)
    const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(nonce, "base64url"), { authTagLength: 16 })
      .setAAD(Buffer.from(version === "v1" ? placeOfV1 : place))
      .setAuthTag(Buffer.from(tag, "base64url"))
    return Buffer.concat([decipher.update(Buffer.from(text, "base64url")), decipher.final()]).toString("utf8")
  }
}

/** A ring, and the key of hashes, which stays the same when sealing keys change: what was hashed is compared for years. */
export class Seal extends Ring {
  readonly #hashKey: Uint8Array

  constructor(keys: readonly Uint8Array[], hashKey: Uint8Array) {
    super(keys)
    this.#hashKey = hashKey
  }

  /** A hash that only the holder of the key can make: for telling whether a secret has changed without keeping it. */
  keyedHash(text: string): string {
    return createHmac("sha256", this.#hashKey).update(text).digest("base64url")
  }
}

function ringOf(keys: readonly Uint8Array[]): [ReadonlyMap<string, Uint8Array>, readonly [string, Uint8Array]] {
  const wrong = keys.find(key => key.length !== 32)
  if (wrong !== undefined) throw new Error(`A sealing key has 32 bytes, this one ${wrong.length}.`)
  const byId = keys.map(key => [sealingKeyId(key), key] as const)
  const [newest] = byId
  if (newest === undefined) throw new Error("A ring has a key at least.")
  return [new Map(byId), newest]
}
