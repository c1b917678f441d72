/** TLS over a connected socket: always verified, 1.2 at least, HTTP/1.1 alone (EG-10, EG-14). */
import { isIP, type Socket } from "node:net"
import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls"

/**
 * Begins the handshake; `secureConnect` or `error` tells how it went. The certificate has to be for `host`, a name or
 * an address, and what the environment says about checking certificates changes nothing.
 */
export function startTls(socket: Socket, host: string, session: Buffer | undefined): TLSSocket {
  return connect({
    socket,
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ["http/1.1"],
    rejectUnauthorized: true,
    secureContext: secureContext(),
    ...(session === undefined ? {} : { session }),
  })
}

/** TLS sessions to go on with, which saves the other side's certificate and its checking; the newest of each origin. */
export class SessionCache {
  readonly #sessions = new Map<string, Buffer>()
  readonly #limit = 1_000

  get(origin: string): Buffer | undefined {
    return this.#sessions.get(origin)
  }

  keep(origin: string, session: Buffer): void {
    this.#sessions.delete(origin)
    this.#sessions.set(origin, session)
    if (this.#sessions.size <= this.#limit) return
    for (const oldest of this.#sessions.keys()) {
      this.#sessions.delete(oldest)
      return
    }
  }
}

let sharedContext: SecureContext | null = null

/** One for all connections: making it takes in every certificate that is trusted. */
function secureContext(): SecureContext {
  sharedContext ??= createSecureContext({ minVersion: "TLSv1.2" })
  return sharedContext
}
