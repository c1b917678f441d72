/** `waybill import`: puts what `waybill export` wrote into an empty PostgreSQL database, all of it or nothing. */
import { createReadStream, existsSync, readFileSync } from "node:fs"
import type { Readable } from "node:stream"
import type { Command } from "commander"
import type { Config } from "../config.ts"
import { idsOfRow } from "../store/keys-in-use.ts"
import { opensAll } from "../store/secret-key.ts"
import type { ExportHead } from "../store/transfer-file.ts"
import type { Imported } from "../store/transfer-import.ts"
import { onDatabase } from "./database.ts"
import { CommandFault, codeOf, misuse } from "./fault.ts"
import { keyFileIn } from "./folder.ts"
import { configOf, type SettingFlags, withSettings } from "./settings.ts"
import { Tally } from "./tally.ts"
import type { Terminal } from "./terminal.ts"

interface ImportFlags extends SettingFlags {
  readonly trial?: true
  readonly json?: true
}

/** Larger pieces than the system's own: rows go through as they are. */
const CHUNK = 1_048_576

export function addImport(program: Command, terminal: Terminal): void {
  const names = ["databaseUrl", "dataDir", "secretKey", "allowUnsafeDatabase"] as const
  withSettings(program.command("import").summary("put an export into an empty PostgreSQL database"), names)
    .description(
      "Puts what `waybill export` wrote into the PostgreSQL database that DATABASE_URL names, which has to be empty: all of it in one transaction, counted and held against the export's checksum table by table. What ends it early leaves the database empty. Ids stay; what waited is due as it was; what was being sent is recorded as interrupted and tried again.",
    )
    .argument("<file>", "the export, or - for standard input")
    .option("--trial", "take an export that was made while a Waybill ran, for a rehearsal")
    .option("--json", "print JSON for programs")
    .addHelpText("after", "\nExample:\n  $ waybill import waybill.export --database-url postgres://waybill@db/waybill")
    .action((file: string, flags: ImportFlags) => importFile(file, flags, terminal))
}

async function importFile(file: string, flags: ImportFlags, terminal: Terminal): Promise<void> {
  const config = configOf(flags)
  const { databaseUrl: url } = config
  if (url === null) throw misuse("Name the database to import into: --database-url, or DATABASE_URL.")
  if (file !== "-" && !existsSync(file)) throw new CommandFault(`There is no file ${file}.`)
  const source: Readable = file === "-" ? process.stdin : createReadStream(file, { highWaterMark: CHUNK })
  const tally = new Tally(terminal)
  const startedAt = performance.now()
  try {
    const { imported, place } = await onDatabase(({ session, check, transfer }) =>
      session.withSession(url, async open => {
        await check.assertServer(open, config.allowUnsafeDatabase)
        const imported = await transfer.importExport({
          session: open,
          source,
          judge: head => judge(head, flags, config),
          progress: (table, rows) => tally.show(table, rows),
        })
        return { imported, place: open.place }
      }),
    )
    tally.end()
    tell({ imported, place, seconds: (performance.now() - startedAt) / 1_000 }, config, flags, terminal)
  } catch (error) {
    tally.end()
    if (codeOf(error) === "EISDIR")
      throw new CommandFault(`${file} is a folder: name the file that \`waybill export\` made.`)
    throw error
  } finally {
    source.destroy()
  }
}

/** Throws where the export will not do here. */
function judge(head: ExportHead, { trial }: ImportFlags, config: Config): void {
  if (head.isTrial && !trial) {
    throw new CommandFault(
      "This export was made while a Waybill ran, and lacks what came in after it: stop that one and export again, or add --trial for a rehearsal.",
    )
  }
  if (head.seal !== null && keyState(head, config) === "other") {
    throw new CommandFault(
      `The secrets in this export were sealed with another key than ${keyName(config)}. Bring the key of the old data folder: its secret.key, or WAYBILL_SECRET_KEY.`,
    )
  }
}

/** Whether the key that a start would use here is the one that the secrets need. */
function keyState({ seal }: ExportHead, { dataDir, secretKey }: Config): "fits" | "other" | "missing" {
  const file = keyFileIn(dataDir)
  if (secretKey === null && !existsSync(file)) return "missing"
  return opensAll(secretKey ?? readFileSync(file, "utf8"), idsOfRow(seal)) ? "fits" : "other"
}

function keyName({ dataDir, secretKey }: Config): string {
  return secretKey === null ? keyFileIn(dataDir) : "WAYBILL_SECRET_KEY"
}

interface Told {
  readonly imported: Imported
  readonly place: string
  readonly seconds: number
}

function tell({ imported, place, seconds }: Told, config: Config, { json }: ImportFlags, terminal: Terminal): void {
  const { head, rows, tables } = imported
  const key = head.seal === null ? "not_needed" : keyState(head, config)
  if (json) {
    terminal.printJson({ rows, tables, key, trial: head.isTrial })
    return
  }
  const filled = Object.values(tables).filter(count => count > 0).length
  terminal.print(
    `${place} holds ${rows} rows of ${filled} tables, each as many as were exported and with the same checksum, after ${seconds.toFixed(1)} s.`.replace(
      /^t/,
      "T",
    ),
  )
  if (key === "missing") {
    terminal.print(
      `Its secrets need the key of the old data folder: put its secret.key into the data folder of every process, or set WAYBILL_SECRET_KEY to what is in it.`,
    )
  } else if (key === "fits") terminal.print(`${keyName(config)} opens its secrets.`)
  terminal.print("Start Waybill with DATABASE_URL set.")
}
