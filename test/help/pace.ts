/** How many requests went to an integration within ten seconds: what `max_per_second` promises, several processes together. */
import { type IntegrationId, parseId } from "../../src/domain/id.ts"
import type { Receipt } from "./receiver.ts"
import type { SystemLedger } from "./system-ledger.ts"

const WITHIN_MS = 10_000

/**
 * The most requests of an integration that were sent within ten seconds. By when Waybill began each: a receiver that is held up
 * sees those of a second at once. Of an event whose process ended meanwhile nobody but its receiver knows when it was sent.
 */
export function busiestTenSeconds(
  integration: IntegrationId | undefined,
  { attempts }: Pick<SystemLedger, "attempts">,
  receipts: readonly Receipt[],
): number {
  const own = attempts.filter(attempt => attempt.integration_id === integration)
  const lost = new Set(own.filter(({ outcome }) => outcome === "interrupted").map(attempt => attempt.event_id))
  const times = [
    ...own.filter(attempt => !lost.has(attempt.event_id)).map(attempt => attempt.started_at),
    ...receipts.filter(({ webhookId }) => lost.has(parseId("evt", webhookId) ?? 0)).map(({ at }) => at),
  ].toSorted((a, b) => a - b)
  let [most, from] = [0, 0]
  for (const [i, at] of times.entries()) {
    while ((times[from] ?? at) <= at - WITHIN_MS) from++
    most = Math.max(most, i - from + 1)
  }
  return most
}
