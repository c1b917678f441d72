/** `waybill keys`: the API keys of a project: who uses which, a new one, one in place of another, one less. */
import { type Command, Option } from "commander"
import { scopeNames } from "../domain/scope.ts"
import { clientOf, type ServerFlags, withServer } from "./client.ts"
import { unknownSubcommand } from "./fault.ts"
import { type List, type PageFlags, pageQuery, printList, withPage } from "./lists.ts"
import { oneLine, type Terminal } from "./terminal.ts"
import { collect, readAge, readEnd, readNumber } from "./values.ts"

interface KeyView {
  readonly id: string
  readonly name: string
  readonly prefix: string
  readonly last4: string
  readonly scopes: readonly string[]
  readonly app: string | null
  readonly environment: string | null
  readonly source: string | null
  readonly created_at: string
  readonly expires_at: string | null
  readonly revoked_at: string | null
  readonly last_used_at: string | null
  readonly last_event_at: string | null
}

interface Rotated extends KeyView {
  readonly key: string
  readonly replaces: { readonly id: string; readonly expires_at: string }
}

export function addKeys(program: Command, terminal: Terminal): void {
  const keys = withServer(withPage(program.command("keys").summary("list, create, rotate and revoke API keys")))
    .description("Lists the project's API keys, newest first, with what each may do and when it was last used.")
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
    .option(
      "--scopes <list>",
      `what it may do, with commas between: ${scopeNames.join(", ")} (ingest if left out)`,
      collect,
    )
    .option("--app <name>", "only events of this app")
    .addOption(new Option("--environment <name>", "only events of this environment").choices(["production", "sandbox"]))
    .option("--source <name>", "only events of this source")
    .option(
      "--expires <when>",
      "when it ends: a time such as 2027-11-21T00:00:00Z, or how long from now, such as 90d",
      readEnd,
    )
    .option("--max-requests-per-minute <count>", "how many requests it may make a minute", readNumber(1, 1_000_000))
    .addHelpText(
      "after",
      "\nExample:\n  $ waybill keys create --name 'billing backend' --scopes ingest,events:read --app ios",
    )
    .action((_flags, command: Command) => createKey(command.optsWithGlobals<ServerFlags & NewKeyFlags>(), terminal))

  withServer(keys.command("rotate").summary("make a key with the same rights in place of another"))
    .description(
      "Makes a key with the same rights. It is shown this once; the old one goes on until its grace is over.",
    )
    .argument("<id>", "a key: key_…")
    .option("--grace <duration>", "how long the old one goes on, such as 1h or 0s (a day if left out)", readAge)
    .option("--expires <when>", "when the new one ends (when the old one would have, if left out)", readEnd)
    .addHelpText("after", "\nExample:\n  $ waybill keys rotate key_01j9zq4kx2m --grace 2h")
    .action((id: string, _flags, command: Command) =>
      rotateKey(id, command.optsWithGlobals<ServerFlags & { grace?: number; expires?: End }>(), terminal),
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
    head: ["ID", "NAME", "KEY", "STATE", "MAY DO", "CREATED", "LAST USED", "LAST EVENT"],
    row: key => [
      key.id,
      oneLine(key.name, 40),
      `${key.prefix}…${key.last4}`,
      stateOf(key, now, terminal),
      mayDo(key),
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

type End = ReturnType<typeof readEnd>

interface NewKeyFlags {
  readonly name: string
  readonly scopes?: readonly string[]
  readonly app?: string
  readonly environment?: string
  readonly source?: string
  readonly expires?: End
  readonly maxRequestsPerMinute?: number
}

async function createKey(flags: ServerFlags & NewKeyFlags, terminal: Terminal): Promise<void> {
  const { name, scopes, app, environment, source, expires, maxRequestsPerMinute } = flags
  const body = {
    ...{ name, scopes, app, environment, source },
    expires_at: expires?.(terminal.now()),
    max_requests_per_minute: maxRequestsPerMinute,
  }
  const { text, value } = await clientOf(flags, terminal).post<KeyView & { readonly key: string }>("/v1/api-keys", body)
  if (flags.json) {
    terminal.print(text)
    return
  }
  terminal.note(`Made ${value.id}, which may do ${mayDo(value)}. The key is shown this once, keep it:`)
  terminal.print(value.key)
}

async function rotateKey(
  id: string,
  flags: ServerFlags & { readonly grace?: number; readonly expires?: End },
  terminal: Terminal,
): Promise<void> {
  const grace = flags.grace === undefined ? {} : { grace_seconds: Math.round(flags.grace / 1_000) }
  const path = `/v1/api-keys/${encodeURIComponent(id)}/rotate`
  const body = { ...grace, expires_at: flags.expires?.(terminal.now()) }
  const { text, value } = await clientOf(flags, terminal).post<Rotated>(path, body)
  if (flags.json) {
    terminal.print(text)
    return
  }
  const { replaces } = value
  terminal.note(`Made ${value.id} in place of ${replaces.id}, which ends ${terminal.time(replaces.expires_at)}.`)
  terminal.note("The key is shown this once, keep it:")
  terminal.print(value.key)
}

/** What a key may do, and of which events, in a few words. */
function mayDo({ scopes, app, environment, source }: KeyView): string {
  const limits = [app, environment, source].filter(limit => limit !== null)
  const rights = scopes.length === 0 ? "nothing but see its project" : scopes.join(",")
  return limits.length === 0 ? rights : `${rights} (${limits.map(limit => oneLine(limit, 40)).join(", ")})`
}

async function revokeKey(id: string, flags: ServerFlags, terminal: Terminal): Promise<void> {
  const path = `/v1/api-keys/${encodeURIComponent(id)}`
  const { text, value } = await clientOf(flags, terminal).call<KeyView>("DELETE", path)
  if (flags.json) terminal.print(text)
  else terminal.print(`${value.id} (${oneLine(value.name)}) is revoked.`)
}
