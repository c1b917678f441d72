/** `waybill integrations`: where events go: the list, one of them in full, and the commands that change it. */
import type { Command } from "commander"
import { clientOf, type ServerFlags, withServer } from "./client.ts"
import { unknownSubcommand } from "./fault.ts"
import { addInbox } from "./inbox.ts"
import { addIntegrationActions } from "./integration-actions.ts"
import { addIntegrationCreate } from "./integration-create.ts"
import { addIntegrationDiagnose } from "./integration-diagnose.ts"
import { type Integration, printIntegration, stateOf, verificationOf } from "./integration-view.ts"
import { type List, type PageFlags, pageQuery, printList, withPage } from "./lists.ts"
import { oneLine, type Terminal } from "./terminal.ts"

export function addIntegrations(program: Command, terminal: Terminal): void {
  const command = program.command("integrations").summary("list, show, create and change integrations")
  withServer(withPage(command))
    .description("Lists the project's integrations, newest first; with an id, shows one.")
    .argument("[id]", "an integration: int_…")
    .addHelpText(
      "after",
      `
Examples:
  $ waybill integrations
  $ waybill integrations int_01j9zq4kx2m
  $ waybill integrations test int_01j9zq4kx2m`,
    )
    // A subcommand that was mistyped comes here, with what stands after it.
    .allowExcessArguments()
    .action((id: string | undefined, flags: ServerFlags & PageFlags) => {
      if (id === undefined) return listIntegrations(flags, terminal)
      if (!id.startsWith("int_")) throw unknownSubcommand(command, id)
      return showOne(id, flags, terminal)
    })
  addIntegrationCreate(command, terminal)
  addIntegrationActions(command, terminal)
  addIntegrationDiagnose(command, terminal)
  addInbox(command, terminal)
}

function listIntegrations(flags: ServerFlags & PageFlags, terminal: Terminal): Promise<void> {
  const list: List<Integration> = {
    name: "integrations",
    path: "/v1/integrations",
    query: pageQuery(flags),
    head: ["ID", "NAME", "CONNECTOR", "STATE", "VERIFICATION", "APPS"],
    row: integration => [
      integration.id,
      oneLine(integration.name, 40),
      integration.connector,
      stateOf(integration, terminal),
      verificationOf(integration, terminal),
      integration.apps.length === 0 ? "all" : oneLine(integration.apps.join(", "), 40),
    ],
  }
  return printList(list, flags, terminal)
}

async function showOne(id: string, flags: ServerFlags, terminal: Terminal): Promise<void> {
  const path = `/v1/integrations/${encodeURIComponent(id)}`
  const { text, value } = await clientOf(flags, terminal).get<Integration>(path)
  if (flags.json) terminal.print(text)
  else printIntegration(value, terminal)
}
