/** What people do with an integration: verify, enable, disable, pause, resume, rotate its secret, send it a test. */
import type { FastifyInstance, FastifyRequest } from "fastify"
import { Type } from "typebox"
import type { EventDraft } from "../domain/event.ts"
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
import { actorOf, type Context, keyOf } from "./context.ts"
import { IntegrationView, RotateSecret, TestEvent } from "./integration-schemas.ts"
import { textOfIntegration } from "./integration-view.ts"
import { findIntegration, IntegrationPath, latestRecord, signingKey } from "./integrations.ts"
import { notFound, Problem } from "./problem.ts"
import { sendJson } from "./raw-json.ts"
import { Nullable, responses, timeText } from "./schemas.ts"

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
  const { directory, store, engine, changes, verifier, intake, now } = context

  for (const [name, { summary, kind }] of Object.entries(switches) as [Switch, (typeof switches)[Switch]][]) {
    server.post<{ Params: IntegrationPath }>(
      `/v1/integrations/:id/${name}`,
      {
        schema: {
          operationId: `${name}Integration`,
          summary,
          tags: ["integrations"],
          params: IntegrationPath,
          response: responses({ 200: IntegrationView }, 400, 401, 404, 413, 415, 422, 503),
        },
      },
      async (request, reply) => {
        const { project } = keyOf(request)
        const before = findIntegration(context, project, request.params.id)
        const { record } = before
        const by = actorOf(request)
        // While it is off still: what failed before is not held against it.
        if (name === "enable" && !record.enabled) await context.aftermath.beginAnew(record.id)
        await changes.inTransaction(async (tx, note, tell) => {
          const isChanged = await switchIntegration(tx, record.id, name, now())
          if (isChanged) await note({ project, kind, subject: request.params.id, by })
          if (isChanged && name === "disable" && record.enabled) await tell(switchedOffBy(by.id, before))
        })
        await directory.reload(record.id)
        if (name === "enable") {
          const live = directory.integration(record.id)
          if (live !== undefined) await verifier.verify(record.id, verifier.outstanding(live.record), by)
        }
        engine.refresh(record.id)
        const live = findIntegration(context, project, request.params.id)
        return sendJson(reply, 200, textOfIntegration(live, directory))
      },
    )
  }

  server.post<{ Params: IntegrationPath }>(
    "/v1/integrations/:id/verify",
    {
      schema: {
        operationId: "verifyIntegration",
        summary: "Verifies the endpoints now",
        tags: ["integrations"],
        params: IntegrationPath,
        response: responses({ 200: IntegrationView }, 400, 401, 404, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = keyOf(request)
      const { record } = findIntegration(context, project, request.params.id)
      const asked = environments.filter(e => (record.verification[e]?.state ?? "not_required") !== "not_required")
      await verifier.verify(record.id, asked, actorOf(request))
      const live = findIntegration(context, project, request.params.id)
      return sendJson(reply, 200, textOfIntegration(live, directory))
    },
  )

  server.post<{ Params: IntegrationPath; Body: RotateSecret }>(
    "/v1/integrations/:id/rotate-secret",
    {
      preValidation: takeNoBodyForEmpty,
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
      const { project } = keyOf(request)
      const { id } = findIntegration(context, project, request.params.id).record
      const { secret, grace_seconds = 86_400 } = request.body
      const at = now()
      const change = { project, kind: "integration.secret_rotated", subject: request.params.id, by: actorOf(request) }
      const key = await changes.together(change, async tx => {
        const record = await latestRecord(context, tx, id)
        const inGrace = record.signingKeys.filter(kept => kept.expiresAt !== null && kept.expiresAt > at).length
        // SW-11, as Svix has it: more than ten at a time make headers that receivers refuse.
        if (inGrace >= 10) {
          throw new Problem("conflict", "Ten old secrets are still valid. Wait until one of them has expired.")
        }
        const made = signingKey(record, secret)
        const number = Math.max(0, ...record.signingKeys.map(kept => kept.number)) + 1
        const kept = { ...made, number, createdAt: at, expiresAt: null }
        await addSigningKey(tx, store.seal, id, kept, at + grace_seconds * 1_000)
        return made
      })
      await directory.reload(id)
      const live = findIntegration(context, project, request.params.id)
      return sendJson(reply, 200, textOfIntegration(live, directory, { secret: key.secret }))
    },
  )

  server.post<{ Params: IntegrationPath; Body: TestEvent }>(
    "/v1/integrations/:id/test",
    {
      preValidation: takeNoBodyForEmpty,
      schema: {
        operationId: "testIntegration",
        summary: "Sends one test event and shows what came back",
        description:
          "Also when the integration is off or unverified; counted in no history, rate or protection. One attempt.",
        tags: ["integrations"],
        params: IntegrationPath,
        body: Type.Optional(TestEvent),
        response: responses({ 200: TestView }, 400, 401, 404, 409, 413, 415, 422, 503),
      },
    },
    async request => {
      const key = keyOf(request)
      const live = findIntegration(context, key.project, request.params.id)
      const draft = await testDraft(key.project, request.body, request.bodyText ?? "")
      if (!live.connector.environments(live.settings).includes(draft.environment)) {
        const message = `The integration has no ${draft.environment} endpoint. Name the other environment, or add the endpoint.`
        throw new Problem("invalid", message, { errors: [{ pointer: "/environment", message }] })
      }
      const incoming = {
        project: key.project,
        key: key.id,
        draft,
        fingerprint: null,
        idempotencyKey: null,
        receivedAt: now(),
      }
      const claim = await intake.acceptTest(incoming, live.record.id, store.fence)
      return viewOfTest(await engine.test(claim), request.params.id)
    },
  )

  /** The operational event of a person's switching an integration off. */
  function switchedOffBy(by: string | null, live: LiveIntegration): Tidings {
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

  /** The event that a test sends: one of the past again, or one made of what the request says. */
  async function testDraft(project: number, body: TestEvent, text: string): Promise<EventDraft> {
    if (body.event !== undefined) {
      const id = parseId("evt", body.event)
      const found = id === undefined ? undefined : await readEvent(store.reads, project, id, now())
      if (found === undefined) throw notFound("event", body.event)
      if (found.event === null) {
        const at = timeText(found.summary.payloadExpiresAt)
        const detail = `The payload of ${body.event} was kept until ${at}. Choose a newer event.`
        throw new Problem("payload_expired", detail, { extra: { payload_expired_at: at } })
      }
      return { ...found.event, externalId: null, historical: false }
    }
    const members = memberSpans(text === "" ? "{}" : text, 64)
    const data = members.kind === "members" ? members.members.findLast(({ key }) => key === "data") : undefined
    return {
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
  }
}

/** A body that may be left out is validated as an empty one, as every field in it may be left out too. */
async function takeNoBodyForEmpty(request: FastifyRequest): Promise<void> {
  if (request.body === undefined) request.body = {}
}

function viewOfTest({ claim, attempt, next }: Settlement, integration: string) {
  const exchange = attempt?.exchange ?? null
  const answer = exchange?.kind === "answered" ? exchange.answer : null
  return {
    event: formatId("evt", claim.delivery.event),
    delivery: formatDeliveryId(claim.delivery),
    status: next.status,
    reason:
      next.status === "delivered"
        ? null
        : describeReason(next.reason, { status: next.status, nextAt: null, integration }),
    request:
      attempt === null
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
    took_ms: exchange?.timings.totalMs ?? null,
  }
}
