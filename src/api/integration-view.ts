/** Integrations and their revisions as the API shows them. */
import type { Static } from "typebox"
import { environments } from "../domain/event.ts"
import { parseExact } from "../domain/exact-json.ts"
import { formatId } from "../domain/id.ts"
import { pointerTo } from "../domain/json-pointer.ts"
import { policyToJson } from "../domain/policy.ts"
import type { Directory, LiveIntegration } from "../engine/directory.ts"
import type { IntegrationRecord, Revision, Snapshot, Verification } from "../store/integrations.ts"
import { keyIdOf } from "../transport/jwk.ts"
import { publicKeyOf } from "../transport/sign.ts"
import type { IntegrationView, RevisionView, VerificationView } from "./integration-schemas.ts"
import type { ProtectionView } from "./protection-view.ts"
import { jsonText } from "./raw-json.ts"
import { timeText } from "./schemas.ts"
import { written } from "./written-json.ts"

/**
 * An integration as its owner sees it, as JSON text: secrets masked, the filter as it was written, because its numbers
 * are exact. `secret` is the signing secret in the one answer that shows it, `protection` how its lane stands.
 */
export function textOfIntegration(
  live: LiveIntegration,
  directory: Directory,
  { secret, protection }: { readonly secret?: string; readonly protection?: ProtectionView | undefined } = {},
): string {
  const { filter } = live.record.snapshot
  const view = {
    ...viewOfIntegration(live, directory),
    ...(protection === undefined ? {} : { protection }),
    ...(secret === undefined ? {} : { secret }),
  }
  return jsonText(view, { filter: { raw: filter ?? "null" } })
}

/** How an integration stands, as JSON text for the audit log: what people set, secrets as `{"set": true}`. */
export function auditTextOfIntegration({ snapshot, enabled, paused }: IntegrationRecord, directory: Directory): string {
  const { filter, name, connector, config, events, options, policy } = snapshot
  const apps = snapshot.apps.map(id => directory.appName(id) ?? formatId("app", id))
  const view = { name, connector, enabled, paused, apps, config, events, options, policy }
  return jsonText(view, { filter: { raw: filter ?? "null" } })
}

/** Everything but the filter. */
function viewOfIntegration(
  { record, integration }: LiveIntegration,
  directory: Directory,
): Omit<Static<typeof IntegrationView>, "filter"> {
  const { snapshot } = record
  return {
    id: formatId("int", record.id),
    name: snapshot.name,
    connector: snapshot.connector,
    revision: record.revision,
    enabled: record.enabled,
    paused: record.paused,
    disabled: record.enabled
      ? null
      : { by: record.disabledBy ?? "person", reason: record.disabledReason, at: timeText(record.disabledAt) },
    apps: snapshot.apps.map(id => directory.appName(id) ?? formatId("app", id)),
    config: { ...snapshot.config },
    events: { default: snapshot.events.default, types: { ...snapshot.events.types } },
    options: { ...snapshot.options },
    policy: { ...policyToJson(integration.policy), retry_delays_ms: [...integration.policy.retryDelaysMs] },
    verification: Object.fromEntries(
      environments.flatMap(environment => {
        const verification = record.verification[environment]
        return verification === undefined ? [] : [[environment, viewOfVerification(verification)]]
      }),
    ),
    signing_keys: record.signingKeys.map(key => ({
      number: key.number,
      scheme: key.scheme,
      kid: keyIdOf(key) ?? String(key.number),
      public_key: key.scheme === "v1a" ? publicKeyOf(key.secret) : null,
      created_at: timeText(key.createdAt),
      expires_at: timeText(key.expiresAt),
    })),
    created_at: timeText(record.createdAt),
    updated_at: timeText(record.updatedAt),
  }
}

function viewOfVerification(verification: Verification): Static<typeof VerificationView> {
  return {
    state: verification.state,
    rule: verification.rule,
    checked_at: timeText(verification.checkedAt),
    message: verification.message,
    answer: verification.answer === null ? null : (JSON.parse(verification.answer) as unknown),
  }
}

/** A revision with what differs from the one before it (undefined: it is the first). */
export function viewOfRevision(revision: Revision, before: Revision | undefined): Static<typeof RevisionView> {
  const changes = differences(
    before === undefined ? {} : comparable(before.snapshot),
    comparable(revision.snapshot),
    "",
  )
  const secrets = revision.secretsChanged
    .map(pointer => `/config${pointer}`)
    .filter(pointer => !changes.some(change => change.pointer === pointer))
    .map(pointer => ({ pointer, from: { set: true }, to: { set: true } }))
  return {
    revision: revision.revision,
    at: timeText(revision.at),
    by: { ...revision.by },
    changes: [...changes, ...secrets],
  }
}

/** With the filter's numbers as they were written: two may differ by the last of 20 digits alone. */
function comparable(snapshot: Snapshot): Record<string, unknown> {
  const filter = snapshot.filter === null ? null : parseExact(snapshot.filter)
  return {
    ...snapshot,
    apps: snapshot.apps.map(id => formatId("app", id)),
    filter: filter === undefined ? null : written(filter),
  }
}

/** Where two values differ, down to the members of objects; a member that is not there reads null. */
function differences(from: unknown, to: unknown, pointer: string): { pointer: string; from: unknown; to: unknown }[] {
  if (!isObject(from) || !isObject(to)) {
    return JSON.stringify(from) === JSON.stringify(to) ? [] : [{ pointer, from: from ?? null, to: to ?? null }]
  }
  const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])]
  return keys.flatMap(key => differences(from[key], to[key], pointerTo(pointer, key)))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !("set" in value)
}
