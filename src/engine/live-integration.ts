/** An integration as it is used: what is made of its configuration once, not once an event. */
import type { Connector, Prepared } from "../connectors/connector.ts"
import { findConnector } from "../connectors/index.ts"
import { joinSecrets } from "../connectors/secrets.ts"
import { type Environment, environments } from "../domain/event.ts"
import { compileEventRules, type NameAnswer } from "../domain/event-names.ts"
import { parseExact } from "../domain/exact-json.ts"
import type { Integration, VerificationState } from "../domain/integration.ts"
import { presets, resolvePolicy } from "../domain/policy.ts"
import { prepare, type RoutingIntegration } from "../domain/route.ts"
import type { IntegrationRecord, KeptSigningKey, Snapshot } from "../store/integrations.ts"

/** An integration with everything that is made of its configuration once, not once an event. */
export interface LiveIntegration {
  readonly record: IntegrationRecord
  readonly integration: Integration
  readonly connector: Connector
  /** Settings with their secrets opened. */
  readonly settings: Readonly<Record<string, unknown>>
  readonly prepared: Prepared
  readonly routing: RoutingIntegration
}

/** What builds a delivery's request: of today's configuration, or of the revision that its first attempt was made with. */
export interface Builder {
  readonly prepared: Prepared
  readonly nameFor: (type: string) => NameAnswer
  readonly revision: number
}

/** The keys that sign at a time: the newest, then those whose grace has not run out. */
export function signingKeysAt(record: IntegrationRecord, now: number): readonly KeptSigningKey[] {
  return record.signingKeys.filter(key => key.expiresAt === null || key.expiresAt > now)
}

/** Makes of a record what routing and building need. What was checked when it was saved is taken as it is. */
export function goLive(record: IntegrationRecord): LiveIntegration {
  const { snapshot } = record
  const connector = findConnector(snapshot.connector)
  if (connector === undefined)
    throw new Error(`Integration ${record.id} needs the unknown connector ${snapshot.connector}.`)
  const { settings, faults } = joinSecrets(connector.settings, snapshot.config, record.secrets)
  const fault = record.fault ?? faults[0]?.message ?? null
  // Against retention it was held when it was saved; a retention that shrank since must not change a policy.
  const policy = resolvePolicy(snapshot.policy, Number.POSITIVE_INFINITY)
  const integration: Integration = {
    id: record.id,
    project: record.project,
    name: snapshot.name,
    connector: snapshot.connector,
    revision: record.revision,
    enabled: record.enabled,
    disabledBy: record.disabledBy,
    paused: record.paused,
    apps: snapshot.apps,
    settings,
    events: snapshot.events,
    filter: snapshot.filter === null ? null : (parseExact(snapshot.filter) ?? null),
    policy: policy.kind === "policy" ? policy.policy : presets.standard,
    verification: Object.fromEntries(
      environments.map(environment => [environment, record.verification[environment]?.state ?? "pending"]),
    ) as Record<Environment, VerificationState>,
    createdAt: record.createdAt,
  }
  return {
    record,
    integration,
    connector,
    settings,
    prepared: fault === null ? connector.prepare(settings) : brokenBy(fault),
    routing: prepare(integration, connector.environments(settings)),
  }
}

/** Stands in for settings that cannot be opened: its deliveries fail and say so, nobody else's are touched. */
function brokenBy(detail: string): Prepared {
  return {
    build: () => ({ kind: "fail", reason: "request_invalid", facts: { field: "config", detail } }),
    destinationRecord: () => null,
  }
}

/**
 * Bodies stay as the pinned revision makes them, so that automatic retries send the same bytes; where they go and what
 * they are signed with is today's, so that mending the address mends what waits.
 */
export function builderOf(live: LiveIntegration, snapshot: Snapshot, revision: number): Builder {
  const todays = ["production", "sandbox", "signature"]
  const current = Object.fromEntries(todays.flatMap(key => (key in live.settings ? [[key, live.settings[key]]] : [])))
  const pinned = Object.fromEntries(Object.entries(snapshot.config).filter(([key]) => !todays.includes(key)))
  const prepared = live.connector.prepare({ ...pinned, ...current })
  return { prepared, nameFor: compileEventRules(snapshot.events), revision }
}
