/**
 * `GET /v1/stream`: what happens, as server-sent events: who may open a stream, for what, from where, and how many. What
 * one stream does then stands in stream.ts.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { type Static, Type } from "typebox"
import type { AppId, KeyId, ProjectId } from "../domain/id.ts"
import { type Horizon, horizonOf } from "../engine/horizon.ts"
import { Tail } from "../engine/tail.ts"
import { findPosition, type OwnPositions, type StreamFilter, type StreamItem } from "../store/stream-reads.ts"
import { type Caller, callerOf, may, stillAdmitted } from "./access.ts"
import { hidesPayloads, narrowed } from "./limits.ts"
import { integrationsOfApp, type Sight } from "./portal-sight.ts"
import { Problem } from "./problem.ts"
import { ProblemSchema, responses } from "./schemas.ts"
import { eventFields, readApp, readIntegrationId } from "./search-query.ts"
import { Stream, type StreamContext, type StreamLimits, streamLimits } from "./stream.ts"

const StreamQuery = Type.Object(
  {
    ...eventFields,
    last_event_id: Type.Optional(
      Type.String({ maxLength: 64, description: "Where to go on, for clients that cannot send Last-Event-ID." }),
    ),
  },
  { additionalProperties: false },
)
type StreamQuery = Static<typeof StreamQuery>

const description = `Server-sent events of what is on disk: \`event\` (accepted, with its payload), \`attempt\` and \`change\`, in one order, each at least once. \`skip\` (held back, because the endpoint rests) comes as it happens, without an id, and is not sent again. The \`id\` of a message is the position after it: send the last one as \`Last-Event-ID\` to go on without a gap. \`reset\` says that the position is no longer known, so that something may have been missed; \`bye\` says why the connection ends. Filters are about events and their attempts: with any but \`integration\`, changes are left out. Without the scope \`payloads:read\` payloads are left out; changes of integrations, event types and apps are for \`integrations:read\`, all others for \`admin\`.`

export function streamRoutes(
  server: FastifyInstance,
  context: StreamContext,
  limits: StreamLimits = streamLimits,
): void {
  const hub = new Hub(context, limits)
  server.addHook("preClose", async () => hub.stop())

  server.get<{ Querystring: StreamQuery }>(
    "/v1/stream",
    {
      config: { scope: "events:read", portal: true },
      schema: {
        operationId: "stream",
        summary: "Streams events, attempts and changes as they happen",
        description,
        tags: ["events"],
        querystring: StreamQuery,
        response: {
          ...responses({}, 401, 422),
          200: {
            description: "A stream that goes on until one of both sides ends it",
            content: { "text/event-stream": { schema: Type.String() } },
          },
          429: {
            description: "The project has as many streams as it may have",
            headers: { "retry-after": { schema: Type.Integer() } },
            content: { "application/problem+json": { schema: ProblemSchema } },
          },
        },
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      await hub.open(request, reply, project, readFilter(context, request, request.query))
    },
  )
}

function readFilter({ directory }: StreamContext, request: FastifyRequest, query: StreamQuery): StreamFilter {
  const app = readApp(directory, callerOf(request).project, query.app)
  return {
    type: query.type,
    ...narrowed(request, directory, { app, environment: query.environment }),
    changes: may(request, "admin") ? "all" : may(request, "integrations:read") ? "configuration" : "none",
    profileId: query.profile_id,
    deviceId: query.device_id,
    integration: readIntegrationId(query.integration),
  }
}

/** The streams of all projects, and one tail for each project that has any. */
class Hub {
  readonly #context: StreamContext
  readonly #limits: StreamLimits
  readonly #projects = new Map<ProjectId, { readonly tail: Promise<Tail>; count: number; portals: number }>()
  /** How many are open of pages of the portal: by the app, and by the token. Ids are of one thing each. */
  readonly #ofPortals = new Map<AppId | KeyId, number>()
  readonly #streams = new Set<Stream>()
  /** Texts of items that more than one stream may show: those with payloads, and those without. */
  readonly #texts = { shown: new WeakMap<StreamItem, string>(), hidden: new WeakMap<StreamItem, string>() }
  readonly #horizon: Horizon
  #isStopped = false

  constructor(context: StreamContext, limits: StreamLimits) {
    this.#context = context
    this.#limits = limits
    this.#horizon = horizonOf(context.store)
  }

  async open(
    request: FastifyRequest<{ Querystring: StreamQuery }>,
    reply: FastifyReply,
    project: ProjectId,
    filter: StreamFilter,
  ): Promise<void> {
    const { store, now } = this.#context
    const hides = hidesPayloads(request)
    const caller = callerOf(request)
    const { sight } = caller
    const tail = await this.#enter(caller)
    try {
      const header = request.headers["last-event-id"]
      const asked = typeof header === "string" ? header : request.query.last_event_id
      const resumption =
        asked === undefined ? undefined : await findPosition(store.reads, project, asked, now(), ownOf(caller))
      const isAdmitted = stillAdmitted(this.#context, request)
      reply.hijack()
      const stream = new Stream(this.#context, this.#limits, {
        response: reply.raw,
        project,
        filter,
        tail,
        hidesPayloads: hides,
        // What a portal sees of an event is another text for each app.
        texts: sight !== null ? new WeakMap() : hides ? this.#texts.hidden : this.#texts.shown,
        sight,
        look: stillSeen(this.#context, caller),
        isAdmitted,
      })
      this.#streams.add(stream)
      reply.raw.once("close", () => this.#streams.delete(stream))
      for (const [name, value] of Object.entries(reply.getHeaders()))
        if (value !== undefined) reply.raw.setHeader(name, value)
      reply.raw.writeHead(200, {
        "content-type": "text/event-stream; charset=utf-8",
        // Nothing comes after a stream: the end of one is the end of its connection.
        connection: "close",
        // Proxies that gather answers would keep a message back until there are many.
        "x-accel-buffering": "no",
      })
      if (this.#isStopped) stream.stop()
      await stream.run(resumption)
    } finally {
      this.#leave(caller, tail)
    }
  }

  stop(): void {
    this.#isStopped = true
    for (const stream of this.#streams) stream.stop()
  }

  async #enter(caller: Caller): Promise<Tail> {
    const { store, feed, log } = this.#context
    const { project } = caller
    const isOfPortal = caller.sight !== null
    let entry = this.#projects.get(project)
    if (entry === undefined) {
      entry = {
        tail: Tail.open({ reads: store.reads, horizon: this.#horizon, feed, project, log }),
        count: 0,
        portals: 0,
      }
      this.#projects.set(project, entry)
    }
    if (entry.count >= this.#limits.perProject) {
      const detail = `The project has ${entry.count} streams open already, which is as many as it may have. Close one, or share one between its readers.`
      throw new Problem("too_many_requests", detail, { retryAfterSeconds: 10 })
    }
    // Customers' pages leave the owner's own their half.
    if (isOfPortal && entry.portals >= this.#limits.perProject / 2) {
      const detail =
        "As many pages of this portal as may be follow live already. Look again in a while; lists and searches go on."
      throw new Problem("too_many_requests", detail, { retryAfterSeconds: 10 })
    }
    for (const [id, most, whose] of portalCounts(caller, this.#limits)) {
      if ((this.#ofPortals.get(id) ?? 0) < most) continue
      const detail = `As many pages as may be follow live with ${whose} already: ${most}. Close one, or look again in a while; lists and searches go on.`
      throw new Problem("too_many_requests", detail, { retryAfterSeconds: 10 })
    }
    entry.count++
    if (isOfPortal) entry.portals++
    this.#countPortal(caller, 1)
    try {
      return await entry.tail
    } catch (error) {
      this.#countPortal(caller, -1)
      this.#projects.delete(project)
      throw error
    }
  }

  #countPortal(caller: Caller, by: 1 | -1): void {
    for (const [id] of portalCounts(caller, this.#limits)) {
      const count = (this.#ofPortals.get(id) ?? 0) + by
      if (count > 0) this.#ofPortals.set(id, count)
      else this.#ofPortals.delete(id)
    }
  }

  #leave(caller: Caller, tail: Tail): void {
    const { project } = caller
    const entry = this.#projects.get(project)
    this.#countPortal(caller, -1)
    if (entry !== undefined && caller.sight !== null) entry.portals--
    if (entry === undefined || --entry.count > 0) return
    this.#projects.delete(project)
    tail.stop()
  }
}

/** What a caller sees by now: for what goes on for longer than a request. */
function stillSeen(context: StreamContext, { sight, project, limits }: Caller): () => Promise<Sight> {
  const { app } = limits
  if (sight === null || app === null) return async () => sight
  return async () => {
    await context.directory.catchUp()
    return integrationsOfApp(context, { project }, app)
  }
}

/** What a page of the portal counts as, and how many of it there may be: of its app, and of its token. */
function portalCounts(
  { sight, limits, key }: Caller,
  { perApp, perToken }: Pick<StreamLimits, "perApp" | "perToken">,
): (readonly [id: AppId | KeyId, most: number, whose: string])[] {
  if (sight === null) return []
  return [
    ...(limits.app === null ? [] : [[limits.app, perApp, "the portal of this app"] as const]),
    ...(key === null ? [] : [[key.id, perToken, "this token"] as const]),
  ]
}

/** What a page of the portal may go on after: what it was shown. null: everything of the project. */
function ownOf({ sight, limits }: Caller): OwnPositions | null {
  if (sight === null) return null
  const { app, environment, source } = limits
  return {
    filter: { app: app ?? undefined, environment: environment ?? undefined, source: source ?? undefined },
    integrations: [...sight],
  }
}
