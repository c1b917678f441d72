/**
 * What became of the events of a list at each integration, as far as a list shows it: the deliveries and the withholdings, each
 * with its reason. Read for all events at once; of an event that went to a thousand integrations the first few.
 */
import { type Static, Type } from "typebox"
import { deliveryStatuses } from "../domain/delivery.ts"
import type { Withheld } from "../domain/event.ts"
import type { EventId, IntegrationId, ProjectId } from "../domain/id.ts"
import type { ReasonCode } from "../domain/reason.ts"
import { deliveriesOfEvents } from "../store/delivery-reads.ts"
import { type EventSummary, type KeptEvent, readRouting } from "../store/event-reads.ts"
import type { Context } from "./context.ts"
import { IntegrationName, nameOfIntegration } from "./delivery-view.ts"
import { routingWithin, type Sight, seenOnly } from "./portal-sight.ts"
import { Reasons, ReasonView } from "./reasons.ts"
import { Nullable } from "./schemas.ts"

/** A page with outcomes holds so many events at most. */
export const EVENTS_WITH_OUTCOMES = 50
/** Of an event: so many deliveries, and so many withholdings. */
const SHOWN = 20

const Outcome = Type.Object({
  integration: IntegrationName,
  status: Type.Enum([...deliveryStatuses], { description: "`withheld` also where there is no delivery at all." }),
  reason: Nullable(ReasonView, "null once it is delivered."),
})

/** What `outcomes=true` adds to each event of a list. */
export const outcomeFields = {
  outcomes: Type.Optional(
    Type.Array(Outcome, {
      description: `With \`outcomes=true\`: what became of it at each integration; of ${SHOWN} that it went to and ${SHOWN} that it was withheld from.`,
    }),
  ),
  outcomes_left_out: Type.Optional(
    Type.Integer({ description: "With `outcomes=true`: how many more there are. The event itself shows all." }),
  ),
}

export interface OutcomesView {
  readonly outcomes: Static<typeof Outcome>[]
  readonly outcomes_left_out: number
}

/** By event, at the integrations that are seen. */
export async function outcomesOf(
  context: Context,
  project: ProjectId,
  events: readonly EventSummary[],
  sight: Sight,
): Promise<ReadonlyMap<EventId, OutcomesView>> {
  const { store, directory } = context
  const ids = events.map(({ id }) => id)
  const routings = await readRouting(store.reads, project, ids)
  const deliveries = await deliveriesOfEvents(store.reads, project, ids, SHOWN, seenOnly(sight))
  const reasons = new Reasons(context)
  const views = new Map<EventId, OutcomesView>()
  // One after the other: what is looked up for one event serves the next.
  for (const event of events) {
    const { targets, withheld } = routingWithin(sight, routings.get(event.id) ?? { targets: [], withheld: {} })
    const sent = (deliveries.get(event.id) ?? []).map(async delivery => ({
      integration: nameOfIntegration(directory, delivery.id.integration),
      status: delivery.status,
      reason: await reasons.ofDelivery(delivery),
    }))
    const kept = withheldOnly({ targets, withheld })
    const notSent = kept.slice(0, SHOWN).map(async ({ integration, code }) => ({
      integration: nameOfIntegration(directory, integration),
      status: "withheld" as const,
      reason: await reasons.ofWithheld(event, integration, code),
    }))
    views.set(event.id, {
      outcomes: await Promise.all([...sent, ...notSent]),
      outcomes_left_out: targets.length - sent.length + kept.length - notSent.length,
    })
  }
  return views
}

/** Those that have a delivery since (it was replayed) are shown there. */
export function withheldOnly({
  targets,
  withheld,
}: Pick<KeptEvent, "targets" | "withheld">): { readonly integration: IntegrationId; readonly code: ReasonCode }[] {
  const all = Object.entries(withheld) as [ReasonCode, NonNullable<Withheld[ReasonCode]>][]
  return all.flatMap(([code, ids]) =>
    ids.filter(id => !targets.includes(id)).map(integration => ({ integration, code })),
  )
}
