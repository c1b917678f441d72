/** `waybill integrations inbox` and `duplicate-to-inbox`: what an integration sends, seen from the other side. */
import type { Command } from "commander"
import type { DuplicateView, InboxPage } from "../api/inbox.ts"
import { commandName } from "../config.ts"
import { clientOf, type ServerFlags, withServer } from "./client.ts"
import { printMessage } from "./deliveries.ts"
import { type PageFlags, pageQuery, tellEnd, withPage } from "./lists.ts"
import { formatBytes, oneLine, type Terminal } from "./terminal.ts"

interface InboxFlags extends ServerFlags, PageFlags {
  readonly full?: true
}

type InboxRequest = InboxPage["data"][number]

export function addInbox(integrations: Command, terminal: Terminal): void {
  withServer(integrations.command("duplicate-to-inbox").summary("send what an integration gets to an inbox as well"))
    .description(
      "Makes an inbox, a receiver inside Waybill, that gets the same events by the same rules, to tell Waybill from the endpoint.",
    )
    .argument("<id>", "a webhook: int_…")
    .addHelpText("after", "\nExample:\n  $ waybill integrations duplicate-to-inbox int_01j9zq4kx2m")
    .action((id: string, _flags, command: Command) => duplicate(id, command.optsWithGlobals(), terminal))

  withServer(withPage(integrations.command("inbox").summary("show the requests that an inbox got")))
    .description("Lists the requests that an inbox got, newest first, with what each check of a signature found.")
    .argument("<id>", "an inbox: int_…")
    .option("--full", "with all headers and the body of each")
    .addHelpText("after", "\nExample:\n  $ waybill integrations inbox int_01j9zq4kx2m --limit 1 --full")
    .action((id: string, _flags, command: Command) => list(id, command.optsWithGlobals(), terminal))
}

async function duplicate(id: string, flags: ServerFlags, terminal: Terminal): Promise<void> {
  const path = `/v1/integrations/${encodeURIComponent(id)}/duplicate-to-inbox`
  const { text, value } = await clientOf(flags, terminal).post<DuplicateView>(path)
  if (flags.json) {
    terminal.print(text)
    return
  }
  const { integration } = value
  terminal.print(`${oneLine(integration.name)} (${integration.id}) gets from now on what ${oneLine(id)} gets.`)
  terminal.note(`What it receives: ${commandName()} integrations inbox ${integration.id}`)
}

async function list(id: string, flags: InboxFlags, terminal: Terminal): Promise<void> {
  const path = `/v1/integrations/${encodeURIComponent(id)}/inbox`
  const { text, value } = await clientOf(flags, terminal).get<InboxPage>(path, pageQuery(flags))
  if (flags.json) {
    terminal.print(text)
    return
  }
  if (flags.full) {
    for (const request of value.data) printRequest(request, terminal)
    if (value.data.length === 0) terminal.note("No requests.")
  } else {
    const head = ["RECEIVED", "METHOD", "EVENT", "ATTEMPT", "BODY", "SIGNATURE", "ANSWERED"]
    terminal.printTable(
      head,
      value.data.map(request => rowOf(request, terminal)),
      "No requests.",
    )
  }
  tellEnd(value, `integrations inbox ${oneLine(id)}`, terminal)
}

function rowOf(request: InboxRequest, terminal: Terminal): string[] {
  return [
    terminal.time(request.at),
    oneLine(request.method),
    request.event ?? "-",
    request.attempt === null ? "-" : String(request.attempt),
    formatBytes(request.body_bytes),
    paintVerdict(request, terminal),
    answerText(request),
  ]
}

function printRequest(request: InboxRequest, terminal: Terminal): void {
  terminal.print(`${terminal.time(request.at)} ${request.id} · answered ${answerText(request)}`)
  terminal.print(`  ${paintVerdict(request, terminal)}: ${request.signature.message}`)
  printMessage(`→ ${oneLine(request.method)}`, request, terminal)
  if (request.body_truncated)
    terminal.print(`  (the body had ${formatBytes(request.body_bytes)}, more than is kept of it)`)
  terminal.print()
}

function paintVerdict({ signature: { verdict } }: InboxRequest, terminal: Terminal): string {
  const text = verdict.replaceAll("_", " ")
  if (verdict === "valid") return terminal.paint("green", text)
  return verdict === "not_signed" || verdict === "not_checked" ? text : terminal.paint("red", text)
}

function answerText({ answer: { status, delay_ms, state } }: InboxRequest): string {
  const delay = delay_ms === 0 ? "" : ` after ${delay_ms} ms`
  return `${status}${delay}${state === "sent" ? "" : ` (${state.replaceAll("_", " ")})`}`
}
