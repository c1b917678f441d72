/** Attempts as the API shows them: what came of each and, where it is asked for, all that went over the wire. */
import { type Static, Type } from "typebox"
import type { AttemptOutcome } from "../domain/delivery.ts"
import type { Event } from "../domain/event.ts"
import { formatId, type IntegrationId } from "../domain/id.ts"
import type { AttemptSummary, KeptExchange } from "../store/attempt-reads.ts"
import type { Context } from "./context.ts"
import type { Sight } from "./portal-sight.ts"
import { ReasonView } from "./reasons.ts"
import { Nullable, Time, timeText } from "./schemas.ts"

const Milliseconds = Nullable(Type.Number())
const outcomes = ["success", "error", "interrupted", "sender_fault"] as const satisfies readonly AttemptOutcome[]

const summary = {
  id: Type.String({ examples: ["att_01j9zq4kx2m"] }),
  number: Type.Integer({ description: "1 for the first, over all schedules of the delivery." }),
  started_at: Time,
  outcome: Type.Enum([...outcomes], {
    description:
      "`interrupted`: Waybill was stopped, the result is unknown. `sender_fault`: it failed on Waybill's side.",
  }),
  reason: Nullable(ReasonView),
  status: Nullable(Type.Integer({ description: "Status of the answer." })),
  error: Nullable(
    Type.Object({
      class: Type.String({ examples: ["ESOCKETTIMEDOUT"] }),
      phase: Type.String({ description: "dns, connect, tls, send, headers or body." }),
      code: Type.String({ description: "As the system calls it." }),
      message: Type.String(),
    }),
    "Why no answer came.",
  ),
  truncated: Type.Boolean({ description: "The answer's body was longer than what is kept of it." }),
  incomplete: Type.Boolean({ description: "The answer's body was cut off." }),
  revision: Type.Integer({ description: "Of the integration." }),
  recovery: Nullable(Type.String({ description: "The recovery that it was made for.", examples: ["rec_01j9zq4kx2m"] })),
  process: Type.String({ description: "Which process of Waybill made it; empty for a token of the portal." }),
  url: Nullable(Type.String({ description: "Host and path." })),
  timings: Nullable(
    Type.Object({
      dns_ms: Milliseconds,
      connect_ms: Milliseconds,
      tls_ms: Milliseconds,
      wait_ms: Milliseconds,
      body_ms: Milliseconds,
      total_ms: Type.Number(),
    }),
  ),
}

/** An attempt without its request and answer. */
export const AttemptView = Type.Object(summary)
export type AttemptView = Static<typeof AttemptView>

const bodyFields = {
  body: Nullable(Type.String()),
  body_encoding: Nullable(Type.Enum(["text", "base64"], { description: "base64 where the bytes are no UTF-8." })),
}

/** A header as it is shown. */
export const Header = Type.Object({
  name: Type.String(),
  value: Nullable(Type.String({ description: "null where it is secret." })),
})

/** An attempt with its request and answer. */
export const FullAttemptView = Type.Object({
  ...summary,
  request: Nullable(Type.Object({ headers: Type.Array(Header), ...bodyFields })),
  response: Nullable(Type.Object({ status: Type.Integer(), headers: Type.Array(Header), ...bodyFields })),
  exchange_hidden: Type.Boolean({
    description: "Request and answer are left out: they are read with the scope `payloads:read`.",
  }),
  exchange_expired: Type.Boolean({ description: "Request and answer are no longer kept." }),
  exchange_expires_at: Nullable(Time),
})
export type FullAttemptView = Static<typeof FullAttemptView>

/** `sight`: of whoever reads it; on which machine it was made is no customer's affair. */
export function viewOfAttempt(attempt: AttemptSummary, reason: ReasonView | null, sight: Sight): AttemptView {
  const { timings, error } = attempt
  return {
    id: formatId("att", attempt.id),
    number: attempt.number,
    started_at: timeText(attempt.startedAt),
    outcome: attempt.outcome,
    reason,
    status: attempt.status,
    error: error === null ? null : { ...error },
    truncated: attempt.truncated,
    incomplete: attempt.incomplete,
    revision: attempt.revision,
    recovery: attempt.recovery === null ? null : formatId("rec", attempt.recovery),
    process: sight === null ? attempt.process : "",
    url: attempt.url,
    timings:
      timings === null
        ? null
        : {
            dns_ms: timings.dnsMs,
            connect_ms: timings.connectMs,
            tls_ms: timings.tlsMs,
            wait_ms: timings.waitMs,
            body_ms: timings.bodyMs,
            total_ms: timings.totalMs,
          },
  }
}

/**
 * `exchange`: undefined where it has expired, or there never was one. `rebuilt`: the body where it was not kept. `hidden`:
 * neither is shown.
 */
export function viewOfFullAttempt(
  attempt: AttemptSummary,
  reason: ReasonView | null,
  exchange: KeptExchange | undefined,
  rebuilt: string | Uint8Array | null,
  hidden: boolean,
  sight: Sight,
): FullAttemptView {
  const response = hidden ? null : (exchange?.response ?? null)
  return {
    ...viewOfAttempt(attempt, reason, sight),
    request:
      exchange === undefined || hidden
        ? null
        : { headers: exchange.requestHeaders.map(headerOf), ...bodyOf(exchange.requestBody ?? rebuilt) },
    response:
      response === null || attempt.status === null
        ? null
        : {
            status: attempt.status,
            headers: response.headers.map(headerOf),
            ...bodyOf(response.body, attempt.truncated || attempt.incomplete),
          },
    exchange_hidden: hidden,
    exchange_expired: attempt.exchangePart !== null && exchange === undefined,
    exchange_expires_at: timeText(attempt.exchangeExpiresAt),
  }
}

/** Makes the request bodies of an event's attempts again that were not kept, each revision's once. */
export class Rebuilder {
  readonly #context: Context
  readonly #bodies = new Map<string, string | Uint8Array | null>()

  constructor(context: Context) {
    this.#context = context
  }

  /** Null where the payload, or the integration, has gone. */
  async body(integration: IntegrationId, event: Event | null, revision: number): Promise<string | Uint8Array | null> {
    const live = this.#context.directory.integration(integration)
    if (event === null || live === undefined) return null
    const key = `${integration}/${event.id}/${revision}`
    let body = this.#bodies.get(key)
    if (body === undefined) {
      const build = await this.#context.deliver.rebuild(live, event, revision)
      body = build.kind === "send" ? build.request.body : null
      this.#bodies.set(key, body)
    }
    return body
  }
}

function headerOf([name, value]: readonly [string, string | null]) {
  return { name, value }
}

/** Bytes as text where they are text; `isCut`: they are the beginning of something longer. */
export function bodyOf(body: string | Uint8Array | null, isCut = false): Static<typeof BodyView> {
  if (body === null) return { body: null, body_encoding: null }
  if (typeof body === "string") return { body, body_encoding: "text" }
  try {
    // As a stream, so that a character that was cut in two at the end spoils nothing.
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body, { stream: isCut })
    return { body: text, body_encoding: "text" }
  } catch {
    // No UTF-8.
    return { body: body.toBase64(), body_encoding: "base64" }
  }
}

/** A body as text or base64. */
export const BodyView = Type.Object(bodyFields)
