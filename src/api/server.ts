/** The HTTP server: limits and time-outs, who may come in, how bodies are read, how errors look. Routes live in their own files. */
import { isUtf8 } from "node:buffer"
import { randomUUID } from "node:crypto"
import { STATUS_CODES } from "node:http"
import type { Socket } from "node:net"
import cookie from "@fastify/cookie"
import swagger from "@fastify/swagger"
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify"
import { jsonFault, MAX_DEPTH } from "../domain/json-spans.ts"
import { formatDuration } from "../domain/sentence.ts"
import { StoreUnavailable } from "../store/database.ts"
import { ProjectRemoved } from "../store/projects.ts"
import { authenticate, guardRoutes } from "./access.ts"
import { answerHeaders } from "./answer-headers.ts"
import type { Context } from "./context.ts"
import { asksForPage, type Dashboard, dashboardRoutes, framersOf, sendPage } from "./dashboard.ts"
import { openapi } from "./openapi.ts"
import { Problem, type ProblemCode, type ProblemDocument } from "./problem.ts"
import { routes } from "./routes.ts"
import { compileForRoute, describeFaults } from "./validation.ts"

/** The most that a request of configuration may bring. */
const BODY_LIMIT = 1_048_576
/** Of the path with its query (API-13). */
const MAX_URL_CHARACTERS = 8_192

/** How long a client may take, in ms: what is slower than that only holds a place (API-25). */
export interface TimeLimits {
  /** From the first byte, or the end of the request before, until the headers are complete. */
  readonly headersMs: number
  /** The same until the body is. */
  readonly requestMs: number
  /** How often connections are looked through for those that are over a limit. */
  readonly checkMs: number
}
export const timeLimits: TimeLimits = { headersMs: 10_000, requestMs: 30_000, checkMs: 5_000 }

export interface ServerOptions {
  readonly trustProxy: readonly string[]
  readonly timeLimits: TimeLimits
  /** Undefined where none was built. */
  readonly dashboard?: Dashboard | undefined
}

/** Builds the server with all its routes; the caller listens. */
export async function buildServer(context: Context, options: ServerOptions): Promise<FastifyInstance> {
  const limits = options.timeLimits
  const server = Fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    // Fastify's own defaults switch Node's time-outs off (API-25).
    requestTimeout: limits.requestMs,
    connectionTimeout: 0,
    keepAliveTimeout: 72_000,
    http: {
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.checkMs,
      maxHeaderSize: 16_384,
    },
    forceCloseConnections: "idle",
    return503OnClosing: false,
    requestIdHeader: false,
    genReqId: requestId,
    trustProxy: options.trustProxy.length > 0 ? [...options.trustProxy] : false,
    exposeHeadRoutes: false,
    // An event type of 128 characters, each of them percent-encoded.
    routerOptions: { maxParamLength: 384 },
    clientErrorHandler: (error, socket) => answerBrokenRequest(error, socket, context, limits),
    // What goes wrong before a route is found, such as a path that is no path.
    frameworkErrors: (error, request, reply) => {
      reply.headers(answerHeaders(context)).header("x-request-id", request.id)
      answerError(context, error, request, reply)
    },
  })
  server.decorateRequest("bodyText", null)
  server.setValidatorCompiler(({ schema, httpPart }) =>
    compileForRoute(httpPart === undefined ? { schema } : { schema, httpPart }),
  )
  // Answers are held against their schemas by the tests, not filtered through them.
  server.setSerializerCompiler(() => JSON.stringify)
  server.setSchemaErrorFormatter((errors, part) => {
    const faults = describeFaults(errors as never, part)
    return new Problem("invalid", faults[0]?.message ?? "The request is wrong.", { errors: faults })
  })
  readJsonBodies(server)
  let isClosing = false
  server.addHook("preClose", done => {
    isClosing = true
    // A connection whose last answer is still to come would else be kept for as long as its client likes.
    server.server.keepAliveTimeout = 1
    done()
  })
  server.addHook("onRequest", (request, reply, done) => {
    reply.headers(answerHeaders(context))
    // A connection that was kept alive; new ones are refused by now.
    if (isClosing) {
      reply.header("connection", "close")
      const again = "Send the request again: another process, or the next start, takes it."
      done(new Problem("unavailable", `Waybill is stopping. ${again}`, { retryAfterSeconds: 2 }))
      return
    }
    // Whoever keeps a connection goes elsewhere before it is closed.
    if (context.phase() === "stopping") reply.header("connection", "close")
    reply.header("x-request-id", request.id)
    if (request.url.length > MAX_URL_CHARACTERS) done(new Problem("uri_too_long", "The address is longer than 8 KiB."))
    // Nothing that is stored holds one, and not every engine can be asked for it.
    else if (/\?.*%00/.test(request.url)) done(new Problem("invalid", "The query holds a NUL (%00): take it out."))
    else authenticate(context, request, reply, done)
  })
  server.setErrorHandler((error, request, reply) => answerError(context, error, request, reply))
  server.setNotFoundHandler((request, reply) => {
    if (asksForPage(request)) {
      sendPage(reply, options.dashboard, framersOf(request, context.directory))
      return
    }
    const path = request.url.split("?")[0]
    const problem = new Problem("not_found", `There is no ${request.method} ${path}. See /openapi.json.`)
    sendProblem(context, request, reply, problem)
  })
  guardRoutes(server)
  // Read where a session is asked for, and nowhere else.
  await server.register(cookie, { hook: false })
  await server.register(swagger, openapi(context.version))
  await server.register(async scope => routes(scope, context))
  dashboardRoutes(server, options.dashboard)
  await server.ready()
  return server
}

/** Our own id, or the caller's where it can stand in a log (API-58). */
function requestId(request: { headers: Record<string, string | string[] | undefined> }): string {
  const given = request.headers["x-request-id"]
  return typeof given === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(given) ? given : randomUUID()
}

/** Parses JSON and keeps its text, in which numbers are still exact. Prototype names are legal data, never merged (API-15). */
function readJsonBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers()
  const read = (request: FastifyRequest, body: Buffer, done: (error: Error | null, value?: unknown) => void): void => {
    if (!isUtf8(body)) {
      done(new Problem("malformed", "The body is not UTF-8. JSON is sent as UTF-8 (RFC 8259)."))
      return
    }
    const text = body.toString()
    request.bodyText = text
    const fault = text === "" ? null : jsonFault(text, MAX_DEPTH)
    if (fault !== null) done(new Problem("malformed", `The body is not valid JSON: ${fault.message}.`))
    else done(null, text === "" ? undefined : JSON.parse(text))
  }
  server.addContentTypeParser("application/json", { parseAs: "buffer" }, read)
  server.addContentTypeParser("application/merge-patch+json", { parseAs: "buffer" }, read)
}

function answerError(context: Context, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = asProblem(error)
  if (problem.code === "internal") context.log.error({ err: error, request: request.id }, "a request failed")
  sendProblem(context, request, reply, problem)
}

/** A problem as the document that a request is answered with. */
export function documentOf(
  { publicUrl }: Pick<Context, "publicUrl">,
  request: FastifyRequest,
  problem: Problem,
): ProblemDocument {
  return problem.document({ instance: request.id, publicUrl: publicUrl() })
}

/** Sends a problem document; the connection stays usable. */
export function sendProblem(
  context: Pick<Context, "publicUrl">,
  request: FastifyRequest,
  reply: FastifyReply,
  problem: Problem,
): void {
  if (problem.code === "unauthorized") reply.header("www-authenticate", "Bearer")
  if (problem.retryAfterSeconds !== undefined) reply.header("retry-after", String(problem.retryAfterSeconds))
  void reply
    .code(problem.status)
    .type("application/problem+json; charset=utf-8")
    .send(JSON.stringify(documentOf(context, request, problem)))
}

const fastifyCodes: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ["too_large", "The body is larger than this address takes."],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ["unsupported_media_type", "Send application/json."],
  FST_ERR_CTP_EMPTY_JSON_BODY: ["malformed", "The body is empty; send a JSON object."],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ["malformed", "The body is not as long as Content-Length says."],
  FST_ERR_BAD_URL: ["malformed", "The address is not a valid path."],
  FST_ERR_MAX_PARAM_LENGTH: ["uri_too_long", "An id in the address is longer than any of ours."],
}

/** What is true of a batch when one of its events met an error of ours: each is committed by itself. */
const BATCH_AGAIN =
  "Some events of this batch may be stored. Send it again whole, with the same ids or Idempotency-Key; then none of them is stored twice."

/**
 * Any error as the problem that it is; what we did not foresee is `internal` and says nothing of its inside (API-31). `of`: a
 * batch, where one of its events met the error.
 */
export function asProblem(error: unknown, of: "request" | "batch" = "request"): Problem {
  if (error instanceof Problem) return error
  if (error instanceof ProjectRemoved) return new Problem("unauthorized", error.message)
  if (error instanceof StoreUnavailable && error.mayBeDone) {
    const detail =
      of === "batch"
        ? `The database went away before it had answered. ${BATCH_AGAIN}`
        : "The database went away before it had answered: whether this was stored is not known. Send it again with the same id or Idempotency-Key; then it is stored once, whatever became of this one."
    return new Problem("unavailable", detail, { retryAfterSeconds: 5 })
  }
  if (error instanceof StoreUnavailable) {
    const why = {
      full: "its disk is full",
      read_only: "it is read-only",
      standby: "it is a standby",
      old_primary: "it is an old primary",
      unavailable: "it does not answer",
    }[error.reason]
    const stored = of === "batch" ? BATCH_AGAIN : "Nothing was stored; try again later."
    return new Problem("unavailable", `The database cannot be written: ${why}. ${stored}`, { retryAfterSeconds: 5 })
  }
  if (isFastifyError(error)) {
    const [code, detail] = fastifyCodes[error.code] ?? []
    if (code !== undefined && detail !== undefined) return new Problem(code, detail)
    if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
      return new Problem("malformed", error.message)
    }
  }
  const own = "Waybill met an error of its own; its log says more under this request's id."
  const problem = new Problem("internal", of === "batch" ? `${own} ${BATCH_AGAIN}` : own)
  problem.cause = error
  return problem
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && "code" in error
}

/**
 * What Node itself refuses before there is a request: answered in the same form, then the connection is cut. Ending our side
 * alone would not do: a client that keeps its own open, and goes on, would hold the socket for good.
 */
function answerBrokenRequest(
  error: Error & { code?: string },
  socket: Socket,
  context: Context,
  { headersMs, requestMs }: TimeLimits,
): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy()
    return
  }
  const within = `headers within ${formatDuration(headersMs)}, all within ${formatDuration(requestMs)}`
  const problem =
    error.code === "HPE_HEADER_OVERFLOW"
      ? new Problem("headers_too_large", "The headers are larger than 16 KiB.")
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? new Problem("too_slow", `The request did not arrive in time: ${within}.`)
        : new Problem("malformed", "This is not a valid HTTP/1.1 request.")
  const body = JSON.stringify(problem.document({ instance: "none", publicUrl: context.publicUrl() }))
  const headers = {
    connection: "close",
    "content-type": "application/problem+json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    ...answerHeaders(context),
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines.join("")}`
  socket.end(`${head}\r\n${body}`, () => socket.destroy())
}
