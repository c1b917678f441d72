/** `waybill integrations create`: sets up a webhook from a few options, or any integration from a file. */
import { readFileSync } from "node:fs"
import type { Command } from "commander"
import { commandName } from "../config.ts"
import { jsonFault, MAX_DEPTH } from "../domain/json-spans.ts"
import { clientOf, ENDPOINT_LIMIT_MS, type ServerFlags, withServer } from "./client.ts"
import { CommandFault, codeOf, misuse } from "./fault.ts"
import { type Integration, printIntegration } from "./integration-view.ts"
import type { Terminal } from "./terminal.ts"
import { collect } from "./values.ts"

interface CreateFlags extends ServerFlags {
  readonly file?: string
  readonly name?: string
  readonly endpoint?: string
  readonly sandboxEndpoint?: string
  readonly authorization?: string
  readonly types?: readonly string[]
  readonly apps?: readonly string[]
  readonly preset?: string
  readonly format?: string
  readonly verification?: string
  readonly secret?: string
  readonly disabled?: true
}

export function addIntegrationCreate(integrations: Command, terminal: Terminal): void {
  withServer(integrations.command("create").summary("set up a webhook"))
    .description(
      "Sets up a webhook and verifies its endpoints. Its signing secret is shown this once. What the options do not cover is written as for POST /v1/integrations and given with --file.",
    )
    .option("--name <text>", "what it is called")
    .option("--endpoint <url>", "where events of production go")
    .option("--sandbox-endpoint <url>", "where events of the sandbox go")
    .option("--authorization <value>", "the value of the Authorization header, sent as typed")
    .option("--types <list>", "only these event types, exact or with a star at the end; separated by commas", collect)
    .option("--apps <list>", "only events of these apps; separated by commas", collect)
    .option("--preset <name>", "the policy: standard, subscription, revenuecat or device")
    .option("--format <name>", "waybill or cloudevents")
    .option("--verification <rule>", "json, status or none")
    .option("--secret <secret>", "a signing secret of your own: whsec_… or whsk_…")
    .option("--disabled", "switched off at first")
    .option("--file <file>", "the whole integration as JSON; - is standard input")
    .addHelpText(
      "after",
      `
Examples:
  $ waybill integrations create --name CRM --endpoint https://crm.example/hook --types 'order.*'
  $ waybill integrations create --file crm.json`,
    )
    .action((_flags, command: Command) => create(command.optsWithGlobals(), terminal))
}

async function create(flags: CreateFlags, terminal: Terminal): Promise<void> {
  const body = flags.file === undefined ? bodyOf(flags) : bodyIn(flags.file, flags)
  const call = { body, limitMs: ENDPOINT_LIMIT_MS }
  const { text, value } = await clientOf(flags, terminal).call<Integration>("POST", "/v1/integrations", call)
  if (flags.json) {
    terminal.print(text)
    return
  }
  printIntegration(value, terminal)
  terminal.print()
  if (Object.values(value.verification).some(({ state }) => state === "failed")) {
    const command = `${commandName()} integrations verify ${value.id}`
    terminal.note(`An endpoint did not pass verification, so it gets no events until it does: ${command}`)
  }
  // Whoever brought a secret has it already.
  if (flags.secret === undefined) {
    terminal.note("The signing secret is shown this once, give it to the receiver:")
    terminal.print(value.secret ?? "")
  }
}

function bodyOf(flags: CreateFlags): string {
  const { name, endpoint, sandboxEndpoint, authorization, types, apps, preset, format, verification, secret } = flags
  if (name === undefined) throw misuse("Say what it is called with --name, or give all of it with --file.")
  if (endpoint === undefined && sandboxEndpoint === undefined) {
    throw misuse("Say where events go with --endpoint https://…, or give all of it with --file.")
  }
  const at = (url: string | undefined) => (url === undefined ? undefined : { url, authorization })
  const enabled = Object.fromEntries((types ?? []).map(type => [type, { enabled: true }]))
  // Members that are undefined are not written.
  return JSON.stringify({
    name,
    enabled: flags.disabled === undefined,
    apps,
    config: { production: at(endpoint), sandbox: at(sandboxEndpoint), format, verification },
    events: types === undefined ? undefined : { default: "off", types: enabled },
    policy: preset === undefined ? undefined : { preset },
    secret,
  })
}

/** The file's own text: a filter's numbers are exact. */
function bodyIn(file: string, { name, endpoint, sandboxEndpoint }: CreateFlags): string {
  if ((name ?? endpoint ?? sandboxEndpoint) !== undefined) {
    throw misuse("With --file everything stands in the file: leave out --name and the endpoints.")
  }
  let text: string
  try {
    text = readFileSync(file === "-" ? process.stdin.fd : file, "utf8")
  } catch (error) {
    throw new CommandFault(`${file} cannot be read (${codeOf(error)}).`)
  }
  const fault = jsonFault(text, MAX_DEPTH)
  if (fault !== null) throw new CommandFault(`${file} is not JSON: ${fault.message}.`)
  return text
}
