/**
 * What is kept of a refused body: of a batch one event; in a project with private fields what readers may see. What was refused
 * may be of any type, so every field that is private in any of the project's events is masked; and as it may be wrong in any
 * way, only what is known to be no data stays: fields of an envelope keep their values, data is masked, all else goes. What
 * cannot be read is not kept at all.
 */
import { elementSpans, memberSpans, type Span, spaceEnd } from "../domain/json-spans.ts"
import { MASK, maskJson, type PrivateFields } from "../domain/private-fields.ts"
import type { CloudMode } from "./cloudevents.ts"
import { MAX_BATCH_DEPTH, utf8Text } from "./source.ts"
import { nativeFields } from "./waybill.ts"

/** Fields whose values stay: those of Waybill's own form, and the attributes of a CloudEvent that the specification names. */
const kept: readonly string[] = [
  ...nativeFields.filter(field => field !== "data"),
  ...["specversion", "source", "subject", "time", "datacontenttype", "dataschema"],
]

/** The body without what may be private; empty where that cannot be told. `mode`: null for Waybill's own form. */
export function maskRefused(body: Uint8Array, mode: CloudMode | null, fields: PrivateFields): Uint8Array {
  const text = utf8Text(body)
  const masked = text === null ? null : mode === "binary" ? maskData(text, whole(text), fields) : maskBody(text, fields)
  return Buffer.from(masked ?? "")
}

/** One event of a batch, in either form, as it stands in the body; empty where there is none at that place. */
export function eventOfBatch(body: Uint8Array, index: number): Uint8Array {
  const text = utf8Text(body)
  if (text === null) return Buffer.from("")
  const members = memberSpans(text, MAX_BATCH_DEPTH)
  const part = members.kind === "members" ? members.members.find(({ key }) => key === "events") : whole(text)
  const list = part === undefined ? undefined : elementSpans(text, MAX_BATCH_DEPTH, part)
  const event = list?.kind === "elements" ? list.elements[index] : undefined
  return Buffer.from(event === undefined ? "" : text.slice(event.start, event.end))
}

function maskBody(text: string, fields: PrivateFields): string | null {
  const members = memberSpans(text, MAX_BATCH_DEPTH)
  if (members.kind === "members") {
    const events = members.members.find(({ key }) => key === "events")
    return events === undefined || members.members.length > 1
      ? maskEnvelope(text, whole(text), fields)
      : `{"events":${maskList(text, events, fields) ?? quoted}}`
  }
  return members.kind === "other" ? maskList(text, whole(text), fields) : null
}

/** A batch: its events one after the other. */
function maskList(text: string, part: Span, fields: PrivateFields): string | null {
  const list = elementSpans(text, MAX_BATCH_DEPTH, part)
  if (list.kind !== "elements") return null
  return `[${list.elements.map(event => maskEnvelope(text, event, fields) ?? quoted).join(",")}]`
}

function maskEnvelope(text: string, part: Span, fields: PrivateFields): string | null {
  const envelope = memberSpans(text, MAX_BATCH_DEPTH, part)
  if (envelope.kind !== "members") return null
  const members = envelope.members.map(member => {
    const value = text.slice(member.start, member.end)
    const isScalar = !value.startsWith("{") && !value.startsWith("[")
    const shown =
      member.key === "data" ? maskData(text, member, fields) : kept.includes(member.key) && isScalar ? value : quoted
    return `${JSON.stringify(member.key)}:${shown ?? quoted}`
  })
  return `{${members.join(",")}}`
}

/** Data that is no object and no list may be of another media type, of which all is private. */
function maskData(text: string, part: Span, fields: PrivateFields): string | null {
  const data = text.slice(spaceEnd(text, part.start), part.end)
  const isList = data.startsWith("[")
  if (!isList && !data.startsWith("{")) return null
  const read = isList ? elementSpans(data, MAX_BATCH_DEPTH) : memberSpans(data, MAX_BATCH_DEPTH)
  return read.kind === "members" || read.kind === "elements" ? (maskJson(data, fields) ?? data) : null
}

function whole(text: string): Span {
  return { start: 0, end: text.length }
}

const quoted = JSON.stringify(MASK)
