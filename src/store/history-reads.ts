/** Counts over time, from the tallies that are kept as events pass: no graph ever scans deliveries. */
import { DAY_MS, HOUR_MS } from "../domain/duration.ts"
import type { Environment } from "../domain/event.ts"
import type { AppId, IntegrationId, ProjectId } from "../domain/id.ts"
import { sql } from "./database.ts"
import type { Reader } from "./reader.ts"

/** Attempts and skips in a stretch of time that begins at `at` (ms since 1970, UTC). */
export interface HistoryBucket {
  readonly at: number
  readonly success: number
  readonly error: number
  /** Held back by protection: nothing was sent. */
  readonly skipped: number
  /** Attempts that nobody knows the result of. */
  readonly interrupted: number
  /** Attempts that failed on Waybill's own machine or network. */
  readonly senderFault: number
}

export const bucketSizes = { hour: HOUR_MS, day: DAY_MS } as const

/** How many buckets there are: 30 days, the one that is running now included. */
const bucketCounts = { hour: 720, day: 30 } as const

/** The last 30 days of an integration by UTC hour or day, the oldest first, empty buckets too. Primary key of the tally. */
export async function deliveryHistory(
  db: Reader,
  asked: {
    readonly project: ProjectId
    readonly integration: IntegrationId
    readonly interval: keyof typeof bucketSizes
    /** Only of events of these; null: of all. */
    readonly app?: AppId | null
    readonly environment?: Environment | null
    readonly now: number
  },
): Promise<HistoryBucket[]> {
  const { project, integration, interval, app = null, environment = null, now } = asked
  const size = bucketSizes[interval]
  const newest = now - (now % size)
  const oldest = newest - (bucketCounts[interval] - 1) * size
  const rows = await db.query<{ at: number; outcome: string; count: number }>(sql`
    select hour - hour % ${size} as at, outcome, sum(count) as count from delivery_tally
    where project_id = ${project} and integration_id = ${integration} and hour >= ${oldest} and hour < ${newest + size}
      and outcome in ('success', 'error', 'skipped', 'interrupted', 'sender_fault')
      and ${app === null ? sql`true` : sql`app_id = ${app}`}
      and ${environment === null ? sql`true` : sql`environment = ${environment}`}
    group by 1, 2`)
  const counts = new Map(rows.map(row => [`${row.at} ${row.outcome}`, row.count]))
  return Array.from({ length: bucketCounts[interval] }, (_, i) => {
    const at = oldest + i * size
    const count = (outcome: string) => counts.get(`${at} ${outcome}`) ?? 0
    return {
      at,
      success: count("success"),
      error: count("error"),
      skipped: count("skipped"),
      interrupted: count("interrupted"),
      senderFault: count("sender_fault"),
    }
  })
}
