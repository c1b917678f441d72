/**
 * Names to addresses. Public names are asked of the DNS through c-ares, which knows no hosts file and shares no threads
 * with anybody (ND-12: two slow `dns.lookup`s hold up all others); names that the operator listed are asked of the
 * system, hosts file included. Every question has a time limit of ours, and answers are kept for a while.
 */
import { Resolver as DnsClient, lookup } from "node:dns/promises"

/** Addresses of a name and how long they hold, or the code of what went wrong (`ENOTFOUND`, `ESERVFAIL`, `ETIMEOUT`). */
export type Resolution =
  | { readonly kind: "found"; readonly addresses: readonly string[]; readonly ttlMs: number }
  | { readonly kind: "failed"; readonly code: string }

/** Whatever finds the addresses of a name. Never rejects. */
export interface Resolver {
  resolve(name: string, source: "dns" | "system"): Promise<Resolution>
}

/** Some name servers never answer for IPv6: once the IPv4 addresses are known, they get this long (RFC 8305, 3). */
const SECOND_FAMILY_MS = 300

/** After a failure, the system is asked for its name servers again, but not more often than this. */
const SAME_SERVERS_MS = 1_000

/** Asks the DNS and the system. */
export class NetworkResolver implements Resolver {
  readonly #timeoutMs: number
  readonly #servers: (() => readonly string[]) | undefined
  #dns: DnsClient
  #dnsSince = 0

  /** @param options.servers Name servers as `address:port`; those of the system where absent. */
  constructor(options: { readonly timeoutMs?: number; readonly servers?: () => readonly string[] } = {}) {
    this.#timeoutMs = options.timeoutMs ?? 4_000
    this.#servers = options.servers
    this.#dns = this.#client()
  }

  resolve(name: string, source: "dns" | "system"): Promise<Resolution> {
    const answer = source === "dns" ? this.#askDns(name) : askSystem(name)
    return within(answer, this.#timeoutMs, { kind: "failed", code: "ETIMEOUT" })
  }

  async #askDns(name: string): Promise<Resolution> {
    const dns = this.#dns
    const second = asResolution(() => dns.resolve6(name, { ttl: true }))
    const four = await asResolution(() => dns.resolve4(name, { ttl: true }))
    if (four.kind === "found") {
      return preferred(four, await within(second, SECOND_FAMILY_MS, { kind: "failed", code: "ETIMEOUT" }))
    }
    if (four.code === "ETIMEOUT" || four.code === "ECONNREFUSED") this.#readServersAnew()
    return preferred(four, await second)
  }

  /** c-ares reads the system's name servers once; a laptop has others after it changed networks. */
  #readServersAnew(): void {
    if (performance.now() - this.#dnsSince > SAME_SERVERS_MS) this.#dns = this.#client()
  }

  #client(): DnsClient {
    this.#dnsSince = performance.now()
    // A lost datagram is asked for again well within our own limit.
    const client = new DnsClient({ timeout: Math.ceil(this.#timeoutMs / 4), tries: 3 })
    if (this.#servers !== undefined) client.setServers(this.#servers())
    return client
  }
}

/** How long answers are kept, in ms. */
export interface CacheLimits {
  /** A found name is kept as long as its TTL says, but no shorter and no longer than this. */
  readonly floorMs: number
  readonly ceilingMs: number
  /** A name that does not exist, and one for which there was no answer at all. */
  readonly notFoundMs: number
  readonly failedMs: number
  readonly names: number
}

const usualLimits: CacheLimits = {
  floorMs: 5_000,
  ceilingMs: 300_000,
  notFoundMs: 10_000,
  failedMs: 2_000,
  names: 10_000,
}

interface Kept {
  readonly answer: Promise<Resolution>
  until: number
}

/**
 * Keeps what another resolver answered, failures too, so that a burst of deliveries asks once. Questions for the same
 * name that come while the first is under way wait for its answer. What is kept is judged anew by each connection (EG-6).
 */
export class CachingResolver implements Resolver {
  readonly #inner: Resolver
  readonly #now: () => number
  readonly #limits: CacheLimits
  readonly #kept = new Map<string, Kept>()

  constructor(inner: Resolver, now: () => number, limits: Partial<CacheLimits> = {}) {
    this.#inner = inner
    this.#now = now
    this.#limits = { ...usualLimits, ...limits }
  }

  resolve(name: string, source: "dns" | "system"): Promise<Resolution> {
    const key = `${source} ${name}`
    const known = this.#kept.get(key)
    if (known !== undefined && known.until > this.#now()) return known.answer
    this.#kept.delete(key)
    this.#makeRoom()
    return this.#ask(key, name, source)
  }

  #ask(key: string, name: string, source: "dns" | "system"): Promise<Resolution> {
    const answer = this.#inner.resolve(name, source)
    const kept: Kept = { answer, until: Number.POSITIVE_INFINITY }
    this.#kept.set(key, kept)
    return answer.then(resolution => {
      kept.until = this.#now() + this.#keepMs(resolution)
      return resolution
    })
  }

  #keepMs(resolution: Resolution): number {
    const { floorMs, ceilingMs, notFoundMs, failedMs } = this.#limits
    if (resolution.kind === "found") return Math.min(ceilingMs, Math.max(floorMs, resolution.ttlMs))
    return isNotFound(resolution.code) ? notFoundMs : failedMs
  }

  #makeRoom(): void {
    if (this.#kept.size < this.#limits.names) return
    for (const oldest of this.#kept.keys()) {
      this.#kept.delete(oldest)
      return
    }
  }
}

/** A name that does not exist, or has no address. */
function isNotFound(code: string): boolean {
  return code === "ENOTFOUND" || code === "ENODATA"
}

async function askSystem(name: string): Promise<Resolution> {
  try {
    const found = await lookup(name, { all: true, order: "verbatim" })
    return { kind: "found", addresses: found.map(entry => entry.address), ttlMs: 0 }
  } catch (error) {
    return { kind: "failed", code: codeOf(error) }
  }
}

async function asResolution(ask: () => Promise<readonly { address: string; ttl: number }[]>): Promise<Resolution> {
  try {
    const found = await ask()
    if (found.length === 0) return { kind: "failed", code: "ENODATA" }
    const ttlMs = found.reduce((least, record) => Math.min(least, record.ttl), Number.POSITIVE_INFINITY) * 1000
    return { kind: "found", addresses: found.map(record => record.address), ttlMs }
  } catch (error) {
    return { kind: "failed", code: codeOf(error) }
  }
}

/** What the answers for both families come to: any address is a find; a name is missing only if both say so. */
function preferred(four: Resolution, six: Resolution): Resolution {
  if (four.kind === "found" && six.kind === "found") {
    return {
      kind: "found",
      addresses: [...four.addresses, ...six.addresses],
      ttlMs: Math.min(four.ttlMs, six.ttlMs),
    }
  }
  if (four.kind === "found") return four
  if (six.kind === "found") return six
  return isNotFound(four.code) ? six : four
}

/** The answer, or `otherwise` when it takes longer. */
function within(answer: Promise<Resolution>, timeoutMs: number, otherwise: Resolution): Promise<Resolution> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, timeoutMs, otherwise)
    answer.then(resolution => {
      clearTimeout(timer)
      resolve(resolution)
    })
  })
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : ""
}
