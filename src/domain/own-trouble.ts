/**
 * Whether it is Waybill's own machine or network that fails. Then no endpoint is to blame: all that were tried fail to
 * connect, and those that had worked began to fail at once. Endpoints that died one after the other are just that.
 */
import { MINUTE_MS } from "./duration.ts"
import type { IntegrationId } from "./id.ts"
import type { OwnTrouble } from "./picture.ts"
import type { ReasonCode } from "./reason.ts"

/** Older attempts say nothing of now. */
export const OWN_TROUBLE_WINDOW_MS = 15 * MINUTE_MS
/** Those that had worked began to fail within so long. */
const AT_ONCE_MS = 10 * MINUTE_MS
/** Fewer attempts may fail by chance. */
const MIN_ATTEMPTS = 4

/** Failures in which no connection came about. */
const noConnection: ReadonlySet<ReasonCode | null> = new Set<ReasonCode>([
  "dns_failed",
  "connection_refused",
  "timeout_connect",
  "network_error",
  "sender_fault",
])

/** One attempt at any integration. */
export interface AnyTried {
  readonly integration: IntegrationId
  readonly host: string
  readonly reason: ReasonCode | null
}

/** An integration that could not be reached since the last time that anything could. */
export interface Unreached {
  readonly integration: IntegrationId
  readonly host: string
  readonly attempts: number
  /** All of them, because the system itself says that it cannot send. */
  readonly isSenderFault: boolean
}

/** Those that were tried since anything was last reached, by all attempts of late, the newest first. */
export function unreachedOf(tried: readonly AnyTried[]): Unreached[] {
  const reached = tried.findIndex(({ reason }) => !noConnection.has(reason))
  const since = reached < 0 ? tried : tried.slice(0, reached)
  return [...Map.groupBy(since, one => one.integration)].map(([integration, attempts]) => ({
    integration,
    host: attempts[0]?.host ?? "",
    attempts: attempts.length,
    isSenderFault: attempts.every(({ reason }) => reason === "sender_fault"),
  }))
}

/** The same with when it got through last in 30 days, and when it failed for the first time after that. */
export interface Broken extends Unreached {
  readonly lastSuccessAt: number | null
  readonly failingSince: number
}

/** What is wrong with Waybill's own side; null where nothing is. */
export function ownTroubleOf(unreached: readonly Broken[]): OwnTrouble | null {
  if (unreached.reduce((sum, { attempts }) => sum + attempts, 0) < MIN_ATTEMPTS) return null
  const counts = { integrations: unreached.length, hosts: new Set(unreached.map(({ host }) => host)).size }
  if (unreached.every(({ isSenderFault }) => isSenderFault)) {
    return { since: Math.min(...unreached.map(({ failingSince }) => failingSince)), ...counts, sign: "sender_fault" }
  }
  const had = unreached.filter(({ lastSuccessAt }) => lastSuccessAt !== null)
  const begins = had.map(({ failingSince }) => failingSince)
  const hosts = new Set(had.map(({ host }) => host)).size
  if (hosts < 2 || Math.max(...begins) - Math.min(...begins) > AT_ONCE_MS) return null
  return { since: Math.min(...begins), ...counts, sign: "all_at_once" }
}
