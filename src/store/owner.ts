/**
 * A data folder has one owner: whoever holds the lock on `owner.lock`. The lock is SQLite's own on a file of nothing,
 * so that the system lets go of it when the process ends, however it ends.
 */
import { DatabaseSync } from "node:sqlite"

export interface Ownership {
  release(): void
}

/** Takes the folder, or gives null where a running Waybill has it. */
export function takeOwnership(dataDir: string): Ownership | null {
  const lock = new DatabaseSync(`${dataDir}/owner.lock`, { timeout: 0 })
  try {
    lock.exec("pragma locking_mode = exclusive; begin exclusive")
    return { release: () => lock.close() }
  } catch (error) {
    lock.close()
    if (error instanceof Error && "errcode" in error && error.errcode === 5) return null
    throw error
  }
}
