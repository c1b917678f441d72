/** TLS over a connected socket: always verified, 1.2 at least, HTTP/1.1 alone (EG-10, EG-14). */
import { isIP, type Socket } from "node:net"
import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls"
import type { TlsIdentity } from "../domain/exchange.ts"

/** With what a handshake is begun: a context of everybody's, or one with somebody's own certificate or authorities. */
export interface TlsSide {
  /** What sessions are kept by beside the origin: one of somebody's is nobody else's. Empty for everybody's. */
  readonly key: string
  readonly context: () => SecureContext
}

/** Without a client certificate, and with the authorities that everybody trusts. */
export const plainSide: TlsSide = { key: "", context: sharedSecureContext }

/**
 * Begins the handshake; `secureConnect` or `error` tells how it went. The certificate has to be for `host`, a name or
 * an address, and what the environment says about checking certificates changes nothing.
 */
export function startTls(socket: Socket, host: string, side: TlsSide, session: Buffer | undefined): TLSSocket {
  return connect({
    socket,
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ["http/1.1"],
    rejectUnauthorized: true,
    secureContext: side.context(),
    ...(session === undefined ? {} : { session }),
  })
}

/** TLS sessions to go on with, which saves the other side's certificate and its checking; the newest of each key. */
export class SessionCache {
  readonly #sessions = new Map<string, Buffer>()
  readonly #limit = 1_000

  get(key: string): Buffer | undefined {
    return this.#sessions.get(key)
  }

  keep(key: string, session: Buffer): void {
    this.#sessions.delete(key)
    this.#sessions.set(key, session)
    if (this.#sessions.size <= this.#limit) return
    for (const oldest of this.#sessions.keys()) {
      this.#sessions.delete(oldest)
      return
    }
  }
}

/** Contexts of identities, the last used last. */
export class Identities {
  readonly #contexts = new Map<string, SecureContext>()
  readonly #limit = 500

  /** The side of a holder. Throws, with OpenSSL's words, where a certificate or key can be used by no TLS. */
  side(holder: string, identity: TlsIdentity): TlsSide {
    const key = `${holder} ${identity.digest}`
    const context = this.#contexts.get(key) ?? contextOf(identity)
    this.#contexts.delete(key)
    this.#contexts.set(key, context)
    if (this.#contexts.size > this.#limit) {
      for (const oldest of this.#contexts.keys()) {
        this.#contexts.delete(oldest)
        break
      }
    }
    return { key, context: () => context }
  }
}

function contextOf({ client, authorities }: TlsIdentity): SecureContext {
  const secureContext = createSecureContext({
    minVersion: "TLSv1.2",
    ...(client === null ? {} : { cert: client.certificate, key: client.key }),
  })
  // The option `ca` would replace the usual authorities; with all of them named beside one's own, a context takes 15 ms
  // and 1.3 MiB. Added to those that are there it takes 0.5 ms and 30 KiB.
  if (authorities !== null) secureContext.context.addCACert(authorities)
  return secureContext
}

let sharedContext: SecureContext | null = null

/** One for all connections without an identity: making it takes in every certificate that is trusted. */
function sharedSecureContext(): SecureContext {
  sharedContext ??= createSecureContext({ minVersion: "TLSv1.2" })
  return sharedContext
}
