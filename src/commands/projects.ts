/** `waybill projects`: all projects of a database, for whoever runs it; and the end of one, for whoever has its key. */
import { setTimeout as wait } from "node:timers/promises"
import type { Command } from "commander"
import { type Config, commandName } from "../config.ts"
import { formatId } from "../domain/id.ts"
import type { ProjectRemoval } from "../engine/remover.ts"
import type { ProjectList } from "../store/project-list.ts"
import { type Client, clientOf, type ServerFlags, withServer } from "./client.ts"
import { onDatabase } from "./database.ts"
import { CommandFault, misuse, unknownSubcommand } from "./fault.ts"
import { assertDatabase, databaseIn, onFolder } from "./folder.ts"
import { configOf, type SettingFlags, withSettings } from "./settings.ts"
import { oneLine, type Terminal } from "./terminal.ts"

interface RemovalView {
  readonly project: string
  readonly state: "removing" | "done"
  readonly removing: string | null
  readonly removed: Readonly<Record<string, number>>
}

/** How often it is asked how far a removal is. */
const FOLLOW_MS = 500

export function addProjects(program: Command, terminal: Terminal): void {
  const projects = withSettings(program.command("projects").summary("list all projects of a database, remove one"), [
    "dataDir",
    "databaseUrl",
  ])
    .description(
      "Lists all projects of a database, with those that are being removed and those that were: for whoever runs Waybill. Works on the database itself, which may be in use.",
    )
    .option("--json", "print JSON for programs")
    .addHelpText("after", "\nExample:\n  $ waybill projects --data-dir /var/lib/waybill")
    // A subcommand that was mistyped comes here, with what stands after it.
    .allowExcessArguments()
    .action((flags: SettingFlags & { json?: true }, command: Command) => {
      const [word] = command.args
      if (word !== undefined) throw unknownSubcommand(command, word)
      return listAll(configOf(flags), flags.json === true, terminal)
    })

  withServer(projects.command("remove").summary("remove the project of the key, with all that is in it"))
    .description(
      "Removes the project of the API key with all that is in it, for good: its keys open nothing from then on, nothing is taken in for it and nothing is sent. Waits until all of it has gone.",
    )
    .option("--name <text>", "the project's name, to show that you mean it")
    .option("--no-wait", "do not wait until all of it has gone")
    .addHelpText("after", "\nExample:\n  $ waybill projects remove --name 'old shop'")
    .action((_flags, command: Command) =>
      remove(command.optsWithGlobals<ServerFlags & { name?: string; wait: boolean }>(), terminal),
    )
}

async function listAll(config: Config, asJson: boolean, terminal: Terminal): Promise<void> {
  const { projects, removals } = await read(config)
  const going = removals.map(job => ({ ...job, of: JSON.parse(job.cursor) as ProjectRemoval }))
  const rows = projects.map(({ id, name, created_at, removed_at }) => {
    const job = going.find(({ of }) => of.project === id)
    const removing = job === undefined ? null : { table: job.of.table, removed: job.removed }
    return { id: formatId("prj", id), name, created_at: timeOf(created_at), removed_at: timeOf(removed_at), removing }
  })
  const gone = going.flatMap(({ of, state, removed, createdAt, updatedAt }) =>
    state === "done"
      ? [
          {
            id: formatId("prj", of.project),
            by: of.by.id ?? of.by.kind,
            removed_at: timeOf(createdAt),
            finished_at: timeOf(updatedAt),
            removed,
          },
        ]
      : [],
  )
  if (asJson) {
    terminal.print(JSON.stringify({ projects: rows, removed: gone }))
    return
  }
  terminal.printTable(
    ["ID", "NAME", "CREATED", "STATE"],
    rows.map(({ id, name, created_at, removed_at, removing }) => [
      id,
      oneLine(name, 40),
      terminal.time(created_at),
      removed_at === null
        ? "in use"
        : `being removed${removing === null ? "" : `: ${rowsOf(removing.removed)} rows so far`}`,
    ]),
    "No projects.",
  )
  if (gone.length === 0) return
  terminal.print("")
  terminal.printTable(
    ["REMOVED", "ASKED FOR", "BY", "GONE", "ROWS"],
    gone.map(({ id, by, removed_at, finished_at, removed }) => [
      id,
      terminal.time(removed_at),
      by,
      terminal.time(finished_at),
      String(rowsOf(removed)),
    ]),
    "",
  )
}

function timeOf(ms: number): string
function timeOf(ms: number | null): string | null
function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

const rowsOf = (removed: Readonly<Record<string, number>>): number =>
  Object.values(removed).reduce((sum, count) => sum + count, 0)

async function read({ dataDir, databaseUrl: url }: Config): Promise<ProjectList> {
  const list = await import("../store/project-list.ts")
  if (url !== null) {
    return onDatabase(({ session }) => session.withSession(url, ({ db }) => list.listAllProjects(db)))
  }
  assertDatabase(dataDir)
  return onFolder(dataDir, () => list.listProjectsIn(databaseIn(dataDir)))
}

async function remove(
  flags: ServerFlags & { readonly name?: string; readonly wait: boolean },
  terminal: Terminal,
): Promise<void> {
  const client = clientOf(flags, terminal)
  const { value: own } = await client.get<{ readonly data: readonly { id: string; name: string }[] }>("/v1/projects")
  const [project] = own.data
  if (project === undefined) throw new CommandFault("The key belongs to no project.")
  const { id, name } = project
  if (flags.name === undefined) {
    throw misuse(
      `This key's project is ${JSON.stringify(name)} (${id}). To remove it with all that is in it, give its name: --name ${JSON.stringify(name)}`,
    )
  }
  const body = JSON.stringify({ name: flags.name })
  const begun = await client.call<RemovalView & { readonly token: string }>("DELETE", `/v1/projects/${id}`, { body })
  const { token } = begun.value
  if (!flags.wait) {
    if (flags.json) terminal.print(begun.text)
    else
      terminal.print(`${oneLine(name)} (${id}) is closed, and goes. How far it is: ${client.url}/v1/removals/${token}`)
    return
  }
  terminal.note(`${oneLine(name)} (${id}) is closed. Now all of it goes; this may be left, it goes on by itself.`)
  const text = await untilGone(client, token)
  const { removed } = JSON.parse(text) as RemovalView
  if (flags.json) terminal.print(text)
  else terminal.print(`${id} has gone: ${rowsOf(removed)} rows, ${removed["event"] ?? 0} of them events.`)
  terminal.note(`Who else works on this server sees it with ${commandName()} projects.`)
}

async function untilGone(client: Client, token: string): Promise<string> {
  for (;;) {
    const { text, value } = await client.get<RemovalView>(`/v1/removals/${token}`)
    if (value.state === "done") return text
    await wait(FOLLOW_MS)
  }
}
