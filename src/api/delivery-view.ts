/** Deliveries as the API shows them. */
import { type Static, Type } from "typebox"
import { deliveryStatuses } from "../domain/delivery.ts"
import { formatDeliveryId, formatId, type IntegrationId } from "../domain/id.ts"
import type { Policy } from "../domain/policy.ts"
import { retryDelayMs } from "../domain/schedule.ts"
import type { Directory } from "../engine/directory.ts"
import type { DeliveryRecord } from "../store/delivery-reads.ts"
import { ReasonView } from "./reasons.ts"
import { Environment, Nullable, Time, timeText } from "./schemas.ts"

/** An integration where something else names it. */
export const IntegrationName = Type.Object({
  id: Type.String({ examples: ["int_01j9zq4kx2m"] }),
  name: Nullable(Type.String()),
  removed: Type.Boolean(),
})

export const deliveryFields = {
  id: Type.String({ examples: ["dlv_01j9zq4kx2m01j9zq4kx2n"] }),
  event: Type.Object({
    id: Type.String(),
    type: Type.String(),
    environment: Environment,
    app: Nullable(Type.String()),
    received_at: Time,
    test: Type.Boolean(),
  }),
  integration: IntegrationName,
  status: Type.Enum([...deliveryStatuses], {
    description:
      "`pending`, `sending`; `delivered`; `retrying`: failed so far; `failed`: no automatic attempt is left; `skipped`: held back as the endpoint is failing; `withheld`: a rule forbids it.",
  }),
  reason: Nullable(ReasonView, "null once it is delivered."),
  next_attempt_at: Nullable(Time),
  attempt_count: Type.Integer({ description: "Over all its schedules." }),
  revision: Nullable(Type.Integer({ description: "Of the integration, at the last attempt." })),
  destination_record: Nullable(Type.String({ description: "The identifier that the destination gave the record." })),
  ordering_key: Nullable(Type.String({ description: "Set where it is delivered in the order of this key." })),
  waiting_behind: Nullable(
    Type.String({
      description: "The delivery in front of it in the line of its ordering key: it goes when that one has ended.",
      examples: ["dlv_01j9zq4kx2m01j9zq4kx2n"],
    }),
  ),
  blocks_key: Type.Boolean({
    description:
      "It has failed and holds those behind it in the line of its ordering key, until it is retried or released.",
  }),
  recovery: Nullable(
    Type.String({ description: "The recovery that made it due last.", examples: ["rec_01j9zq4kx2m"] }),
  ),
  created_at: Time,
  updated_at: Time,
}

export const DeliveryView = Type.Object(deliveryFields)
export type DeliveryView = Static<typeof DeliveryView>

/** A retry that follows if everything before it fails. */
export const PlannedRetry = Type.Object({
  try: Type.Integer({ description: "Which try of the schedule it is." }),
  delay_ms: Type.Integer({ description: "How long it waits after the one before." }),
  not_before: Time,
})

export function viewOfDelivery(
  delivery: DeliveryRecord,
  reason: ReasonView | null,
  directory: Directory,
  nextAttemptAt: number | null,
): DeliveryView {
  const { id, event } = delivery
  return {
    id: formatDeliveryId(id),
    event: {
      id: formatId("evt", event.id),
      type: event.type,
      environment: event.environment,
      app: event.app === null ? null : (directory.appName(event.app) ?? null),
      received_at: timeText(event.receivedAt),
      test: event.test,
    },
    integration: nameOfIntegration(directory, id.integration),
    status: delivery.status,
    reason,
    next_attempt_at: timeText(nextAttemptAt),
    attempt_count: delivery.attempts,
    revision: delivery.revision,
    destination_record: delivery.record,
    ordering_key: delivery.orderingKey,
    waiting_behind: delivery.behind === null ? null : formatDeliveryId(delivery.behind.id),
    blocks_key: delivery.blocksKey,
    recovery: delivery.recovery === null ? null : formatId("rec", delivery.recovery),
    created_at: timeText(delivery.createdAt),
    updated_at: timeText(delivery.updatedAt),
  }
}

/** The name of an integration, also of one that was removed. */
export function nameOfIntegration(directory: Directory, id: IntegrationId): Static<typeof IntegrationName> {
  const known = directory.integrationName(id)
  return {
    id: formatId("int", id),
    name: known?.name ?? null,
    removed: known === undefined || known.removedAt !== null,
  }
}

/** The retries that the schedule holds after the attempt that is due or under way; empty where nothing more is tried. */
export function retryPlan(policy: Policy, delivery: DeliveryRecord, now: number): Static<typeof PlannedRetry>[] {
  if (delivery.status === "delivered" || delivery.status === "failed" || delivery.status === "withheld") return []
  const plan: Static<typeof PlannedRetry>[] = []
  let at = delivery.nextAt ?? now
  for (let retry = delivery.charged; ; retry++) {
    const delay = retryDelayMs(policy, delivery.id, retry)
    if (delay === null) return plan
    at += delay
    plan.push({ try: retry + 2, delay_ms: delay, not_before: timeText(at) })
  }
}
