/**
 * A local receiver: takes any request, checks its signature as the other side of a webhook does, and answers as it was
 * told. It shows nothing itself; whoever starts it hears of each request.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { setTimeout as wait } from "node:timers/promises"
import { jsonFault, MAX_DEPTH } from "../domain/json-spans.ts"
import { verifyMessage } from "../transport/message-signature.ts"
import { type Verification, verify } from "../transport/sign.ts"

/** More than any event has; what comes after it is not kept. */
const MAX_BODY_BYTES = 8_388_608

/** How requests are answered. */
export interface Manner {
  readonly status: number
  readonly delayMs: number
  readonly body: string
  /** This share of requests is answered with 500 instead. */
  readonly failRate: number
}

/** One request as it came. */
export interface Received {
  /** When it was there in full, in ms since 1970. */
  readonly at: number
  readonly method: string
  readonly path: string
  /** In the order and the letters in which they came. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Uint8Array
  /** Null where there is no secret to check with. */
  readonly verification: Verification | null
  /** The status of the answer. */
  readonly status: number
}

export interface ReceiverOptions {
  /** `whsec_…`, `whpk_…` or `whsk_…`; a signature that fits one of them is enough. */
  readonly secrets: readonly string[]
  readonly manner: Manner
  readonly now: () => number
  /** Called when a request has been answered. */
  readonly hear: (received: Received) => void
}

export class Receiver {
  readonly #options: ReceiverOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #ending = new AbortController()

  constructor(options: ReceiverOptions) {
    this.#options = options
    this.#server = createServer((request, response) => {
      this.#take(request, response).catch(() => response.destroy())
    })
    this.#server.on("connection", socket => {
      this.#sockets.add(socket)
      socket.on("close", () => this.#sockets.delete(socket))
    })
  }

  /** Listens; gives the port, rejects with the system's error. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject)
      this.#server.listen({ host, port, exclusive: true }, () => {
        const address = this.#server.address()
        resolve(typeof address === "object" && address !== null ? address.port : port)
      })
    })
  }

  /** Ends at once; a request that waits for its delayed answer gets none. */
  close(): Promise<void> {
    this.#ending.abort()
    return new Promise(resolve => {
      this.#server.close(() => resolve())
      for (const socket of this.#sockets) socket.destroy()
    })
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { secrets, manner, now, hear } = this.#options
    const body = await readBody(request)
    const at = now()
    const verification = secrets.length === 0 ? null : verificationOf(request, body, secrets, at)
    if (manner.delayMs > 0) await wait(manner.delayMs, undefined, { signal: this.#ending.signal })
    const fails = Math.random() < manner.failRate
    const status = fails ? 500 : manner.status
    answer(response, status, fails ? '{"error":"failed on purpose"}' : manner.body)
    const { method = "", url: path = "/" } = request
    hear({ at, method, path, headers: pairs(request.rawHeaders), body, verification, status })
  }
}

/** Whether signatures can be checked with a secret. */
export function isUsableSecret(secret: string): boolean {
  const headers = { id: "probe", timestamp: "0", signature: "v1,none" }
  return verify({ headers, body: "", secrets: [secret], nowSeconds: 0 }).kind !== "bad_key"
}

function verificationOf(
  request: IncomingMessage,
  body: Uint8Array,
  secrets: readonly string[],
  at: number,
): Verification {
  const header = (name: string) => request.headersDistinct[name]?.[0]
  const headers = {
    id: header("webhook-id"),
    timestamp: header("webhook-timestamp"),
    signature: header("webhook-signature"),
  }
  const nowSeconds = Math.floor(at / 1_000)
  // Signed as an HTTP message. Nothing here speaks TLS, so that the URL was an http one, unless a proxy stands before it.
  if (headers.signature === undefined && header("signature-input") !== undefined) {
    const { method = "", url = "" } = request
    const scheme = header("x-forwarded-proto") === "https" ? "https" : "http"
    return verifyMessage({ method, uri: `${scheme}://${header("host")}${url}`, header, body, secrets, nowSeconds })
  }
  return verify({ headers, body, secrets, nowSeconds })
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    if (size < MAX_BODY_BYTES) chunks.push(chunk)
    size += chunk.length
  }
  return Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES)
}

function answer(response: ServerResponse, status: number, body: string): void {
  // These have no body, whatever is asked for.
  if (status === 204 || status === 304) {
    response.writeHead(status).end()
    return
  }
  const isJson = jsonFault(body, MAX_DEPTH) === null
  response.writeHead(status, { "content-type": isJson ? "application/json" : "text/plain; charset=utf-8" }).end(body)
}

function pairs(rawHeaders: readonly string[]): [string, string][] {
  const names = rawHeaders.filter((_, i) => i % 2 === 0)
  return names.map((name, i) => [name, rawHeaders[2 * i + 1] ?? ""])
}
