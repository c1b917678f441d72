/** Events as people read them: what is known of one without its payload, and one event with it. */
import type { Environment, Event, EventCounts, EventStatus, Payload, Withheld } from "../domain/event.ts"
import type { AppId, EventId, IntegrationId, KeyId, ProjectId } from "../domain/id.ts"
import { list, type Sql, sql } from "./database.ts"
import { isReadable, rowsOfPart } from "./kept.ts"
import type { Reader } from "./reader.ts"
import { type EventRow, eventColumns, eventOfRow, type PayloadRow, payloadOfRow, selectPayloads } from "./rows.ts"

/** An event without its payload. */
export interface EventSummary {
  readonly id: EventId
  readonly project: ProjectId
  readonly type: string
  readonly source: string
  readonly externalId: string | null
  readonly environment: Environment
  readonly app: string | null
  readonly appId: AppId | null
  readonly profileId: string | null
  readonly deviceId: string | null
  readonly sourceRecord: string | null
  readonly orderingKey: string | null
  readonly occurredAt: number
  readonly receivedAt: number
  readonly historical: boolean
  readonly test: boolean
  /** The API key that brought it. */
  readonly key: KeyId | null
  readonly status: EventStatus
  readonly counts: EventCounts
  readonly payloadBytes: number
  readonly payloadExpiresAt: number
  /** Where its payload lies; 0: it came without one. */
  readonly payloadPart: number
}

/** One event with all that the store has of it. */
export interface KeptEvent {
  readonly summary: EventSummary
  /** With its payload; null where that has expired. */
  readonly event: Event | null
  /** The integrations that it went to. */
  readonly targets: readonly IntegrationId[]
  readonly withheld: Withheld
}

export interface SummaryRow extends EventRow {
  readonly key_id: number | null
  readonly status: EventStatus
  readonly n_open: number
  readonly n_retrying: number
  readonly n_failed: number
  readonly n_delivered: number
  readonly n_red: number
}

/** The columns of a SummaryRow, from a table called `e`. */
export const summaryColumns: Sql = sql`${eventColumns}, e.key_id, e.status, e.n_open, e.n_retrying, e.n_failed,
  e.n_delivered, e.n_red`

/** What a row says of its event. */
export function summaryOfRow(row: SummaryRow): EventSummary {
  return {
    id: row.id,
    project: row.project_id,
    type: row.type,
    source: row.source,
    externalId: row.external_id,
    environment: row.environment,
    app: row.app,
    appId: row.app_id,
    profileId: row.profile_id,
    deviceId: row.device_id,
    sourceRecord: row.source_record,
    orderingKey: row.ordering_key,
    occurredAt: row.occurred_at,
    receivedAt: row.received_at,
    historical: row.historical === 1,
    test: row.test === 1,
    key: row.key_id,
    status: row.status,
    counts: {
      open: row.n_open,
      retrying: row.n_retrying,
      failed: row.n_failed,
      delivered: row.n_delivered,
      red: row.n_red,
    },
    payloadBytes: row.payload_bytes,
    payloadExpiresAt: row.payload_expires_at,
    payloadPart: row.payload_part,
  }
}

/** One event with its payload; undefined where the project has none of that id, or no longer. Primary key of `event`. */
export async function readEvent(
  db: Reader,
  project: ProjectId,
  id: EventId,
  now: number,
): Promise<KeptEvent | undefined> {
  const [row] = await db.query<SummaryRow & { readonly targets: string; readonly withheld: string }>(sql`
    select ${summaryColumns}, e.targets, e.withheld from event e
    where e.project_id = ${project} and e.id = ${id} and ${isReadable(now)}`)
  if (row === undefined) return undefined
  const summary = summaryOfRow(row)
  const payload = (await readPayloads(db, [summary], now)).get(id)
  return {
    summary,
    event: payload === undefined ? null : eventOfRow(row, payload),
    targets: JSON.parse(row.targets) as IntegrationId[],
    withheld: JSON.parse(row.withheld) as Withheld,
  }
}

/** To which integrations some events went, and from which they were withheld and why, by event. Primary key of `event`. */
export async function readRouting(
  db: Reader,
  project: ProjectId,
  events: readonly EventId[],
): Promise<Map<EventId, Pick<KeptEvent, "targets" | "withheld">>> {
  if (events.length === 0) return new Map()
  const rows = await db.query<{ readonly id: number; readonly targets: string; readonly withheld: string }>(sql`
    select id, targets, withheld from event where project_id = ${project} and id in ${list(events)}`)
  return new Map(
    rows.map(({ id, targets, withheld }) => [
      id,
      { targets: JSON.parse(targets) as IntegrationId[], withheld: JSON.parse(withheld) as Withheld },
    ]),
  )
}

/** The payloads of events, by event; those that have expired are not there. Primary key of `payload_<part>`. */
export async function readPayloads(
  db: Reader,
  events: readonly Pick<EventSummary, "id" | "payloadPart" | "payloadExpiresAt">[],
  now: number,
): Promise<Map<EventId, Payload>> {
  const payloads = new Map<EventId, Payload>()
  const byPart = Map.groupBy(
    events.filter(event => event.payloadExpiresAt > now),
    event => event.payloadPart,
  )
  for (const [part, group] of byPart) {
    const ids = group.map(event => event.id)
    const rows =
      part === 0 ? [] : await rowsOfPart(db.query<PayloadRow & { event_id: number }>(selectPayloads(part, ids)))
    const byEvent = new Map(rows.map(row => [row.event_id, row]))
    for (const id of ids) {
      const payload = payloadOfRow(part, byEvent.get(id))
      if (payload !== undefined) payloads.set(id, payload)
    }
  }
  return payloads
}
