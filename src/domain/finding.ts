/** A finding: what a picture of an integration shows, before it is put into words; and by which limits it was judged. */
import type { Facts } from "./delivery.ts"
import { HOUR_MS, MINUTE_MS } from "./duration.ts"
import type { ByReason, Hour, Picture } from "./picture.ts"
import type { ReasonCode } from "./reason.ts"
import type { VerdictCode } from "./verdict-table.ts"

/** What a picture shows, without its words. */
export interface Finding {
  readonly code: VerdictCode
  /** Which of the verdict's wordings fits better. */
  readonly case?: string
  /** When it began; null where that cannot be told, or nothing did. */
  readonly since: number | null
  /** Filled into the sentences and shown as evidence. `…_at` are times, `…_ms` durations. */
  readonly facts: Facts
  /** Failed attempts by what they failed with, the most frequent first. */
  readonly errors?: readonly { readonly reason: ReasonCode; readonly status: number | null; readonly count: number }[]
  /** Types that arrived meanwhile, with the type here for which each may be meant. */
  readonly types?: readonly { readonly type: string; readonly count: number; readonly near: string | null }[]
  readonly fields?: readonly { readonly field: string; readonly count: number }[]
  /** Reasons for which events did not come here, by how many. */
  readonly withheld?: ByReason
}

/** What counts as what. Each is a judgement; together they are the rules that the tests go through. */
export const limits = {
  /** So many attempts in a row of the same error, at so many events; or so many at fewer. */
  row: { attempts: 3, events: 3, attemptsAtFewer: 5 },
  /** Everything fails: enough attempts at enough events over a while, or fewer over a long while. */
  all: { attempts: 10, events: 5, forMs: 15 * MINUTE_MS, fewAttempts: 5, fewEvents: 3, fewForMs: 6 * HOUR_MS },
  /** A bad hour: so many errors, such a share of its attempts, and so many times the usual share. */
  spike: { errors: 5, share: 0.2, timesUsual: 3, lookBackHours: 24, usualHours: 7 * 24, calm: 5 },
  /** Seed rule: "in processing" for longer than this is not normal. */
  stuckMs: 15 * MINUTE_MS,
  /** A backlog worth speaking of, and how much of it has to be new. */
  backlog: { waiting: 100, hours: 3, newShare: 0.5 },
  /** An hour that fails day after day: so many days, errors a day, share of the attempts; at other hours a part of that. */
  daily: { days: 3, lookBackDays: 14, errors: 3, share: 0.2, elsewhere: 0.25, mostHours: 4 },
  /** Withheld for a reason that someone has to act on: so many, such a share, while others get through. */
  withheld: { count: 5, share: 0.2 },
  /** Events that came in without one for the integration, before that is worth a word. */
  unmatched: 20,
} as const

/** The hours that a judgement of the last day looks at. */
export function lastDay({ hours }: Picture): readonly Hour[] {
  return hours.slice(-24)
}

/** `1 event`, `4 events`. */
export function countOf(count: number, of: string): string {
  return `${count} ${of}${count === 1 ? "" : "s"}`
}
