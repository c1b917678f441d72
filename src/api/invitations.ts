/** `/v1/invitations`: how people come into a project. The link is shown once, and mailed where mail is set up. */
import type { FastifyInstance, FastifyRequest } from "fastify"
import { type Static, Type } from "typebox"
import { formatId, parseId } from "../domain/id.ts"
import type { InvitationMail } from "../domain/invitation-mail.ts"
import { INVITATION_MS } from "../domain/person.ts"
import { fateOf } from "../engine/entry.ts"
import type { Database } from "../store/database.ts"
import {
  type Invitation,
  insertInvitation,
  listInvitations,
  readInvitation,
  revokeInvitation,
} from "../store/invitations.ts"
import { mailPlace } from "../store/mails.ts"
import { findMember, findPersonByEmail } from "../store/people.ts"
import { hashToken, newToken } from "../store/token.ts"
import { actorOf, callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { assertMatch, IfMatchHeaders, IfNoneMatchHeaders, NotModified, sendTagged, tagOf } from "./etag.ts"
import { notFound, Problem } from "./problem.ts"
import { RepeatableHeaders } from "./repeats.ts"
import { Page, paging, responses, Time, timeText } from "./schemas.ts"
import { assertNotCrossSite } from "./session-cookie.ts"
import {
  GivenToken,
  letIn,
  NewPassword,
  PersonName,
  RoleName,
  SessionView,
  visitOf,
  withPasswords,
} from "./session-view.ts"
import { MailAddress } from "./setup.ts"

const InvitationView = Type.Object({
  id: Type.String({ examples: ["inv_01j9zq4kx2m"] }),
  email: Type.String(),
  role: RoleName,
  state: Type.Enum(["open", "used", "revoked", "expired"]),
  created_at: Time,
  expires_at: Time,
})
const NewInvitation = Type.Object({ email: MailAddress, role: RoleName }, { additionalProperties: false })
const NewInvitationView = Type.Object({
  ...InvitationView.properties,
  url: Type.String({ description: "Whoever opens it comes in. It is shown this once." }),
  mailed: Type.Boolean({ description: "Whether it goes to the address by mail, too." }),
})
const Acceptance = Type.Object(
  {
    token: GivenToken,
    name: Type.Optional(PersonName),
    password: NewPassword,
  },
  { additionalProperties: false },
)
const InvitationPath = Type.Object({ id: Type.String({ maxLength: 64 }) })
type InvitationPath = Static<typeof InvitationPath>
const ListQuery = Type.Object(paging, { additionalProperties: false })
const tags = ["people"]

export function invitationRoutes(server: FastifyInstance, context: Context): void {
  const { store, people, changes, repeats, notifier, directory, cursors, publicUrl, now } = context
  server.get<{ Querystring: Static<typeof ListQuery> }>(
    "/v1/invitations",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "listInvitations",
        summary: "Lists the project's invitations, newest first",
        tags,
        querystring: ListQuery,
        response: responses({ 200: Page(InvitationView) }, 400, 401, 422),
      },
    },
    async request => {
      const { limit = 50, cursor } = request.query
      const [before = Number.MAX_SAFE_INTEGER] = cursors.read(request, "invitations", cursor) ?? []
      const found = await listInvitations(store.reads, callerOf(request).project, before, limit + 1)
      const page = found.slice(0, limit)
      const last = page.at(-1)
      return {
        data: page.map(invitation => viewOf(invitation, now())),
        next_cursor: found.length > limit && last !== undefined ? cursors.write(request, "invitations", last.id) : null,
      }
    },
  )

  server.post<{ Body: Static<typeof NewInvitation> }>(
    "/v1/invitations",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "createInvitation",
        summary: "Invites somebody into the project",
        description: "Good for 7 days. Only owners invite owners.",
        tags,
        headers: RepeatableHeaders,
        body: NewInvitation,
        response: responses({ 201: NewInvitationView }, 400, 401, 409, 413, 415, 422, 503),
      },
    },
    async (request, reply) =>
      repeats.carryOut(request, reply, async keep => {
        const { project, person } = callerOf(request)
        const { email, role } = request.body
        if (role === "owner" && !mayOwn(request)) throw ownersOnly()
        const at = now()
        const token = newToken()
        const by = actorOf(request)
        const id = store.ids.next()
        const invitation = { id, project, email, role, by, createdAt: at, expiresAt: at + INVITATION_MS }
        const subject = formatId("inv", id)
        const mailed = notifier.isSetUp
        const view = viewOf({ ...invitation, usedAt: null, revokedAt: null }, at)
        const told = { status: 201, text: JSON.stringify({ ...view, url: invitationLink(publicUrl(), token), mailed }) }
        await changes.inTransaction(async (tx, note, tell) => {
          const known = await findPersonByEmail(tx, email)
          if (known !== undefined && (await findMember(tx, project, known.id)) !== undefined) {
            throw new Problem(
              "conflict",
              `${email} belongs to this project already. Change the role with PATCH /v1/people/${formatId("per", known.id)}.`,
            )
          }
          await insertInvitation(tx, invitation, hashToken(token))
          await note({ project, kind: "invitation.created", subject, by, facts: { email, role } })
          await keep(tx, told)
          if (!mailed) return
          const key = `invitation:${subject}`
          const content: InvitationMail = {
            cause: "invitation",
            at,
            to: email,
            project: directory.project(project)?.name ?? "",
            role,
            by: person?.session.name ?? null,
            expiresAt: invitation.expiresAt,
            sealedToken: store.seal.seal(mailPlace(key), token),
          }
          await tell({ mails: [{ key, project, content: JSON.stringify(content) }] })
        })
        notifier.wake()
        return told
      }),
  )

  server.get<{ Params: InvitationPath }>(
    "/v1/invitations/:id",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "getInvitation",
        summary: "Shows an invitation, but for its link",
        tags,
        params: InvitationPath,
        headers: IfNoneMatchHeaders,
        response: responses({ 200: InvitationView, 304: NotModified }, 400, 401, 404, 422),
      },
    },
    async (request, reply) => {
      const text = JSON.stringify(viewOf(await find(store.reads, request), now()))
      return sendTagged(request, reply, tagOf(text), text)
    },
  )

  server.delete<{ Params: InvitationPath }>(
    "/v1/invitations/:id",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "revokeInvitation",
        summary: "Revokes an invitation, at once",
        tags,
        params: InvitationPath,
        headers: IfMatchHeaders,
        response: responses({ 200: InvitationView }, 400, 401, 404, 409, 412, 413, 415, 422, 503),
      },
    },
    async request => {
      const { project } = callerOf(request)
      const { id: text } = request.params
      const at = now()
      return changes.inTransaction(async (tx, note) => {
        const stood = await find(tx, request)
        assertMatch(request, tagOf(JSON.stringify(viewOf(stood, at))))
        if (stood.usedAt !== null) {
          throw new Problem(
            "conflict",
            "The invitation was accepted already. Take the person out with DELETE /v1/people/….",
          )
        }
        const revoked = await revokeInvitation(tx, project, stood.id, at)
        if (revoked === undefined) throw notFound("invitation", text)
        // Once more changes nothing.
        if (stood.revokedAt === null) {
          await note({ project, kind: "invitation.revoked", subject: text, by: actorOf(request) })
        }
        return viewOf(revoked, at)
      })
    },
  )

  server.post<{ Body: Static<typeof Acceptance> }>(
    "/v1/invitations/accept",
    {
      config: { public: true },
      schema: {
        operationId: "acceptInvitation",
        summary: "Accepts an invitation and signs in",
        description:
          "A new person brings a name and a password of their choice. A person who exists already brings their own password; who signs in with OpenID Connect accepts by doing so.",
        tags,
        body: Acceptance,
        response: responses({ 201: SessionView }, 400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
      },
    },
    async (request, reply) => {
      assertNotCrossSite(context, request)
      const { token, name, password } = request.body
      const came = await withPasswords(() => people.accept(token, { name, password }, visitOf(context, request)))
      return reply.code(201).send(await letIn(context, reply, came))
    },
  )
}

/** The invitation that a path names; a 404 problem where the project has none of that id. */
async function find(
  db: Pick<Database, "query">,
  request: FastifyRequest<{ Params: InvitationPath }>,
): Promise<Invitation> {
  const id = parseId("inv", request.params.id)
  const found = id === undefined ? undefined : await readInvitation(db, callerOf(request).project, id)
  if (found === undefined) throw notFound("invitation", request.params.id)
  return found
}

/** Whether a caller may make owners and what concerns them: owners do. A key stands for whoever runs the program, who has the set-up link for that. */
export function mayOwn(request: FastifyRequest): boolean {
  return callerOf(request).person?.role === "owner"
}

export function ownersOnly(): Problem {
  return new Problem("forbidden", "Only an owner of the project says who its owners are. Ask one of them.")
}

/** Where an invitation is accepted. */
export function invitationLink(publicUrl: string, token: string): string {
  return `${publicUrl}/invitation?token=${token}`
}

function viewOf(invitation: Invitation, now: number): Static<typeof InvitationView> {
  return {
    id: formatId("inv", invitation.id),
    email: invitation.email,
    role: invitation.role,
    state: fateOf(invitation, now) ?? "open",
    created_at: timeText(invitation.createdAt),
    expires_at: timeText(invitation.expiresAt),
  }
}
