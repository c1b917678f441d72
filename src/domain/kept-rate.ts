/** How fast a lane may go, as its endpoints have said, kept for whoever goes on with it: after a restart, or in another process. */
import type { KeptBudget } from "./budget.ts"
import type { Congestion } from "./congestion.ts"

/** What a lane learned of the rate that its endpoints bear: what its row keeps of it. */
export interface KeptRate {
  /** Origins that asked to be left alone. */
  readonly pauses: readonly (readonly [origin: string, pause: { readonly until: number; readonly ms: number }])[]
  readonly congestion: Congestion | null
  readonly budget: KeptBudget | null
}

/** As text; null where there is nothing to keep. */
export function rateToJson({ pauses, congestion, budget }: KeptRate): string | null {
  if (pauses.length === 0 && congestion === null && budget === null) return null
  return JSON.stringify({
    ...(pauses.length === 0 ? {} : { pauses: Object.fromEntries(pauses) }),
    ...(congestion === null ? {} : { congestion }),
    ...(budget === null ? {} : { budget }),
  })
}

/** Reads it back; whatever is not what this version wrote is left out. */
export function rateFromJson(json: string | null): KeptRate {
  if (json === null) return { pauses: [], congestion: null, budget: null }
  const found = JSON.parse(json) as { pauses?: Record<string, unknown>; congestion?: unknown; budget?: unknown }
  return {
    pauses: Object.entries(found.pauses ?? {}).flatMap(([name, pause]) => (isPause(pause) ? [[name, pause]] : [])),
    congestion: isCongestion(found.congestion) ? found.congestion : null,
    budget: isBudget(found.budget) ? found.budget : null,
  }
}

function isCongestion(value: unknown): value is Congestion {
  if (typeof value !== "object" || value === null || !("limit" in value) || !("cutAt" in value)) return false
  return typeof value.limit === "number" && typeof value.cutAt === "number"
}

function isBudget(value: unknown): value is KeptBudget {
  if (typeof value !== "object" || value === null || !("nextAt" in value) || !("pause" in value)) return false
  if (!("window" in value) || typeof value.nextAt !== "number") return false
  return (value.pause === null || isPause(value.pause)) && (value.window === null || isWindow(value.window))
}

function isWindow(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false
  const { remaining, resetAt, resetMs, limit, windowMs } = value as Partial<Record<string, unknown>>
  const isKnown = [remaining, resetAt, resetMs].every(one => typeof one === "number")
  return isKnown && [limit, windowMs].every(one => one === null || typeof one === "number")
}

function isPause(value: unknown): value is { until: number; ms: number } {
  if (typeof value !== "object" || value === null || !("until" in value) || !("ms" in value)) return false
  return typeof value.until === "number" && typeof value.ms === "number"
}
