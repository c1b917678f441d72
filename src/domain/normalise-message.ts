/**
 * What a failure says, without what differs from case to case: messages that read the same then are the same failure.
 * Nothing of a person is left in it either, since it is kept longer than the answer that it came from.
 */
import type { Answer } from "./exchange.ts"

/** More says nothing new. */
const MAX_CHARACTERS = 160
/** How much of a text is looked at. */
const MAX_LOOKED_AT = 400
/** Longer bodies are not parsed: an answer that says what is wrong does so in a few lines. */
const MAX_BODY_BYTES = 16 * 1024

const ADDRESS = /(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+/g

/** In this order: what an earlier rule has replaced is no longer there for the later ones. */
const rules: readonly (readonly [found: RegExp, placeholder: string])[] = [
  [ADDRESS, "{email}"],
  [/\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b/gi, "{uuid}"],
  [/\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?: ?(?:Z\b|UTC\b|[+-]\d\d:?\d\d\b))?/g, "{time}"],
  [/\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b/g, "{time}"],
  [/(?<=[\w.\]]):\d{1,5}\b/g, ":{port}"],
  // Words in which letters and digits are mixed, and words too long to be any: ids, tokens, hashes.
  [/(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[a-z])[\w-]{8,}(?![\w-])/gi, "{id}"],
  [/(?<![\w-])[\w-]{32,}(?![\w-])/g, "{id}"],
  [/\d+(?:[.,]\d+)*/g, "{n}"],
]

/** A message with placeholders for ids, numbers, times, ports and addresses of people; one line of at most 160 characters. */
export function normaliseMessage(message: string): string {
  let text = message.slice(0, MAX_LOOKED_AT)
  for (const [found, placeholder] of rules) text = text.replace(found, placeholder)
  text = text.replace(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").trim()
  return text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS - 1)}…` : text
}

/** A text without mail addresses: for readers whom it does not concern whose they are. */
export function withoutAddresses(text: string): string {
  return text.replace(ADDRESS, "{email}")
}

/** A text without these secrets, which the other side may have sent back to us. Short ones cannot be told from words. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let masked = text
  for (const secret of secrets) if (secret.length >= 4) masked = masked.replaceAll(secret, "{secret}")
  return masked
}

/**
 * A secret and the parts of it that would give it away by themselves: what follows the scheme of an Authorization value,
 * and the password behind `Basic`. The longest first, so that a part does not break up the whole.
 */
export function secretParts(secret: string): string[] {
  const parts = new Set([secret])
  const [, scheme = "", rest = ""] = /^(\S+)\s+(\S.*)$/s.exec(secret) ?? []
  if (rest !== "") parts.add(rest)
  if (scheme.toLowerCase() === "basic") {
    const decoded = Buffer.from(rest, "base64").toString()
    parts.add(decoded)
    parts.add(decoded.slice(decoded.indexOf(":") + 1))
  }
  return [...parts].filter(part => part.length >= 4).sort((a, b) => b.length - a.length)
}

/** Members in which public APIs say what is wrong, the plainest first. */
const members = ["message", "detail", "error_description", "error", "errors", "title", "msg", "description", "reason"]

/** What an answer says is wrong, in its own words; empty where it does not say. */
export function messageOfAnswer({ headers, body }: Pick<Answer, "headers" | "body">): string {
  if (body.length === 0 || body.length > MAX_BODY_BYTES) return ""
  const text = Buffer.from(body).toString()
  const type = headers.find(([name]) => name === "content-type")?.[1] ?? ""
  if (/^\s*[{[]/.test(text)) {
    try {
      return messageIn(JSON.parse(text), 0)
    } catch {
      // Cut off, or no JSON after all.
    }
  }
  if (/^\s*</.test(text) || type.includes("html")) {
    return /<title[^>]*>([^<]*)</i.exec(text.slice(0, 4_096))?.[1]?.trim() ?? ""
  }
  return text.includes("\u0000") || text.includes("\ufffd") ? "" : text.trim().slice(0, MAX_LOOKED_AT)
}

function messageIn(value: unknown, depth: number): string {
  if (typeof value === "string") return value
  if (typeof value !== "object" || value === null || depth > 3) return ""
  if (Array.isArray(value)) return value.length === 0 ? "" : messageIn(value[0], depth + 1)
  const fields = new Map(Object.entries(value))
  for (const name of members) {
    const message = messageIn(fields.get(name), depth + 1)
    if (message !== "") return message
  }
  return ""
}
