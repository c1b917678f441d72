/** An integration as the command line shows it. */
import type { Static } from "typebox"
import type { IntegrationView } from "../api/integration-schemas.ts"
import { paintStatus } from "./lists.ts"
import { oneLine, printable, type Terminal } from "./terminal.ts"

export type Integration = Static<typeof IntegrationView>

/** Prints an integration in full. */
export function printIntegration(integration: Integration, terminal: Terminal): void {
  const { events, disabled } = integration
  terminal.printFields([
    ["integration", terminal.paint("bold", integration.id)],
    ["name", oneLine(integration.name)],
    ["connector", integration.connector],
    ["state", stateOf(integration, terminal)],
    ["since", disabled === null ? null : terminal.time(disabled.at)],
    ["revision", integration.revision],
    ["apps", integration.apps.length === 0 ? "all" : oneLine(integration.apps.join(", "))],
    ["types", Object.keys(events.types).length === 0 ? `all ${events.default}` : `others ${events.default}`],
    ["policy", integration.policy.preset],
    ["keys", integration.signing_keys.map(key => `${key.scheme} number ${key.number}`).join(", ")],
    ["created", terminal.time(integration.created_at)],
    ["changed", terminal.time(integration.updated_at)],
  ])
  for (const [environment, { state, rule, checked_at, message }] of Object.entries(integration.verification)) {
    terminal.print()
    const when = checked_at === null ? "" : ` at ${terminal.time(checked_at)}`
    terminal.print(`${environment} endpoint: ${paintStatus(state, terminal)} (rule ${rule})${when}`)
    if (message !== null) terminal.print(`  ${oneLine(message, 1_000)}`)
  }
  printPart("config", integration.config, terminal)
  if (Object.keys(events.types).length > 0) printPart("types", events.types, terminal)
  if (integration.filter !== null) printPart("filter", integration.filter, terminal)
}

function printPart(name: string, value: unknown, terminal: Terminal): void {
  terminal.print()
  terminal.print(`${terminal.paint("dim", name)} ${printable(JSON.stringify(value, null, 2))}`)
}

/** Whether it is on, and who switched it off where it is not. */
export function stateOf({ enabled, paused, disabled }: Integration, terminal: Terminal): string {
  if (!enabled) {
    const why = disabled?.reason ? `, ${disabled.reason}` : ""
    return terminal.paint("red", `off (by ${disabled?.by ?? "a person"}${why})`)
  }
  return paused ? terminal.paint("yellow", "paused") : terminal.paint("green", "on")
}

/** How the verification of its endpoints stands, in a few words. */
export function verificationOf({ verification }: Integration, terminal: Terminal): string {
  const states = Object.entries(verification).map(([name, { state }]) => {
    const shown = state === "failed" ? terminal.paint("red", state) : state.replaceAll("_", " ")
    return `${name} ${shown}`
  })
  return states.length === 0 ? "-" : states.join(", ")
}
