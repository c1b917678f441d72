/** JSON for people to read: line breaks and indents put in, every value as it was written. */
import { jsonFault, MAX_DEPTH, spaceEnd, stringEnd } from "../domain/json-spans.ts"

/** The text with one member a line, or undefined where it is no JSON. `JSON.parse` and back would round long numbers. */
export function indentJson(text: string): string | undefined {
  return jsonFault(text, MAX_DEPTH) === null ? indented(text) : undefined
}

function indented(text: string): string {
  const parts: string[] = []
  let depth = 0
  const breakLine = (): void => void parts.push(`\n${"  ".repeat(depth)}`)
  for (let at = spaceEnd(text, 0); at < text.length; at = spaceEnd(text, at)) {
    const character = text.charAt(at)
    if (character === '"') {
      const end = stringEnd(text, at)
      parts.push(text.slice(at, end))
      at = end
      continue
    }
    at++
    if (character === "{" || character === "[") {
      const next = spaceEnd(text, at)
      if (text.charAt(next) === "}" || text.charAt(next) === "]") {
        parts.push(character, text.charAt(next))
        at = next + 1
        continue
      }
      depth++
      parts.push(character)
      breakLine()
    } else if (character === "}" || character === "]") {
      depth--
      breakLine()
      parts.push(character)
    } else if (character === ",") {
      parts.push(character)
      breakLine()
    } else {
      parts.push(character === ":" ? ": " : character)
    }
  }
  return parts.join("")
}
