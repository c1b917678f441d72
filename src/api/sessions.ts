/** `/v1/sessions`: all sessions of the person who is signed in, and how to end them. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { formatId, parseId } from "../domain/id.ts"
import { type Session, sessionsOf, ways } from "../store/sessions.ts"
import { actorOf } from "./access.ts"
import type { Context } from "./context.ts"
import { Problem } from "./problem.ts"
import { Nullable, responses, Time, timeText } from "./schemas.ts"
import { dropCookie } from "./session-cookie.ts"
import { personOf } from "./session-view.ts"

const OwnSession = Type.Object({
  id: Type.String(),
  current: Type.Boolean({ description: "The one that this request came with." }),
  project: Type.Object({ id: Type.String(), name: Type.String() }),
  way: Type.Enum([...ways], { description: "How it began." }),
  address: Type.String({ description: "From where it began." }),
  agent: Nullable(Type.String(), "What the browser said of itself then."),
  created_at: Time,
  last_seen_at: Type.String({ format: "date-time", description: "To a minute." }),
  expires_at: Time,
})
const SessionPath = Type.Object({ id: Type.String({ maxLength: 64 }) })
const tags = ["people"]

export function ownSessionRoutes(server: FastifyInstance, context: Context): void {
  const { store, directory, people, now } = context
  const viewOf = (session: Session, current: number): Static<typeof OwnSession> => ({
    id: formatId("ses", session.id),
    current: session.id === current,
    project: { id: formatId("prj", session.project), name: directory.project(session.project)?.name ?? "" },
    way: session.way,
    address: session.address,
    agent: session.agent,
    created_at: timeText(session.createdAt),
    last_seen_at: timeText(session.seenAt),
    expires_at: timeText(session.idleExpiresAt),
  })

  server.get(
    "/v1/sessions",
    {
      config: { scope: "any", people: true },
      schema: {
        operationId: "listSessions",
        summary: "Lists the own sessions, newest first",
        tags,
        response: responses({ 200: Type.Object({ data: Type.Array(OwnSession), next_cursor: Type.Null() }) }, 401),
      },
    },
    async request => {
      const { session } = personOf(request)
      const sessions = await sessionsOf(store.reads, session.person, now())
      return { data: sessions.map(each => viewOf(each, session.id)), next_cursor: null }
    },
  )

  server.delete(
    "/v1/sessions",
    {
      config: { scope: "any", people: true },
      schema: {
        operationId: "signOutEverywhere",
        summary: "Signs out everywhere: all own sessions end at once, this one too",
        tags,
        response: responses({ 204: Type.Null() }, 400, 401, 413, 415, 503),
      },
    },
    async (request, reply) => {
      await people.signOutEverywhere(personOf(request).session, actorOf(request))
      dropCookie(context, reply)
      return reply.code(204).send()
    },
  )

  server.delete<{ Params: Static<typeof SessionPath> }>(
    "/v1/sessions/:id",
    {
      config: { scope: "any", people: true },
      schema: {
        operationId: "endSession",
        summary: "Ends one of the own sessions, at once",
        tags,
        params: SessionPath,
        response: responses({ 204: Type.Null() }, 400, 401, 404, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { session } = personOf(request)
      const id = parseId("ses", request.params.id)
      if (id === undefined || !(await people.endOwn(session, id, actorOf(request)))) {
        throw new Problem("not_found", `You have no session ${request.params.id}. GET /v1/sessions lists yours.`)
      }
      if (id === session.id) dropCookie(context, reply)
      return reply.code(204).send()
    },
  )
}
