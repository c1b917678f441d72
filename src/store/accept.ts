/** What accepting comes to, whichever engine stores it. */
import type { Event } from "../domain/event.ts"
import type { EventId } from "../domain/id.ts"
import type { Arrival } from "./ledger.ts"

/** The event as it stands after the commit, with its payload: what a lane that sends at once needs. */
export function asEvent(arrival: Arrival, id: EventId): Event {
  const { draft, receivedAt } = arrival
  return {
    ...draft,
    id,
    project: arrival.project,
    receivedAt,
    occurredAt: draft.occurredAt ?? receivedAt,
    appId: arrival.appId,
    test: arrival.test,
  }
}
