/**
 * `/v1/integrations/{id}/secret`: the signing secrets once more, for who has to set up a receiver anew. All other secrets are
 * written and never read (API-44). Each reading stands in the audit log.
 */
import type { FastifyInstance } from "fastify"
import { Type } from "typebox"
import { signingKeysAt } from "../engine/directory.ts"
import { actorOf, callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { findIntegration, IntegrationPath, latestRecord } from "./integrations.ts"
import { Problem } from "./problem.ts"
import { Nullable, responses, Time, timeText } from "./schemas.ts"

const SigningSecretsView = Type.Object({
  secrets: Type.Array(
    Type.Object({
      number: Type.Integer(),
      scheme: Type.String({ description: "`v1`: a symmetric key, `v1a`: an asymmetric one." }),
      secret: Type.String({ examples: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] }),
      created_at: Time,
      expires_at: Nullable(Time, "Until when it signs beside a newer one; null: no newer one is there."),
    }),
    { description: "Those that sign now, the newest first." },
  ),
})

export function signingSecretRoutes(server: FastifyInstance, context: Context): void {
  const { changes, now } = context

  server.get<{ Params: IntegrationPath }>(
    "/v1/integrations/:id/secret",
    {
      config: { scope: "secrets:read" },
      schema: {
        operationId: "readSigningSecrets",
        summary: "Shows the signing secrets of an integration",
        description:
          "The reading stands in the audit log, as `integration.secret_read`, with who did so and from where.",
        tags: ["integrations"],
        params: IntegrationPath,
        response: responses({ 200: SigningSecretsView }, 401, 404, 409, 422, 503),
      },
    },
    async request => {
      const { project } = callerOf(request)
      const { id } = findIntegration(context, project, request.params.id).record
      const change = { project, kind: "integration.secret_read", subject: request.params.id, by: actorOf(request) }
      return changes.together(change, async (tx, say) => {
        const record = await latestRecord(context, tx, id)
        const keys = signingKeysAt(record, now())
        if (keys.length === 0 && record.fault !== null) throw new Problem("conflict", record.fault)
        say({ facts: { signing_keys: keys.map(({ number }) => number) } })
        return {
          secrets: keys.map(({ number, scheme, secret, createdAt, expiresAt }) => ({
            number,
            scheme,
            secret,
            created_at: timeText(createdAt),
            expires_at: timeText(expiresAt),
          })),
        }
      })
    },
  )
}
