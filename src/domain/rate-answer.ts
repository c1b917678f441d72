/**
 * What an answer says of the rate that the other side grants: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-
 * ratelimit-headers), the older `RateLimit-Limit`, `-Remaining`, `-Reset`, and the `X-RateLimit-…` of many APIs. Headers
 * are somebody else's text: what is not understood says nothing, and nothing here throws.
 */
import { headerValues } from "./answer-hints.ts"
import { DAY_MS } from "./duration.ts"
import type { Answer } from "./exchange.ts"

/** So many requests are left until `resetMs` from now; then `limit` each `windowMs`, where that is known. */
export interface RateAnswer {
  readonly remaining: number
  readonly resetMs: number
  readonly limit: number | null
  readonly windowMs: number | null
}

const SECOND = 1_000
/** No window is believed to be longer: a slip of the pen there would hold everything for years. */
const LONGEST_RESET_MS = DAY_MS

/** The tightest limit that an answer names; null where it names none. `now` is when it came, ms since 1970. */
export function rateOf(answer: Answer, now: number): RateAnswer | null {
  const found = [...draftRates(answer), ...tripleRates(answer, now)].filter(rate => rate.resetMs > 0)
  return found.length === 0 ? null : found.reduce((a, b) => (isTighter(b, a) ? b : a))
}

/** Fewer requests for each ms; of two that grant none, the one that does so for longer. */
function isTighter(a: RateAnswer, b: RateAnswer): boolean {
  if (a.remaining === 0 && b.remaining === 0) return a.resetMs > b.resetMs
  return a.remaining * b.resetMs < b.remaining * a.resetMs
}

/** `RateLimit: "ingest";r=12;t=8`, or as one dictionary in older drafts: `limit=100, remaining=12, reset=8`. */
function draftRates(answer: Answer): RateAnswer[] {
  const members = listOf(headerValues(answer, "ratelimit"))
  const policies = new Map(listOf(headerValues(answer, "ratelimit-policy")).map(item => [item.name, item.parameters]))
  const rates = members.flatMap(({ name, parameters }) => {
    const [remaining, reset] = [numberIn(parameters, "r"), numberIn(parameters, "t")]
    // Without a time, that of the policy's window is the longest it can be.
    const policy = policies.get(name)
    const windowS = policy === undefined ? null : numberIn(policy, "w")
    const seconds = reset ?? windowS
    if (remaining === null || seconds === null) return []
    return [rate(remaining, seconds, policy === undefined ? null : numberIn(policy, "q"), windowS)]
  })
  const dictionary = new Map(members.flatMap(({ name, value }) => (value === null ? [] : [[name, value] as const])))
  const [remaining, reset] = [numberIn(dictionary, "remaining"), numberIn(dictionary, "reset")]
  return remaining === null || reset === null
    ? rates
    : [...rates, rate(remaining, reset, numberIn(dictionary, "limit"), null)]
}

function tripleRates(answer: Answer, now: number): RateAnswer[] {
  return ["ratelimit", "x-ratelimit", "x-rate-limit"].flatMap(prefix => {
    const [remaining, reset] = [first(answer, `${prefix}-remaining`), first(answer, `${prefix}-reset`)]
    if (remaining === null || reset === null) return []
    return [rate(remaining, secondsUntil(reset, now), first(answer, `${prefix}-limit`), null)]
  })
}

/** Seconds from now; a number that is a date, in seconds or ms since 1970, is taken for one. */
function secondsUntil(reset: number, now: number): number {
  if (reset >= 1e12) return (reset - now) / SECOND
  return reset >= 1e9 ? reset - now / SECOND : reset
}

function rate(remaining: number, seconds: number, limit: number | null, windowS: number | null): RateAnswer {
  const ms = (value: number) => Math.min(Math.max(0, Math.ceil(value * SECOND)), LONGEST_RESET_MS)
  return {
    remaining: Math.floor(remaining),
    resetMs: ms(seconds),
    limit: limit === null || limit < 1 ? null : Math.floor(limit),
    windowMs: windowS === null || windowS <= 0 ? null : ms(windowS),
  }
}

/** A member of a list: `name;r=12`, or of a dictionary: `name=12`. */
interface Member {
  readonly name: string
  readonly value: string | null
  readonly parameters: ReadonlyMap<string, string>
}

function listOf(values: readonly string[]): Member[] {
  return values
    .flatMap(text => pieces(text, ","))
    .flatMap(member => {
      const [head = "", ...rest] = pieces(member, ";")
      const [name = "", value] = assignment(head)
      if (name === "") return []
      const parameters = new Map(rest.map(assignment).map(([key = "", of = ""]) => [key, of]))
      return [{ name, value: value ?? null, parameters }]
    })
}

/** Parts between a mark that stands outside of quotes. */
function pieces(text: string, mark: "," | ";"): string[] {
  const parts: string[] = []
  let [start, isQuoted] = [0, false]
  for (let at = 0; at <= text.length; at++) {
    const letter = text[at]
    if (isQuoted && letter === "\\") at++
    else if (letter === '"') isQuoted = !isQuoted
    if (letter === undefined || (letter === mark && !isQuoted)) {
      parts.push(text.slice(start, at).trim())
      start = at + 1
    }
  }
  return parts
}

function assignment(text: string): string[] {
  if (text.startsWith('"')) return [text.replaceAll(/^"|"$/g, "")]
  const at = text.indexOf("=")
  return at < 0 ? [text.toLowerCase()] : [text.slice(0, at).trim().toLowerCase(), text.slice(at + 1).trim()]
}

function numberIn(values: ReadonlyMap<string, string>, name: string): number | null {
  return numberOf(values.get(name))
}

function first(answer: Answer, header: string): number | null {
  // Some add the window: `100, 100;w=60`.
  return numberOf(headerValues(answer, header)[0]?.split(/[,;]/)[0])
}

function numberOf(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}(\.\d{1,9})?$/.test(text.trim()) ? Number(text) : null
}
