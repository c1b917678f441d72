/** `POST /v1/filters/try`: which of the last events a filter would let through, before it is saved. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import type { Event } from "../domain/event.ts"
import { parseExact } from "../domain/exact-json.ts"
import { compileFilter, type FilterTest } from "../domain/filter.ts"
import { type RoutingIntegration, route } from "../domain/route.ts"
import { readEvent } from "../store/event-reads.ts"
import { searchEvents } from "../store/event-search.ts"
import { isMasked } from "../store/rows.ts"
import { callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { EventSummaryView, viewOfSummary } from "./event-view.ts"
import { asSentence, filterFaults, rawFilter } from "./integration-save.ts"
import { findIntegration } from "./integrations.ts"
import { Problem } from "./problem.ts"
import { Nullable, responses, Time, timeText } from "./schemas.ts"
import { SEARCH_BUDGET_MS } from "./search-query.ts"

/** A filter may take milliseconds over a large event: others have their turn between two, and it ends in time. */
const TRY_BUDGET_MS = 1_000

const TryBody = Type.Object(
  {
    filter: Type.Unsafe<object | null>({
      type: ["object", "null"],
      description: "As in an integration; null lets all through.",
      examples: [{ eq: ["data.plan", "pro"] }],
    }),
    integration: Type.Optional(
      Type.String({ maxLength: 64, description: "Whose apps, event types and endpoints count as well: `int_…`." }),
    ),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100, default: 50, description: "How many events at most." }),
    ),
  },
  { additionalProperties: false },
)

/** Why an event does not go out, or that it cannot be told. */
const outcomes = [
  "passes",
  "filtered",
  "no_endpoint",
  "type_disabled",
  "historical",
  "other_app",
  "payload_gone",
] as const
type Outcome = (typeof outcomes)[number]

const TryView = Type.Object({
  data: Type.Array(
    Type.Object({
      event: EventSummaryView,
      passes: Nullable(Type.Boolean(), "null where it cannot be told, as the payload is no longer kept."),
      outcome: Type.Enum([...outcomes], {
        description: "`filtered`: by this filter. The others are rules of the integration that come before it.",
      }),
      payload_masked: Type.Boolean({
        description:
          'Values of private fields read "[private]" here. When an event comes in, the filter sees them whole.',
      }),
    }),
    { description: "Newest first. Tests are left out." },
  ),
  passed: Type.Integer(),
  tried: Type.Integer({ description: "How many of them could be told." }),
  searched_back_to: Nullable(Time, "Set where it stopped for time: older events were not tried."),
})

export function filterRoutes(server: FastifyInstance, context: Context): void {
  const { store, now } = context

  server.post<{ Body: Static<typeof TryBody> }>(
    "/v1/filters/try",
    {
      // Not for those who read without payloads: question by question, a filter tells what is in them.
      config: { scope: "integrations:write", unaudited: "nothing is saved and nothing is sent" },
      schema: {
        operationId: "tryFilter",
        summary: "Shows which of the last events a filter would let through",
        description:
          "Nothing is saved and nothing is sent. With `integration`: by all of its rules, with this filter in place of its own.",
        tags: ["integrations"],
        body: TryBody,
        response: responses({ 200: TryView }, 400, 401, 404, 413, 415, 422),
      },
    },
    async request => {
      const { project } = callerOf(request)
      const { filter, integration, limit = 50 } = request.body
      const passes = filter === null ? null : readFilter(rawFilter(request.bodyText ?? ""))
      const live = integration === undefined ? null : findIntegration(context, project, integration)
      const judge = live === null ? judgeBy(passes) : judgeBy(passes, live.routing)
      const at = now()
      const page = await searchEvents(store.reads, {
        project,
        filter: {},
        limit,
        now: at,
        budgetMs: SEARCH_BUDGET_MS,
      })
      const data: Static<typeof TryView>["data"] = []
      let stoppedAt = page.searchedBackTo
      const startedAt = performance.now()
      for (const summary of page.events) {
        if (summary.test) continue
        if (performance.now() - startedAt > TRY_BUDGET_MS) {
          stoppedAt = data.length === 0 ? at : summary.receivedAt
          break
        }
        const kept = await readEvent(store.reads, project, summary.id, at)
        // As readers see it: question by question, a filter would tell the values of private fields.
        const event = kept?.event ?? null
        const outcome = event === null ? "payload_gone" : judge(event)
        data.push({
          event: viewOfSummary(summary, at),
          passes: outcome === "payload_gone" ? null : outcome === "passes",
          outcome,
          payload_masked: event !== null && isMasked(event.payload),
        })
      }
      return {
        data,
        passed: data.filter(({ passes: does }) => does === true).length,
        tried: data.filter(({ passes: does }) => does !== null).length,
        searched_back_to: timeText(stoppedAt),
      }
    },
  )

  /** The same rules by which events are routed, with another filter. An endpoint that is not verified yet counts as one. */
  function judgeBy(passes: FilterTest | null, like?: RoutingIntegration): (event: Event) => Outcome {
    const ready = { production: "ready", sandbox: "ready" } as const
    const free = { id: 0, project: 0, apps: null, nameFor: (type: string) => ({ on: true, name: type }) as const }
    const base = like ?? { ...free, state: "on" as const, passes: null, endpoints: ready }
    return event => {
      const { environment, project } = event
      const hasEndpoint = base.endpoints[environment] !== "none"
      const rules: RoutingIntegration = { ...base, project, state: "on", passes, endpoints: { ...ready } }
      const { deliver, withheld } = route(event, [rules])
      if (withheld.historical !== undefined) return "historical"
      if (withheld.type_disabled !== undefined) return "type_disabled"
      if (deliver.length === 0 && withheld.filtered === undefined) return "other_app"
      if (!hasEndpoint) return "no_endpoint"
      return deliver.length > 0 ? "passes" : "filtered"
    }
  }
}

function readFilter(text: string | null): FilterTest {
  const errors = filterFaults(text).map(asSentence("/filter"))
  const [first] = errors
  if (first !== undefined) {
    throw new Problem("invalid", first.message, {
      errors: errors.map(({ pointer, message }) => ({ pointer: `/filter${pointer}`, message })),
    })
  }
  const filter = text === null ? undefined : parseExact(text)
  if (filter === undefined) throw new Error("A filter without faults is JSON.")
  return compileFilter(filter)
}
