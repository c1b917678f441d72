/** Times as RFC 3339 writes them, strictly: `Date.parse` takes half of what people mistype and reads it in some zone. */
import { DAY_MS } from "./duration.ts"

const form = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/i

/** No date needs more; a longer one is not looked at. */
const MAX_LENGTH = 64

/** The calendar repeats itself after 400 years. */
const ERA_MS = 146_097 * DAY_MS

/**
 * The time of a text such as `2026-11-21T10:00:00.5+01:00` in ms since 1970, or undefined. Date, time and offset all have
 * to be there and to exist; finer parts than a millisecond are cut off; a leap second is the second after it.
 */
export function parseTime(text: string): number | undefined {
  if (text.length > MAX_LENGTH || !form.test(text)) return undefined
  const day = dayAt(text)
  const hour = digits(text, 11, 2)
  const minute = digits(text, 14, 2)
  const second = digits(text, 17, 2)
  const offsetMs = offsetAtEnd(text)
  if (day === undefined || offsetMs === undefined || hour > 23 || minute > 59) return undefined
  const at = day + ((hour * 60 + minute) * 60 + second) * 1000 - offsetMs
  if (second < 60) return at + millisecondsAt(text)
  // Second 60 exists only where it ends a day in UTC (RFC 3339, 5.7).
  return second === 60 && at % DAY_MS === 0 ? at : undefined
}

/** The beginning of the day that the text begins with, or undefined where the calendar has no such day. */
function dayAt(text: string): number | undefined {
  const year = digits(text, 0, 4)
  const month = digits(text, 5, 2)
  const day = digits(text, 8, 2)
  if (month < 1 || month > 12 || day < 1 || day > 31) return undefined
  // `Date.UTC` takes the years 0 to 99 for 1900 to 1999, and lets a 31st of June be the 1st of July.
  const at = Date.UTC(year + 400, month - 1, day) - ERA_MS
  return day <= 28 || new Date(at).getUTCDate() === day ? at : undefined
}

function offsetAtEnd(text: string): number | undefined {
  const start = text.length - 6
  const sign = text.charAt(start)
  if (sign !== "+" && sign !== "-") return 0
  const hour = digits(text, start + 1, 2)
  const minute = digits(text, start + 4, 2)
  if (hour > 23 || minute > 59) return undefined
  return (hour * 60 + minute) * (sign === "-" ? -60_000 : 60_000)
}

/** The first three digits of the fraction, zeros where it has fewer. */
function millisecondsAt(text: string): number {
  if (text.charAt(19) !== ".") return 0
  return Number.parseInt(text.slice(20, 23).replace(/\D.*/, "").padEnd(3, "0"), 10)
}

function digits(text: string, start: number, count: number): number {
  let number = 0
  for (let i = start; i < start + count; i++) number = number * 10 + text.charCodeAt(i) - 0x30
  return number
}
