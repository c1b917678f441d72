/** Where something stands in a JSON text, as line and column, for who has to mend it there. */
import { skipSpace, valueEnd } from "../parts/json-parts.ts"

/** From 1 on. */
export interface TextPlace {
  readonly line: number
  readonly column: number
}

/** What is wrong with a text as JSON; null where nothing is. */
export function jsonFaultOf(text: string): { readonly message: string; readonly place: TextPlace | null } | null {
  try {
    JSON.parse(text)
    return null
  } catch (error) {
    const said = error instanceof Error ? error.message : ""
    const [, line, column] = /line (\d+) column (\d+)/.exec(said) ?? []
    const [, position] = /position (\d+)/.exec(said) ?? []
    const place =
      line !== undefined && column !== undefined
        ? { line: Number(line), column: Number(column) }
        : position !== undefined
          ? placeAt(text, Number(position))
          : null
    return { message: "This is no JSON: a comma, a quote or a bracket is missing or too many.", place }
  }
}

/** The place that a JSON pointer leads to, as far as it leads; of a text that is no JSON, as far as it can be read. */
export function placeOfPointer(text: string, pointer: string): TextPlace {
  const steps = pointer
    .split("/")
    .slice(1)
    .map(step => step.replaceAll("~1", "/").replaceAll("~0", "~"))
  let at = skipSpace(text, 0)
  for (const step of steps) {
    const next = memberAt(text, at, step)
    if (next === null) break
    at = next
  }
  return placeAt(text, at)
}

export function placeAt(text: string, offset: number): TextPlace {
  const before = text.slice(0, offset)
  return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n") }
}

/** Offset of the value under a key or position of the object or list at `at`. */
function memberAt(text: string, at: number, step: string): number | null {
  const isList = text[at] === "["
  if (!isList && text[at] !== "{") return null
  let i = skipSpace(text, at + 1)
  for (let position = 0; i < text.length && text[i] !== "}" && text[i] !== "]"; position++) {
    let name = String(position)
    if (!isList) {
      const end = valueEnd(text, i)
      const key = keyOf(text.slice(i, end))
      if (key === null) return null
      name = key
      i = skipSpace(text, skipSpace(text, end) + 1)
    }
    if (name === step) return i
    i = skipSpace(text, valueEnd(text, i))
    if (text[i] === ",") i = skipSpace(text, i + 1)
  }
  return null
}

/** What a key's text stands for; null where it is none, as while somebody types. */
function keyOf(text: string): string | null {
  try {
    return String(JSON.parse(text))
  } catch {
    return null
  }
}
