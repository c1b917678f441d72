/** One delivery from claim to settlement: build, send, decide. Nothing is stored here; what came of it is a value. */

import type { Build } from "../connectors/connector.ts"
import { attemptOutcome, decide, outcomeOf } from "../domain/decide.ts"
import type { DeliveryProgress, Facts, Next, Outcome, Reason } from "../domain/delivery.ts"
import { withoutEchoes } from "../domain/echoed-secrets.ts"
import type { Event } from "../domain/event.ts"
import type { Answer, Exchange, OutboundRequest } from "../domain/exchange.ts"
import { formatId } from "../domain/id.ts"
import type { Policy } from "../domain/policy.ts"
import { maskExchange, privateTexts } from "../domain/private-exchange.ts"
import { MASK, privateFieldsOf } from "../domain/private-fields.ts"
import { afterSkip, sleepingFacts } from "../domain/protection.ts"
import type { Claim, Settlement } from "../store/ledger.ts"
import type { Transport } from "../transport/http.ts"
import { type Builder, type Directory, type LiveIntegration, signingKeysAt } from "./directory.ts"
import type { Ended, HeldBack, Passage } from "./gate.ts"
import type { Metrics } from "./metrics.ts"

/** Carries out claims. */
export interface Deliver {
  /** `passage`: the gate of its lane; a test passes none. */
  (claim: Claim, passage?: Passage): Promise<Settlement>
  /** The settlement of a claim whose process ended before it knew what came of the attempt. */
  interrupted(claim: Claim): Settlement
  /** The request that a delivery's next attempt would send, or why there would be none. */
  rebuild(live: LiveIntegration, event: Event, revision: number | null): Promise<Build>
  /** The request of the first attempt at an event, complete but for its signature: what would be sent, and is not. */
  preview(live: LiveIntegration, event: Event): Promise<Build>
}

export interface DeliverOptions {
  readonly directory: Directory
  readonly transport: Transport
  /** Whether what was claimed under this number is still this process's to send: see `Holding`. */
  readonly maySend: (fence: number) => boolean | Promise<boolean>
  readonly now: () => number
  /** This process, as attempts name it. */
  readonly process: string
  readonly userAgent: string
  readonly metrics: Metrics
}

export function makeDeliver(options: DeliverOptions): Deliver {
  const { directory, now } = options

  const deliver = async (claim: Claim, passage?: Passage): Promise<Settlement> => {
    const live = directory.integration(claim.delivery.integration)
    const payloadDays = directory.payloadDays(claim.project)
    if (live === undefined) return ended(claim, { code: "integration_removed", facts: {} }, payloadDays)
    if (!live.integration.enabled && !claim.tally.test) {
      const facts = { by: live.integration.disabledBy, off_at: live.record.disabledAt }
      return ended(claim, { code: "integration_disabled", facts }, payloadDays)
    }
    if (claim.event === null) return ended(claim, { code: "payload_expired", facts: claim.gone ?? {} }, payloadDays)
    const builder = await directory.builder(live, claim.revision)
    const build = buildFor(live, builder, claim.event, now())
    if (build.kind !== "send") return unbuilt(claim, build, payloadDays)
    const work = { claim, event: claim.event, live, builder, request: build.request, payloadDays }
    if (passage === undefined) return attempt(options, work)
    const { origin } = placeOf(build.request.url)
    const { dueAt, queue } = claim
    const admission = passage.admit({ origin, environment: claim.event.environment, dueAt, queue }, now())
    if (typeof admission !== "number") return heldBack(options, work, admission)
    return attempt(options, work, ended => passage.ended(origin, admission, ended))
  }

  return Object.assign(deliver, {
    interrupted: (claim: Claim): Settlement => {
      const reason: Reason = { code: "interrupted", facts: {} }
      return {
        claim,
        attempt: {
          delivery: claim.delivery,
          number: claim.attempts + 1,
          startedAt: now(),
          outcome: "interrupted",
          revision: claim.revision ?? directory.integration(claim.delivery.integration)?.record.revision ?? 0,
          process: options.process,
          exchange: null,
          url: null,
          requestHeaders: [],
          requestBody: null,
        },
        attemptReason: reason,
        next: afterInterruption(claim, reason, now()),
        recordId: null,
        payloadDays: directory.payloadDays(claim.project),
      }
    },
    rebuild: async (live: LiveIntegration, event: Event, revision: number | null): Promise<Build> =>
      buildFor(live, await directory.builder(live, revision), event, now()),
    preview: async (live: LiveIntegration, event: Event): Promise<Build> => {
      const build = buildFor(live, await directory.builder(live, null), event, now())
      return build.kind === "send" ? { ...build, request: asAttempt(build.request, options.userAgent, 1) } : build
    },
  })
}

function afterInterruption(claim: Claim, reason: Reason, now: number): Next {
  // Promised as one attempt; whoever asked for it has had no answer, and asks again.
  if (claim.tally.test) return { status: "failed", reason, disable: false }
  // A first attempt gets its place in the line back. A later one joins the end, so that a delivery which brings the
  // process down again and again does not keep the others from their turn.
  return { status: "retrying", reason, at: claim.attempts === 0 ? claim.createdAt : now, charged: false }
}

interface Work {
  readonly claim: Claim
  readonly event: Event
  readonly live: LiveIntegration
  readonly builder: Builder
  readonly request: OutboundRequest
  readonly payloadDays: number
}

function buildFor(live: LiveIntegration, builder: Builder, event: Event, now: number): Build {
  const named = builder.nameFor(event.type)
  return builder.prepared.build({
    event,
    messageId: formatId("evt", event.id),
    integration: { id: live.record.id, revision: builder.revision, signingKeys: signingKeysAt(live.record, now) },
    // A test goes out whatever the rules say, under the event's own name where they give none.
    name: named.on ? named.name : event.type,
    environment: event.environment,
  })
}

/** A request with what differs from attempt to attempt. */
function asAttempt(request: OutboundRequest, userAgent: string, number: number): OutboundRequest {
  const own = [
    { name: "user-agent", value: userAgent },
    { name: "webhook-attempt", value: String(number) },
  ]
  return { ...request, headers: [...request.headers, ...own] }
}

async function attempt(options: DeliverOptions, work: Work, tell?: (ended: Ended) => void): Promise<Settlement> {
  const { transport, now, metrics } = options
  const { claim, live } = work
  const { policy } = live.integration
  const number = claim.attempts + 1
  const request = asAttempt(work.request, options.userAgent, number)
  const startedAt = now()
  metrics.inFlight.inc()
  const sent = await transport.send(request, {
    deadlineMs: policy.timeoutMs,
    keepBytes: policy.keepResponseBytes,
    connections: policy.maxConcurrent,
    mayGo: () => options.maySend(claim.claim),
  })
  const exchange = withoutPrivate(withoutEchoes(sent), work)
  metrics.inFlight.dec()
  const endedAt = now()
  const place = placeOf(request.url)
  const tokenUrl = request.credentials?.grant?.tokenUrl
  const outcome = withFacts(outcomeOf(exchange, endedAt), {
    host: place.host,
    environment: work.event.environment,
    ...(tokenUrl === undefined ? {} : { token_host: placeOf(tokenUrl).host }),
  })
  const progress: DeliveryProgress = {
    id: claim.delivery,
    attempt: claim.scheduleAttempts + 1,
    charged: claim.charged,
    acceptedAt: claim.createdAt,
  }
  const next = decide(policy, progress, outcome, endedAt)
  const answer = exchange.kind === "answered" ? exchange.answer : null
  tell?.({ outcome, isSuccess: next.status === "delivered", answer, startedAt, endedAt })
  count(metrics, live.connector.name, exchange, next, endedAt - claim.createdAt)
  return {
    claim,
    attempt: {
      delivery: claim.delivery,
      number,
      startedAt,
      outcome: attemptOutcome(outcome, policy),
      revision: work.builder.revision,
      process: options.process,
      exchange,
      url: place.text,
      requestHeaders: exchange.sentHeaders,
      // The body can be made again from the event and the revision that is recorded.
      requestBody: null,
    },
    attemptReason: next.status === "delivered" ? null : { code: next.reason.code, facts: outcome.facts },
    next,
    recordId: exchange.kind === "answered" && next.status === "delivered" ? recordOf(work, exchange.answer) : null,
    payloadDays: work.payloadDays,
  }
}

/** What came back, without the private values that went out: from here on nobody sees them. */
function withoutPrivate(exchange: Exchange, { claim, event }: Work): Exchange {
  const fields = claim.privacy === undefined ? null : privateFieldsOf(claim.privacy.pointers)
  return fields === null ? exchange : maskExchange(exchange, privateTexts(event.payload, fields))
}

/** The id that the destination gave; none where it is a private value, as every masked one reads the same. */
function recordOf({ builder }: Work, answer: Answer): string | null {
  const record = builder.prepared.destinationRecord(answer)
  return record?.includes(MASK) === true ? null : record
}

/** Held back without an attempt: its endpoint rests, or others of it are before this one. */
function heldBack({ now, metrics }: DeliverOptions, work: Work, why: HeldBack): Settlement {
  const { claim, live, payloadDays } = work
  const { policy } = live.integration
  const progress: DeliveryProgress = {
    id: claim.delivery,
    attempt: claim.scheduleAttempts + 1,
    charged: claim.charged,
    acceptedAt: claim.createdAt,
  }
  const next = why.kind === "skip" ? afterSkip(policy, progress, why.held, why.state, now()) : afterJoin(policy, why)
  if (why.kind === "skip") metrics.skipped(live.connector.name)
  return { claim, attempt: null, attemptReason: null, next, recordId: null, payloadDays }
}

function afterJoin(policy: Policy, { held, state, pausedUntil }: HeldBack): Next {
  const reason: Reason =
    pausedUntil === null
      ? { code: "sleeping", facts: sleepingFacts(policy, held, state) }
      : { code: "waiting_rate", facts: { cause: "asked", host: new URL(held.origin).host, until_at: pausedUntil } }
  return { status: "skipped", reason, at: held.dueAt, queue: held.queue, charged: false, joins: true }
}

/** Ended without an attempt. */
function ended(claim: Claim, reason: Reason, payloadDays: number): Settlement {
  const next: Next = { status: "failed", reason, disable: false }
  return { claim, attempt: null, attemptReason: null, next, recordId: null, payloadDays }
}

function unbuilt(claim: Claim, build: Exclude<Build, { kind: "send" }>, payloadDays: number): Settlement {
  const reason: Reason = { code: build.reason, facts: build.facts }
  if (build.kind === "fail") return ended(claim, reason, payloadDays)
  return {
    claim,
    attempt: null,
    attemptReason: null,
    next: { status: "withheld", reason },
    recordId: null,
    payloadDays,
  }
}

function withFacts(outcome: Outcome, facts: Facts): Outcome {
  return { ...outcome, facts: { ...facts, ...outcome.facts } }
}

interface UrlPlace {
  readonly origin: string
  readonly host: string
  readonly text: string
}

/** Host and path, without the query, which may hold a secret (API-30). URLs are few, so each is taken apart once. */
function placeOf(url: string): UrlPlace {
  let place = places.get(url)
  if (place === undefined) {
    const { origin, host, pathname } = new URL(url)
    place = { origin, host, text: host + pathname }
    if (places.size >= 4_096) places.clear()
    places.set(url, place)
  }
  return place
}
const places = new Map<string, UrlPlace>()

function count(metrics: Metrics, connector: string, exchange: Exchange, next: Next, ageMs: number): void {
  const broken = exchange.kind === "broken" ? exchange : null
  metrics.attempted({
    connector,
    class: broken?.class ?? "none",
    phase: broken?.phase ?? "none",
    next: next.status,
    tookMs: exchange.timings.totalMs,
  })
  if (next.status === "delivered") metrics.deliveryLatency.observe(ageMs / 1_000)
}
