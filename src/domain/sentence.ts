/**
 * Sentences with gaps, filled with the facts of a case. Templates are data, so that the same text serves the API, the
 * docs page and the dashboard, and every template reads well when a fact is missing.
 *
 *     {host|the endpoint}             the fact, or the words after the bar where it is missing
 *     [ within {limit_ms}]            kept only where all facts in it are known
 *     [since {off_at}|for some time]  the same, with other words instead
 */
import type { Facts } from "./delivery.ts"
import { DAY_MS, HOUR_MS } from "./duration.ts"

/** A clause (without and with its other words), or a single gap. Clauses do not nest. */
const gaps = /\[([^[\]|]*)(?:\|([^[\]]*))?\]|\{(\w+)(?:\|([^{}]*))?\}/g

/** Facts come from other systems; this much of one is shown. */
const MAX_FACT_CHARACTERS = 200

/** White space, control characters and marks that turn the direction of text: they would tear or forge a sentence. */
const unprintable = /[\s\u0000-\u001f\u007f-\u00a0\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/g

/** A template with its gaps filled. Facts are never read as templates themselves. */
export function fill(template: string, facts: Facts): string {
  return template.replace(gaps, (_, clause?: string, otherwise?: string, name?: string, fallback?: string) => {
    if (clause !== undefined)
      return namesIn(clause).every(n => textOf(n, facts)) ? fill(clause, facts) : fill(otherwise ?? "", facts)
    return (name !== undefined && textOf(name, facts)) || (fallback ?? "")
  })
}

/** The facts that a template has gaps for. */
export function namesIn(template: string): string[] {
  return [...template.matchAll(/\{(\w+)/g)].flatMap(([, name]) => (name === undefined ? [] : [name]))
}

/** A duration in words, in the largest unit in which it is at least two: `900 ms`, `10 s`, `90 s`, `5 min`, `24 h`, `3 days`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${inTenths(ms / 1_000)} s`
  if (ms < 7_200_000) return `${inTenths(ms / 60_000)} min`
  if (ms < 2 * DAY_MS) return `${inTenths(ms / HOUR_MS)} h`
  return `${inTenths(ms / DAY_MS)} days`
}

/** A fact as text, by its name: `…_ms` is a duration, `…_at` a time in ms since 1970. Empty where it is missing. */
function textOf(name: string, facts: Facts): string {
  const fact = Object.hasOwn(facts, name) ? facts[name] : undefined
  if (fact === undefined || fact === null) return ""
  if (typeof fact === "boolean") return fact ? "yes" : "no"
  if (typeof fact === "string") return oneLine(fact)
  if (!Number.isFinite(fact)) return ""
  if (name.endsWith("_ms")) return formatDuration(fact)
  return name.endsWith("_at") ? formatTime(fact) : String(fact)
}

/** Text of others as part of a sentence: one line, nothing that turns or tears it, of bounded length, no full stop. */
export function oneLine(text: string): string {
  // A full stop at the end goes, since the sentence brings its own.
  const line = text
    .slice(0, 2 * MAX_FACT_CHARACTERS)
    .replace(unprintable, " ")
    .trim()
    .replace(/\.$/, "")
  return line.length > MAX_FACT_CHARACTERS ? `${line.slice(0, MAX_FACT_CHARACTERS).trimEnd()}…` : line
}

function formatTime(at: number): string {
  const time = new Date(at)
  return Number.isNaN(time.getTime()) ? "" : `${time.toISOString().slice(0, 19).replace("T", " ")} UTC`
}

function inTenths(value: number): string {
  return String(Math.round(value * 10) / 10)
}
