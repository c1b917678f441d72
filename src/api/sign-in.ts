/** `GET /v1/sign-in`: the ways to sign in that there are here, for a page that nobody has signed in to yet. */
import type { FastifyInstance } from "fastify"
import { Type } from "typebox"
import { signInFaultCodes, signInFaults } from "../domain/sign-in-fault.ts"
import type { Context } from "./context.ts"
import { Nullable } from "./schemas.ts"

const SignInView = Type.Object({
  password: Type.Boolean({ description: "With an address and a password: `POST /v1/session`." }),
  password_reset: Type.Boolean({
    description:
      "Who has forgotten theirs gets a link by mail: `POST /v1/password-resets`. false where mail is not set up.",
  }),
  oidc: Nullable(
    Type.Object({ name: Type.String({ description: "The identity provider's host." }) }),
    "With OpenID Connect: `GET /v1/session/oidc` leads there. null where the operator has not set it up.",
  ),
  faults: Type.Array(
    Type.Object({
      code: Type.Enum([...signInFaultCodes]),
      message: Type.String({ description: "What happened and what to do." }),
    }),
    {
      description:
        "Why somebody who comes back from there may not be let in: `error` of the address that they are led to.",
    },
  ),
})

export function signInRoutes(server: FastifyInstance, { identityProvider, passwordResets }: Context): void {
  server.get(
    "/v1/sign-in",
    {
      config: { public: true },
      schema: {
        operationId: "getSignIn",
        summary: "Says in which ways people sign in here",
        tags: ["people"],
        response: { 200: SignInView },
      },
    },
    async () => ({
      password: true,
      password_reset: passwordResets.isSetUp,
      oidc: identityProvider === null ? null : { name: identityProvider.host },
      faults: signInFaultCodes.map(code => ({ code, message: signInFaults[code] })),
    }),
  )
}
