/** `/livez`, `/readyz`, `/metrics`, `/v1/status`: how Waybill itself is doing, for balancers, operators and people. */
import type { FastifyInstance } from "fastify"
import { Type } from "typebox"
import { makeProbe } from "../engine/probe.ts"
import type { Context } from "./context.ts"
import { Nullable, ProblemSchema, responses, Time, timeText } from "./schemas.ts"

/** A loop that is later than this is no longer alive (OB-20). */
const MAX_LAG_MS = 5_000

const Check = Type.Object({ ok: Type.Boolean(), detail: Nullable(Type.String()) })
const ReadyView = Type.Object({
  ready: Type.Boolean(),
  checks: Type.Object({ started: Check, database: Check }),
  oldest_due_seconds: Type.Number({ description: "How late the oldest due delivery is; does not change the status." }),
})
const StatusView = Type.Object({
  healthy: Type.Boolean(),
  version: Type.String(),
  process: Type.String(),
  started_at: Time,
  in_flight: Type.Integer(),
  oldest_due_seconds: Type.Number(),
  last_retention: Nullable(Type.Object({}, { additionalProperties: true })),
  problems: Type.Array(Type.String()),
})

export function healthRoutes(server: FastifyInstance, context: Context): void {
  const { metrics, now } = context
  const isWritable = makeProbe(context.store, context.log)
  const checkDatabase = async () => {
    const ok = await isWritable()
    return { ok, detail: ok ? null : "The database cannot be written. The log says why." }
  }

  server.get(
    "/livez",
    {
      config: { public: true },
      schema: {
        operationId: "livez",
        summary: "Whether the process answers; touches nothing else",
        tags: ["operators"],
        security: [],
        response: { 200: Type.Object({ alive: Type.Boolean() }), 503: Type.Object({ alive: Type.Boolean() }) },
      },
    },
    async (_request, reply) => {
      const alive = context.loopLagMs() < MAX_LAG_MS
      return reply.code(alive ? 200 : 503).send({ alive })
    },
  )

  server.get(
    "/readyz",
    {
      config: { public: true },
      schema: {
        operationId: "readyz",
        summary: "Whether this process can take events: writes a probe row",
        tags: ["operators"],
        security: [],
        response: { 200: ReadyView, 503: ReadyView },
      },
    },
    async (_request, reply) => {
      const started = context.isReady()
        ? { ok: true, detail: null }
        : { ok: false, detail: "Waybill is starting or stopping." }
      const database = await checkDatabase()
      const ready = started.ok && database.ok
      return reply
        .code(ready ? 200 : 503)
        .send({ ready, checks: { started, database }, oldest_due_seconds: lateness(context, now()) })
    },
  )

  server.get(
    "/metrics",
    {
      schema: {
        operationId: "metrics",
        summary: "Numbers in the text format of Prometheus",
        tags: ["operators"],
        response: {
          200: { description: "Metrics", content: { "text/plain": { schema: Type.String() } } },
          401: {
            description: "A problem document",
            content: { "application/problem+json": { schema: ProblemSchema } },
          },
        },
      },
    },
    async (_request, reply) => {
      const lanes = context.engine.lanes()
      const at = now()
      metrics.oldestAge.set(lateness(context, at))
      metrics.eventLoopLag.set(context.loopLagMs() / 1_000)
      metrics.queueDepth.set(
        { state: "due_lanes" },
        lanes.filter(lane => lane.nextAt !== null && lane.nextAt <= at).length,
      )
      metrics.queueDepth.set({ state: "waiting_lanes" }, lanes.filter(lane => lane.nextAt !== null).length)
      return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics())
    },
  )

  server.get(
    "/v1/status",
    {
      schema: {
        operationId: "getStatus",
        summary: "How Waybill itself is doing",
        tags: ["operators"],
        response: responses({ 200: StatusView }, 401),
      },
    },
    async () => {
      const database = await checkDatabase()
      const problems = database.ok ? [] : [database.detail ?? "The database does not answer."]
      const lag = context.loopLagMs()
      if (lag > 1_000) problems.push(`The process is overloaded: its event loop is ${Math.round(lag)} ms late.`)
      return {
        healthy: problems.length === 0,
        version: context.version,
        process: context.process,
        started_at: timeText(context.startedAt),
        in_flight: context.engine.inFlight,
        oldest_due_seconds: lateness(context, now()),
        last_retention: context.keeper.lastReport() ?? null,
        problems,
      }
    },
  )
}

/** How late the oldest due delivery is, in seconds; those held by a person do not count. */
function lateness({ engine }: Context, now: number): number {
  const due = engine.lanes().flatMap(lane => (lane.isHeld || lane.nextAt === null ? [] : [now - lane.nextAt]))
  return Math.max(0, ...due) / 1_000
}
