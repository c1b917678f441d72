/** `/v1/session`: signing in and out, who one is, and what one works on. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { parseId } from "../domain/id.ts"
import { MAX_ADDRESS_CHARACTERS } from "../domain/mail-address.ts"
import { actorOf, originOf } from "./access.ts"
import type { Context } from "./context.ts"
import { Problem } from "./problem.ts"
import { responses } from "./schemas.ts"
import { assertNotCrossSite, dropCookie } from "./session-cookie.ts"
import {
  GivenPassword,
  letIn,
  NewPassword,
  personOf,
  SessionView,
  viewOfSession,
  visitOf,
  withPasswords,
} from "./session-view.ts"

const options = { additionalProperties: false }
const SignIn = Type.Object(
  { email: Type.String({ minLength: 1, maxLength: MAX_ADDRESS_CHARACTERS }), password: GivenPassword },
  options,
)
const Move = Type.Object({ project: Type.String({ maxLength: 64, examples: ["prj_01j9zq4kx2m"] }) }, options)
const PasswordChange = Type.Object(
  {
    current_password: Type.Optional(GivenPassword),
    new_password: NewPassword,
  },
  options,
)
const tags = ["people"]

export function sessionRoutes(server: FastifyInstance, context: Context): void {
  const { people } = context
  server.post<{ Body: Static<typeof SignIn> }>(
    "/v1/session",
    {
      config: { public: true },
      schema: {
        operationId: "signIn",
        summary: "Signs a person in",
        description:
          "The session comes as a cookie that scripts cannot read. An address that is not known is answered as a wrong password is, and as slowly. Ten failures of one account, or fifty from one address, within 15 minutes end in 429.",
        tags,
        body: SignIn,
        response: responses({ 201: SessionView }, 400, 401, 403, 413, 415, 422, 429, 503),
      },
    },
    async (request, reply) => {
      assertNotCrossSite(context, request)
      const { email, password } = request.body
      const came = await withPasswords(() => people.signIn(email, password, visitOf(context, request)))
      return reply.code(201).send(await letIn(context, reply, came))
    },
  )

  server.get(
    "/v1/session",
    {
      config: { scope: "any", people: true },
      schema: {
        operationId: "getSession",
        summary: "Says who is signed in, to which projects, and gives the session's CSRF token",
        tags,
        response: responses({ 200: SessionView }, 401),
      },
    },
    async request => {
      const { session, token } = personOf(request)
      return viewOfSession(context, session, token)
    },
  )

  server.delete(
    "/v1/session",
    {
      config: { scope: "any", people: true },
      schema: {
        operationId: "signOut",
        summary: "Signs out: the session ends at once, wherever its cookie is",
        tags,
        response: responses({ 204: Type.Null() }, 400, 401, 413, 415, 503),
      },
    },
    async (request, reply) => {
      await people.signOut(personOf(request).session, actorOf(request))
      dropCookie(context, reply)
      return reply.code(204).send()
    },
  )

  server.put<{ Body: Static<typeof Move> }>(
    "/v1/session/project",
    {
      config: { scope: "any", people: true },
      schema: {
        operationId: "workInProject",
        summary: "Goes on in another project of the person's",
        description: "The session gets a new cookie and a new CSRF token, as the role may be another one.",
        tags,
        body: Move,
        response: responses({ 200: SessionView }, 400, 401, 404, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { session } = personOf(request)
      const { project: text } = request.body
      const project = parseId("prj", text)
      const moved = project === undefined ? undefined : await people.moveTo(session, project, actorOf(request))
      if (moved === undefined)
        throw new Problem("not_found", `You belong to no project ${text}. GET /v1/session lists yours.`)
      return letIn(context, reply, moved)
    },
  )

  server.put<{ Body: Static<typeof PasswordChange> }>(
    "/v1/session/password",
    {
      config: { scope: "any", people: true },
      schema: {
        operationId: "changePassword",
        summary: "Changes the own password, and ends the person's other sessions",
        description:
          "`current_password` is asked for unless there is none yet, as for who signs in with OpenID Connect.",
        tags,
        body: PasswordChange,
        response: responses({ 200: SessionView }, 400, 401, 413, 415, 422, 429, 503),
      },
    },
    async (request, reply) => {
      const { session } = personOf(request)
      const { current_password: current, new_password: next } = request.body
      const changed = await withPasswords(() =>
        people.changePassword(session, { current, next }, actorOf(request), originOf(request)),
      )
      return letIn(context, reply, changed)
    },
  )
}
