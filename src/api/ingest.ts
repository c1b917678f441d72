/** `POST /v1/events` and `/v1/events/batch`: events in, in Waybill's own form and as CloudEvents, answered when they are on disk. */
import { promisify } from "node:util"
import { gunzip } from "node:zlib"
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { Type } from "typebox"
import type { EventDraft } from "../domain/event.ts"
import { fingerprintOf } from "../domain/fingerprint.ts"
import { formatId } from "../domain/id.ts"
import type { Refusal } from "../engine/intake.ts"
import { cloudModeOf, readCloudEvent } from "../sources/cloudevents.ts"
import { type BatchReading, notUtf8, type Reading, type SourceFault, utf8Text } from "../sources/source.ts"
import { readNative, readNativeBatch } from "../sources/waybill.ts"
import type { Accepted } from "../store/ledger.ts"
import { type Context, keyOf } from "./context.ts"
import { readIdempotencyKey } from "./idempotency.ts"
import { BatchBody, EventBody } from "./ingest-schemas.ts"
import { Problem, type ProblemCode, type ProblemDocument } from "./problem.ts"
import { Nullable, ProblemSchema, responses } from "./schemas.ts"
import { asProblem } from "./server.ts"

/** The most bytes of one event, and of a batch (product.md, "Bad input"; CE-20 asks for at least 64 KiB). */
export const MAX_EVENT_BYTES = 262_144
export const MAX_BATCH_BYTES = 5_242_880
export const MAX_BATCH = 1_000

/** Bodies that may be in memory at a time: past it requests are turned away before they are read. */
const MAX_BODIES_BYTES = 67_108_864

const unzip = promisify(gunzip)

const AcceptedView = Type.Object({
  id: Type.String({ examples: ["evt_01j9zq4kx2m"] }),
  external_id: Nullable(Type.String()),
  status: Type.Literal("received"),
  duplicate: Type.Boolean({ description: "True where this repeats an event that was accepted before." }),
})
const BatchView = Type.Object({
  accepted: Type.Integer(),
  refused: Type.Integer(),
  results: Type.Array(
    Type.Union([
      Type.Object({ ...AcceptedView.properties, index: Type.Integer() }),
      Type.Object({ index: Type.Integer(), problem: ProblemSchema }),
    ]),
  ),
})

export function ingestRoutes(server: FastifyInstance, context: Context): void {
  server.register(async scope => {
    const bodies = new BodyBudget()
    // Bodies come as bytes, whatever they are: the readers below know the forms.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser("*", { parseAs: "buffer", bodyLimit: MAX_BATCH_BYTES }, (_request, body, done) =>
      done(null, body),
    )
    scope.setValidatorCompiler(() => () => true)
    scope.addHook("onRequest", (request, reply, done) => done(bodies.take(request, reply)))
    scope.setErrorHandler((error, request, reply) => {
      const problem = asProblem(error)
      note(context, request, problem.document(request.id), bytesOf(request.body))
      throw error
    })

    scope.post("/v1/events", { schema: singleSchema }, async (request, reply) => {
      const startedAt = performance.now()
      const reading = await read(context, request)
      const answer =
        reading.kind === "batch"
          ? await acceptBatch(context, request, reading)
          : await acceptSingle(context, request, reply, reading)
      context.metrics.ingestDuration.observe((performance.now() - startedAt) / 1_000)
      return reply.code(202).send(answer)
    })

    scope.post("/v1/events/batch", { schema: batchSchema }, async (request, reply) => {
      const body = await inflate(request, MAX_BATCH_BYTES)
      const text = utf8Text(body)
      if (text === null) throw faultProblem([notUtf8])
      const reading = readNativeBatch(text, limits(context))
      if (reading.kind === "faults") throw faultProblem(reading.faults)
      return reply.code(202).send(await acceptBatch(context, request, reading))
    })
  })
}

const singleSchema = {
  operationId: "sendEvent",
  summary: "Accepts one event",
  description:
    "Answers 202 when the event and its deliveries are on disk. Also takes CloudEvents 1.0: structured (application/cloudevents+json), binary (ce- headers) and batch (application/cloudevents-batch+json, answered like /v1/events/batch).",
  tags: ["events"],
  consumes: ["application/json", "application/cloudevents+json", "application/cloudevents-batch+json"],
  body: EventBody,
  response: responses({ 202: Type.Union([AcceptedView, BatchView]) }, 400, 401, 409, 413, 415, 422, 503),
}
const batchSchema = {
  operationId: "sendEvents",
  summary: "Accepts up to 1,000 events",
  description: "Each event has a result of its own; good ones are kept whatever the others are.",
  tags: ["events"],
  body: BatchBody,
  response: responses({ 202: BatchView }, 400, 401, 413, 415, 422, 503),
}

type SingleReading = { readonly kind: "single"; readonly draft: EventDraft }

/** Reads the request in whichever form it came; throws a problem. */
async function read(
  context: Context,
  request: FastifyRequest,
): Promise<SingleReading | (BatchReading & { kind: "batch" })> {
  const contentType = request.headers["content-type"] ?? ""
  const cloud = cloudModeOf(contentType, request.headers)
  const body = await inflate(request, cloud === "batch" ? MAX_BATCH_BYTES : MAX_EVENT_BYTES)
  if (cloud !== null) {
    const reading = readCloudEvent(cloud, { contentType, rawHeaders: request.raw.rawHeaders, body }, limits(context))
    if (reading.kind === "faults") throw faultProblem(reading.faults)
    return reading.kind === "batch" ? reading : { kind: "single", draft: reading.draft }
  }
  if (!isJson(contentType)) {
    const detail = `Content-Type ${contentType === "" ? "is missing" : `${JSON.stringify(contentType.slice(0, 80))} is not taken here`}: send application/json or a CloudEvent.`
    throw new Problem("unsupported_media_type", detail)
  }
  const text = utf8Text(body)
  if (text === null) throw faultProblem([notUtf8])
  const reading = readNative(text, limits(context))
  if (reading.kind === "faults") throw faultProblem(reading.faults)
  return { kind: "single", draft: reading.draft }
}

async function acceptSingle(context: Context, request: FastifyRequest, reply: FastifyReply, { draft }: SingleReading) {
  const key = keyOf(request)
  const idempotencyKey = readIdempotencyKey(request.headers["idempotency-key"])
  const accepted = await context.intake.accept({
    project: key.project,
    key: key.id,
    draft,
    fingerprint: idempotencyKey === null && draft.externalId === null ? null : fingerprintOf(draft),
    idempotencyKey,
    receivedAt: context.now(),
  })
  const view = viewOf(context, draft, accepted)
  if (view.duplicate && idempotencyKey !== null) reply.header("idempotency-replayed", "true")
  context.keyring.used(key, true)
  return view
}

async function acceptBatch(context: Context, request: FastifyRequest, { readings }: BatchReading & { kind: "batch" }) {
  const key = keyOf(request)
  const idempotencyKey = readIdempotencyKey(request.headers["idempotency-key"])
  const receivedAt = context.now()
  const accept = async (reading: Reading, index: number) => {
    try {
      if (reading.kind === "faults") throw faultProblem(reading.faults)
      const { draft } = reading
      const accepted = await context.intake.accept({
        project: key.project,
        key: key.id,
        draft,
        fingerprint: idempotencyKey === null && draft.externalId === null ? null : fingerprintOf(draft),
        // Each event of the batch under a key of its own: a repeat of the batch finds each of them again.
        idempotencyKey: idempotencyKey === null ? null : `${idempotencyKey}\n${index}`,
        receivedAt,
      })
      return { index, ...viewOf(context, draft, accepted) }
    } catch (error) {
      const problem = asProblem(error)
      // What concerns all of them is said once, for all of them.
      if (problem.status >= 500) throw problem
      const document = problem.document(request.id)
      note(context, request, document, new Uint8Array(0))
      return { index, problem: document }
    }
  }
  const results = await Promise.all(readings.map(accept))
  context.keyring.used(key, true)
  const refused = results.filter(result => "problem" in result).length
  return { accepted: results.length - refused, refused, results }
}

/** The answer for one event; throws a problem where it was not taken. */
function viewOf(context: Context, draft: EventDraft, accepted: Accepted | Refusal) {
  switch (accepted.kind) {
    case "refused": {
      const detail = accepted.errors[0]?.message ?? "The project's rules refuse this event."
      throw new Problem(accepted.code, detail, { errors: accepted.errors })
    }
    case "conflict":
      throw conflictProblem(draft, accepted)
    case "new":
    case "repeat": {
      const duplicate = accepted.kind === "repeat"
      if (duplicate) context.metrics.eventsDuplicate.inc()
      else context.metrics.eventsAccepted.inc()
      return { id: formatId("evt", accepted.id), external_id: draft.externalId, status: "received" as const, duplicate }
    }
  }
}

function conflictProblem(draft: EventDraft, { id, by }: Accepted & { kind: "repeat" | "conflict" }): Problem {
  const event = formatId("evt", id)
  return by === "id"
    ? new Problem(
        "conflict",
        `The id ${JSON.stringify(draft.externalId)} was used before for ${event}, with other content. Give this event an id of its own.`,
        {
          errors: [{ pointer: "/id", message: `Used before by ${event}.` }],
          extra: { event },
        },
      )
    : new Problem(
        "idempotency_mismatch",
        `This Idempotency-Key was used before for ${event}, with another request. Use a new key for a new request.`,
        {
          errors: [{ pointer: "header/idempotency-key", message: `Used before by ${event}.` }],
          extra: { event },
        },
      )
}

function limits(context: Context) {
  return { now: context.now(), maxEventBytes: MAX_EVENT_BYTES, maxBatch: MAX_BATCH }
}

function isJson(contentType: string): boolean {
  return /^application\/json\s*(;|$)/i.test(contentType)
}

/** The body, unpacked if it is gzipped, never larger than `most` in memory (API-18). */
async function inflate(request: FastifyRequest, most: number): Promise<Uint8Array> {
  const body = bytesOf(request.body)
  const encoding = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase()
  if (encoding === "identity") {
    if (body.length > most) throw tooLarge(most)
    return body
  }
  if (encoding !== "gzip" && encoding !== "x-gzip") {
    throw new Problem(
      "unsupported_media_type",
      `Content-Encoding ${JSON.stringify(encoding.slice(0, 80))} is not taken: send gzip once, or none.`,
    )
  }
  try {
    return await unzip(body, { maxOutputLength: most })
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : ""
    if (code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(most)
    throw new Problem("malformed", "Content-Encoding says gzip, but the body is not valid gzip.")
  }
}

function tooLarge(most: number): Problem {
  return new Problem("too_large", `The body is larger than ${most} bytes, unpacked. Send less at a time.`)
}

function bytesOf(body: unknown): Uint8Array {
  return body instanceof Uint8Array ? body : new Uint8Array(0)
}

const faultCodes: Readonly<Record<SourceFault["kind"], ProblemCode>> = {
  malformed: "malformed",
  wrong: "invalid",
  too_large: "too_large",
  unsupported_media_type: "unsupported_media_type",
  conflict: "conflict",
}

function faultProblem(faults: readonly SourceFault[]): Problem {
  const [first] = faults
  if (first === undefined) return new Problem("malformed", "The event cannot be read.")
  const errors = faults.map(({ pointer, header, message }) => ({
    pointer: header === undefined ? pointer : `header/${header}`,
    message,
  }))
  return new Problem(faultCodes[first.kind], first.message, { errors })
}

/** Remembers a refused request for `/v1/rejections`; requests turned away under load are counted only. */
function note(context: Context, request: FastifyRequest, problem: ProblemDocument, body: Uint8Array): void {
  context.metrics.eventsRejected.inc({ reason: problem.code })
  if (request.apiKey === null || problem.status >= 500 || problem.status === 429) return
  context.rejections.note({
    project: request.apiKey.project,
    key: request.apiKey.id,
    at: context.now(),
    problem,
    request: `${request.method} ${request.url.split("?")[0]}`,
    body,
  })
}

/** Bounds the bodies that are in memory at once, by what each request announces before it is read. */
class BodyBudget {
  #taken = 0

  take(request: FastifyRequest, reply: FastifyReply): Problem | undefined {
    const announced = Number(request.headers["content-length"] ?? MAX_EVENT_BYTES)
    const size = Math.min(Number.isFinite(announced) ? announced : MAX_BATCH_BYTES, MAX_BATCH_BYTES)
    if (this.#taken + size > MAX_BODIES_BYTES) {
      return new Problem(
        "overloaded",
        "Too many events arrive at once. Nothing of this request was stored; send it again.",
        {
          retryAfterSeconds: 1,
        },
      )
    }
    this.#taken += size
    reply.raw.once("close", () => {
      this.#taken -= size
    })
    return undefined
  }
}
