/** `waybill migrate`: brings a database to this program's schema without starting the server. */
import type { Command } from "commander"
import { assertDatabase, onFolder } from "./folder.ts"
import { configOf, type SettingFlags, withSettings } from "./settings.ts"
import type { Terminal } from "./terminal.ts"

export function addMigrate(program: Command, terminal: Terminal): void {
  withSettings(program.command("migrate").summary("bring the database to this version's schema"), ["dataDir"])
    .description(
      "Brings the database to this version's schema and says what was run. A start does the same; make a backup before either. Refuses while a Waybill runs on the folder.",
    )
    .option("--json", "print JSON for programs")
    .addHelpText("after", "\nExample:\n  $ waybill backup before.db && waybill migrate")
    .action((flags: SettingFlags & { readonly json?: true }) => migrate(flags, terminal))
}

async function migrate(flags: SettingFlags & { readonly json?: true }, terminal: Terminal): Promise<void> {
  const { dataDir } = configOf(flags)
  assertDatabase(dataDir)
  const { from, ran } = await onFolder(dataDir, ({ upkeep }) => upkeep.migrateFolder(dataDir))
  if (flags.json) {
    terminal.printJson({ from, ran })
    return
  }
  if (ran.length === 0) terminal.print(`${dataDir} has schema ${from}, which is this version's: nothing was to do.`)
  else terminal.print(`${dataDir} had schema ${from}. Ran ${ran.join(", ")}.`)
}
