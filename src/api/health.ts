/** `/livez`, `/readyz`, `/metrics`, `/v1/status`: how Waybill itself is doing, for balancers, operators and people. */
import type { FastifyInstance } from "fastify"
import { Type } from "typebox"
import { inWords } from "../domain/diagnosis.ts"
import { ownMachineFinding } from "../domain/verdicts.ts"
import { type Lateness, latenessFault, latenessOf, latenessOfAll } from "../engine/lateness.ts"
import type { MailStatus } from "../engine/notifier.ts"
import { makeProbe } from "../engine/probe.ts"
import type { Context, Phase } from "./context.ts"
import { lookAtOwnSide } from "./picture.ts"
import { Nullable, ProblemSchema, responses, Time, timeText } from "./schemas.ts"

/** What /readyz says of a process; null where there is nothing to say. */
const phaseDetails = {
  starting: "Waybill is starting.",
  running: null,
  stopping: "Waybill is stopping: send new requests to another process.",
} as const satisfies Record<Phase, string | null>

/** A loop that is later than this is no longer alive (OB-20). */
const MAX_LAG_MS = 5_000

const Check = Type.Object({ ok: Type.Boolean(), detail: Nullable(Type.String()) })
const ReadyView = Type.Object({
  ready: Type.Boolean(),
  checks: Type.Object({
    started: Check,
    database: Check,
    deliveries: Type.Object(Check.properties, {
      description: "Whether what is due goes out. It does not change the status, which is that of taking events.",
    }),
  }),
  oldest_due_seconds: Type.Number({
    description:
      "How late the oldest due delivery is, of the integrations that this process sends for; what is paused, resting or held by a rate does not count.",
  }),
})
const StatusView = Type.Object({
  healthy: Type.Boolean(),
  version: Type.String(),
  process: Type.String(),
  started_at: Time,
  in_flight: Type.Integer({ description: "Requests to integrations that this process has under way." }),
  oldest_due_seconds: Type.Number({
    description:
      "How late the oldest due delivery is, over all processes; what is paused, resting or held by a rate does not count.",
  }),
  late_integrations: Type.Integer({ description: "Integrations with a delivery that is later than it should be." }),
  own_trouble: Nullable(
    Type.Object({
      since: Time,
      integrations: Type.Integer({ description: "Integrations that could not be reached: all that were tried." }),
      hosts: Type.Integer(),
      sign: Type.Enum(["sender_fault", "all_at_once"]),
    }),
    "Set while Waybill's own machine or network is what fails.",
  ),
  last_retention: Nullable(Type.Object({}, { additionalProperties: true })),
  mail: Nullable(
    Type.Object({
      server: Type.String(),
      waiting: Type.Integer({ description: "Mails that have not been handed over yet." }),
      oldest_waiting_at: Nullable(Time),
      last_done_at: Nullable(Time, "When a mail was last handed over, or given up."),
      error: Nullable(
        Type.String({
          description:
            "What was wrong the last time, where this process is the one that sends; null since all went well.",
        }),
      ),
      error_at: Nullable(Time),
    }),
    "How mail for alert_emails stands; null where WAYBILL_SMTP_URL is not set.",
  ),
  problems: Type.Array(Type.String()),
})

export function healthRoutes(server: FastifyInstance, context: Context): void {
  const { metrics, now } = context
  const databaseTrouble = makeProbe(context.store, context.log)
  const checkDatabase = async () => {
    const detail = await databaseTrouble()
    return { ok: detail === null, detail }
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
      const phase = context.phase()
      const started = { ok: phase === "running", detail: phaseDetails[phase] }
      const database = await checkDatabase()
      const ready = started.ok && database.ok
      const lateness = latenessNow(context, now())
      const fault = latenessFault(lateness)
      const deliveries = { ok: fault === null, detail: fault }
      return reply
        .code(ready ? 200 : 503)
        .send({ ready, checks: { started, database, deliveries }, oldest_due_seconds: lateness.oldestMs / 1_000 })
    },
  )

  server.get(
    "/metrics",
    {
      config: { scope: "metrics:read", mayBeBehind: true },
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
      const lateness = latenessNow(context, at)
      metrics.oldestAge.set(lateness.oldestMs / 1_000)
      metrics.lateLanes.set(lateness.lateLanes)
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
      config: { scope: "any", mayBeBehind: true },
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
      const lateness = await latenessOverAll(context, database.ok)
      const ownTrouble = (await lookAtOwnSide(context))?.trouble ?? null
      if (ownTrouble !== null) problems.push(inWords(ownMachineFinding(ownTrouble)).what)
      const late = latenessFault(lateness)
      if (late !== null) problems.push(late)
      const partitions = context.keeper.partitionFault()
      if (partitions !== null) problems.push(partitions)
      const transaction = context.keeper.transactionFault()
      if (transaction !== null) problems.push(transaction)
      const lag = context.loopLagMs()
      if (lag > 1_000) problems.push(`The process is overloaded: its event loop is ${Math.round(lag)} ms late.`)
      const mail = await context.notifier.status()
      if (mail !== null && mail.error !== null && mail.waiting > 0) {
        problems.push(`Mail cannot be handed over to ${mail.server}: ${mail.error}. It is tried again by itself.`)
      }
      return {
        healthy: problems.length === 0,
        version: context.version,
        process: context.process,
        started_at: timeText(context.startedAt),
        in_flight: context.engine.inFlight,
        oldest_due_seconds: lateness.oldestMs / 1_000,
        late_integrations: lateness.lateLanes,
        own_trouble: ownTrouble === null ? null : { ...ownTrouble, since: timeText(ownTrouble.since) },
        last_retention: context.keeper.lastReport() ?? null,
        mail: mail === null ? null : viewOfMail(mail),
        problems,
      }
    },
  )
}

function viewOfMail({ server, waiting, oldestAt, lastDoneAt, error, errorAt }: MailStatus) {
  return {
    server,
    waiting,
    oldest_waiting_at: timeText(oldestAt),
    last_done_at: timeText(lastDoneAt),
    error,
    error_at: timeText(errorAt),
  }
}

/** How late what is due is, over the lanes of all processes; of this one alone where the database does not answer. */
async function latenessOverAll(context: Context, asksDatabase: boolean): Promise<Lateness> {
  const { engine, directory, store, now } = context
  return asksDatabase ? await latenessOfAll(engine.lanes(), directory, store, now()) : latenessNow(context, now())
}

/** How late what is due is, over the lanes of this process. */
function latenessNow({ engine, directory }: Context, now: number): Lateness {
  return latenessOf(engine.lanes(), directory, now)
}
