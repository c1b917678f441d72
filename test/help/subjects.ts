/** Events and subjects that fill in everything but the point of a test. */
import type { Subject } from "../../src/connectors/connector.ts"
import type { Event } from "../../src/domain/event.ts"
import { formatId } from "../../src/domain/id.ts"

export function anEvent(over: Partial<Event> = {}): Event {
  return {
    id: 372_000_000_000_000,
    project: 1,
    type: "trial_started",
    payload: { kind: "json", text: "{}" },
    externalId: null,
    source: "api",
    occurredAt: Date.UTC(2026, 10, 21, 10, 0, 0, 5),
    receivedAt: Date.UTC(2026, 10, 21, 10, 0, 1, 250),
    environment: "production",
    app: null,
    appId: null,
    profileId: null,
    deviceId: null,
    sourceRecord: null,
    orderingKey: null,
    historical: false,
    cloud: null,
    test: false,
    ...over,
  }
}

export function aSubject(over: Partial<Subject> = {}): Subject {
  const event = over.event ?? anEvent()
  return {
    event,
    messageId: formatId("evt", event.id),
    integration: { id: 1, revision: 1, signingKeys: [{ scheme: "v1", secret: "whsec_current" }] },
    name: event.type,
    environment: event.environment,
    ...over,
  }
}
