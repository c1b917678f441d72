/**
 * Erasing a person: all that is kept of the events with their `profile_id`, in the project of the credential. A job does it,
 * and its report says how much there was. The report keeps a keyed hash of the id in place of the id.
 */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { formatId, parseId } from "../domain/id.ts"
import type { Erasure } from "../engine/remover.ts"
import { type RemovalJob, readErasure } from "../store/removal-jobs.ts"
import { actorOf, callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { notFound } from "./problem.ts"
import { Nullable, responses, Time, timeText } from "./schemas.ts"

const counted = (description: string) => Type.Integer({ description })
const ErasureView = Type.Object({
  id: Type.String(),
  state: Type.Enum(["running", "done"]),
  profile_id: Nullable(Type.String(), "Null once it is done: it is kept nowhere then."),
  profile_hash: Type.String({
    description:
      "A hash of the profile's id that only this Waybill can make: the same for each erasure of that profile.",
  }),
  created_at: Time,
  finished_at: Nullable(Time),
  report: Type.Object(
    {
      events: counted("Events of theirs."),
      deliveries: counted("Deliveries of those."),
      deliveries_ended: counted("How many of these still waited, and were not sent any more."),
      attempts: counted("Attempts of those deliveries."),
      payloads: counted("Payloads, where they were still kept."),
      exchanges: counted("Requests and answers of those attempts, where they were still kept."),
      search_entries: counted("Entries of the search index that led to these events."),
      leftovers: counted(
        "Attempts and entries of the search index that were found without their event. Those of other people, whose events retention has let go, are among them: nothing tells whose they were.",
      ),
      rejections: counted("Refused requests that named them."),
      inbox_requests: counted("Requests in inboxes that were of these events, or named them."),
    },
    { description: "What has gone so far." },
  ),
})
const NewErasure = Type.Object(
  {
    profile_id: Type.String({
      minLength: 1,
      maxLength: 256,
      pattern: "^[^\\u0000-\\u001f\\u007f\\ud800-\\udfff]*$",
      "x-hint": "must be an id as events bear it: 1 to 256 characters, none of them a control character",
    }),
  },
  { additionalProperties: false },
)
const ErasurePath = Type.Object({ id: Type.String({ maxLength: 64 }) })

export function erasureRoutes(server: FastifyInstance, context: Context): void {
  const { remover, store } = context
  server.post<{ Body: Static<typeof NewErasure> }>(
    "/v1/erasures",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "createErasure",
        summary: "Erases a person: every event with their profile_id, and all that was made of it",
        description:
          "What waits to be sent is ended, what is being sent is erased after that. Counts by the hour stay, which name nobody; so does what comes in later. While it runs, the same call gives the same erasure.",
        tags: ["erasures"],
        body: NewErasure,
        response: responses({ 202: ErasureView }, 400, 401, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const { job } = await remover.erase({ project, profile: request.body.profile_id, by: actorOf(request) })
      return reply.code(202).send(viewOf(job))
    },
  )

  server.get<{ Params: Static<typeof ErasurePath> }>(
    "/v1/erasures/:id",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "getErasure",
        summary: "Shows an erasure: how far it is, and what it came to",
        tags: ["erasures"],
        params: ErasurePath,
        response: responses({ 200: ErasureView }, 401, 404, 422),
      },
    },
    async request => {
      const { project } = callerOf(request)
      const id = parseId("ers", request.params.id)
      const job = id === undefined ? undefined : await readErasure(store.db, project, id)
      if (job === undefined) throw notFound("erasure", request.params.id)
      return viewOf(job)
    },
  )
}

function viewOf({ id, cursor, state, removed, createdAt, updatedAt }: RemovalJob): Static<typeof ErasureView> {
  const { profile, hash } = JSON.parse(cursor) as Erasure
  return {
    id: formatId("ers", id),
    state: state === "done" ? "done" : "running",
    profile_id: profile,
    profile_hash: hash,
    created_at: timeText(createdAt),
    finished_at: timeText(state === "done" ? updatedAt : null),
    report: {
      events: removed["event"] ?? 0,
      deliveries: removed["delivery"] ?? 0,
      deliveries_ended: removed["delivery_ended"] ?? 0,
      attempts: removed["attempt"] ?? 0,
      payloads: removed["payload"] ?? 0,
      exchanges: removed["exchange"] ?? 0,
      search_entries: removed["search_entry"] ?? 0,
      leftovers: removed["leftover"] ?? 0,
      rejections: removed["rejection"] ?? 0,
      inbox_requests: removed["inbox_request"] ?? 0,
    },
  }
}
