/** The `Retry-After` header: how long an answer asks to be left alone (RFC 9110, 10.2.3; SW-25). */

/** Seconds, a fraction or an exponent allowed although the RFC knows whole ones only: obeying is safer than guessing. */
const delta = /^\d+(?:\.\d+)?(?:e\+?\d+)?$/i

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

/** The three forms of an HTTP date (RFC 9110, 5.6.7); the day of the week says nothing new and is not compared. */
const dates = [
  /^[a-z]{3}, (?<day>\d{2}) (?<month>[a-z]{3}) (?<year>\d{4}) (?<time>\d\d:\d\d:\d\d) (?:GMT|UTC)$/i,
  /^[a-z]{6,9}, (?<day>\d{2})-(?<month>[a-z]{3})-(?<year>\d{2}) (?<time>\d\d:\d\d:\d\d) (?:GMT|UTC)$/i,
  /^[a-z]{3} (?<month>[a-z]{3}) (?<day>[ \d]\d) (?<time>\d\d:\d\d:\d\d) (?<year>\d{4})$/i,
]

/**
 * How long to wait from `now` on, in ms; null where no value says anything sensible. A fraction of a second counts as a
 * whole one, a date that has passed asks for nothing (0), of several values the longest holds. The caller sets the cap.
 */
export function parseRetryAfter(values: readonly string[], now: number): number | null {
  const waits = values.flatMap(value => waitsIn(value.trim(), now))
  return waits.length === 0 ? null : Math.max(...waits)
}

function waitsIn(value: string, now: number): number[] {
  if (delta.test(value)) return [Math.min(Math.ceil(Number(value)) * 1_000, Number.MAX_SAFE_INTEGER)]
  const at = parseHttpDate(value, now)
  if (at !== null) return [Math.max(0, at - now)]
  // Two headers that a proxy made one.
  const list = value.split(",").map(part => part.trim())
  return list.length > 1 ? list.filter(part => delta.test(part)).flatMap(part => waitsIn(part, now)) : []
}

/** The time of an HTTP date in ms since 1970, or null. */
function parseHttpDate(value: string, now: number): number | null {
  for (const form of dates) {
    const parts = form.exec(value)?.groups
    if (parts) return timeOf(parts.year ?? "", parts.month ?? "", parts.day ?? "", parts.time ?? "", now)
  }
  return null
}

function timeOf(yearText: string, monthName: string, dayText: string, time: string, now: number): number | null {
  const year = yearText.length === 2 ? fullYear(Number(yearText), now) : Number(yearText)
  const month = months.indexOf(monthName.toLowerCase())
  const day = Number(dayText)
  const [hour = 0, minute = 0, second = 0] = time.split(":").map(Number)
  // 60 is a leap second.
  if (month < 0 || hour > 23 || minute > 59 || second > 60) return null
  // A 31st of February would roll on into March.
  if (new Date(Date.UTC(year, month, day)).getUTCDate() !== day) return null
  return Date.UTC(year, month, day, hour, minute, second)
}

/** Two digits are a year of this century, unless that is more than 50 years ahead (RFC 9110, 5.6.7). */
function fullYear(year: number, now: number): number {
  const thisYear = new Date(now).getUTCFullYear()
  const inThisCentury = thisYear - (thisYear % 100) + year
  return inThisCentury > thisYear + 50 ? inThisCentury - 100 : inThisCentury
}
