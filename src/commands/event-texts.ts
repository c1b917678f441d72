/**
 * Finds events in what a file or a pipe holds: JSON, one value after another, JSON lines, or a list. Each is cut out of
 * the text and sent as it was written, because a trip through `JSON.parse` and back changes numbers (API-14).
 */
import { elementSpans, jsonFault, MAX_DEPTH, memberSpans, spaceEnd } from "../domain/json-spans.ts"

/** What was found at a place: an event's JSON text, or a sentence on why there is none. */
export type EventText =
  | { readonly kind: "event"; readonly place: string; readonly text: string }
  | { readonly kind: "unreadable"; readonly place: string; readonly message: string }

/** What to make of each value: an event as it stands, with members for those it lacks; or the data of one. */
export type Making =
  | { readonly kind: "events"; readonly members: Members }
  | { readonly kind: "data"; readonly members: Members }

/** Members of an event beside its data, by name. */
export type Members = Readonly<Record<string, string | boolean>>

/** Lists are taken apart at any depth; whether one of their events is too deep is that event's own affair. */
const LIST_DEPTH = 10_000

const LINE_FEED = 0x0a
const SPACE = 0x20
const OPEN_BRACKET = 0x5b
/** Some editors put it before UTF-8. */
const BYTE_ORDER_MARK: readonly number[] = [0xef, 0xbb, 0xbf]

const utf8 = new TextDecoder("utf-8", { fatal: true })
const NOT_UTF8 = "it is not UTF-8, which JSON has to be"

/**
 * The events in a stream of bytes, in its order, as soon as they are complete: JSON lines go out while more of them come
 * in; anything else has to be there in full first.
 */
export async function* eventTexts(input: AsyncIterable<Uint8Array>, making: Making): AsyncGenerator<EventText[]> {
  const document: Uint8Array[] = []
  let form: Form | undefined
  let pending: Buffer = Buffer.alloc(0)
  let line = 0
  for await (const chunk of input) {
    if (form === "document") {
      document.push(chunk)
      continue
    }
    pending = Buffer.concat([pending, chunk])
    form ??= formOf(pending)
    if (form === "document") document.push(pending)
    const end = pending.lastIndexOf(LINE_FEED)
    if (form !== "lines" || end < 0) continue
    const complete = pending.subarray(0, end)
    yield textsOfLines(complete, line, making)
    line += lineCount(complete)
    pending = pending.subarray(end + 1)
  }
  if (form === "lines") yield textsOfLines(pending, line, making)
  else yield textsOfDocument(form === undefined ? pending : Buffer.concat(document), making)
}

/** The event that a value makes; `place` is where it stood, for messages. */
export function eventText(value: string, place: string, { kind, members }: Making): EventText {
  const unreadable = (message: string): EventText => ({ kind: "unreadable", place, message })
  if (kind === "data") {
    const fault = jsonFault(value, MAX_DEPTH)
    if (fault !== null) return unreadable(`This is not JSON: ${fault.message}.`)
    return { kind: "event", place, text: withMembers(`{"data":${value.trim()}}`, members) }
  }
  const found = memberSpans(value, MAX_DEPTH + 1)
  if (found.kind === "other") {
    return unreadable(
      `An event is an object, { "type": …, "data": … }, but this is ${found.found}. To send it as data, add --type.`,
    )
  }
  if (found.kind !== "members") return unreadable(`This is not JSON: ${found.message}.`)
  const present = new Set(found.members.map(member => member.key))
  const missing = Object.fromEntries(Object.entries(members).filter(([name]) => !present.has(name)))
  return { kind: "event", place, text: withMembers(value.trim(), missing) }
}

/** The text of a JSON object with more members, which must not be among its own. */
function withMembers(object: string, members: Members): string {
  const added = JSON.stringify(members).slice(1, -1)
  if (added === "") return object
  return `{${added}${/^\{\s*\}$/.test(object) ? "" : ","}${object.slice(1)}`
}

/** JSON lines, which can be read as they come, or anything that has to be there in full. */
type Form = "lines" | "document"

/** The form of an input that begins so; undefined where that does not show yet. */
function formOf(bytes: Buffer): Form | undefined {
  const start = bytes.findIndex((byte, i) => byte > SPACE && !(i < 3 && BYTE_ORDER_MARK.includes(byte)))
  if (bytes[start] === OPEN_BRACKET) return "document"
  const end = start < 0 ? -1 : bytes.indexOf(LINE_FEED, start)
  if (end < 0) return undefined
  const line = bytes.toString("latin1", start, end).trimEnd()
  const fault = jsonFault(line, LIST_DEPTH)
  // A line that is right as far as it goes is the beginning of a value of many lines.
  return fault?.kind === "malformed" && fault.at >= line.length ? "document" : "lines"
}

function textsOfLines(bytes: Buffer, linesBefore: number, making: Making): EventText[] {
  const found: EventText[] = []
  let start = 0
  for (let number = linesBefore + 1; start <= bytes.length; number++) {
    const next = bytes.indexOf(LINE_FEED, start)
    const end = next < 0 ? bytes.length : next
    const place = `line ${number}`
    const text = decode(bytes.subarray(start, end))
    if (text === undefined) found.push({ kind: "unreadable", place, message: `This is not JSON: ${NOT_UTF8}.` })
    else if (text.trim() !== "") found.push(onOneLine(eventText(text, place, making)))
    start = end + 1
  }
  return found
}

/** The place says which line it is; what is said of the value begins to count anew. */
function onOneLine(found: EventText): EventText {
  return found.kind === "event" ? found : { ...found, message: found.message.replace("line 1, column", "column") }
}

function lineCount(bytes: Buffer): number {
  let count = 1
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count++
  return count
}

/** A list, or values one after another, as `jq` writes them. */
function textsOfDocument(bytes: Buffer, making: Making): EventText[] {
  const whole = decode(bytes)
  if (whole === undefined)
    return [{ kind: "unreadable", place: "the input", message: `This is not JSON: ${NOT_UTF8}.` }]
  const start = spaceEnd(whole, 0)
  if (whole.charAt(start) === "[") {
    const list = elementSpans(whole, LIST_DEPTH)
    if (list.kind === "elements") {
      return list.elements.map((span, i) => eventText(whole.slice(span.start, span.end), `event ${i + 1}`, making))
    }
  }
  const found: EventText[] = []
  for (let at = start; at < whole.length; ) {
    const rest = whole.slice(at)
    const fault = jsonFault(rest, LIST_DEPTH)
    // What cannot stand there may be the beginning of the next value, if a whole one is before it.
    const end = fault === null ? rest.length : fault.at
    const value = rest.slice(0, end)
    if (fault !== null && (end === 0 || jsonFault(value, LIST_DEPTH) !== null)) {
      const message = `This is not JSON: ${jsonFault(whole, LIST_DEPTH)?.message ?? fault.message}. Nothing from there on was sent.`
      found.push({ kind: "unreadable", place: `event ${found.length + 1}`, message })
      return found
    }
    found.push(eventText(value, `event ${found.length + 1}`, making))
    at = spaceEnd(whole, at + end)
  }
  return found
}

/** The text of bytes that are UTF-8, without a byte order mark. */
function decode(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    // No UTF-8.
    return undefined
  }
}
