/** All routes. A resource is one file; this is their list. */
import type { FastifyInstance } from "fastify"
import { apiKeyRoutes } from "./api-keys.ts"
import { appRoutes } from "./apps.ts"
import type { Context } from "./context.ts"
import { eventTypeRoutes } from "./event-types.ts"
import { healthRoutes } from "./health.ts"
import { ingestRoutes } from "./ingest.ts"
import { integrationActionRoutes } from "./integration-actions.ts"
import { integrationRoutes } from "./integrations.ts"
import { projectRoutes } from "./projects.ts"

/** Registers every route of the API. */
export function routes(server: FastifyInstance, context: Context): void {
  ingestRoutes(server, context)
  integrationRoutes(server, context)
  integrationActionRoutes(server, context)
  eventTypeRoutes(server, context)
  appRoutes(server, context)
  apiKeyRoutes(server, context)
  projectRoutes(server, context)
  healthRoutes(server, context)
}
