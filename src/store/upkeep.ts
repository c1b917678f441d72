/** What is done to a data folder from the command line while no Waybill runs on it, and the trial of its disk. */
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { faultsIn } from "./look.ts"
import { migrate, versionInFile, versionOf } from "./migrate.ts"
import { takeOwnership } from "./owner.ts"
import { openConnection } from "./sqlite.ts"
import { checkVersion, own } from "./store.ts"

/** How many commits a trial makes: enough for a median, few enough for a disk that turns slowly. */
const TRIAL_COMMITS = 20

/** Whether a Waybill runs on a folder. Makes no file where there is none. */
export function isOwned(dataDir: string): boolean {
  if (!existsSync(join(dataDir, "owner.lock"))) return false
  const ownership = takeOwnership(dataDir)
  ownership?.release()
  return ownership === null
}

/** Runs the migrations that a folder's database lacks; gives its version before, and the names of those that ran. */
export function migrateFolder(dataDir: string): { readonly from: number; readonly ran: readonly string[] } {
  const path = join(dataDir, "waybill.db")
  const ownership = own(dataDir)
  try {
    checkVersion(path, versionInFile(path))
    const connection = openConnection(path)
    try {
      return { from: versionOf(connection), ran: migrate(connection) }
    } finally {
      connection.close()
    }
  } finally {
    ownership.release()
  }
}

/**
 * Makes a fresh copy one file that stands for itself, without a log beside it, and reads all of it: the sentences of
 * `pragma integrity_check`, none when all is well.
 */
export function finishCopy(path: string): readonly string[] {
  const connection = new DatabaseSync(path)
  try {
    connection.exec("pragma journal_mode = delete")
  } finally {
    connection.close()
  }
  return faultsIn(path)
}

/** Writes the log of a database that nobody uses back into it, so that its file is all there is of it. */
export function foldLog(path: string): void {
  const connection = new DatabaseSync(path)
  try {
    connection.exec("pragma wal_checkpoint(truncate)")
  } finally {
    connection.close()
  }
}

/**
 * How long durable commits take in a folder: opens a database there as Waybill does, which throws where commits are not
 * durable, makes some, and takes it away again. In ms, in the order in which they were made.
 */
export function tryCommits(folder: string): readonly number[] {
  const place = mkdtempSync(join(folder, "doctor-"))
  try {
    const connection = openConnection(join(place, "trial.db"))
    try {
      connection.exec("create table trial (at real not null)")
      const insert = connection.prepare("insert into trial (at) values (?)")
      return Array.from({ length: TRIAL_COMMITS }, () => {
        const before = performance.now()
        insert.run(before)
        return performance.now() - before
      })
    } finally {
      connection.close()
    }
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}
