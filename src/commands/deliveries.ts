/** `waybill deliveries` and `waybill retry`: one event on its way to one integration, what each attempt said, once more. */
import type { Command } from "commander"
import type { FullAttemptView } from "../api/attempt-view.ts"
import type { DeliveryView } from "../api/delivery-view.ts"
import { commandName } from "../config.ts"
import { clientOf, type ServerFlags, withServer } from "./client.ts"
import { attemptLine } from "./events.ts"
import {
  type List,
  paintReason,
  paintStatus,
  printList,
  printReason,
  type RangeFlags,
  rangeQuery,
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
  readonly recovery?: string
  readonly orderingKey?: string
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
    .option("--recovery <id>", "made due last by this recovery: rec_…")
    .option("--ordering-key <key>", "delivered in the order of this key")
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

  withServer(program.command("release").summary("let those behind a failed delivery go on"))
    .description(
      "Lets those behind a failed delivery of their ordering key go on, where the policy's ordered_on_failure is stop.",
    )
    .argument("<id>", "the delivery that has failed: dlv_…")
    .addHelpText("after", "\nExample:\n  $ waybill release dlv_01j9zq4kx2m01j9zq4kx2n")
    .action((id: string, flags: ServerFlags) => release(id, flags, terminal))
}

function listDeliveries(flags: DeliveryFlags, terminal: Terminal): Promise<void> {
  const list: List<DeliveryView> = {
    name: "deliveries",
    path: "/v1/deliveries",
    query: {
      ...rangeQuery(flags, terminal.now()),
      integration: flags.integration,
      event: flags.event,
      status: flags.status,
      reason: flags.reason,
      destination_record: flags.destinationRecord,
      recovery: flags.recovery,
      ordering_key: flags.orderingKey,
    },
    head: ["RECEIVED", "ID", "TYPE", "INTEGRATION", "STATUS", "ATTEMPTS", "REASON"],
    row: ({ id, event, integration, status, attempt_count, reason }) => [
      terminal.time(event.received_at),
      id,
      event.type,
      oneLine(integration.name ?? integration.id, 30),
      paintStatus(status, terminal),
      String(attempt_count),
      reason === null ? "-" : paintReason(reason.colour, oneLine(reason.title, 60), terminal),
    ],
  }
  return printList(list, flags, terminal)
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
    ["recovery", delivery.recovery],
    ["ordering key", oneLine(delivery.ordering_key ?? "")],
    ["behind", delivery.waiting_behind],
    [
      "blocks its key",
      delivery.blocks_key ? `yes; to go on without it: ${commandName()} release ${delivery.id}` : null,
    ],
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

/** Prints a request or an answer: its headers, secrets masked, and its body. */
export function printMessage(
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

async function release(id: string, flags: ServerFlags, terminal: Terminal): Promise<void> {
  const path = `/v1/deliveries/${encodeURIComponent(id)}/release`
  const { text, value } = await clientOf(flags, terminal).post<DeliveryView & { readonly released: string | null }>(
    path,
  )
  if (flags.json) terminal.print(text)
  else if (value.released === null) terminal.print(`The key of ${value.id} is free; nothing waited behind it.`)
  else terminal.print(`${value.released} is due now. What comes of it: ${commandName()} deliveries ${value.released}`)
}
