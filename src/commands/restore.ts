/**
 * `waybill restore`: puts a backup in the place of a database that nobody uses. The one that was there is kept beside it,
 * and whatever goes wrong before the last step leaves it where it is.
 */
import { constants, copyFileSync, existsSync, linkSync, readFileSync, renameSync, rmSync } from "node:fs"
import type { Command } from "commander"
import type { FileFacts } from "../store/look.ts"
import { keyBeside } from "./backup.ts"
import { otherTools } from "./database.ts"
import { CommandFault } from "./fault.ts"
import { databaseIn, type FolderTools, keyFileIn, onFolder, settleFile } from "./folder.ts"
import { configOf, type SettingFlags, withSettings } from "./settings.ts"
import type { Terminal } from "./terminal.ts"

const SQLITE_CORRUPT = 11

interface RestoreFlags extends SettingFlags {
  readonly force?: true
  readonly json?: true
}

/** What became of the key that the backup's secrets need. */
type KeyState = "fits" | "copied" | "missing" | "not_needed"

export function addRestore(program: Command, terminal: Terminal): void {
  withSettings(program.command("restore").summary("put a backup into a data folder"), ["dataDir", "secretKey"])
    .description(
      "Puts a backup into a data folder on which no Waybill runs. What was accepted after the backup is not in it; what was delivered after it is delivered again.",
    )
    .argument("<file>", "the backup")
    .option("--force", "put aside the database that is there; it is kept in the folder under another name")
    .option("--json", "print JSON for programs")
    .addHelpText("after", "\nExample:\n  $ waybill restore /backups/waybill-2026-11-21.db --data-dir /var/lib/waybill")
    .action((file: string, flags: RestoreFlags) => restore(file, flags, terminal))
}

async function restore(file: string, flags: RestoreFlags, terminal: Terminal): Promise<void> {
  const { dataDir, secretKey, databaseUrl } = configOf(flags)
  if (databaseUrl !== null) throw otherTools("restore")
  if (!existsSync(file)) throw new CommandFault(`There is no file ${file}.`)
  const stamp = new Date(terminal.now()).toISOString().replace(/\D/g, "").slice(0, 14)
  const { kept, key } = await onFolder(dataDir, tools => {
    const inUse = checkBackup(file, tools)
    if (existsSync(databaseIn(dataDir)) && !flags.force) {
      throw new CommandFault(
        `${dataDir} holds a database already. Name an empty folder with --data-dir, or add --force to put that one aside.`,
      )
    }
    tools.store.makeFolder(dataDir)
    const ownership = tools.store.own(dataDir)
    try {
      return {
        kept: replaceDatabase(file, dataDir, stamp, tools),
        key: settleKey({ file, dataDir, secretKey, inUse, stamp }, tools),
      }
    } finally {
      ownership.release()
    }
  })
  if (flags.json) {
    terminal.printJson({ folder: dataDir, kept, key })
    return
  }
  terminal.print(`${databaseIn(dataDir)} is ${file} now.`)
  if (kept !== null) terminal.print(`What was there is kept as ${kept}.`)
  terminal.print(keySentence(key, file, dataDir))
}

/** Reads the backup through; gives the ids of the keys that sealed its secrets, none where there are none. */
function checkBackup(file: string, { store, look }: FolderTools): readonly string[] {
  const facts = factsOf(file, look)
  store.checkVersion(file, facts.version)
  const faults = look.faultsIn(file)
  if (faults.length > 0) throw damaged(file, faults)
  return facts.keysInUse
}

function factsOf(file: string, look: FolderTools["look"]): FileFacts {
  try {
    const facts = look.lookAt(file)
    if (facts.version > 0) return facts
  } catch (error) {
    const code = sqliteCode(error)
    if (code === undefined) throw error
    if (code === SQLITE_CORRUPT) throw damaged(file, ["SQLite cannot read it."])
  }
  throw new CommandFault(`${file} is no backup of Waybill: it is no database, or one of something else.`)
}

function damaged(file: string, faults: readonly string[]): CommandFault {
  return new CommandFault([`${file} is damaged, so nothing was changed:`, ...faults])
}

/** SQLite's code of an error; undefined for errors that are not SQLite's. */
function sqliteCode(error: unknown): unknown {
  return error instanceof Error && "errcode" in error ? error.errcode : undefined
}

/** Gives the name under which the old database is kept, null where there was none. */
function replaceDatabase(file: string, dataDir: string, stamp: string, { upkeep }: FolderTools): string | null {
  const path = databaseIn(dataDir)
  const next = `${path}.restoring`
  rmSync(next, { force: true })
  try {
    copyFileSync(file, next, constants.COPYFILE_FICLONE)
    settleFile(next)
    const kept = existsSync(path) ? `${path}.replaced-${stamp}` : null
    if (kept !== null) putAside(path, kept, upkeep)
    renameSync(next, path)
    settleFile(path)
    return kept
  } catch (error) {
    rmSync(next, { force: true })
    throw error
  }
}

/** Keeps a database under another name; its own stays, where the disk has links, until the next one takes it. */
function putAside(path: string, kept: string, upkeep: FolderTools["upkeep"]): void {
  // Its log belongs to it and must never meet the next one.
  try {
    upkeep.foldLog(path)
  } catch (error) {
    // A damaged database keeps its log as it is.
    if (sqliteCode(error) === undefined) throw error
  }
  for (const end of ["-wal", "-shm"]) if (existsSync(path + end)) renameSync(path + end, kept + end)
  try {
    linkSync(path, kept)
  } catch {
    // A file system without links.
    renameSync(path, kept)
  }
}

interface KeySearch {
  readonly file: string
  readonly dataDir: string
  readonly secretKey: string | null
  /** Ids of the keys that the backup needs. */
  readonly inUse: readonly string[]
  readonly stamp: string
}

/** Finds the key that fits, and puts the one beside the backup into the folder where the folder's own does not. */
function settleKey({ file, dataDir, secretKey, inUse, stamp }: KeySearch, tools: FolderTools): KeyState {
  if (inUse.length === 0) return "not_needed"
  const fits = (text: string): boolean => tools.secretKey.opensAll(text, inUse)
  // Where it is set, it is the one that a start uses.
  if (secretKey !== null) return fits(secretKey) ? "fits" : "missing"
  const own = keyFileIn(dataDir)
  if (existsSync(own) && fits(readFileSync(own, "utf8"))) return "fits"
  const beside = keyBeside(file)
  if (!existsSync(beside) || !fits(readFileSync(beside, "utf8"))) return "missing"
  if (existsSync(own)) renameSync(own, `${own}.replaced-${stamp}`)
  copyFileSync(beside, own)
  settleFile(own)
  return "copied"
}

function keySentence(state: KeyState, file: string, dataDir: string): string {
  switch (state) {
    case "fits":
      return "The key that is there opens its secrets. Waybill can be started."
    case "copied":
      return `The key came from ${keyBeside(file)} and is ${keyFileIn(dataDir)} now. Waybill can be started.`
    case "missing":
      return `Its secrets need another key: put the key file of the time of the backup at ${keyFileIn(dataDir)}, or set WAYBILL_SECRET_KEY to that key. Waybill does not start without it.`
    case "not_needed":
      return "Waybill can be started."
  }
}
