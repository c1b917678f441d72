/**
 * What changed in an integration just before something began: the first question of everyone who looks for a cause.
 */
import { DAY_MS, HOUR_MS } from "./duration.ts"

/** How far back a change may lie and still be the cause. */
export const BEFORE_MS = DAY_MS
/** A beginning that is known by the hour only may lie so much before the change that caused it. */
const COARSE_MS = HOUR_MS
const MAX_CHANGES = 20

/** A change of the configuration, or a switch. */
export interface NotedChange {
  readonly at: number
  /** `integration.updated`, `integration.enabled`, … */
  readonly kind: string
  readonly revision: number | null
  /** JSON pointers of what differs, into the integration. */
  readonly pointers: readonly string[]
}

/** What such a change touches, in the order of how often it is the cause. */
export const changedParts = [
  "url",
  "authorization",
  "headers",
  "secret",
  "verification",
  "config",
  "names",
  "filter",
  "apps",
  "options",
  "policy",
  "name",
  "switch",
] as const
export type ChangedPart = (typeof changedParts)[number]

/** The changes in the day before something began, and those since; the newest first. */
export function changesAround<Change extends NotedChange>(
  changes: readonly Change[],
  since: number,
): (Change & { readonly when: "before" | "since" })[] {
  return changes
    .filter(({ at }) => at >= since - BEFORE_MS)
    .sort((a, b) => b.at - a.at)
    .slice(0, MAX_CHANGES)
    .map(change => ({
      ...change,
      when: change.at <= since + (since % COARSE_MS === 0 ? COARSE_MS : 0) ? "before" : "since",
    }))
}

/** What a change touches, by the pointers of its fields. */
export function partsOf({ kind, pointers }: Pick<NotedChange, "kind" | "pointers">): ChangedPart[] {
  if (kind !== "integration.created" && kind !== "integration.updated") {
    return [kind === "integration.secret_rotated" ? "secret" : "switch"]
  }
  const parts = new Set(pointers.map(partOf))
  return changedParts.filter(part => parts.has(part))
}

function partOf(pointer: string): ChangedPart {
  if (/^\/config\/(?:[^/]+\/)?url$/.test(pointer)) return "url"
  if (/^\/config\/(?:[^/]+\/)?authorization$/.test(pointer)) return "authorization"
  if (/^\/config\/(?:[^/]+\/)?headers(?:\/|$)/.test(pointer)) return "headers"
  if (pointer.startsWith("/config/verification")) return "verification"
  if (pointer.startsWith("/config")) return "config"
  if (pointer.startsWith("/events")) return "names"
  const [, first = ""] = pointer.split("/")
  return first === "filter" || first === "apps" || first === "options" || first === "policy" ? first : "name"
}
