/** `/v1/audit-log`: who changed what, when and from where, before and after; as pages, or whole for another system. */
import { Readable } from "node:stream"
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { formatId, type ProjectId } from "../domain/id.ts"
import { type AuditEntry, auditLog, type ChangeFilter } from "../store/changes.ts"
import { callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { jsonList, jsonText, sendJson } from "./raw-json.ts"
import { Nullable, Page, paging, responses, Time, timeText } from "./schemas.ts"
import { readRange } from "./search-query.ts"

/** How many entries an export reads at a time. */
const EXPORT_PAGE = 500

const Snapshot = Nullable(Type.Object({}, { additionalProperties: true }))

const EntryView = Type.Object({
  id: Type.String({ examples: ["chg_01j9zq4kx2m"] }),
  at: Time,
  kind: Type.String({ examples: ["integration.updated"], description: "What was done, to what kind of thing." }),
  subject: Type.String({ description: "The id of what it was done to." }),
  by: Type.Object({
    kind: Type.Enum(["api_key", "person", "operator", "waybill"]),
    id: Nullable(Type.String(), "The key or the person; of Waybill the rule by which it acted."),
  }),
  from: Nullable(
    Type.Object({
      address: Type.String({ description: "Of the client, as far as `WAYBILL_TRUST_PROXY` lets it be known." }),
      agent: Nullable(Type.String({ description: "Its `User-Agent`, at most 200 characters." })),
      request: Type.String({ description: "`x-request-id` of the answer." }),
    }),
    "Where the request came from; null for what Waybill did itself.",
  ),
  facts: Type.Object({}, { additionalProperties: true }),
  before: Snapshot,
  after: Snapshot,
})

const filters = {
  actor: Type.Optional(Type.String({ maxLength: 200, description: "Who did it: `key_…` or `per_…`." })),
  kind: Type.Optional(Type.String({ maxLength: 64, description: "Such as `integration.updated`." })),
  subject: Type.Optional(Type.String({ maxLength: 200, description: "To what: `int_…`, `key_…`, an event type …" })),
  from: Type.Optional(
    Type.String({ maxLength: 64, description: "At this time or later, such as 2026-11-21T10:00:00Z." }),
  ),
  to: Type.Optional(Type.String({ maxLength: 64, description: "Before this time." })),
}
const ListQuery = Type.Object({ ...filters, ...paging }, { additionalProperties: false })
const ExportQuery = Type.Object(filters, { additionalProperties: false })
type Filters = Static<typeof ExportQuery>

export function auditLogRoutes(server: FastifyInstance, { store, cursors, log }: Context): void {
  server.get<{ Querystring: Static<typeof ListQuery> }>(
    "/v1/audit-log",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "listAuditLog",
        summary: "Lists who changed what, newest first",
        description:
          "Each call that changed something has one entry, written with the change; what was refused has none. What followed from it by itself stands there as Waybill's own. Entries are never changed, and are kept for 400 days.",
        tags: ["audit log"],
        querystring: ListQuery,
        response: responses({ 200: Page(EntryView) }, 400, 401, 422),
      },
    },
    async (request, reply) => {
      const { limit = 50, cursor } = request.query
      const [before = Number.MAX_SAFE_INTEGER] = cursors.read(request, "audit-log", cursor) ?? []
      const place = { before, limit: limit + 1 }
      const found = await auditLog(store.reads, callerOf(request).project, readFilter(request.query), place)
      const page = found.slice(0, limit)
      const last = page.at(-1)
      const next = found.length > limit && last !== undefined ? cursors.write(request, "audit-log", last.id) : null
      return sendJson(reply, 200, jsonText({ next_cursor: next }, { data: jsonList(page.map(textOf)) }))
    },
  )

  server.get<{ Querystring: Filters }>(
    "/v1/audit-log/export",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "exportAuditLog",
        summary: "Gives the audit log whole, oldest first, an entry a line",
        description:
          "Newline-delimited JSON, each line an entry as `/v1/audit-log` lists it. An answer that breaks off before its end was not the whole: ask again with `from`.",
        tags: ["audit log"],
        querystring: ExportQuery,
        response: {
          200: { description: "The entries", content: { "application/x-ndjson": { schema: Type.String() } } },
          ...responses({}, 401, 422),
        },
      },
    },
    async (request, reply) => {
      const lines = Readable.from(linesOf(callerOf(request).project, readFilter(request.query)))
      // The headers are on their way by then: all that can be told is that it broke off.
      lines.once("error", (error: unknown) => log.warn({ err: error, request: request.id }, "an export broke off"))
      return reply.type("application/x-ndjson; charset=utf-8").send(lines)
    },
  )

  async function* linesOf(project: ProjectId, filter: ChangeFilter): AsyncGenerator<string> {
    for (let after = 0; ; ) {
      const entries = await auditLog(store.reads, project, filter, { after, limit: EXPORT_PAGE })
      const last = entries.at(-1)
      if (last === undefined) return
      yield `${entries.map(textOf).join("\n")}\n`
      after = last.id
    }
  }
}

function readFilter({ actor, kind, subject, ...range }: Filters): ChangeFilter {
  return { actor, kind, subject, ...readRange(range) }
}

function textOf({ id, at, kind, subject, by, facts, before, after }: AuditEntry): string {
  const { from = null } = by
  const view = {
    id: formatId("chg", id),
    at: timeText(at),
    kind,
    subject,
    by: { kind: by.kind, id: by.id },
    from,
    facts,
  }
  return jsonText(view, { before: { raw: before ?? "null" }, after: { raw: after ?? "null" } })
}
