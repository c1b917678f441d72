/**
 * Recovery: sending again what did not arrive, over a stretch of time. What was asked for picks events by how they stand
 * at an integration; each one that fits is ruled upon with the configuration of today, as a new event would be.
 *
 *     running ──all looked at, nothing waits──→ done
 *      │  ↑
 *      ↓  │       paused: what waits is what it was before, until it is resumed
 *     paused
 *      │ (or running)
 *      └──→ canceled    what waits is what it was before; what was sent stays as it is
 */
import type { DeliveryStatus } from "./delivery.ts"
import type { Environment } from "./event.ts"
import { type AppId, type EventId, firstIdAt, type IntegrationId } from "./id.ts"
import { isRed, type ReasonCode } from "./reason.ts"
import { type RoutedEvent, type RoutingIntegration, route } from "./route.ts"

/**
 * How an event stands at an integration, as far as it can be recovered. `skipped`: it failed because the endpoint rested
 * at each of its tries. `missing`: the integration neither got it nor had it withheld, as it did not exist yet or was off.
 */
export const recoverableStatuses = ["failed", "skipped", "withheld", "missing", "delivered"] as const
export type RecoverableStatus = (typeof recoverableStatuses)[number]

/** What a recovery is to send again. */
export interface RecoveryAsk {
  readonly integrations: readonly IntegrationId[]
  /** Received at this time or later, ms since 1970. */
  readonly from: number
  /** Received before this time. */
  readonly to: number
  readonly statuses: readonly RecoverableStatus[]
  /** Of failures and withholdings. Null: any failure, and withholdings that someone had to act on. */
  readonly reasons: readonly ReasonCode[] | null
  /** Types, or prefixes that end in `*`; null: all. */
  readonly eventTypes: readonly string[] | null
  readonly environment: Environment | null
  readonly app: AppId | null
  /** Imported history too. */
  readonly includeHistorical: boolean
  /** `original`: what was attempted before goes out as it was then, whatever the rules say today. */
  readonly configuration: "current" | "original"
  /** How many it queues a second for each integration; null: as many as the integration takes. */
  readonly maxPerSecond: number | null
}

/** How one event stands at one integration. */
export type Standing =
  | { readonly kind: "delivery"; readonly status: DeliveryStatus; readonly reason: ReasonCode | null }
  | { readonly kind: "withheld"; readonly reason: ReasonCode }
  | { readonly kind: "missing" }

/** An event that a recovery has found, without its payload. */
export interface Candidate {
  readonly id: EventId
  readonly event: RoutedEvent
  readonly standing: Standing
  readonly payloadExpiresAt: number
  /** When its private fields were masked, so that its data is no longer there whole; null where it is. */
  readonly maskedAt?: number | null
}

/** Whether an event fits what was asked for by how it stands. Its own properties are the search's. */
export function isAskedFor(ask: RecoveryAsk, { standing, event }: Pick<Candidate, "standing" | "event">): boolean {
  const asks = (status: RecoverableStatus) => ask.statuses.includes(status)
  switch (standing.kind) {
    case "missing":
      return asks("missing")
    case "withheld":
      return asks("withheld") && isWantedWithholding(ask, standing.reason, event.historical)
    case "delivery":
      switch (standing.status) {
        case "delivered":
          return asks("delivered")
        case "failed":
          if (asks("failed") && isNamed(ask, standing.reason)) return true
          return asks("skipped") && standing.reason === "sleeping" && isNamed(ask, standing.reason)
        case "withheld":
          return asks("withheld") && standing.reason !== null && isWantedWithholding(ask, standing.reason, false)
        // On its way already.
        case "pending":
        case "sending":
        case "retrying":
        case "skipped":
          return false
      }
  }
}

/** Whether every event that fits has someone to act on it: those are in an index of their own. */
export function needsAction({ statuses, reasons, includeHistorical }: RecoveryAsk): boolean {
  if (statuses.includes("missing") || statuses.includes("delivered")) return false
  if (!statuses.includes("withheld")) return true
  return !includeHistorical && (reasons === null || reasons.every(isRed))
}

/** Whether it can find failed deliveries only. */
export function onlyFailed({ statuses }: RecoveryAsk): boolean {
  return statuses.every(status => status === "failed" || status === "skipped")
}

function isNamed({ reasons }: RecoveryAsk, reason: ReasonCode | null): boolean {
  return reasons === null || (reason !== null && reasons.includes(reason))
}

/** What was left out on purpose comes only when it is asked for by its reason. */
function isWantedWithholding(ask: RecoveryAsk, reason: ReasonCode, historical: boolean): boolean {
  if (reason === "historical" && historical) return ask.includeHistorical
  return ask.reasons === null ? isRed(reason) : ask.reasons.includes(reason)
}

/** What becomes of an event that fits. */
export type Ruling =
  | { readonly kind: "send" }
  /** Today's configuration does not let it go either. */
  | { readonly kind: "withheld"; readonly reason: ReasonCode }
  | { readonly kind: "expired" }
  /** The integration is limited to other apps. */
  | { readonly kind: "other_apps" }

/** Whether its payload has to be read before it can be ruled upon. */
export function needsPayload(ask: RecoveryAsk, candidate: Candidate, integration: RoutingIntegration): boolean {
  return integration.passes !== null && isRoutedAnew(ask, candidate)
}

/** Rules on an event that fits, as a new event would be routed now. */
export function ruleOn(ask: RecoveryAsk, candidate: Candidate, integration: RoutingIntegration, now: number): Ruling {
  if (candidate.payloadExpiresAt <= now || typeof candidate.maskedAt === "number") return { kind: "expired" }
  if (!isRoutedAnew(ask, candidate)) return { kind: "send" }
  const { event } = candidate
  const routed = route({ ...event, historical: event.historical && !ask.includeHistorical }, [integration])
  if (routed.deliver.length > 0) return { kind: "send" }
  const [reason] = Object.keys(routed.withheld) as ReasonCode[]
  return reason === undefined ? { kind: "other_apps" } : { kind: "withheld", reason }
}

/** What went out before, or tried to, can go as it was; all else has no other configuration than today's. */
function isRoutedAnew({ configuration }: RecoveryAsk, { standing }: Candidate): boolean {
  return configuration === "current" || standing.kind !== "delivery"
}

export type RecoveryState = "running" | "paused" | "done" | "canceled"
export type RecoveryAction = "pause" | "resume" | "cancel"

/** The state after an action, or a sentence that says why it cannot be had. */
export function stateAfter(state: RecoveryState, action: RecoveryAction): RecoveryState | { readonly refusal: string } {
  if (state === "done")
    return { refusal: "The recovery is done: everything that it asks for has been looked at and sent." }
  switch (action) {
    case "pause":
      return state === "canceled" ? over : "paused"
    case "resume":
      return state === "canceled" ? over : "running"
    case "cancel":
      return "canceled"
  }
}

const over = { refusal: "The recovery was canceled. What it had not sent is as it was before; ask for a new one." }

/** The stretch of event ids that a recovery walks through: after the first, up to the second. */
export interface IdStretch {
  readonly after: EventId
  readonly upTo: EventId
}

/** How much of its stretch has been looked at, from 0 to 1. `reached`: one for each integration. */
export function shareDone({ after, upTo }: IdStretch, reached: readonly EventId[]): number {
  if (reached.length === 0 || upTo <= after) return 1
  const shares = reached.map(id => Math.min(1, Math.max(0, (id - after) / (upTo - after))))
  return shares.reduce((sum, share) => sum + share, 0) / shares.length
}

/** When it will be through, going on as it has so far; null where that cannot be told yet. */
export function estimatedEndAt(startedAt: number, share: number, now: number): number | null {
  const tookMs = now - startedAt
  // A hundredth, or two seconds, say too little of the rest.
  return share < 0.01 || tookMs < 2_000 ? null : Math.round(startedAt + tookMs / share)
}

/** Where a walk through what was received from a time on begins: after this id. */
export function walkFrom(from: number): EventId {
  return firstIdAt(from) - 1
}
