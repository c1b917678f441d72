/** The messages of the stream: what happened, as server-sent events. Each one's id is the position after it. */
import { formatDeliveryId, formatId } from "../domain/id.ts"
import { type AttemptItem, type EventItem, formatPosition, type StreamItem } from "../store/stream-reads.ts"
import { viewOfAttempt } from "./attempt-view.ts"
import { nameOfIntegration } from "./delivery-view.ts"
import { type ShownPayload, textOfEvent } from "./event-view.ts"
import { arrivalWithin, type Sight } from "./portal-sight.ts"
import type { Reasons, ReasonsContext } from "./reasons.ts"
import { timeText } from "./schemas.ts"

/** What the messages are called. */
export type MessageName = "event" | "attempt" | "skip" | "change" | "reset" | "bye"

/** One message: its name, its data (JSON text), and the position that a listener has once it has read it. */
export function message(name: MessageName, data: string, position?: string): string {
  // White space in a payload may hold line breaks, which stand between lines of data here.
  const lines = data.split(/\r\n|\r|\n/).map(line => `data: ${line}\n`)
  return `${position === undefined ? "" : `id: ${position}\n`}event: ${name}\n${lines.join("")}\n`
}

/**
 * The message of something that happened; `payload` is what is shown of that of an event. `reasons` may
 * serve several messages that are written at a time.
 */
export async function messageOf(
  context: ReasonsContext,
  reasons: Reasons,
  item: StreamItem,
  payload: ShownPayload,
  sight: Sight = null,
): Promise<string> {
  const seen = item.kind === "event" ? arrivalWithin(sight, item) : item
  return message(item.kind, await dataOf(context, reasons, seen, payload, sight), formatPosition(item))
}

async function dataOf(
  context: ReasonsContext,
  reasons: Reasons,
  item: StreamItem,
  payload: ShownPayload,
  sight: Sight,
): Promise<string> {
  switch (item.kind) {
    case "event":
      return textOfEvent(item.event, payload, context.now(), membersOfEvent(item))
    case "attempt":
      return JSON.stringify(await viewOfAttemptItem(context, reasons, item, sight))
    case "change": {
      const { id, at, kind, subject, by, facts } = item.change
      // Where it came from is for the audit log.
      const { kind: byKind, id: byId } = by
      const who = { kind: byKind, id: byId }
      return JSON.stringify({ id: formatId("chg", id), at: timeText(at), kind, subject, by: who, facts })
    }
  }
}

function membersOfEvent({ targets, withheld }: EventItem) {
  return {
    integrations: targets.map(id => formatId("int", id)),
    withheld: Object.entries(withheld).flatMap(([reason, ids]) =>
      ids.map(id => ({ integration: formatId("int", id), reason })),
    ),
  }
}

async function viewOfAttemptItem(
  { directory }: ReasonsContext,
  reasons: Reasons,
  { attempt, event, delivery }: AttemptItem,
  sight: Sight,
) {
  const { environment, type, app, profileId, deviceId, test } = event
  const reason = await reasons.ofAttempt(attempt, { ...delivery, environment, type }, delivery.isLast, undefined)
  return {
    ...viewOfAttempt(attempt, reason, sight),
    delivery: {
      id: formatDeliveryId(attempt.delivery),
      status: delivery.status,
      next_attempt_at: timeText(delivery.nextAt),
    },
    integration: nameOfIntegration(directory, attempt.delivery.integration),
    event: {
      id: formatId("evt", attempt.delivery.event),
      type,
      environment,
      app: app === null ? null : (directory.appName(app) ?? null),
      profile_id: profileId,
      device_id: deviceId,
      test,
    },
  }
}
