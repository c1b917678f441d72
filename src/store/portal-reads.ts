/** What the portal asks of the store that nobody else does: since when an integration is one app's own, and how events stand there. */
import type { DeliveryStatus } from "../domain/delivery.ts"
import type { AppId, EventId, IntegrationId } from "../domain/id.ts"
import type { ReasonCode } from "../domain/reason.ts"
import { list, sql } from "./database.ts"
import { revisionsBack } from "./integrations.ts"
import type { Reader } from "./reader.ts"

/**
 * Since when an integration that is for one app alone has been, in ms since 1970; 0: it never was for anything else. It is
 * looked back as far as `kept`: where it was so then, what was before is not looked for.
 */
export async function ownedSince(db: Reader, integration: IntegrationId, app: AppId, kept: number): Promise<number> {
  let since: number | undefined
  for await (const { at, snapshot } of revisionsBack(db, integration)) {
    if (snapshot.apps.length !== 1 || snapshot.apps[0] !== app) return since ?? Number.MAX_SAFE_INTEGER
    if (at <= kept) return at
    since = at
  }
  return since === undefined ? Number.MAX_SAFE_INTEGER : 0
}

/** How an event stands at an integration. */
export interface Standing {
  readonly event_id: EventId
  readonly status: DeliveryStatus
  readonly reason: ReasonCode | null
  readonly record_id: string | null
}

/** How some events stand at some integrations. Primary key of `delivery`. */
export async function standingAt(
  db: Reader,
  integrations: readonly IntegrationId[],
  events: readonly EventId[],
): Promise<Standing[]> {
  if (integrations.length === 0 || events.length === 0) return []
  return db.query(sql`
    select event_id, status, reason, record_id from delivery
    where integration_id in ${list(integrations)} and event_id in ${list(events)}`)
}
