/**
 * Private fields: parts of an event's data whose values its receivers get and its readers never see. Each is named by a JSON
 * pointer (RFC 6901) into `data`, in which `*` stands for every element of a list and every member of an object:
 *
 *     /customer/email        {"customer":{"email":"[private]","country":"DE"}}
 *     /orders/0/card         the card of the first order; with a star in place of the 0 that of each
 *                            the empty pointer: all of the data
 *
 * A value is masked whole, whatever it is; all around it stays byte for byte as it came in (API-14). Where a pointer leads
 * nowhere nothing is masked. Data that is not JSON has no parts that a pointer could name: it is private as a whole.
 */
import type { Payload } from "./event.ts"
import { parsePointer } from "./json-pointer.ts"
import { elementSpans, MAX_DEPTH, memberSpans, readString, type Span } from "./json-spans.ts"

/** What stands in place of a private value. */
export const MASK = "[private]"
const MASK_JSON = `"${MASK}"`

/** Every element of a list, or member of an object. */
const ANY = "*"

/** The most private fields of a project, and of a type of event. */
export const MAX_PRIVATE_FIELDS = 100

/** Private fields as they are looked for. */
export interface PrivateFields {
  readonly pointers: readonly string[]
  readonly tree: Step
}

interface Step {
  /** Whether a field ends here: all below it is private. */
  isPrivate: boolean
  readonly next: Map<string, Step>
}

/** Gathers pointers that `parsePointer` takes; null for none. What two of them name is private once. */
export function privateFieldsOf(pointers: readonly string[]): PrivateFields | null {
  if (pointers.length === 0) return null
  const unique = [...new Set(pointers)].sort()
  const key = JSON.stringify(unique)
  let fields = gathered.get(key)
  if (fields === undefined) {
    fields = { pointers: unique, tree: treeOf(unique) }
    if (gathered.size >= 1_000) gathered.clear()
    gathered.set(key, fields)
  }
  return fields
}
/** Lists are few, and each is asked for with every event. */
const gathered = new Map<string, PrivateFields>()

/** The payload as readers see it; null where none of it is private. */
export function maskPayload(payload: Payload, fields: PrivateFields): Payload | null {
  switch (payload.kind) {
    case "json": {
      const masked = maskJson(payload.text, fields)
      return masked === null ? null : { kind: "json", text: masked, masked: true }
    }
    case "text":
      return { kind: "text", text: MASK, mediaType: payload.mediaType, masked: true }
    case "bytes":
      return { kind: "text", text: MASK, mediaType: payload.mediaType ?? "text/plain", masked: true }
    case "none":
      return null
  }
}

/** JSON text with its private values masked; null where there are none. */
export function maskJson(text: string, fields: PrivateFields): string | null {
  const spans = privateSpans(text, fields)
  if (spans.length === 0) return null
  let masked = ""
  let from = 0
  for (const { start, end } of spans) {
    masked += text.slice(from, start) + MASK_JSON
    from = end
  }
  return masked + text.slice(from)
}

/** Where the private values of a JSON text lie, in its order, none within another. */
export function privateSpans(text: string, { tree }: PrivateFields): readonly Span[] {
  const spans: Span[] = []
  gather(text, { start: 0, end: text.length }, [tree], spans)
  return spans
}

/** The strings and numbers of a JSON value, numbers as they are written. */
export function* leavesOf(text: string, part: Span): Generator<string> {
  const first = text.charAt(part.start)
  if (first === '"') yield readString(text, part.start, part.end)
  else if (first === "{" || first === "[") {
    for (const inner of partsOf(text, part)) yield* leavesOf(text, inner)
  } else if (first !== "t" && first !== "f" && first !== "n") yield text.slice(part.start, part.end)
}

function gather(text: string, part: Span, steps: readonly Step[], spans: Span[]): void {
  if (steps.length === 0) return
  if (steps.some(({ isPrivate }) => isPrivate)) {
    spans.push(trimmed(text, part))
    return
  }
  for (const { key, ...inner } of partsOf(text, part)) {
    gather(
      text,
      inner,
      steps.flatMap(({ next }) => [next.get(key), next.get(ANY)].filter(step => step !== undefined)),
      spans,
    )
  }
}

/** The members of an object, the elements of a list by their places; nothing of any other value. */
function partsOf(text: string, part: Span): readonly (Span & { readonly key: string })[] {
  const members = memberSpans(text, MAX_DEPTH, part)
  if (members.kind === "members") return members.members
  if (members.kind !== "other" || members.found !== "a list") return []
  const elements = elementSpans(text, MAX_DEPTH, part)
  return elements.kind === "elements" ? elements.elements.map((element, i) => ({ ...element, key: String(i) })) : []
}

/** Without the white space around it, which all of a text may have. */
function trimmed(text: string, { start, end }: Span): Span {
  const value = text.slice(start, end)
  const before = value.length - value.trimStart().length
  return { start: start + before, end: start + value.trimEnd().length }
}

function treeOf(pointers: readonly string[]): Step {
  const tree: Step = { isPrivate: false, next: new Map() }
  for (const pointer of pointers) {
    let step = tree
    for (const key of parsePointer(pointer) ?? []) {
      const next = step.next.get(key) ?? { isPrivate: false, next: new Map() }
      step.next.set(key, next)
      step = next
    }
    step.isPrivate = true
  }
  return tree
}
