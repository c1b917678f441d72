/**
 * Where a command writes to, and the clock that it is given. Results go to standard output, everything else to standard
 * error; colour only where a person looks (`styleText` knows NO_COLOR and asks the stream), never as the only sign.
 */
import { styleText } from "node:util"
import Table from "cli-table3"

export type Style = "bold" | "dim" | "green" | "yellow" | "red" | "cyan"

/** What other systems sent must neither move the cursor nor turn the direction of text: shown as a visible sign. */
const unprintable = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

/** Tables without lines: they can be read aloud, narrowed and cut out with `awk`. */
const noLines = Object.fromEntries(
  ["top", "bottom", "left", "right", "mid"].flatMap(part =>
    (part === "mid" ? ["", "-mid"] : ["", "-mid", "-left", "-right"]).map(end => [part + end, ""]),
  ),
)

export class Terminal {
  /** The time in ms since 1970. */
  readonly now: () => number
  readonly #times = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" })

  constructor(now: () => number) {
    this.now = now
    // Whoever reads has had enough: `waybill tail | head`.
    process.stdout.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(0)
      throw error
    })
  }

  /** Prints a line of the result. */
  print(line = ""): void {
    process.stdout.write(`${line}\n`)
  }

  /** Prints a value as one line of JSON. */
  printJson(value: unknown): void {
    this.print(JSON.stringify(value))
  }

  /** Prints a line that is not part of the result: progress, hints, faults. */
  note(line = ""): void {
    process.stderr.write(`${line}\n`)
  }

  /** Prints rows under their heads; a notice instead where there are none. */
  printTable(head: readonly string[], rows: readonly (readonly string[])[], ifEmpty: string): void {
    if (rows.length === 0) {
      this.note(ifEmpty)
      return
    }
    const table = new Table({
      head: head.map(name => this.paint("dim", name)),
      chars: { ...noLines, middle: "  " },
      style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    })
    table.push(...rows.map(row => [...row]))
    for (const line of table.toString().split("\n")) this.print(line.trimEnd())
  }

  /** Prints names and their values, one pair a line; those without a value are left out. */
  printFields(fields: readonly (readonly [name: string, value: string | number | null | undefined])[]): void {
    const known = fields.filter(([, value]) => value !== null && value !== undefined && value !== "")
    const width = Math.max(0, ...known.map(([name]) => name.length))
    for (const [name, value] of known) this.print(`${this.paint("dim", name.padEnd(width))}  ${value}`)
  }

  /** A text in a style, where standard output shows styles. */
  paint(style: Style, text: string): string {
    return styleText(style, text, { stream: process.stdout })
  }

  /** The same for standard error. */
  paintNote(style: Style, text: string): string {
    return styleText(style, text, { stream: process.stderr })
  }

  /** A time in the local zone, `2026-11-21 10:00:00`; a dash where there is none. Takes ms since 1970 or RFC 3339. */
  time(at: number | string | null): string {
    return at === null ? "-" : this.#times.format(new Date(at))
  }
}

/** A text that other systems sent, without what would act on the terminal. Line breaks and tabs stay. */
export function printable(text: string): string {
  return text.replace(unprintable, character => {
    const code = character.codePointAt(0) ?? 0
    // Control characters have pictures of their own in Unicode.
    return code < 0x20 ? String.fromCodePoint(0x2400 + code) : `\\u${code.toString(16).padStart(4, "0")}`
  })
}

/** The same on one line, cut to so many characters. */
export function oneLine(text: string, most = 200): string {
  const line = printable(text).replace(/\s+/g, " ").trim()
  return line.length > most ? `${line.slice(0, most - 1)}…` : line
}

/** A size for people: `61.7 MB`. */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"]
  const power = bytes < 1_000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3))
  return `${power === 0 ? bytes : (bytes / 1_000 ** power).toFixed(1)} ${units[power]}`
}
