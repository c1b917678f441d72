/**
 * `/v1/integrations/:id/jwks`: the public keys that an integration signs with now, for receivers to fetch by themselves. It
 * asks for no credential, as it holds nothing that is not public.
 */
import type { FastifyInstance } from "fastify"
import { Type } from "typebox"
import { parseId } from "../domain/id.ts"
import { signingKeysAt } from "../engine/directory.ts"
import { jwkOf } from "../transport/jwk.ts"
import type { Context } from "./context.ts"
import { IntegrationPath } from "./integrations.ts"
import { Problem } from "./problem.ts"
import { responses } from "./schemas.ts"

/** How long receivers may go by what they have: both keys are in it for as long as a rotation's grace lasts. */
const MAX_AGE_SECONDS = 300

const Jwk = Type.Object({
  kty: Type.Literal("OKP"),
  crv: Type.Literal("Ed25519"),
  x: Type.String({ description: "The public key in base64url." }),
  kid: Type.String({ description: "The thumbprint of the key (RFC 7638), as `keyid` names it." }),
  use: Type.Literal("sig"),
  alg: Type.Literal("EdDSA"),
})

export function jwksRoutes(server: FastifyInstance, { directory, now }: Context): void {
  server.get<{ Params: IntegrationPath }>(
    "/v1/integrations/:id/jwks",
    {
      config: { public: true },
      schema: {
        operationId: "getJwks",
        summary: "Shows the public keys that requests are signed with",
        description:
          "A JSON Web Key Set (RFC 7517), the newest key first; while a rotation's grace lasts, the old one too. 404 where nothing is signed with an asymmetric key.",
        tags: ["integrations"],
        params: IntegrationPath,
        response: {
          ...responses({}, 404, 422),
          200: {
            description: "The key set",
            content: { "application/jwk-set+json": { schema: Type.Object({ keys: Type.Array(Jwk) }) } },
          },
        },
      },
    },
    async (request, reply) => {
      await directory.catchUp()
      const id = parseId("int", request.params.id)
      const live = id === undefined ? undefined : directory.integration(id)
      const keys = live === undefined ? [] : signingKeysAt(live.record, now()).filter(key => key.scheme === "v1a")
      // Nobody learns here which ids there are, but for those that have something to publish.
      if (keys.length === 0) {
        throw new Problem("not_found", `There is no integration ${request.params.id} that signs with a public key.`)
      }
      return reply
        .type("application/jwk-set+json; charset=utf-8")
        .header("cache-control", `public, max-age=${MAX_AGE_SECONDS}`)
        .send(JSON.stringify({ keys: keys.map(key => jwkOf(key.secret)) }))
    },
  )
}
