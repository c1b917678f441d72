/** `GET /v1/events`: the history of what came in, and of one event all that became of it. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { eventStatuses } from "../domain/event.ts"
import { parseId } from "../domain/id.ts"
import { reasonCodes } from "../domain/reason.ts"
import { readAttempts } from "../store/attempt-reads.ts"
import { deliveriesOfEvent } from "../store/delivery-reads.ts"
import { type KeptEvent, readEvent } from "../store/event-reads.ts"
import { destinationRecords } from "../store/event-search.ts"
import { type Caller, callerOf } from "./access.ts"
import { AttemptView, viewOfAttempt } from "./attempt-view.ts"
import type { Context } from "./context.ts"
import { deliveryFields, IntegrationName, nameOfIntegration, viewOfDelivery } from "./delivery-view.ts"
import { EVENTS_WITH_OUTCOMES, outcomeFields, outcomesOf, withheldOnly } from "./event-outcomes.ts"
import {
  DestinationRecords,
  eventSummaryFields,
  payloadFields,
  textOfEvent,
  viewOfRecords,
  viewOfSummary,
} from "./event-view.ts"
import { hidesPayloads, narrowed, sees } from "./limits.ts"
import { searchWithin } from "./portal-search.ts"
import { isSeen, routingWithin, seenOnly, summariesWithin } from "./portal-sight.ts"
import { notFound } from "./problem.ts"
import { Reasons, ReasonView } from "./reasons.ts"
import { Nullable, paging, responses, SearchPage, timeText } from "./schemas.ts"
import {
  eventFields,
  readApp,
  readIntegrationId,
  readRange,
  SEARCH_BUDGET_MS,
  timeRange,
  wrong,
} from "./search-query.ts"

/** How many attempts of each delivery stand on an event; the delivery itself shows more of them, and whole. */
const ATTEMPTS_SHOWN = 20

const record = Type.Optional(Type.String({ minLength: 1, maxLength: 256 }))
const EventQuery = Type.Object(
  {
    ...paging,
    ...timeRange,
    ...eventFields,
    status: Type.Optional(Type.Enum([...eventStatuses])),
    reason: Type.Optional(
      Type.Enum([...reasonCodes], {
        description:
          "Why a delivery of it, or a withholding, stands where it stands; with `integration`, at that one. As it was stored: what waits is `queued` there, whatever holds it back by now.",
      }),
    ),
    source_record: record,
    destination_record: record,
    external_id: record,
    outcomes: Type.Optional(
      Type.Boolean({
        description: `With what became of each at every integration, and why; ${EVENTS_WITH_OUTCOMES} events at most.`,
      }),
    ),
  },
  { additionalProperties: false },
)

const EventListView = Type.Object({
  ...eventSummaryFields,
  destination_records: DestinationRecords,
  ...outcomeFields,
})

const EventDelivery = Type.Object({
  ...deliveryFields,
  attempts: Type.Array(AttemptView, { description: `The newest first, at most ${ATTEMPTS_SHOWN}.` }),
})
const Withholding = Type.Object({ integration: IntegrationName, reason: ReasonView })
const EventView = Type.Object({
  ...eventSummaryFields,
  ...payloadFields,
  cloud_event: Nullable(Type.Object({}, { additionalProperties: true, description: "Attributes it came with." })),
  deliveries: Type.Array(EventDelivery),
  withheld: Type.Array(Withholding, { description: "Integrations that it did not go to at all." }),
})

const EventPath = Type.Object({ id: Type.String({ maxLength: 64, examples: ["evt_01j9zq4kx2m"] }) })

export function eventRoutes(server: FastifyInstance, context: Context): void {
  const { store, directory, cursors, now } = context

  server.get<{ Querystring: Static<typeof EventQuery> }>(
    "/v1/events",
    {
      config: { scope: "events:read", portal: true },
      schema: {
        operationId: "listEvents",
        summary: "Searches events, newest first",
        description:
          "A search that would take long ends in time with what it has: `searched_back_to` says how far it came, and the cursor goes on from there.",
        tags: ["events"],
        querystring: EventQuery,
        response: responses({ 200: SearchPage(EventListView) }, 400, 401, 422),
      },
    },
    async request => {
      const { project, sight } = callerOf(request)
      const { query } = request
      const { limit = 50, outcomes: withOutcomes = false } = query
      if (withOutcomes && limit > EVENTS_WITH_OUTCOMES) {
        throw wrong("limit", `must be at most ${EVENTS_WITH_OUTCOMES} with \`outcomes=true\``)
      }
      const [before] = cursors.read(request, "events", query.cursor) ?? []
      const page = await searchWithin(context, sight, {
        project,
        filter: {
          ...readRange(query),
          type: query.type,
          status: query.status,
          ...narrowed(request, directory, {
            app: readApp(directory, project, query.app),
            environment: query.environment,
          }),
          profileId: query.profile_id,
          deviceId: query.device_id,
          sourceRecord: query.source_record,
          destinationRecord: query.destination_record,
          externalId: query.external_id,
          integration: readIntegrationId(query.integration),
          reason: query.reason,
        },
        before,
        limit,
        now: now(),
        budgetMs: SEARCH_BUDGET_MS,
      })
      const records = await destinationRecords(
        store.reads,
        project,
        page.events.filter(event => event.counts.delivered > 0).map(event => event.id),
        seenOnly(sight),
      )
      const outcomes = withOutcomes ? await outcomesOf(context, project, page.events, sight) : undefined
      return {
        data: page.events.map(event => ({
          ...viewOfSummary(event, now()),
          destination_records: viewOfRecords(records.get(event.id) ?? []),
          ...outcomes?.get(event.id),
        })),
        next_cursor: page.next === null ? null : cursors.write(request, "events", page.next),
        searched_back_to: timeText(page.searchedBackTo),
      }
    },
  )

  server.get<{ Params: Static<typeof EventPath> }>(
    "/v1/events/:id",
    {
      config: { scope: "events:read", portal: true },
      schema: {
        operationId: "getEvent",
        summary: "Shows one event with its deliveries, withholdings and attempts",
        tags: ["events"],
        params: EventPath,
        response: responses({ 200: EventView }, 401, 404, 422),
      },
    },
    async (request, reply) => {
      const { project, sight } = callerOf(request)
      const id = parseId("evt", request.params.id)
      const at = now()
      const found = id === undefined ? undefined : await readEvent(store.reads, project, id, at)
      if (found === undefined || !sees(request, found.summary)) throw notFound("event", request.params.id)
      const { event } = found
      const [summary = found.summary] = await summariesWithin(context, sight, [found.summary])
      const members = {
        cloud_event: event?.cloud ?? null,
        deliveries: await deliveriesWithAttempts(context, found, at, sight),
        withheld: await withholdings(context, routingWithin(sight, found)),
      }
      const text = textOfEvent(summary, hidesPayloads(request) ? "hidden" : event?.payload, at, members)
      return reply.type("application/json; charset=utf-8").send(text)
    },
  )
}

async function deliveriesWithAttempts(
  context: Context,
  { summary }: KeptEvent,
  at: number,
  sight: Caller["sight"],
): Promise<Static<typeof EventDelivery>[]> {
  const { store, directory } = context
  const all = await deliveriesOfEvent(store.reads, summary.project, summary.id, at)
  const deliveries = all.filter(({ id }) => isSeen(sight, id.integration))
  const attempts = await readAttempts(store.reads, deliveries, ATTEMPTS_SHOWN)
  const byIntegration = Map.groupBy(attempts, attempt => attempt.delivery.integration)
  const reasons = new Reasons(context)
  const { environment, type } = summary
  return Promise.all(
    deliveries.map(async delivery => ({
      ...viewOfDelivery(delivery, await reasons.ofDelivery(delivery), directory, reasons.nextAttemptAt(delivery)),
      attempts: await Promise.all(
        (byIntegration.get(delivery.id.integration) ?? []).map(async attempt => {
          const isLast = attempt.id === delivery.lastAttempt
          const { status, reason, nextAt } = delivery
          const surroundings = { status, reason, nextAt, environment, type }
          return viewOfAttempt(attempt, await reasons.ofAttempt(attempt, surroundings, isLast, undefined), sight)
        }),
      ),
    })),
  )
}

async function withholdings(context: Context, kept: KeptEvent) {
  const reasons = new Reasons(context)
  return Promise.all(
    withheldOnly(kept).map(async ({ integration, code }) => ({
      integration: nameOfIntegration(context.directory, integration),
      reason: await reasons.ofWithheld(kept.summary, integration, code),
    })),
  )
}
