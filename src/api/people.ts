/** `/v1/people`: who works in a project, and as what. */
import type { FastifyInstance, FastifyRequest } from "fastify"
import { type Static, Type } from "typebox"
import { formatId, parseId } from "../domain/id.ts"
import type { Changing, MemberFault } from "../engine/members.ts"
import { findMember, type Member, membersOf } from "../store/people.ts"
import { actorOf, callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { assertMatch, IfMatchHeaders, IfNoneMatchHeaders, NotModified, sendTagged, tagOf } from "./etag.ts"
import { mayOwn, ownersOnly } from "./invitations.ts"
import { notFound, Problem } from "./problem.ts"
import { Page, paging, responses, Time, timeText } from "./schemas.ts"
import { keepCookie } from "./session-cookie.ts"
import { RoleName } from "./session-view.ts"

const PersonView = Type.Object({
  id: Type.String({ examples: ["per_01j9zq4kx2m"] }),
  email: Type.String(),
  name: Type.String(),
  role: RoleName,
  joined_at: Time,
  last_seen_at: Type.Union([Time, Type.Null()], { description: "To a minute, while they have a session here." }),
})
const PersonPatch = Type.Object({ role: RoleName }, { additionalProperties: false })
const PersonPath = Type.Object({ id: Type.String({ maxLength: 64 }) })
type PersonPath = Static<typeof PersonPath>
const ListQuery = Type.Object(paging, { additionalProperties: false })
const tags = ["people"]

export function peopleRoutes(server: FastifyInstance, context: Context): void {
  const { store, members, cursors } = context
  server.get<{ Querystring: Static<typeof ListQuery> }>(
    "/v1/people",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "listPeople",
        summary: "Lists the people of the project",
        tags,
        querystring: ListQuery,
        response: responses({ 200: Page(PersonView) }, 400, 401, 422),
      },
    },
    async request => {
      const { limit = 50, cursor } = request.query
      const [after = 0] = cursors.read(request, "people", cursor) ?? []
      const found = await membersOf(store.reads, callerOf(request).project, after, limit + 1)
      const page = found.slice(0, limit)
      const last = page.at(-1)
      return {
        data: page.map(viewOf),
        next_cursor: found.length > limit && last !== undefined ? cursors.write(request, "people", last.person) : null,
      }
    },
  )

  server.get<{ Params: PersonPath }>(
    "/v1/people/:id",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "getPerson",
        summary: "Shows one of the people of the project",
        tags,
        params: PersonPath,
        headers: IfNoneMatchHeaders,
        response: responses({ 200: PersonView, 304: NotModified }, 400, 401, 404, 422),
      },
    },
    async (request, reply) => {
      const member = await findMember(store.reads, callerOf(request).project, readId(request.params.id))
      if (member === undefined) throw notFound("person", request.params.id)
      return sendTagged(request, reply, tagOfMember(member), JSON.stringify(viewOf(member)))
    },
  )

  server.patch<{ Params: PersonPath; Body: Static<typeof PersonPatch> }>(
    "/v1/people/:id",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "changePerson",
        summary: "Makes one of the project's people something else",
        description:
          "Their sessions in the project end, so that they sign in to the new role; one's own gets a new cookie. The last owner stays one.",
        tags,
        consumes: ["application/merge-patch+json", "application/json"],
        params: PersonPath,
        headers: IfMatchHeaders,
        body: PersonPatch,
        response: responses({ 200: PersonView }, 400, 401, 404, 409, 412, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project, person: own } = callerOf(request)
      const person = readId(request.params.id)
      const given = { ...changingOf(request), own: own?.id === person ? own.session.id : null }
      const done = await members.setRole({ project, person }, request.body.role, given)
      if (done.kind !== "done") throw problemOf(done, request.params.id)
      if (done.token !== null && own !== null) keepCookie(context, reply, done.token, own.session.expiresAt)
      reply.header("etag", tagOfMember(done.member))
      return viewOf(done.member)
    },
  )

  server.delete<{ Params: PersonPath }>(
    "/v1/people/:id",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "removePerson",
        summary: "Takes a person out of the project; their sessions in it end at once",
        tags,
        params: PersonPath,
        headers: IfMatchHeaders,
        response: responses({ 204: Type.Null() }, 400, 401, 404, 409, 412, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const person = readId(request.params.id)
      const done = await members.remove({ project, person }, changingOf(request))
      if (done.kind !== "done") throw problemOf(done, request.params.id)
      return reply.code(204).send()
    },
  )
}

/** Who changes a person, who has to be as `If-Match` says. */
function changingOf(request: FastifyRequest): Changing {
  const check = (member: Member) => assertMatch(request, tagOfMember(member))
  return { by: actorOf(request), mayOwn: mayOwn(request), check }
}

/** When they were last seen is no configuration. */
function tagOfMember(member: Member): string {
  const { last_seen_at, ...configuration } = viewOf(member)
  return tagOf(JSON.stringify(configuration), JSON.stringify(last_seen_at))
}

function readId(text: string): number {
  const id = parseId("per", text)
  if (id === undefined) throw notFound("person", text)
  return id
}

function problemOf({ kind }: MemberFault, id: string): Problem {
  switch (kind) {
    case "none":
      return notFound("person", id)
    case "owners_only":
      return ownersOnly()
    case "last_owner":
      return new Problem("conflict", "A project keeps at least one owner. Make somebody else an owner first.")
  }
}

function viewOf(member: Member): Static<typeof PersonView> {
  return {
    id: formatId("per", member.person),
    email: member.email,
    name: member.name,
    role: member.role,
    joined_at: timeText(member.createdAt),
    last_seen_at: timeText(member.seenAt),
  }
}
