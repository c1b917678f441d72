/**
 * The parts of a JSON text as they are written: `JSON.parse` would turn 12345678901234567890 into 12345678901234567000,
 * and what was shown so would be saved so. All texts given here have to be JSON.
 */

/** A member of an object: its key, and its value's text. */
export interface MemberText {
  readonly key: string
  readonly text: string
}

/** The members of an object, in the order of the text; null where it is no object. */
export function membersOf(text: string): MemberText[] | null {
  const parts = partsIn(text, "{")
  if (parts === null) return null
  return parts.flatMap((key, i) =>
    i % 2 === 1 ? [] : [{ key: JSON.parse(key) as string, text: parts[i + 1] ?? "null" }],
  )
}

/** The elements of a list; null where it is none. */
export function elementsOf(text: string): string[] | null {
  return partsIn(text, "[")
}

/** The text of one member of an object; null where it has none of that name. Of two, the last counts. */
export function memberText(text: string, name: string): string | null {
  return membersOf(text)?.findLast(({ key }) => key === name)?.text ?? null
}

/** The offset after the value that begins at `at`; of what is no JSON, some offset after `at`. */
export function valueEnd(text: string, at: number): number {
  const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}]|[^\s,:"[\]{}]+/y
  let depth = 0
  let i = at
  do {
    token.lastIndex = i
    const found = token.exec(text)?.[0]
    if (found === undefined) i++
    else {
      i += found.length
      if (found === "{" || found === "[") depth++
      if (found === "}" || found === "]") depth--
    }
  } while (depth > 0 && i < text.length)
  return i
}

export function skipSpace(text: string, at: number): number {
  let i = at
  while (i < text.length && " \t\r\n".includes(text[i] ?? "")) i++
  return i
}

/** What stands between the brackets of the text, without commas and colons: of an object, keys and values in turn. */
function partsIn(text: string, open: "{" | "["): string[] | null {
  const from = skipSpace(text, 0)
  if (text[from] !== open) return null
  const parts: string[] = []
  let i = skipSpace(text, from + 1)
  while (i < text.length && text[i] !== "}" && text[i] !== "]") {
    const end = valueEnd(text, i)
    parts.push(text.slice(i, end))
    i = skipSpace(text, end)
    if (text[i] === "," || text[i] === ":") i = skipSpace(text, i + 1)
  }
  return parts
}
