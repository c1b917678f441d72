/**
 * `/v1/integrations/{id}/report`: what the other side's support asks for, in one document: which integration, when, what
 * failed and how, the last errors whole, and how Waybill itself is doing. No secret is in it, wherever it may have got to.
 */
import type { FastifyInstance, FastifyRequest } from "fastify"
import { type Static, Type } from "typebox"
import { madeOfSecrets } from "../connectors/auth-settings.ts"
import { DAY_MS, HOUR_MS } from "../domain/duration.ts"
import { formatDeliveryId, formatId } from "../domain/id.ts"
import { secretParts, withoutSecrets } from "../domain/normalise-message.ts"
import { reasonCodes } from "../domain/reason.ts"
import { reasonTable } from "../domain/reason-table.ts"
import { fill } from "../domain/sentence.ts"
import type { LiveIntegration } from "../engine/directory.ts"
import { latenessOfAll } from "../engine/lateness.ts"
import { attemptsById, readExchanges } from "../store/attempt-reads.ts"
import { ERRORS_COUNTED, errorsBetween, failedBetween, hoursOf, lastSuccessAt } from "../store/diagnosis-reads.ts"
import { readEvent } from "../store/event-reads.ts"
import { listFailures } from "../store/failures.ts"
import { type Caller, callerOf, may } from "./access.ts"
import { FullAttemptView, Rebuilder, viewOfFullAttempt } from "./attempt-view.ts"
import type { Context } from "./context.ts"
import { DiagnosisView, diagnosisOf } from "./diagnosis.ts"
import { EventSummaryView, viewOfSummary } from "./event-view.ts"
import { FailureView, viewOfFailure } from "./failures.ts"
import { findIntegration, IntegrationPath } from "./integrations.ts"
import { hidesPayloads } from "./limits.ts"
import { lookAtOwnSide } from "./picture.ts"
import { summariesWithin } from "./portal-sight.ts"
import { Reasons } from "./reasons.ts"
import { reportText } from "./report-text.ts"
import { Nullable, responses, Time, timeText } from "./schemas.ts"
import { readRange, wrong } from "./search-query.ts"

/** How many of the last errors are shown whole, and how many are named. */
const ERRORS_WHOLE = 10
const ERRORS_NAMED = 100
const GROUPS_SHOWN = 20
/** Attempts are kept for so long. */
const LONGEST_DAYS = 30

const ReportQuery = Type.Object(
  {
    from: Type.Optional(
      Type.String({
        maxLength: 64,
        description: "From this time on; a day before `to` where it is left out. RFC 3339.",
      }),
    ),
    to: Type.Optional(
      Type.String({ maxLength: 64, description: "Before this time; now where it is left out. RFC 3339." }),
    ),
    format: Type.Optional(
      Type.Enum(["json", "markdown"], {
        description: "Instead of `Accept: text/markdown`. json where neither is given.",
      }),
    ),
  },
  { additionalProperties: false },
)

const Counts = Type.Object({
  success: Type.Integer(),
  error: Type.Integer(),
  skipped: Type.Integer(),
  failed: Type.Integer({ description: "Deliveries that failed for good." }),
})

export const ReportView = Type.Object({
  made_at: Time,
  range: Type.Object({ from: Time, to: Time }),
  integration: Type.Object({
    id: Type.String(),
    name: Type.String(),
    connector: Type.String(),
    revision: Type.Integer(),
    enabled: Type.Boolean(),
    paused: Type.Boolean(),
    endpoints: Type.Array(Type.String(), { description: "Host and path of each, as the last attempts had them." }),
  }),
  project: Type.Object({ id: Type.String(), name: Type.String() }),
  apps: Type.Array(Type.String(), { description: "Empty: all." }),
  diagnosis: Type.Object(
    { verdict: DiagnosisView.properties.verdict, also: DiagnosisView.properties.also },
    { description: "As it stands now, not at the end of the range." },
  ),
  counts: Type.Object(Counts.properties, { description: "Of the hours that the range touches." }),
  errors: Type.Array(
    Type.Object({
      reason: Type.Enum([...reasonCodes]),
      title: Type.String(),
      status: Nullable(Type.Integer()),
      class: Nullable(Type.String({ examples: ["ESOCKETTIMEDOUT"] })),
      code: Nullable(Type.String({ description: "As the system calls it." })),
      count: Type.Integer(),
      first_at: Time,
      last_at: Time,
    }),
    { description: `By reason and code, of the last ${ERRORS_COUNTED} failed attempts at most.` },
  ),
  failures: Type.Array(FailureView, { description: "Failures that look alike, those of them seen in the range." }),
  last_errors: Type.Array(
    Type.Object({
      delivery: Type.String(),
      event: EventSummaryView,
      method: Type.Literal("POST"),
      attempt: FullAttemptView,
    }),
    { description: `The last ${ERRORS_WHOLE} of the range with request and answer.` },
  ),
  failed_events: Type.Array(
    Type.Object({ event: Type.String(), type: Type.String(), device_id: Nullable(Type.String()) }),
    { description: `Of the last ${ERRORS_NAMED} failed attempts of the range.` },
  ),
  waybill: Type.Object({
    version: Type.String({ description: "Empty for a token of the portal, as `process` is." }),
    process: Type.String(),
    started_at: Nullable(Time, "null for a token of the portal."),
    healthy: Type.Boolean({ description: "What is due goes out, and the network is there." }),
    oldest_due_seconds: Type.Number(),
  }),
})
export type ReportView = Static<typeof ReportView>

export function reportRoutes(server: FastifyInstance, context: Context): void {
  server.get<{ Params: IntegrationPath; Querystring: Static<typeof ReportQuery> }>(
    "/v1/integrations/:id/report",
    {
      config: {
        scope: "integrations:read",
        whole: "a report is made of all that went to an integration",
        portal: true,
      },
      schema: {
        operationId: "getReport",
        summary: "Gathers what the support of the other side asks for",
        description:
          "As JSON, or as Markdown to be sent on as it is. Secrets are masked, also where an answer repeats one. Requests and answers are shown while they are kept. Without the scope `events:read` it names no event, without `payloads:read` it shows no request and no answer.",
        tags: ["diagnosis"],
        params: IntegrationPath,
        querystring: ReportQuery,
        response: {
          ...responses({}, 401, 404, 422),
          200: {
            description: "The report",
            content: {
              "application/json": { schema: ReportView },
              "text/markdown": { schema: Type.String() },
            },
          },
        },
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const live = findIntegration(context, project, request.params.id)
      const range = rangeOf(request.query, context.now())
      const report = masked(await reportOf(context, live, range, sightOf(request)), live)
      const { format } = request.query
      const isMarkdown =
        format === undefined ? /\btext\/markdown\b/.test(request.headers.accept ?? "") : format === "markdown"
      return isMarkdown
        ? reply.type("text/markdown; charset=utf-8").send(reportText(report))
        : reply.type("application/json; charset=utf-8").send(report)
    },
  )
}

/** A day up to now unless asked for otherwise, at most as far back as attempts are kept. */
function rangeOf(query: Static<typeof ReportQuery>, now: number): { readonly from: number; readonly to: number } {
  const { from: asked, to: end } = readRange(query)
  const to = end ?? now + 1
  const from = asked ?? Math.min(to, now) - DAY_MS
  if (from >= to) throw wrong("from", "must be before `to`, which is now unless it is given")
  if (to - from > LONGEST_DAYS * DAY_MS) throw wrong("from", `must be at most ${LONGEST_DAYS} days before \`to\``)
  return { from, to }
}

/** What of a report its reader may see. */
interface Sight {
  readonly events: boolean
  readonly payloads: boolean
  /** The integrations that are seen; null: all. */
  readonly integrations: Caller["sight"]
}

function sightOf(request: FastifyRequest): Sight {
  return {
    events: may(request, "events:read"),
    payloads: !hidesPayloads(request),
    integrations: callerOf(request).sight,
  }
}

async function reportOf(
  context: Context,
  live: LiveIntegration,
  { from, to }: { readonly from: number; readonly to: number },
  sight: Sight,
): Promise<ReportView> {
  const { store, directory, engine, now } = context
  const { record } = live
  const at = now()
  const asked = { project: record.project, integration: record.id, now: at }
  const ownSide = await lookAtOwnSide(context)
  const { verdict, also } = await diagnosisOf(context, live, ownSide, sight.integrations)
  const hours = (await hoursOf(store.reads, asked)).filter(hour => hour.at + HOUR_MS > from && hour.at < to)
  const errors = await errorsBetween(store.reads, { ...asked, from, to })
  const failed = sight.events ? await failedBetween(store.reads, { ...asked, from, to, limit: ERRORS_NAMED }) : []
  const succeededAt = await lastSuccessAt(store.reads, asked)
  const groups = await listFailures(store.reads, { ...asked, from, limit: GROUPS_SHOWN })
  const lastErrors = await wholeErrors(
    context,
    live,
    failed.slice(0, ERRORS_WHOLE).map(one => one.attempt),
    sight,
  )
  const isOfPortal = sight.integrations !== null
  const lateness = await latenessOfAll(engine.lanes(), directory, store, at)
  const events = new Map(failed.map(one => [one.event, one]))
  const sum = (of: (hour: (typeof hours)[number]) => number) => hours.reduce((total, hour) => total + of(hour), 0)
  const total = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((all, one) => all + one, 0)
  return {
    made_at: timeText(at),
    range: { from: timeText(from), to: timeText(Math.min(to, at)) },
    integration: {
      id: formatId("int", record.id),
      name: record.snapshot.name,
      connector: record.snapshot.connector,
      revision: record.revision,
      enabled: record.enabled,
      paused: record.paused,
      endpoints: [...new Set(lastErrors.flatMap(({ attempt }) => attempt.url ?? []))],
    },
    project: { id: formatId("prj", record.project), name: ownerOf(context, record.project, isOfPortal) },
    apps: record.snapshot.apps.map(id => directory.appName(id) ?? formatId("app", id)),
    diagnosis: { verdict, also },
    counts: {
      success: sum(hour => hour.success),
      error: sum(hour => total(hour.errors)),
      skipped: sum(hour => hour.skipped),
      failed: sum(hour => total(hour.failed)),
    },
    errors: errors.map(({ firstAt, lastAt, ...error }) => ({
      ...error,
      title: fill(reasonTable[error.reason].title, {}),
      first_at: timeText(firstAt),
      last_at: timeText(lastAt),
    })),
    failures: groups
      .filter(group => group.firstAt < to)
      .map(group => viewOfFailure(group, succeededAt, at, !sight.payloads)),
    last_errors: lastErrors,
    failed_events: [...events.values()].map(({ event, type, device }) => ({
      event: formatId("evt", event),
      type,
      device_id: device,
    })),
    waybill: {
      // Which machine, what runs on it, and how late others are, is no customer's affair.
      version: isOfPortal ? "" : context.version,
      process: isOfPortal ? "" : context.process,
      started_at: isOfPortal ? null : timeText(context.startedAt),
      healthy: lateness.lateLanes === 0 && ownSide === null,
      oldest_due_seconds: isOfPortal ? 0 : lateness.oldestMs / 1_000,
    },
  }
}

/** What whoever reads it knows the project by. */
function ownerOf({ directory }: Context, id: number, isOfPortal: boolean): string {
  const project = directory.project(id)
  return (isOfPortal ? project?.portal.name : null) ?? project?.name ?? ""
}

/** Attempts with all that is kept of them, and their events. */
async function wholeErrors(
  context: Context,
  { record }: LiveIntegration,
  ids: readonly number[],
  { payloads, integrations }: Sight,
): Promise<ReportView["last_errors"]> {
  const { store, now } = context
  const attempts = await attemptsById(store.reads, ids)
  const exchanges = await readExchanges(store.reads, attempts, now())
  const [reasons, rebuilder] = [new Reasons(context), new Rebuilder(context)]
  const whole = attempts.map(async attempt => {
    const kept = await readEvent(store.reads, record.project, attempt.delivery.event, now())
    // Its time ran out between the two reads.
    if (kept === undefined) return []
    const [summary = kept.summary] = await summariesWithin(context, integrations, [kept.summary])
    const { environment, type } = summary
    const exchange = exchanges.get(attempt.id)
    const surroundings = { status: "retrying" as const, reason: null, nextAt: null, environment, type }
    const reason = await reasons.ofAttempt(attempt, surroundings, false, exchange)
    const isMissing = payloads && exchange !== undefined && exchange.requestBody === null
    const body = isMissing ? await rebuilder.body(record.id, kept.event, attempt.revision) : null
    return [
      {
        delivery: formatDeliveryId(attempt.delivery),
        event: viewOfSummary(summary, now()),
        method: "POST" as const,
        attempt: viewOfFullAttempt(attempt, reason, exchange, body, !payloads, integrations),
      },
    ]
  })
  return (await Promise.all(whole)).flat()
}

/** The report without any secret of the integration, wherever one stands: in a body that repeats it, in a message. */
function masked(report: ReportView, { record, settings }: LiveIntegration): ReportView {
  const kept = [...record.secrets.values(), ...record.signingKeys.map(key => key.secret)]
  const secrets = [...kept, ...madeOfSecrets(settings)].flatMap(secretParts).sort((a, b) => b.length - a.length)
  return maskedIn(report, secrets) as ReportView
}

function maskedIn(value: unknown, secrets: readonly string[]): unknown {
  if (typeof value === "string") return withoutSecrets(value, secrets)
  if (Array.isArray(value)) return value.map(item => maskedIn(item, secrets))
  if (typeof value !== "object" || value === null) return value
  const entries = Object.entries(value).map(([name, member]) => [
    withoutSecrets(name, secrets),
    maskedIn(member, secrets),
  ])
  const copy = Object.fromEntries(entries) as Record<string, unknown>
  // Bytes that are no text cannot be searched for a secret.
  return copy["body_encoding"] === "base64" ? { ...copy, body: null } : copy
}
