/** Events as the API shows them, with or without their payload. */
import { type Static, Type } from "typebox"
import { eventStatuses, type Payload } from "../domain/event.ts"
import { formatId, type IntegrationId } from "../domain/id.ts"
import type { EventSummary } from "../store/event-reads.ts"
import { isMasked } from "../store/rows.ts"
import { jsonText, type RawJson } from "./raw-json.ts"
import { Environment, Nullable, Time, timeText } from "./schemas.ts"

export const eventSummaryFields = {
  id: Type.String({ examples: ["evt_01j9zq4kx2m"] }),
  external_id: Nullable(Type.String({ description: "The sender's own id." })),
  type: Type.String(),
  source: Type.String({ description: "`api`, or the source of a CloudEvent." }),
  environment: Environment,
  app: Nullable(Type.String()),
  profile_id: Nullable(Type.String()),
  device_id: Nullable(Type.String()),
  source_record: Nullable(Type.String()),
  ordering_key: Nullable(Type.String()),
  occurred_at: Time,
  received_at: Time,
  historical: Type.Boolean({ description: "Imported history: it was delivered nowhere." }),
  test: Type.Boolean({ description: "Made to try an integration out; counted nowhere." }),
  key: Nullable(Type.String({ description: "The API key that brought it; null for a token of the portal." })),
  status: Type.Enum([...eventStatuses], {
    description:
      "`failed` if any delivery failed or someone has to act on a withholding; else `retrying`, `processing`, `delivered` if any is; else `received`.",
  }),
  counts: Type.Object(
    {
      open: Type.Integer({ description: "Pending or being sent." }),
      retrying: Type.Integer(),
      delivered: Type.Integer(),
      failed: Type.Integer(),
      withheld_red: Type.Integer({ description: "Withheld for a reason that someone has to act on." }),
    },
    { description: "Of its deliveries." },
  ),
  payload_bytes: Type.Integer(),
  payload_expired: Type.Boolean({ description: "The payload is no longer kept." }),
  payload_expires_at: Time,
}

export const EventSummaryView = Type.Object(eventSummaryFields)
export type EventSummaryView = Static<typeof EventSummaryView>

/** What the payload adds to an event. */
export const payloadFields = {
  payload: Type.Unknown({
    description:
      "As it came in, byte for byte where it is JSON. null without data, once it has expired, and where it is hidden.",
  }),
  payload_hidden: Type.Boolean({ description: "Left out: it is read with the scope `payloads:read`." }),
  payload_encoding: Nullable(Type.Enum(["json", "text", "base64"], { description: "null where there is no payload." })),
  payload_media_type: Nullable(Type.String()),
  payload_masked: Type.Boolean({
    description: 'Values of private fields read "[private]" in it; receivers got them whole.',
  }),
}

/** The records that destinations gave for an event. */
export const DestinationRecords = Type.Array(Type.Object({ integration: Type.String(), record: Type.String() }), {
  description: "Of the first 20 integrations that it went to; the event itself shows all.",
})

export function viewOfSummary(event: EventSummary, now: number): EventSummaryView {
  const { counts } = event
  return {
    id: formatId("evt", event.id),
    external_id: event.externalId,
    type: event.type,
    source: event.source,
    environment: event.environment,
    app: event.app,
    profile_id: event.profileId,
    device_id: event.deviceId,
    source_record: event.sourceRecord,
    ordering_key: event.orderingKey,
    occurred_at: timeText(event.occurredAt),
    received_at: timeText(event.receivedAt),
    historical: event.historical,
    test: event.test,
    key: event.key === null ? null : formatId("key", event.key),
    status: event.status,
    counts: {
      open: counts.open,
      retrying: counts.retrying,
      delivered: counts.delivered,
      failed: counts.failed,
      withheld_red: counts.red,
    },
    payload_bytes: event.payloadBytes,
    payload_expired: event.payloadExpiresAt <= now,
    payload_expires_at: timeText(event.payloadExpiresAt),
  }
}

/** What is to be shown of a payload; undefined: it has expired. */
export type ShownPayload = Payload | "hidden" | undefined

/** The JSON text of an event with its payload and further members. */
export function textOfEvent(
  event: EventSummary,
  shown: ShownPayload,
  now: number,
  members: Readonly<Record<string, unknown>> = {},
  raws: Readonly<Record<string, RawJson>> = {},
): string {
  const payload = shown === "hidden" ? undefined : shown
  const encoding = payload === undefined ? null : encodings[payload.kind]
  const summary = viewOfSummary(event, now)
  const own = {
    ...summary,
    // Where its bytes went earlier than their time, that is what it is too.
    payload_expired: shown === "hidden" ? summary.payload_expired : shown === undefined,
    payload_hidden: shown === "hidden",
    payload_encoding: encoding,
    payload_media_type: payload?.kind === "text" || payload?.kind === "bytes" ? payload.mediaType : null,
    payload_masked: payload !== undefined && isMasked(payload),
    ...members,
  }
  return jsonText(own, { payload: rawPayload(payload), ...raws })
}

export function viewOfRecords(records: readonly { readonly integration: IntegrationId; readonly record: string }[]) {
  return records.map(({ integration, record }) => ({ integration: formatId("int", integration), record }))
}

const encodings = { json: "json", text: "text", bytes: "base64", none: null } as const

function rawPayload(payload: Payload | undefined): RawJson {
  switch (payload?.kind) {
    case undefined:
    case "none":
      return { raw: "null" }
    case "json":
      return { raw: payload.text }
    case "text":
      return { raw: JSON.stringify(payload.text) }
    case "bytes":
      return { raw: JSON.stringify(payload.bytes.toBase64()) }
  }
}
