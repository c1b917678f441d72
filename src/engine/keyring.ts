/** API keys as requests need them: found by hash in memory, last use noted in the store every few seconds. */
import type { KeyId } from "../domain/id.ts"
import type { Log } from "../log.ts"
import type { Database } from "../store/database.ts"
import { type ApiKey, findKeyByHash, hashKey, isPlausibleKey, touchKeys } from "../store/keys.ts"
import type { Reader } from "../store/reader.ts"

const FLUSH_MS = 5_000
/** How many hashes that belong to no key are remembered, so that guessing does not read the database each time. */
const UNKNOWN_LIMIT = 10_000

export class Keyring {
  readonly #db: Database
  readonly #reads: Reader
  readonly #now: () => number
  readonly #log: Log
  readonly #keys = new Map<string, ApiKey | null>()
  readonly #uses = new Map<KeyId, { usedAt: number; eventAt: number | null }>()
  #generation = 0
  #timer: NodeJS.Timeout | undefined

  constructor(parts: { db: Database; reads: Reader; now: () => number; log: Log }) {
    this.#db = parts.db
    this.#reads = parts.reads
    this.#now = parts.now
    this.#log = parts.log
  }

  start(): void {
    this.#timer = setInterval(() => void this.flush(), FLUSH_MS).unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }

  /** The key that a bearer token is, if it may be used now. At once where it is known, else after a look at the store. */
  find(token: string): ApiKey | undefined | Promise<ApiKey | undefined> {
    if (token.length > 200 || !isPlausibleKey(token)) return undefined
    const hash = hashKey(token)
    const known = this.#keys.get(hash)
    return known === undefined ? this.#load(hash) : this.#usable(known)
  }

  /** Notes that a key was used, and whether it sent an event. */
  used(key: ApiKey, sentEvent: boolean): void {
    const now = this.#now()
    const use = this.#uses.get(key.id)
    if (use === undefined) this.#uses.set(key.id, { usedAt: now, eventAt: sentEvent ? now : null })
    else {
      use.usedAt = now
      if (sentEvent) use.eventAt = now
    }
  }

  /** Forgets what it knows, after keys were made or revoked. */
  forget(): void {
    this.#generation++
    this.#keys.clear()
  }

  async flush(): Promise<void> {
    if (this.#uses.size === 0) return
    const uses = [...this.#uses].map(([id, use]) => ({ id, ...use }))
    this.#uses.clear()
    try {
      await touchKeys(this.#db, uses)
    } catch (error) {
      this.#log.warn({ err: error }, "the last use of API keys could not be noted")
    }
  }

  async #load(hash: string): Promise<ApiKey | undefined> {
    const generation = this.#generation
    const key = (await findKeyByHash(this.#reads, hash)) ?? null
    // What was read before a revocation must not be remembered after it.
    if (generation !== this.#generation) return this.#load(hash)
    if (this.#keys.size >= UNKNOWN_LIMIT) this.#keys.clear()
    this.#keys.set(hash, key)
    return this.#usable(key)
  }

  #usable(key: ApiKey | null): ApiKey | undefined {
    if (key === null || key.revokedAt !== null) return undefined
    return key.expiresAt !== null && key.expiresAt <= this.#now() ? undefined : key
  }
}
