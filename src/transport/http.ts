/**
 * Carries a built request to the other side and reports what came of it. The only outbound sockets of Waybill: nothing
 * is followed, nothing decompressed, no proxy of the environment obeyed, and no address dialled that was not judged.
 */
import { networkInterfaces } from "node:os"
import type {
  Credentials,
  ErrorClass,
  Exchange,
  Header,
  OutboundRequest,
  Phase,
  Timings,
  TokenFault,
  TokenGrant,
} from "../domain/exchange.ts"
import type { IntegrationId } from "../domain/id.ts"
import { maskExchange } from "../domain/private-exchange.ts"
import { parseRange } from "./address.ts"
import { ownCodes } from "./classify.ts"
import { type BlockedDetail, type Egress, rounded } from "./connect.ts"
import { type Destination, type EgressRules, judgeUrl, type UrlFault } from "./guard.ts"
import { Pool } from "./pool.ts"
import { CachingResolver, NetworkResolver, type Resolver } from "./resolve.ts"
import { Sending, type SendLimits } from "./sending.ts"
import { Identities, plainSide, SessionCache } from "./tls.ts"
import { type Token, Tokens } from "./tokens.ts"
import { toWire, type WireRequest } from "./wire.ts"

export type { BlockedDetail, SendLimits }

/** Where this process itself listens, and the path of an inbox there. */
export interface InboxPlace {
  /** An IP address that can be dialled. */
  readonly address: string
  readonly port: number
  readonly path: string
}

/** What sending needs to know of the server it is part of. */
export interface TransportOptions {
  readonly rules: EgressRules
  /** The wall clock in ms, for the signature's timestamp. Durations use the monotonic clock. */
  readonly now: () => number
  /** Sent where a request names no `User-Agent`: `Waybill/0.1.0`. */
  readonly userAgent?: string
  /** Asked for each connection; by default the DNS and the system, with a cache. */
  readonly resolver?: Resolver
  /** For TCP and TLS together, within the deadline of the request. */
  readonly connectTimeoutMs?: number
  /** Told of each target that was refused, with the address that tenants are not told. */
  readonly onBlocked?: (detail: BlockedDetail) => void
  /** Where the inbox of an integration is; null while the server does not listen yet. */
  readonly inbox?: (id: IntegrationId) => InboxPlace | null
}

/** A URL that has been judged and taken apart, so that the next request to it is not. */
interface Target {
  readonly destination: Destination
  readonly path: string
  readonly host: Header
  /** The host for people. */
  readonly shown: string
  /** The whole URL, as a signature covers it. */
  readonly uri: string
  /** What connections are shared by. */
  readonly pool: string
  readonly egress: Egress
}

interface Refusal {
  readonly phase: Phase
  readonly class: ErrorClass
  readonly code: string
  readonly message: string
  readonly token?: TokenFault
}

const CONNECT_TIMEOUT_MS = 5_000
const MAX_TARGETS = 4_096
/** What is left of the time limit for the request itself, however long its token took. */
const LEAST_MS = 1_000
/** No origin begins like this: connections to inboxes are never those of an endpoint, wherever its URL leads. */
const INBOX_POOLS = "inbox "

/** A URL that can be no request at all, as against one that leads where Waybill does not go. */
const malformed: ReadonlySet<UrlFault> = new Set(["malformed", "scheme", "userinfo"])

const stopping: Refusal = {
  phase: "connect",
  class: "SENDER_FAULT",
  code: ownCodes.closed,
  message: "Waybill itself could not send: it is stopping.",
}

const notListening: Refusal = { ...stopping, message: "Waybill itself could not send: it does not listen yet." }

const nothingHappened: Omit<Timings, "totalMs"> = {
  dnsMs: null,
  connectMs: null,
  tlsMs: null,
  waitMs: null,
  bodyMs: null,
}

/** Sends requests, for as long as the server runs. One for all integrations. */
export class Transport {
  readonly #egress: Egress
  readonly #now: () => number
  readonly #userAgent: Header | null
  readonly #targets = new Map<string, Target>()
  readonly #pools = new Map<string, Pool>()
  readonly #inbox: (id: IntegrationId) => InboxPlace | null
  readonly #identities = new Identities()
  readonly #tokens: Tokens
  #closed = false
  #inboxesClosed = false
  #underWay = 0
  #onQuiet: (() => void) | null = null

  constructor(options: TransportOptions) {
    this.#now = options.now
    this.#tokens = new Tokens(options.now)
    this.#inbox = options.inbox ?? (() => null)
    this.#userAgent = options.userAgent === undefined ? null : { name: "user-agent", value: options.userAgent }
    this.#egress = {
      rules: options.rules,
      resolver: options.resolver ?? new CachingResolver(new NetworkResolver(), () => performance.now()),
      connectTimeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      onBlocked: options.onBlocked ?? (() => {}),
      sessions: new SessionCache(),
      side: plainSide,
    }
  }

  /**
   * Sends one request and says what came of it; never rejects. Ends when the answer's body has ended, is longer than
   * what is kept, is cut off, or the deadline is reached. `sentHeaders` is what was to go out where no connection came
   * about, and empty where the target was refused.
   */
  send(request: OutboundRequest, limits: SendLimits): Promise<Exchange> {
    const { credentials } = request
    if (credentials === undefined || credentials.grant === null) return this.#sendOnce(request, limits)
    return this.#sendWithToken(request, limits, credentials, credentials.grant)
  }

  /**
   * Gets a token first, which counts as part of the time limit. A 401 to a token that is no longer young is answered with a
   * new token and the same request, once: it has done nothing yet, and need not wait for its next attempt.
   */
  async #sendWithToken(
    request: OutboundRequest,
    limits: SendLimits,
    credentials: Credentials,
    grant: TokenGrant,
  ): Promise<Exchange> {
    const startedAt = performance.now()
    const left = () => Math.max(LEAST_MS, limits.deadlineMs - (performance.now() - startedAt))
    const since = (exchange: Exchange, resent: boolean): Exchange => {
      const totalMs = rounded(performance.now() - startedAt)
      return { ...exchange, timings: { ...exchange.timings, totalMs }, resent: resent || exchange.resent === true }
    }
    const { holder } = credentials
    // With the same TLS identity: an authority of one's own has mostly signed both servers' certificates.
    const ask = (asked: OutboundRequest, within: SendLimits) =>
      this.#sendOnce({ ...asked, credentials: { ...credentials, grant: null } }, within)
    const get = () => this.#tokens.get(holder, grant, ask, { ...limits, deadlineMs: left() })
    const sendWith = async ({ value }: Token) => {
      const headers = [{ name: "authorization", value: `Bearer ${value}`, secret: true }, ...request.headers]
      const exchange = await this.#sendOnce({ ...request, headers }, { ...limits, deadlineMs: left() })
      // An endpoint that shows what it got must not have the token written down.
      return { ...maskExchange(exchange, [value]), sentHeaders: exchange.sentHeaders }
    }
    const first = await get()
    if (first.kind === "none") return since(await refuse(first.why), false)
    const exchange = await sendWith(first.token)
    const is401 = exchange.kind === "answered" && exchange.answer.status === 401
    if (!is401 || !this.#tokens.refused(holder, grant, first.token)) return since(exchange, false)
    const next = await get()
    if (next.kind === "none") return since(exchange, false)
    return since(await sendWith(next.token), true)
  }

  #sendOnce(request: OutboundRequest, limits: SendLimits): Promise<Exchange> {
    if (this.#closed) return refuse(stopping)
    const target = this.#target(request)
    if ("class" in target) return refuse(target)
    const wire = this.#wire(request, target)
    if (wire.kind === "invalid") {
      const message = `No valid request can be formed: ${wire.message}.`
      return refuse({ phase: "send", class: "CONFIG_INVALID", code: "UND_ERR_INVALID_ARG", message })
    }
    this.#underWay++
    return new Promise(resolve => {
      const pool = this.#poolOf(target)
      const parcel = { method: request.method, path: target.path, host: target.shown, wire, limits }
      const report = (exchange: Exchange): void => {
        resolve(exchange)
        if (--this.#underWay === 0) this.#onQuiet?.()
      }
      pool.place(new Sending(parcel, pool, isOffline, report))
    })
  }

  /** Takes no more, waits for what is under way up to `graceMs`, then ends it as the sender's fault. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true
    for (const pool of [...this.#pools.values()]) pool.closeIdle()
    if (this.#underWay > 0) await this.#quiet(graceMs)
    for (const pool of [...this.#pools.values()]) pool.closeAll()
  }

  /**
   * Ends what is under way to inboxes, as the sender's fault, and takes no more of it: before the server stops to listen,
   * which would wait for answers that an inbox keeps back.
   */
  closeInboxes(): void {
    this.#inboxesClosed = true
    for (const [key, pool] of [...this.#pools]) if (key.startsWith(INBOX_POOLS)) pool.closeAll()
  }

  #quiet(graceMs: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, graceMs)
      this.#onQuiet = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #target({ url, inbox, credentials }: OutboundRequest): Target | Refusal {
    if (inbox !== undefined) return this.#aimAtInbox(inbox, url)
    const target = this.#targets.get(url) ?? this.#aim(url)
    const { tls = null, holder = "" } = credentials ?? {}
    if (tls === null || "class" in target || !target.destination.secure) return target
    try {
      const side = this.#identities.side(holder, tls)
      return { ...target, pool: `${target.pool} ${side.key}`, egress: { ...target.egress, side } }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      const message = `No valid request can be formed: TLS cannot use the certificate or key (${why}).`
      return { phase: "tls", class: "CONFIG_INVALID", code: "ERR_TLS_IDENTITY", message }
    }
  }

  #aim(url: string): Target | Refusal {
    const judged = judgeUrl(url, this.#egress.rules)
    if (judged.kind === "refused") {
      const { message } = judged
      if (malformed.has(judged.fault)) {
        return { phase: "send", class: "CONFIG_INVALID", code: "ERR_INVALID_URL", message }
      }
      this.#tellBlocked(url, judged.fault)
      return { phase: "dns", class: "EGRESS_BLOCKED", code: ownCodes.blocked, message }
    }
    const { destination, url: parts } = judged
    const target: Target = {
      destination,
      path: parts.pathname + parts.search,
      host: { name: "host", value: parts.host },
      shown: parts.host,
      uri: parts.href,
      pool: destination.origin,
      egress: this.#egress,
    }
    // Templates can make a URL for each event: forgetting all at once keeps this a plain map.
    if (this.#targets.size >= MAX_TARGETS) this.#targets.clear()
    this.#targets.set(url, target)
    return target
  }

  /**
   * Past the guard's rules for URLs, since none is dialled: what is judged is the one address on which this process
   * listens, and what allows it stands in no rule that a URL is ever held against.
   */
  #aimAtInbox(id: IntegrationId, url: string): Target | Refusal {
    if (this.#inboxesClosed) return stopping
    const place = this.#inbox(id)
    if (place === null) return notListening
    const { address, port, path } = place
    const range = parseRange(address)
    const authority = `${range?.family === 6 ? `[${address}]` : address}:${port}`
    const allow = range === null ? [] : [{ kind: "range", range } as const]
    return {
      destination: { origin: `http://${authority}`, secure: false, host: address, port, source: "literal" },
      path,
      host: { name: "host", value: authority },
      shown: URL.parse(url)?.host ?? authority,
      uri: `http://${authority}${path}`,
      pool: INBOX_POOLS + authority,
      egress: { ...this.#egress, rules: { loopback: false, allow } },
    }
  }

  #tellBlocked(text: string, fault: UrlFault): void {
    const url = URL.parse(text)
    if (url !== null) this.#egress.onBlocked({ origin: url.origin, address: url.hostname, use: fault, phase: "dns" })
  }

  #wire(request: OutboundRequest, { host, uri }: Target): WireRequest {
    try {
      return toWire(request, { host, uri }, this.#userAgent, this.#now())
    } catch (error) {
      return { kind: "invalid", message: error instanceof Error ? error.message : String(error) }
    }
  }

  #poolOf({ pool: key, destination, egress }: Target): Pool {
    const known = this.#pools.get(key)
    if (known !== undefined) return known
    const pool = new Pool(destination, egress, () => this.#pools.delete(key))
    this.#pools.set(key, pool)
    return pool
  }
}

function refuse(refusal: Refusal): Promise<Exchange> {
  const timings = { ...nothingHappened, totalMs: 0 }
  return Promise.resolve({ kind: "broken", sentHeaders: [], timings, resent: false, ...refusal })
}

/** Whether this machine has no address beyond loopback: then it is not the other side's fault that nothing is reached. */
function isOffline(): boolean {
  return Object.values(networkInterfaces()).every(addresses => addresses?.every(address => address.internal) ?? true)
}
