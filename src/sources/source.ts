/**
 * What a source is: a pure reader that turns what came in into drafts of events, or says what is wrong with it. The
 * rules for fields that several forms share stand here once.
 */
import { isUtf8 } from "node:buffer"
import { DAY_MS } from "../domain/duration.ts"
import type { Environment, EventDraft } from "../domain/event.ts"
import { EVENT_TYPE_RULE, isEventType, isReservedType } from "../domain/event-names.ts"
import { pointerTo } from "../domain/json-pointer.ts"
import { type JsonFault, MAX_DEPTH, type Span } from "../domain/json-spans.ts"

/**
 * What kind of mistake it is, and so the status of the answer: `malformed` 400, `wrong` 422 (well-formed, but not as it
 * has to be), `too_large` 413, `unsupported_media_type` 415, `conflict` 409 (found when it is stored, never by a reader).
 */
export type FaultKind = "malformed" | "wrong" | "too_large" | "unsupported_media_type" | "conflict"

/** What is wrong, for programs. */
export type FaultCode =
  | "not_utf8"
  | "invalid_json"
  | "too_deep"
  | "not_an_object"
  | "not_a_list"
  | "duplicate_field"
  | "missing_field"
  | "unknown_field"
  | "invalid_field"
  | "reserved_type"
  | "time_out_of_range"
  | "invalid_attribute"
  | "unsupported_version"
  | "event_too_large"
  | "batch_too_large"
  | "unsupported_media_type"

/** One mistake: where, and a sentence that says how to mend it. */
export interface SourceFault {
  readonly kind: FaultKind
  readonly code: FaultCode
  /** JSON pointer into the body; empty for the body as a whole. */
  readonly pointer: string
  /** The header that it is about, where it is about one. */
  readonly header?: string
  readonly message: string
}

/** What became of one event. */
export type Reading = { readonly kind: "draft"; readonly draft: EventDraft } | Faults

/** What became of a batch: a reading for each of its events, in order, or what is wrong with the batch as a whole. */
export type BatchReading = { readonly kind: "batch"; readonly readings: readonly Reading[] } | Faults

/** All that is wrong, the first twenty mistakes at most. */
export interface Faults {
  readonly kind: "faults"
  readonly faults: readonly SourceFault[]
}

/** What an event is held against that is not in it. */
export interface ReadLimits {
  /** Ms since 1970: what a time in the future is measured by. */
  readonly now: number
  /** Of one event, in UTF-8. */
  readonly maxEventBytes: number
  /** Events in one batch. */
  readonly maxBatch: number
  /** The environment of events that name none; `production` where it is left out. */
  readonly environment?: Environment
}

/** Mistakes of one event that are told at once. */
export const MAX_FAULTS = 20

/** How far ahead of us a sender's clock may be, and how late a time zone may be taken for another. */
const MAX_AHEAD_MS = DAY_MS

/** The most characters of an id or a key. */
export const MAX_KEY_CHARACTERS = 256

/** An event in a batch that is nested too deep is refused by itself; beyond this, the batch is. */
export const MAX_BATCH_DEPTH = 1_000

/** A fault without its place. */
export type Complaint = Omit<SourceFault, "pointer" | "header">

/** A body as text, or null where it is not UTF-8. Nothing is changed or left out: encoded again it is the same bytes. */
export function utf8Text(body: Uint8Array): string | null {
  return isUtf8(body) ? Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString() : null
}

/** The fault of a body that is not UTF-8. */
export const notUtf8: SourceFault = {
  kind: "malformed",
  code: "not_utf8",
  pointer: "",
  message: "The body is not UTF-8. JSON is sent as UTF-8 (RFC 8259).",
}

/** Where a member of an envelope stands. A key that is longer than any field's name is not repeated in an answer. */
export function placeOfMember(pointer: string, key: string): string {
  return key.length <= MAX_KEY_CHARACTERS ? pointerTo(pointer, key) : pointer
}

/** Refuses an event or a batch for one mistake. */
export function refused(pointer: string, complaint: Complaint): Faults {
  return { kind: "faults", faults: [{ ...complaint, pointer }] }
}

/** The complaint about a mistake in the form of what came in. */
export function malformed(code: FaultCode, message: string): Complaint {
  return { kind: "malformed", code, message }
}

/** The complaint about a member that an envelope has twice. */
export function duplicateComplaint(key: string): Complaint {
  return malformed("duplicate_field", `${shown(key)} stands there twice, and only one can be meant: take one away.`)
}

/** The complaint about a text that is no JSON. `what` names the text at the beginning of the sentence. */
export function jsonComplaint(fault: JsonFault, what: string): Complaint {
  if (fault.kind === "malformed") return malformed("invalid_json", `${what} is not valid JSON: ${fault.message}.`)
  return malformed("too_deep", `${what} is nested too deep: data has at most ${MAX_DEPTH} levels.`)
}

/** What is wrong with an event type from outside; null when nothing is. */
export function typeComplaint(type: string): Complaint | null {
  if (!isEventType(type)) {
    return {
      kind: "wrong",
      code: "invalid_field",
      message: `type has to be ${EVENT_TYPE_RULE}; this is ${shown(type)}.`,
    }
  }
  if (!isReservedType(type)) return null
  return {
    kind: "wrong",
    code: "reserved_type",
    message: `Types that begin with "waybill." are Waybill's own; give ${type} another name.`,
  }
}

/** What is wrong with an id or a key of a sender's own; null when nothing is. Any characters will do but control ones. */
export function keyComplaint(name: string, value: string): Complaint | null {
  const fits = value.length > 0 && (value.length <= MAX_KEY_CHARACTERS || [...value].length <= MAX_KEY_CHARACTERS)
  if (fits && isPlain(value)) return null
  const rule = `1 to ${MAX_KEY_CHARACTERS} characters, none of them a control character`
  return { kind: "wrong", code: "invalid_field", message: `${name} has to be ${rule}; this is ${shown(value)}.` }
}

/** What is wrong with an app's name; null when nothing is. */
export function appComplaint(value: string): Complaint | null {
  if (/^[A-Za-z0-9._-]{1,64}$/.test(value)) return null
  const rule = '1 to 64 letters, digits, ".", "_" or "-"'
  return { kind: "wrong", code: "invalid_field", message: `app has to be ${rule}; this is ${shown(value)}.` }
}

/** What is wrong with an environment; null when nothing is. */
export function environmentComplaint(value: string): Complaint | null {
  if (value === "production" || value === "sandbox") return null
  return {
    kind: "wrong",
    code: "invalid_field",
    message: `environment is "production" or "sandbox"; this is ${shown(value)}.`,
  }
}

/** What is wrong with the time at which something is said to have happened; null when nothing is. */
export function timeComplaint(name: string, at: number, now: number): Complaint | null {
  if (at >= 0 && at <= now + MAX_AHEAD_MS) return null
  const what = at < 0 ? "before 1970" : "more than 24 hours ahead of the clock here"
  return { kind: "wrong", code: "time_out_of_range", message: `${name} is ${what}: is it in another unit or zone?` }
}

/** Whether an event, a part of a text, is over the limit. */
export function isTooLarge(text: string, { start, end }: Span, maxBytes: number): boolean {
  // A code unit takes three bytes at most, so that most events need no count.
  return (end - start) * 3 > maxBytes && Buffer.byteLength(text.slice(start, end)) > maxBytes
}

/** The complaint about it. */
export function sizeComplaint(maxBytes: number): Complaint {
  return { kind: "too_large", code: "event_too_large", message: `An event has at most ${maxBytes} bytes.` }
}

/** The complaint about a batch of too many events. */
export function batchComplaint(count: number, max: number): Complaint {
  return {
    kind: "too_large",
    code: "batch_too_large",
    message: `A batch has at most ${max} events, this one ${count}: split it.`,
  }
}

/** A value as it is shown in a message: quoted, and no more than a line of it. */
export function shown(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
}

/** Without control characters, and without halves of characters, which have no UTF-8. */
function isPlain(text: string): boolean {
  return /^[ -~]*$/.test(text) || !/[\p{Cc}\p{Cs}]/u.test(text)
}
