/** `waybill events`: searches what came in, and shows of one event where it went and why it did not. */
import type { Command } from "commander"
import type { AttemptView } from "../api/attempt-view.ts"
import type { DeliveryView } from "../api/delivery-view.ts"
import type { EventSummaryView } from "../api/event-view.ts"
import type { ReasonView } from "../api/reasons.ts"
import { memberSpans } from "../domain/json-spans.ts"
import { clientOf, type ServerFlags, withServer } from "./client.ts"
import { type List, paintStatus, printList, printReason, type RangeFlags, rangeQuery, withRange } from "./lists.ts"
import { indentJson } from "./pretty-json.ts"
import { oneLine, printable, type Terminal } from "./terminal.ts"

interface EventFlags extends ServerFlags, RangeFlags {
  readonly type?: string
  readonly status?: string
  readonly app?: string
  readonly environment?: string
  readonly integration?: string
  readonly profileId?: string
  readonly deviceId?: string
  readonly sourceRecord?: string
  readonly destinationRecord?: string
  readonly externalId?: string
}

/** One event as `GET /v1/events/{id}` gives it. */
interface WholeEvent extends EventSummaryView {
  readonly payload_encoding: "json" | "text" | "base64" | null
  readonly deliveries: readonly (DeliveryView & { readonly attempts: readonly AttemptView[] })[]
  readonly withheld: readonly { readonly integration: DeliveryView["integration"]; readonly reason: ReasonView }[]
}

export function addEvents(program: Command, terminal: Terminal): void {
  const command = program
    .command("events")
    .summary("search events, or show one with its deliveries")
    .description("Searches events, newest first; with an id, shows one event, where it went, and why it did not.")
    .argument("[id]", "an event: evt_…")
  withServer(withRange(command))
    .option("--type <type>", "a type, or a prefix with a star at its end")
    .option("--status <status>", "received, processing, delivered, retrying or failed")
    .option("--app <name>", "the app it belongs to")
    .option("--environment <name>", "production or sandbox")
    .option("--integration <id>", "an integration that it went to, or was withheld from")
    .option("--profile-id <id>", "the customer behind it")
    .option("--device-id <id>", "the device it came from")
    .option("--source-record <id>", "the record in the source system")
    .option("--destination-record <id>", "the identifier that a destination gave it")
    .option("--external-id <id>", "the sender's own id")
    .addHelpText(
      "after",
      `
Examples:
  $ waybill events --status failed --since 24h
  $ waybill events evt_01j9zq4kx2m`,
    )
    .action((id: string | undefined, flags: EventFlags) =>
      id === undefined ? listEvents(flags, terminal) : showEvent(id, flags, terminal),
    )
}

function listEvents(flags: EventFlags, terminal: Terminal): Promise<void> {
  const list: List<EventSummaryView> = {
    name: "events",
    path: "/v1/events",
    query: {
      ...rangeQuery(flags, terminal.now()),
      type: flags.type,
      status: flags.status,
      app: flags.app,
      environment: flags.environment,
      integration: flags.integration,
      profile_id: flags.profileId,
      device_id: flags.deviceId,
      source_record: flags.sourceRecord,
      destination_record: flags.destinationRecord,
      external_id: flags.externalId,
    },
    head: ["RECEIVED", "ID", "TYPE", "STATUS", "DELIVERIES", "APP", "OWN ID"],
    row: event => [
      terminal.time(event.received_at),
      event.id,
      event.type,
      paintStatus(event.status, terminal),
      countsOf(event),
      oneLine(event.app ?? "-"),
      oneLine(event.external_id ?? "-", 40),
    ],
  }
  return printList(list, flags, terminal)
}

function countsOf({ counts }: EventSummaryView): string {
  const parts = [
    [counts.delivered, "delivered"],
    [counts.open, "under way"],
    [counts.retrying, "retrying"],
    [counts.failed, "failed"],
    [counts.withheld_red, "held back"],
  ] as const
  const known = parts.filter(([count]) => count > 0).map(([count, name]) => `${count} ${name}`)
  return known.length === 0 ? "-" : known.join(", ")
}

async function showEvent(id: string, flags: EventFlags, terminal: Terminal): Promise<void> {
  const { text, value: event } = await clientOf(flags, terminal).get<WholeEvent>(`/v1/events/${encodeURIComponent(id)}`)
  if (flags.json) {
    terminal.print(text)
    return
  }
  terminal.printFields([
    ["event", terminal.paint("bold", event.id)],
    ["type", event.type],
    ["status", paintStatus(event.status, terminal)],
    ["received", terminal.time(event.received_at)],
    ["occurred", terminal.time(event.occurred_at)],
    ["environment", event.environment],
    ["source", oneLine(event.source)],
    ["own id", oneLine(event.external_id ?? "")],
    ["app", oneLine(event.app ?? "")],
    ["profile", oneLine(event.profile_id ?? "")],
    ["device", oneLine(event.device_id ?? "")],
    ["source record", oneLine(event.source_record ?? "")],
    ["ordering key", oneLine(event.ordering_key ?? "")],
    ["marked", [event.historical ? "historical" : "", event.test ? "test" : ""].join(" ").trim()],
  ])
  printPayload(text, event, terminal)
  for (const delivery of event.deliveries) printDelivery(delivery, terminal)
  for (const { integration, reason } of event.withheld) {
    terminal.print()
    terminal.print(
      `not sent to ${terminal.paint("bold", oneLine(integration.name ?? integration.id))} (${integration.id})`,
    )
    printReason(reason, terminal, "  ")
  }
  if (event.deliveries.length + event.withheld.length > 0) return
  terminal.print()
  terminal.print("No integration is concerned: none is switched on for this event's app, or there is none yet.")
}

/** Cut out of the answer's text, in which it stands as it came in. */
function printPayload(text: string, event: WholeEvent, terminal: Terminal): void {
  const found = memberSpans(text, 1_000)
  const span = found.kind === "members" ? found.members.find(({ key }) => key === "payload") : undefined
  terminal.print()
  if (event.payload_expired) {
    terminal.print(`The payload (${event.payload_bytes} bytes) is no longer kept.`)
    return
  }
  if (span === undefined || event.payload_encoding === null) {
    terminal.print("It came without data.")
    return
  }
  const payload = text.slice(span.start, span.end)
  terminal.print(printable(indentJson(payload) ?? payload))
}

function printDelivery(delivery: WholeEvent["deliveries"][number], terminal: Terminal): void {
  const { integration, status, reason, next_attempt_at, destination_record } = delivery
  terminal.print()
  terminal.print(
    `${paintStatus(status, terminal)} → ${terminal.paint("bold", oneLine(integration.name ?? integration.id))} (${integration.id})`,
  )
  terminal.print(`  ${delivery.id}`)
  for (const attempt of [...delivery.attempts].reverse()) terminal.print(`  ${attemptLine(attempt, terminal)}`)
  if (next_attempt_at !== null) terminal.print(`  next attempt ${terminal.time(next_attempt_at)}`)
  if (destination_record !== null) terminal.print(`  destination record ${oneLine(destination_record)}`)
  if (reason !== null) printReason(reason, terminal, "  ")
}

/** An attempt on one line. */
export function attemptLine(attempt: AttemptView, terminal: Terminal): string {
  const { status, error, timings } = attempt
  const answer = status === null ? (error === null ? "" : ` ${error.class} (${error.phase})`) : ` ${status}`
  const took = timings === null ? "" : ` in ${Math.round(timings.total_ms)} ms`
  return `attempt ${attempt.number} · ${terminal.time(attempt.started_at)} · ${paintStatus(attempt.outcome, terminal)}${answer}${took}`
}
