/** `waybill migrate`: brings a database to this program's schema without starting the server. */
import type { Command } from "commander"
import type { Config } from "../config.ts"
import { onDatabase } from "./database.ts"
import { assertDatabase, onFolder } from "./folder.ts"
import { configOf, type SettingFlags, withSettings } from "./settings.ts"
import type { Terminal } from "./terminal.ts"

export function addMigrate(program: Command, terminal: Terminal): void {
  withSettings(program.command("migrate").summary("bring the database to this version's schema"), [
    "dataDir",
    "databaseUrl",
    "allowUnsafeDatabase",
  ])
    .description(
      "Brings the database to this version's schema and says what was run. A start does the same, unless --no-migrate keeps it from that; make a backup before either. The embedded database has to be out of use meanwhile; on PostgreSQL processes of the version before go on working.",
    )
    .option("--json", "print JSON for programs")
    .addHelpText("after", "\nExample:\n  $ waybill backup before.db && waybill migrate")
    .action((flags: SettingFlags & { readonly json?: true }) => migrate(flags, terminal))
}

async function migrate(flags: SettingFlags & { readonly json?: true }, terminal: Terminal): Promise<void> {
  const config = configOf(flags)
  const {
    place,
    from,
    ran,
    isNewer = false,
  } = config.databaseUrl === null
    ? await migrateFolder(config.dataDir)
    : await migrateDatabase(config, config.databaseUrl)
  if (flags.json) {
    terminal.printJson({ from, ran })
    return
  }
  const subject = place.replace(/^the /, "The ")
  const whose = isNewer ? "a newer version's, with which this one can work" : "this version's"
  if (ran.length === 0) terminal.print(`${subject} has schema ${from}, which is ${whose}: nothing was to do.`)
  else terminal.print(`${subject} had schema ${from}. Ran ${ran.join(", ")}.`)
}

interface Migrated {
  readonly place: string
  /** The schema before; 0 where there was none. */
  readonly from: number
  readonly ran: readonly string[]
  readonly isNewer?: boolean
}

async function migrateFolder(dataDir: string): Promise<Migrated> {
  assertDatabase(dataDir)
  return { place: dataDir, ...(await onFolder(dataDir, ({ upkeep }) => upkeep.migrateFolder(dataDir))) }
}

function migrateDatabase({ allowUnsafeDatabase }: Config, url: string): Promise<Migrated> {
  return onDatabase(({ session, check, migrate }) =>
    session.withSession(url, async open => {
      await check.assertServer(open, allowUnsafeDatabase)
      const done = await migrate.migratePostgres(open)
      return { place: open.place, ...done, isNewer: done.from > (migrate.postgresMigrations.at(-1)?.version ?? 0) }
    }),
  )
}
