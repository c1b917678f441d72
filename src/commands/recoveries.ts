/** `waybill recoveries`: send again what did not arrive over a stretch of time, and see how far that is. */
import { setTimeout as wait } from "node:timers/promises"
import { SingleBar } from "cli-progress"
import type { Command } from "commander"
import type { FullRecoveryView, RecoveryPlan, RecoveryView } from "../api/recovery-view.ts"
import { commandName } from "../config.ts"
import { recoverableStatuses } from "../domain/recovery.ts"
import { type Client, clientOf, type ServerFlags, withServer } from "./client.ts"
import { misuse, unknownSubcommand } from "./fault.ts"
import { type Page, type PageFlags, pageQuery, tellEnd, withPage } from "./lists.ts"
import { oneLine, type Terminal } from "./terminal.ts"
import { collect, readAge, readNumber } from "./values.ts"

interface CreateFlags extends ServerFlags {
  readonly integration?: readonly string[]
  readonly since?: number
  readonly from?: string
  readonly to?: string
  readonly status?: readonly string[]
  readonly reason?: readonly string[]
  readonly type?: readonly string[]
  readonly environment?: string
  readonly app?: string
  readonly includeHistorical?: true
  readonly original?: true
  readonly maxPerSecond?: number
  readonly dryRun?: true
  readonly follow?: true
}

interface ShowFlags extends ServerFlags {
  readonly follow?: true
}

const EXAMPLE_ID = "rec_01j9zq4kx2m"
/** How often `--follow` asks how far it is. */
const FOLLOW_MS = 1_000

const actions = [
  ["pause", "pause a recovery: what it has not sent is as it was before"],
  ["resume", "go on with a recovery that was paused"],
  ["cancel", "end a recovery: what it has not sent is as it was before"],
] as const

export function addRecoveries(program: Command, terminal: Terminal): void {
  const command = program.command("recoveries").summary("send again what failed or was withheld, as a job")
  withServer(withPage(command))
    .description("Lists recoveries, newest first; with an id, shows one.")
    .argument("[id]", "a recovery: rec_…")
    .addHelpText(
      "after",
      `
Examples:
  $ waybill recoveries create --since 2h --integration int_01j9zq4kx2m --dry-run
  $ waybill recoveries create --since 2h --integration int_01j9zq4kx2m --follow
  $ waybill recoveries show ${EXAMPLE_ID}`,
    )
    // A subcommand that was mistyped comes here, with what stands after it.
    .allowExcessArguments()
    .action((id: string | undefined, flags: ServerFlags & PageFlags) => {
      if (id === undefined) return listAll(flags, terminal)
      if (!id.startsWith("rec_")) throw unknownSubcommand(command, id)
      return show(id, flags, terminal)
    })
  withServer(withPage(command.command("list").summary("list recoveries, newest first")))
    .description("Lists recoveries, newest first.")
    .addHelpText("after", "\nExample:\n  $ waybill recoveries list --limit 5")
    .action((_flags, sub: Command) => listAll(sub.optsWithGlobals(), terminal))
  addCreate(command, terminal)
  withServer(command.command("show").summary("show how far a recovery is"))
    .description("Shows how far a recovery is.")
    .argument("<id>", "a recovery: rec_…")
    .option("--follow", "show its progress until it has ended")
    .addHelpText("after", `\nExample:\n  $ waybill recoveries show ${EXAMPLE_ID} --follow`)
    .action((id: string, _flags, sub: Command) => show(id, sub.optsWithGlobals(), terminal))
  for (const [name, summary] of actions) {
    withServer(command.command(name).summary(summary))
      .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
      .argument("<id>", "a recovery: rec_…")
      .addHelpText("after", `\nExample:\n  $ waybill recoveries ${name} ${EXAMPLE_ID}`)
      .action((id: string, _flags, sub: Command) => act(id, name, sub.optsWithGlobals(), terminal))
  }
}

function addCreate(recoveries: Command, terminal: Terminal): void {
  withServer(recoveries.command("create").summary("begin a recovery, or count what it would send"))
    .description(
      "Sends again what failed or was withheld, oldest first, beside live traffic. What today's configuration does not let go stays where it is, and is counted with its reason.",
    )
    .option("--integration <id>", "only to this integration; may be repeated", collect)
    .option("--since <age>", "events received in the last 30m, 12h, 7d …", readAge)
    .option("--from <time>", "events received at this time or later, such as 2026-11-21T10:00:00Z")
    .option("--to <time>", "events received before this time")
    .option("--status <status>", `${recoverableStatuses.join(", ")} (failed,withheld if left out)`, collect)
    .option("--reason <code>", "only for this reason, such as not_verified; may be repeated", collect)
    .option("--type <type>", "only events of this type, or with a prefix that ends in *; may be repeated", collect)
    .option("--environment <name>", "production or sandbox")
    .option("--app <name>", "only events of this app")
    .option("--include-historical", "imported history too")
    .option("--original", "as it was attempted before, not as configured today")
    .option("--max-per-second <number>", "no more a second, for each integration", readNumber(1, 10_000))
    .option("--dry-run", "only count, and show a sample")
    .option("--follow", "show its progress until it has ended")
    .addHelpText(
      "after",
      `
Examples:
  $ waybill recoveries create --since 2h --integration int_01j9zq4kx2m --dry-run
  $ waybill recoveries create --since 1d --status withheld --reason not_verified --follow
  $ waybill recoveries create --since 7d --status missing --integration int_01j9zq4kx2m`,
    )
    .action((_flags, sub: Command) => create(sub.optsWithGlobals(), terminal))
}

async function listAll(flags: ServerFlags & PageFlags, terminal: Terminal): Promise<void> {
  const { text, value } = await clientOf(flags, terminal).get<Page<RecoveryView>>("/v1/recoveries", pageQuery(flags))
  if (flags.json) {
    terminal.print(text)
    return
  }
  const rows = value.data.map(({ id, state, progress, integrations, created_at }) => [
    terminal.time(created_at),
    id,
    paintState(state, terminal),
    percent(progress.share_done),
    String(progress.queued),
    String(progress.delivered),
    String(progress.failed),
    String(progress.withheld + progress.expired),
    oneLine(integrations.map(({ name, id: integration }) => name ?? integration).join(", "), 40),
  ])
  const head = ["BEGUN", "ID", "STATE", "LOOKED AT", "QUEUED", "DELIVERED", "FAILED", "NOT SENT", "INTEGRATIONS"]
  terminal.printTable(head, rows, "No recoveries.")
  tellEnd(value, "recoveries", terminal)
}

async function create(flags: CreateFlags, terminal: Terminal): Promise<void> {
  const from = flags.since === undefined ? flags.from : new Date(terminal.now() - flags.since).toISOString()
  if (from === undefined) throw misuse("Say since when: --since 2h, or --from 2026-11-21T10:00:00Z.")
  const client = clientOf(flags, terminal)
  const { text, value } = await client.post<FullRecoveryView | RecoveryPlan>("/v1/recoveries", {
    from,
    to: flags.to,
    integrations: flags.integration,
    statuses: flags.status,
    reasons: flags.reason,
    event_types: flags.type,
    environment: flags.environment,
    app: flags.app,
    include_historical: flags.includeHistorical,
    configuration: flags.original ? "original" : undefined,
    max_per_second: flags.maxPerSecond,
    dry_run: flags.dryRun,
  })
  if ("dry_run" in value) {
    if (flags.json) terminal.print(text)
    else printPlan(value, terminal)
    return
  }
  if (flags.follow) return follow(client, value.id, flags, terminal)
  if (flags.json) terminal.print(text)
  else terminal.print(`${value.id} has begun. How far it is: ${commandName()} recoveries show ${value.id} --follow`)
}

async function show(id: string, flags: ShowFlags, terminal: Terminal): Promise<void> {
  const client = clientOf(flags, terminal)
  if (flags.follow) return follow(client, id, flags, terminal)
  const { text, value } = await read(client, id)
  if (flags.json) terminal.print(text)
  else printRecovery(value, terminal)
}

/** A bar over the time range until the recovery has ended; with --json a line for each look. */
async function follow(client: Client, id: string, flags: ServerFlags, terminal: Terminal): Promise<void> {
  const bar = new SingleBar({
    format:
      "{bar} {percentage} % looked at · {queued} queued · {delivered} delivered · {failed} failed · {left} on their way",
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    noTTYOutput: false,
  })
  const shows = flags.json !== true && process.stderr.isTTY
  if (shows) bar.start(1_000, 0, { queued: 0, delivered: 0, failed: 0, left: 0 })
  try {
    for (;;) {
      const { text, value } = await read(client, id)
      const { progress, state, ended_at } = value
      const { queued, delivered, failed, waiting, sending, retrying } = progress
      if (flags.json) terminal.print(text)
      if (shows) {
        const left = waiting + sending + retrying
        bar.update(Math.floor(progress.share_done * 1_000), { queued, delivered, failed, left })
      }
      if (ended_at !== null || (state === "paused" && waiting === 0)) {
        bar.stop()
        if (!flags.json) printRecovery(value, terminal)
        return
      }
      await wait(FOLLOW_MS)
    }
  } finally {
    bar.stop()
  }
}

async function act(id: string, action: string, flags: ServerFlags, terminal: Terminal): Promise<void> {
  const path = `/v1/recoveries/${encodeURIComponent(id)}/${action}`
  const { text, value } = await clientOf(flags, terminal).post<FullRecoveryView>(path)
  if (flags.json) terminal.print(text)
  else printRecovery(value, terminal)
}

function read(client: Client, id: string) {
  return client.get<FullRecoveryView>(`/v1/recoveries/${encodeURIComponent(id)}`)
}

function printRecovery(recovery: FullRecoveryView, terminal: Terminal): void {
  const { progress, integrations } = recovery
  const { queued, delivered, waiting, sending, retrying, failed } = progress
  terminal.printFields([
    ["recovery", terminal.paint("bold", recovery.id)],
    ["state", paintState(recovery.state, terminal)],
    ["received", `${terminal.time(recovery.from)} – ${terminal.time(recovery.to)}`],
    ["asked for", askedFor(recovery)],
    ["integrations", oneLine(integrations.map(({ name, id }) => name ?? id).join(", "))],
    ["looked at", percent(progress.share_done)],
    ["ends about", progress.estimated_end_at === null ? null : terminal.time(progress.estimated_end_at)],
    ["found", progress.found],
    [
      "queued",
      `${queued}: ${delivered} delivered, ${failed} failed, ${waiting + sending} on their way, ${retrying} retrying`,
    ],
    ["not sent", notSent(progress)],
  ])
  for (const { outcome, title, code, count } of progress.reasons) {
    terminal.print(`  ${String(count).padStart(8)}  ${outcome}: ${oneLine(title)} (${code})`)
  }
  for (const { integration, held_by } of recovery.by_integration) {
    if (held_by !== null && recovery.ended_at === null)
      terminal.note(`${oneLine(integration.name ?? integration.id)}: ${heldWords[held_by]}`)
  }
}

const heldWords = {
  integration_paused: "paused, so nothing goes out. Resume the integration.",
  integration_disabled: "switched off, so nothing is queued. Enable the integration.",
  integration_removed: "removed, so nothing can be sent to it.",
} as const

function printPlan(plan: RecoveryPlan, terminal: Terminal): void {
  const upTo = plan.counted_to === null ? "" : ` (counted up to ${terminal.time(plan.counted_to)}; there are more)`
  terminal.print(`${terminal.paint("bold", String(plan.count))} of ${plan.found} would be sent${upTo}.`)
  const rest = notSent(plan)
  if (rest !== "") terminal.print(`Not sent: ${rest}`)
  for (const { title, code, count } of plan.reasons) {
    terminal.print(`  ${String(count).padStart(8)}  ${oneLine(title)} (${code})`)
  }
  const rows = plan.sample.map(({ event, integration, status, outcome, why }) => [
    terminal.time(event.received_at),
    event.id,
    event.type,
    oneLine(integration.name ?? integration.id, 30),
    status,
    outcome === "send" ? "send" : oneLine(why?.title ?? "the integration is limited to other apps", 50),
  ])
  if (rows.length > 0) terminal.print()
  if (rows.length > 0) terminal.printTable(["RECEIVED", "EVENT", "TYPE", "INTEGRATION", "STATUS", "WOULD"], rows, "")
}

function notSent(counts: { readonly withheld: number; readonly expired: number; readonly other_apps: number }): string {
  const parts: (readonly [number, string])[] = [
    [counts.withheld, "withheld"],
    [counts.expired, "whose payload has expired"],
    [counts.other_apps, "of other apps"],
  ]
  return parts.flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`])).join(", ")
}

function askedFor({ statuses, reasons, event_types, environment, app }: RecoveryView): string {
  const parts = [statuses.join(", "), reasons?.join(", "), event_types?.join(", "), environment, app]
  return oneLine(parts.filter(part => typeof part === "string").join(" · "))
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`
}

function paintState(state: RecoveryView["state"], terminal: Terminal): string {
  switch (state) {
    case "done":
      return terminal.paint("green", state)
    case "paused":
    case "canceled":
      return terminal.paint("yellow", state)
    case "running":
      return state
  }
}
