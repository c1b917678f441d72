/**
 * Where the parts of a JSON text lie. A request is checked and taken apart in one pass, without building what it says:
 * `data` is then cut out of the text and kept as it was written, because a trip through `JSON.parse` and back changes
 * numbers, drops duplicate keys and trips over `__proto__` (API-14, API-15). On Node 24 to 26 `JSON.parse` even mistakes
 * one key for another now and then (a bug of V8, 63785 in the list of nodejs/node).
 *
 * The check is that of RFC 8259, nothing more and nothing less, and it never calls itself: a text that is nested too
 * deep is refused at the bracket that is one too many (API-16).
 *
 * Measured on Node 26: `memberSpans` of 1 KiB with 70 short strings takes 3.0 µs, with a few long ones 1.3 µs, about as
 * long as `JSON.parse` (2.9 and 1.0).
 */

/** How many levels deep a JSON value that we take may be nested: `[[1]]` has two (API-16). */
export const MAX_DEPTH = 64

/** A part of a text, from `start` up to and without `end`. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** Why a text is refused: where, and a sentence for a person. */
export interface JsonFault {
  readonly kind: "malformed" | "too_deep"
  /** Offset of the first character that cannot stay. */
  readonly at: number
  readonly message: string
}

/** What else a text can hold where an object or a list was asked for; it is well-formed all the same. */
export interface OtherJson {
  readonly kind: "other"
  readonly found: "an object" | "a list" | "a string" | "a number" | "true or false" | "null"
}

/** One member of an object: its decoded key and the span of its raw value. */
export interface Member extends Span {
  readonly key: string
}

/** An object, taken apart. */
export interface Members {
  readonly kind: "members"
  /** In the order of the text. A list, because a map costs more to fill than the text to scan. */
  readonly members: readonly Member[]
  /** The first key that stands in the object a second time, or null. */
  readonly duplicate: string | null
}

/** A list, taken apart. */
export interface Elements {
  readonly kind: "elements"
  readonly elements: readonly Span[]
}

/**
 * The spans of the values of a JSON object's own members, if all of the text is JSON nested at most `maxDepth` deep.
 * `part`, the span of a value in a text that was checked before, stands for all of it: a slice would be slower to read.
 */
export function memberSpans(text: string, maxDepth: number, part?: Span): Members | OtherJson | JsonFault {
  const marks = newMarks()
  const fault = check(text, maxDepth, marks, part)
  if (fault !== null) return fault
  if (text.charCodeAt(marks.root) !== OPEN_BRACE) return { kind: "other", found: kindAt(text, marks.root) }
  const members: Member[] = []
  for (let i = 0; i < marks.keys.length; i++) {
    members.push({ key: marks.keys[i] ?? "", start: marks.starts[i] ?? 0, end: marks.ends[i] ?? 0 })
  }
  return { kind: "members", members, duplicate: firstDuplicate(members) }
}

/** The spans of a JSON list's own elements, as `memberSpans` gives those of members. */
export function elementSpans(text: string, maxDepth: number, part?: Span): Elements | OtherJson | JsonFault {
  const marks = newMarks()
  const fault = check(text, maxDepth, marks, part)
  if (fault !== null) return fault
  if (text.charCodeAt(marks.root) !== OPEN_BRACKET) return { kind: "other", found: kindAt(text, marks.root) }
  const { starts, ends } = marks
  return { kind: "elements", elements: starts.map((start, i) => ({ start, end: ends[i] ?? start })) }
}

/** What is wrong with a text as JSON nested at most `maxDepth` deep; null when nothing is. */
export function jsonFault(text: string, maxDepth: number): JsonFault | null {
  return check(text, maxDepth, newMarks())
}

/** The string that a JSON string token stands for; `start` and `end` enclose its quotes. */
export function readString(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1)
  return inner.includes("\\") ? (JSON.parse(text.slice(start, end)) as string) : inner
}

/** The offset after a string token that begins at `at`, or the complement (`~`) of where it goes wrong. */
export function stringEnd(text: string, at: number): number {
  const length = text.length
  for (let i = at + 1; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) return i + 1
    if (i === at + LONG) {
      // From here on the engine's own searches are three times as fast as this loop.
      const quote = text.indexOf('"', i)
      if (quote > i + LONG && !special.test(text.slice(i, quote))) return quote + 1
    }
    if (code < SPACE) return ~i
    if (code === BACKSLASH) {
      i = escapeEnd(text, i + 1)
      if (i < 0) return i
    }
  }
  return ~length
}

/** The offset after a number token that begins at `at`, or the complement (`~`) of where it goes wrong. */
export function numberEnd(text: string, at: number): number {
  let i = codeAt(text, at) === MINUS ? at + 1 : at
  const whole = codeAt(text, i) === ZERO ? i + 1 : digitsEnd(text, i)
  if (whole === i) return ~i
  i = whole
  if (codeAt(text, i) === POINT) {
    const fraction = digitsEnd(text, i + 1)
    if (fraction === i + 1) return ~fraction
    i = fraction
  }
  if ((codeAt(text, i) | LOWER_CASE) === LETTER_E) {
    const sign = codeAt(text, i + 1)
    const from = sign === PLUS || sign === MINUS ? i + 2 : i + 1
    const exponent = digitsEnd(text, from)
    if (exponent === from) return ~exponent
    i = exponent
  }
  return i
}

/** The offset of the first character from `at` on that is no white space. */
export function spaceEnd(text: string, at: number): number {
  let i = at
  for (; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > SPACE || (code !== SPACE && code !== LINE_FEED && code !== RETURN && code !== TAB)) break
  }
  return i
}

/** What a string cannot hold as it is, but for the quote that ends it. */
const special = /[\u0000-\u001f\\]/
/** Characters after which a string counts as long. */
const LONG = 32

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const OPEN_BRACKET = 0x5b
/** From an opening bracket's code to that of its closing one, for both kinds. */
const TO_CLOSING = 2
const MINUS = 0x2d
const PLUS = 0x2b
const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const LETTER_A = 0x61
const LETTER_E = 0x65
const LETTER_F = 0x66
const LETTER_N = 0x6e
const LETTER_T = 0x74
const LETTER_U = 0x75
/** Set in the code of a letter: makes it a small one. */
const LOWER_CASE = 0x20
const SPACE = 0x20
const TAB = 0x09
const LINE_FEED = 0x0a
const RETURN = 0x0d

/** What a pass over the text writes down; plain lists of offsets, because spans would cost more to make than to find. */
interface Marks {
  root: number
  tooDeep: boolean
  readonly keys: string[]
  readonly starts: number[]
  readonly ends: number[]
}

function newMarks(): Marks {
  return { root: 0, tooDeep: false, keys: [], starts: [], ends: [] }
}

function firstDuplicate(members: readonly Member[]): string | null {
  // Comparing each with each is three times as fast as a set for the ten keys of an envelope, and hopeless for thousands.
  if (members.length <= 16) {
    return members.find((member, i) => members.some((other, j) => j < i && other.key === member.key))?.key ?? null
  }
  const seen = new Set<string>()
  return members.find(({ key }) => seen.size === seen.add(key).size)?.key ?? null
}

function check(text: string, maxDepth: number, marks: Marks, part?: Span): JsonFault | null {
  marks.root = spaceEnd(text, part?.start ?? 0)
  let end = scan(text, marks.root, maxDepth, marks)
  if (end >= 0) {
    const after = spaceEnd(text, end)
    if (after >= (part?.end ?? text.length)) return null
    end = ~after
  }
  if (marks.tooDeep) return { kind: "too_deep", at: ~end, message: `it is nested more than ${maxDepth} levels deep` }
  return { kind: "malformed", at: ~end, message: explain(text, ~end) }
}

/**
 * Passes over the one value that begins at `from` and marks the members or elements of its first level. Gives the
 * offset after it, or the complement (`~`) of where it goes wrong.
 */
function scan(text: string, from: number, maxDepth: number, marks: Marks): number {
  /** The opening brackets that are still open. */
  const open: number[] = []
  let at = from
  for (;;) {
    const code = codeAt(text, at)
    if (open.length === 1) marks.starts.push(at)
    if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (open.length === maxDepth) {
        marks.tooDeep = true
        return ~at
      }
      const first = spaceEnd(text, at + 1)
      if (codeAt(text, first) === code + TO_CLOSING) {
        at = first + 1
      } else {
        open.push(code)
        at = code === OPEN_BRACE ? keyEnd(text, first, open.length === 1 ? marks : null) : first
        if (at < 0) return at
        continue
      }
    } else {
      at = code === QUOTE ? stringEnd(text, at) : atomEnd(text, at, code)
      if (at < 0) return at
    }
    at = valueEnded(text, at, open, marks)
    if (at < 0 || open.length === 0) return at
  }
}

/** Goes on after a value: closes what it ends, up to where the next value begins or, with nothing open, to the end. */
function valueEnded(text: string, end: number, open: number[], marks: Marks): number {
  let at = end
  while (open.length > 0) {
    if (open.length === 1) marks.ends.push(at)
    at = spaceEnd(text, at)
    const code = codeAt(text, at)
    const innermost = open[open.length - 1] ?? 0
    if (code === COMMA) {
      const next = spaceEnd(text, at + 1)
      return innermost === OPEN_BRACE ? keyEnd(text, next, open.length === 1 ? marks : null) : next
    }
    if (code !== innermost + TO_CLOSING) return ~at
    open.pop()
    at++
  }
  return at
}

/** The offset of the value after the key that begins at `at`, which is written down where `marks` are given. */
function keyEnd(text: string, at: number, marks: Marks | null): number {
  if (codeAt(text, at) !== QUOTE) return ~at
  const end = stringEnd(text, at)
  if (end < 0) return end
  if (marks !== null) marks.keys.push(readString(text, at, end))
  const colon = spaceEnd(text, end)
  return codeAt(text, colon) === COLON ? spaceEnd(text, colon + 1) : ~colon
}

function atomEnd(text: string, at: number, code: number): number {
  if (code === LETTER_T) return text.startsWith("true", at) ? at + 4 : ~at
  if (code === LETTER_F) return text.startsWith("false", at) ? at + 5 : ~at
  if (code === LETTER_N) return text.startsWith("null", at) ? at + 4 : ~at
  return numberEnd(text, at)
}

/** The offset of the last character of an escape whose first, after the backslash, is at `at`. */
function escapeEnd(text: string, at: number): number {
  if (codeAt(text, at) !== LETTER_U) return at < text.length && '"\\/bfnrt'.includes(text.charAt(at)) ? at : ~at
  for (let i = at + 1; i <= at + 4; i++) {
    const code = codeAt(text, i)
    const letter = code | LOWER_CASE
    if ((code < ZERO || code > NINE) && (letter < LETTER_A || letter > LETTER_F)) return ~i
  }
  return at + 4
}

function digitsEnd(text: string, at: number): number {
  let i = at
  for (; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < ZERO || code > NINE) break
  }
  return i
}

/** A character's code, 0 past the end: reading past it would make the compiled loops slower for good. */
function codeAt(text: string, at: number): number {
  return at < text.length ? text.charCodeAt(at) : 0
}

function kindAt(text: string, at: number): OtherJson["found"] {
  switch (text.charAt(at)) {
    case "{":
      return "an object"
    case "[":
      return "a list"
    case '"':
      return "a string"
    case "t":
    case "f":
      return "true or false"
    case "n":
      return "null"
    default:
      return "a number"
  }
}

/** What a person needs to find the mistake: the place, the character, and the usual cause where there is one. */
function explain(text: string, at: number): string {
  if (spaceEnd(text, 0) === text.length) return "there is nothing in it"
  if (at >= text.length) return "it ends before it is complete: a quote or a bracket is not closed"
  const before = text.slice(0, at)
  const line = before.split("\n").length
  const place = `line ${line}, column ${at - before.lastIndexOf("\n")}`
  const character = String.fromCodePoint(text.codePointAt(at) ?? 0)
  const cause = causeOf(character, before.trimEnd().slice(-1))
  const shown = /[\p{C}\p{Z}]/u.test(character) ? `the character ${codePointName(character)}` : character
  return `${place}: ${shown} cannot stand here${cause === null ? "" : `; ${cause}`}`
}

function causeOf(character: string, before: string): string | null {
  if (character === "\ufeff") return "send UTF-8 without a byte order mark"
  if (character < " ") return "inside a string write it as an escape, such as \\n"
  if (character === "'") return 'strings stand in double quotes, "…"'
  if ((character === "}" || character === "]") && before === ",") return "take away the comma before it"
  if (character === "/" || character === "#") return "JSON knows no comments"
  if (/[0-9]/.test(character) && /[0-9]/.test(before)) return "a number has no zero in front"
  return null
}

function codePointName(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`
}
