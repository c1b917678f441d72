/**
 * One connection: the name is resolved, every address judged, exactly those dialled, the one that answered judged again
 * before a byte is written, TLS last (EG-3 … EG-6). What was found stays with this connection until it is closed.
 */
import { connect as connectTcp, isIP, type Socket } from "node:net"
import { Client } from "undici"
import type { Phase, Timings } from "../domain/exchange.ts"
import { isSameAddress } from "./address.ts"
import { ownCodes, rawFault } from "./classify.ts"
import { addressFault, type Destination, type EgressRules, isListedName } from "./guard.ts"
import type { Resolver } from "./resolve.ts"
import { type SessionCache, startTls, type TlsSide } from "./tls.ts"

/** A target that was refused, for the operator's log alone: what it resolves to is no business of a tenant (EG-15). */
export interface BlockedDetail {
  readonly origin: string
  readonly address: string
  /** What kind of address it is: `loopback`, `private network`, … */
  readonly use: string
  readonly phase: "dns" | "connect"
}

/** Why no connection came about. */
export class ConnectFault extends Error {
  readonly phase: Phase
  /** Named `raw`, not `code`: undici goes on trying for some codes. */
  readonly raw: string

  constructor(phase: Phase, raw: string, text: string) {
    super(text)
    this.phase = phase
    this.raw = raw
  }
}

/** Whatever a connection carries. */
export interface Passenger {
  board(connection: Connection): void
  /** The transport closes. */
  abandon(): void
}

/** The way out, which all connections share. */
export interface Egress {
  readonly rules: EgressRules
  readonly resolver: Resolver
  readonly connectTimeoutMs: number
  readonly onBlocked: (detail: BlockedDetail) => void
  readonly sessions: SessionCache
  /** Who Waybill is at a TLS handshake, and whom it believes. */
  readonly side: TlsSide
}

/** More than this many addresses of a name are judged, but not dialled. */
const MAX_DIALLED = 8
/** An address that does not answer gets this long before the next one is tried. */
const NEXT_ADDRESS_MS = 500
/** Servers that give no hint close idle connections after 5 s (Node.js) or more; a hint of theirs is obeyed. */
const KEEP_ALIVE_MS = 4_000
const MAX_KEEP_ALIVE_MS = 60_000
const MAX_HEAD_BYTES = 16_384

/** Where a connection stands; a request can be written once it is `open`. */
export type Stage = "dns" | "connect" | "tls" | "open"

const unentered: Readonly<Record<Stage, number>> = {
  dns: Number.NaN,
  connect: Number.NaN,
  tls: Number.NaN,
  open: Number.NaN,
}

/** A connection and its undici client. It connects with its first request and carries one request at a time. */
export class Connection {
  readonly client: Client
  readonly #destination: Destination
  readonly #egress: Egress
  #socket: Socket | null = null
  #closed = false
  #stage: Stage = "dns"
  /** `performance.now()` at which each stage was entered, NaN where it was not. */
  #enteredAt: Record<Stage, number> = { ...unentered }
  /** Requests written to it so far. */
  requests = 0
  /** Who is being carried. */
  passenger: Passenger | null = null

  constructor(destination: Destination, egress: Egress, onLost: (connection: Connection) => void) {
    this.#destination = destination
    this.#egress = egress
    this.client = new Client(destination.origin, {
      connect: (_options, callback) => {
        this.#open().then(
          socket => callback(null, socket),
          (error: Error) => callback(error, null),
        )
      },
      pipelining: 1,
      allowH2: false,
      // The deadline is ours and covers everything; undici's own timers bound neither total (ND-5).
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: MAX_KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEAD_BYTES,
    })
    this.client.on("disconnect", () => onLost(this))
  }

  get stage(): Stage {
    return this.#stage
  }

  get openedAt(): number {
    return this.#enteredAt.open
  }

  /** How long each stage took, the unfinished one up to now; null for one that did not happen. */
  times(): Pick<Timings, "dnsMs" | "connectMs" | "tlsMs"> {
    const { dns, connect, tls, open } = this.#enteredAt
    const now = performance.now()
    const isResolved = this.#destination.source === "dns" || this.#destination.source === "system"
    return {
      dnsMs: isResolved ? elapsed(dns, connect, now) : null,
      connectMs: elapsed(connect, this.#destination.secure ? tls : open, now),
      tlsMs: elapsed(tls, open, now),
    }
  }

  /** Whether part of a request still waits for the other side to take it. */
  get hasUnsent(): boolean {
    return this.#socket !== null && this.#socket.writableLength > 0
  }

  /** Lets go of it at once, wherever it stands. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#socket?.destroy()
    // Not at once: this is called from within undici's own callbacks.
    queueMicrotask(() => this.client.destroy().catch(() => {}))
  }

  /** Called again by undici where the socket of an idle connection has closed just as a request came. */
  async #open(): Promise<Socket> {
    this.requests = 0
    this.#enteredAt = { ...unentered }
    this.#enter("dns")
    const addresses = await this.#addresses()
    const timer = setTimeout(() => this.#giveUp(), this.#egress.connectTimeoutMs)
    try {
      const socket = await this.#dial(addresses)
      const ready = this.#destination.secure ? await this.#handshake(socket) : socket
      this.#enter("open")
      return ready
    } catch (fault) {
      this.#socket?.destroy()
      throw fault
    } finally {
      clearTimeout(timer)
    }
  }

  #enter(stage: Stage): void {
    this.#stage = stage
    this.#enteredAt[stage] = performance.now()
  }

  #giveUp(): void {
    this.#socket?.destroy(
      new ConnectFault(asPhase(this.#stage), "ETIMEDOUT", "the time limit for connecting was reached"),
    )
  }

  async #addresses(): Promise<readonly string[]> {
    const { host, source } = this.#destination
    // RFC 6761, 6.3: these names mean loopback, whatever a name server says.
    if (source === "loopback") return ["127.0.0.1", "::1"]
    const addresses = source === "literal" ? [host] : await this.#resolve(host, source)
    for (const address of addresses) this.#judge(address, "dns")
    return addresses.slice(0, MAX_DIALLED)
  }

  async #resolve(name: string, source: "dns" | "system"): Promise<readonly string[]> {
    const resolution = await this.#egress.resolver.resolve(name, source)
    if (resolution.kind === "failed") throw new ConnectFault("dns", resolution.code, "the name was not resolved")
    return [...resolution.addresses]
  }

  /** One address that may not be reached refuses the whole name: who mixes them is probing (EG-5). */
  #judge(address: string, phase: "dns" | "connect"): void {
    const { host, origin } = this.#destination
    const { rules } = this.#egress
    const listed = phase === "dns" && isListedName(host, rules)
    const use = listed ? null : addressFault(address, rules)
    if (use === null) return
    this.#egress.onBlocked({ origin, address, use, phase })
    throw new ConnectFault(phase, ownCodes.blocked, "the target is not public")
  }

  async #dial(addresses: readonly string[]): Promise<Socket> {
    if (this.#closed) throw new ConnectFault("dns", ownCodes.closed, "given up while the name was resolved")
    this.#enter("connect")
    const pinned = addresses.map(address => ({ address, family: isIP(address) }))
    const socket = connectTcp({
      host: this.#destination.host,
      port: this.#destination.port,
      lookup: (_name, _options, found) => found(null, pinned),
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
    })
    await this.#reached(socket, "connect")
    this.#judgePeer(socket.remoteAddress, addresses)
    return socket
  }

  /** The second look (EG-4). A name that is listed may lead anywhere, but only to where it was found to lead. */
  #judgePeer(peer: string | undefined, addresses: readonly string[]): void {
    // Reset between the handshake and now.
    if (peer === undefined) throw new ConnectFault("connect", "ECONNRESET", "closed while connecting")
    const { host } = this.#destination
    if (isListedName(host, this.#egress.rules) && addresses.some(dialled => isSameAddress(dialled, peer))) return
    this.#judge(peer, "connect")
  }

  async #handshake(socket: Socket): Promise<Socket> {
    this.#enter("tls")
    const { host, origin } = this.#destination
    const { sessions, side } = this.#egress
    // Going on with a session is to be whoever began it.
    const key = side.key === "" ? origin : `${origin} ${side.key}`
    const secured = startTls(socket, host, side, sessions.get(key))
    // Node.js tells only the sessions of connections whose certificate was found good: going on with one skips the check.
    secured.on("session", (session: Buffer) => sessions.keep(key, session))
    await this.#reached(secured, "secureConnect")
    // An alert after the handshake leaves the socket open, and what follows would hide it: it is the news that counts.
    secured.on("error", fault => secured.destroy(fault))
    return secured
  }

  #reached(socket: Socket, event: "connect" | "secureConnect"): Promise<void> {
    this.#socket = socket
    return new Promise((resolve, reject) => {
      const stage = this.#stage
      socket.once(event, resolve)
      // Stays on for good: a socket that fails between two owners must not bring the process down.
      socket.on("error", error => reject(error instanceof ConnectFault ? error : faultOf(stage, error)))
      socket.once("close", () => reject(new ConnectFault(asPhase(stage), "ECONNRESET", "closed while connecting")))
    })
  }
}

function faultOf(stage: Stage, error: Error): ConnectFault {
  const { code, text } = rawFault(error)
  return new ConnectFault(asPhase(stage), code, text)
}

function elapsed(from: number, to: number, now: number): number | null {
  if (Number.isNaN(from)) return null
  return rounded((Number.isNaN(to) ? now : to) - from)
}

/** To hundredths of a millisecond: more digits are noise, and they are stored with every attempt. */
export function rounded(ms: number): number {
  return Math.round(ms * 100) / 100
}

/** A connection that is open is about to send. */
export function asPhase(stage: Stage): Phase {
  return stage === "open" ? "send" : stage
}
