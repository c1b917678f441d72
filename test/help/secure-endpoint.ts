/** An endpoint over TLS in this process, which may ask who comes: it notes the client certificate of each request. */
import { once } from "node:events"
import type { IncomingMessage } from "node:http"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { buffer } from "node:stream/consumers"
import type { TLSSocket } from "node:tls"
import type { Pair } from "./certificates.ts"

/** A request as it came. */
export interface SecureRequest {
  readonly path: string
  readonly headers: IncomingMessage["headers"]
  readonly body: string
  /** The common name of the client certificate; null where none was shown. */
  readonly client: string | null
  /** The handshake went on with the session of an earlier one. */
  readonly resumed: boolean
}

export interface SecureEndpoint extends AsyncDisposable {
  readonly port: number
  readonly requests: readonly SecureRequest[]
  /** `https://127.0.0.1:41234/hook` */
  url(path?: string): string
}

export interface SecureOptions {
  readonly pair: Pair
  /** Only certificates of this authority are let in. */
  readonly clients?: Pair
  /** A certificate is asked for, and is not needed. */
  readonly asks?: boolean
  readonly maxVersion?: "TLSv1.2" | "TLSv1.3"
  /** Closes each connection after its request, so that the next one begins with a handshake. */
  readonly closes?: boolean
  readonly answer?: (request: SecureRequest) => { readonly status?: number; readonly body?: string }
}

export async function secureEndpoint(options: SecureOptions): Promise<SecureEndpoint> {
  const { pair, clients, asks = clients !== undefined, maxVersion, closes = false } = options
  const requests: SecureRequest[] = []
  const server = createServer({
    ...pair,
    ...(clients === undefined ? {} : { ca: clients.cert }),
    ...(maxVersion === undefined ? {} : { maxVersion }),
    requestCert: asks,
    rejectUnauthorized: clients !== undefined,
  })
  server.on("request", async (request, response) => {
    const socket = request.socket as TLSSocket
    const { subject } = socket.getPeerCertificate()
    const client = typeof subject?.CN === "string" ? subject.CN : null
    const { url: path = "", headers } = request
    const body = (await buffer(request)).toString()
    const received = { path, headers, body, client, resumed: socket.isSessionReused() }
    requests.push(received)
    const said = options.answer?.(received)
    if (closes) response.setHeader("connection", "close")
    response.writeHead(said?.status ?? 200, { "content-type": "application/json" }).end(said?.body ?? "{}")
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  return {
    port,
    requests,
    url: (path = "/hook") => `https://127.0.0.1:${port}${path}`,
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, "close")
    },
  }
}
