/** Deliveries as people read them: one, those of an event, those of an integration. */
import type { DeliveryStatus, Facts, Reason } from "../domain/delivery.ts"
import type { Environment } from "../domain/event.ts"
import type { AppId, AttemptId, DeliveryId, EventId, IntegrationId, ProjectId, RecoveryId } from "../domain/id.ts"
import type { ReasonCode } from "../domain/reason.ts"
import { list, type Sql, sql } from "./database.ts"
import { firstTargets } from "./first-targets.ts"
import { isReadable } from "./kept.ts"
import type { Reader } from "./reader.ts"
import { along } from "./walk.ts"

/** A delivery with what its readers want to know of its event. */
export interface DeliveryRecord {
  readonly id: DeliveryId
  readonly project: ProjectId
  readonly status: DeliveryStatus
  /** Null while it is being sent and once it is delivered. */
  readonly reason: Reason | null
  /** When it is due; null where nothing more happens by itself, or is happening now. */
  readonly nextAt: number | null
  /** Set where it is delivered in the order of its key. */
  readonly orderingKey: string | null
  /** What stands in front of it in the line of its key; null where it is in no line, or in front itself. */
  readonly behind: { readonly id: DeliveryId; readonly status: DeliveryStatus } | null
  /** It has failed and holds those behind it in the line of its key. */
  readonly blocksKey: boolean
  /** The revision of the integration that its last attempt was made with; null before the first. */
  readonly revision: number | null
  /** Attempts in all. */
  readonly attempts: number
  /** Attempts that used up a retry since the schedule began. */
  readonly charged: number
  readonly lastAttempt: AttemptId | null
  /** The recovery that made it due last; null where it was none. */
  readonly recovery: RecoveryId | null
  /** The id that the destination gave the record. */
  readonly record: string | null
  readonly createdAt: number
  readonly updatedAt: number
  readonly event: {
    readonly id: EventId
    readonly type: string
    readonly environment: Environment
    readonly app: AppId | null
    readonly source: string
    readonly test: boolean
    readonly receivedAt: number
    readonly payloadExpiresAt: number
  }
}

export interface DeliveryRow {
  readonly integration_id: number
  readonly event_id: number
  readonly project_id: number
  readonly status: DeliveryStatus
  readonly reason: ReasonCode | null
  readonly facts: string | null
  readonly next_at: number | null
  readonly ordering_key: string | null
  readonly front_event: number | null
  readonly front_status: DeliveryStatus | null
  readonly blocks_key: number
  readonly revision: number | null
  readonly attempts: number
  readonly charged: number
  readonly last_attempt_id: number | null
  readonly recovery_id: number | null
  readonly record_id: string | null
  readonly created_at: number
  readonly updated_at: number
  readonly type: string
  readonly environment: Environment
  readonly app_id: number | null
  readonly source: string
  readonly test: number
  readonly received_at: number
  readonly payload_expires_at: number
}

/** One that waits behind another asks who is in front. Index delivery_in_line. */
const frontOf = (column: Sql): Sql => sql`case when d.in_line = 2 then (
    select f.${column} from delivery f${along("delivery_in_line")}
    where f.integration_id = d.integration_id and f.ordering_key = d.ordering_key and f.in_line = 1 limit 1
  ) end`

/** The columns of a DeliveryRow, from a delivery `d` and its event `e`. */
export const deliveryColumns: Sql = sql`
  d.integration_id, d.event_id, d.project_id, d.status, d.reason, d.facts, d.next_at, d.ordering_key, d.revision,
  d.attempts, d.charged, d.last_attempt_id, d.recovery_id, d.record_id, d.created_at, d.updated_at,
  ${frontOf(sql`event_id`)} as front_event, ${frontOf(sql`status`)} as front_status,
  d.status = 'failed' and coalesce(d.in_line, 0) = 1 as blocks_key,
  e.type, e.environment, e.app_id, e.source, e.test, e.received_at, e.payload_expires_at`

export function deliveryOfRow(row: DeliveryRow): DeliveryRecord {
  return {
    id: { event: row.event_id, integration: row.integration_id },
    project: row.project_id,
    status: row.status,
    reason: row.reason === null ? null : { code: row.reason, facts: JSON.parse(row.facts ?? "{}") as Facts },
    nextAt: row.next_at,
    orderingKey: row.ordering_key,
    behind:
      row.front_event === null || row.front_status === null
        ? null
        : { id: { event: row.front_event, integration: row.integration_id }, status: row.front_status },
    blocksKey: row.blocks_key === 1,
    revision: row.revision,
    attempts: row.attempts,
    charged: row.charged,
    lastAttempt: row.last_attempt_id,
    recovery: row.recovery_id,
    record: row.record_id,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    event: {
      id: row.event_id,
      type: row.type,
      environment: row.environment,
      app: row.app_id,
      source: row.source,
      test: row.test === 1,
      receivedAt: row.received_at,
      payloadExpiresAt: row.payload_expires_at,
    },
  }
}

/** One delivery; undefined where the project has none of that id, or no longer. Primary keys. */
export async function readDelivery(
  db: Reader,
  project: ProjectId,
  id: DeliveryId,
  now: number,
): Promise<DeliveryRecord | undefined> {
  const rows = await db.query<DeliveryRow>(sql`
    select ${deliveryColumns}
    from delivery d join event e on e.project_id = d.project_id and e.id = d.event_id
    where d.integration_id = ${id.integration} and d.event_id = ${id.event} and d.project_id = ${project}
      and ${isReadable(now)}`)
  return rows.map(deliveryOfRow)[0]
}

/** The deliveries of one event, in the order in which its integrations were made. Primary key, once per integration. */
export async function deliveriesOfEvent(
  db: Reader,
  project: ProjectId,
  event: EventId,
  now: number,
): Promise<DeliveryRecord[]> {
  const rows = await db.query<DeliveryRow>(sql`
    select ${deliveryColumns}
    from event e cross join json_each(e.targets) t join delivery d on d.integration_id = t.value and d.event_id = e.id
    where e.project_id = ${project} and e.id = ${event} and ${isReadable(now)}
    order by d.integration_id`)
  return rows.map(deliveryOfRow)
}

/**
 * The deliveries of some events, by event: those to the first `most` integrations that each went to; of these alone where
 * `within` names them. Primary keys.
 */
export async function deliveriesOfEvents(
  db: Reader,
  project: ProjectId,
  events: readonly EventId[],
  most: number,
  within?: readonly IntegrationId[],
): Promise<Map<EventId, DeliveryRecord[]>> {
  if (events.length === 0) return new Map()
  const rows = await db.query<DeliveryRow>(sql`
    select ${deliveryColumns}
    from ${firstTargets({ project, events, most, within })} f
      join delivery d on d.integration_id = f.integration_id and d.event_id = f.event_id
      join event e on e.project_id = ${project} and e.id = f.event_id
    order by f.event_id, f.place`)
  return Map.groupBy(rows.map(deliveryOfRow), delivery => delivery.id.event)
}

/** What became of some events at one integration, by event. Primary key. */
export async function deliveriesAt(
  db: Reader,
  project: ProjectId,
  integration: IntegrationId,
  events: readonly EventId[],
): Promise<Map<EventId, DeliveryRecord>> {
  if (events.length === 0) return new Map()
  const rows = await db.query<DeliveryRow>(sql`
    select ${deliveryColumns}
    from delivery d join event e on e.project_id = d.project_id and e.id = d.event_id
    where d.integration_id = ${integration} and d.event_id in ${list(events)} and d.project_id = ${project}`)
  return new Map(rows.map(row => [row.event_id, deliveryOfRow(row)]))
}

/** When a save last set, changed or removed a secret of an integration; null where none ever did. Primary key. */
export async function credentialsChangedAt(db: Reader, integration: IntegrationId): Promise<number | null> {
  const [row] = await db.query<{ at: number }>(sql`
    select at from integration_revision
    where integration_id = ${integration} and secrets_changed <> '[]'
    order by revision desc limit 1`)
  return row?.at ?? null
}
