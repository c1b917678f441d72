/** `POST /v1/events` and `/v1/events/batch`: events in, in Waybill's own form and as CloudEvents, answered when they are on disk. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { Type } from "typebox"
import type { EventDraft } from "../domain/event.ts"
import { fingerprintOf } from "../domain/fingerprint.ts"
import { formatId } from "../domain/id.ts"
import type { Refusal } from "../engine/intake.ts"
import { cloudModeOf, readCloudEvent } from "../sources/cloudevents.ts"
import { eventOfBatch, maskRefused } from "../sources/refused-body.ts"
import {
  type BatchReading,
  MAX_FAULTS,
  notUtf8,
  type Reading,
  type ReadLimits,
  type SourceFault,
  utf8Text,
} from "../sources/source.ts"
import { readNative, readNativeBatch } from "../sources/waybill.ts"
import type { Accepted } from "../store/ledger.ts"
import { callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { readIdempotencyKey } from "./idempotency.ts"
import {
  assertJson,
  BodyBudget,
  bytesOf,
  cloudBatchTypes,
  MAX_BATCH_BYTES,
  MAX_EVENT_BYTES,
  readBody,
} from "./ingest-body.ts"
import { BatchBody, EventBody } from "./ingest-schemas.ts"
import { draftWithin, limitsOf } from "./limits.ts"
import { Problem, type ProblemCode, type ProblemDocument } from "./problem.ts"
import { Nullable, ProblemSchema, responses } from "./schemas.ts"
import { asProblem, documentOf } from "./server.ts"

/** The most events of a batch. */
export const MAX_BATCH = 1_000

const BATCH_ADDRESS = "/v1/events/batch"

/** What an event is answered with. */
export const AcceptedView = Type.Object({
  id: Type.String({ examples: ["evt_01j9zq4kx2m"] }),
  external_id: Nullable(Type.String({ description: "The event's own id, as you sent it." })),
  status: Type.Literal("received"),
  duplicate: Type.Boolean({ description: "True where this repeats an event that was accepted before." }),
})
/** What a batch is answered with. */
export const BatchView = Type.Object({
  accepted: Type.Integer({ description: "How many were accepted, repeats among them." }),
  refused: Type.Integer(),
  results: Type.Array(
    Type.Union([
      Type.Object({ ...AcceptedView.properties, index: Type.Integer() }),
      Type.Object({ index: Type.Integer(), problem: ProblemSchema }),
    ]),
    { description: "One for each event, `index` being its place in the batch." },
  ),
})

export function ingestRoutes(server: FastifyInstance, context: Context): void {
  server.register(async scope => {
    const budget = new BodyBudget()
    // Bodies come as bytes, whatever they are: the readers below know the forms.
    scope.removeAllContentTypeParsers()
    const asBytes = (_request: FastifyRequest, body: Buffer, done: (error: null, body: Buffer) => void) =>
      done(null, body)
    scope.addContentTypeParser("*", { parseAs: "buffer", bodyLimit: MAX_EVENT_BYTES }, asBytes)
    scope.addContentTypeParser(cloudBatchTypes, { parseAs: "buffer", bodyLimit: MAX_BATCH_BYTES }, asBytes)
    scope.setValidatorCompiler(() => () => true)
    scope.addHook("onRequest", (request, reply, done) => done(budget.admit(request, reply, mostBytes(request))))
    scope.setErrorHandler((error, request) => {
      const problem = asProblem(error)
      note(context, request, documentOf(context, request, problem), bytesOf(request.body))
      throw error
    })

    // Events that were routed by what has changed since are routed anew: see intake.ts.
    const unaudited = "events are their own record"
    const config = { mayBeBehind: true, scope: "ingest", unaudited } as const
    scope.post("/v1/events", { config, schema: singleSchema }, async (request, reply) => {
      const startedAt = performance.now()
      const body = await readBody(request, reply, budget, mostBytes(request))
      const reading = read(context, request, body)
      const answer =
        reading.kind === "batch"
          ? await acceptBatch(context, request, body, reading)
          : await acceptSingle(context, request, reply, reading)
      context.metrics.ingestDuration.observe((performance.now() - startedAt) / 1_000)
      return reply.code(202).send(answer)
    })

    scope.post(BATCH_ADDRESS, { config, schema: batchSchema, bodyLimit: MAX_BATCH_BYTES }, async (request, reply) => {
      assertJson(request.headers["content-type"] ?? "", "; CloudEvents go to /v1/events")
      const body = await readBody(request, reply, budget, MAX_BATCH_BYTES)
      const text = utf8Text(body)
      if (text === null) throw faultProblem([notUtf8])
      const reading = readNativeBatch(text, limits(context, request))
      if (reading.kind === "faults") throw faultProblem(reading.faults)
      return reply.code(202).send(await acceptBatch(context, request, body, reading))
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
  description:
    "Each event has a result of its own; good ones are kept whatever the others are. After a 503 some of them may be stored: sent again with the same ids or `Idempotency-Key`, none is stored twice.",
  tags: ["events"],
  body: BatchBody,
  response: responses({ 202: BatchView }, 400, 401, 413, 415, 422, 503),
}

type SingleReading = { readonly kind: "single"; readonly draft: EventDraft }

/** The most that a request's body may be, packed and unpacked. */
function mostBytes(request: FastifyRequest): number {
  const isBatch =
    request.routeOptions.url === BATCH_ADDRESS || cloudBatchTypes.test(request.headers["content-type"]?.trim() ?? "")
  return isBatch ? MAX_BATCH_BYTES : MAX_EVENT_BYTES
}

/** Reads the request in whichever form it came; throws a problem. */
function read(
  context: Context,
  request: FastifyRequest,
  body: Uint8Array,
): SingleReading | (BatchReading & { kind: "batch" }) {
  const contentType = request.headers["content-type"] ?? ""
  const cloud = cloudModeOf(contentType, request.headers)
  if (cloud !== null) {
    const reading = readCloudEvent(
      cloud,
      { contentType, rawHeaders: request.raw.rawHeaders, body },
      limits(context, request),
    )
    if (reading.kind === "faults") throw faultProblem(reading.faults)
    return reading.kind === "batch" ? reading : { kind: "single", draft: reading.draft }
  }
  assertJson(contentType, ", or a CloudEvent")
  const text = utf8Text(body)
  if (text === null) throw faultProblem([notUtf8])
  const reading = readNative(text, limits(context, request))
  if (reading.kind === "faults") throw faultProblem(reading.faults)
  return { kind: "single", draft: reading.draft }
}

async function acceptSingle(context: Context, request: FastifyRequest, reply: FastifyReply, reading: SingleReading) {
  const draft = draftWithin(limitsOf(request), reading.draft, context.directory)
  const { project, key } = callerOf(request)
  const idempotencyKey = readIdempotencyKey(request.headers["idempotency-key"])
  const accepted = await context.intake.accept({
    project,
    key: key?.id ?? null,
    draft,
    fingerprint: idempotencyKey === null && draft.externalId === null ? null : fingerprintOf(draft),
    idempotencyKey,
    receivedAt: context.now(),
  })
  const view = viewOf(context, draft, accepted)
  if (view.duplicate && idempotencyKey !== null) reply.header("idempotency-replayed", "true")
  if (key !== null) context.keyring.used(key, true)
  return view
}

async function acceptBatch(
  context: Context,
  request: FastifyRequest,
  body: Uint8Array,
  { readings }: BatchReading & { kind: "batch" },
) {
  const { project, key } = callerOf(request)
  const idempotencyKey = readIdempotencyKey(request.headers["idempotency-key"])
  const receivedAt = context.now()
  const accept = async (reading: Reading, index: number) => {
    try {
      if (reading.kind === "faults") throw faultProblem(reading.faults)
      const draft = draftWithin(limitsOf(request), reading.draft, context.directory)
      const accepted = await context.intake.accept({
        project,
        key: key?.id ?? null,
        draft,
        fingerprint: idempotencyKey === null && draft.externalId === null ? null : fingerprintOf(draft),
        // Each event of the batch under a key of its own: a repeat of the batch finds each of them again.
        idempotencyKey: idempotencyKey === null ? null : `${idempotencyKey}\n${index}`,
        receivedAt,
      })
      return { index, ...viewOf(context, draft, accepted) }
    } catch (error) {
      const problem = asProblem(error, "batch")
      // What concerns all of them is said once, for all of them.
      if (problem.status >= 500) throw problem
      const document = documentOf(context, request, problem)
      context.metrics.eventsRejected.inc({ reason: document.code })
      return { index, problem: document }
    }
  }
  const results = await Promise.all(readings.map(accept))
  if (key !== null) context.keyring.used(key, true)
  const refused = results.filter(result => result.problem !== undefined)
  noteBatch(context, request, body, { refused, total: results.length })
  return { accepted: results.length - refused.length, refused: refused.length, results }
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

function limits(context: Context, request: FastifyRequest): ReadLimits {
  const { environment } = limitsOf(request)
  const own = { now: context.now(), maxEventBytes: MAX_EVENT_BYTES, maxBatch: MAX_BATCH }
  return environment === null ? own : { ...own, environment }
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

/** Counts a refused request, and remembers it. */
function note(context: Context, request: FastifyRequest, problem: ProblemDocument, body: Uint8Array): void {
  context.metrics.eventsRejected.inc({ reason: problem.code })
  remember(context, request, problem, body, 1)
}

/** An event of a batch that was refused. */
interface RefusedOfBatch {
  /** Its place in the batch. */
  readonly index: number
  readonly problem: ProblemDocument
}

/**
 * Remembers what was refused of a batch as one request: how many, the first mistakes, and the first of the events. A batch has
 * as many as a project keeps refused requests, and would push all others out.
 */
function noteBatch(
  context: Context,
  request: FastifyRequest,
  body: Uint8Array,
  { refused, total }: { readonly refused: readonly RefusedOfBatch[]; readonly total: number },
): void {
  const [first] = refused
  if (first === undefined) return
  const { index, problem } = first
  const were = refused.length === 1 ? "was refused: that" : "were refused, the first"
  const detail = `${refused.length} of the ${total} events of this batch ${were} at index ${index}. ${problem.detail}`
  const errors = refused.flatMap(one => errorsInBatch(request, one)).slice(0, MAX_FAULTS)
  remember(context, request, { ...problem, detail, errors }, eventOfBatch(body, index), refused.length)
}

/** The errors of one event, by where they stand in the body: what is found after reading is told by its place in the event. */
function errorsInBatch(request: FastifyRequest, { index, problem: { errors = [] } }: RefusedOfBatch) {
  const place = request.routeOptions.url === BATCH_ADDRESS ? `/events/${index}` : `/${index}`
  return errors.map(({ pointer, message }) => {
    const isPlaced = pointer.startsWith("header/") || pointer === place || pointer.startsWith(`${place}/`)
    return { pointer: isPlaced ? pointer : `${place}${pointer}`, message }
  })
}

/** Keeps it for `/v1/rejections`, as so many events; requests turned away under load are counted only. */
function remember(
  context: Context,
  request: FastifyRequest,
  problem: ProblemDocument,
  body: Uint8Array,
  events: number,
): void {
  if (request.caller === null || problem.status >= 500 || problem.status === 429) return
  // Of one that has been removed nothing is kept any more.
  if (context.directory.project(request.caller.project) === undefined) return
  context.rejections.note({
    project: request.caller.project,
    key: request.caller.key?.id ?? null,
    at: context.now(),
    problem,
    request: `${request.method} ${request.url.split("?")[0]}`,
    body: shownBody(context, request, body),
    events,
  })
}

/** A refused body as readers may see it. */
function shownBody({ directory }: Context, { caller, headers }: FastifyRequest, body: Uint8Array): Uint8Array {
  const fields = caller === null ? null : directory.privateFields(caller.project, null)
  return fields === null ? body : maskRefused(body, cloudModeOf(headers["content-type"] ?? "", headers), fields)
}
