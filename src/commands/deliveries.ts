/** `waybill deliveries` and `waybill retry`: one event on its way to one integration, what each attempt said, once more. */
import type { Command } from "commander"
import type { FullAttemptView } from "../api/attempt-view.ts"
import type { DeliveryView } from "../api/delivery-view.ts"
import { commandName } from "../config.ts"
import { clientOf, type ServerFlags, withServer } from "./client.ts"
import { attemptLine } from "./events.ts"
import {
  type Page,
  paintReason,
  paintStatus,
  printReason,
  type RangeFlags,
  rangeQuery,
  tellEnd,
  withRange,
} from "./lists.ts"
import { indentJson } from "./pretty-json.ts"
import { oneLine, printable, type Terminal } from "./terminal.ts"

interface DeliveryFlags extends ServerFlags, RangeFlags {
  readonly integration?: string
  readonly event?: string
  readonly status?: string
  readonly reason?: string
  readonly destinationRecord?: string
}

/** One delivery as `GET /v1/deliveries/{id}` gives it. */
interface WholeDelivery extends DeliveryView {
  readonly attempts: readonly FullAttemptView[]
  readonly retry_plan: readonly { readonly try: number; readonly not_before: string }[]
}

export function addDeliveries(program: Command, terminal: Terminal): void {
  const command = program
    .command("deliveries")
    .summary("search deliveries, or show one with its attempts")
    .description(
      "Searches deliveries, those of the newest events first; with an id, shows one with all that was sent and answered.",
    )
    .argument("[id]", "a delivery: dlv_…")
  withServer(withRange(command))
    .option("--integration <id>", "to this integration: int_…")
    .option("--event <id>", "of this event: evt_…")
    .option("--status <status>", "pending, sending, delivered, retrying, failed, skipped or withheld")
    .option("--reason <code>", "a reason's code, such as timeout_response")
    .option("--destination-record <id>", "the identifier that the destination gave the record")
    .addHelpText(
      "after",
      `
Examples:
  $ waybill deliveries --status failed --integration int_01j9zq4kx2m
  $ waybill deliveries dlv_01j9zq4kx2m01j9zq4kx2n`,
    )
    .action((id: string | undefined, flags: DeliveryFlags) =>
      id === undefined ? listDeliveries(flags, terminal) : showDelivery(id, flags, terminal),
    )

  withServer(program.command("retry").summary("try a delivery again now"))
    .description("Tries a delivery again now, with today's configuration; its schedule starts anew.")
    .argument("<id>", "a delivery: dlv_…")
    .addHelpText("after", "\nExample:\n  $ waybill retry dlv_01j9zq4kx2m01j9zq4kx2n")
    .action((id: string, flags: ServerFlags) => retry(id, flags, terminal))
}

async function listDeliveries(flags: DeliveryFlags, terminal: Terminal): Promise<void> {
  const { text, value } = await clientOf(flags, terminal).get<Page<DeliveryView>>("/v1/deliveries", {
    ...rangeQuery(flags, terminal.now()),
    integration: flags.integration,
    event: flags.event,
    status: flags.status,
    reason: flags.reason,
    destination_record: flags.destinationRecord,
  })
  if (flags.json) {
    terminal.print(text)
    return
  }
  const rows = value.data.map(delivery => [
    terminal.time(delivery.event.received_at),
    delivery.id,
    delivery.event.type,
    oneLine(delivery.integration.name ?? delivery.integration.id, 30),
    paintStatus(delivery.status, terminal),
    String(delivery.attempt_count),
    delivery.reason === null ? "-" : paintReason(delivery.reason.colour, oneLine(delivery.reason.title, 60), terminal),
  ])
  const head = ["RECEIVED", "ID", "TYPE", "INTEGRATION", "STATUS", "ATTEMPTS", "REASON"]
  terminal.printTable(head, rows, "No deliveries.")
  tellEnd(value, "deliveries", terminal)
}

async function showDelivery(id: string, flags: ServerFlags, terminal: Terminal): Promise<void> {
  const path = `/v1/deliveries/${encodeURIComponent(id)}`
  const { text, value: delivery } = await clientOf(flags, terminal).get<WholeDelivery>(path)
  if (flags.json) {
    terminal.print(text)
    return
  }
  const { integration, event } = delivery
  terminal.printFields([
    ["delivery", terminal.paint("bold", delivery.id)],
    ["status", paintStatus(delivery.status, terminal)],
    ["event", `${event.id} ${event.type}`],
    ["integration", `${integration.id} ${oneLine(integration.name ?? "")}${integration.removed ? " (removed)" : ""}`],
    ["received", terminal.time(event.received_at)],
    ["next attempt", delivery.next_attempt_at === null ? null : terminal.time(delivery.next_attempt_at)],
    ["then", delivery.retry_plan.map(({ not_before }) => terminal.time(not_before)).join(", ")],
    ["record", oneLine(delivery.destination_record ?? "")],
  ])
  if (delivery.reason !== null) {
    terminal.print()
    printReason(delivery.reason, terminal, "")
  }
  for (const attempt of [...delivery.attempts].reverse()) printAttempt(attempt, terminal)
}

function printAttempt(attempt: FullAttemptView, terminal: Terminal): void {
  terminal.print()
  terminal.print(attemptLine(attempt, terminal))
  if (attempt.error !== null) terminal.print(`  ${oneLine(attempt.error.message)}`)
  if (attempt.exchange_expired) terminal.print("  Request and answer are no longer kept.")
  if (attempt.request !== null) printMessage(`→ ${oneLine(attempt.url ?? "")}`, attempt.request, terminal)
  if (attempt.response !== null) printMessage(`← ${attempt.response.status}`, attempt.response, terminal)
  if (attempt.truncated) terminal.print("  (the answer was longer than what is kept of it)")
  if (attempt.incomplete) terminal.print("  (the answer was cut off)")
}

function printMessage(
  title: string,
  { headers, body, body_encoding }: Pick<NonNullable<FullAttemptView["request"]>, "headers" | "body" | "body_encoding">,
  terminal: Terminal,
): void {
  terminal.print(`  ${terminal.paint("bold", title)}`)
  for (const { name, value } of headers) {
    terminal.print(`    ${terminal.paint("cyan", printable(name))}: ${oneLine(value ?? "•••• (secret)", 500)}`)
  }
  if (body === null || body === "") return
  const shown = body_encoding === "base64" ? `(base64) ${body}` : (indentJson(body) ?? body)
  for (const line of printable(shown).split("\n")) terminal.print(`    ${line}`)
}

async function retry(id: string, flags: ServerFlags, terminal: Terminal): Promise<void> {
  const path = `/v1/deliveries/${encodeURIComponent(id)}/retry`
  const { text, value } = await clientOf(flags, terminal).post<DeliveryView>(path)
  if (flags.json) terminal.print(text)
  else terminal.print(`${value.id} is due now. What comes of it: ${commandName()} deliveries ${value.id}`)
}
