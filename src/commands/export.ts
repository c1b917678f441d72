/** `waybill export`: writes everything that an embedded database keeps, for an import into PostgreSQL. */
import { once } from "node:events"
import { createWriteStream, existsSync, openSync, renameSync, rmSync } from "node:fs"
import { dirname, resolve } from "node:path"
import type { Writable } from "node:stream"
import type { Command } from "commander"
import type { ExportEnd } from "../store/transfer-file.ts"
import { CommandFault, codeOf } from "./fault.ts"
import { assertDatabase, databaseIn, type FolderTools, keyFileIn, onFolder, settleFile } from "./folder.ts"
import { configOf, type SettingFlags, withSettings } from "./settings.ts"
import { Tally } from "./tally.ts"
import type { Terminal } from "./terminal.ts"

interface ExportFlags extends SettingFlags {
  readonly trial?: true
  readonly force?: true
  readonly json?: true
}

export function addExport(program: Command, terminal: Terminal): void {
  withSettings(program.command("export").summary("write everything in a data folder, for `waybill import`"), [
    "dataDir",
  ])
    .description(
      "Writes everything that the embedded database keeps, history included, in a form that `waybill import` puts into PostgreSQL. Refuses while a Waybill runs on the folder, because what came in meanwhile would be lost; --trial is for a rehearsal. Secrets in it stay sealed; payloads are readable.",
    )
    .argument("<file>", "the file to make, or - for standard output")
    .option("--trial", "also while a Waybill runs: all of one moment, and only ever imported for a rehearsal")
    .option("--force", "replace a file of that name")
    .option("--json", "print JSON for programs, on standard error where the export goes to standard output")
    .addHelpText(
      "after",
      "\nExample:\n  $ waybill export - --data-dir /var/lib/waybill | waybill import - --database-url postgres://waybill@db/waybill",
    )
    .action((file: string, flags: ExportFlags) => exportFolder(file, flags, terminal))
}

async function exportFolder(file: string, flags: ExportFlags, terminal: Terminal): Promise<void> {
  const { dataDir, secretKey } = configOf(flags)
  assertDatabase(dataDir)
  const startedAt = performance.now()
  const end = await onFolder(dataDir, tools => {
    const write = (target: Writable) => writeTo(target, { dataDir, isTrial: flags.trial === true }, terminal, tools)
    return file === "-" ? write(process.stdout) : toFile(file, flags.force === true, write)
  })
  const seconds = (performance.now() - startedAt) / 1_000
  const key = secretKey === null ? keyFileIn(dataDir) : "WAYBILL_SECRET_KEY"
  if (flags.json) {
    const text = JSON.stringify({ file, tables: end.tables, rows: end.rows, trial: flags.trial === true, key })
    if (file === "-") terminal.note(text)
    else terminal.print(text)
    return
  }
  const say = (line: string) => (file === "-" ? terminal.note(line) : terminal.print(line))
  say(
    `${file === "-" ? "The export" : file} holds ${end.rows} rows of ${end.tables} tables, written in ${seconds.toFixed(1)} s.`,
  )
  if (flags.trial) say("It is a trial: what came in after it began is not in it. Import it for a rehearsal only.")
  else say(`Do not start Waybill on ${dataDir} again: what it took in from now on would be missing in PostgreSQL.`)
  say(
    secretKey === null
      ? `Its secrets stay sealed: take ${key} along, or set WAYBILL_SECRET_KEY to what is in it, for every process.`
      : "Its secrets stay sealed: every process needs the same WAYBILL_SECRET_KEY as now.",
  )
}

interface What {
  readonly dataDir: string
  readonly isTrial: boolean
}

async function writeTo(
  target: Writable,
  { dataDir, isTrial }: What,
  terminal: Terminal,
  { store }: FolderTools,
): Promise<ExportEnd> {
  const { exportEmbedded } = await import("../store/transfer-export.ts")
  // As long as it is written nobody starts on the folder.
  const ownership = isTrial ? undefined : store.own(dataDir)
  const tally = new Tally(terminal)
  let fault: Error | undefined
  target.on("error", error => {
    fault = error
  })
  try {
    return await exportEmbedded({
      path: databaseIn(dataDir),
      isTrial,
      progress: (table, rows) => tally.show(table, rows),
      write: async text => {
        if (fault !== undefined) throw fault
        if (!target.write(text)) await once(target, "drain")
      },
    })
  } finally {
    tally.end()
    ownership?.release()
  }
}

/** Nothing with that name is there before it is whole. */
async function toFile(
  file: string,
  force: boolean,
  write: (target: Writable) => Promise<ExportEnd>,
): Promise<ExportEnd> {
  if (!existsSync(dirname(resolve(file)))) throw new CommandFault(`There is no folder ${dirname(resolve(file))}.`)
  if (existsSync(file) && !force) {
    throw new CommandFault(`${file} is there already: name another file, or add --force.`)
  }
  const partial = `${file}.${process.pid}.partial`
  const interrupted = (): void => {
    rmSync(partial, { force: true })
    process.exit(130)
  }
  process.once("SIGINT", interrupted)
  process.once("SIGTERM", interrupted)
  try {
    // It holds payloads: its user's alone.
    const target = createWriteStream(partial, { fd: openSync(partial, "wx", 0o600) })
    const end = await write(target)
    target.end()
    await once(target, "finish")
    settleFile(partial)
    renameSync(partial, file)
    settleFile(file)
    return end
  } catch (error) {
    rmSync(partial, { force: true })
    if (codeOf(error) === "ENOSPC")
      throw new CommandFault(`There is no room for ${file}. Make room, or name another disk.`)
    if (codeOf(error) === "EACCES") throw new CommandFault(`${dirname(file)} may not be written by this user.`)
    throw error
  } finally {
    process.off("SIGINT", interrupted)
    process.off("SIGTERM", interrupted)
  }
}
