/** `waybill audit`: who changed what, when and from where; as a table, or whole for another system. */
import { once } from "node:events"
import type { Command } from "commander"
import { HOUR_MS } from "../domain/duration.ts"
import { clientOf, type ServerFlags, withServer } from "./client.ts"
import { CommandFault, unknownSubcommand } from "./fault.ts"
import { type List, pageQuery, printList, type RangeFlags, withPage } from "./lists.ts"
import { oneLine, type Terminal } from "./terminal.ts"
import { readAge } from "./values.ts"

interface Entry {
  readonly at: string
  readonly kind: string
  readonly subject: string
  readonly by: { readonly kind: string; readonly id: string | null }
  readonly from: { readonly address: string; readonly agent: string | null } | null
}

interface FilterFlags extends ServerFlags, RangeFlags {
  readonly actor?: string
  readonly kind?: string
  readonly subject?: string
}

/** Longer than it takes to give all of 400 days. */
const EXPORT_LIMIT_MS = HOUR_MS

export function addAudit(program: Command, terminal: Terminal): void {
  const audit = withServer(withPage(program.command("audit").summary("show who changed what, and from where")))
    .description("Lists the audit log, newest first. With --json each entry shows what it was before and after.")
    .option("--actor <id>", "what a key or a person did: key_…, per_…")
    .option("--kind <text>", "what was done, such as integration.updated")
    .option("--subject <id>", "to what it was done: int_…, key_…, an event type …")
    .option("--since <age>", "in the last 30m, 12h, 7d …", readAge)
    .option("--from <time>", "at this time or later, such as 2026-11-21T10:00:00Z")
    .option("--to <time>", "before this time")
    .addHelpText("after", "\nExample:\n  $ waybill audit --since 7d --kind api_key.created")
    // A subcommand that was mistyped comes here, with what stands after it.
    .allowExcessArguments()
    .action((flags: FilterFlags, command: Command) => {
      const [word] = command.args
      if (word !== undefined) throw unknownSubcommand(command, word)
      return listAudit(flags, terminal)
    })

  withServer(audit.command("export").summary("write the whole log, an entry a line, oldest first"))
    .description(
      "Writes the audit log to standard output as newline-delimited JSON, oldest first; the same options narrow it.",
    )
    .addHelpText("after", "\nExample:\n  $ waybill audit export --from 2026-11-01T00:00:00Z > audit.ndjson")
    .action((_flags, command: Command) => exportAudit(command.optsWithGlobals<FilterFlags>(), terminal))
}

function filterQuery({ actor, kind, subject, since, from, to }: FilterFlags, now: number) {
  return { actor, kind, subject, from: since === undefined ? from : new Date(now - since).toISOString(), to }
}

function listAudit(flags: FilterFlags, terminal: Terminal): Promise<void> {
  const list: List<Entry> = {
    name: "audit",
    path: "/v1/audit-log",
    query: { ...filterQuery(flags, terminal.now()), ...pageQuery(flags) },
    head: ["AT", "WHAT", "TO", "BY", "FROM"],
    row: ({ at, kind, subject, by, from }) => [
      terminal.time(at),
      kind,
      oneLine(subject, 40),
      by.id ?? by.kind,
      from === null ? "" : oneLine(`${from.address} ${from.agent ?? ""}`, 40),
    ],
  }
  return printList(list, flags, terminal)
}

async function exportAudit(flags: FilterFlags, terminal: Terminal): Promise<void> {
  const query = filterQuery(flags, terminal.now())
  const response = await clientOf(flags, terminal).open(
    "GET",
    "/v1/audit-log/export",
    { query },
    AbortSignal.timeout(EXPORT_LIMIT_MS),
  )
  try {
    for await (const chunk of response.body ?? []) {
      if (!process.stdout.write(chunk)) await once(process.stdout, "drain")
    }
  } catch {
    throw new CommandFault(
      "The export broke off: what was written is not the whole. Ask again, with --from where it ended.",
    )
  }
}
