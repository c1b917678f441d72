/** `/v1/event-types`: the catalogue of a project, with optional JSON Schemas and examples. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { faultOfSchema } from "../domain/data-schema.ts"
import { isReservedType } from "../domain/event-names.ts"
import { type OperationalType, operationalTypeNames, operationalTypes } from "../domain/operational-types.ts"
import { compileSchema } from "../engine/catalogue.ts"
import type { EventType } from "../store/projects.ts"
import { readEventType, removeEventType, saveEventType } from "../store/projects.ts"
import { actorOf, callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { assertMatch, assertNew, IfMatchHeaders, IfNoneMatchHeaders, NotModified, sendTagged, tagOf } from "./etag.ts"
import { PrivateFieldList } from "./private-fields.ts"
import { notFound, Problem } from "./problem.ts"
import { sendJson } from "./raw-json.ts"
import { KeptText, Nullable, responses, Time, timeText } from "./schemas.ts"

const Name = Type.String({
  pattern: "^[!-~]{1,128}$",
  "x-hint": "must be 1 to 128 printable ASCII characters without space",
  examples: ["subscription_renewed"],
})
const Schema = Type.Unsafe<object | boolean>({
  type: ["object", "boolean"],
  description:
    "JSON Schema (2020-12) that `data` must meet where the project is strict. Its check has to end in a time that can be told: without regular expressions and references that lead back to themselves, with 1,000 schemas in it at most, and with a maxItems of at most 1,000 beside uniqueItems.",
})

const EventTypeView = Type.Object({
  name: Name,
  description: Nullable(Type.String()),
  schema: Nullable(Schema),
  examples: Type.Array(Type.Unknown()),
  private_fields: Type.Array(Type.String(), {
    description:
      "JSON pointers into `data`, whose values receivers get and readers never see; beside those of the project.",
  }),
  reserved: Type.Boolean({ description: "Waybill's own: an operational event, the same in every project." }),
  created_at: Nullable(Time, "null for Waybill's own."),
  updated_at: Nullable(Time, "null for Waybill's own."),
})
type EventTypeView = Static<typeof EventTypeView>

const EventTypeBody = Type.Object(
  {
    description: Type.Optional(Nullable(KeptText({ maxLength: 2_000 }))),
    schema: Type.Optional(Nullable(Schema)),
    examples: Type.Optional(Type.Array(Type.Unknown(), { maxItems: 20 })),
    private_fields: PrivateFieldList,
  },
  { additionalProperties: false },
)
const NamePath = Type.Object({ name: Name })
type NamePath = Static<typeof NamePath>

export function eventTypeRoutes(server: FastifyInstance, { directory, changes, now }: Context): void {
  server.get(
    "/v1/event-types",
    {
      config: { scope: "integrations:read" },
      schema: {
        operationId: "listEventTypes",
        summary: "Lists the catalogue, by name, and Waybill's own types after it",
        tags: ["event types"],
        response: responses({ 200: Type.Object({ data: Type.Array(EventTypeView), next_cursor: Type.Null() }) }, 401),
      },
    },
    async request => {
      const own = directory.eventTypes(callerOf(request).project).map(viewOf)
      return { data: [...own, ...operationalTypeNames.map(viewOfReserved)], next_cursor: null }
    },
  )

  server.get<{ Params: NamePath }>(
    "/v1/event-types/:name",
    {
      config: { scope: "integrations:read" },
      schema: {
        operationId: "getEventType",
        summary: "Shows an event type",
        tags: ["event types"],
        params: NamePath,
        headers: IfNoneMatchHeaders,
        response: responses({ 200: EventTypeView, 304: NotModified }, 400, 401, 404, 422),
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const reserved = operationalTypeNames.find(type => type === name)
      const found = directory.eventTypes(callerOf(request).project).find(type => type.name === name)
      const view = reserved !== undefined ? viewOfReserved(reserved) : found && viewOf(found)
      if (view === undefined) throw notFound("event type", name)
      const text = JSON.stringify(view)
      return sendTagged(request, reply, tagOf(text), text)
    },
  )

  server.put<{ Params: NamePath; Body: Static<typeof EventTypeBody> }>(
    "/v1/event-types/:name",
    {
      config: { scope: "integrations:write" },
      schema: {
        operationId: "putEventType",
        summary: "Adds an event type to the catalogue, or changes it",
        tags: ["event types"],
        description: "With `If-None-Match: *` it only adds one: 412 where the name is taken.",
        params: NamePath,
        headers: Type.Intersect([IfMatchHeaders, IfNoneMatchHeaders]),
        body: EventTypeBody,
        response: responses({ 200: EventTypeView }, 400, 401, 412, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const { name } = request.params
      refuseReserved(name)
      const { description = null, schema = null, examples = [], private_fields: privateFields = [] } = request.body
      if (schema !== null) checkSchema(schema)
      const type = await changes.inTransaction(async (tx, note) => {
        const stood = await readEventType(tx, project, name)
        const before = stood && JSON.stringify(viewOf(stood))
        assertNew(request, before !== undefined)
        assertMatch(request, before === undefined ? null : tagOf(before))
        const at = now()
        const saved: EventType = {
          project,
          name,
          description,
          schema: schema === null ? null : JSON.stringify(schema),
          examples: JSON.stringify(examples),
          privateFields,
          createdAt: stood?.createdAt ?? at,
          updatedAt: at,
        }
        await saveEventType(tx, saved)
        const kind = before === undefined ? "event_type.created" : "event_type.updated"
        const change = { project, kind, subject: name, by: actorOf(request), after: JSON.stringify(viewOf(saved)) }
        await note({ ...change, ...(before !== undefined && { before }) })
        return saved
      })
      directory.rememberEventType(type)
      const text = JSON.stringify(viewOf(type))
      return sendJson(reply.header("etag", tagOf(text)), 200, text)
    },
  )

  server.delete<{ Params: NamePath }>(
    "/v1/event-types/:name",
    {
      config: { scope: "integrations:write" },
      schema: {
        operationId: "removeEventType",
        summary: "Takes an event type out of the catalogue; events of that type stay",
        tags: ["event types"],
        params: NamePath,
        headers: IfMatchHeaders,
        response: responses({ 204: Type.Null() }, 400, 401, 404, 412, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const { name } = request.params
      refuseReserved(name)
      const change = { project, kind: "event_type.removed", subject: name, by: actorOf(request) }
      await changes.together(change, async (tx, say) => {
        const stood = await readEventType(tx, project, name)
        if (stood === undefined) throw notFound("event type", name)
        const before = JSON.stringify(viewOf(stood))
        assertMatch(request, tagOf(before))
        await removeEventType(tx, project, name)
        say({ before })
      })
      directory.forgetEventType(project, name)
      return reply.code(204).send()
    },
  )
}

function refuseReserved(name: string): void {
  if (!isReservedType(name)) return
  throw new Problem("invalid", 'Types that begin with "waybill." are Waybill\'s own.', {
    errors: [{ pointer: "params/name", message: "Choose another name." }],
  })
}

function viewOfReserved(name: OperationalType): EventTypeView {
  const { description, schema, example } = operationalTypes[name]
  const own = { reserved: true, private_fields: [], created_at: null, updated_at: null }
  return { name, description, schema, examples: [example], ...own }
}

function viewOf(type: EventType): EventTypeView {
  return {
    name: type.name,
    reserved: false,
    description: type.description,
    schema: type.schema === null ? null : (JSON.parse(type.schema) as object),
    examples: JSON.parse(type.examples) as unknown[],
    private_fields: [...type.privateFields],
    created_at: timeText(type.createdAt),
    updated_at: timeText(type.updatedAt),
  }
}

/** A schema that cannot be used is refused when it is saved, not when an event meets it. Nothing is fetched for it. */
function checkSchema(schema: object | boolean): void {
  const fault = faultOfSchema(schema)
  if (fault !== null) {
    const pointer = `/schema${fault.pointer}`
    const message = `${fault.pointer === "" ? "The schema" : pointer} ${fault.message}`
    throw new Problem("invalid", message, { errors: [{ pointer, message }] })
  }
  try {
    compileSchema(schema)
  } catch (error) {
    const message = `The schema cannot be used: ${error instanceof Error ? error.message : "invalid"}.`
    throw new Problem("invalid", message, { errors: [{ pointer: "/schema", message }] })
  }
}
