/** An authorization server in this process: gives tokens to a client that it knows, and says which of them are good. */
import { once } from "node:events"
import { createServer, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"

/** A request for a token. */
export interface TokenRequest {
  readonly headers: IncomingHttpHeaders
  readonly form: URLSearchParams
}

export interface TokenReply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** The answer waits for this. */
  readonly after?: Promise<unknown>
}

export const CLIENT = { id: "waybill", secret: "correct horse: battery/staple+" }

export class TokenServer implements AsyncDisposable {
  readonly requests: TokenRequest[] = []
  readonly url: string
  readonly port: number
  readonly #server: ReturnType<typeof createServer>
  #reply: ((request: TokenRequest, count: number) => TokenReply | null) | null = null
  #valid = new Set<string>()

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    this.url = `http://127.0.0.1:${this.port}/token`
  }

  static async open(lifeSeconds: number | string | null = 3_600): Promise<TokenServer> {
    const server = createServer()
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const there = new TokenServer(server)
    server.on("request", async (request, response) => {
      const asked = { headers: request.headers, form: new URLSearchParams(await text(request)) }
      there.requests.push(asked)
      const reply = there.#reply?.(asked, there.requests.length) ?? there.#judge(asked, lifeSeconds)
      await reply.after
      response.writeHead(reply.status ?? 200, { "content-type": "application/json", ...reply.headers })
      response.end(reply.body ?? "{}")
    })
    return there
  }

  /** Answers as a function says; null where it is to answer by itself. */
  answer(reply: (request: TokenRequest, count: number) => TokenReply | null): void {
    this.#reply = reply
  }

  /** Whether a request brings a token that was given and not taken back. */
  knows(authorization: string | undefined): boolean {
    return this.#valid.has((authorization ?? "").replace(/^Bearer /, ""))
  }

  /** Takes back all tokens that were given so far. */
  revoke(): void {
    this.#valid = new Set()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, "close")
  }

  #judge({ headers, form }: TokenRequest, lifeSeconds: number | string | null): TokenReply {
    const [id, secret] = clientOf(headers, form)
    if (id !== CLIENT.id || secret !== CLIENT.secret) {
      return {
        status: 401,
        body: JSON.stringify({ error: "invalid_client", error_description: `No such client: ${id}.` }),
      }
    }
    if (form.get("grant_type") !== "client_credentials")
      return { status: 400, body: '{"error":"unsupported_grant_type"}' }
    const token = `tok-${this.requests.length}.${"a".repeat(20)}~+/==`
    this.#valid.add(token)
    const life = lifeSeconds === null ? {} : { expires_in: lifeSeconds }
    return { body: JSON.stringify({ access_token: token, token_type: "bearer", ...life }) }
  }
}

/** Client id and secret as RFC 6749, 2.3.1, has them: encoded as a form's before they went into HTTP Basic. */
function clientOf({ authorization }: IncomingHttpHeaders, form: URLSearchParams): (string | null)[] {
  if (authorization === undefined) return [form.get("client_id"), form.get("client_secret")]
  const pair = Buffer.from(authorization.replace(/^Basic /, ""), "base64").toString()
  const decode = (part: string) => decodeURIComponent(part.replaceAll("+", " "))
  return [decode(pair.slice(0, pair.indexOf(":"))), decode(pair.slice(pair.indexOf(":") + 1))]
}
