/** The `Idempotency-Key` header: a structured-field string in quotes, or bare (API-51). */
import { Problem } from "./problem.ts"

/** The key, or null where there is none; throws a 400 problem for one that cannot be kept. */
export function readIdempotencyKey(header: string | readonly string[] | undefined): string | null {
  if (header === undefined) return null
  if (typeof header !== "string") throw wrong("was sent more than once")
  const text = header.trim()
  const key = text.startsWith('"') && text.endsWith('"') && text.length >= 2 ? unquote(text) : text
  if (key.length === 0 || key.length > 255) throw wrong("must have 1 to 255 characters")
  if (!/^[\x20-\x7e]+$/.test(key)) throw wrong("must be printable ASCII")
  return key
}

function unquote(text: string): string {
  const inner = text.slice(1, -1)
  if (/(^|[^\\])(\\\\)*"/.test(inner) || /(^|[^\\])(\\\\)*\\$/.test(inner)) throw wrong("is not a quoted string")
  return inner.replace(/\\(["\\])/g, "$1")
}

function wrong(how: string): Problem {
  return new Problem("malformed", `Idempotency-Key ${how}.`, {
    errors: [{ pointer: "header/idempotency-key", message: `Idempotency-Key ${how}.` }],
  })
}
