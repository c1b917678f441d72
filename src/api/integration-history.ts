/** What went through one integration: attempts over time, the last of them whole, the latest events. */
import type { FastifyInstance, FastifyRequest } from "fastify"
import { type Static, Type } from "typebox"
import { formatDeliveryId, type IntegrationId, type ProjectId, parseId } from "../domain/id.ts"
import type { ReasonCode } from "../domain/reason.ts"
import { type AttemptSummary, lastAttempts, readExchanges } from "../store/attempt-reads.ts"
import { deliveriesAt } from "../store/delivery-reads.ts"
import { readEvent } from "../store/event-reads.ts"
import { searchEvents, withheldFrom } from "../store/event-search.ts"
import { deliveryHistory } from "../store/history-reads.ts"
import { integrationNames } from "../store/integrations.ts"
import { type Caller, callerOf } from "./access.ts"
import { FullAttemptView, Rebuilder, viewOfFullAttempt } from "./attempt-view.ts"
import type { Context } from "./context.ts"
import { DeliveryView, viewOfDelivery } from "./delivery-view.ts"
import { EventSummaryView, eventSummaryFields, payloadFields, textOfEvent, viewOfSummary } from "./event-view.ts"
import { IntegrationPath } from "./integrations.ts"
import { assertNotLimited, hidesPayloads, limitsOf, narrowed } from "./limits.ts"
import { summariesWithin } from "./portal-sight.ts"
import { notFound } from "./problem.ts"
import { jsonList, jsonText, type RawJson } from "./raw-json.ts"
import { Reasons, ReasonView } from "./reasons.ts"
import { Nullable, paging, responses, SearchPage, Time, timeText } from "./schemas.ts"
import { SEARCH_BUDGET_MS } from "./search-query.ts"

const counts = {
  success: Type.Integer(),
  error: Type.Integer(),
  skipped: Type.Integer({ description: "Held back by protection: nothing was sent." }),
  interrupted: Type.Integer({ description: "Attempts whose result is unknown, because Waybill was stopped." }),
  sender_fault: Type.Integer({ description: "Attempts that failed on Waybill's own side." }),
}
const HistoryQuery = Type.Object(
  { interval: Type.Optional(Type.Enum(["hour", "day"], { default: "day" })) },
  { additionalProperties: false },
)
const HistoryView = Type.Object({
  interval: Type.Enum(["hour", "day"]),
  data: Type.Array(Type.Object({ at: Time, ...counts }), { description: "30 days in UTC, the oldest first." }),
  totals: Type.Object(counts),
})

const LogQuery = Type.Object(
  { limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 50, default: 10, description: "How many of each." })) },
  { additionalProperties: false },
)
const LogEntry = Type.Object({
  delivery: Type.String(),
  error_message: Nullable(Type.String()),
  attempt: FullAttemptView,
  event: Type.Object({ ...eventSummaryFields, ...payloadFields }),
})
const LogView = Type.Object({ successes: Type.Array(LogEntry), errors: Type.Array(LogEntry) })

const EventsQuery = Type.Object(paging, { additionalProperties: false })
const HereView = Type.Object({
  event: EventSummaryView,
  delivery: Nullable(DeliveryView),
  withheld: Nullable(ReasonView),
})

export function integrationHistoryRoutes(server: FastifyInstance, context: Context): void {
  const { store, directory, cursors, now } = context

  server.get<{ Params: IntegrationPath; Querystring: Static<typeof HistoryQuery> }>(
    "/v1/integrations/:id/history",
    {
      config: { scope: "integrations:read", portal: true },
      schema: {
        operationId: "getIntegrationHistory",
        summary: "Counts attempts and skips over 30 days",
        description: "Each in the hour or UTC day in which it happened. Tests are not counted.",
        tags: ["integrations"],
        params: IntegrationPath,
        querystring: HistoryQuery,
        response: responses({ 200: HistoryView }, 401, 404, 422),
      },
    },
    async request => {
      const { project } = callerOf(request)
      const integration = await findEver(context, project, request.params.id)
      const { interval = "day" } = request.query
      assertNotLimited(request, ["source"], "what is counted over time is not told apart by source")
      const { app, environment } = limitsOf(request)
      const asked = { project, integration, interval, app, environment, now: now() }
      const buckets = await deliveryHistory(store.reads, asked)
      const data = buckets.map(({ at, senderFault, ...rest }) => ({
        at: timeText(at),
        ...rest,
        sender_fault: senderFault,
      }))
      const total = (name: keyof typeof counts) => data.reduce((sum, bucket) => sum + bucket[name], 0)
      return {
        interval,
        data,
        totals: {
          success: total("success"),
          error: total("error"),
          skipped: total("skipped"),
          interrupted: total("interrupted"),
          sender_fault: total("sender_fault"),
        },
      }
    },
  )

  server.get<{ Params: IntegrationPath; Querystring: Static<typeof LogQuery> }>(
    "/v1/integrations/:id/logs",
    {
      config: { scope: "events:read", portal: true },
      schema: {
        operationId: "getIntegrationLogs",
        summary: "Shows the last successes and the last errors, whole",
        tags: ["integrations"],
        params: IntegrationPath,
        querystring: LogQuery,
        response: responses({ 200: LogView }, 401, 404, 422),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const integration = await findEver(context, project, request.params.id)
      const { limit = 10 } = request.query
      const asked = { project, integration, limit, of: narrowed(request, directory), now: now() }
      const successes = await lastAttempts(store.reads, { ...asked, outcome: "success" })
      const errors = await lastAttempts(store.reads, { ...asked, outcome: "error" })
      const log = new Log(context, request)
      const text = jsonText({}, { successes: await log.entries(successes), errors: await log.entries(errors) })
      return reply.type("application/json; charset=utf-8").send(text)
    },
  )

  server.get<{ Params: IntegrationPath; Querystring: Static<typeof EventsQuery> }>(
    "/v1/integrations/:id/events",
    {
      config: { scope: "events:read", portal: true },
      schema: {
        operationId: "listIntegrationEvents",
        summary: "Lists the latest events and what became of each here",
        description:
          "Events that were withheld from the integration too. It ends in time as the search of events does.",
        tags: ["integrations"],
        params: IntegrationPath,
        querystring: EventsQuery,
        response: responses({ 200: SearchPage(HereView) }, 400, 401, 404, 422),
      },
    },
    async request => {
      const { project, sight } = callerOf(request)
      const { limit = 50, cursor } = request.query
      const integration = await findEver(context, project, request.params.id)
      const [before] = cursors.read(request, "integration-events", cursor) ?? []
      const at = now()
      const page = await searchEvents(store.reads, {
        project,
        filter: { integration, ...narrowed(request, directory) },
        before,
        limit,
        now: at,
        budgetMs: SEARCH_BUDGET_MS,
      })
      const ids = page.events.map(event => event.id)
      const deliveries = await deliveriesAt(store.reads, project, integration, ids)
      const withheld = await withheldFrom(
        store.reads,
        project,
        integration,
        ids.filter(id => !deliveries.has(id)),
      )
      const reasons = new Reasons(context)
      const events = await summariesWithin(context, sight, page.events)
      const data = events.map(async event => {
        const delivery = deliveries.get(event.id)
        const code: ReasonCode | undefined = withheld.get(event.id)
        return {
          event: viewOfSummary(event, at),
          delivery:
            delivery === undefined
              ? null
              : viewOfDelivery(
                  delivery,
                  await reasons.ofDelivery(delivery),
                  directory,
                  reasons.nextAttemptAt(delivery),
                ),
          withheld: code === undefined ? null : await reasons.ofWithheld(event, integration, code),
        }
      })
      return {
        data: await Promise.all(data),
        next_cursor: page.next === null ? null : cursors.write(request, "integration-events", page.next),
        searched_back_to: timeText(page.searchedBackTo),
      }
    },
  )
}

/** The integration that a path names, also one that was removed: its history stays. A 404 problem else. */
async function findEver({ store, directory }: Context, project: ProjectId, text: string): Promise<IntegrationId> {
  const id = parseId("int", text)
  if (id !== undefined) {
    if (directory.integrationOf(project, id) !== undefined) return id
    if ((await integrationNames(store.reads, project)).some(integration => integration.id === id)) return id
  }
  throw notFound("integration", text)
}

/** Entries of a log, each with all that is kept of its attempt. */
class Log {
  readonly #context: Context
  readonly #reasons: Reasons
  readonly #rebuilder: Rebuilder
  readonly #sight: Caller["sight"]
  /** Payloads, requests and answers are left out. */
  readonly #hidden: boolean

  constructor(context: Context, request: FastifyRequest) {
    this.#context = context
    this.#sight = callerOf(request).sight
    this.#hidden = hidesPayloads(request)
    this.#reasons = new Reasons(context)
    this.#rebuilder = new Rebuilder(context)
  }

  async entries(attempts: readonly AttemptSummary[]): Promise<RawJson> {
    const { store, now } = this.#context
    const exchanges = await readExchanges(store.reads, attempts, now())
    const texts = await Promise.all(attempts.map(attempt => this.#entry(attempt, exchanges)))
    return jsonList(texts.filter(text => text !== undefined))
  }

  async #entry(
    attempt: AttemptSummary,
    exchanges: Awaited<ReturnType<typeof readExchanges>>,
  ): Promise<string | undefined> {
    const { store, now } = this.#context
    const { event, integration } = attempt.delivery
    const kept = await readEvent(store.reads, attempt.project, event, now())
    // Its time ran out between the two reads.
    if (kept === undefined) return undefined
    const { environment, type } = kept.summary
    const exchange = exchanges.get(attempt.id)
    const surroundings = { status: "retrying" as const, reason: null, nextAt: null, environment, type }
    const reason = await this.#reasons.ofAttempt(attempt, surroundings, false, exchange)
    const isMissing = !this.#hidden && exchange !== undefined && exchange.requestBody === null
    const body = isMissing ? await this.#rebuilder.body(integration, kept.event, attempt.revision) : null
    const entry = {
      delivery: formatDeliveryId(attempt.delivery),
      error_message: attempt.error?.message ?? reason?.what ?? null,
      attempt: viewOfFullAttempt(attempt, reason, exchange, body, this.#hidden, this.#sight),
    }
    const payload = this.#hidden ? "hidden" : kept.event?.payload
    const [summary = kept.summary] = await summariesWithin(this.#context, this.#sight, [kept.summary])
    return jsonText(entry, { event: { raw: textOfEvent(summary, payload, now()) } })
  }
}
