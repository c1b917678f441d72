/** `waybill integrations diagnose` and `report`: what is going on at an integration, for oneself and for the other side. */
import type { Command } from "commander"
import type { DiagnosisView, VerdictView } from "../api/diagnosis.ts"
import { clientOf, type ServerFlags, withServer } from "./client.ts"
import { CommandFault } from "./fault.ts"
import { paintReason } from "./lists.ts"
import { oneLine, printable, type Terminal } from "./terminal.ts"
import { readAge } from "./values.ts"

/** A report reads a month of attempts. */
const LIMIT_MS = 30_000

interface DiagnosePage {
  readonly data: readonly DiagnosisView[]
  readonly next_cursor: string | null
}

interface ReportFlags extends ServerFlags {
  readonly since?: number
  readonly from?: string
  readonly to?: string
}

export function addIntegrationDiagnose(integrations: Command, terminal: Terminal): void {
  withServer(integrations.command("diagnose").summary("say what is going on, since when, why, and what to do"))
    .description(
      "Judges an integration by its last attempts, counts and changes; without an id, all of them in a table.",
    )
    .argument("[id]", "an integration: int_…")
    .addHelpText(
      "after",
      `
Examples:
  $ waybill integrations diagnose
  $ waybill integrations diagnose int_01j9zq4kx2m`,
    )
    .action((id: string | undefined, _flags, command: Command) => {
      const flags: ServerFlags = command.optsWithGlobals()
      return id === undefined ? diagnoseAll(flags, terminal) : diagnoseOne(id, flags, terminal)
    })

  withServer(integrations.command("report").summary("write a report for the support of the other side"))
    .description("Prints what the other side's support asks for as Markdown (--json: as JSON), secrets masked.")
    .argument("<id>", "an integration: int_…")
    .option("--since <age>", "of the last 30m, 12h, 7d … (a day if left out)", readAge)
    .option("--from <time>", "from this time on, such as 2026-11-21T10:00:00Z")
    .option("--to <time>", "before this time")
    .addHelpText("after", "\nExample:\n  $ waybill integrations report int_01j9zq4kx2m --since 2h > report.md")
    .action((id: string, _flags, command: Command) => report(id, command.optsWithGlobals(), terminal))
}

async function diagnoseOne(id: string, flags: ServerFlags, terminal: Terminal): Promise<void> {
  const path = `/v1/integrations/${encodeURIComponent(id)}/diagnosis`
  const { text, value } = await clientOf(flags, terminal).get<DiagnosisView>(path)
  if (flags.json) {
    terminal.print(text)
    return
  }
  terminal.print(`${oneLine(value.integration.name ?? "")} (${value.integration.id})`)
  for (const verdict of [value.verdict, ...value.also]) {
    terminal.print()
    printVerdict(verdict, terminal)
  }
}

async function diagnoseAll(flags: ServerFlags, terminal: Terminal): Promise<void> {
  const client = clientOf(flags, terminal)
  const found: DiagnosisView[] = []
  let cursor: string | undefined
  do {
    const { value } = await client.get<DiagnosePage>("/v1/diagnosis", { limit: 50, cursor })
    found.push(...value.data)
    cursor = value.next_cursor ?? undefined
  } while (cursor !== undefined)
  if (flags.json) {
    terminal.printJson({ data: found, next_cursor: null })
    return
  }
  const rows = found.map(({ integration, verdict }) => [
    integration.id,
    oneLine(integration.name ?? "", 40),
    paintReason(verdict.colour, oneLine(verdict.title, 60), terminal),
    verdict.colour,
    terminal.time(verdict.since),
  ])
  terminal.printTable(["ID", "NAME", "VERDICT", "COLOUR", "SINCE"], rows, "No integrations.")
}

/** What is happening, why, what to do, and what it was judged by. */
function printVerdict(verdict: VerdictView, terminal: Terminal): void {
  const { evidence } = verdict
  const line = (text: string, indent = "") => terminal.print(`${indent}${oneLine(text, 1_000)}`)
  const since = verdict.since === null ? "" : ` since ${terminal.time(verdict.since)}`
  terminal.print(
    `${paintReason(verdict.colour, oneLine(verdict.title), terminal)}${since} (${verdict.colour}, ${verdict.code})`,
  )
  line(verdict.what)
  if (verdict.causes !== "") terminal.print(`${terminal.paint("dim", "Causes:")} ${oneLine(verdict.causes, 1_000)}`)
  terminal.print(`${terminal.paint("dim", "Do:")} ${oneLine(verdict.advice, 1_000)}`)
  for (const question of verdict.questions) line(`- ${question}`, "  ")
  for (const { reason, status, count } of evidence.errors.slice(0, 10)) {
    terminal.print(`  ${count} × ${reason}${status === null ? "" : ` ${status}`}`)
  }
  for (const { type, count, near } of evidence.types.slice(0, 10)) {
    line(`${count} × ${type}${near === null ? "" : ` (${near} is what is switched on)`}`, "  ")
  }
  if (verdict.changes.length > 0) terminal.print(terminal.paint("dim", "Changed around then:"))
  for (const change of verdict.changes) {
    const who = change.by.name ?? change.by.id ?? change.by.kind
    const what = change.touches.length === 0 ? change.kind : `${change.kind}: ${change.touches.join(", ")}`
    line(`${terminal.time(change.at)} ${what} (by ${who}, ${change.when})`, "  ")
  }
}

async function report(id: string, flags: ReportFlags, terminal: Terminal): Promise<void> {
  const from = flags.since === undefined ? flags.from : new Date(terminal.now() - flags.since).toISOString()
  const path = `/v1/integrations/${encodeURIComponent(id)}/report`
  const query = { from, to: flags.to, format: flags.json ? "json" : "markdown" }
  const signal = AbortSignal.timeout(LIMIT_MS)
  const response = await clientOf(flags, terminal).open("GET", path, { query }, signal)
  let text: string
  try {
    text = await response.text()
  } catch {
    throw new CommandFault("The report broke off on its way. Ask again, for a shorter time with --since.")
  }
  terminal.print(flags.json ? text : printable(text.trimEnd()))
}
