/** A CloudEvent in the binary mode of HTTP: attributes in `ce-…` headers, the body is the data (CE http 3.1). */
import type { Payload } from "../domain/event.ts"
import { jsonFault, MAX_DEPTH } from "../domain/json-spans.ts"
import { isJsonType, isTextType, isUtf8Type, type MediaType, parseMediaType } from "../domain/media-type.ts"
import { type Attribute, AttributeSet, nameComplaint, type Place, stringComplaint } from "./cloud-attributes.ts"
import { decodeHeader } from "./cloud-header.ts"
import {
  jsonComplaint,
  malformed,
  notUtf8,
  type Reading,
  type ReadLimits,
  refused,
  type SourceFault,
  shown,
  sizeComplaint,
  utf8Text,
} from "./source.ts"

/** A request that carries a CloudEvent. */
export interface CloudRequest {
  /** Empty where the request has none. */
  readonly contentType: string
  /** Names and values in turn, as they came (`rawHeaders` of Node): one that is sent twice can be seen there. */
  readonly rawHeaders: readonly string[]
  /** Decompressed. */
  readonly body: Uint8Array
}

/** Reads the binary mode: attributes from the headers, data from the body. */
export function readBinary({ contentType, rawHeaders, body }: CloudRequest, limits: ReadLimits): Reading {
  if (body.byteLength > limits.maxEventBytes) return refused("", sizeComplaint(limits.maxEventBytes))
  const collected = new AttributeSet()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const header = (rawHeaders[i] ?? "").toLowerCase()
    if (!header.startsWith("ce-")) continue
    const name = header.slice("ce-".length)
    const isRepeated = collected.attributes.has(name)
    collected.add(name, isRepeated ? repeated(header) : readHeader(header, name, rawHeaders[i + 1] ?? ""))
  }
  if (contentType !== "") {
    // Its own rule, that of media types, is stricter than the one for all attributes.
    collected.add("datacontenttype", { value: contentType, place: { pointer: "", header: "content-type" } })
  }
  const payload = collected.payload(readBody(contentType, body))
  return collected.finish(payload, name => ({ pointer: "", header: `ce-${name}` }), limits)
}

function repeated(header: string): SourceFault {
  return { ...malformed("duplicate_field", `${header} is sent twice, and only one can be meant.`), pointer: "", header }
}

function readHeader(header: string, name: string, encoded: string): Attribute | SourceFault {
  const place: Place = { pointer: "", header }
  if (name === "datacontenttype") {
    const message = "The type of the data is said by Content-Type: send no ce-datacontenttype beside it."
    return { ...malformed("invalid_attribute", message), ...place }
  }
  const value = decodeHeader(encoded)
  if (value === null) {
    const message = `${header} does not decode to UTF-8: percent-encode it as CloudEvents says.`
    return { ...malformed("invalid_attribute", message), ...place }
  }
  const complaint = nameComplaint(name) ?? stringComplaint(name, value)
  return complaint === null ? { value, place } : { ...complaint, ...place }
}

/** The body of the binary mode, by its media type. Without one nothing is assumed of it. */
function readBody(contentType: string, body: Uint8Array): Payload | SourceFault {
  if (body.byteLength === 0) return { kind: "none" }
  const media = parseMediaType(contentType)
  if (media === undefined) return { kind: "bytes", bytes: body, mediaType: null }
  if (isJsonType(media)) return readJsonBody(media, body)
  const text = isTextType(media) && isUtf8Type(media) ? utf8Text(body) : null
  return text === null
    ? { kind: "bytes", bytes: body, mediaType: contentType }
    : { kind: "text", text, mediaType: contentType }
}

function readJsonBody(media: MediaType, body: Uint8Array): Payload | SourceFault {
  const place: Place = { pointer: "" }
  if (!isUtf8Type(media)) {
    const message = `JSON is sent as UTF-8, not as ${shown(media.charset ?? "")}.`
    return { kind: "unsupported_media_type", code: "unsupported_media_type", message, ...place }
  }
  const text = utf8Text(body)
  if (text === null) return notUtf8
  const fault = jsonFault(text, MAX_DEPTH)
  return fault === null ? { kind: "json", text } : { ...jsonComplaint(fault, "The body"), ...place }
}
