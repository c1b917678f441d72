/** `/v1/integrations/{id}/diagnosis` and `/v1/diagnosis`: what is going on, since when, why, and what to do. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { diagnose, type Verdict } from "../domain/diagnosis.ts"
import { formatId, type IntegrationId, timeOfId } from "../domain/id.ts"
import { reasonCodes } from "../domain/reason.ts"
import { verdictCodes } from "../domain/verdict-table.ts"
import { changedParts, changesAround, partsOf } from "../domain/what-changed.ts"
import type { LiveIntegration } from "../engine/directory.ts"
import { type Caller, callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { IntegrationName } from "./delivery-view.ts"
import { findIntegration, IntegrationPath } from "./integrations.ts"
import { type ChangeBy, changesOf, lookAtOwnSide, type OwnSide, takePicture } from "./picture.ts"
import { isSeen } from "./portal-sight.ts"
import { Nullable, Page, paging, responses, Time, timeText } from "./schemas.ts"

const Change = {
  at: Time,
  kind: Type.String({ examples: ["integration.updated"] }),
  revision: Nullable(Type.Integer()),
  by: Type.Object({
    kind: Type.String(),
    id: Nullable(Type.String()),
    name: Nullable(Type.String({ description: "Of the API key." })),
  }),
  touches: Type.Array(Type.Enum([...changedParts])),
  changes: Type.Array(Type.Object({ pointer: Type.String(), from: Type.Unknown(), to: Type.Unknown() }), {
    description: "Secrets are masked.",
  }),
}
const ChangeView = Type.Object(Change)
const ChangeAround = Type.Object({
  ...Change,
  when: Type.Enum(["before", "since"], { description: "before: within the day before it began." }),
})

export const VerdictView = Type.Object({
  code: Type.Enum([...verdictCodes], { description: "Each has its section in docs/reference/verdicts.md." }),
  case: Nullable(Type.String(), "What tells it apart from others of its kind, such as `credentials`."),
  title: Type.String(),
  colour: Type.Enum(["plain", "grey", "amber", "red"], {
    description: "red: someone has to act. amber: look at it. grey: know it. plain: all is well.",
  }),
  since: Nullable(Time),
  what: Type.String({ description: "What is happening." }),
  causes: Type.String({ description: "The likely causes." }),
  advice: Type.String({ description: "What to do." }),
  questions: Type.Array(Type.String(), { description: "What to check, one by one." }),
  evidence: Type.Object({
    facts: Type.Object({}, { additionalProperties: true, description: "`…_at` are times, `…_ms` durations." }),
    errors: Type.Array(
      Type.Object({
        reason: Type.Enum([...reasonCodes]),
        status: Nullable(Type.Integer()),
        count: Type.Integer(),
      }),
      { description: "Failed attempts that it was judged by, the most frequent first." },
    ),
    types: Type.Array(
      Type.Object({
        type: Type.String(),
        count: Type.Integer(),
        near: Nullable(Type.String({ description: "The type here that may have been meant." })),
      }),
      { description: "Types that arrived meanwhile." },
    ),
    fields: Type.Array(Type.Object({ field: Type.String(), count: Type.Integer() }), {
      description: "Fields that are missing, and in how many events so far.",
    }),
    withheld: Type.Object({}, { additionalProperties: true, description: "Events that did not come here, by reason." }),
  }),
  changes: Type.Array(ChangeAround, {
    description: "What changed in the integration in the day before it began, and since; the newest first.",
  }),
  links: Type.Array(Type.Object({ rel: Type.Enum(["docs", "failures", "report"]), href: Type.String() })),
})
export type VerdictView = Static<typeof VerdictView>

export const DiagnosisView = Type.Object({
  integration: IntegrationName,
  at: Time,
  verdict: VerdictView,
  also: Type.Array(VerdictView, { description: "What else holds, in the order of its weight." }),
  resting: Nullable(
    Type.Boolean(),
    "Whether protection holds back an endpoint of it: GET /v1/integrations/{id} says why and until when. null where this process knows nothing of its lane.",
  ),
  last_change: Nullable(
    ChangeView,
    "The newest change of the integration, where it has changed in the last 24 hours or since the verdict began.",
  ),
  oldest_waiting: Nullable(
    Type.Object({ event: Type.String({ examples: ["evt_01j9zq4kx2m"] }), received_at: Time }),
    "The oldest event that has not been delivered and is still to be tried; null where nothing waits, and in the portal.",
  ),
})
export type DiagnosisView = Static<typeof DiagnosisView>

const whole = "a diagnosis is made of all that went to an integration"

const ListQuery = Type.Object(
  { ...paging, limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 50, default: 20 })) },
  { additionalProperties: false },
)

export function diagnosisRoutes(server: FastifyInstance, context: Context): void {
  const { directory, cursors } = context

  server.get<{ Params: IntegrationPath }>(
    "/v1/integrations/:id/diagnosis",
    {
      config: { scope: "integrations:read", whole, portal: true },
      schema: {
        operationId: "getDiagnosis",
        summary: "Says what is going on at an integration, since when, why, and what to do",
        tags: ["diagnosis"],
        params: IntegrationPath,
        response: responses({ 200: DiagnosisView }, 401, 404, 422),
      },
    },
    async request => {
      const { project, sight } = callerOf(request)
      const live = findIntegration(context, project, request.params.id)
      return diagnosisOf(context, live, await lookAtOwnSide(context), sight)
    },
  )

  server.get<{ Querystring: Static<typeof ListQuery> }>(
    "/v1/diagnosis",
    {
      config: { scope: "integrations:read", whole, portal: true },
      schema: {
        operationId: "listDiagnoses",
        summary: "Says what is going on at each integration of the project",
        description: "The newest integration first; each is looked at anew, so a page takes a moment.",
        tags: ["diagnosis"],
        querystring: ListQuery,
        response: responses({ 200: Page(DiagnosisView) }, 400, 401, 422),
      },
    },
    async request => {
      const { limit = 20, cursor } = request.query
      const [before = Number.MAX_SAFE_INTEGER] = cursors.read(request, "diagnosis", cursor) ?? []
      const { project, sight } = callerOf(request)
      const all = directory.integrationsOf(project).filter(live => isSeen(sight, live.record.id))
      const older = all.filter(live => live.record.id < before).sort((a, b) => b.record.id - a.record.id)
      const page = older.slice(0, limit)
      const ownSide = await lookAtOwnSide(context)
      const data: DiagnosisView[] = []
      // One after the other: there is one reader, and others wait for it too.
      for (const live of page) data.push(await diagnosisOf(context, live, ownSide, sight))
      const last = page.at(-1)
      const isMore = older.length > limit && last !== undefined
      return { data, next_cursor: isMore ? cursors.write(request, "diagnosis", last.record.id) : null }
    },
  )
}

/**
 * The diagnosis of an integration, with what changed before each verdict began. Who changed it is the owner's affair: the
 * portal says that it was changed, and not by whom.
 */
export async function diagnosisOf(
  context: Context,
  live: LiveIntegration,
  ownSide: OwnSide | null,
  sight: Caller["sight"],
): Promise<DiagnosisView> {
  const { record } = live
  const isOfPortal = sight !== null
  const picture = await takePicture(context, live, ownSide, isOfPortal)
  const { verdict, also } = diagnose(picture)
  const since = Math.min(picture.now, ...[verdict, ...also].flatMap(one => one.since ?? []))
  const known = await changesOf(context, record.project, record.id, since)
  const changes = isOfPortal
    ? known.map(each => ({ ...each, by: { kind: each.by.kind, id: null, name: null } }))
    : known
  const id = formatId("int", record.id)
  const latest = changes.toSorted((a, b) => b.at - a.at)[0]
  const { oldestEvent: oldest } = picture.waiting
  const view = (one: Verdict) => viewOfVerdict(one, one.since === null ? [] : changes, id)
  return {
    integration: { id, name: record.snapshot.name, removed: false },
    at: timeText(picture.now),
    verdict: view(verdict),
    also: also.map(view),
    resting: isResting(context, record.id, picture.now),
    last_change: latest === undefined ? null : viewOfChange(latest),
    oldest_waiting:
      oldest === null || isOfPortal
        ? null
        : { event: formatId("evt", oldest), received_at: timeText(timeOfId(oldest)) },
  }
}

function isResting({ engine }: Pick<Context, "engine">, id: IntegrationId, at: number): boolean | null {
  return (
    engine
      .lane(id)
      ?.gate.view(at)
      .some(({ state }) => state.state !== "closed") ?? null
  )
}

function viewOfVerdict(verdict: Verdict, changes: readonly ChangeBy[], integration: string): VerdictView {
  const { code, title, colour, since, what, causes, advice, questions, facts } = verdict
  const path = `/v1/integrations/${integration}`
  return {
    code,
    case: verdict.case ?? null,
    title,
    colour,
    since: timeText(since),
    what,
    causes,
    advice,
    questions: [...questions],
    evidence: {
      facts: factsView(facts),
      errors: (verdict.errors ?? []).map(error => ({ ...error })),
      types: (verdict.types ?? []).map(type => ({ ...type })),
      fields: (verdict.fields ?? []).map(field => ({ ...field })),
      withheld: { ...verdict.withheld },
    },
    changes:
      since === null
        ? []
        : changesAround(changes, since).map(change => ({ ...viewOfChange(change), when: change.when })),
    links: [
      { rel: "docs", href: `docs/reference/verdicts.md#${code}` },
      ...((verdict.errors ?? []).length === 0
        ? []
        : [
            { rel: "failures" as const, href: `${path}/failures` },
            { rel: "report" as const, href: `${path}/report` },
          ]),
    ],
  }
}

function viewOfChange(change: ChangeBy): Static<typeof ChangeView> {
  return {
    at: timeText(change.at),
    kind: change.kind,
    revision: change.revision,
    by: { ...change.by },
    touches: partsOf(change),
    changes: change.fields.map(field => ({ ...field })),
  }
}

/** Facts as they leave the API: times in words of RFC 3339, and none that only serves a sentence. */
function factsView(facts: Verdict["facts"]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(facts)
      .filter(([name]) => !name.endsWith("_text"))
      .map(([name, value]) => [name, name.endsWith("_at") && typeof value === "number" ? timeText(value) : value]),
  )
}
