/**
 * A ledger that survives its writer: lines of JSON, appended in groups, each on disk before `append` resolves. What the
 * processes around Waybill saw is kept in such files, so that no claim of the program under test is taken at its word.
 */
import { readFileSync } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"

export class LedgerFile {
  readonly #file: FileHandle
  #waiting: string[] = []
  #writing: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** Opens a ledger for appending, making the file where there is none. */
  static async open(path: string): Promise<LedgerFile> {
    return new LedgerFile(await open(path, "a"))
  }

  /** Adds an entry; resolves when it is on disk. Entries that come while one group is written share the next fsync. */
  append(entry: object): Promise<void> {
    this.#waiting.push(`${JSON.stringify(entry)}\n`)
    this.#next ??= this.#writing.then(() => this.#write())
    return this.#next
  }

  /** Writes what waits and closes the file. */
  async close(): Promise<void> {
    await (this.#next ?? this.#writing)
    await this.#file.close()
  }

  async #write(): Promise<void> {
    const lines = this.#waiting
    this.#waiting = []
    this.#writing = this.#next ?? this.#writing
    this.#next = undefined
    await this.#file.appendFile(lines.join(""))
    await this.#file.datasync()
  }
}

/** The entries of a ledger, in order. The caller names the type that its writer wrote. */
export function readLedger<Entry>(path: string): Entry[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter(line => line !== "")
    .map(line => JSON.parse(line) as Entry)
}
