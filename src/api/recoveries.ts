/** `/v1/recoveries`: send again what did not arrive, over a stretch of time, as a job that can be paused and stopped. */
import type { FastifyInstance, FastifyRequest } from "fastify"
import { type Static, Type } from "typebox"
import { type IntegrationId, type ProjectId, parseId } from "../domain/id.ts"
import { holdsLimits } from "../domain/limits.ts"
import { nearest } from "../domain/nearest.ts"
import { reasonCodes } from "../domain/reason.ts"
import { type RecoveryAction, type RecoveryAsk, recoverableStatuses } from "../domain/recovery.ts"
import { parseTime } from "../domain/rfc3339.ts"
import { previewRecovery } from "../engine/recovery-preview.ts"
import type { Database } from "../store/database.ts"
import {
  countOpen,
  listRecoveries,
  onTheirWay,
  type RecoveryRecord,
  readCounts,
  readRecovery,
} from "../store/recoveries.ts"
import { actorOf, callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { assertNotLimited, limitsOf, narrowed } from "./limits.ts"
import { maskedProblem } from "./private-fields.ts"
import { notFound, Problem } from "./problem.ts"
import {
  FullRecoveryView,
  RecoveryPlan,
  RecoveryView,
  type Surroundings,
  viewOfFullRecovery,
  viewOfPlan,
  viewOfRecovery,
} from "./recovery-view.ts"
import { RepeatableHeaders, type Told } from "./repeats.ts"
import { Environment, Page, paging, responses, timeText } from "./schemas.ts"
import { SEARCH_BUDGET_MS } from "./search-query.ts"

/** How long a dry run counts. */
const COUNT_BUDGET_MS = 2_000
/** Recoveries of a project that have not ended. */
const MOST_OPEN = 20
const MOST_INTEGRATIONS = 100

const timeHint = "RFC 3339, such as 2026-11-21T10:00:00Z."

const IntegrationText = Type.String({ maxLength: 64, examples: ["int_01j9zq4kx2m"] })

const NewRecovery = Type.Object(
  {
    integrations: Type.Optional(
      Type.Union([IntegrationText, Type.Array(IntegrationText, { minItems: 1, maxItems: MOST_INTEGRATIONS })], {
        description: "One, or a list. Left out: all that are switched on.",
      }),
    ),
    from: Type.String({ maxLength: 64, description: `Events received at this time or later. ${timeHint}` }),
    to: Type.Optional(
      Type.String({
        maxLength: 64,
        description: `Events received before this time; now where it is left out. ${timeHint}`,
      }),
    ),
    statuses: Type.Optional(
      Type.Array(Type.Enum([...recoverableStatuses]), {
        minItems: 1,
        maxItems: recoverableStatuses.length,
        description:
          '`failed`; `skipped`: failed because the endpoint rested at each try; `withheld`; `missing`: the integration never had it, as it was made later or was off; `delivered`. ["failed", "withheld"] where it is left out.',
      }),
    ),
    reasons: Type.Optional(
      Type.Array(Type.Enum([...reasonCodes]), {
        minItems: 1,
        maxItems: reasonCodes.length,
        description:
          "Only failures and withholdings for one of these reasons. Left out: all failures, and withholdings that someone had to act on (red).",
      }),
    ),
    event_types: Type.Optional(
      Type.Array(
        Type.String({
          pattern: "^[!-~]{1,128}$",
          "x-hint": "must be 1 to 128 printable ASCII characters without space",
          examples: ["subscription_*"],
        }),
        { minItems: 1, maxItems: 100, description: "Event types, or prefixes that end in `*`." },
      ),
    ),
    environment: Type.Optional(Environment),
    app: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: "Name of an app." })),
    include_historical: Type.Optional(
      Type.Boolean({ description: "Also events that came in as imported history. Else they stay where they are." }),
    ),
    configuration: Type.Optional(
      Type.Enum(["current", "original"], {
        description:
          "`current`: as a new event would go today, rules included. `original`: what was attempted before goes out as it was then.",
      }),
    ),
    max_per_second: Type.Optional(
      Type.Number({
        minimum: 0.1,
        maximum: 10_000,
        description: "For each integration; the integration's own rate holds as well.",
      }),
    ),
    dry_run: Type.Optional(Type.Boolean({ description: "Only counts, and shows a sample: 200." })),
  },
  { additionalProperties: false },
)
type NewRecovery = Static<typeof NewRecovery>

const RecoveryPath = Type.Object({ id: Type.String({ maxLength: 64, examples: ["rec_01j9zq4kx2m"] }) })
type RecoveryPath = Static<typeof RecoveryPath>
const RecoveryQuery = Type.Object(paging, { additionalProperties: false })

const actions = {
  pause: "Pauses a recovery: what is queued and not sent is as it was before, until it is resumed",
  resume: "Goes on with a recovery that was paused",
  cancel: "Ends a recovery: what is queued and not sent is as it was before",
} as const satisfies Record<RecoveryAction, string>

export function recoveryRoutes(server: FastifyInstance, context: Context): void {
  const { store, directory, recoverer, repeats, cursors, now } = context

  server.post<{ Body: NewRecovery }>(
    "/v1/recoveries",
    {
      config: { scope: "replay" },
      schema: {
        operationId: "createRecovery",
        summary: "Sends again what did not arrive, over a stretch of time",
        description:
          "A job that survives restarts and queues nothing twice. It runs beside live traffic with a small share of each integration's room, inside its rate, order and protection. A message keeps its `webhook-id`.",
        tags: ["recoveries"],
        headers: RepeatableHeaders,
        body: NewRecovery,
        response: responses({ 200: RecoveryPlan, 201: FullRecoveryView }, 400, 401, 409, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      if (request.body.dry_run) {
        const ask = readAsk(context, request)
        const preview = await previewRecovery(context, project, ask, COUNT_BUDGET_MS)
        return reply.code(200).send(viewOfPlan(preview, directory))
      }
      return repeats.carryOut(request, reply, async keep => {
        const ask = readAsk(context, request)
        if ((await countOpen(store.reads, project)) >= MOST_OPEN) {
          const detail = `This project has ${MOST_OPEN} recoveries that have not ended. Wait for one, or cancel one with POST /v1/recoveries/{id}/cancel.`
          throw new Problem("conflict", detail)
        }
        await refuseExpired(context, project, ask)
        // As it begins: nothing has been looked at yet.
        const tell = (recovery: RecoveryRecord): Told => {
          const view = viewOfFullRecovery(recovery, { directory, counts: [], onTheirWay: [], now: now() })
          return { status: 201, text: JSON.stringify(view) }
        }
        const along = (tx: Database, recovery: RecoveryRecord) => keep(tx, tell(recovery))
        return tell(await recoverer.begin({ project, ask, by: actorOf(request), along }))
      })
    },
  )

  server.get<{ Querystring: Static<typeof RecoveryQuery> }>(
    "/v1/recoveries",
    {
      config: { scope: "events:read" },
      schema: {
        operationId: "listRecoveries",
        summary: "Lists recoveries, newest first",
        description: "Those that have ended are kept for 30 days.",
        tags: ["recoveries"],
        querystring: RecoveryQuery,
        response: responses({ 200: Page(RecoveryView) }, 400, 401, 422),
      },
    },
    async request => {
      const { project } = callerOf(request)
      assertSourceOpen(request)
      const { app, environment } = limitsOf(request)
      const { limit = 50, cursor } = request.query
      const [before = Number.MAX_SAFE_INTEGER] = cursors.read(request, "recoveries", cursor) ?? []
      const older = await listRecoveries(store.reads, project, { before, limit: limit + 1, app, environment })
      const page = older.slice(0, limit)
      const last = page.at(-1)
      const beside = await surroundings(page)
      return {
        data: page.map(recovery => viewOfRecovery(recovery, beside)),
        next_cursor: older.length > limit && last !== undefined ? cursors.write(request, "recoveries", last.id) : null,
      }
    },
  )

  server.get<{ Params: RecoveryPath }>(
    "/v1/recoveries/:id",
    {
      config: { scope: "events:read" },
      schema: {
        operationId: "getRecovery",
        summary: "Shows a recovery and how far it is",
        tags: ["recoveries"],
        params: RecoveryPath,
        response: responses({ 200: FullRecoveryView }, 401, 404, 422),
      },
    },
    async request => {
      const recovery = await find(request)
      return viewOfFullRecovery(recovery, await surroundings([recovery]))
    },
  )

  for (const [action, summary] of Object.entries(actions) as [RecoveryAction, string][]) {
    server.post<{ Params: RecoveryPath }>(
      `/v1/recoveries/:id/${action}`,
      {
        config: { scope: "replay" },
        schema: {
          operationId: `${action}Recovery`,
          summary,
          tags: ["recoveries"],
          params: RecoveryPath,
          response: responses({ 200: FullRecoveryView }, 400, 401, 404, 409, 413, 415, 422, 503),
        },
      },
      async request => {
        const before = await find(request)
        const refused = await recoverer.act(before, action, actorOf(request))
        if (refused !== undefined) throw new Problem("conflict", refused.refusal)
        const recovery = await find(request)
        return viewOfFullRecovery(recovery, await surroundings([recovery]))
      },
    )
  }

  async function find(request: FastifyRequest<{ Params: RecoveryPath }>): Promise<RecoveryRecord> {
    assertSourceOpen(request)
    const { project, limits } = callerOf(request)
    const id = parseId("rec", request.params.id)
    const recovery = id === undefined ? undefined : await readRecovery(store.reads, project, id)
    // One that reaches beyond what the caller is limited to is none of its own.
    if (recovery === undefined || !holdsLimits(limits, { ...recovery.ask, source: null }))
      throw notFound("recovery", request.params.id)
    return recovery
  }

  async function surroundings(recoveries: readonly RecoveryRecord[]): Promise<Surroundings> {
    const ids = recoveries.map(recovery => recovery.id)
    const counts = await readCounts(store.reads, ids)
    return { directory, counts, onTheirWay: await onTheirWay(store.reads, ids), now: now() }
  }
}

function assertSourceOpen(request: FastifyRequest): void {
  assertNotLimited(request, ["source"], "recoveries are not told apart by source")
}

/** What a request asks for; throws a problem that names the field which is wrong. */
function readAsk(context: Context, request: FastifyRequest<{ Body: NewRecovery }>): RecoveryAsk {
  assertSourceOpen(request)
  const { directory, now } = context
  const { project } = callerOf(request)
  const { body } = request
  const from = readTime("from", body.from)
  // What was received in this very millisecond is there, too.
  const to = body.to === undefined ? now() + 1 : readTime("to", body.to)
  if (from >= to)
    throw wrong("/from", body.to === undefined ? "`from` is in the future." : "`from` must be before `to`.")
  const statuses = body.statuses ?? ["failed", "withheld"]
  if (statuses.includes("missing") && body.integrations === undefined) {
    throw wrong("/integrations", "`integrations` is needed with the status missing: name those that are to be filled.")
  }
  const app = body.app === undefined ? null : directory.appId(project, body.app)
  if (app === undefined) {
    const meant = nearest(
      body.app ?? "",
      directory.apps(project).map(known => known.name),
    )
    throw wrong("/app", `\`app\` names no app of this project.${meant === null ? "" : ` Did you mean ${meant}?`}`)
  }
  const within = narrowed(request, directory, { app: app ?? undefined, environment: body.environment })
  return {
    integrations: readIntegrations(context, project, body.integrations),
    from,
    to,
    statuses: [...new Set(statuses)],
    reasons: body.reasons ?? null,
    eventTypes: body.event_types ?? null,
    environment: within.environment ?? null,
    app: within.app ?? null,
    includeHistorical: body.include_historical ?? false,
    configuration: body.configuration ?? "current",
    maxPerSecond: body.max_per_second ?? null,
  }
}

function readIntegrations(
  { directory }: Context,
  project: ProjectId,
  named: NewRecovery["integrations"],
): readonly IntegrationId[] {
  if (named === undefined) {
    const on = directory.integrationsOf(project).filter(live => live.integration.enabled)
    if (on.length > MOST_INTEGRATIONS) {
      const message = `\`integrations\` is needed where there are more than ${MOST_INTEGRATIONS}: name those that are meant.`
      throw wrong("/integrations", message)
    }
    return on.map(live => live.record.id)
  }
  const texts = typeof named === "string" ? [named] : named
  const ids = texts.map((text, place) => {
    const pointer = typeof named === "string" ? "/integrations" : `/integrations/${place}`
    const id = parseId("int", text)
    const live = id === undefined ? undefined : directory.integrationOf(project, id)
    if (live === undefined) throw wrong(pointer, `There is no integration ${text} in this project.`)
    if (!live.integration.enabled) {
      const how = `Enable it with POST /v1/integrations/${text}/enable, then ask again.`
      throw new Problem("conflict", `The integration "${live.integration.name}" is switched off. ${how}`)
    }
    return live.record.id
  })
  return [...new Set(ids)]
}

/** Where nothing is left to be sent it says so at once; a long range is looked through by the job, which counts them. */
async function refuseExpired(context: Context, project: ProjectId, ask: RecoveryAsk): Promise<void> {
  const { found, unsent, lastExpiredAt, lastMaskedAt, countedTo } = await previewRecovery(
    context,
    project,
    ask,
    SEARCH_BUDGET_MS,
  )
  const expired = unsent.reduce((sum, each) => sum + (each.outcome === "expired" ? each.count : 0), 0)
  if (countedTo !== null || found === 0 || expired < found) return
  if (lastMaskedAt !== null) throw maskedProblem(found === 1 ? "the event that fits" : "events that fit", lastMaskedAt)
  if (lastExpiredAt === null) return
  const at = timeText(lastExpiredAt)
  const which = found === 1 ? "The payload of the event that fits" : `The payloads of all ${found} events that fit`
  const detail = `${which} ${found === 1 ? "was" : "were"} kept until ${at}, so there is nothing left to send. Have the source send the events again.`
  throw new Problem("payload_expired", detail, { extra: { payload_expired_at: at } })
}

function readTime(name: string, text: string): number {
  const time = parseTime(text)
  if (time === undefined) throw wrong(`/${name}`, `\`${name}\` must be a time with its zone, ${timeHint}`)
  return time
}

function wrong(pointer: string, message: string): Problem {
  return new Problem("invalid", message, { errors: [{ pointer, message }] })
}
