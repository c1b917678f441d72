/**
 * Whether an integration is too quiet: judged against the same hours of other days, so that a quiet night or a free
 * Sunday is no alarm. Also which of the types that arrived meanwhile may have been meant.
 */
import { DAY_MS, HOUR_MS } from "./duration.ts"
import { nearest } from "./nearest.ts"
import type { Hour } from "./picture.ts"

/** A silence is held against as many hours as it has, a day at most. */
const MAX_WINDOW_HOURS = 24
/** With fewer other days nobody knows what is usual. */
const MIN_DAYS = 3
/** So many events are missing in the middle of the other days: with fewer a silence may be chance. */
const MIN_EXPECTED = 5
/** On so many of the other days something came at these hours. */
const MIN_ACTIVE_SHARE = 0.8

/** A stretch in which no event came for the integration, though at these hours of other days they did. */
export interface Silence {
  /** The end of the last hour in which one came. */
  readonly since: number
  /** Whole hours of it that were compared. */
  readonly hours: number
  /** How many came in these hours of another day, in the middle of all days compared. */
  readonly expected: number
  readonly days: number
}

/** The unusual silence that lasts until now; null where there is none. The last hour is running and only ends a silence. */
export function silenceOf(hours: readonly Hour[]): Silence | null {
  const lastActive = hours.findLastIndex(hour => hour.routed > 0)
  const lastHour = hours[lastActive]
  const whole = hours.length - 1 - (lastActive + 1)
  if (lastHour === undefined || whole < 1) return null
  const window = Math.min(MAX_WINDOW_HOURS, whole)
  const begin = hours.length - 1 - window
  const firstActive = hours.findIndex(hour => hour.routed > 0)
  const others: { readonly daysBefore: number; readonly count: number }[] = []
  for (let daysBefore = 1; begin - 24 * daysBefore >= firstActive; daysBefore++) {
    const from = begin - 24 * daysBefore
    // Days of the silence itself say nothing of what is usual.
    if (from + window > lastActive + 1) continue
    const count = hours.slice(from, from + window).reduce((sum, hour) => sum + hour.routed, 0)
    others.push({ daysBefore, count })
  }
  if (others.length < MIN_DAYS) return null
  const counts = others.map(({ count }) => count).sort((a, b) => a - b)
  const expected = counts[Math.floor((counts.length - 1) / 2)] ?? 0
  const active = counts.filter(count => count > 0).length / counts.length
  // The same days of other weeks are the best witnesses: free Sundays are quiet every week.
  const sameWeekday = others.filter(({ daysBefore }) => daysBefore % 7 === 0)
  const isQuietThen = sameWeekday.some(({ count }) => count === 0)
  if (expected < MIN_EXPECTED || active < MIN_ACTIVE_SHARE || isQuietThen) return null
  return { since: lastHour.at + HOUR_MS, hours: window, expected, days: others.length }
}

/** The beginning of the hours in which something has to be looked for that might explain a silence. */
export function quietSince(hours: readonly Hour[], createdAt: number, now: number): number {
  const lastActive = hours.findLast(hour => hour.routed > 0)
  return Math.max(
    createdAt - (createdAt % HOUR_MS),
    lastActive === undefined ? 0 : lastActive.at + HOUR_MS,
    now - 7 * DAY_MS,
  )
}

/** A type that an integration names, and one that arrived and may be what was meant. */
export interface NearType {
  readonly named: string
  readonly arrived: string
  readonly by: "case" | "prefix" | "spelling"
}

/** For each type or prefix that is named and did not arrive, the one of those that did arrive which comes nearest. */
export function nearTypes(named: readonly string[], arrived: readonly string[]): NearType[] {
  return named.flatMap(name => {
    const near = nearTo(name, arrived)
    return near === null ? [] : [{ named: name, ...near }]
  })
}

function nearTo(name: string, arrived: readonly string[]): Omit<NearType, "named"> | null {
  const isPrefix = name.endsWith("*")
  const bare = isPrefix ? name.slice(0, -1) : name
  if (bare === "" || arrived.some(type => (isPrefix ? type.startsWith(bare) : type === bare))) return null
  const sameLetters = (type: string) =>
    (isPrefix ? type.slice(0, bare.length) : type).toLowerCase() === bare.toLowerCase()
  const byCase = arrived.find(sameLetters)
  if (byCase !== undefined) return { arrived: byCase, by: "case" }
  const stem = lettersOf(bare)
  const byPrefix = arrived.find(type => {
    const other = lettersOf(type)
    return stem.length >= 3 && other.length >= 3 && (other.startsWith(stem) || (!isPrefix && stem.startsWith(other)))
  })
  // A type that is spelt the same but for its separators is nearer than one that only begins so.
  const spelt = nearest(bare, isPrefix ? arrived.map(type => type.slice(0, bare.length)) : arrived)
  const whole = isPrefix ? arrived.find(type => spelt !== null && type.startsWith(spelt)) : spelt
  if (whole !== undefined && whole !== null && (byPrefix === undefined || lettersOf(whole) === stem)) {
    return { arrived: whole, by: "spelling" }
  }
  return byPrefix === undefined ? null : { arrived: byPrefix, by: "prefix" }
}

function lettersOf(type: string): string {
  return type.toLowerCase().replace(/[-_. ]/g, "")
}
