/** What went through a project in a time, from the tallies and what they have not reached yet: no question scans events. */
import { HOUR_MS } from "../domain/duration.ts"
import type { IntegrationId, ProjectId } from "../domain/id.ts"
import { isUntallied, waysOf } from "./arrival-tallies.ts"
import { list, type Sql, sql } from "./database.ts"
import type { Reader } from "./reader.ts"

/** Of one project, from an hour up to but without another, ms since 1970. */
export interface UsageAsked {
  readonly project: ProjectId
  readonly from: number
  readonly to: number
}

/** What came in. */
export interface Arrived {
  readonly events: number
  readonly bytes: number
}

export interface TypesUsed {
  /** Of all types together, those too that are not shown. */
  readonly total: Arrived
  /** Requests that ingest refused. */
  readonly refused: number
  /** How many types there are. */
  readonly types: number
  /** The most frequent first. */
  readonly shown: readonly (Arrived & { readonly type: string })[]
}

/** What came in by type, at most `limit` of them. Primary keys of ingest_tally and, beyond the tallies' marker, of `event`. */
export async function usageByType(db: Reader, asked: UsageAsked, limit: number): Promise<TypesUsed> {
  const rows = await db.query<{ type: string; events: number; bytes: number; refused: number }>(sql`
    select type, sum(events) as events, sum(bytes) as bytes, sum(refused) as refused from (${came(asked)}) c
    group by type order by events desc, type limit ${limit + 1}`)
  const [all] = await db.query<{ events: number | null; bytes: number; refused: number; types: number }>(sql`
    select sum(events) as events, sum(case when type = '' then 0 else bytes end) as bytes, sum(refused) as refused,
      count(distinct nullif(type, '')) as types
    from (${came(asked)}) c`)
  return {
    total: { events: all?.events ?? 0, bytes: all?.bytes ?? 0 },
    refused: all?.refused ?? 0,
    types: all?.types ?? 0,
    shown: rows
      // What was refused has no type.
      .filter(({ type, events }) => type !== "" && events > 0)
      .slice(0, limit)
      .map(({ type, events, bytes }) => ({ type, events, bytes })),
  }
}

function came({ project, from, to }: UsageAsked): Sql {
  return sql`
    select type, events, bytes, refused from ingest_tally
    where project_id = ${project} and hour >= ${from} and hour < ${to}
    union all
    select e.type, 1 as events, e.payload_bytes as bytes, 0 as refused from event e
    where e.project_id = ${project} and ${isUntallied} and e.received_at >= ${from} and e.received_at < ${to}`
}

/** What became of deliveries, by outcome (`TallyOutcome`). */
export type OutcomeCounts = Readonly<Record<string, number>>

/**
 * What went to each of these integrations and what came of it. The tallies and what lies beyond their marker are read in one
 * statement, or what is tallied between two would be in neither. Primary keys of delivery_tally and, beyond the marker, of
 * `event`.
 */
export async function usageByIntegration(
  db: Reader,
  asked: UsageAsked,
  integrations: readonly IntegrationId[],
): Promise<ReadonlyMap<IntegrationId, OutcomeCounts>> {
  const counts = new Map<IntegrationId, Record<string, number>>(integrations.map(id => [id, {}]))
  // In pieces, so that no statement has thousands of values.
  for (let at = 0; at < integrations.length; at += 250) {
    const piece = new Set(integrations.slice(at, at + 250))
    for (const { targets, withheld, ...row } of await db.query<WentRow>(went(asked, [...piece]))) {
      const ways =
        targets === "" ? [{ integration: row.integration_id, outcome: row.outcome }] : waysOf({ targets, withheld })
      for (const { integration, outcome } of ways) {
        const known = piece.has(integration) ? counts.get(integration) : undefined
        if (known !== undefined) known[outcome] = (known[outcome] ?? 0) + row.count
      }
    }
  }
  return counts
}

/** What is tallied has an integration and an outcome; what is not yet, the `targets` and `withheld` of its events. */
interface WentRow {
  readonly integration_id: number
  readonly outcome: string
  readonly targets: string
  readonly withheld: string
  readonly count: number
}

function went({ project, from, to }: UsageAsked, integrations: readonly IntegrationId[]): Sql {
  return sql`
    select integration_id, outcome, targets, withheld, sum(count) as count from (
      select integration_id, outcome, '' as targets, '' as withheld, count from delivery_tally
      where project_id = ${project} and integration_id in ${list(integrations)} and hour >= ${from} and hour < ${to}
      union all
      select 0 as integration_id, '' as outcome, e.targets, e.withheld, 1 as count from event e
      where e.project_id = ${project} and ${isUntallied} and e.received_at >= ${from} and e.received_at < ${to}
    ) w
    group by 1, 2, 3, 4`
}

/** The hours that a stretch of time touches: it begins with the first and ends with the last. */
export function wholeHours(from: number, to: number): { readonly from: number; readonly to: number } {
  return { from: from - (from % HOUR_MS), to: Math.ceil(to / HOUR_MS) * HOUR_MS }
}
