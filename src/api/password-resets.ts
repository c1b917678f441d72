/** `/v1/password-resets`: a new password for whoever has forgotten theirs, by a link that is mailed to their address. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { MAX_ADDRESS_CHARACTERS } from "../domain/mail-address.ts"
import { originOf } from "./access.ts"
import type { Context } from "./context.ts"
import { Problem } from "./problem.ts"
import { responses } from "./schemas.ts"
import { assertNotCrossSite } from "./session-cookie.ts"
import { GivenToken, NewPassword, problemOf, withPasswords } from "./session-view.ts"

const options = { additionalProperties: false }
const Wish = Type.Object({ email: Type.String({ minLength: 1, maxLength: MAX_ADDRESS_CHARACTERS }) }, options)
const NewChoice = Type.Object({ token: GivenToken, new_password: NewPassword }, options)
const Asked = Type.Object({ message: Type.String({ description: "The same for every address." }) })
const tags = ["people"]

const onItsWay =
  "If somebody signs in here with this address and a password, a link for a new one is on its way to it. It holds for 30 minutes."

export function passwordResetRoutes(server: FastifyInstance, context: Context): void {
  const { passwordResets } = context

  server.post<{ Body: Static<typeof Wish> }>(
    "/v1/password-resets",
    {
      config: { public: true, unaudited: "it changes nothing; a link that goes out stands there as Waybill's own" },
      schema: {
        operationId: "askForPasswordReset",
        summary: "Mails a link for a new password to whoever has forgotten theirs",
        description:
          "Answered the same whether there is such an account or not. The link works once, and holds for 30 minutes; three may be asked for within 15 minutes. Who signs in with OpenID Connect alone gets none. 404 where mail is not set up.",
        tags,
        body: Wish,
        response: responses({ 202: Asked }, 400, 403, 404, 413, 415, 422, 429, 503),
      },
    },
    async (request, reply) => {
      assertNotCrossSite(context, request)
      if (!passwordResets.isSetUp) {
        throw new Problem(
          "not_found",
          "This Waybill sends no mail. Whoever runs it lets you in again with `waybill people reset`.",
        )
      }
      const limited = await passwordResets.ask(request.body.email, originOf(request))
      if (limited !== null) throw problemOf(limited)
      return reply.code(202).send({ message: onItsWay })
    },
  )

  server.post<{ Body: Static<typeof NewChoice> }>(
    "/v1/password-resets/use",
    {
      config: { public: true },
      schema: {
        operationId: "resetPassword",
        summary: "Sets a new password with the token of a mailed link",
        description: "All of the person's sessions end. Sign in with the new password then: POST /v1/session.",
        tags,
        body: NewChoice,
        response: responses({ 204: Type.Null() }, 400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
      },
    },
    async (request, reply) => {
      assertNotCrossSite(context, request)
      const { token, new_password } = request.body
      const refused = await withPasswords(() => passwordResets.use(token, new_password, originOf(request)))
      if (refused !== null) throw problemOf(refused)
      return reply.code(204).send()
    },
  )
}
