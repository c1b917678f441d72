/**
 * What a search and the stream can ask of events, as conditions over a table called `e`. Which index finds the events is
 * the asker's choice; these conditions are checked on each event that it finds.
 */
import type { Environment, EventStatus } from "../domain/event.ts"
import type { AppId, IntegrationId } from "../domain/id.ts"
import type { ReasonCode } from "../domain/reason.ts"
import { join, list, type Sql, sql } from "./database.ts"

/** Every member that is there has to hold. */
export interface EventFilter {
  /** Received at this time or later, ms since 1970. */
  readonly from?: number | undefined
  /** Received before this time. */
  readonly to?: number | undefined
  /** A type, or a prefix that ends in `*`. */
  readonly type?: string | undefined
  readonly status?: EventStatus | undefined
  readonly app?: AppId | undefined
  readonly environment?: Environment | undefined
  readonly source?: string | undefined
  readonly profileId?: string | undefined
  readonly deviceId?: string | undefined
  readonly sourceRecord?: string | undefined
  readonly destinationRecord?: string | undefined
  readonly externalId?: string | undefined
  /** It went to this integration, or was withheld from it. */
  readonly integration?: IntegrationId | undefined
  /** Why it stands where it stands at one of its integrations, or at the one that is asked for; as it was stored. */
  readonly reason?: ReasonCode | undefined
  /** `status` failed, `reason` and `destinationRecord` are asked of these integrations only: what stands at others finds nothing. */
  readonly within?: readonly IntegrationId[] | undefined
}

/** The conditions of a filter, joined; `true` where it asks for nothing. */
export function eventConditions(filter: EventFilter): Sql {
  const { from, to, type, status, app, environment, integration, reason, within } = filter
  const conditions: Sql[] = []
  if (from !== undefined) conditions.push(sql`e.received_at >= ${from}`)
  if (to !== undefined) conditions.push(sql`e.received_at < ${to}`)
  if (type !== undefined && type !== "*") conditions.push(typeCondition(type))
  // The same condition as that of the index event_by_need.
  if (status === "failed")
    conditions.push(sql`e.needs_action = 1`, ...(within === undefined ? [] : [standsRed(within)]))
  else if (status !== undefined) conditions.push(sql`e.status = ${status}`)
  if (app !== undefined) conditions.push(sql`e.app_id = ${app}`)
  if (environment !== undefined) conditions.push(sql`e.environment = ${environment}`)
  if (filter.source !== undefined) conditions.push(sql`e.source = ${filter.source}`)
  if (filter.profileId !== undefined) conditions.push(sql`e.profile_id = ${filter.profileId}`)
  if (filter.deviceId !== undefined) conditions.push(sql`e.device_id = ${filter.deviceId}`)
  if (filter.sourceRecord !== undefined) conditions.push(sql`e.source_record = ${filter.sourceRecord}`)
  if (filter.externalId !== undefined) conditions.push(sql`e.external_id = ${filter.externalId}`)
  if (filter.destinationRecord !== undefined) conditions.push(recordCondition(filter.destinationRecord, within))
  if (integration !== undefined) conditions.push(concerns(integration))
  if (reason !== undefined) conditions.push(reasonCondition(reason, integration, within))
  return conditions.length === 0 ? sql`true` : join(conditions, " and ")
}

/** Whether a type is the one that is asked for, or begins with the prefix that is. */
export function matchesType(type: string, asked: string): boolean {
  return asked.endsWith("*") ? type.startsWith(asked.slice(0, -1)) : type === asked
}

/** Whether an event, from a table called `e`, is of a type, or begins with a prefix that ends in `*`. */
export function typeCondition(type: string): Sql {
  if (!type.endsWith("*")) return sql`e.type = ${type}`
  const prefix = type.slice(0, -1)
  // Types are printable ASCII, so that every one with this prefix sorts before the prefix and a DEL.
  return sql`(e.type >= ${prefix} and e.type < ${`${prefix}\u007f`})`
}

/** Primary key of `delivery` for each integration that the event went to. */
function recordCondition(record: string, within: EventFilter["within"]): Sql {
  if (within !== undefined) return deliveryWithin(within, sql`d.record_id = ${record}`)
  return sql`exists (
    select 1 from json_each(e.targets) t join delivery d on d.integration_id = t.value and d.event_id = e.id
    where d.record_id = ${record})`
}

/** The withholdings as text, which costs least; then the primary key of `delivery`, for each integration that it went to. */
function reasonCondition(
  reason: ReasonCode,
  integration: IntegrationId | undefined,
  within: EventFilter["within"],
): Sql {
  const opening = `"${reason}":[`
  const rest = sql`substr(e.withheld, instr(e.withheld, ${opening}) + ${opening.length})`
  const ids = sql`substr(${rest}, 1, instr(${rest}, ']') - 1)`
  if (within !== undefined) {
    const seen = integration === undefined ? within : within.filter(id => id === integration)
    return sql`((instr(e.withheld, ${opening}) > 0 and ${namesOne(seen, ids)})
      or ${deliveryWithin(seen, sql`d.reason = ${reason}`)})`
  }
  const one = integration === undefined ? sql`` : sql`and instr(',' || ${ids} || ',', ${`,${integration},`}) > 0`
  const there = integration === undefined ? sql`` : sql`d.integration_id = ${integration} and`
  return sql`((instr(e.withheld, ${opening}) > 0 ${one}) or exists (
    select 1 from json_each(e.targets) t join delivery d on d.integration_id = t.value and d.event_id = e.id
    where ${there} d.reason = ${reason}))`
}

/** A delivery to one of these that stands so. Primary key of `delivery`, for each of them. */
function deliveryWithin(within: readonly IntegrationId[], condition: Sql): Sql {
  return sql`exists (
    select 1 from delivery d where d.integration_id in ${list(within)} and d.event_id = e.id and ${condition})`
}

/** Whether one of these stands in a text of ids with commas between them. Primary key of `integration`, for each of them. */
function namesOne(within: readonly IntegrationId[], ids: Sql): Sql {
  return sql`exists (
    select 1 from integration w where w.id in ${list(within)} and instr(',' || ${ids} || ',', ',' || w.id || ',') > 0)`
}

/** It failed at one of these, or was withheld from one, for whatever reason. */
function standsRed(within: readonly IntegrationId[]): Sql {
  const withheld = sql`replace(replace(e.withheld, '[', ','), ']', ',')`
  return sql`(${deliveryWithin(within, sql`d.status in ('failed', 'withheld')`)} or ${namesOne(within, withheld)})`
}

/**
 * The text is looked through: taking JSON apart costs ten times as much. An id stands in it between commas and brackets, and
 * nothing else does. Mostly its digits are nowhere, which is the cheapest to find out.
 */
function concerns(integration: IntegrationId): Sql {
  const digits = String(integration)
  const mentions = (column: Sql) => sql`(
    instr(${column}, ${digits}) > 0
    and instr(replace(replace(${column}, '[', ','), ']', ','), ${`,${digits},`}) > 0)`
  return sql`(${mentions(sql`e.targets`)} or ${mentions(sql`e.withheld`)})`
}
