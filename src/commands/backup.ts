/** `waybill backup`: copies the database while Waybill runs, reads the copy through, and only then gives it its name. */
import { copyFileSync, existsSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { SingleBar } from "cli-progress"
import type { Command } from "commander"
import { otherTools } from "./database.ts"
import { CommandFault, codeOf, misuse } from "./fault.ts"
import { assertDatabase, databaseIn, keyFileIn, onFolder, settleFile } from "./folder.ts"
import { configOf, type SettingFlags, withSettings } from "./settings.ts"
import { formatBytes, type Terminal } from "./terminal.ts"

/** SQLite's code for a disk without room. */
const SQLITE_FULL = 13

interface BackupFlags extends SettingFlags {
  readonly withKey?: true
  readonly force?: true
  readonly json?: true
}

/** Where `--with-key` puts the key of a backup, and where `restore` looks for it. */
export function keyBeside(file: string): string {
  return `${file}.key`
}

export function addBackup(program: Command, terminal: Terminal): void {
  withSettings(program.command("backup").summary("copy the database, also while Waybill runs"), ["dataDir"])
    .description(
      "Copies the database by SQLite's own backup, also while Waybill runs, and reads the copy through before it gets its name. Secrets in it stay sealed: keep the key file, too, in another place. For PostgreSQL there are pg_dump and its kin.",
    )
    .argument("<file>", "the file to make")
    .option("--with-key", "copy the key file beside it, as <file>.key: whoever has both can read every secret")
    .option("--force", "replace a file of that name")
    .option("--json", "print JSON for programs")
    .addHelpText("after", "\nExample:\n  $ waybill backup /backups/waybill-$(date +%F).db --data-dir /var/lib/waybill")
    .action((file: string, flags: BackupFlags) => backup(file, flags, terminal))
}

async function backup(file: string, flags: BackupFlags, terminal: Terminal): Promise<void> {
  const { dataDir, secretKey, databaseUrl } = configOf(flags)
  if (databaseUrl !== null) throw otherTools("backup")
  assertDatabase(dataDir)
  assertTarget(file, dataDir, flags)
  const keyFile = keyFileIn(dataDir)
  if (flags.withKey && !existsSync(keyFile)) {
    throw new CommandFault(
      `There is no key file in ${dataDir}: its key comes from WAYBILL_SECRET_KEY. Leave out --with-key.`,
    )
  }
  const pages = await copy(dataDir, file)
  if (flags.withKey) {
    copyFileSync(keyFile, keyBeside(file))
    settleFile(keyBeside(file))
  }
  const { size } = statSync(file)
  if (flags.json) {
    terminal.printJson({ file, bytes: size, pages, key: flags.withKey ? keyBeside(file) : null })
    return
  }
  terminal.print(`${file} holds ${formatBytes(size)}, read through without a fault.`)
  if (flags.withKey) terminal.print(`${keyBeside(file)} is the key to its secrets: keep the two in different places.`)
  else if (secretKey === null)
    terminal.print(`Its secrets need ${keyFile}: keep a copy of that, too, in another place.`)
  else terminal.print("Its secrets need the value of WAYBILL_SECRET_KEY: keep that, too, in another place.")
}

function assertTarget(file: string, dataDir: string, { force, withKey }: BackupFlags): void {
  const folder = dirname(resolve(file))
  if (folder === resolve(dataDir))
    throw misuse(`${file} lies in the data folder and would be lost with it: name another place.`)
  if (!existsSync(folder)) throw new CommandFault(`There is no folder ${folder}.`)
  const taken = [file, ...(withKey ? [keyBeside(file)] : [])].find(path => existsSync(path))
  if (taken !== undefined && !force)
    throw new CommandFault(`${taken} is there already: name another file, or add --force.`)
}

/** Gives the number of pages. Nothing with that name is there before it is whole. */
async function copy(dataDir: string, file: string): Promise<number> {
  const partial = `${file}.${process.pid}.partial`
  const discard = (): void => {
    for (const end of ["", "-journal", "-wal", "-shm"]) rmSync(partial + end, { force: true })
  }
  const interrupted = (): void => {
    discard()
    process.exit(130)
  }
  process.once("SIGINT", interrupted)
  process.once("SIGTERM", interrupted)
  const bar = process.stderr.isTTY
    ? new SingleBar({ format: "{bar} {percentage} %", stream: process.stderr, clearOnComplete: true, barsize: 30 })
    : undefined
  try {
    // Before anything is in it, it is its user's alone.
    writeFileSync(partial, "", { mode: 0o600, flag: "wx" })
    bar?.start(100, 0)
    const pages = await onFolder(dataDir, async ({ store, upkeep }) => {
      const show = (done: number) => bar?.update(Math.floor(done * 100))
      const count = await store.backUp(databaseIn(dataDir), partial, show).catch(error => {
        throw isFull(error) ? new CommandFault(`There is no room for ${file}. Make room, or name another disk.`) : error
      })
      bar?.stop()
      const faults = upkeep.finishCopy(partial)
      if (faults.length === 0) return count
      const title =
        "The copy has faults, so there is no backup. Look at the disk, and run `waybill doctor --integrity`:"
      throw new CommandFault([title, ...faults])
    })
    settleFile(partial)
    renameSync(partial, file)
    settleFile(file)
    return pages
  } catch (error) {
    bar?.stop()
    discard()
    if (codeOf(error) === "ENOSPC")
      throw new CommandFault(`There is no room for ${file}. Make room, or name another disk.`)
    if (codeOf(error) === "EACCES") throw new CommandFault(`${dirname(file)} may not be written by this user.`)
    throw error
  } finally {
    process.off("SIGINT", interrupted)
    process.off("SIGTERM", interrupted)
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === SQLITE_FULL
}
