/**
 * `/v1/setup`: the first owner of a project. Whoever starts Waybill on an empty database is given a link that makes one;
 * who has lost it, or has a database from before there were people, has a key of the scope `admin` make another.
 */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { formatId } from "../domain/id.ts"
import { ADDRESS_PATTERN, MAX_ADDRESS_CHARACTERS } from "../domain/mail-address.ts"
import { insertSetup } from "../store/invitations.ts"
import { makerOf } from "../store/key-makers.ts"
import { countOwners } from "../store/people.ts"
import { hashToken, newToken } from "../store/token.ts"
import { actorOf, callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { Problem } from "./problem.ts"
import { responses } from "./schemas.ts"
import { assertNotCrossSite } from "./session-cookie.ts"
import { GivenToken, letIn, NewPassword, PersonName, SessionView, visitOf, withPasswords } from "./session-view.ts"

/** A person's mail address. */
export const MailAddress = Type.String({
  maxLength: MAX_ADDRESS_CHARACTERS,
  pattern: ADDRESS_PATTERN,
  "x-hint": "must be a mail address, such as ada@shop.example, without a name",
})
const SetUp = Type.Object(
  { token: GivenToken, email: MailAddress, name: PersonName, password: NewPassword },
  { additionalProperties: false },
)
const SetupLink = Type.Object({
  url: Type.String({ description: "Makes one owner. It is shown this once, and good until there is one." }),
})

/** The link with which an owner is made. */
export function setupLink(publicUrl: string, token: string): string {
  return `${publicUrl}/setup?token=${token}`
}

export function setupRoutes(server: FastifyInstance, context: Context): void {
  const { store, changes, people, publicUrl, now } = context
  server.post<{ Body: Static<typeof SetUp> }>(
    "/v1/setup",
    {
      config: { public: true },
      schema: {
        operationId: "setUp",
        summary: "Makes the owner of a project with the set-up link's token, and signs them in",
        description: "A person who exists already brings their own password.",
        tags: ["people"],
        body: SetUp,
        response: responses({ 201: SessionView }, 400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
      },
    },
    async (request, reply) => {
      assertNotCrossSite(context, request)
      const { token, ...who } = request.body
      const came = await withPasswords(() => people.setUp(token, who, visitOf(context, request)))
      return reply.code(201).send(await letIn(context, reply, came))
    },
  )

  server.post(
    "/v1/setup-link",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "createSetupLink",
        summary: "Makes a link with which the first owner of the project is made",
        description: "Only while the project has no owner; afterwards owners invite others.",
        tags: ["people"],
        response: responses({ 201: SetupLink }, 400, 401, 409, 413, 415, 503),
      },
    },
    async (request, reply) => {
      const { project, key } = callerOf(request)
      const token = newToken()
      // Others may make links for projects of their own: their word does not stand for somebody's address.
      const byOperator = key !== null && (await makerOf(store.reads, key)).kind === "operator"
      const subject = formatId("prj", project)
      const change = { project, kind: "person.setup_link_created", subject, by: actorOf(request) }
      await changes.together(change, async tx => {
        if ((await countOwners(tx, project)) > 0) {
          throw new Problem(
            "conflict",
            "The project has an owner already. Owners and admins invite others: POST /v1/invitations.",
          )
        }
        await insertSetup(tx, hashToken(token), { project, byOperator, at: now() })
      })
      return reply.code(201).send({ url: setupLink(publicUrl(), token) })
    },
  )
}
