/** The verdicts on attempts that fail: all of them, several in a row, more than usual, at one hour of the day, a few. */
import { DAY_MS, HOUR_MS } from "./duration.ts"
import { caseOf, caseOfReasons, errorsOf, statusOf } from "./failure-cause.ts"
import { countOf, type Finding, lastDay, limits } from "./finding.ts"
import { type Hour, type Picture, sumOf, sumsOf, type Tried } from "./picture.ts"
import type { ReasonCode } from "./reason.ts"
import { reasonTable } from "./reason-table.ts"
import { fill } from "./sentence.ts"

/** Nothing gets through any more, or never has. */
export function everythingFailing(picture: Picture): Finding | null {
  const { run, attempts } = picture
  if (run === null) return null
  const { all } = limits
  const lastedMs = run.lastAt - run.since
  const isMany = run.attempts >= all.attempts && run.events >= all.events && lastedMs >= all.forMs
  const isFew = run.attempts >= all.fewAttempts && run.events >= all.fewEvents
  const isLong = lastedMs >= all.fewForMs || run.lastSuccessAt === null
  if (!isMany && !(isFew && isLong)) return null
  const failed = attempts.filter(tried => !tried.isSuccess)
  return {
    code: "everything_failing",
    ...caseOf(failed),
    since: run.since,
    facts: {
      since_at: run.since,
      attempts: run.attempts,
      attempts_text: countOf(run.attempts, "attempt"),
      events: run.events,
      events_text: countOf(run.events, "event"),
      last_success_at: run.lastSuccessAt,
      last_failure_at: run.lastAt,
      ...statusOf(failed),
    },
    errors: errorsOf(failed),
  }
}

/** The newest attempts all failed, with one and the same error. */
export function severalInARow({ attempts, run }: Picture): Finding | null {
  const [newest] = attempts
  if (newest === undefined || newest.isSuccess) return null
  const other = attempts.findIndex(tried => !isAlike(tried, newest))
  const alike = other < 0 ? attempts : attempts.slice(0, other)
  const events = new Set(alike.map(tried => tried.event)).size
  const { row } = limits
  if (!(alike.length >= row.attempts && events >= row.events) && alike.length < row.attemptsAtFewer) return null
  // As far back as is known: where all that failed since the last success is alike, the beginning of that.
  const oldest = alike.at(-1)?.at ?? newest.at
  const since = other < 0 && run !== null ? Math.min(run.since, oldest) : oldest
  const reason = newest.reason === null ? "" : fill(reasonTable[newest.reason].title, {})
  return {
    code: "several_in_a_row",
    ...caseOf(alike),
    since,
    facts: {
      since_at: since,
      attempts: alike.length,
      events,
      events_text: countOf(events, "event"),
      error: newest.status === null ? reason : `${reason}, status ${newest.status}`,
      reason: newest.reason,
      status: newest.status,
    },
    errors: errorsOf(alike),
  }
}

/** Many more attempts than usual fail, or did so within the last day. */
export function failureSpike(picture: Picture): Finding | null {
  const { hours, attempts, now } = picture
  const { spike } = limits
  const recent = hours.slice(-spike.lookBackHours)
  const usual = shareOf(hours.slice(-spike.lookBackHours - spike.usualHours, -spike.lookBackHours))
  const isBad = (hour: Hour) => {
    const errors = sumOf(hour.errors)
    return errors >= spike.errors && errors / (errors + hour.success) >= Math.max(spike.share, spike.timesUsual * usual)
  }
  const last = recent.findLastIndex(isBad)
  if (last < 0) return null
  let first = last
  while (first > 0 && isBad(recent[first - 1] as Hour)) first--
  const bad = recent.slice(first, last + 1)
  const [begin, end] = [bad[0] as Hour, bad.at(-1) as Hour]
  const errors = bad.reduce((sum, hour) => sum + sumOf(hour.errors), 0)
  const tried = errors + bad.reduce((sum, hour) => sum + hour.success, 0)
  const calm = attempts.findIndex(one => !one.isSuccess)
  const calmCount = calm < 0 ? attempts.length : calm
  const isOver = now - end.at >= 2 * HOUR_MS || calmCount >= Math.min(spike.calm, attempts.length)
  // The first failure that is known, where the last attempts reach back before it; else the hour's beginning.
  const known = attempts.findLast(one => !one.isSuccess && one.at >= begin.at)
  const reachesBack = attempts.some(one => one.at < begin.at)
  const since = reachesBack && known !== undefined ? known.at : begin.at
  const until = calmCount > 0 ? Math.min(end.at + HOUR_MS, attempts[calmCount - 1]?.at ?? now) : end.at + HOUR_MS
  return {
    code: "failure_spike",
    ...(isOver ? { case: "over" } : caseOfReasons(sumsOf(bad.map(hour => hour.errors)), attempts)),
    since,
    facts: {
      since_at: since,
      errors,
      attempts: tried,
      usual_percent: Math.round(usual * 100),
      ...(isOver ? { until_at: until } : {}),
    },
    errors: (Object.entries(sumsOf(bad.map(hour => hour.errors))) as [ReasonCode, number][])
      .map(([reason, count]) => ({ reason, status: null, count }))
      .sort((a, b) => b.count - a.count),
  }
}

/** Attempts fail at one time of the day, day after day, and hardly at others. */
export function sameHourDaily({ hours }: Picture): Finding | null {
  const { daily } = limits
  // The hour that is running has not shown all yet; it counts once it is bad.
  const days = hours.slice(-daily.lookBackDays * 24)
  const isBad = ({ errors, success }: Hour) => {
    const failed = sumOf(errors)
    return failed >= daily.errors && failed / (failed + success) >= daily.share
  }
  const streaks = Array.from({ length: 24 }, (_, hourOfDay) => {
    const same = days.filter(({ at }) => new Date(at).getUTCHours() === hourOfDay).reverse()
    // Today's may not have come to its bad part.
    const past = same[0] === days.at(-1) && same[0] !== undefined && !isBad(same[0]) ? same.slice(1) : same
    const length = past.findIndex(hour => !isBad(hour))
    return past.slice(0, length < 0 ? past.length : length)
  })
  const found = streaks.flatMap((streak, hourOfDay) => (streak.length >= daily.days ? [{ hourOfDay, streak }] : []))
  if (found.length === 0 || found.length > daily.mostHours) return null
  const inside = new Set(found.flatMap(({ streak }) => streak.map(hour => hour.at)))
  const since = Math.min(...inside)
  const within = days.filter(hour => inside.has(hour.at))
  const outside = days.filter(hour => hour.at >= since && !inside.has(hour.at))
  if (shareOf(outside) > daily.elsewhere * shareOf(within)) return null
  const { from, to } = stretchOf(found.map(({ hourOfDay }) => hourOfDay))
  const errors = within.reduce((sum, hour) => sum + sumOf(hour.errors), 0)
  return {
    code: "same_hour_daily",
    since,
    facts: {
      since_at: since,
      from_hour: String(from).padStart(2, "0"),
      to_hour: String(to).padStart(2, "0"),
      days: Math.max(...found.map(({ streak }) => streak.length)),
      errors,
      attempts: errors + within.reduce((sum, hour) => sum + hour.success, 0),
    },
  }
}

/** Some failed in the last day, as happens. */
export function scatteredFailures(picture: Picture): Finding | null {
  const day = lastDay(picture)
  const errors = day.reduce((sum, hour) => sum + sumOf(hour.errors), 0)
  if (errors === 0) return null
  const successes = day.reduce((sum, hour) => sum + hour.success, 0)
  const failed = day.reduce((sum, hour) => sum + sumOf(hour.failed), 0)
  const form = successes === 0 ? { case: "none_through" } : failed > 0 ? { case: "some_lost" } : {}
  return {
    code: "scattered_failures",
    ...form,
    since: null,
    facts: {
      errors,
      errors_text: countOf(errors, "attempt"),
      attempts: errors + successes,
      failed,
      lost_text: failed > 0 ? countOf(failed, "event") : null,
    },
    errors: errorsOf(picture.attempts.filter(one => !one.isSuccess && one.at > picture.now - DAY_MS)),
  }
}

function isAlike(a: Tried, b: Tried): boolean {
  return !a.isSuccess && a.reason === b.reason && a.status === b.status && a.message === b.message
}

/** The share of attempts that failed. */
function shareOf(hours: readonly Hour[]): number {
  const errors = hours.reduce((sum, hour) => sum + sumOf(hour.errors), 0)
  const attempts = errors + hours.reduce((sum, hour) => sum + hour.success, 0)
  return attempts === 0 ? 0 : errors / attempts
}

/** The stretch of the day that some hours of it make up, over midnight too. */
function stretchOf(hoursOfDay: readonly number[]): { readonly from: number; readonly to: number } {
  const from = hoursOfDay.find(hour => !hoursOfDay.includes((hour + 23) % 24)) ?? 0
  let to = from
  while (hoursOfDay.includes(to % 24) && to < from + 24) to++
  return { from, to: to % 24 }
}
