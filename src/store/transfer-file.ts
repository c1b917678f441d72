/**
 * The form of an export: lines of text, so that it can be looked into, packed with gzip and sent through a pipe. First a
 * line of JSON that says what it is; then the tables, each with a line of JSON that names it and its columns, its rows in
 * the text format of PostgreSQL's COPY, `\.` and a line of JSON with their number and their SHA-256; at the end a line of JSON.
 */
import { createHash, type Hash } from "node:crypto"
import { StoreFault } from "./store-fault.ts"

/** What an export says of itself before its tables. */
export interface ExportHead {
  readonly waybill: "export"
  readonly format: 1
  /** The schema of the embedded database that it was made from. */
  readonly schema: number
  /** Made while a Waybill worked on the database: what came after is not in it. */
  readonly isTrial: boolean
  /** Ids of the keys that seal the secrets, newest first, separated by spaces; null where none has sealed anything. */
  readonly seal: string | null
  /** The greatest fencing number of a claim. */
  readonly fence: number
  /** The event up to which all stand in the tallies: those after it are tallied where it is imported. */
  readonly talliedUpTo: number
  /** Days since 1970 to which ids of events, deliveries and attempts belong. */
  readonly days: readonly number[]
  readonly parts: readonly ExportPart[]
}

/** A part of payloads and exchanges, as PostgreSQL has them: see postgres-parts.ts. */
export interface ExportPart {
  readonly day: number
  readonly retentionDays: number
  readonly openedAt: number
}

/** What stands before the rows of a table, and after them. */
export interface TableHead {
  readonly table: string
  readonly columns: readonly string[]
}
export interface TableEnd {
  readonly rows: number
  readonly sha256: string
}

/** The last line. */
export interface ExportEnd {
  readonly tables: number
  readonly rows: number
  /** The greatest id of all that was made by this database. */
  readonly greatestId: number
}

const END_OF_ROWS = "\\.\n"
const endOfRows = Buffer.from(END_OF_ROWS)

/** Text is gathered to so many characters before it goes out. */
const CHUNK = 262_144

/** Writes an export, piece by piece, to whatever takes text. */
export class ExportWriter {
  readonly #write: (text: string) => Promise<void>
  #text = ""
  #hash: Hash | undefined
  #rows = 0
  #tables = 0
  #allRows = 0

  constructor(write: (text: string) => Promise<void>) {
    this.#write = write
  }

  async begin(head: ExportHead): Promise<void> {
    await this.#write(`${JSON.stringify(head)}\n`)
  }

  async table(head: TableHead): Promise<void> {
    await this.#write(`${JSON.stringify(head)}\n`)
    this.#hash = createHash("sha256")
    this.#rows = 0
    this.#tables++
  }

  /** Whether enough has been gathered, so that `flush` has to be waited for before the next row. */
  row(text: string): boolean {
    this.#text += text
    this.#rows++
    return this.#text.length >= CHUNK
  }

  async flush(): Promise<void> {
    if (this.#text === "") return
    this.#hash?.update(this.#text)
    const text = this.#text
    this.#text = ""
    await this.#write(text)
  }

  async endTable(): Promise<TableEnd> {
    await this.flush()
    const end: TableEnd = { rows: this.#rows, sha256: this.#hash?.digest("hex") ?? "" }
    this.#allRows += this.#rows
    await this.#write(`${END_OF_ROWS}${JSON.stringify(end)}\n`)
    return end
  }

  async end(greatestId: number): Promise<ExportEnd> {
    const end: ExportEnd = { tables: this.#tables, rows: this.#allRows, greatestId }
    await this.#write(`${JSON.stringify(end)}\n`)
    return end
  }
}

/** Characters that the text format writes otherwise; and one that PostgreSQL cannot hold. */
const special = /[\\\n\r\t\0]/
const written: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\0": "\ufffd",
}

/** A value in the text format of COPY. */
export function copyText(value: unknown, isBytes: boolean): string {
  if (value === null) return "\\N"
  if (isBytes)
    return `\\\\x${(typeof value === "string" ? Buffer.from(value) : Buffer.from(value as Uint8Array)).toString("hex")}`
  const text = String(value)
  return special.test(text) ? text.replaceAll(/[\\\n\r\t\0]/g, character => written[character] ?? "") : text
}

const NEWLINE = 0x0a

/** Reads an export as it comes; throws StoreFault where it is none, or not whole. */
export class ExportReader {
  readonly #source: AsyncIterator<Uint8Array>
  /** What has been read and not yet been given; at a line's beginning whenever something is given. */
  #held: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  async head(): Promise<ExportHead> {
    const head = await this.#json()
    if (head["waybill"] !== "export")
      throw new StoreFault("This is no export of Waybill: it was not made by `waybill export`.")
    if (head["format"] !== 1) {
      throw new StoreFault(
        `This export has the form ${head["format"]}, which a newer Waybill has made: import it with that version.`,
      )
    }
    return head as unknown as ExportHead
  }

  /** The next table, or the end. */
  async next(): Promise<TableHead | ExportEnd> {
    const line = await this.#json()
    if ("table" in line || "tables" in line) return line as unknown as TableHead | ExportEnd
    throw notWhole()
  }

  /** The rows of the table that was begun. `count` hears how many there were so far; `check` what the export says of all. */
  async *rows(
    count: (rows: number) => void,
    check: (counted: TableEnd, said: TableEnd) => void,
  ): AsyncGenerator<Uint8Array> {
    const hash = createHash("sha256")
    let rows = 0
    for (;;) {
      const whole = this.#held.subarray(0, this.#held.lastIndexOf(NEWLINE) + 1)
      const isEmpty = whole.subarray(0, END_OF_ROWS.length).equals(endOfRows)
      const end = isEmpty ? 0 : whole.indexOf(`\n${END_OF_ROWS}`) + 1
      const isEnd = isEmpty || end > 0
      const chunk = isEnd ? whole.subarray(0, end) : whole
      if (chunk.length > 0) {
        hash.update(chunk)
        rows += linesIn(chunk)
        yield chunk
        count(rows)
      }
      this.#held = this.#held.subarray(chunk.length + (isEnd ? END_OF_ROWS.length : 0))
      if (isEnd) break
      await this.#more()
    }
    check({ rows, sha256: hash.digest("hex") }, (await this.#json()) as unknown as TableEnd)
  }

  async #json(): Promise<Record<string, unknown>> {
    let end = this.#held.indexOf(NEWLINE)
    for (; end < 0; end = this.#held.indexOf(NEWLINE)) await this.#more()
    const line = this.#held.subarray(0, end).toString()
    this.#held = this.#held.subarray(end + 1)
    try {
      const value: unknown = JSON.parse(line)
      if (typeof value === "object" && value !== null) return value as Record<string, unknown>
    } catch {
      // Said below.
    }
    throw new StoreFault("This is no export of Waybill, or it was changed on its way: export once more.")
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#source.next()
    if (done === true) throw notWhole()
    this.#held = this.#held.length === 0 ? Buffer.from(value) : Buffer.concat([this.#held, value])
  }
}

function notWhole(): StoreFault {
  return new StoreFault(
    "The export ends before its end: it was cut off, or the export itself failed. Nothing was imported.",
  )
}

function linesIn(chunk: Buffer): number {
  let count = 0
  for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) count++
  return count
}
