/**
 * The job without a queue, the same for all that Waybill is compared with: events come in over HTTP, go out as webhooks
 * signed as Standard Webhooks says, and each attempt leaves a record that can be looked up. What is between is the queue's.
 * Server, client and signature are those of Waybill, so that only queue and database differ.
 *
 * Set by the environment: PORT, API_KEY, WEBHOOK_SECRET (`whsec_…`) and DESTINATIONS, JSON with the URL for each type.
 */
import { createHmac, randomUUID } from "node:crypto"
import Fastify from "fastify"
import { Agent, request } from "undici"

/** What waits in the queue. */
export interface Job {
  readonly id: string
  readonly event: { readonly type: string }
}

/** What became of one request. */
export interface Attempt {
  readonly eventId: string
  readonly at: Date
  readonly durationMs: number
  /** Null where no answer came. */
  readonly status: number | null
  /** Null where it was delivered. */
  readonly error: string | null
}

export interface Service {
  /** Answered with 202 when this has been resolved. */
  enqueue(job: Job): Promise<unknown>
  attemptsOf(eventId: string): Promise<readonly Attempt[]>
  /** At SIGTERM, once no more events come in. */
  stop(): Promise<unknown>
}

/** As Waybill allows a webhook by default. */
const TIMEOUT_MS = 15_000
/** What the baseline has found to be best, see bare.ts. */
const CONNECTIONS = 64

const destinations = new Map(Object.entries(JSON.parse(setting("DESTINATIONS")) as Record<string, string>))
const key = Buffer.from(setting("WEBHOOK_SECRET").slice("whsec_".length), "base64")
const authorization = `Bearer ${setting("API_KEY")}`
const dispatcher = new Agent({
  connections: CONNECTIONS,
  keepAliveTimeout: 60_000,
  headersTimeout: TIMEOUT_MS,
  bodyTimeout: TIMEOUT_MS,
})

/** Gives a setting; ends the program where it is missing. */
export function setting(name: string): string {
  const value = process.env[name]
  if (value !== undefined) return value
  console.error(`${name} is not set.`)
  process.exit(2)
}

/** Listens for events. Returns when it does. */
export async function serve({ enqueue, attemptsOf, stop }: Service): Promise<void> {
  const server = Fastify()
  server.addHook("onRequest", async (request, reply) => {
    if (request.headers.authorization !== authorization) await reply.code(401).send({ title: "The API key is wrong." })
  })
  const body = { type: "object", required: ["type"], properties: { type: { type: "string" } } } as const
  server.post<{ Body: Job["event"] }>("/v1/events", { schema: { body } }, async (request, reply) => {
    const id = `evt_${randomUUID()}`
    await enqueue({ id, event: request.body })
    return reply.code(202).send({ id, status: "received" })
  })
  server.get<{ Params: { id: string } }>("/v1/events/:id/attempts", async request => ({
    data: await attemptsOf(request.params.id),
  }))
  server.get("/readyz", async () => ({ status: "ok" }))
  await server.listen({ host: "127.0.0.1", port: Number(setting("PORT")) })
  process.once("SIGTERM", async () => {
    await server.close()
    await stop()
    process.exit(0)
  })
}

/** Sends a job's event to where its type goes. Never throws: what went wrong stands in the attempt. */
export async function send({ id, event }: Job): Promise<Attempt> {
  const at = new Date()
  const body = JSON.stringify(event)
  const timestamp = String(Math.floor(at.getTime() / 1_000))
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")
  const headers = {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${signature}`,
  }
  const ended = (status: number | null, error: string | null): Attempt => {
    return { eventId: id, at, durationMs: Date.now() - at.getTime(), status, error }
  }
  const url = destinations.get(event.type)
  if (url === undefined) return ended(null, `Nothing is set up for ${event.type}.`)
  try {
    const response = await request(url, { method: "POST", headers, body, dispatcher })
    await response.body.dump()
    const { statusCode } = response
    return ended(statusCode, statusCode < 300 ? null : `The endpoint answered ${statusCode}.`)
  } catch (error) {
    return ended(null, String(error))
  }
}
