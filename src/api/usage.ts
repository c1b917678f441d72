/** `GET /v1/usage`: how much went through a project in a time: events by type, deliveries by integration. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { DAY_MS } from "../domain/duration.ts"
import { LONG_MS } from "../store/due.ts"
import { integrationNames } from "../store/integrations.ts"
import { METADATA_MS } from "../store/kept.ts"
import { usageByIntegration, usageByType, wholeHours } from "../store/usage-reads.ts"
import { callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { IntegrationName, nameOfIntegration } from "./delivery-view.ts"
import { responses, Time, timeText } from "./schemas.ts"
import { readRange } from "./search-query.ts"

/** More types than this nobody reads; the rest is counted together. */
const TYPES_SHOWN = 500
const KEPT_DAYS = LONG_MS / DAY_MS

const text = (description: string) => Type.Optional(Type.String({ maxLength: 64, description }))
const UsageQuery = Type.Object(
  {
    from: text(
      "From this time, taken down to the full hour, such as 2026-11-21T10:00:00Z; 30 days ago where it is left out.",
    ),
    to: text("Up to this time, taken up to the full hour; now where it is left out."),
  },
  { additionalProperties: false },
)

const arrived = {
  events: Type.Integer(),
  bytes: Type.Integer({ description: "Of their payloads." }),
}
const counts = {
  routed: Type.Integer({ description: "Events that were to go to it, by when they were received." }),
  withheld: Type.Integer({ description: "Events that did not go to it by rule, and deliveries that were withheld." }),
  success: Type.Integer({ description: "Attempts by when they were made, here and in the next four." }),
  error: Type.Integer(),
  skipped: Type.Integer({ description: "Held back by protection: nothing was sent." }),
  interrupted: Type.Integer({ description: "Attempts whose result is unknown, because Waybill was stopped." }),
  sender_fault: Type.Integer({ description: "Attempts that failed on Waybill's own side." }),
}
const countNames = Object.keys(counts) as (keyof typeof counts)[]

const UsageView = Type.Object({
  from: Time,
  to: Time,
  total: Type.Object({
    ...arrived,
    refused: Type.Integer({ description: "Requests that ingest refused; of a batch each event that was." }),
  }),
  types: Type.Array(Type.Object({ type: Type.String(), ...arrived }), {
    description: `The most frequent first, at most ${TYPES_SHOWN}.`,
  }),
  types_left_out: Type.Integer({ description: "How many types there are beside those." }),
  integrations: Type.Array(Type.Object({ integration: IntegrationName, ...counts }), {
    description: "Those that there are, and those that were removed but were sent something in that time.",
  }),
})
type UsageView = Static<typeof UsageView>

export function usageRoutes(server: FastifyInstance, { store, directory, now }: Context): void {
  server.get<{ Querystring: Static<typeof UsageQuery> }>(
    "/v1/usage",
    {
      config: { scope: "integrations:read", whole: "usage is counted over the project as a whole" },
      schema: {
        operationId: "getUsage",
        summary: "Counts events by type and deliveries by integration in a time",
        description: `Tests are not counted. Counts are kept for ${KEPT_DAYS} days, so that they are still there when the events are not.`,
        tags: ["projects"],
        querystring: UsageQuery,
        response: responses({ 200: UsageView }, 401, 422),
      },
    },
    async (request): Promise<UsageView> => {
      const { project } = callerOf(request)
      const range = readRange(request.query)
      const { from, to } = wholeHours(range.from ?? now() - METADATA_MS, range.to ?? now() + 1)
      const asked = { project, from, to }
      const { total, refused, types, shown } = await usageByType(store.reads, asked, TYPES_SHOWN)
      const known = await integrationNames(store.reads, project)
      const used = await usageByIntegration(
        store.reads,
        asked,
        known.map(({ id }) => id),
      )
      const integrations = known.flatMap(({ id, removed_at }) => {
        const of = used.get(id) ?? {}
        if (removed_at !== null && Object.keys(of).length === 0) return []
        const counted = Object.fromEntries(countNames.map(name => [name, of[name] ?? 0]))
        return [{ integration: nameOfIntegration(directory, id), ...(counted as Record<keyof typeof counts, number>) }]
      })
      return {
        from: timeText(from),
        to: timeText(to),
        total: { ...total, refused },
        types: shown.map(each => ({ ...each })),
        types_left_out: types - shown.length,
        integrations,
      }
    },
  )
}
