/** `waybill keys`: the API keys of a project: who uses which, a new one, one less. */
import type { Command } from "commander"
import { clientOf, type ServerFlags, withServer } from "./client.ts"
import { unknownSubcommand } from "./fault.ts"
import { type List, type PageFlags, pageQuery, printList, withPage } from "./lists.ts"
import { oneLine, type Terminal } from "./terminal.ts"

interface KeyView {
  readonly id: string
  readonly name: string
  readonly prefix: string
  readonly last4: string
  readonly created_at: string
  readonly expires_at: string | null
  readonly revoked_at: string | null
  readonly last_used_at: string | null
  readonly last_event_at: string | null
}

export function addKeys(program: Command, terminal: Terminal): void {
  const keys = withServer(withPage(program.command("keys").summary("list, create and revoke API keys")))
    .description("Lists the project's API keys, newest first, with when each was last used.")
    .addHelpText("after", "\nExample:\n  $ waybill keys")
    // A subcommand that was mistyped comes here, with what stands after it.
    .allowExcessArguments()
    .action((flags: ServerFlags & PageFlags, command: Command) => {
      const [word] = command.args
      if (word !== undefined) throw unknownSubcommand(command, word)
      return listKeys(flags, terminal)
    })

  withServer(keys.command("create").summary("make a key; it is shown this once"))
    .description("Makes an API key. It is shown this once.")
    .requiredOption("--name <text>", "what it is for")
    .option("--expires-at <time>", "when it ends, such as 2027-11-21T00:00:00Z")
    .addHelpText("after", "\nExample:\n  $ waybill keys create --name 'billing backend'")
    .action((_flags, command: Command) =>
      createKey(command.optsWithGlobals<ServerFlags & { name: string; expiresAt?: string }>(), terminal),
    )

  withServer(keys.command("revoke").summary("revoke a key, at once"))
    .description("Revokes an API key: requests that bring it are refused from now on.")
    .argument("<id>", "a key: key_…")
    .addHelpText("after", "\nExample:\n  $ waybill keys revoke key_01j9zq4kx2m")
    .action((id: string, _flags, command: Command) => revokeKey(id, command.optsWithGlobals(), terminal))
}

function listKeys(flags: ServerFlags & PageFlags, terminal: Terminal): Promise<void> {
  const now = terminal.now()
  const list: List<KeyView> = {
    name: "keys",
    path: "/v1/api-keys",
    query: pageQuery(flags),
    head: ["ID", "NAME", "KEY", "STATE", "CREATED", "LAST USED", "LAST EVENT"],
    row: key => [
      key.id,
      oneLine(key.name, 40),
      `${key.prefix}…${key.last4}`,
      stateOf(key, now, terminal),
      terminal.time(key.created_at),
      terminal.time(key.last_used_at),
      terminal.time(key.last_event_at),
    ],
  }
  return printList(list, flags, terminal)
}

function stateOf({ revoked_at, expires_at }: KeyView, now: number, terminal: Terminal): string {
  if (revoked_at !== null) return terminal.paint("red", "revoked")
  if (expires_at === null) return "good"
  return Date.parse(expires_at) <= now ? terminal.paint("red", "expired") : `until ${terminal.time(expires_at)}`
}

async function createKey(
  flags: ServerFlags & { readonly name: string; readonly expiresAt?: string },
  terminal: Terminal,
): Promise<void> {
  const body = { name: flags.name, ...(flags.expiresAt === undefined ? {} : { expires_at: flags.expiresAt }) }
  const { text, value } = await clientOf(flags, terminal).post<KeyView & { readonly key: string }>("/v1/api-keys", body)
  if (flags.json) {
    terminal.print(text)
    return
  }
  terminal.note(`Made ${value.id}. The key is shown this once, keep it:`)
  terminal.print(value.key)
}

async function revokeKey(id: string, flags: ServerFlags, terminal: Terminal): Promise<void> {
  const path = `/v1/api-keys/${encodeURIComponent(id)}`
  const { text, value } = await clientOf(flags, terminal).call<KeyView>("DELETE", path)
  if (flags.json) terminal.print(text)
  else terminal.print(`${value.id} (${oneLine(value.name)}) is revoked.`)
}
