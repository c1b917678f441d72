/** A CloudEvent in the JSON format: attributes and data as members of one object (CE json-format 1.0). */
import type { Payload } from "../domain/event.ts"
import { pointerTo } from "../domain/json-pointer.ts"
import { MAX_DEPTH, type Member, memberSpans, readString, type Span } from "../domain/json-spans.ts"
import { isJsonType, parseMediaType } from "../domain/media-type.ts"
import {
  type Attribute,
  AttributeSet,
  type Attributes,
  nameComplaint,
  type Place,
  stringComplaint,
} from "./cloud-attributes.ts"
import {
  duplicateComplaint,
  isTooLarge,
  jsonComplaint,
  malformed,
  placeOfMember,
  type Reading,
  type ReadLimits,
  refused,
  type SourceFault,
  shown,
  sizeComplaint,
} from "./source.ts"

/** Reads the event in a part of the text, which is all of it or has been checked. Headers count for nothing (CE-17). */
export function readStructured(text: string, part: Span, pointer: string, limits: ReadLimits): Reading {
  if (isTooLarge(text, part, limits.maxEventBytes)) return refused(pointer, sizeComplaint(limits.maxEventBytes))
  const found = memberSpans(text, MAX_DEPTH + 1, part)
  if (found.kind === "other") {
    return refused(pointer, malformed("not_an_object", `A CloudEvent is an object; this is ${found.found}.`))
  }
  if (found.kind !== "members") return refused(pointer, jsonComplaint(found, pointer === "" ? "The body" : "The event"))
  const { duplicate } = found
  if (duplicate !== null) return refused(placeOfMember(pointer, duplicate), duplicateComplaint(duplicate))
  const collected = new AttributeSet()
  for (const member of found.members) {
    if (member.key === "data" || member.key === "data_base64") continue
    collected.add(member.key, readMember(text, member, placeOfMember(pointer, member.key)))
  }
  const payload = collected.payload(readData(text, found.members, collected.attributes, pointer))
  return collected.finish(payload, name => ({ pointer: pointerTo(pointer, name) }), limits)
}

/** An attribute of the JSON format, null where it is not set, or what is wrong with it. */
function readMember(text: string, { key, start, end }: Member, pointer: string): Attribute | SourceFault | null {
  const raw = text.slice(start, end)
  if (raw === "null") return null
  const place: Place = { pointer }
  const complaint = nameComplaint(key)
  if (complaint !== null) return { ...complaint, ...place }
  if (raw === "true" || raw === "false") return { value: raw === "true", place }
  if (raw.startsWith('"')) {
    const value = readString(text, start, end)
    const wrong = stringComplaint(key, value)
    return wrong === null ? { value, place } : { ...wrong, ...place }
  }
  // A signed integer of 32 bits, written as one (CE-7).
  if (/^-?\d{1,10}$/.test(raw) && Number(raw) === (Number(raw) | 0)) return { value: Number(raw), place }
  const rule = "a string, true, false or an integer from -2147483648 to 2147483647"
  return { ...malformed("invalid_attribute", `${key} has to be ${rule}.`), ...place }
}

function readData(
  text: string,
  members: readonly Member[],
  attributes: Attributes,
  pointer: string,
): Payload | SourceFault {
  const data = members.find(({ key }) => key === "data")
  const base64 = members.find(({ key, start, end }) => key === "data_base64" && text.slice(start, end) !== "null")
  const declared = attributes.get("datacontenttype")?.value
  const mediaType = typeof declared === "string" ? declared : null
  if (base64 === undefined) return data === undefined ? { kind: "none" } : readValue(text, data, mediaType, pointer)
  const place: Place = { pointer: pointerTo(pointer, "data_base64") }
  const twice = "An event has data or data_base64, never both."
  if (data !== undefined) return { ...malformed("invalid_field", twice), ...place }
  const bytes = decodeBase64(text, base64)
  if (bytes !== null) return { kind: "bytes", bytes, mediaType }
  const message = "data_base64 has to be a string in base64 (RFC 4648), padded with =."
  return { ...malformed("invalid_field", message), ...place }
}

/** The member `data`: a JSON value where the content is JSON, which it is if nothing is declared (CE-13), else a string. */
function readValue(text: string, data: Span, mediaType: string | null, pointer: string): Payload | SourceFault {
  const raw = text.slice(data.start, data.end)
  const media = mediaType === null ? undefined : parseMediaType(mediaType)
  if (mediaType === null || media === undefined || isJsonType(media)) return { kind: "json", text: raw }
  const value = raw.startsWith('"') ? readString(text, data.start, data.end) : null
  if (value?.isWellFormed()) return { kind: "text", text: value, mediaType }
  const message = `data of the type ${shown(mediaType)} has to be a string of whole characters; other data goes into data_base64.`
  return { ...malformed("invalid_field", message), pointer: pointerTo(pointer, "data") }
}

/** What a base64 string stands for; null for one that an encoder would not have written. */
function decodeBase64(text: string, { start, end }: Span): Uint8Array | null {
  if (text.charAt(start) !== '"') return null
  const encoded = readString(text, start, end)
  const bytes = Buffer.from(encoded, "base64")
  return bytes.toString("base64") === encoded ? bytes : null
}
