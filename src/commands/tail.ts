/** `waybill tail`: shows what happens as it happens. */
import type { Command } from "commander"
import type { AttemptView } from "../api/attempt-view.ts"
import type { DeliveryView } from "../api/delivery-view.ts"
import type { EventSummaryView } from "../api/event-view.ts"
import { clientOf, type ServerFlags, withServer } from "./client.ts"
import { CommandFault } from "./fault.ts"
import { paintReason, paintStatus } from "./lists.ts"
import { follow, type StreamMessage } from "./stream-client.ts"
import { oneLine, type Terminal } from "./terminal.ts"
import { readNumber } from "./values.ts"

interface TailFlags extends ServerFlags {
  readonly type?: string
  readonly integration?: string
  readonly app?: string
  readonly environment?: string
  readonly profileId?: string
  readonly deviceId?: string
  readonly after?: string
  readonly count?: number
}

/** What the messages of the stream hold, by their name. */
interface Messages {
  readonly event: EventSummaryView & {
    readonly integrations: readonly string[]
    readonly withheld: readonly { readonly integration: string; readonly reason: string }[]
  }
  readonly attempt: AttemptView & {
    readonly delivery: Pick<DeliveryView, "id" | "status" | "next_attempt_at">
    readonly integration: DeliveryView["integration"]
    readonly event: { readonly id: string; readonly type: string }
  }
  readonly change: {
    readonly at: string
    readonly kind: string
    readonly subject: string
    readonly by: { readonly kind: string; readonly id: string | null }
  }
  readonly skip: {
    readonly at: string
    readonly text: string
    readonly delivery: Pick<DeliveryView, "id" | "status" | "next_attempt_at">
    readonly integration: DeliveryView["integration"]
    readonly event: { readonly id: string; readonly type: string }
  }
  /** Of the stream itself: where it stands, why it ends. */
  readonly notice: { readonly reason: string; readonly detail: string }
}

export function addTail(program: Command, terminal: Terminal): void {
  withServer(program.command("tail").summary("show events and attempts as they happen"))
    .description(
      "Shows events, attempts and changes as they happen. After a break it goes on where it had stopped, so that nothing is left out.",
    )
    .option("--type <type>", "a type, or a prefix with a star at its end")
    .option("--integration <id>", "an integration: int_…")
    .option("--app <name>", "the app that events belong to")
    .option("--environment <name>", "production or sandbox")
    .option("--profile-id <id>", "the customer behind events")
    .option("--device-id <id>", "the device that they came from")
    .option("--after <position>", "begin after this position: the `position` of a message printed with --json")
    .option("--count <number>", "end after so many messages", readNumber(1, 1_000_000_000))
    .addHelpText(
      "after",
      `
Examples:
  $ waybill tail --type 'order.*'
  $ waybill tail --json | jq 'select(.message == "attempt" and .data.outcome != "success")'`,
    )
    .action((flags: TailFlags) => tail(flags, terminal))
}

async function tail(flags: TailFlags, terminal: Terminal): Promise<void> {
  const ending = new AbortController()
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => ending.abort())
  let shown = 0
  const hear = (message: StreamMessage): void => {
    if (shown === flags.count) return
    if (message.name === "reset" || message.name === "bye") {
      tellNotice(message, terminal)
      return
    }
    if (flags.json) terminal.print(jsonOf(message))
    else terminal.print(lineOf(message, terminal))
    if (++shown === flags.count) ending.abort()
  }
  await follow(clientOf(flags, terminal), {
    query: {
      type: flags.type,
      integration: flags.integration,
      app: flags.app,
      environment: flags.environment,
      profile_id: flags.profileId,
      device_id: flags.deviceId,
    },
    after: flags.after,
    hear,
    note: sentence => terminal.note(terminal.paintNote("dim", sentence)),
    signal: ending.signal,
  })
}

/** One line, the data as it came. */
function jsonOf({ name, data, position }: StreamMessage): string {
  return `{"message":${JSON.stringify(name)},"position":${JSON.stringify(position ?? null)},"data":${data}}`
}

function lineOf({ name, data }: StreamMessage, terminal: Terminal): string {
  switch (name) {
    case "event":
      return eventLine(parse(data), terminal)
    case "attempt":
      return attemptLine(parse(data), terminal)
    case "skip":
      return skipLine(parse(data), terminal)
    case "change": {
      const { at, kind, subject, by }: Messages["change"] = parse(data)
      return line(at, "change", `${kind} ${subject} by ${by.id ?? by.kind}`, terminal)
    }
    default:
      return `${name} ${oneLine(data)}`
  }
}

function eventLine(event: Messages["event"], terminal: Terminal): string {
  const { integrations, withheld } = event
  const to = integrations.length === 1 ? "1 integration" : `${integrations.length} integrations`
  const reasons = [...new Set(withheld.map(({ reason }) => reason))].join(", ")
  const held = withheld.length === 0 ? "" : terminal.paint("yellow", ` · ${withheld.length} withheld (${reasons})`)
  const app = event.app === null ? "" : ` · ${oneLine(event.app)}`
  const text = `${event.id} ${terminal.paint("bold", event.type)}${app} → ${to}${held}`
  return line(event.received_at, "event", text, terminal)
}

function attemptLine(attempt: Messages["attempt"], terminal: Terminal): string {
  const { status, error, timings, reason, delivery } = attempt
  const outcome = status === null ? (error?.class ?? attempt.outcome) : String(status)
  const took = timings === null ? "" : ` in ${Math.round(timings.total_ms)} ms`
  const why = reason === null ? "" : ` · ${paintReason(reason.colour, oneLine(reason.title), terminal)}`
  const next = delivery.next_attempt_at === null ? "" : ` · again ${terminal.time(delivery.next_attempt_at)}`
  const to = oneLine(attempt.integration.name ?? attempt.integration.id)
  const text = `${delivery.id} ${attempt.event.type} → ${to} · ${outcome} ${paintStatus(attempt.outcome, terminal)}${took}${why}${next}`
  return line(attempt.started_at, "attempt", text, terminal)
}

function skipLine({ at, text, delivery, integration, event }: Messages["skip"], terminal: Terminal): string {
  const to = oneLine(integration.name ?? integration.id)
  const next = delivery.next_attempt_at === null ? "" : ` · again ${terminal.time(delivery.next_attempt_at)}`
  const status = paintStatus(delivery.status, terminal)
  return line(at, "skip", `${delivery.id} ${event.type} → ${to} · ${status} · ${text}${next}`, terminal)
}

function line(at: string, name: string, text: string, terminal: Terminal): string {
  return `${terminal.paint("dim", terminal.time(at))}  ${terminal.paint("cyan", name.padEnd(7))}  ${text}`
}

function tellNotice({ name, data }: StreamMessage, terminal: Terminal): void {
  const { reason, detail }: Messages["notice"] = parse(data)
  // Coming back with a key that is no longer good would go on for ever.
  if (name === "bye" && reason === "unauthorized") throw new CommandFault(detail)
  terminal.note(terminal.paintNote("yellow", oneLine(detail, 500)))
}

/** The stream's data has the form that its message's name says. */
function parse<T>(data: string): T {
  return JSON.parse(data) as T
}
