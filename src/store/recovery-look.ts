/**
 * Looks for what a recovery is to send again, oldest first, a window of rows at a time. Which index gives the rows
 * depends on what is asked for:
 *
 *   only failed deliveries                       delivery_failed
 *   what someone has to act on                   event_by_need, then the delivery by its primary key
 *   anything else                                primary key of event, then the delivery by its primary key
 */
import type { DeliveryStatus } from "../domain/delivery.ts"
import type { Withheld } from "../domain/event.ts"
import type { EventId, IntegrationId, ProjectId, RecoveryId } from "../domain/id.ts"
import type { ReasonCode } from "../domain/reason.ts"
import {
  type Candidate,
  isAskedFor,
  needsAction,
  onlyFailed,
  type RecoverableStatus,
  type RecoveryAsk,
  type Standing,
} from "../domain/recovery.ts"
import { join, list, type Sql, sql } from "./database.ts"
import { typeCondition } from "./event-filter.ts"
import { isReadable } from "./kept.ts"
import type { Reader } from "./reader.ts"
import { type EventRow, eventColumns, eventOfRow } from "./rows.ts"
import { maskedAt } from "./sealed-payloads.ts"
import { along } from "./walk.ts"

/** A stretch of a recovery's walk at one integration. */
export interface Look {
  readonly project: ProjectId
  readonly integration: IntegrationId
  /** What it has queued itself it does not find again. 0: nobody's, for a look that sends nothing. */
  readonly recovery: RecoveryId
  readonly ask: RecoveryAsk
  /** Events after this one … */
  readonly after: EventId
  /** … up to this one. */
  readonly upTo: EventId
  /** How many rows to look at. */
  readonly rows: number
  readonly now: number
}

/** An event that fits, and where its payload lies. */
export interface Found extends Candidate {
  readonly payloadPart: number
  readonly payloadBytes: number
}

export interface Looked {
  /** Oldest first. */
  readonly found: readonly Found[]
  /** Everything up to this event has been looked at; null: there is nothing after it. */
  readonly reached: EventId | null
}

/** Looks at the next window of rows. */
export async function lookOn(db: Reader, look: Look): Promise<Looked> {
  const { after, upTo } = look
  const edge = await edgeOf(db, look)
  const last = edge ?? upTo
  const found = onlyFailed(look.ask)
    ? await selectFailed(db, look, after, last)
    : await selectEvents(db, look, id => sql`${id} > ${after} and ${id} <= ${last}`)
  return { found, reached: edge }
}

/** Looks at events that are known by id, whatever their properties: those that were given back. Primary keys. */
export function lookAt(db: Reader, look: Look, events: readonly EventId[]): Promise<Found[]> {
  return selectEvents(db, look, id => sql`${id} in ${list(events)}`, false)
}

/** The last row of the window; null where no more are left than that. */
async function edgeOf(db: Reader, { project, integration, ask, after, upTo, rows }: Look): Promise<EventId | null> {
  const [edge] = await db.query<{ id: number }>(
    onlyFailed(ask)
      ? sql`
        select event_id as id from delivery${along("delivery_failed")}
        where integration_id = ${integration} and status = 'failed' and event_id > ${after} and event_id <= ${upTo}
        order by event_id limit 1 offset ${rows - 1}`
      : sql`
        select id from event${needsAction(ask) ? along("event_by_need") : sql``}
        where project_id = ${project} and id > ${after} and id <= ${upTo}
          ${needsAction(ask) ? sql`and needs_action = 1` : sql``}
        order by id limit 1 offset ${rows - 1}`,
  )
  return edge?.id ?? null
}

/** Index delivery_failed, then the primary key of `event`. */
async function selectFailed(db: Reader, look: Look, after: EventId, upTo: EventId): Promise<Found[]> {
  const rows = await db.query<FoundRow>(sql`
    select ${columns}
    from delivery d${along("delivery_failed")} join event e on e.project_id = d.project_id and e.id = d.event_id
    where d.integration_id = ${look.integration} and d.status = 'failed' and d.event_id > ${after}
      and d.event_id <= ${upTo} and d.project_id = ${look.project} and ${conditions(look)}
    order by d.event_id`)
  return rows.flatMap(row => foundOf(row, look))
}

/** Primary key of `event`, or event_by_need; then that of `delivery`, which is told which events too: so that it comes to their days. */
async function selectEvents(db: Reader, look: Look, which: (id: Sql) => Sql, mayNeed = true): Promise<Found[]> {
  const byNeed = mayNeed && needsAction(look.ask)
  const rows = await db.query<FoundRow>(sql`
    select ${columns}
    from event e${byNeed ? along("event_by_need") : sql``}
      left join delivery d on d.integration_id = ${look.integration} and d.event_id = e.id and ${which(sql`d.event_id`)}
    where e.project_id = ${look.project} and ${which(sql`e.id`)} ${byNeed ? sql`and e.needs_action = 1` : sql``}
      and ${conditions(look)} and ${standingCondition(look)}
    order by e.id`)
  return rows.flatMap(row => foundOf(row, look))
}

const columns: Sql = sql`${eventColumns}, e.withheld, d.status, d.reason, ${maskedAt} as masked_at`

/** Tests are nobody's history, and what this recovery has queued before is not its business any more. */
function conditions({ ask, recovery, now }: Look): Sql {
  const all: Sql[] = [
    isReadable(now),
    sql`e.test = 0`,
    sql`e.received_at >= ${ask.from}`,
    sql`e.received_at < ${ask.to}`,
    sql`(d.recovery_id is null or d.recovery_id <> ${recovery})`,
  ]
  if (ask.environment !== null) all.push(sql`e.environment = ${ask.environment}`)
  if (ask.app !== null) all.push(sql`e.app_id = ${ask.app}`)
  if (ask.eventTypes !== null) all.push(sql`(${join(ask.eventTypes.map(typeCondition), " or ")})`)
  return join(all, " and ")
}

/** Leaves out most of what `isAskedFor` would not let through, so that few rows travel. */
function standingCondition({ ask, integration }: Look): Sql {
  const digits = String(integration)
  const conditionOf = {
    failed: sql`d.status = 'failed'`,
    skipped: sql`(d.status = 'failed' and d.reason = 'sleeping')`,
    delivered: sql`d.status = 'delivered'`,
    withheld: sql`(d.status = 'withheld' or (d.event_id is null and instr(e.withheld, ${digits}) > 0))`,
    missing: sql`d.event_id is null`,
  } satisfies Record<RecoverableStatus, Sql>
  const any = ask.statuses.map(status => conditionOf[status])
  return sql`(${join(any, " or ")})`
}

interface FoundRow extends EventRow {
  readonly withheld: string
  readonly masked_at: number | null
  readonly status: DeliveryStatus | null
  readonly reason: ReasonCode | null
}

function foundOf(row: FoundRow, { ask, integration }: Look): Found[] {
  const { id, ...event } = eventOfRow(row, { kind: "none" })
  const found: Found = {
    id,
    event,
    standing: standingOf(row, integration),
    payloadExpiresAt: row.payload_expires_at,
    maskedAt: row.masked_at,
    payloadPart: row.payload_part,
    payloadBytes: row.payload_bytes,
  }
  return isAskedFor(ask, found) ? [found] : []
}

function standingOf({ status, reason, withheld }: FoundRow, integration: IntegrationId): Standing {
  if (status !== null) return { kind: "delivery", status, reason }
  const code = withheldReason(withheld, integration)
  return code === null ? { kind: "missing" } : { kind: "withheld", reason: code }
}

/** Why an event was withheld from an integration; null where it was not. */
export function withheldReason(json: string, integration: IntegrationId): ReasonCode | null {
  // Taking JSON apart costs ten times as much as looking through the text, and mostly the id is not there.
  if (!json.includes(String(integration))) return null
  const withheld = JSON.parse(json) as Withheld
  const codes = Object.keys(withheld) as ReasonCode[]
  return codes.find(code => withheld[code]?.includes(integration)) ?? null
}
