/**
 * Waybill's own form of an event: one JSON object, or several in `{ "events": [ … ] }`.
 *
 *     type            required; 1 to 128 printable ASCII characters without space, not beginning with `waybill.`
 *     data            any JSON value, nested at most 64 levels deep, kept byte for byte; absent: an event without data
 *     id              the sender's own id, unique per source of a project; makes a repeat harmless
 *     occurred_at     RFC 3339; not before 1970, not more than 24 h ahead; absent: when it came in
 *     environment     `production` (if absent) or `sandbox`
 *     app             1 to 64 letters, digits, `.`, `_` or `-`
 *     profile_id, device_id, source_record, ordering_key      1 to 256 characters, none of them a control character
 *     historical      true: stored for search, delivered nowhere
 *
 * An optional field that is `null` counts as absent, but for `data`, where `null` is a value. A field that is not in
 * this list, or stands there twice, is a fault: an event that was only half understood is not accepted.
 */
import type { Environment, EventDraft } from "../domain/event.ts"
import { pointerTo } from "../domain/json-pointer.ts"
import {
  elementSpans,
  MAX_DEPTH,
  type Member,
  memberSpans,
  type OtherJson,
  readString,
  type Span,
} from "../domain/json-spans.ts"
import { nearest } from "../domain/nearest.ts"
import { parseTime } from "../domain/rfc3339.ts"
import {
  appComplaint,
  type BatchReading,
  batchComplaint,
  type Complaint,
  duplicateComplaint,
  environmentComplaint,
  isTooLarge,
  jsonComplaint,
  keyComplaint,
  MAX_BATCH_DEPTH,
  MAX_FAULTS,
  placeOfMember,
  type Reading,
  type ReadLimits,
  refused,
  type SourceFault,
  shown,
  sizeComplaint,
  timeComplaint,
  typeComplaint,
} from "./source.ts"

/** The fields of an event, as senders write them. */
export const nativeFields = [
  "type",
  "data",
  "id",
  "occurred_at",
  "environment",
  "app",
  "profile_id",
  "device_id",
  "source_record",
  "ordering_key",
  "historical",
] as const

/** What `source` is for events that come in this form. */
export const API_SOURCE = "api"

/** Reads the body of `POST /v1/events`: one event. */
export function readNative(text: string, limits: ReadLimits): Reading {
  return readEvent(text, { start: 0, end: text.length }, "", limits)
}

/** Reads the body of `POST /v1/events/batch`: an object with the one member `events`. A bare list is not taken. */
export function readNativeBatch(text: string, limits: ReadLimits): BatchReading {
  const body = memberSpans(text, MAX_BATCH_DEPTH)
  if (body.kind === "other") return refused("", notAnObject("A batch", '{ "events": [ … ] }', body))
  if (body.kind !== "members") return refused("", jsonComplaint(body, "The body"))
  if (body.duplicate !== null) return refused(placeOfMember("", body.duplicate), duplicateComplaint(body.duplicate))
  const events = body.members.find(({ key }) => key === "events")
  const other = body.members.find(({ key }) => key !== "events")
  if (other !== undefined) return refused(placeOfMember("", other.key), unknownField(other.key, ["events"], "a batch"))
  if (events === undefined) return refused("/events", missing("events", "the list of events"))
  const elements = elementSpans(text, MAX_BATCH_DEPTH, events)
  if (elements.kind !== "elements") return refused("/events", notAList)
  const count = elements.elements.length
  if (count > limits.maxBatch) return refused("/events", batchComplaint(count, limits.maxBatch))
  const readings = elements.elements.map((element, i) => readEvent(text, element, `/events/${i}`, limits))
  return { kind: "batch", readings }
}

/** Reads the event in a part of the text, which is all of it or has been checked. */
function readEvent(text: string, part: Span, pointer: string, limits: ReadLimits): Reading {
  if (isTooLarge(text, part, limits.maxEventBytes)) return refused(pointer, sizeComplaint(limits.maxEventBytes))
  const found = memberSpans(text, MAX_DEPTH + 1, part)
  if (found.kind === "other") return refused(pointer, notAnObject("An event", '{ "type": …, "data": … }', found))
  if (found.kind !== "members") return refused(pointer, jsonComplaint(found, pointer === "" ? "The body" : "The event"))
  const { duplicate } = found
  if (duplicate !== null) return refused(placeOfMember(pointer, duplicate), duplicateComplaint(duplicate))
  const reader = new EventReader(text, pointer, limits)
  for (const member of found.members) reader.read(member)
  return reader.finish()
}

/** A draft while its fields are being filled in. */
type Draft = { -readonly [Field in keyof EventDraft]: EventDraft[Field] }

/** Reads one event's fields in the order in which they stand in it. */
class EventReader {
  readonly #text: string
  readonly #pointer: string
  readonly #limits: ReadLimits
  readonly #faults: SourceFault[] = []
  readonly #draft: Draft = {
    type: "",
    payload: { kind: "none" },
    externalId: null,
    source: API_SOURCE,
    occurredAt: null,
    environment: "production",
    app: null,
    profileId: null,
    deviceId: null,
    sourceRecord: null,
    orderingKey: null,
    historical: false,
    cloud: null,
  }
  #hasType = false

  constructor(text: string, pointer: string, limits: ReadLimits) {
    this.#text = text
    this.#pointer = pointer
    this.#limits = limits
    if (limits.environment !== undefined) this.#draft.environment = limits.environment
  }

  read(member: Member): void {
    const draft = this.#draft
    switch (member.key) {
      case "type":
        draft.type = this.#type(member)
        break
      case "data":
        draft.payload = { kind: "json", text: this.#raw(member) }
        break
      case "id":
        draft.externalId = this.#key(member)
        break
      case "occurred_at":
        draft.occurredAt = this.#time(member)
        break
      case "environment":
        draft.environment = this.#environment(member)
        break
      case "app":
        draft.app = this.#string(member, appComplaint)
        break
      case "profile_id":
        draft.profileId = this.#key(member)
        break
      case "device_id":
        draft.deviceId = this.#key(member)
        break
      case "source_record":
        draft.sourceRecord = this.#key(member)
        break
      case "ordering_key":
        draft.orderingKey = this.#key(member)
        break
      case "historical":
        draft.historical = this.#flag(member)
        break
      default:
        this.#wrong(member, unknownField(member.key, nativeFields, "an event"))
    }
  }

  /** The draft, once all members have been read. */
  finish(): Reading {
    if (!this.#hasType)
      this.#faults.unshift({
        ...missing("type", "the name of what happened, such as subscription_renewed"),
        pointer: pointerTo(this.#pointer, "type"),
      })
    return this.#faults.length === 0 ? { kind: "draft", draft: this.#draft } : { kind: "faults", faults: this.#faults }
  }

  #type(member: Member): string {
    const type = this.#string(member, typeComplaint)
    // A type that is there but wrong is not missing as well.
    this.#hasType = this.#raw(member) !== "null"
    return type ?? ""
  }

  #key(member: Member): string | null {
    return this.#string(member, value => keyComplaint(member.key, value))
  }

  #environment(member: Member): Environment {
    const found = this.#string(member, environmentComplaint)
    return found === "sandbox" || found === "production" ? found : this.#draft.environment
  }

  #time(member: Member): number | null {
    const text = this.#string(member, () => null)
    if (text === null) return null
    const at = parseTime(text)
    const complaint = at === undefined ? notATime(member.key, text) : timeComplaint(member.key, at, this.#limits.now)
    if (complaint !== null) this.#wrong(member, complaint)
    return at ?? null
  }

  #flag(member: Member): boolean {
    const raw = this.#raw(member)
    if (raw !== "true" && raw !== "false" && raw !== "null")
      this.#wrong(member, invalid(member.key, "true or false", raw))
    return raw === "true"
  }

  /** The string that a member holds; null where it is `null`, or not as it has to be. */
  #string(member: Member, complaintAbout: (value: string) => Complaint | null): string | null {
    const raw = this.#raw(member)
    if (raw === "null") return null
    if (!raw.startsWith('"')) {
      this.#wrong(member, invalid(member.key, "a string", raw))
      return null
    }
    const value = readString(this.#text, member.start, member.end)
    const complaint = complaintAbout(value)
    if (complaint === null) return value
    this.#wrong(member, complaint)
    return null
  }

  #raw(member: Member): string {
    return this.#text.slice(member.start, member.end)
  }

  #wrong(member: Member, complaint: Complaint): void {
    if (this.#faults.length < MAX_FAULTS)
      this.#faults.push({ ...complaint, pointer: placeOfMember(this.#pointer, member.key) })
  }
}

const notAList: Complaint = { kind: "wrong", code: "not_a_list", message: "events has to be a list of events." }

function notAnObject(what: string, example: string, { found }: OtherJson): Complaint {
  return { kind: "wrong", code: "not_an_object", message: `${what} is an object, ${example}; this is ${found}.` }
}

function missing(key: string, what: string): Complaint {
  return { kind: "wrong", code: "missing_field", message: `${key} is missing: send ${what}.` }
}

function unknownField(key: string, known: readonly string[], what: string): Complaint {
  const near = nearest(key, known)
  const hint = near === null ? "what is your own goes into data." : `did you mean "${near}"?`
  return { kind: "wrong", code: "unknown_field", message: `${shown(key)} is no field of ${what}: ${hint}` }
}

function notATime(key: string, text: string): Complaint {
  return invalid(key, "an RFC 3339 time, such as 2026-11-21T10:00:00Z", shown(text))
}

function invalid(key: string, rule: string, found: string): Complaint {
  const cut = found.length > 80 ? `${found.slice(0, 80)}…` : found
  return { kind: "wrong", code: "invalid_field", message: `${key} has to be ${rule}; this is ${cut}.` }
}
