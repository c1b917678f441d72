/** From a request to a configuration that can be saved, or all that is wrong with it. Nothing is stored here. */
import type { Connector, Settings } from "../connectors/connector.ts"
import { changedSecrets, joinSecrets, splitSecrets } from "../connectors/secrets.ts"
import { checkEventRules } from "../domain/event-names.ts"
import { parseExact } from "../domain/exact-json.ts"
import { checkFilter } from "../domain/filter.ts"
import type { AppId } from "../domain/id.ts"
import type { EventRules } from "../domain/integration.ts"
import { memberSpans } from "../domain/json-spans.ts"
import { type PolicyInput, presetNames, presetVerification, resolvePolicy } from "../domain/policy.ts"
import type { IntegrationRecord, Snapshot } from "../store/integrations.ts"
import { type EgressRules, judgeUrl } from "../transport/guard.ts"
import {
  EventRules as EventRulesSchema,
  type IntegrationPatch,
  type NewIntegration,
  PolicyIn,
} from "./integration-schemas.ts"
import { mergePatch } from "./merge-patch.ts"
import { Problem, type ProblemError } from "./problem.ts"
import { faultsOfBody } from "./validation.ts"

/** A configuration that has passed every check. */
export interface Configuration {
  readonly snapshot: Snapshot
  readonly secrets: ReadonlyMap<string, string>
  readonly secretsChanged: readonly string[]
  /** Apps that it names and that are not there yet, with the ids by which the snapshot has them: to be made as it is saved. */
  readonly newApps: ReadonlyMap<string, AppId>
}

/** What the checks need to know of their surroundings. */
export interface Surroundings {
  readonly egress: EgressRules
  /** How long the project keeps payloads, in ms: no schedule may outlast it. */
  readonly payloadMs: number
  /** In ms since 1970: a certificate that has run out is refused. */
  readonly now: number
  /** The app of that name; undefined where there is none. */
  readonly appId: (name: string) => AppId | undefined
  /** The id for an app that is named here for the first time; null where the project is strict. */
  readonly newAppId: (() => AppId) | null
}

/** Reads a new integration; `text` is the body as it came, in which the filter's numbers are exact. Throws a problem. */
export function readNew(connector: Connector, body: NewIntegration, text: string, around: Surroundings): Configuration {
  const draft = {
    name: body.name,
    connector: connector.name,
    apps: body.apps ?? [],
    config: body.config,
    events: body.events ?? {},
    filter: body.filter === undefined || body.filter === null ? null : rawFilter(text),
    policy: body.policy ?? {},
  }
  return check(connector, draft, new Map(), around)
}

/** Reads a merge patch on top of what is kept. Throws a problem. */
export function readPatch(
  connector: Connector,
  before: IntegrationRecord,
  patch: IntegrationPatch,
  text: string,
  around: Surroundings,
): Configuration {
  const { snapshot } = before
  const presetChanges = patch.policy !== undefined && patch.policy !== null && "preset" in patch.policy
  const draft = {
    name: patch.name ?? snapshot.name,
    connector: connector.name,
    apps: patch.apps === undefined ? snapshot.apps : (patch.apps ?? []),
    config: mergePatch(withoutOtherAuth(snapshot.config, patch.config), patch.config) as Settings,
    events: patch.events === null ? {} : mergePatch(snapshot.events, patch.events),
    // A filter has one operator at its top, so that merging two would make none that is valid: it is replaced whole.
    filter: patch.filter === undefined ? snapshot.filter : patch.filter === null ? null : rawFilter(text),
    // A preset is a starting point: what differed before is not carried over, and null says “never” or “none”, as in a new one.
    policy: patch.policy === null ? {} : presetChanges ? patch.policy : mergePatch(snapshot.policy, patch.policy),
  }
  return check(connector, draft, before.secrets, around)
}

interface Draft {
  readonly name: string
  readonly connector: string
  /** By name, or by id where they stay as they are. */
  readonly apps: readonly (string | AppId)[]
  readonly config: Settings
  readonly events: unknown
  readonly filter: string | null
  readonly policy: unknown
}

function check(
  connector: Connector,
  draft: Draft,
  kept: ReadonlyMap<string, string>,
  around: Surroundings,
): Configuration {
  const errors: ProblemError[] = []
  const under = (parent: string, faults: readonly ProblemError[]) =>
    errors.push(...faults.map(fault => ({ pointer: parent + fault.pointer, message: fault.message })))

  under("/events", faultsOfBody(EventRulesSchema, draft.events, "/events"))
  const events = withDefaults(draft.events)
  if (errors.length === 0) under("/events", checkEventRules(events).map(asSentence("/events")))

  const policyFaults = faultsOfBody(PolicyIn, draft.policy, "/policy")
  under("/policy", policyFaults)
  const policy = draft.policy as PolicyInput
  if (policyFaults.length === 0) {
    const resolved = resolvePolicy(policy, around.payloadMs)
    if (resolved.kind === "faults") under("/policy", resolved.faults)
  }

  const { settings, faults } = joinSecrets(connector.settings, withVerification(connector, draft.config, policy), kept)
  under("/config", faults)
  const shape = faultsOfBody(connector.settings, settings, "/config")
  under("/config", shape)
  if (shape.length === 0 && faults.length === 0) {
    const wrong = connector.check(settings, around.now)
    under("/config", wrong)
    // A URL that is no URL has been told already.
    under(
      "/config",
      urlFaults(settings, around.egress).filter(f => !wrong.some(({ pointer }) => pointer === f.pointer)),
    )
  }
  under("/filter", filterFaults(draft.filter).map(asSentence("/filter")))

  const newApps = new Map<string, AppId>()
  const apps = draft.apps.flatMap((app, i) => {
    if (typeof app === "number") return app
    const known = around.appId(app) ?? newApps.get(app)
    if (known !== undefined) return known
    const id = around.newAppId?.()
    if (id === undefined) {
      under(`/apps/${i}`, [{ pointer: "", message: `The app ${app} is not known. Make it with POST /v1/apps.` }])
      return []
    }
    newApps.set(app, id)
    return id
  })
  const [first] = errors
  if (first !== undefined) throw new Problem("invalid", first.message, { errors })
  const { shown, secrets } = splitSecrets(connector.settings, settings)
  return {
    snapshot: {
      name: draft.name,
      connector: draft.connector,
      apps,
      config: shown,
      events,
      filter: draft.filter,
      options: {},
      policy,
    },
    secrets,
    secretsChanged: changedSecrets(kept, secrets),
    newApps,
  }
}

/** Another kind of authentication has other fields: those of the kind before are not carried over. */
function withoutOtherAuth(config: Settings, patch: Settings | undefined): Settings {
  return Object.fromEntries(
    Object.entries(config).map(([name, value]) => {
      const [kept, asked] = [kindOfAuth(value), kindOfAuth(patch?.[name])]
      if (asked === undefined || asked === kept) return [name, value]
      const { auth: _, ...rest } = value as Settings
      return [name, rest]
    }),
  )
}

function kindOfAuth(endpoint: unknown): unknown {
  if (typeof endpoint !== "object" || endpoint === null) return undefined
  const { auth } = endpoint as { readonly auth?: { readonly kind?: unknown } | null }
  return auth?.kind
}

/** Where verification is left out, the policy's preset decides; written down, so that everybody sees which it is. */
function withVerification(
  { verification }: Connector,
  config: Settings,
  { preset = "standard" }: PolicyInput,
): Settings {
  if (verification === undefined || config["verification"] !== undefined || !presetNames.includes(preset)) return config
  return { ...config, verification: presetVerification[preset] }
}

function withDefaults(events: unknown): EventRules {
  return { default: "on", types: {}, ...(events as Partial<EventRules>) }
}

/** Addresses are judged when they are saved as well as when they are dialled, so that a mistake shows at once. */
function urlFaults(settings: Settings, egress: EgressRules): ProblemError[] {
  return ["production", "sandbox"].flatMap(environment => {
    const endpoint = (settings[environment] ?? {}) as {
      readonly url?: unknown
      readonly auth?: { readonly token_url?: unknown }
    }
    const urls = [
      ["url", endpoint.url],
      ["auth/token_url", endpoint.auth?.token_url],
    ] as const
    return urls.flatMap(([field, url]) => {
      if (typeof url !== "string") return []
      const judged = judgeUrl(url, egress)
      return judged.kind === "allowed" ? [] : [{ pointer: `/${environment}/${field}`, message: judged.message }]
    })
  })
}

/** All that is wrong with a filter, by its text. */
export function filterFaults(filter: string | null): readonly ProblemError[] {
  if (filter === null) return []
  const parsed = parseExact(filter)
  return parsed === undefined ? [{ pointer: "", message: "this is not JSON" }] : checkFilter(parsed)
}

/** Rules and filters say what is wrong in half a sentence; the place is the other half. */
export function asSentence(parent: string): (fault: ProblemError) => ProblemError {
  return ({ pointer, message }) => {
    const place = `${parent}${pointer}`.slice(1).replaceAll("/", ".")
    return { pointer, message: `\`${place}\`: ${message}.` }
  }
}

/** The filter's own text: `JSON.parse` would round a number of twenty digits. */
export function rawFilter(text: string): string | null {
  const members = memberSpans(text, 64)
  const span = members.kind === "members" ? members.members.findLast(({ key }) => key === "filter") : undefined
  return span === undefined ? null : text.slice(span.start, span.end)
}
