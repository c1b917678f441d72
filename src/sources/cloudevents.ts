/**
 * CloudEvents 1.0 over HTTP, in its three modes (CE-1):
 *
 *     structured   Content-Type: application/cloudevents+json          one JSON object, attributes and data
 *     batch        Content-Type: application/cloudevents-batch+json    a JSON list of them; may be empty
 *     binary       any other type, attributes in `ce-…` headers        the body is the data
 *
 * In a batch each event is read by itself: one that is refused holds back no other. Data is kept as it came: JSON byte for
 * byte (API-14), a string of another type as that string (CE-14), `data_base64` and all other bodies as bytes (CE-12).
 * `null` as data is a value, no data is none (CE-11).
 */
import { elementSpans } from "../domain/json-spans.ts"
import { isUtf8Type, parseMediaType } from "../domain/media-type.ts"
import { type CloudRequest, readBinary } from "./cloud-binary.ts"
import { readStructured } from "./cloud-structured.ts"
import {
  type BatchReading,
  batchComplaint,
  type Faults,
  jsonComplaint,
  MAX_BATCH_DEPTH,
  notUtf8,
  type Reading,
  type ReadLimits,
  refused,
  shown,
  utf8Text,
} from "./source.ts"

/** How a CloudEvent travels over HTTP. */
export type CloudMode = "structured" | "batch" | "binary"

const mandatory = ["ce-specversion", "ce-id", "ce-source", "ce-type"]

/**
 * The mode of a request, or null where it is no CloudEvent; headers by their names in small letters. One of the four
 * mandatory headers is enough to be taken for the binary mode: who forgot another one is told so, instead of being told
 * that an event of ours looks different.
 */
export function cloudModeOf(contentType: string, headers: Readonly<Record<string, unknown>>): CloudMode | null {
  const type = contentType.trimStart().toLowerCase()
  if (type.startsWith("application/cloudevents-batch")) return "batch"
  if (type.startsWith("application/cloudevents")) return "structured"
  return mandatory.some(name => headers[name] !== undefined) ? "binary" : null
}

/** Reads a request in the mode that `cloudModeOf` has found. */
export function readCloudEvent(mode: CloudMode, request: CloudRequest, limits: ReadLimits): Reading | BatchReading {
  switch (mode) {
    case "batch":
      return readJsonFormat(request, "application/cloudevents-batch", text => readBatch(text, limits))
    case "structured":
      return readJsonFormat(request, "application/cloudevents", text => {
        return readStructured(text, { start: 0, end: text.length }, "", limits)
      })
    case "binary":
      return readBinary(request, limits)
  }
}

/** The JSON format is the only one that is known here (CE-2, CE-3). The type without a format counts as it. */
function readJsonFormat<Read>(
  { contentType, body }: CloudRequest,
  type: string,
  read: (text: string) => Read,
): Read | Faults {
  const media = parseMediaType(contentType.trim())
  if (media === undefined || (media.essence !== type && media.essence !== `${type}+json`)) {
    return unsupported(`${shown(contentType)} is a format of CloudEvents that is not known here: send ${type}+json.`)
  }
  if (!isUtf8Type(media)) return unsupported(`JSON is sent as UTF-8, not as ${shown(media.charset ?? "")}.`)
  const text = utf8Text(body)
  return text === null ? { kind: "faults", faults: [notUtf8] } : read(text)
}

function readBatch(text: string, limits: ReadLimits): BatchReading {
  const found = elementSpans(text, MAX_BATCH_DEPTH)
  if (found.kind === "other") {
    const message = `A batch is a list of events; this is ${found.found}.`
    return refused("", { kind: "malformed", code: "not_a_list", message })
  }
  if (found.kind !== "elements") return refused("", jsonComplaint(found, "The body"))
  const count = found.elements.length
  if (count > limits.maxBatch) return refused("", batchComplaint(count, limits.maxBatch))
  return { kind: "batch", readings: found.elements.map((element, i) => readStructured(text, element, `/${i}`, limits)) }
}

function unsupported(message: string): Faults {
  return refused("", { kind: "unsupported_media_type", code: "unsupported_media_type", message })
}
