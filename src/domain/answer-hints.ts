/**
 * What an answer says of itself beyond its status: where a redirect points to, which field it complains of. Read for
 * people only, from whatever the other side sends, so nothing here is trusted and nothing decides.
 */
import type { Answer } from "./exchange.ts"

/** Longer bodies are not parsed: an answer that names a field says so in a few lines. */
const MAX_BODY_BYTES = 16 * 1024
/** How many objects of a body are looked at. */
const MAX_OBJECTS = 200
const MAX_NAME_CHARACTERS = 100

/** Members that name a field, in the dialects of validators and public APIs: RFC 9457, JSON:API, Stripe, GitHub, FastAPI … */
const nameMembers = [
  "pointer",
  "field",
  "param",
  "parameter",
  "property",
  "propertyName",
  "instancePath",
  "attribute",
  "loc",
]
/** Members that hold such objects. Only these are entered, since anywhere else the same words are somebody's data. */
const containers = [
  "error",
  "errors",
  "detail",
  "details",
  "source",
  "violations",
  "fieldViolations",
  "issues",
  "fieldErrors",
  "invalid_params",
  "invalid-params",
]

/** Keys beside which faults stand that are of no field. */
const notFields = [...containers, "message", "messages", "code", "type", "title", "status", "non_field_errors"]

/** All values of a header, in the order in which they came. */
export function headerValues(answer: Answer, name: string): string[] {
  return answer.headers.flatMap(([header, value]) => (header === name ? [value] : []))
}

/** Where an answer points to; without credentials and query, which are nobody else's to read; null where it does not say. */
export function locationOf(answer: Answer): string | null {
  const location = headerValues(answer, "location")[0]?.trim()
  if (!location) return null
  return location.replace(/[?#].*$/s, "").replace(/^([a-z][a-z0-9+.-]*:)?([\\/]{2,})[^\\/]*@/i, "$1$2")
}

/** The field that a JSON answer complains of, such as `/data/email` or `email`; null where it names none. */
export function namedField(answer: Answer): string | null {
  if (answer.truncated || answer.incomplete || answer.body.length > MAX_BODY_BYTES) return null
  const found = searchField(parseJson(answer.body))
  return found === null ? null : found.slice(0, MAX_NAME_CHARACTERS)
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body))
  } catch {
    // Not JSON: an error page, a line of text, nothing at all.
    return null
  }
}

/** Breadth first, so that the outermost name wins. */
function searchField(body: unknown): string | null {
  const queue: { value: unknown; inList: boolean }[] = [{ value: body, inList: false }]
  let looked = 0
  for (const { value, inList } of queue) {
    if (++looked > MAX_OBJECTS) return null
    if (Array.isArray(value)) {
      for (const item of value.slice(0, 10)) queue.push({ value: item, inList: true })
    } else if (isRecord(value)) {
      const name = nameIn(value, inList)
      if (name !== null) return name
      for (const key of containers) if (Object.hasOwn(value, key)) queue.push({ value: value[key], inList: false })
    }
  }
  return null
}

function nameIn(value: Readonly<Record<string, unknown>>, inList: boolean): string | null {
  // `path` names a field within a list of faults; elsewhere it mostly is that of the request.
  for (const member of inList ? [...nameMembers, "path"] : nameMembers) {
    const name = Object.hasOwn(value, member) ? nameFrom(value[member]) : null
    if (name !== null) return name
  }
  return keyedField(value)
}

/** A name, or the parts of one: `["body", "email"]` is `body.email`. */
function nameFrom(value: unknown): string | null {
  if (typeof value === "string" && value.trim() !== "") return value.trim()
  const isPath = Array.isArray(value) && value.length > 0 && value.length <= 20
  return isPath && value.every(part => typeof part === "string" || typeof part === "number") ? value.join(".") : null
}

/** The first key of faults by field, `{"errors": {"email": ["is invalid"]}}`, as Rails, Laravel and Django write them. */
function keyedField(value: Readonly<Record<string, unknown>>): string | null {
  for (const faults of [value.errors, value]) {
    const entries = isRecord(faults) ? Object.entries(faults) : []
    const first = entries[0]?.[0]
    // Django has no `errors` around them, so that there only lists of sentences tell faults from any other object.
    const areFaults = entries.every(([, fault]) => isTextList(fault) || (faults !== value && typeof fault === "string"))
    if (first !== undefined && areFaults && !notFields.includes(first)) return first
  }
  return null
}

function isTextList(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(item => typeof item === "string")
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
