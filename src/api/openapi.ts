/** The OpenAPI 3.1 document: made from the schemas that validate the requests. */
import { STATUS_CODES } from "node:http"
import type { FastifyDynamicSwaggerOptions } from "@fastify/swagger"
import type { FastifyInstance } from "fastify"
import { schemasByName, withNames } from "./named-schemas.ts"
import { type ProblemCode, problems } from "./problem.ts"

/** Answered before it is known which operation a request is for, so that each of them may be: 408, 414 and 431. */
export const problemsOfAll: readonly ProblemCode[] = ["too_slow", "uri_too_long", "headers_too_large"]

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
        securitySchemes: {
          key: { type: "http", scheme: "bearer", description: "An API key: `wb_…`." },
          session: {
            type: "apiKey",
            in: "cookie",
            name: "__Host-waybill",
            description:
              "The session of a person (`waybill` over http). What changes something also brings `x-csrf-token`. Not looked at where a key is sent.",
          },
        },
      },
      security: [{ key: [] }],
    },
    transformObject: found => ("openapiObject" in found ? withSharedParts(found.openapiObject) : found.swaggerObject),
  }
}

/** `/openapi.json`, for everybody: it says nothing that the source does not. */
export function openapiRoutes(server: FastifyInstance): void {
  server.get("/openapi.json", { config: { public: true }, schema: { hide: true } }, async () => server.swagger())
}

/** As far as it is changed here. */
interface Document {
  readonly components?: object
  readonly paths?: Readonly<Record<string, object | undefined>>
}

/**
 * The same document with each problem response and each shape that has a name written once and pointed to, and with the
 * problems that every operation has: written out a hundred times they would be most of it.
 */
function withSharedParts<D extends Document>(document: D): D {
  const ofAll = Object.fromEntries(
    problemsOfAll.map(code => [problems[code].status, pointerTo(String(problems[code].status))]),
  )
  const shared = (operation: {
    readonly requestBody?: object
    readonly responses?: Readonly<Record<string, object>>
  }) => ({
    ...operation,
    ...(operation.requestBody !== undefined && { requestBody: withNames(operation.requestBody) }),
    responses: {
      ...Object.fromEntries(
        Object.entries(operation.responses ?? {}).map(([status, response]) => [
          status,
          isProblem(response) ? pointerTo(status) : withNames(response),
        ]),
      ),
      ...ofAll,
    },
  })
  const each = <T, U>(members: Readonly<Record<string, T>>, change: (member: T) => U) =>
    Object.fromEntries(Object.entries(members).map(([name, member]) => [name, change(member)]))
  return {
    ...document,
    paths: each(document.paths ?? {}, methods => each({ ...methods }, shared)),
    components: { ...document.components, schemas: schemasByName(), responses: sharedResponses() },
  }
}

/** A response for each status that problems have, by its name under `components/responses`. */
function sharedResponses(): Readonly<Record<string, object>> {
  const statuses = [...new Set(Object.values(problems).map(({ status }) => status))].sort((a, b) => a - b)
  const content = { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } }
  return Object.fromEntries(
    statuses.map(status => {
      const codes = Object.entries(problems).filter(([, problem]) => problem.status === status)
      const description = codes.map(([code, { title }]) => `\`${code}\`: ${title}.`).join(" ")
      return [nameOf(String(status)), { description, content }]
    }),
  )
}

function isProblem(response: object): boolean {
  const media = "content" in response ? Object.keys(response.content ?? {}) : []
  return media.length === 1 && media[0] === "application/problem+json"
}

function pointerTo(status: string): { readonly $ref: string } {
  return { $ref: `#/components/responses/${nameOf(status)}` }
}

/** Such as `NotFound`: programs that are made from the document name their types so. */
function nameOf(status: string): string {
  return (STATUS_CODES[status] ?? status).replaceAll(/[^A-Za-z]/g, "")
}
