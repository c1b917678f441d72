/**
 * Passwords: argon2id with its parameters beside the hash, so that they can be raised later. It is reckoned in the thread
 * pool, few at a time, because each takes memory and the pool also looks up names and writes files; beyond a short queue
 * whoever comes is asked to come again, so that guessing is no way to stop the process.
 */
import { argon2, randomBytes, timingSafeEqual } from "node:crypto"
import { promisify } from "node:util"

/** What a hash costs. */
interface Cost {
  readonly memoryKiB: number
  readonly passes: number
  readonly lanes: number
}

/** 19 MiB and two passes: the least that OWASP's password storage sheet recommends, some 50 ms of one core. */
const cost: Cost = { memoryKiB: 19_456, passes: 2, lanes: 1 }
/** So many at a time: half of the thread pool. */
const AT_A_TIME = 2
const MOST_WAITING = 100
const SALT_BYTES = 16
const HASH_BYTES = 32

const derive = promisify(argon2)

/** More passwords wait to be checked than can be in a few seconds. */
export class TooManyPasswords extends Error {}

export class Passwords {
  #running = 0
  readonly #waiting: (() => void)[] = []
  /** Stands in where there is no hash, so that looking for one takes as long. */
  readonly #decoy = textOf(cost, randomBytes(SALT_BYTES), randomBytes(HASH_BYTES))

  /** What is kept of a password. */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES)
    return textOf(cost, salt, await this.#derive(password, cost, salt, HASH_BYTES))
  }

  /** Whether a password is the one that was hashed; null for `kept` takes as long and is never right. */
  async isRight(password: string, kept: string | null): Promise<boolean> {
    const { cost: paid, salt, hash } = parse(kept ?? this.#decoy)
    const found = await this.#derive(password, paid, salt, hash.length)
    return timingSafeEqual(found, hash) && kept !== null
  }

  /** Whether a hash was made with other parameters than today's. */
  isOld(kept: string): boolean {
    const { cost: paid } = parse(kept)
    return paid.memoryKiB !== cost.memoryKiB || paid.passes !== cost.passes || paid.lanes !== cost.lanes
  }

  async #derive(password: string, { memoryKiB, passes, lanes }: Cost, nonce: Buffer, length: number): Promise<Buffer> {
    await this.#enter()
    try {
      // The same password, typed on two keyboards, may come in two spellings.
      const message = password.normalize("NFKC")
      return await derive("argon2id", {
        message,
        nonce,
        parallelism: lanes,
        tagLength: length,
        memory: memoryKiB,
        passes,
      })
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }

  async #enter(): Promise<void> {
    if (this.#running < AT_A_TIME) {
      this.#running++
      return
    }
    if (this.#waiting.length >= MOST_WAITING) throw new TooManyPasswords("Too many passwords wait to be checked.")
    // Whoever leaves hands the place on.
    await new Promise<void>(resolve => this.#waiting.push(resolve))
  }
}

/** As argon2's own tools write it. */
function textOf({ memoryKiB, passes, lanes }: Cost, salt: Buffer, hash: Buffer): string {
  const [saltText, hashText] = [salt, hash].map(bytes => bytes.toString("base64").replace(/=+$/, ""))
  return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${lanes}$${saltText}$${hashText}`
}

function parse(text: string): { readonly cost: Cost; readonly salt: Buffer; readonly hash: Buffer } {
  const found = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/.exec(text)
  if (found === null) throw new Error("A password's hash cannot be read.")
  const [, memoryKiB, passes, lanes, salt = "", hash = ""] = found
  return {
    cost: { memoryKiB: Number(memoryKiB), passes: Number(passes), lanes: Number(lanes) },
    salt: Buffer.from(salt, "base64"),
    hash: Buffer.from(hash, "base64"),
  }
}
