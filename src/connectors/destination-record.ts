/** The id that a destination gave a record, read from its answer: from the JSON body by a pointer, or from a header. */
import { headerValues } from "../domain/answer-hints.ts"
import { type ExactJson, isExactList, isExactNumber, isExactObject, parseExact } from "../domain/exact-json.ts"
import type { Answer } from "../domain/exchange.ts"

/** Longer values are no ids. */
const MAX_CHARACTERS = 256
const utf8 = new TextDecoder("utf-8", { fatal: true })

/**
 * The text or number that the keys of a JSON pointer lead to, numbers digit for digit. Null where there is none, or the
 * body is no JSON, or not all of it was kept: half a body could hold half an id.
 */
export function recordInBody(answer: Answer, path: readonly string[]): string | null {
  if (answer.truncated || answer.incomplete || answer.body.length === 0) return null
  const text = decodeUtf8(answer.body)
  let value = text === null ? undefined : parseExact(text)
  for (const key of path) value = step(value, key)
  if (isExactNumber(value)) return asRecord(value.number)
  return typeof value === "string" ? asRecord(value) : null
}

/** The first value of a header, by its name in lower case; null where the answer has none. */
export function recordInHeader(answer: Answer, name: string): string | null {
  return asRecord(headerValues(answer, name)[0]?.trim() ?? "")
}

/** Bytes as text, or null where they are no UTF-8. A byte order mark at the beginning is passed over. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes)
  } catch {
    return null
  }
}

function step(value: ExactJson | undefined, key: string): ExactJson | undefined {
  if (isExactObject(value)) return value.get(key)
  return isExactList(value) && /^(0|[1-9]\d*)$/.test(key) ? value[Number(key)] : undefined
}

/** Control characters stand in no id, and databases and terminals take them amiss. */
function asRecord(text: string): string | null {
  const isRecord = text.length > 0 && text.length <= MAX_CHARACTERS && !/\p{Cc}/u.test(text) && text.isWellFormed()
  return isRecord ? text : null
}
