/** All routes. A resource is one file; this is their list. */
import type { FastifyInstance } from "fastify"
import { apiKeyRoutes } from "./api-keys.ts"
import { appRoutes } from "./apps.ts"
import { auditLogRoutes } from "./audit-log.ts"
import { connectorRoutes } from "./connectors.ts"
import type { Context } from "./context.ts"
import { deliveryRoutes } from "./deliveries.ts"
import { diagnosisRoutes } from "./diagnosis.ts"
import { erasureRoutes } from "./erasures.ts"
import { eventTypeRoutes } from "./event-types.ts"
import { eventRoutes } from "./events.ts"
import { failureRoutes } from "./failures.ts"
import { filterRoutes } from "./filters.ts"
import { healthRoutes } from "./health.ts"
import { inboxRoutes } from "./inbox.ts"
import { inboxReceiveRoutes } from "./inbox-receive.ts"
import { ingestRoutes } from "./ingest.ts"
import { integrationActionRoutes } from "./integration-actions.ts"
import { integrationHistoryRoutes } from "./integration-history.ts"
import { integrationRoutes } from "./integrations.ts"
import { invitationRoutes } from "./invitations.ts"
import { jwksRoutes } from "./jwks.ts"
import { openapiRoutes } from "./openapi.ts"
import { passwordResetRoutes } from "./password-resets.ts"
import { peopleRoutes } from "./people.ts"
import { portalRoutes } from "./portal.ts"
import { problemTypeRoutes } from "./problem-types.ts"
import { projectRoutes } from "./projects.ts"
import { reasonListRoutes } from "./reason-list.ts"
import { recoveryRoutes } from "./recoveries.ts"
import { rejectionRoutes } from "./rejections.ts"
import { removalRoutes } from "./removals.ts"
import { reportRoutes } from "./report.ts"
import { roleRoutes } from "./roles.ts"
import { sessionRoutes } from "./session.ts"
import { oidcRoutes } from "./session-oidc.ts"
import { ownSessionRoutes } from "./sessions.ts"
import { setupRoutes } from "./setup.ts"
import { signInRoutes } from "./sign-in.ts"
import { signingSecretRoutes } from "./signing-secrets.ts"
import { streamRoutes } from "./stream-routes.ts"
import { usageRoutes } from "./usage.ts"

/** Registers every route of the API. */
export function routes(server: FastifyInstance, context: Context): void {
  ingestRoutes(server, context)
  connectorRoutes(server)
  integrationRoutes(server, context)
  integrationActionRoutes(server, context)
  signingSecretRoutes(server, context)
  integrationHistoryRoutes(server, context)
  filterRoutes(server, context)
  jwksRoutes(server, context)
  diagnosisRoutes(server, context)
  failureRoutes(server, context)
  reportRoutes(server, context)
  inboxRoutes(server, context)
  inboxReceiveRoutes(server, context)
  eventRoutes(server, context)
  deliveryRoutes(server, context)
  recoveryRoutes(server, context)
  rejectionRoutes(server, context)
  streamRoutes(server, context)
  eventTypeRoutes(server, context)
  appRoutes(server, context)
  apiKeyRoutes(server, context)
  portalRoutes(server, context)
  projectRoutes(server, context)
  removalRoutes(server, context)
  erasureRoutes(server, context)
  auditLogRoutes(server, context)
  sessionRoutes(server, context)
  ownSessionRoutes(server, context)
  oidcRoutes(server, context)
  signInRoutes(server, context)
  setupRoutes(server, context)
  invitationRoutes(server, context)
  passwordResetRoutes(server, context)
  peopleRoutes(server, context)
  roleRoutes(server)
  reasonListRoutes(server)
  usageRoutes(server, context)
  healthRoutes(server, context)
  problemTypeRoutes(server, context)
  openapiRoutes(server)
}
