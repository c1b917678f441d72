/**
 * The stream's message of a skip: a delivery was held back because its endpoint rests. It is shown to whoever listens just
 * then and stands nowhere in the order: the store keeps how many there were, not each.
 */
import { formatDeliveryId, formatId } from "../domain/id.ts"
import type { FeedItem } from "../engine/feed.ts"
import { matchesType } from "../store/event-filter.ts"
import type { Settlement } from "../store/ledger.ts"
import type { StreamFilter } from "../store/stream-reads.ts"
import type { Context } from "./context.ts"
import { nameOfIntegration } from "./delivery-view.ts"
import { timeText } from "./schemas.ts"
import { message } from "./stream-messages.ts"

/** In the words of those who know them from Particle. */
export const SLEEPING = "Sleeping, too many errors, please wait and try again"

/** Whether a listener asks for a skip. */
export function matchesSkip(filter: StreamFilter, { claim }: Settlement): boolean {
  const { type, app, environment, source, profileId, deviceId, integration } = filter
  const { tally, event, delivery } = claim
  return (
    (type === undefined || matchesType(tally.type, type)) &&
    (app === undefined || tally.app === app) &&
    (environment === undefined || tally.environment === environment) &&
    (source === undefined || event?.source === source) &&
    (profileId === undefined || event?.profileId === profileId) &&
    (deviceId === undefined || event?.deviceId === deviceId) &&
    (integration === undefined || delivery.integration === integration)
  )
}

/** The message as text, without a position; null for what is no skip. */
export function messageOfSkip({ directory, now }: Pick<Context, "directory" | "now">, item: FeedItem): string | null {
  if (item.kind !== "skip") return null
  const { claim, next } = item.settlement
  if (next.status !== "skipped" && next.status !== "failed") return null
  const { tally, event, delivery } = claim
  const { app, environment, type, test } = tally
  const data = {
    at: timeText(now()),
    text: SLEEPING,
    delivery: { id: formatDeliveryId(delivery), status: next.status, next_attempt_at: timeText(nextAttemptAt(next)) },
    integration: nameOfIntegration(directory, delivery.integration),
    host: next.reason.facts.host ?? null,
    event: {
      id: formatId("evt", delivery.event),
      type,
      environment,
      app: app === null ? null : (directory.appName(app) ?? null),
      profile_id: event?.profileId ?? null,
      device_id: event?.deviceId ?? null,
      test,
    },
  }
  return message("skip", JSON.stringify(data))
}

/** Its own time where the skip used up a retry; else that of the next probe, where it is known. */
function nextAttemptAt(next: Extract<Settlement["next"], { status: "skipped" | "failed" }>): number | null {
  if (next.status === "failed") return null
  const { probe_at } = next.reason.facts
  return next.charged ? next.at : typeof probe_at === "number" ? probe_at : null
}
