/** What the portal asks of the store that nobody else does: since when an integration is one app's own, and how events stand there. */
import type { DeliveryStatus } from "../domain/delivery.ts"
import type { AppId, EventId, IntegrationId } from "../domain/id.ts"
import type { ReasonCode } from "../domain/reason.ts"
import { list, sql } from "./database.ts"
import { listRevisions } from "./integrations.ts"
import type { Reader } from "./reader.ts"

/** So many revisions are looked at; of an older one it is not said whose the integration was. */
const REVISIONS_READ = 100

/** Since when an integration that is for one app alone has been, in ms since 1970; 0: it never was for anything else. */
export async function ownedSince(db: Reader, integration: IntegrationId, app: AppId): Promise<number> {
  const revisions = await listRevisions(db, integration, Number.MAX_SAFE_INTEGER, REVISIONS_READ)
  const others = revisions.findIndex(({ snapshot: { apps } }) => apps.length !== 1 || apps[0] !== app)
  // The newest stands first: the one before that of the others is where it became the app's own.
  const first = revisions[others < 0 ? revisions.length - 1 : others - 1]
  return others < 0 && revisions.length < REVISIONS_READ ? 0 : (first?.at ?? Number.MAX_SAFE_INTEGER)
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
