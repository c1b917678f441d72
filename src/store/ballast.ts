/**
 * The ballast: a file of nothing that is thrown overboard when the disk is full. On a full disk SQLite can do nothing at
 * all, deleting included (measured: errcode 13), so without it what was sent could not be settled and what is due to go
 * could not go (F-11). As long as it is gone nothing new is taken in, and the room is left to those two.
 */
import { randomFillSync } from "node:crypto"
import { closeSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs"
import { dirname } from "node:path"

const MIB = 1_048_576
/** Twice what SQLite's log holds between two checkpoints. */
const MOST_BYTES = 32 * MIB
/** On a small disk the ballast takes no larger share of it. */
const SHARE_OF_DISK = 1 / 8

export class Ballast {
  readonly #path: string
  #bytes = MOST_BYTES
  #isSpent = true

  /** Takes over the file of a start before, or makes it; it is spent where there is no room for it. */
  constructor(path: string) {
    this.#path = path
    const disk = diskOf(path)
    if (disk !== undefined) {
      const share = Math.floor((disk.totalBytes * SHARE_OF_DISK) / MIB) * MIB
      this.#bytes = Math.min(MOST_BYTES, Math.max(MIB, share))
    }
    if (!this.#isThere()) this.restore()
    // Even opening the database takes a little room.
    else if (disk !== undefined && disk.freeBytes < this.#bytes / 4) this.spend()
    else this.#isSpent = false
  }

  /**
   * How long SQLite's log may be before a checkpoint. The ballast has to hold twice that: without room for all of the log
   * to find its place in the database, the log cannot begin anew, and the ballast would be used up for nothing (measured).
   */
  get logBytes(): number {
    return this.#bytes / 2
  }

  /** True while the disk is full: nothing new may be stored. */
  get isSpent(): boolean {
    return this.#isSpent
  }

  /** Gives its room to the database. */
  spend(): void {
    this.#isSpent = true
    this.#remove()
  }

  /** Makes it again where there is room for it twice over, so that what is taken in next does not spend it at once. */
  restore(): boolean {
    const disk = diskOf(this.#path)
    if (disk === undefined || disk.freeBytes >= 2 * this.#bytes) this.#isSpent = !this.#write()
    return !this.#isSpent
  }

  #isThere(): boolean {
    const file = statSync(this.#path, { throwIfNoEntry: false })
    // After a crash a file may have its size but not its blocks.
    return file !== undefined && file.size >= this.#bytes && file.blocks * 512 >= this.#bytes
  }

  #write(): boolean {
    // Random bytes: some file systems store zeros nowhere.
    const chunk = randomFillSync(Buffer.allocUnsafe(MIB))
    try {
      const file = openSync(this.#path, "w", 0o600)
      try {
        for (let at = 0; at < this.#bytes; at += MIB) writeSync(file, chunk, 0, MIB, at)
      } finally {
        closeSync(file)
      }
      return true
    } catch {
      this.#remove()
      return false
    }
  }

  #remove(): void {
    try {
      rmSync(this.#path, { force: true })
    } catch {
      // Some file systems need room to remove a file: then there is none to gain, and the error that led here stands.
    }
  }
}

/** The disk on which a file lies; undefined where its file system does not say. */
function diskOf(path: string): { readonly totalBytes: number; readonly freeBytes: number } | undefined {
  const { blocks, bavail, bsize } = statfsSync(dirname(path))
  return blocks === 0 ? undefined : { totalBytes: blocks * bsize, freeBytes: bavail * bsize }
}
