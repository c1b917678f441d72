/** `GET /v1/sign-in`: the ways to sign in that there are here, for a page that nobody has signed in to yet. */
import type { FastifyInstance } from "fastify"
import { Type } from "typebox"
import type { Context } from "./context.ts"
import { Nullable } from "./schemas.ts"

const SignInView = Type.Object({
  password: Type.Boolean({ description: "With an address and a password: `POST /v1/session`." }),
  oidc: Nullable(
    Type.Object({ name: Type.String({ description: "The identity provider's host." }) }),
    "With OpenID Connect: `GET /v1/session/oidc` leads there. null where the operator has not set it up.",
  ),
})

export function signInRoutes(server: FastifyInstance, { identityProvider }: Context): void {
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
    async () => ({ password: true, oidc: identityProvider === null ? null : { name: identityProvider.host } }),
  )
}
