/**
 * The attributes of a CloudEvent, from whichever form they came in: checked against the rules of CloudEvents 1.0
 * (CE-4 to CE-7), and turned into an event's fields.
 *
 *     id → external id    source → source    type → type    time → occurred at (and kept as it was written)
 *
 * `subject`, `dataschema`, `datacontenttype` and all extensions are kept to be sent on (CE-6). An extension with the name
 * of a field of ours is read as that field too: `environment`, `app`, `profileid`, `deviceid`, `sourcerecord`,
 * `orderingkey`, `historical`. What breaks a rule of CloudEvents is malformed; what CloudEvents allows and Waybill does
 * not take (an id of 300 characters, a time in 1969) is wrong.
 */
import type { CloudAttributes, Environment, EventDraft, Payload } from "../domain/event.ts"
import { parseMediaType } from "../domain/media-type.ts"
import { parseTime } from "../domain/rfc3339.ts"
import {
  appComplaint,
  type Complaint,
  environmentComplaint,
  keyComplaint,
  MAX_FAULTS,
  type Reading,
  type ReadLimits,
  type SourceFault,
  shown,
  timeComplaint,
  typeComplaint,
} from "./source.ts"

/** An attribute's value as it came: with its JSON type in structured mode, always a string in binary mode. */
export interface Attribute {
  readonly value: string | number | boolean
  /** Where it stood: the pointer to a member, or the name of a header. */
  readonly place: Place
}

/** Where something stood in a request. */
export type Place = Pick<SourceFault, "pointer" | "header">

/** The attributes of one event by name: those that are not set are left out (CE-11), null is one that cannot be read. */
export type Attributes = ReadonlyMap<string, Attribute | null>

/** The most characters of a `source`, and of an attribute's name (CloudEvents asks for 20 at most). */
const MAX_SOURCE_CHARACTERS = 1_024
const MAX_NAME_CHARACTERS = 128

const core = new Set(["specversion", "id", "source", "type", "datacontenttype", "dataschema", "subject", "time"])

/** What is wrong with a name of an attribute; null when nothing is. */
export function nameComplaint(name: string): Complaint | null {
  if (name !== "data" && name.length <= MAX_NAME_CHARACTERS && /^[a-z0-9]+$/.test(name)) return null
  const rule = `1 to ${MAX_NAME_CHARACTERS} small letters a to z and digits, and never "data"`
  return invalid(`${shown(name)} is no name for an attribute: names are ${rule}.`)
}

/** What is wrong with a string as the value of an attribute; null when nothing is (CE-7). */
export function stringComplaint(name: string, value: string): Complaint | null {
  if (/^[ -~]*$/.test(value)) return null
  const found = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u.exec(value)?.[0].codePointAt(0)
  if (found === undefined) return null
  const code = `U+${found.toString(16).toUpperCase().padStart(4, "0")}`
  const rule = "attributes hold no control characters, half characters or noncharacters"
  return invalid(`${name} holds the character ${code}: ${rule}.`)
}

/** What has been read of one event so far, whatever its mode, and what is wrong with it. */
export class AttributeSet {
  readonly attributes = new Map<string, Attribute | null>()
  readonly #faults: SourceFault[] = []

  /** Null is an attribute that is not set. */
  add(name: string, read: Attribute | SourceFault | null): void {
    if (read === null) return
    if ("code" in read) this.#wrong(read)
    this.attributes.set(name, "code" in read ? null : read)
  }

  /** The payload; none where it cannot be read. */
  payload(read: Payload | SourceFault): Payload {
    if (!("code" in read)) return read
    this.#wrong(read)
    return { kind: "none" }
  }

  /** The draft, or all faults at once. What is malformed stands first, because the first one decides the answer's status. */
  finish(payload: Payload, placeOf: (name: string) => Place, limits: ReadLimits): Reading {
    const reading = readAttributes(this.attributes, placeOf, payload, limits)
    if (reading.kind === "draft" && this.#faults.length === 0) return reading
    const faults = reading.kind === "draft" ? this.#faults : [...this.#faults, ...reading.faults]
    const [malformed, others] = [faults.filter(isMalformed), faults.filter(fault => !isMalformed(fault))]
    return { kind: "faults", faults: [...malformed, ...others] }
  }

  #wrong(fault: SourceFault): void {
    if (this.#faults.length < MAX_FAULTS) this.#faults.push(fault)
  }
}

function isMalformed({ kind }: SourceFault): boolean {
  return kind === "malformed"
}

/**
 * The draft that attributes and data make, or all that is wrong with the attributes beside those that cannot be read.
 * `placeOf` says where an attribute stands that is missing.
 */
function readAttributes(
  attributes: Attributes,
  placeOf: (name: string) => Place,
  payload: Payload,
  limits: ReadLimits,
): Reading {
  const version = versionFault(attributes, placeOf)
  if (version !== null) return { kind: "faults", faults: [version] }
  const reader = new AttributeReader(attributes, placeOf)
  const type = reader.required("type", typeComplaint)
  const externalId = reader.required("id", value => keyComplaint("id", value))
  const source = reader.required("source", sourceComplaint)
  const cloud = cloudAttributes(attributes, reader, limits)
  const draft: EventDraft = {
    type,
    payload,
    externalId,
    source,
    occurredAt: cloud.time === undefined ? null : (parseTime(cloud.time) ?? null),
    environment: environmentOf(reader.optional("environment", environmentComplaint), limits),
    app: reader.optional("app", appComplaint) ?? null,
    profileId: reader.key("profileid"),
    deviceId: reader.key("deviceid"),
    sourceRecord: reader.key("sourcerecord"),
    orderingKey: reader.key("orderingkey"),
    historical: reader.flag("historical"),
    cloud,
  }
  return reader.faults.length === 0 ? { kind: "draft", draft } : { kind: "faults", faults: reader.faults }
}

/** Another version may mean something else by every other attribute, so that only this is said. */
function versionFault(attributes: Attributes, placeOf: (name: string) => Place): SourceFault | null {
  const version = attributes.get("specversion")
  if (version === undefined) return { ...missing("specversion"), ...placeOf("specversion") }
  if (version === null || version.value === "1.0") return null
  const found = JSON.stringify(version.value)
  const message = `specversion ${found} is not known here: send CloudEvents of version "1.0".`
  return { kind: "malformed", code: "unsupported_version", message, ...version.place }
}

function cloudAttributes(attributes: Attributes, reader: AttributeReader, limits: ReadLimits): CloudAttributes {
  const subject = reader.optional("subject", value => (value === "" ? empty("subject") : null))
  const dataschema = reader.optional("dataschema", schemaComplaint)
  const datacontenttype = reader.optional("datacontenttype", contentTypeComplaint)
  const time = reader.optional("time", value => momentComplaint(value, limits.now))
  const extensions: [string, string | number | boolean][] = []
  for (const [name, attribute] of attributes) {
    if (attribute !== null && !core.has(name)) extensions.push([name, attribute.value])
  }
  const cloud: { -readonly [Name in keyof CloudAttributes]: CloudAttributes[Name] } = {
    extensions: Object.fromEntries(extensions),
  }
  if (subject !== undefined) cloud.subject = subject
  if (dataschema !== undefined) cloud.dataschema = dataschema
  if (datacontenttype !== undefined) cloud.datacontenttype = datacontenttype
  if (time !== undefined) cloud.time = time
  return cloud
}

/** Takes attributes out one by one and writes down what is wrong with them. */
class AttributeReader {
  readonly faults: SourceFault[] = []
  readonly #attributes: Attributes
  readonly #placeOf: (name: string) => Place

  constructor(attributes: Attributes, placeOf: (name: string) => Place) {
    this.#attributes = attributes
    this.#placeOf = placeOf
  }

  required(name: string, complaintAbout: (value: string) => Complaint | null): string {
    if (!this.#attributes.has(name)) this.faults.push({ ...missing(name), ...this.#placeOf(name) })
    return this.optional(name, value => (value === "" ? empty(name) : complaintAbout(value))) ?? ""
  }

  optional(name: string, complaintAbout: (value: string) => Complaint | null): string | undefined {
    const attribute = this.#attributes.get(name)
    if (attribute === undefined || attribute === null) return undefined
    const { value, place } = attribute
    const complaint = typeof value === "string" ? complaintAbout(value) : notAString(name, value)
    if (complaint !== null) this.faults.push({ ...complaint, ...place })
    return typeof value === "string" ? value : undefined
  }

  key(name: string): string | null {
    return this.optional(name, value => keyComplaint(name, value)) ?? null
  }

  /** A boolean, or its canonical string: binary mode knows no other. */
  flag(name: string): boolean {
    const attribute = this.#attributes.get(name)
    if (attribute === undefined || attribute === null) return false
    const text = String(attribute.value)
    if (text !== "true" && text !== "false") {
      const message = `${name} has to be true or false; this is ${shown(text)}.`
      this.faults.push({ kind: "wrong", code: "invalid_field", message, ...attribute.place })
    }
    return text === "true"
  }
}

function environmentOf(value: string | undefined, { environment = "production" }: ReadLimits): Environment {
  return value === "sandbox" || value === "production" ? value : environment
}

/** The characters of RFC 3986 in a path, and beside them `?` in a query or fragment. */
const character = "(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
const inQuery = "(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})"
const scheme = "[A-Za-z][A-Za-z0-9+.-]*:"
/** An IP literal in brackets stands in the authority only. */
const authority = `//(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*(?:\\[[0-9A-Fa-f:.v]+\\](?::\\d*)?)?(?=[/?#]|$)`
const rest = `(?:${authority})?${character}*(?:\\?${inQuery}*)?(?:#${inQuery}*)?`
const uriReference = new RegExp(`^(?:${scheme})?${rest}$`)
const absoluteUri = new RegExp(`^${scheme}(?=.)${rest}$`)

function sourceComplaint(value: string): Complaint | null {
  if (!uriReference.test(value)) {
    const rule = "a URI-reference (RFC 3986), such as /billing or https://example.com/billing"
    return invalid(`source has to be ${rule}; this is ${shown(value)}.`)
  }
  if (value.length <= MAX_SOURCE_CHARACTERS) return null
  return { kind: "wrong", code: "invalid_field", message: `source has at most ${MAX_SOURCE_CHARACTERS} characters.` }
}

function schemaComplaint(value: string): Complaint | null {
  if (absoluteUri.test(value)) return null
  return invalid(`dataschema has to be an absolute URI, such as https://example.com/schema; this is ${shown(value)}.`)
}

function contentTypeComplaint(value: string): Complaint | null {
  if (parseMediaType(value) !== undefined) return null
  const rule = "a media type (RFC 2046), such as application/json"
  return invalid(`datacontenttype has to be ${rule}; this is ${shown(value)}.`)
}

function momentComplaint(value: string, now: number): Complaint | null {
  const at = parseTime(value)
  if (at !== undefined) return timeComplaint("time", at, now)
  return invalid(`time has to be an RFC 3339 time, such as 2026-11-21T10:00:00Z; this is ${shown(value)}.`)
}

/** CloudEvents says so of its own attributes, and we of those that are fields of ours. */
function notAString(name: string, value: number | boolean): Complaint {
  const message = `${name} has to be a string; this is ${value}.`
  return core.has(name) ? invalid(message) : { kind: "wrong", code: "invalid_field", message }
}

function missing(name: string): Complaint {
  const what = "every CloudEvent has specversion, id, source and type"
  return { kind: "malformed", code: "missing_field", message: `${name} is missing: ${what}.` }
}

function empty(name: string): Complaint {
  return invalid(`${name} is empty: give it a value${name === "subject" ? " or leave it out" : ""}.`)
}

function invalid(message: string): Complaint {
  return { kind: "malformed", code: "invalid_attribute", message }
}
