/** What people do with an integration from the command line: switch it, verify it, try it, change its secret, remove it. */
import type { Command } from "commander"
import type { ReasonView } from "../api/reasons.ts"
import { type Client, clientOf, ENDPOINT_LIMIT_MS, type ServerFlags, withServer } from "./client.ts"
import { eventText } from "./event-texts.ts"
import { CommandFault, misuse } from "./fault.ts"
import { type Integration, printIntegration } from "./integration-view.ts"
import { paintStatus, printReason } from "./lists.ts"
import { indentJson } from "./pretty-json.ts"
import { oneLine, printable, type Terminal } from "./terminal.ts"
import { readAge } from "./values.ts"

/** Calls that take an id and give the integration back. */
const switches = [
  ["enable", "switch an integration on and verify its endpoints"],
  ["disable", "switch an integration off; what waits ends"],
  ["pause", "hold an integration's deliveries back"],
  ["resume", "let held deliveries go"],
  ["verify", "verify an integration's endpoints now"],
] as const

const EXAMPLE_ID = "int_01j9zq4kx2m"

interface TestFlags extends ServerFlags {
  readonly type?: string
  readonly data?: string
  readonly event?: string
  readonly environment?: string
}

interface RotateFlags extends ServerFlags {
  readonly secret?: string
  readonly grace?: number
}

/** What `POST …/test` gives. */
interface TestResult {
  readonly status: string
  readonly reason: ReasonView | null
  readonly response: { readonly status: number; readonly body: string } | null
  readonly took_ms: number | null
}

export function addIntegrationActions(integrations: Command, terminal: Terminal): void {
  const add = (name: string, summary: string, example = "") =>
    withServer(integrations.command(name).summary(summary))
      .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
      .argument("<id>", "an integration: int_…")
      .addHelpText("after", `\nExample:\n  $ waybill integrations ${name} ${EXAMPLE_ID}${example}`)

  for (const [name, summary] of switches) {
    add(name, summary).action((id: string, _flags, command: Command) =>
      switchIt(id, name, command.optsWithGlobals(), terminal),
    )
  }
  add("test", "send one test event, also when it is off or unverified", ` --type order.created --data '{"order": 1}'`)
    .option("--type <type>", "the event's type")
    .option("--data <json>", "the event's data")
    .option("--event <id>", "an event of the past to send again, as a test: evt_…")
    .option("--environment <name>", "production or sandbox")
    .action((id: string, _flags, command: Command) => test(id, command.optsWithGlobals(), terminal))
  add("rotate-secret", "give an integration a new signing secret, shown this once", " --grace 1h")
    .option("--secret <secret>", "a secret of your own: whsec_… or whsk_…")
    .option("--grace <duration>", "how long the old secret signs too, such as 1h or 0s (a day if left out)", readAge)
    .action((id: string, _flags, command: Command) => rotate(id, command.optsWithGlobals(), terminal))
  add("remove", "remove an integration; what waits ends, its history stays").action(
    (id: string, _flags, command: Command) => remove(id, command.optsWithGlobals(), terminal),
  )
}

async function switchIt(id: string, name: string, flags: ServerFlags, terminal: Terminal): Promise<void> {
  const { text, value } = await post<Integration>(clientOf(flags, terminal), id, name)
  if (flags.json) terminal.print(text)
  else printIntegration(value, terminal)
  const failed = Object.values(value.verification).some(({ state }) => state === "failed")
  if (name === "verify" && failed) throw new CommandFault("An endpoint did not pass; see the message beside it.")
}

async function test(id: string, flags: TestFlags, terminal: Terminal): Promise<void> {
  const { text, value } = await post<TestResult>(clientOf(flags, terminal), id, "test", testBody(flags))
  if (flags.json) {
    terminal.print(text)
  } else {
    const { status, reason, response, took_ms } = value
    const answer = response === null ? "" : ` · answered ${response.status}`
    const took = took_ms === null ? "" : ` in ${Math.round(took_ms)} ms`
    terminal.print(`${paintStatus(status, terminal)}${answer}${took}`)
    if (response !== null && response.body !== "") {
      terminal.print(printable(indentJson(response.body) ?? response.body))
    }
    if (reason !== null) printReason(reason, terminal, "")
  }
  if (value.status !== "delivered") throw new CommandFault("The test event was not delivered.")
}

function testBody({ type, data, event, environment }: TestFlags): string {
  const given = Object.entries({ type, event, environment })
  const members = Object.fromEntries(given.filter((entry): entry is [string, string] => entry[1] !== undefined))
  if (data === undefined) return JSON.stringify(members)
  const text = eventText(data, "--data", { kind: "data", members })
  if (text.kind === "unreadable") throw misuse(`--data: ${text.message}`)
  return text.text
}

async function rotate(id: string, flags: RotateFlags, terminal: Terminal): Promise<void> {
  const { secret, grace } = flags
  const body = JSON.stringify({ secret, grace_seconds: grace === undefined ? undefined : Math.round(grace / 1_000) })
  const { text, value } = await post<Integration>(clientOf(flags, terminal), id, "rotate-secret", body)
  if (flags.json) {
    terminal.print(text)
    return
  }
  const [, old] = value.signing_keys
  const until = old?.expires_at == null ? "" : ` The old one signs too until ${terminal.time(old.expires_at)}.`
  terminal.note(`The new signing secret is shown this once, give it to the receiver.${until}`)
  terminal.print(value.secret ?? "")
}

async function remove(id: string, flags: ServerFlags, terminal: Terminal): Promise<void> {
  await clientOf(flags, terminal).call("DELETE", `/v1/integrations/${encodeURIComponent(id)}`)
  if (flags.json) terminal.printJson({ id, removed: true })
  else terminal.print(`${oneLine(id)} is removed. Its history stays.`)
}

/** Calls that wait for endpoints take as long as those do. */
function post<T>(client: Client, id: string, action: string, body?: string) {
  const path = `/v1/integrations/${encodeURIComponent(id)}/${action}`
  return client.call<T>("POST", path, { limitMs: ENDPOINT_LIMIT_MS, ...(body === undefined ? {} : { body }) })
}
