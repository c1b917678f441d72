/**
 * TypeScript as the rules about it see it: the same text, position by position, with comments blanked, and once more with
 * the words inside strings blanked too. A scanner of a few lines, because no parser is among the dependencies.
 */

export interface SourceText {
  /** Comments are spaces; strings stand as they are. */
  readonly code: string
  /** Comments, strings, templates (but not what is in their `${}`) and regular expressions are spaces. */
  readonly bare: string
}

/** Takes a file's text apart. Lines and columns stay what they are. */
export function readSource(text: string): SourceText {
  const pieces: Piece[] = []
  scan(text, 0, false, pieces)
  return { code: blank(text, pieces, ["comment"]), bare: blank(text, pieces, ["comment", "string"]) }
}

/** The number of the line on which a position lies, from 1. */
export function lineOf(text: string, position: number): number {
  return text.slice(0, position).split("\n").length
}

interface Piece {
  readonly kind: "comment" | "string"
  readonly from: number
  readonly to: number
}

/** Reads code from `from`, to the end or, inside a template, to the brace that closes it; gives where it stopped. */
function scan(text: string, from: number, inTemplate: boolean, pieces: Piece[]): number {
  let at = from
  let depth = 0
  let before = ""
  while (at < text.length) {
    const two = text.slice(at, at + 2)
    const one = text[at]
    if (two === "//" || two === "/*") {
      const close = two === "//" ? text.indexOf("\n", at) : text.indexOf("*/", at + 2)
      const to = close === -1 ? text.length : close + (two === "//" ? 0 : 2)
      pieces.push({ kind: "comment", from: at, to })
      at = to
    } else if (one === '"' || one === "'") {
      const to = endOfQuoted(text, at + 1, one)
      pieces.push({ kind: "string", from: at + 1, to: to - 1 })
      at = to
      before = one
    } else if (one === "`") {
      at = scanTemplate(text, at + 1, pieces)
      before = one
    } else if (one === "/" && mayBeginPattern(before)) {
      const to = endOfPattern(text, at + 1)
      pieces.push({ kind: "string", from: at + 1, to: to - 1 })
      at = to
      before = one
    } else {
      if (one === "{") depth++
      if (one === "}" && depth-- === 0 && inTemplate) return at + 1
      // The last word or sign before this one, which is all that tells a pattern from a division.
      const word = /[\w$]+/y
      word.lastIndex = at
      before = word.exec(text)?.[0] ?? (/\s/.test(one ?? "") ? before : (one ?? ""))
      at += /\s/.test(one ?? "") ? 1 : before.length
    }
  }
  return at
}

function scanTemplate(text: string, from: number, pieces: Piece[]): number {
  let at = from
  let begun = from
  while (at < text.length && text[at] !== "`") {
    if (text[at] === "\\") {
      at += 2
    } else if (text.startsWith("${", at)) {
      pieces.push({ kind: "string", from: begun, to: at })
      at = scan(text, at + 2, true, pieces)
      begun = at
    } else {
      at++
    }
  }
  pieces.push({ kind: "string", from: begun, to: at })
  return at + 1
}

function endOfQuoted(text: string, from: number, quote: string): number {
  let at = from
  while (at < text.length && text[at] !== quote) at += text[at] === "\\" ? 2 : 1
  return at + 1
}

function endOfPattern(text: string, from: number): number {
  let at = from
  let inClass = false
  while (at < text.length && (inClass || text[at] !== "/")) {
    if (text[at] === "[") inClass = true
    if (text[at] === "]") inClass = false
    at += text[at] === "\\" ? 2 : 1
  }
  return at + 1
}

/** A slash begins a regular expression where a value is expected, else it divides. */
function mayBeginPattern(before: string): boolean {
  return /^([(,=:[!&|?{;+\-*%~^<>]|return|typeof|case|of|in|await|)$/.test(before)
}

function blank(text: string, pieces: readonly Piece[], kinds: readonly Piece["kind"][]): string {
  let result = ""
  let done = 0
  for (const piece of [...pieces].sort((a, b) => a.from - b.from)) {
    if (!kinds.includes(piece.kind)) continue
    result += text.slice(done, piece.from) + text.slice(piece.from, piece.to).replace(/[^\n]/g, " ")
    done = piece.to
  }
  return result + text.slice(done)
}
