/**
 * `/inbox/<token>`: where inboxes get their requests. No part of the API: it needs no key beside the token, takes any method
 * and any body, and answers as its owner told it to. So it is not in the OpenAPI document.
 */
import type { IncomingMessage } from "node:http"
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { isBrowserHeader } from "../connectors/header-rules.ts"
import type { LiveIntegration } from "../engine/directory.ts"
import { INBOX_BODY_BYTES, type Told } from "../engine/inboxes.ts"
import type { Context } from "./context.ts"
import { Problem } from "./problem.ts"

interface TokenPath {
  readonly token: string
}

export function inboxReceiveRoutes(server: FastifyInstance, { inboxes }: Context): void {
  server.addHook("preClose", () => inboxes.stop())

  server.route<{ Params: TokenPath }>({
    method: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
    url: "/inbox/:token",
    config: { public: true },
    schema: { hide: true },
    // As early as this, or bodies would be held against what the API takes: an inbox takes everything.
    onRequest: async (request, reply) => {
      const live = inboxes.open(request.params.token)
      if (live === undefined) throw noInbox()
      return receive(live, request, reply)
    },
    handler: async () => {
      throw noInbox()
    },
  })

  async function receive(live: LiveIntegration, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const gone = new AbortController()
    reply.raw.once("close", () => gone.abort())
    const { raw } = request
    const content = await readStart(raw)
    if (content === null) return reply.hijack()
    const { method = "", rawHeaders, headers } = raw
    const told = await inboxes.receive(live, { method, rawHeaders, headers, ...content })
    if (told === undefined) throw noInbox()
    if (await inboxes.holdBack(told, gone.signal)) return answer(reply, told)
    reply.hijack()
    reply.raw.destroy()
    return reply
  }
}

/** The first MiB of a body, and its length; null where its sender left before its end. */
async function readStart(raw: IncomingMessage): Promise<{ body: Uint8Array; bodyBytes: number } | null> {
  const chunks: Buffer[] = []
  let bodyBytes = 0
  try {
    for await (const chunk of raw as AsyncIterable<Buffer>) {
      if (bodyBytes < INBOX_BODY_BYTES) chunks.push(chunk.subarray(0, INBOX_BODY_BYTES - bodyBytes))
      bodyBytes += chunk.length
    }
  } catch {
    return null
  }
  return { body: Buffer.concat(chunks), bodyBytes }
}

function answer(reply: FastifyReply, { status, headers, body }: Told): FastifyReply {
  if (body !== "") reply.header("content-type", "application/json")
  // Under this server's name nobody gets a page to run, whoever has it answer so.
  for (const [name, value] of Object.entries(headers)) if (!isBrowserHeader(name)) reply.header(name, value)
  return reply.code(status).send(Buffer.from(body))
}

/** The same whether there never was one, or no longer is. */
function noInbox(): Problem {
  return new Problem(
    "not_found",
    "There is no inbox at this address. An inbox shows its address where its requests are.",
  )
}
