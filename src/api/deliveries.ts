/** `/v1/deliveries`: one event on its way to one integration, what each attempt said, and a retry by hand. */
import type { FastifyInstance, FastifyRequest } from "fastify"
import { type Static, Type } from "typebox"
import { deliveryStatuses } from "../domain/delivery.ts"
import { formatDeliveryId, formatId, parseDeliveryId, parseId } from "../domain/id.ts"
import { isLimited, isWithin } from "../domain/limits.ts"
import { reasonCodes } from "../domain/reason.ts"
import { readAttempts, readExchanges } from "../store/attempt-reads.ts"
import { type DeliveryRecord, readDelivery } from "../store/delivery-reads.ts"
import { searchDeliveries } from "../store/delivery-search.ts"
import { readEvent } from "../store/event-reads.ts"
import { unblock } from "../store/line.ts"
import { retryOne } from "../store/move.ts"
import { readMaskedAt } from "../store/sealed-payloads.ts"
import { actorOf, callerOf } from "./access.ts"
import { FullAttemptView, Rebuilder, viewOfFullAttempt } from "./attempt-view.ts"
import type { Context } from "./context.ts"
import {
  DeliveryView,
  deliveryFields,
  nameOfIntegration,
  PlannedRetry,
  retryPlan,
  viewOfDelivery,
} from "./delivery-view.ts"
import { SameFailure, sameFailureAs } from "./failures.ts"
import { hidesPayloads, limitsOf, narrowed } from "./limits.ts"
import { isSeen } from "./portal-sight.ts"
import { maskedProblem } from "./private-fields.ts"
import { notFound, Problem } from "./problem.ts"
import { Reasons } from "./reasons.ts"
import { Nullable, paging, responses, SearchPage, timeText } from "./schemas.ts"
import { readIntegrationId, readRange, SEARCH_BUDGET_MS, timeRange, wrong } from "./search-query.ts"

/** How many attempts a delivery shows; one that is retried by hand again and again has any number of them. */
const ATTEMPTS_SHOWN = 100

const DeliveryQuery = Type.Object(
  {
    ...paging,
    ...timeRange,
    integration: Type.Optional(Type.String({ maxLength: 64, examples: ["int_01j9zq4kx2m"] })),
    event: Type.Optional(Type.String({ maxLength: 64, examples: ["evt_01j9zq4kx2m"] })),
    status: Type.Optional(Type.Enum([...deliveryStatuses])),
    reason: Type.Optional(Type.Enum([...reasonCodes])),
    destination_record: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    recovery: Type.Optional(
      Type.String({
        maxLength: 64,
        examples: ["rec_01j9zq4kx2m"],
        description: "The recovery that made them due last.",
      }),
    ),
    ordering_key: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  },
  { additionalProperties: false },
)

const ReleasedView = Type.Object({
  ...deliveryFields,
  released: Nullable(Type.String(), "The delivery whose turn it is now; null where none waited behind this one."),
})

const FullDeliveryView = Type.Object({
  ...deliveryFields,
  same_failure: Nullable(SameFailure, "Others that failed as its last attempt did; null where none did."),
  attempts: Type.Array(FullAttemptView, { description: `The newest first, at most ${ATTEMPTS_SHOWN}.` }),
  retry_plan: Type.Array(PlannedRetry, {
    description: "What follows the attempt that is due or under way, as long as each one fails.",
  }),
})

const DeliveryPath = Type.Object({ id: Type.String({ maxLength: 64, examples: ["dlv_01j9zq4kx2m01j9zq4kx2n"] }) })
type DeliveryPath = Static<typeof DeliveryPath>

export function deliveryRoutes(server: FastifyInstance, context: Context): void {
  const { store, directory, changes, cursors, engine, now } = context

  const find = async (request: FastifyRequest<{ Params: DeliveryPath }>): Promise<DeliveryRecord> => {
    const { project, limits, sight } = callerOf(request)
    const id = parseDeliveryId(request.params.id)
    const delivery = id === undefined ? undefined : await readDelivery(store.reads, project, id, now())
    if (
      delivery === undefined ||
      !isWithin(limits, { ...delivery.event, appId: delivery.event.app }) ||
      !isSeen(sight, delivery.id.integration)
    ) {
      throw notFound("delivery", request.params.id)
    }
    return delivery
  }

  server.get<{ Querystring: Static<typeof DeliveryQuery> }>(
    "/v1/deliveries",
    {
      config: { scope: "events:read", portal: true },
      schema: {
        operationId: "listDeliveries",
        summary: "Searches deliveries, those of the newest events first",
        description:
          "`from` and `to` are over the event's `received_at`. It ends in time as the search of events does.",
        tags: ["deliveries"],
        querystring: DeliveryQuery,
        response: responses({ 200: SearchPage(DeliveryView) }, 400, 401, 422),
      },
    },
    async request => {
      const { query } = request
      const { project, sight } = callerOf(request)
      const [event, integration] = cursors.read(request, "deliveries", query.cursor) ?? []
      const page = await searchDeliveries(store.reads, {
        project,
        filter: {
          ...readRange(query),
          integration: readIntegrationId(query.integration),
          integrations: sight === null ? undefined : [...sight],
          event: readEventId(query.event),
          status: query.status,
          reason: query.reason,
          record: query.destination_record,
          recovery: readRecoveryId(query.recovery),
          orderingKey: query.ordering_key,
          of: narrowed(request, directory),
        },
        after: event === undefined || integration === undefined ? undefined : { event, integration },
        limit: query.limit ?? 50,
        now: now(),
        budgetMs: SEARCH_BUDGET_MS,
      })
      const reasons = new Reasons(context)
      const { next } = page
      return {
        data: await Promise.all(
          page.deliveries.map(async d =>
            viewOfDelivery(d, await reasons.ofDelivery(d), directory, reasons.nextAttemptAt(d)),
          ),
        ),
        next_cursor: next === null ? null : cursors.write(request, "deliveries", next.event, next.integration),
        searched_back_to: timeText(page.searchedBackTo),
      }
    },
  )

  server.get<{ Params: DeliveryPath }>(
    "/v1/deliveries/:id",
    {
      config: { scope: "events:read", portal: true },
      schema: {
        operationId: "getDelivery",
        summary: "Shows a delivery with its attempts, their requests and answers",
        tags: ["deliveries"],
        params: DeliveryPath,
        response: responses({ 200: FullDeliveryView }, 401, 404, 422),
      },
    },
    async request => fullView(context, request, await find(request)),
  )

  server.post<{ Params: DeliveryPath }>(
    "/v1/deliveries/:id/retry",
    {
      config: { scope: "replay", portal: true },
      schema: {
        operationId: "retryDelivery",
        summary: "Tries a delivery again now",
        description:
          "In any state but `sending`. Its schedule starts anew, with today's configuration of the integration. Where it is delivered in the order of its key it takes its place in the line again: one that blocks the key is still in front, any other waits behind who is.",
        tags: ["deliveries"],
        params: DeliveryPath,
        response: responses({ 202: DeliveryView }, 400, 401, 404, 409, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const before = await find(request)
      refuseWithoutDestination(context, before)
      const subject = request.params.id
      const change = { project, kind: "delivery.retried", subject, by: actorOf(request), before: stateOf(before) }
      const outcome = await changes.inCommit(function* (commit, note) {
        const retried = yield* retryOne(commit, before.id, project)
        if (retried === "due") yield* note({ ...change, after: JSON.stringify({ status: "pending" }) })
        return retried
      })
      switch (outcome) {
        case "absent":
          throw notFound("delivery", request.params.id)
        case "sending":
          throw new Problem("conflict", "The delivery is being sent just now. Ask again when that attempt is over.")
        case "payload_expired": {
          const at = timeText(before.event.payloadExpiresAt)
          const detail = `The payload of this event was kept until ${at}, so there is nothing left to send. Have the source send the event again.`
          throw new Problem("payload_expired", detail, { extra: { payload_expired_at: at } })
        }
        case "payload_masked":
          throw maskedProblem("this event", (await readMaskedAt(store.reads, { project, ...before.id })) ?? now())
        case "due": {
          await engine.tryNow(before.id)
          const delivery = await find(request)
          const reasons = new Reasons(context)
          const reason = await reasons.ofDelivery(delivery)
          return reply.code(202).send(viewOfDelivery(delivery, reason, directory, reasons.nextAttemptAt(delivery)))
        }
      }
    },
  )

  server.post<{ Params: DeliveryPath }>(
    "/v1/deliveries/:id/release",
    {
      config: { scope: "replay" },
      schema: {
        operationId: "releaseDelivery",
        summary: "Lets those behind a failed delivery go on",
        description:
          "For one that has failed and blocks its ordering key (`blocks_key`), as `ordered_on_failure` says `stop`. It stays failed; the next of its key is due now.",
        tags: ["deliveries"],
        params: DeliveryPath,
        response: responses({ 200: ReleasedView }, 400, 401, 404, 409, 413, 415, 422, 503),
      },
    },
    async request => {
      const { project } = callerOf(request)
      const { id } = await find(request)
      const change = { project, kind: "delivery.released", subject: request.params.id, by: actorOf(request) }
      const released = await changes.inCommit(function* (commit, note) {
        const next = yield* unblock(commit, id, project)
        if (next !== undefined)
          yield* note({ ...change, facts: { next: next && formatDeliveryId({ ...id, event: next }) } })
        return next
      })
      if (released === undefined) throw new Problem("conflict", blocksNone(await find(request)))
      if (released !== null) engine.expect(id.integration, now())
      const delivery = await find(request)
      return {
        ...viewOfDelivery(delivery, await new Reasons(context).ofDelivery(delivery), directory, delivery.nextAt),
        released: released === null ? null : formatDeliveryId({ ...id, event: released }),
      }
    },
  )
}

/** How a delivery stands, for the audit log. */
function stateOf({ status, reason }: DeliveryRecord): string {
  return JSON.stringify({ status, reason: reason?.code ?? null })
}

/** Why there is nothing to release, and where to look instead. */
function blocksNone({ id, status, behind }: DeliveryRecord): string {
  const name = `The delivery ${formatDeliveryId(id)} is ${status} and blocks no ordering key`
  return behind === null
    ? `${name}, so there is nothing to release: only a failed one does, where ordered_on_failure is stop.`
    : `${name}; it waits behind ${formatDeliveryId(behind.id)}. Ask for that one.`
}

/** An integration that is off or gone would end the delivery again at once, or leave it waiting for good. */
function refuseWithoutDestination({ directory }: Context, { id }: DeliveryRecord): void {
  const live = directory.integration(id.integration)
  const { name } = nameOfIntegration(directory, id.integration)
  const called = `The integration ${name === null ? formatId("int", id.integration) : `"${name}"`}`
  if (live === undefined) {
    throw new Problem(
      "conflict",
      `${called} was removed, so nothing can be sent to it. Set it up anew and send the event again.`,
    )
  }
  if (!live.integration.enabled) {
    const path = `/v1/integrations/${formatId("int", id.integration)}/enable`
    throw new Problem("conflict", `${called} is switched off. Enable it with POST ${path}, then retry.`)
  }
}

async function fullView(
  context: Context,
  request: FastifyRequest,
  delivery: DeliveryRecord,
): Promise<Static<typeof FullDeliveryView>> {
  const hidden = hidesPayloads(request)
  const { store, directory, now } = context
  const { id, project, event, status, reason, nextAt } = delivery
  const at = now()
  const attempts = await readAttempts(store.reads, [delivery], ATTEMPTS_SHOWN)
  const exchanges = await readExchanges(store.reads, attempts, at)
  const kept = await readEvent(store.reads, project, event.id, at)
  const [reasons, rebuilder] = [new Reasons(context), new Rebuilder(context)]
  const { environment, type } = event
  const views = attempts.map(async attempt => {
    const exchange = exchanges.get(attempt.id)
    const surroundings = { status, reason, nextAt, environment, type }
    const why = await reasons.ofAttempt(attempt, surroundings, attempt.id === delivery.lastAttempt, exchange)
    const isMissing = !hidden && exchange !== undefined && exchange.requestBody === null
    const body = isMissing ? await rebuilder.body(id.integration, kept?.event ?? null, attempt.revision) : null
    return viewOfFullAttempt(attempt, why, exchange, body, hidden, callerOf(request).sight)
  })
  const policy = directory.integration(id.integration)?.integration.policy
  return {
    ...viewOfDelivery(delivery, await reasons.ofDelivery(delivery), directory, reasons.nextAttemptAt(delivery)),
    // Counted over all that goes to the integration.
    same_failure: isLimited(limitsOf(request)) ? null : await sameFailureAs(context, delivery, attempts, exchanges),
    attempts: await Promise.all(views),
    retry_plan: policy === undefined ? [] : retryPlan(policy, delivery, at),
  }
}

function readRecoveryId(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const id = parseId("rec", text)
  if (id === undefined) throw wrong("recovery", "must be the id of a recovery, such as rec_01j9zq4kx2m")
  return id
}

function readEventId(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const id = parseId("evt", text)
  if (id === undefined) throw wrong("event", "must be the id of an event, such as evt_01j9zq4kx2m")
  return id
}
