/** Reads what is typed after options: each reader gives the value, or a sentence that shows a right one. */
import { InvalidArgumentError } from "commander"
import { DAY_MS, HOUR_MS } from "../domain/duration.ts"

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: HOUR_MS, d: DAY_MS }

/** `500ms`, `2s`, `1m` or a plain number of milliseconds, up to an hour; in ms. */
export function readDuration(text: string): number {
  return durationOf(/^\d+(\.\d+)?$/.test(text) ? `${text}ms` : text, HOUR_MS, "a duration such as 500ms or 2s")
}

/** How far back: `30m`, `12h`, `7d`, up to a year; in ms. */
export function readAge(text: string): number {
  return durationOf(text, 366 * DAY_MS, "how far back, such as 30m, 12h or 7d")
}

/** When something is to end: a time, left as it stands for the server to judge, or so long from now, up to ten years. */
export function readEnd(text: string): (now: number) => string {
  if (!/^\d+(\.\d+)?[a-z]*$/.test(text)) return () => text
  const durationMs = durationOf(text, 3_660 * DAY_MS, "a time such as 2027-11-21T00:00:00Z, or how long, such as 90d")
  return now => new Date(now + durationMs).toISOString()
}

/** A whole number within bounds. */
export function readNumber(least: number, most: number): (text: string) => number {
  return text => {
    const number = Number(text)
    if (!/^\d{1,15}$/.test(text) || number < least || number > most) throw wrong(`a number from ${least} to ${most}`)
    return number
  }
}

/** A share from 0 to 1. */
export function readShare(text: string): number {
  const share = Number(text)
  if (!/^(\d+(\.\d*)?|\.\d+)$/.test(text) || share > 1) throw wrong("a share from 0 to 1, such as 0.3")
  return share
}

/** Values of an option that may be given more than once, or as a list with commas. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  const parts = text.split(",").map(part => part.trim())
  return [...before, ...parts.filter(part => part !== "")]
}

function durationOf(text: string, mostMs: number, what: string): number {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? []
  const durationMs = Number(number) * (unitsMs[unit] ?? Number.NaN)
  if (!(durationMs <= mostMs)) throw wrong(what)
  return durationMs
}

function wrong(what: string): InvalidArgumentError {
  return new InvalidArgumentError(`Give ${what}.`)
}
