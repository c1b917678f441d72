/**
 * One function for each verdict: whether a picture shows it, since when, and by which facts. None knows of the others;
 * diagnosis.ts says which of them weighs most. Those on attempts that fail stand in failure-verdicts.ts.
 */
import { nearTypes, silenceOf } from "./activity.ts"
import { countOf, type Finding, lastDay, limits } from "./finding.ts"
import {
  type ByReason,
  type Hour,
  type OwnTroubleHere,
  type Picture,
  sumOf,
  sumsOf,
  WAITING_COUNTED,
} from "./picture.ts"
import { isRed, type ReasonCode } from "./reason.ts"
import { reasonTable } from "./reason-table.ts"
import { fill } from "./sentence.ts"

/** All that an integration's machine fails at is Waybill's own fault just now. */
export function ownMachine({ ownTrouble }: Picture): Finding | null {
  return ownTrouble === null ? null : ownMachineFinding(ownTrouble)
}

/** The same for Waybill as a whole. */
export function ownMachineFinding({ since, integrations, hosts, sign }: OwnTroubleHere): Finding {
  const facts = { since_at: since, integrations: integrations ?? null, hosts: hosts ?? null, sign }
  return { code: "own_machine", ...(sign === "sender_fault" ? { case: sign } : {}), since, facts }
}

/** It is off, and by whom. */
export function switchedOff({ integration }: Picture): Finding | null {
  const { enabled, disabledBy, disabledAt, disabledReason } = integration
  if (enabled) return null
  const facts = { off_at: disabledAt, by: disabledBy, cause: disabledReason }
  return { code: "switched_off", ...(disabledBy === "waybill" ? { case: "waybill" } : {}), since: disabledAt, facts }
}

/** n of m events lack a field. */
export function missingData(picture: Picture): Finding | null {
  const last = heldBack(picture, reason => reason === "missing_data")
  if (last === null) return null
  const { count, isAll, since } = last
  const fields = picture.missingFields
  const routed = lastDay(picture).reduce((sum, hour) => sum + hour.routed, 0)
  const field = fields
    .slice(0, 3)
    .map(one => one.field)
    .join(", ")
  return {
    code: "missing_data",
    ...(isAll ? { case: "nothing_sent" } : {}),
    since,
    facts: { count, routed, field: field === "" ? null : field },
    fields,
  }
}

/** Events are held back for another reason that someone has to act on: an unverified endpoint, a mapping, a credential. */
export function withheld(picture: Picture): Finding | null {
  const last = heldBack(picture, reason => reason !== "missing_data" && isRed(reason))
  if (last === null) return null
  const { count, isAll, since, reasons } = last
  const [reason] = (Object.entries(reasons) as [ReasonCode, number][]).sort((a, b) => b[1] - a[1])[0] ?? []
  const title = reason === undefined ? "" : fill(reasonTable[reason].title, {})
  return {
    code: "withheld",
    ...(isAll ? { case: "nothing_sent" } : {}),
    since,
    facts: { count, reason: reason ?? null, reason_title: title },
    withheld: reasons,
  }
}

/** Something is due for long that nothing holds back. What waits by rule is never stuck. */
export function stuckInProcessing({ waiting, now }: Picture): Finding | null {
  const { oldestDueAt, oldestSendingAt, heldBy } = waiting
  if (oldestSendingAt !== null && now - oldestSendingAt > limits.stuckMs) {
    const facts = { since_at: oldestSendingAt, late_ms: now - oldestSendingAt }
    return { code: "stuck_in_processing", case: "sending", since: oldestSendingAt, facts }
  }
  if (oldestDueAt === null || now - oldestDueAt <= limits.stuckMs) return null
  if (heldBy !== null && heldBy !== "full") return null
  return {
    code: "stuck_in_processing",
    ...(heldBy === "full" ? { case: "full" } : {}),
    since: oldestDueAt,
    facts: { since_at: oldestDueAt, late_ms: now - oldestDueAt, waiting: waiting.total },
  }
}

/** More events come in than go out, hour after hour. */
export function backlogGrowing({ hours, waiting, integration }: Picture): Finding | null {
  const { backlog } = limits
  if (waiting.total < backlog.waiting || integration.paused || !integration.enabled) return null
  const recent = hours.slice(-backlog.hours)
  const growths = recent.map(hour => hour.routed - hour.delivered - sumOf(hour.failed))
  const growth = growths.reduce((sum, one) => sum + one, 0)
  const isRising = growths.filter(one => one > 0).length >= 2 && (growths.at(-1) ?? 0) >= 0
  if (!isRising || growth < backlog.newShare * waiting.total) return null
  const first = recent[growths.findIndex(one => one > 0)]
  const { heldBy } = waiting
  return {
    code: "backlog_growing",
    ...(heldBy === null ? {} : { case: heldBy }),
    since: first?.at ?? null,
    facts: { waiting: waiting.total, waiting_text: waitingText(waiting.total), growth },
  }
}

/** Nothing came for it, though at these hours of other days something did: no event arrived at all. */
export function noEventArrived(picture: Picture): Finding | null {
  const silence = silenceOf(picture.hours)
  if (silence === null || picture.arrived === null) return null
  const { types, otherApps } = picture.arrived
  if (types.length > 0 || otherApps > 0) return null
  const { since, days, expected, hours } = silence
  return { code: "no_event_arrived", since, facts: { since_at: since, days, expected, hours } }
}

/** Events arrived, and none was for it: an unusual silence, or it has never got one. */
export function noneMatched(picture: Picture): Finding | null {
  const { hours, arrived, integration } = picture
  if (arrived === null) return null
  const count = arrived.types.reduce((sum, type) => sum + type.count, 0)
  const hasEverMatched = hours.some(hour => hour.routed > 0)
  const silence = silenceOf(hours)
  if (count + arrived.otherApps === 0 || (hasEverMatched ? silence === null : count < limits.unmatched)) return null
  const near = nearTypes(
    integration.namedTypes,
    arrived.types.map(({ type }) => type),
  )
  const since = silence?.since ?? arrived.since
  return {
    code: "none_matched",
    since,
    facts: {
      since_at: since,
      arrived: count + arrived.otherApps,
      other_apps: arrived.otherApps,
      named: near[0]?.named ?? null,
      near: near[0]?.arrived ?? null,
      near_by: near[0]?.by ?? null,
      ...(silence === null ? {} : { days: silence.days, expected: silence.expected, hours: silence.hours }),
    },
    types: arrived.types.slice(0, 20).map(({ type, count: times }) => ({
      type,
      count: times,
      near: near.find(one => one.arrived === type)?.named ?? null,
    })),
    withheld: sumsOf(hours.filter(hour => hour.at >= since).map(hour => hour.withheld)),
  }
}

/** A person holds it back. */
export function paused({ integration, waiting }: Picture): Finding | null {
  if (!integration.enabled || !integration.paused) return null
  const waits = waiting.total === 0 ? {} : { waiting: waiting.total, waiting_text: waitingText(waiting.total) }
  return { code: "paused", since: null, facts: waits }
}

/** Nothing has ever come for it, so that nothing can be said. */
export function unused({ hours, integration }: Picture): Finding | null {
  if (hours.some(hour => hour.routed > 0 || hour.success > 0 || sumOf(hour.errors) > 0)) return null
  return { code: "unused", since: null, facts: { since_at: integration.createdAt } }
}

/** All is well: said where nothing else is. */
export function healthy(picture: Picture): Finding {
  const attempts = lastDay(picture).reduce((sum, hour) => sum + hour.success + sumOf(hour.errors), 0)
  if (attempts === 0) return { code: "healthy", case: "idle", since: null, facts: { attempts } }
  const failed = picture.attempts.findIndex(one => !one.isSuccess)
  const first = failed > 0 ? picture.attempts[failed - 1] : undefined
  // Well again since the first success after the last failure.
  if (first === undefined) return { code: "healthy", since: null, facts: { attempts } }
  return { code: "healthy", case: "recovered", since: first.at, facts: { attempts, since_at: first.at } }
}

/** What was held back for such a reason in the last day, where it still is: nothing got through after it. */
function heldBack(
  picture: Picture,
  isFor: (reason: ReasonCode) => boolean,
): { readonly count: number; readonly isAll: boolean; readonly since: number; readonly reasons: ByReason } | null {
  const day = lastDay(picture)
  const reasonsIn = (hour: Hour): ByReason => {
    const all = Object.entries(sumsOf([hour.withheld, unsent(hour.failed)])) as [ReasonCode, number][]
    return Object.fromEntries(all.filter(([reason]) => isFor(reason)))
  }
  const held = day.filter(hour => sumOf(reasonsIn(hour)) > 0)
  const [first, last] = [held[0], held.at(-1)]
  if (first === undefined || last === undefined) return null
  const reasons = sumsOf(held.map(reasonsIn))
  const count = sumOf(reasons)
  const since = first.at
  const tried = (hour: Hour) => hour.success + sumOf(hour.errors)
  const isAll = day.every(hour => tried(hour) === 0)
  // Mended since: later events went out.
  if (!isAll && day.some(hour => hour.at > last.at && hour.success > 0)) return null
  const through = day.reduce((sum, hour) => sum + hour.success, 0)
  const { withheld: limit } = limits
  if (!isAll && (count < limit.count || count / (count + through) < limit.share)) return null
  return { count, isAll, since, reasons }
}

/** Deliveries that failed without a request ever being made of them. */
function unsent(failed: ByReason): ByReason {
  const count = failed.request_invalid ?? 0
  return count === 0 ? {} : { request_invalid: count }
}

function waitingText(total: number): string {
  return total >= WAITING_COUNTED ? `${WAITING_COUNTED} events or more` : countOf(total, "event")
}
