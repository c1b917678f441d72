/** What people do with an integration: verify, enable, disable, pause, resume, rotate its secret, send it a test. */
import type { FastifyInstance, FastifyRequest } from "fastify"
import { Type } from "typebox"
import type { Event, EventDraft, Payload } from "../domain/event.ts"
import { environments } from "../domain/event.ts"
import { formatDeliveryId, formatId, parseId } from "../domain/id.ts"
import { memberSpans } from "../domain/json-spans.ts"
import { describeReason } from "../domain/reason.ts"
import type { LiveIntegration } from "../engine/directory.ts"
import { referTo } from "../engine/operational.ts"
import { API_SOURCE } from "../sources/waybill.ts"
import { readEvent } from "../store/event-reads.ts"
import { addSigningKey, type Switch, switchIntegration } from "../store/integrations.ts"
import type { Settlement, Tidings } from "../store/ledger.ts"
import { isMasked } from "../store/rows.ts"
import { openAll, readMaskedAt } from "../store/sealed-payloads.ts"
import { toWire } from "../transport/wire.ts"
import { actorOf, callerOf } from "./access.ts"
import { BodyView, bodyOf, Header } from "./attempt-view.ts"
import type { Context } from "./context.ts"
import { IntegrationView, RotateSecret, TestEvent } from "./integration-schemas.ts"
import { auditTextOfIntegration, textOfIntegration } from "./integration-view.ts"
import { findIntegration, IntegrationPath, latestRecord, signingKey } from "./integrations.ts"
import { hidesPayloads } from "./limits.ts"
import { maskedProblem } from "./private-fields.ts"
import { notFound, Problem } from "./problem.ts"
import { sendJson } from "./raw-json.ts"
import { ReasonView } from "./reasons.ts"
import { Nullable, responses, timeText } from "./schemas.ts"

/** What a test would send. */
const DryRunView = Type.Object({
  dry_run: Type.Literal(true),
  event: Nullable(Type.String({ description: "The event of the past that it is made of; null where there is none." })),
  request: Nullable(
    Type.Object({
      method: Type.String(),
      url: Type.String(),
      headers: Type.Array(Header, {
        description: "As they go out. Ids, times and signatures will be those of the moment of sending.",
      }),
      ...BodyView.properties,
    }),
    "null where nothing would be sent, or it is hidden.",
  ),
  reason: Nullable(ReasonView, "Why nothing would be sent."),
  payload_masked: Type.Boolean({
    description: 'Values of private fields read "[private]" in it; receivers get them whole.',
  }),
  token_host: Nullable(
    Type.String(),
    "Where a token is fetched first, for an Authorization that is not among the headers here.",
  ),
  exchange_hidden: Type.Boolean({ description: "The request is left out: it is read with the scope `payloads:read`." }),
})

const TestView = Type.Object({
  event: Type.String(),
  delivery: Type.String(),
  status: Type.String(),
  reason: Nullable(Type.Object({}, { additionalProperties: true })),
  request: Nullable(
    Type.Object({
      url: Nullable(Type.String()),
      headers: Type.Array(Type.Object({ name: Type.String(), value: Nullable(Type.String()) })),
    }),
  ),
  response: Nullable(
    Type.Object({
      status: Type.Integer(),
      headers: Type.Array(Type.Array(Type.String())),
      body: Type.String(),
      truncated: Type.Boolean(),
      incomplete: Type.Boolean(),
    }),
  ),
  exchange_hidden: Type.Boolean({
    description: "Request and answer are left out: they are read with the scope `payloads:read`.",
  }),
  took_ms: Nullable(Type.Number()),
})

/** States that one call each brings about. */
const switches = {
  enable: { summary: "Switches an integration on and verifies its endpoints", kind: "integration.enabled" },
  disable: { summary: "Switches an integration off; what waits ends", kind: "integration.disabled" },
  pause: { summary: "Holds deliveries back until it is resumed", kind: "integration.paused" },
  resume: { summary: "Lets held deliveries go", kind: "integration.resumed" },
} as const satisfies Record<Switch, { readonly summary: string; readonly kind: string }>

export function integrationActionRoutes(server: FastifyInstance, context: Context): void {
  for (const name of Object.keys(switches) as Switch[]) switchRoute(server, context, name)
  verifyRoute(server, context)
  rotateRoute(server, context)
  testRoute(server, context)
}

function switchRoute(server: FastifyInstance, context: Context, name: Switch): void {
  const { directory, engine, changes, verifier, now } = context
  const { summary, kind } = switches[name]
  server.post<{ Params: IntegrationPath }>(
    `/v1/integrations/:id/${name}`,
    {
      config: { scope: "integrations:write" },
      schema: {
        operationId: `${name}Integration`,
        summary,
        tags: ["integrations"],
        params: IntegrationPath,
        response: responses({ 200: IntegrationView }, 400, 401, 404, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const before = findIntegration(context, project, request.params.id)
      const { record } = before
      const by = actorOf(request)
      // While it is off still: what failed before is not held against it.
      if (name === "enable" && !record.enabled) await context.aftermath.beginAnew(record.id)
      await changes.inTransaction(async (tx, note, tell) => {
        const stood = auditTextOfIntegration(await latestRecord(context, tx, record.id), directory)
        const isChanged = await switchIntegration(tx, record.id, name, now())
        if (isChanged) {
          const after = auditTextOfIntegration(await latestRecord(context, tx, record.id), directory)
          await note({ project, kind, subject: request.params.id, by, before: stood, after })
        }
        if (isChanged && name === "disable" && record.enabled) await tell(switchedOffBy(context, by.id, before))
      })
      await directory.reload(record.id)
      if (name === "enable") {
        const live = directory.integration(record.id)
        if (live !== undefined) await verifier.verify(record.id, verifier.outstanding(live.record))
      }
      engine.refresh(record.id)
      const live = findIntegration(context, project, request.params.id)
      return sendJson(reply, 200, textOfIntegration(live, directory))
    },
  )
}

function verifyRoute(server: FastifyInstance, context: Context): void {
  const { directory, changes, verifier } = context
  server.post<{ Params: IntegrationPath }>(
    "/v1/integrations/:id/verify",
    {
      config: { scope: "integrations:write" },
      schema: {
        operationId: "verifyIntegration",
        summary: "Verifies the endpoints now",
        tags: ["integrations"],
        params: IntegrationPath,
        response: responses({ 200: IntegrationView }, 400, 401, 404, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const { record } = findIntegration(context, project, request.params.id)
      const asked = environments.filter(e => (record.verification[e]?.state ?? "not_required") !== "not_required")
      await changes.inTransaction((_tx, note) =>
        note({
          project,
          kind: "integration.verification_asked",
          subject: request.params.id,
          by: actorOf(request),
          facts: { environments: asked },
        }),
      )
      await verifier.verify(record.id, asked)
      const live = findIntegration(context, project, request.params.id)
      return sendJson(reply, 200, textOfIntegration(live, directory))
    },
  )
}

function rotateRoute(server: FastifyInstance, context: Context): void {
  const { directory, store, changes, now } = context
  server.post<{ Params: IntegrationPath; Body: RotateSecret }>(
    "/v1/integrations/:id/rotate-secret",
    {
      preValidation: takeNoBodyForEmpty,
      config: { scope: "integrations:write" },
      schema: {
        operationId: "rotateSecret",
        summary: "Gives an integration a new signing secret",
        description:
          "Both secrets sign until the grace is over. The new one is shown this once; at most 10 old ones sign at a time.",
        tags: ["integrations"],
        params: IntegrationPath,
        body: Type.Optional(RotateSecret),
        response: responses({ 200: IntegrationView }, 400, 401, 404, 409, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const { id } = findIntegration(context, project, request.params.id).record
      const { secret, grace_seconds = 86_400 } = request.body
      const at = now()
      const change = { project, kind: "integration.secret_rotated", subject: request.params.id, by: actorOf(request) }
      const key = await changes.together(change, async (tx, say) => {
        const record = await latestRecord(context, tx, id)
        const inGrace = record.signingKeys.filter(kept => kept.expiresAt !== null && kept.expiresAt > at).length
        // SW-11, as Svix has it: more than ten at a time make headers that receivers refuse.
        if (inGrace >= 10) {
          throw new Problem("conflict", "Ten old secrets are still valid. Wait until one of them has expired.")
        }
        const made = signingKey(record, secret)
        const number = Math.max(0, ...record.signingKeys.map(kept => kept.number)) + 1
        const kept = { ...made, number, createdAt: at, expiresAt: null }
        await addSigningKey(tx, store.seal, record, kept, at + grace_seconds * 1_000)
        const masked = (signs: number) => JSON.stringify({ signing_key: signs, secret: { set: true } })
        say({ facts: { grace_seconds }, before: masked(number - 1), after: masked(number) })
        return made
      })
      await directory.reload(id)
      const live = findIntegration(context, project, request.params.id)
      return sendJson(reply, 200, textOfIntegration(live, directory, { secret: key.secret }))
    },
  )
}

function testRoute(server: FastifyInstance, context: Context): void {
  const { store, engine, changes, intake, now } = context
  server.post<{ Params: IntegrationPath; Body: TestEvent }>(
    "/v1/integrations/:id/test",
    {
      preValidation: takeNoBodyForEmpty,
      config: { scope: "integrations:write" },
      schema: {
        operationId: "testIntegration",
        summary: "Sends one test event and shows what came back",
        description:
          "Also when the integration is off or unverified; counted in no history, rate or protection. One attempt. With `dry_run` nothing is sent or kept: it shows the request that would go out.",
        tags: ["integrations"],
        params: IntegrationPath,
        body: Type.Optional(TestEvent),
        response: responses({ 200: Type.Union([TestView, DryRunView]) }, 400, 401, 404, 409, 413, 415, 422, 503),
      },
    },
    async request => {
      const { project, key } = callerOf(request)
      const live = findIntegration(context, project, request.params.id)
      const { draft, privateFields, readable } = await testDraft(context, project, request.body, request.bodyText ?? "")
      if (!live.connector.environments(live.settings).includes(draft.environment)) {
        const message = `The integration has no ${draft.environment} endpoint. Name the other environment, or add the endpoint.`
        throw new Problem("invalid", message, { errors: [{ pointer: "/environment", message }] })
      }
      if (request.body.dry_run === true) {
        const hidden = hidesPayloads(request)
        return dryRun(context, live, { ...draft, payload: readable }, { of: request.body.event ?? null, hidden })
      }
      const incoming = {
        project,
        key: key?.id ?? null,
        draft,
        fingerprint: null,
        idempotencyKey: null,
        receivedAt: now(),
        privateFields,
      }
      // Before it is sent: a request to somebody else is under way then.
      await changes.inTransaction((_tx, note) =>
        note({
          project,
          kind: "integration.tested",
          subject: request.params.id,
          by: actorOf(request),
          facts: {
            environment: draft.environment,
            type: draft.type,
            ...(request.body.event && { of: request.body.event }),
          },
        }),
      )
      const claim = await intake.acceptTest(incoming, live.record.id, store.fence)
      return viewOfTest(await engine.test(claim), request.params.id, hidesPayloads(request))
    },
  )
}

/** The operational event of a person's switching an integration off. */
function switchedOffBy(context: Context, by: string | null, live: LiveIntegration): Tidings {
  const health = context.aftermath.healthOf(live.record.id)
  const { advice } = describeReason(
    { code: "integration_disabled", facts: { by: "person" } },
    { status: "failed", nextAt: null },
  )
  const data = {
    integration: referTo(live),
    cause: "person",
    by,
    failing_since: health === null ? null : timeText(health.failingSince),
    failed_attempts: health?.errors ?? null,
    last_error: null,
    advice,
  } as const
  const type = "waybill.integration.disabled"
  return { emits: [context.operational.event(live, { type, data }, { isGoingOff: true })] }
}

/** The request of a test as it would go out, signed as of now; nothing is kept of it. Private values stay masked. */
async function dryRun(
  { directory, store, deliver, now }: Context,
  live: LiveIntegration,
  draft: EventDraft,
  { of, hidden }: { readonly of: string | null; readonly hidden: boolean },
) {
  const at = now()
  const { project, id } = live.record
  const appId = draft.app === null ? null : (directory.appId(project, draft.app) ?? null)
  const occurredAt = draft.occurredAt ?? at
  const event: Event = { ...draft, id: store.ids.next(), project, receivedAt: at, occurredAt, appId, test: true }
  const build = await deliver.preview(live, event)
  const view = {
    dry_run: true as const,
    event: of,
    request: null,
    reason: null,
    payload_masked: isMasked(draft.payload),
    token_host: null,
    exchange_hidden: hidden,
  }
  if (build.kind !== "send") {
    const said = build.kind === "fail" ? "failed" : "withheld"
    const about = { status: said, nextAt: null, integration: formatId("int", id), facts: build.facts } as const
    const { links, ...reason } = describeReason({ code: build.reason, facts: build.facts }, about)
    return { ...view, reason: { ...reason, links: links.map(link => ({ ...link })) } }
  }
  const { method, url, credentials } = build.request
  const { host } = new URL(url)
  const wire = toWire(build.request, { host: { name: "host", value: host }, uri: url }, null, at)
  if (wire.kind === "invalid") {
    const reason = { code: "request_invalid", facts: { detail: wire.message } } as const
    const { links, ...text } = describeReason(reason, { status: "failed", nextAt: null })
    return { ...view, reason: { ...text, links: links.map(link => ({ ...link })) } }
  }
  const headers = wire.sentHeaders.map(({ name, value, secret }) => ({ name, value: secret === true ? null : value }))
  const grant = credentials?.grant ?? null
  return {
    ...view,
    request: hidden ? null : { method, url, headers, ...bodyOf(wire.body) },
    token_host: grant === null ? null : new URL(grant.tokenUrl).host,
  }
}

/** The event that a test sends: one of the past again, or one made of what the request says. */
function testDraft(context: Context, project: number, body: TestEvent, text: string): Drafted | Promise<Drafted> {
  return body.event === undefined ? newDraft(body, text) : pastDraft(context, project, body.event)
}

/** An event of the past, whole; throws a problem where it cannot be sent any more. */
async function pastDraft({ store, now }: Context, project: number, text: string): Promise<Drafted> {
  const id = parseId("evt", text)
  const found = id === undefined ? undefined : await readEvent(store.reads, project, id, now())
  if (found === undefined) throw notFound("event", text)
  if (found.event === null) {
    const at = timeText(found.summary.payloadExpiresAt)
    const detail = `The payload of ${text} was kept until ${at}. Choose a newer event.`
    throw new Problem("payload_expired", detail, { extra: { payload_expired_at: at } })
  }
  const draft = { ...found.event, externalId: null, historical: false }
  // What readers see of it is never sent.
  const { id: event, payload } = found.event
  const whole = (await openAll(store, project, new Map([[event, payload]]), now())).get(event)
  if (whole === undefined) {
    throw maskedProblem(text, (await readMaskedAt(store.reads, { project, event })) ?? now())
  }
  const privateFields = whole.privacy?.pointers ?? []
  return { draft: { ...draft, payload: whole.payload }, privateFields, readable: payload }
}

/** An event of what a request says. The text of its data stays byte for byte. */
function newDraft(body: TestEvent, text: string): Drafted {
  const members = memberSpans(text === "" ? "{}" : text, 64)
  const data = members.kind === "members" ? members.members.findLast(({ key }) => key === "data") : undefined
  const draft: EventDraft = {
    type: body.type ?? "test",
    payload: {
      kind: "json",
      text: data === undefined ? '{"message":"Hello from Waybill"}' : text.slice(data.start, data.end),
    },
    externalId: null,
    source: API_SOURCE,
    occurredAt: null,
    environment: body.environment ?? "production",
    app: null,
    profileId: null,
    deviceId: null,
    sourceRecord: null,
    orderingKey: null,
    historical: false,
    cloud: null,
  }
  return { draft, privateFields: [], readable: draft.payload }
}

/** What a test sends, and what was private of it before. */
interface Drafted {
  readonly draft: EventDraft
  readonly privateFields: readonly string[]
  /** Its payload as readers see it. */
  readonly readable: Payload
}

/** A body that may be left out is validated as an empty one, as every field in it may be left out too. */
async function takeNoBodyForEmpty(request: FastifyRequest): Promise<void> {
  if (request.body === undefined) request.body = {}
}

function viewOfTest({ claim, attempt, next }: Settlement, integration: string, hidden: boolean) {
  const exchange = attempt?.exchange ?? null
  const answer = exchange?.kind === "answered" && !hidden ? exchange.answer : null
  return {
    event: formatId("evt", claim.delivery.event),
    delivery: formatDeliveryId(claim.delivery),
    status: next.status,
    reason:
      next.status === "delivered"
        ? null
        : describeReason(next.reason, { status: next.status, nextAt: null, integration }),
    request:
      attempt === null || hidden
        ? null
        : {
            url: attempt.url,
            headers: attempt.requestHeaders.map(h => ({ name: h.name, value: h.secret === true ? null : h.value })),
          },
    response:
      answer === null
        ? null
        : {
            status: answer.status,
            headers: answer.headers.map(header => [...header]),
            body: Buffer.from(answer.body).toString("utf8"),
            truncated: answer.truncated,
            incomplete: answer.incomplete,
          },
    exchange_hidden: hidden,
    took_ms: exchange?.timings.totalMs ?? null,
  }
}
