/** What happened: an event as it is kept, and the one function that gives its status. */
import type { AppId, EventId, IntegrationId, ProjectId } from "./id.ts"
import type { ReasonCode } from "./reason.ts"

export type Environment = "production" | "sandbox"
export const environments = ["production", "sandbox"] as const

/**
 * What came in as `data`. `json` is the raw text of a JSON value, kept byte for byte (API-14); `text` a string of
 * another media type; `bytes` anything else; `none` an event without data, which differs from `null` (CE-11). `masked`: what
 * readers see of one with private fields, never what is sent.
 */
export type Payload =
  | { readonly kind: "json"; readonly text: string; readonly masked?: true }
  | { readonly kind: "text"; readonly text: string; readonly mediaType: string; readonly masked?: true }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array; readonly mediaType: string | null }
  | { readonly kind: "none" }

/** What is private of an event. */
export interface Privacy {
  /** JSON pointers into `data`: those that were named when it came in. */
  readonly pointers: readonly string[]
  /** Its payload as readers see it. */
  readonly masked: Payload
}

/** The attributes of a CloudEvent that have no field of ours, so that they can be sent on as they came (CE-6). */
export interface CloudAttributes {
  readonly subject?: string
  readonly dataschema?: string
  readonly datacontenttype?: string
  /** As it was written: the precision of an RFC 3339 time is not ours to change. */
  readonly time?: string
  readonly extensions: Readonly<Record<string, string | number | boolean>>
}

/** An event as its sender describes it, read from any of the forms that ingest takes. */
export interface EventDraft {
  readonly type: string
  readonly payload: Payload
  /** The sender's own id, unique per project and source. */
  readonly externalId: string | null
  /** `api`, a CloudEvent's `source`, or the id of a configured source. */
  readonly source: string
  readonly occurredAt: number | null
  readonly environment: Environment
  readonly app: string | null
  readonly profileId: string | null
  readonly deviceId: string | null
  readonly sourceRecord: string | null
  readonly orderingKey: string | null
  readonly historical: boolean
  readonly cloud: CloudAttributes | null
}

/** An accepted event. Immutable but for its status. */
export interface Event extends Omit<EventDraft, "occurredAt"> {
  readonly id: EventId
  readonly project: ProjectId
  readonly receivedAt: number
  readonly occurredAt: number
  readonly appId: AppId | null
  /** Made by `POST /v1/integrations/{id}/test`: counted in no history, rate or protection. */
  readonly test: boolean
}

/** Integrations that did not get the event, by the reason why. */
export type Withheld = Readonly<Partial<Record<ReasonCode, readonly IntegrationId[]>>>

export const eventStatuses = ["received", "processing", "delivered", "retrying", "failed"] as const
export type EventStatus = (typeof eventStatuses)[number]

/** How many of an event's deliveries stand where; the column `status` is generated from these counts. */
export interface EventCounts {
  /** pending or sending */
  readonly open: number
  /** retrying or skipped */
  readonly retrying: number
  readonly failed: number
  readonly delivered: number
  /** Withholdings that someone has to act on. */
  readonly red: number
}

/** The event's status. The database computes the same in a generated column; a test compares the two. */
export function eventStatus(counts: EventCounts): EventStatus {
  if (counts.failed > 0 || counts.red > 0) return "failed"
  if (counts.retrying > 0) return "retrying"
  if (counts.open > 0) return "processing"
  if (counts.delivered > 0) return "delivered"
  return "received"
}
