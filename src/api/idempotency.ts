/** The `Idempotency-Key` header: a structured-field string in quotes, or bare (API-51). */
import { Problem } from "./problem.ts"

/** The key, or null where there is none; throws a 400 problem for one that cannot be kept. */
export function readIdempotencyKey(header: string | readonly string[] | undefined): string | null {
  if (header === undefined) return null
  if (typeof header !== "string") throw wrong("was sent more than once")
  const text = header.trim()
  const key = text.startsWith('"') ? unquote(text) : text
  if (key.length === 0 || key.length > 255) throw wrong("must have 1 to 255 characters")
  if (!/^[\x20-\x7e]+$/.test(key)) throw wrong("must be printable ASCII")
  return key
}

/** A string of RFC 9651: quotes and backslashes in it are escaped, and nothing else is. */
function unquote(text: string): string {
  const [, inner] = /^"((?:[^"\\]|\\["\\])*)"$/.exec(text) ?? []
  if (inner === undefined) throw wrong("begins with a quotation mark but is no quoted string")
  return inner.replace(/\\(["\\])/g, "$1")
}

function wrong(how: string): Problem {
  return new Problem("malformed", `Idempotency-Key ${how}.`, {
    errors: [{ pointer: "header/idempotency-key", message: `Idempotency-Key ${how}.` }],
  })
}
