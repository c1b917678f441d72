/**
 * Reasons: why a delivery, or an event that got none, stands where it stands. A reason is kept as a code with facts; its
 * text is made here when it is read, so that better words reach old events too. The words are data, in reason-table.ts.
 */
import type { DeliveryStatus, Facts, Reason } from "./delivery.ts"
import type { ErrorClass, Phase } from "./exchange.ts"
import { reasonTable } from "./reason-table.ts"
import { fill } from "./sentence.ts"

/** All codes: on its way, left out, not ready, not got through, answered with a failure, held back, our own faults. */
export const reasonCodes = [
  "queued",
  "waiting_turn",
  "waiting_rate",
  "scheduled",
  "paused",
  "type_disabled",
  "type_unsupported",
  "filtered",
  "event_expired",
  "historical",
  "opted_out",
  "integration_removed",
  "person_erased",
  "not_verified",
  "missing_credentials",
  "missing_data",
  "mapping_failed",
  "request_invalid",
  "dns_failed",
  "connection_refused",
  "connection_reset",
  "tls_failed",
  "no_token",
  "protocol_error",
  "network_error",
  "timeout_connect",
  "timeout_response",
  "timeout_body",
  "rejected",
  "rate_limited",
  "server_error",
  "unexpected_status",
  "gone",
  "no_recent_success",
  "sleeping",
  "blocked_address",
  "integration_disabled",
  "interrupted",
  "sender_fault",
  "payload_expired",
] as const
export type ReasonCode = (typeof reasonCodes)[number]

/** plain: on its way. grey: nothing to do. amber: Waybill is still trying. red: someone has to act. */
export type Colour = "plain" | "grey" | "amber" | "red"

/** A colour for good, or one that turns red once the delivery has ended. */
export type ColourRule = Colour | "amber_then_red" | "grey_then_red"

/** Whether Waybill makes another attempt by itself; `on_replay`: only when a person asks, once the cause is mended. */
export type TriedAgain = "no" | "yes" | "by_policy" | "on_replay"

/** What that means, in a sentence. */
export const triedAgainMeanings: Readonly<Record<TriedAgain, string>> = {
  no: "Waybill does not try it again by itself.",
  yes: "Waybill tries it again by itself, for as long as the integration's retries last.",
  by_policy: "Whether Waybill tries it again by itself the integration's policy says.",
  on_replay: "Waybill does not try it again by itself: once the cause is mended, a person retries or replays it.",
}

/** A class of network error, in any phase or in some only. */
export type ClassMatch = ErrorClass | { readonly class: ErrorClass; readonly phases: readonly Phase[] }

/** What a reason says: templates of sentence.ts over the facts of `factMeanings`. */
export interface Wording {
  readonly title: string
  /** What happened. */
  readonly what: string
  /** The likely causes. */
  readonly causes: string
  /** What to do. */
  readonly advice: string
  /** The field of the integration that mends it: a JSON pointer, also a template. Null where none does. */
  readonly setting: string | null
}

export interface ReasonRow extends Wording {
  readonly colour: ColourRule
  /** Null while it is on its way: nothing has been tried yet. */
  readonly triedAgain: TriedAgain | null
  /** The errors that are recorded as this reason. */
  readonly classes: readonly ClassMatch[]
  /** Better words where a fact says more: by its value, or `4xx` for statuses that have none of their own. */
  readonly variants?: { readonly by: string; readonly wordings: Readonly<Record<string, Partial<Wording>>> }
}

/** The facts that sentences are filled with. All may be missing. `…_ms` are durations, `…_at` times in ms since 1970. */
export const factMeanings = {
  host: "host of the endpoint",
  environment: "production or sandbox",
  type: "type of the event",
  status: "status code of the answer",
  location: "where a redirect points to, without credentials and query",
  retry_after_ms: "how long the answer asked to be left alone",
  limit_ms: "the policy's time limit",
  class: "class of the network error",
  phase: "where the exchange stood when it ended",
  error: "raw code of the error, such as ENOTFOUND",
  party: "token_endpoint where it was not the endpoint itself",
  token_host: "host of the token endpoint, where the endpoint is sent a token",
  token_status: "status code of the token endpoint's answer",
  field: "field that is missing or wrong",
  header: "header that cannot be sent",
  subject: "what lacks the field: event or profile",
  detail: "one more sentence on the case",
  try: "which try of the schedule this was",
  tries: "how many tries the schedule allows",
  ended: "why no retry follows: stop (the policy's stop band) or exhausted (the last try)",
  success: "statuses that the policy calls success",
  stop: "statuses at which the policy stops",
  cause:
    "what it came from: filter or no_endpoint (filtered), the code of a reason (integration_disabled), refused, unavailable, unusable or unreachable (no_token)",
  by: "person or waybill: who switched the integration off",
  max_per_second: "the policy's rate",
  ordering_key: "ordering key of the event",
  behind: "delivery in front of it in the line of its ordering key",
  behind_status: "status of that delivery",
  occurred_at: "when the event happened",
  profile_since_at: "when the profile was installed or created",
  credentials_changed_at: "when the integration's credentials last changed",
  checked_at: "when the endpoint was last verified",
  failing_since_at: "when the first error after the last success was",
  errors: "attempts that failed, in the window that protection judged by",
  successes: "attempts that succeeded in the same window",
  since_at: "since when the endpoint is in trouble",
  until_at: "until when nothing is sent",
  off_at: "when the integration was paused, switched off or removed",
  expired_at: "when the payload was due to go",
  private: "what became of data with private fields: masked, or unreadable",
  masked_at: "when the private fields were masked",
  next_at: "when the next attempt is due",
} as const satisfies Record<string, string>

/** What is known at the time of reading, beside the reason's own facts. */
export interface ReasonContext {
  readonly status: DeliveryStatus
  /** When the next attempt is due, in ms since 1970. */
  readonly nextAt: number | null
  /** `int_…`, for the link to the setting. */
  readonly integration?: string | null
  /** Facts of the surroundings: host, environment, type, `credentials_changed_at` … The reason's own facts beat them. */
  readonly facts?: Facts
}

/** Where to go: the setting that mends it, in the API; the reason's own page, in the documentation. */
export type ReasonLink =
  | { readonly rel: "setting"; readonly href: string; readonly pointer: string }
  | { readonly rel: "docs"; readonly href: string }

export interface ReasonText {
  readonly code: ReasonCode
  readonly title: string
  readonly colour: Colour
  readonly what: string
  readonly causes: string
  readonly advice: string
  readonly links: readonly ReasonLink[]
}

/** A reason in words, filled with the facts of its case. */
export function describeReason(reason: Reason, context: ReasonContext): ReasonText {
  const facts: Facts = { ...context.facts, ...reason.facts, next_at: context.nextAt }
  const wording = wordingOf(reasonTable[reason.code], facts)
  const outlook = fill(outlookOf(reason, context), facts)
  return {
    code: reason.code,
    title: fill(wording.title, facts),
    colour: colourOf(reason.code, context.status),
    what: outlook === "" ? fill(wording.what, facts) : `${fill(wording.what, facts)} ${outlook}`,
    causes: fill(wording.causes, facts),
    advice: fill(wording.advice, facts),
    links: linksOf(reason.code, wording.setting, facts, context.integration ?? null),
  }
}

/** The colour of a reason for a delivery, or a withholding, of this status. */
export function colourOf(code: ReasonCode, status: DeliveryStatus): Colour {
  const rule = reasonTable[code].colour
  if (rule !== "amber_then_red" && rule !== "grey_then_red") return rule
  if (status === "failed" || status === "withheld") return "red"
  return rule === "amber_then_red" ? "amber" : "grey"
}

/** Whether someone has to act on a withholding for this reason, so that its event counts as failed. */
export function isRed(code: ReasonCode): boolean {
  return colourOf(code, "withheld") === "red"
}

/** The reason for an exchange that broke off. Every class in every phase has exactly one (a test goes through them all). */
export function reasonOfError(errorClass: ErrorClass, phase: Phase): ReasonCode {
  const fits = (match: ClassMatch) =>
    typeof match === "string" ? match === errorClass : match.class === errorClass && match.phases.includes(phase)
  return reasonCodes.find(code => reasonTable[code].classes.some(fits)) ?? "network_error"
}

function wordingOf(row: ReasonRow, facts: Facts): Wording {
  const value = row.variants && facts[row.variants.by]
  if (row.variants === undefined || value === undefined || value === null) return row
  const key = String(value)
  const wordings = new Map(Object.entries(row.variants.wordings))
  return { ...row, ...(wordings.get(key) ?? wordings.get(`${key.slice(0, 1)}xx`)) }
}

/** What follows from it, as a template: when it is tried again, or why it is not. */
function outlookOf({ code, facts }: Reason, { status, nextAt }: ReasonContext): string {
  if (status === "retrying" || status === "skipped") {
    const next = "[This was try {try} of {tries}; the next is due at {next_at}.|It is tried again at {next_at}.]"
    return nextAt === null ? "" : next
  }
  if (status !== "failed") return ""
  const byHand = reasonTable[code].colour === "amber_then_red" ? "; once the cause is mended, retry it by hand" : ""
  if (facts.ended === "stop") return `The policy stops at this status, so it is not tried again by itself${byHand}.`
  return `[This was try {try} of {tries}, so it|It] is not tried again by itself${byHand}.`
}

function linksOf(code: ReasonCode, setting: string | null, facts: Facts, integration: string | null): ReasonLink[] {
  const docs: ReasonLink = { rel: "docs", href: `docs/reference/reasons.md#${code}` }
  if (setting === null || integration === null) return [docs]
  return [{ rel: "setting", href: `/v1/integrations/${integration}`, pointer: fill(setting, facts) }, docs]
}
