/** Commands that work on the data folder itself, without a server: how they get at the store, and what they share. */
import { chmodSync, closeSync, existsSync, fsyncSync, openSync } from "node:fs"
import { dirname, join } from "node:path"
import { CommandFault } from "./fault.ts"

/** What the store offers for a folder. */
export interface FolderTools {
  readonly store: typeof import("../store/store.ts")
  readonly look: typeof import("../store/look.ts")
  readonly upkeep: typeof import("../store/upkeep.ts")
  readonly secretKey: typeof import("../store/secret-key.ts")
}

/** The database's file in a data folder. */
export function databaseIn(dataDir: string): string {
  return join(dataDir, "waybill.db")
}

/** The file of the key that seals secrets in a data folder. */
export function keyFileIn(dataDir: string): string {
  return join(dataDir, "secret.key")
}

/** Throws where a folder has no database; a folder that was mistyped must not become a new one. */
export function assertDatabase(dataDir: string): void {
  if (existsSync(databaseIn(dataDir))) return
  throw new CommandFault(
    `There is no database in ${dataDir}. Name the data folder with --data-dir or WAYBILL_DATA_DIR; the first start makes one.`,
  )
}

/** Works on a folder; what the store says of it in a sentence becomes the command's fault. */
export async function onFolder<T>(dataDir: string, work: (tools: FolderTools) => T | Promise<T>): Promise<T> {
  // Loaded here only: commands that talk to a server start faster without SQLite.
  const [store, look, upkeep, secretKey] = await Promise.all([
    import("../store/store.ts"),
    import("../store/look.ts"),
    import("../store/upkeep.ts"),
    import("../store/secret-key.ts"),
  ])
  try {
    return await work({ store, look, upkeep, secretKey })
  } catch (error) {
    const fault = store.asFault(error, dataDir)
    throw fault instanceof store.StoreFault ? new CommandFault(fault.message) : fault
  }
}

/** Makes a file its user's alone and puts it on the disk for good, its name too. */
export function settleFile(path: string): void {
  chmodSync(path, 0o600)
  flush(path, "r+")
  // Windows opens no folders; it keeps names by itself.
  if (process.platform !== "win32") flush(dirname(path), "r")
}

function flush(path: string, flags: "r" | "r+"): void {
  const file = openSync(path, flags)
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
