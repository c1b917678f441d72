/** `/v1/integrations/{id}/failures`: failures that look alike, grouped, so that one cause is told from another. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { madeOfSecrets } from "../connectors/auth-settings.ts"
import { isGoingOn } from "../domain/failure-group.ts"
import { formatDeliveryId, formatId } from "../domain/id.ts"
import { reasonCodes } from "../domain/reason.ts"
import { reasonTable } from "../domain/reason-table.ts"
import { fill } from "../domain/sentence.ts"
import type { AttemptSummary, KeptExchange } from "../store/attempt-reads.ts"
import type { DeliveryRecord } from "../store/delivery-reads.ts"
import { lastSuccessAt } from "../store/diagnosis-reads.ts"
import { alikeOfKept, type FailureGroup, groupLike, listFailures } from "../store/failures.ts"
import { callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { findIntegration, IntegrationPath } from "./integrations.ts"
import { hidesPayloads } from "./limits.ts"
import { Nullable, Page, paging, responses, Time, timeText } from "./schemas.ts"

export const FailureView = Type.Object({
  id: Type.String({ examples: ["grp_01j9zq4kx2m"] }),
  reason: Type.Enum([...reasonCodes], { description: "Each has its section in docs/reference/reasons.md." }),
  title: Type.String({ description: "Of the reason." }),
  status: Nullable(Type.Integer({ description: "Status of the answer; null where none came." })),
  message: Nullable(
    Type.String({ examples: ["Record {id} not found"] }),
    "What was said, with `{id}`, `{n}`, `{time}` … in place of what differs. null where nothing was said, or it is hidden.",
  ),
  message_hidden: Type.Boolean({ description: "Left out: it is read with the scope `payloads:read`." }),
  count: Type.Integer({ description: "Attempts, and deliveries that failed without one." }),
  first_at: Time,
  last_at: Time,
  going_on: Type.Boolean({
    description: "Nothing has got through since, or it was seen as lately as its frequency lets expect.",
  }),
  example: Type.Object(
    {
      event: Type.String(),
      delivery: Type.String(),
      attempt: Nullable(Type.String({ description: "null where no request was made." })),
    },
    { description: "The last of them." },
  ),
})
export type FailureView = Static<typeof FailureView>

/** What a delivery says of others that failed as it did. */
export const SameFailure = Type.Object({
  count: Type.Integer({ description: "Others that failed the same way." }),
  since: Time,
  group: Type.String({ description: "The group in the integration's failures." }),
})

const ListQuery = Type.Object(paging, { additionalProperties: false })

export function failureRoutes(server: FastifyInstance, context: Context): void {
  const { store, cursors, now } = context

  server.get<{ Params: IntegrationPath; Querystring: Static<typeof ListQuery> }>(
    "/v1/integrations/:id/failures",
    {
      config: {
        scope: "integrations:read",
        whole: "failures that look alike are counted over all events",
        portal: true,
      },
      schema: {
        operationId: "listFailures",
        summary: "Lists failures that look alike in groups, those seen last first",
        description:
          "Of the same reason and status, and with the same message once ids, numbers and times are taken out of it. The 200 groups seen last are kept, for 30 days.",
        tags: ["diagnosis"],
        params: IntegrationPath,
        querystring: ListQuery,
        response: responses({ 200: Page(FailureView) }, 400, 401, 404, 422),
      },
    },
    async request => {
      const { project } = callerOf(request)
      const { limit = 50, cursor } = request.query
      const [lastAt, id] = cursors.read(request, "failures", cursor) ?? []
      const { record } = findIntegration(context, project, request.params.id)
      const after = lastAt === undefined || id === undefined ? undefined : { lastAt, id }
      const asked = { project, integration: record.id, after, limit: limit + 1, now: now() }
      const groups = await listFailures(store.reads, asked)
      const succeededAt = await lastSuccessAt(store.reads, asked)
      const page = groups.slice(0, limit)
      const last = page.at(-1)
      const isMore = groups.length > limit && last !== undefined
      return {
        data: page.map(group => viewOfFailure(group, succeededAt, asked.now, hidesPayloads(request))),
        next_cursor: isMore ? cursors.write(request, "failures", last.lastAt, last.id) : null,
      }
    },
  )
}

/** `hidden`: what was said, which an answer may have said, is left out. */
export function viewOfFailure(
  group: FailureGroup,
  succeededAt: number | null,
  now: number,
  hidden: boolean,
): FailureView {
  const { event, integration } = group
  return {
    id: formatId("grp", group.id),
    reason: group.reason,
    title: fill(reasonTable[group.reason].title, {}),
    status: group.status,
    message: group.message === "" || hidden ? null : group.message,
    message_hidden: hidden,
    count: group.count,
    first_at: timeText(group.firstAt),
    last_at: timeText(group.lastAt),
    going_on: isGoingOn(group, succeededAt, now),
    example: {
      event: formatId("evt", event),
      delivery: formatDeliveryId({ event, integration }),
      attempt: group.attempt === null ? null : formatId("att", group.attempt),
    },
  }
}

/** The others that failed as the last attempt of a delivery did; null where it has not failed, or none did. */
export async function sameFailureAs(
  { store, directory }: Pick<Context, "store" | "directory">,
  delivery: DeliveryRecord,
  attempts: readonly AttemptSummary[],
  exchanges: ReadonlyMap<number, KeptExchange>,
): Promise<Static<typeof SameFailure> | null> {
  const { integration } = delivery.id
  const last = attempts.find(({ id }) => id === delivery.lastAttempt)
  if (last === undefined || last.outcome === "success" || delivery.event.test) return null
  const live = directory.integration(integration)
  const secrets = live === undefined ? [] : [...live.record.secrets.values(), ...madeOfSecrets(live.settings)]
  const alikeOf = (attempt: AttemptSummary) => {
    const answer = exchanges.get(attempt.id)?.response ?? null
    const { reason, status, error } = attempt
    return alikeOfKept(integration, { reason, status, message: error?.message ?? null }, answer, secrets)
  }
  const alike = alikeOf(last)
  if (alike === null) return null
  const knowsMessage = last.error !== null || exchanges.has(last.id)
  const group = await groupLike(store.reads, alike, knowsMessage)
  if (group === undefined) return null
  const own = attempts.filter(attempt => {
    const other = alikeOf(attempt)
    return other?.reason === alike.reason && other.status === alike.status && other.message === alike.message
  }).length
  const count = group.count - own
  return count < 1 ? null : { count, since: timeText(group.firstAt), group: formatId("grp", group.id) }
}
