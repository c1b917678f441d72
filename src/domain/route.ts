/**
 * Routing: who gets an event, and why the others do not. Decided once, when the event comes in, and stored with it.
 *
 * The first rule that applies decides. What makes an integration not want an event comes before what makes it unable to
 * get one, so that an event which nobody asked for never turns red:
 *
 *     another project, limited to other apps, switched off by a person   not listed
 *     the event is imported history                                      historical
 *     its type is off or has a blank name                                type_disabled
 *     no endpoint for its environment, or the filter excludes it         filtered
 *     switched off by Waybill itself                                     integration_disabled, red
 *     the endpoint of its environment has not passed verification        not_verified, red
 *
 * A paused integration is delivered to: its deliveries wait.
 */
import type { Environment, Withheld } from "./event.ts"
import { type EventFacts, type EventView, viewEvent } from "./event-field.ts"
import { compileEventRules, type NameAnswer } from "./event-names.ts"
import { compileFilter, type FilterTest } from "./filter.ts"
import type { AppId, IntegrationId, ProjectId } from "./id.ts"
import type { Integration } from "./integration.ts"
import { isRed, type ReasonCode } from "./reason.ts"

/** An event on its way to be stored. */
export interface RoutedEvent extends EventFacts {
  readonly project: ProjectId
  /** Null where it names no app: then it is for integrations of all apps only. */
  readonly appId: AppId | null
}

/** An integration as the router sees it: rules and filter compiled, to be kept for as long as the revision holds. */
export interface RoutingIntegration {
  readonly id: IntegrationId
  readonly project: ProjectId
  /** Null: all apps. */
  readonly apps: ReadonlySet<AppId> | null
  readonly state: "on" | "off_by_person" | "off_by_waybill"
  /** Whether a type goes out, and under which name. */
  readonly nameFor: (type: string) => NameAnswer
  readonly passes: FilterTest | null
  readonly endpoints: Readonly<Record<Environment, "none" | "unverified" | "ready">>
}

/** Who gets an event. */
export interface Routing {
  readonly deliver: readonly IntegrationId[]
  readonly withheld: Withheld
  /** How many of the withholdings someone has to act on. */
  readonly red: number
}

/** Readies an integration for routing. `endpoints`: the environments that its settings have an endpoint for. */
export function prepare(integration: Integration, endpoints: readonly Environment[]): RoutingIntegration {
  const { id, project, apps, enabled, disabledBy, events, filter, verification } = integration
  const endpointFor = (environment: Environment) => {
    if (!endpoints.includes(environment)) return "none"
    const state = verification[environment]
    return state === "verified" || state === "not_required" ? "ready" : "unverified"
  }
  return {
    id,
    project,
    apps: apps.length === 0 ? null : new Set(apps),
    state: enabled ? "on" : disabledBy === "waybill" ? "off_by_waybill" : "off_by_person",
    nameFor: compileEventRules(events),
    passes: filter === null ? null : compileFilter(filter),
    endpoints: { production: endpointFor("production"), sandbox: endpointFor("sandbox") },
  }
}

/** Who gets an event and who does not, in the order of `integrations`. */
export function route(event: RoutedEvent, integrations: readonly RoutingIntegration[]): Routing {
  const view = viewEvent(event)
  const deliver: IntegrationId[] = []
  const withheld: Partial<Record<ReasonCode, IntegrationId[]>> = {}
  let red = 0
  for (const integration of integrations) {
    if (!isConcerned(integration, event)) continue
    const reason = whyNot(integration, event, view)
    if (reason === null) {
      deliver.push(integration.id)
      continue
    }
    const others = withheld[reason] ?? []
    others.push(integration.id)
    withheld[reason] = others
    if (isRed(reason)) red++
  }
  return { deliver, withheld, red }
}

/**
 * Which of the two causes of `filtered` held an event back from settings with these endpoints: the endpoint is asked for
 * before the filter, so where it was missing, that was it. No sentence of its own is stored with the event: the settings
 * of its time, which are kept, say it again.
 */
export function causeOfFiltered(environment: Environment, endpoints: readonly Environment[]): "no_endpoint" | "filter" {
  return endpoints.includes(environment) ? "filter" : "no_endpoint"
}

function isConcerned({ project, apps, state }: RoutingIntegration, event: RoutedEvent): boolean {
  if (project !== event.project || state === "off_by_person") return false
  return apps === null || (event.appId !== null && apps.has(event.appId))
}

function whyNot(integration: RoutingIntegration, event: RoutedEvent, view: EventView): ReasonCode | null {
  if (event.historical) return "historical"
  if (!integration.nameFor(event.type).on) return "type_disabled"
  const endpoint = integration.endpoints[event.environment]
  if (endpoint === "none") return "filtered"
  if (integration.passes !== null && !integration.passes(view)) return "filtered"
  if (integration.state === "off_by_waybill") return "integration_disabled"
  return endpoint === "unverified" ? "not_verified" : null
}
