/** The OpenAPI 3.1 document: made from the schemas that validate the requests. */
import type { FastifyDynamicSwaggerOptions } from "@fastify/swagger"
import type { FastifyInstance } from "fastify"

/** Options of the generator. */
export function openapi(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Waybill",
        version,
        description:
          "A hub for integration events: every accepted event is accounted for, every failure explains itself.",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      components: {
        securitySchemes: { key: { type: "http", scheme: "bearer", description: "An API key: `wb_…`." } },
      },
      security: [{ key: [] }],
    },
  }
}

/** `/openapi.json`, for everybody: it says nothing that the source does not. */
export function openapiRoutes(server: FastifyInstance): void {
  server.get("/openapi.json", { config: { public: true }, schema: { hide: true } }, async () => server.swagger())
}
