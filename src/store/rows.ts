/** Rows of events, payloads and deliveries, and how they become the values that the rest of Waybill works with. */
import type { CloudAttributes, Environment, Event, Payload } from "../domain/event.ts"
import { list, raw, type Sql, sql } from "./database.ts"

/** The columns of `event` that make an Event. */
export interface EventRow {
  readonly project_id: number
  readonly id: number
  readonly type: string
  readonly source: string
  readonly external_id: string | null
  readonly environment: Environment
  readonly app_id: number | null
  readonly app: string | null
  readonly profile_id: string | null
  readonly device_id: string | null
  readonly source_record: string | null
  readonly ordering_key: string | null
  readonly occurred_at: number
  readonly received_at: number
  readonly historical: number
  readonly test: number
  readonly cloud: string | null
  readonly payload_part: number
  readonly payload_bytes: number
  readonly payload_expires_at: number
}

export const eventColumnNames = `
  e.project_id, e.id, e.type, e.source, e.external_id, e.environment, e.app_id,
  (select name from app where app.id = e.app_id) as app, e.profile_id, e.device_id, e.source_record, e.ordering_key,
  e.occurred_at, e.received_at, e.historical, e.test, e.cloud, e.payload_part, e.payload_bytes, e.payload_expires_at`

/** The columns of an EventRow, from a table called `e`. */
export const eventColumns: Sql = { parts: [eventColumnNames], values: [] }

export interface PayloadRow {
  /** `masked_…`: what readers see of data with private fields. */
  readonly kind: "json" | "text" | "bytes" | "masked_json" | "masked_text"
  readonly data: string | Uint8Array
  readonly media_type: string | null
}

/** The event of a row and its payload. */
export function eventOfRow(row: EventRow, payload: Payload): Event {
  return {
    id: row.id,
    project: row.project_id,
    type: row.type,
    payload,
    externalId: row.external_id,
    source: row.source,
    environment: row.environment,
    app: row.app,
    appId: row.app_id,
    profileId: row.profile_id,
    deviceId: row.device_id,
    sourceRecord: row.source_record,
    orderingKey: row.ordering_key,
    historical: row.historical === 1,
    cloud: row.cloud === null ? null : (JSON.parse(row.cloud) as CloudAttributes),
    receivedAt: row.received_at,
    occurredAt: row.occurred_at,
    test: row.test === 1,
  }
}

/** The payload of a row; part 0 stands for an event without data. Undefined where the row has gone. */
export function payloadOfRow(part: number, row: PayloadRow | undefined): Payload | undefined {
  if (part === 0) return { kind: "none" }
  if (row === undefined) return undefined
  switch (row.kind) {
    case "json":
      return { kind: "json", text: textOf(row.data) }
    case "text":
      return { kind: "text", text: textOf(row.data), mediaType: row.media_type ?? "text/plain" }
    case "bytes":
      return {
        kind: "bytes",
        bytes: bytesOf(row.data),
        mediaType: row.media_type,
      }
    case "masked_json":
      return { kind: "json", text: textOf(row.data), masked: true }
    case "masked_text":
      return { kind: "text", text: textOf(row.data), mediaType: row.media_type ?? "text/plain", masked: true }
  }
}

/** The kind of a payload as its row has it. */
export function kindOf(payload: Payload): PayloadRow["kind"] | "none" {
  return isMasked(payload) ? (payload.kind === "json" ? "masked_json" : "masked_text") : payload.kind
}

/** Whether it is what readers see of data with private fields. */
export function isMasked(payload: Payload): boolean {
  return "masked" in payload && payload.masked === true
}

function bytesOf(data: string | Uint8Array): Uint8Array {
  const bytes = typeof data === "string" ? Buffer.from(data) : data
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** PostgreSQL keeps text as its bytes. */
function textOf(data: string | Uint8Array): string {
  return typeof data === "string" ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()
}

/** Selects the payloads of some events that lie in one part. The part's number is ours, never a user's. */
export function selectPayloads(part: number, events: readonly number[]): Sql {
  return sql`select event_id, kind, data, media_type from ${raw(`payload_${part}`)} where event_id in ${list(events)}`
}
