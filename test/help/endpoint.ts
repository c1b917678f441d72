/** An endpoint in this process that plays a script: what it answers to its first request, to its second, and so on. */
import { once } from "node:events"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout } from "node:timers/promises"

/** What a request is answered with. Without any of these: 200 with `{}`. */
export interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Buffer
  /** The answer waits for this. */
  readonly after?: Promise<unknown>
  /** The answer takes so long, as that of a slow endpoint does. */
  readonly delayMs?: number
}

/** The answer to a request, by what stands in it. */
export type Answering = (request: Received) => Reply

/** A request as it came over the wire. */
export interface Received {
  /** When it had arrived whole: `performance.now()`. */
  readonly at: number
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** By their names in small letters; repeated ones are joined. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Names as they were written, in their order. */
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
}

/** How long a test waits for requests that are bound to come. */
const LIMIT_MS = 15_000

export class Endpoint implements AsyncDisposable {
  /** Every request so far, as they came. */
  readonly requests: Received[] = []
  readonly #server: Server
  #port = 0
  #answering: Answering = () => ({})
  #underWay = 0
  #mostAtOnce = 0
  readonly #waiting = new Set<() => void>()

  private constructor(server: Server) {
    this.#server = server
  }

  /** Starts one on loopback that answers with these replies in turn; the last one stays. */
  static async open(...script: readonly Reply[]): Promise<Endpoint> {
    const server = createServer({ keepAliveTimeout: 60_000 })
    const endpoint = new Endpoint(server)
    endpoint.play(...script)
    server.on("request", (request, response) => void endpoint.#take(request, response))
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    endpoint.#port = (server.address() as AddressInfo).port
    return endpoint
  }

  /** Also when it is closed: then nothing listens there any more. */
  get port(): number {
    return this.#port
  }

  /** `http://127.0.0.1:41234/hook` */
  url(path = "/hook"): string {
    return `http://127.0.0.1:${this.port}${path}`
  }

  /** Answers from now on with these replies in turn; the last one stays. */
  play(...script: readonly Reply[]): void {
    let played = 0
    this.#answering = () => script[Math.min(played++, script.length - 1)] ?? {}
  }

  /** Answers from now on as a function of the request says. */
  answer(answering: Answering): void {
    this.#answering = answering
  }

  /** The greatest number of requests that were under way at one time. */
  get mostAtOnce(): number {
    return this.#mostAtOnce
  }

  /** Resolves with the first so many requests when they have come. */
  async received(count: number): Promise<readonly Received[]> {
    const limit = AbortSignal.timeout(LIMIT_MS)
    while (this.requests.length < count) {
      limit.onabort = () => this.#tell()
      await new Promise<void>(resolve => this.#waiting.add(resolve))
      if (limit.aborted) throw new Error(`${this.requests.length} requests came in ${LIMIT_MS} ms, not ${count}.`)
    }
    return this.requests.slice(0, count)
  }

  /** The request of that place, the first one being 1, when it has come. */
  async request(place: number): Promise<Received> {
    const request = (await this.received(place)).at(-1)
    if (request === undefined) throw new Error("The first request is number 1.")
    return request
  }

  async close(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, "close")
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.close()
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#underWay++
    this.#mostAtOnce = Math.max(this.#mostAtOnce, this.#underWay)
    let isUnderWay = true
    const over = (): void => {
      if (isUnderWay) this.#underWay--
      isUnderWay = false
    }
    response.once("close", over)
    const chunks: Buffer[] = []
    request.on("error", () => {})
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { method = "", url = "", headers, rawHeaders } = request
    const received = {
      at: performance.now(),
      method,
      path: url,
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value?.toString()])),
      rawHeaders,
      body: Buffer.concat(chunks),
    }
    this.requests.push(received)
    const reply = this.#answering(received)
    this.#tell()
    await reply.after
    if (reply.delayMs !== undefined) await setTimeout(reply.delayMs)
    response.writeHead(reply.status ?? 200, { "content-type": "application/json", ...reply.headers } as never)
    // Before the other side can know of it, or its next request would seem to be one too many.
    over()
    response.end(reply.body ?? "{}")
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}
