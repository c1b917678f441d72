/** What searches and lists have in common: the options that narrow them, how a page ends, and reasons in words. */
import type { Command } from "commander"
import type { ReasonView } from "../api/reasons.ts"
import { commandName } from "../config.ts"
import { clientOf, type Query, type ServerFlags } from "./client.ts"
import { oneLine, type Style, type Terminal } from "./terminal.ts"
import { readAge, readNumber } from "./values.ts"

/** Options of every list. */
export interface PageFlags {
  readonly limit: number
  readonly cursor?: string
}

/** Options of searches over time. */
export interface RangeFlags extends PageFlags {
  readonly since?: number
  readonly from?: string
  readonly to?: string
}

/** A page as every list gives it; searches also say how far they came. */
export interface Page<T> {
  readonly data: readonly T[]
  readonly next_cursor: string | null
  readonly searched_back_to?: string | null
}

export function withPage(command: Command): Command {
  return command
    .option("--limit <number>", "how many at most", readNumber(1, 200), 20)
    .option("--cursor <text>", "go on where the page before ended")
}

export function withRange(command: Command): Command {
  return withPage(command)
    .option("--since <age>", "received in the last 30m, 12h, 7d …", readAge)
    .option("--from <time>", "received at this time or later, such as 2026-11-21T10:00:00Z")
    .option("--to <time>", "received before this time")
}

export function pageQuery({ limit, cursor }: PageFlags): Query {
  return { limit, cursor }
}

export function rangeQuery(flags: RangeFlags, now: number): Query {
  const from = flags.since === undefined ? flags.from : new Date(now - flags.since).toISOString()
  return { ...pageQuery(flags), from, to: flags.to }
}

/** A list of the API, and how it is shown as a table. */
export interface List<T> {
  /** Of the things that it lists, in the plural: the command's name, too. */
  readonly name: string
  readonly path: string
  readonly query: Query
  readonly head: readonly string[]
  readonly row: (item: T) => readonly string[]
}

/** Prints one page of a list: as the API gave it with `--json`, else as a table with how it ended. */
export async function printList<T>(list: List<T>, flags: ServerFlags, terminal: Terminal): Promise<void> {
  const { text, value } = await clientOf(flags, terminal).get<Page<T>>(list.path, list.query)
  if (flags.json) {
    terminal.print(text)
    return
  }
  terminal.printTable(list.head, value.data.map(list.row), `No ${list.name}.`)
  tellEnd(value, list.name, terminal)
}

/** Says how a page ended, and what to type for the next one. */
export function tellEnd(page: Page<unknown>, command: string, terminal: Terminal): void {
  if (page.searched_back_to) terminal.note(`Searched back to ${terminal.time(page.searched_back_to)} so far.`)
  if (page.next_cursor === null) return
  terminal.note(`There may be more: ${commandName()} ${command} --cursor ${page.next_cursor} (with the same options)`)
}

const colourStyles: Readonly<Record<ReasonView["colour"], Style | null>> = {
  plain: null,
  grey: "dim",
  amber: "yellow",
  red: "red",
}

/** A text in the colour of a reason. */
export function paintReason(colour: ReasonView["colour"], text: string, terminal: Terminal): string {
  const style = colourStyles[colour]
  return style === null ? text : terminal.paint(style, text)
}

/** A status in its colour. */
export function paintStatus(status: string, terminal: Terminal): string {
  switch (status) {
    case "delivered":
    case "verified":
    case "success":
      return terminal.paint("green", status)
    case "failed":
    case "error":
      return terminal.paint("red", status)
    case "retrying":
    case "skipped":
    case "interrupted":
    case "sender_fault":
      return terminal.paint("yellow", status)
    default:
      return status
  }
}

/** Prints why something stands where it stands: what happened, the likely causes, what to do. */
export function printReason(reason: ReasonView, terminal: Terminal, indent: string): void {
  terminal.print(`${indent}${paintReason(reason.colour, oneLine(reason.title), terminal)} (${reason.code})`)
  terminal.print(`${indent}${oneLine(reason.what, 1_000)}`)
  if (reason.causes !== "")
    terminal.print(`${indent}${terminal.paint("dim", "Causes:")} ${oneLine(reason.causes, 1_000)}`)
  if (reason.advice !== "") terminal.print(`${indent}${terminal.paint("dim", "Do:")} ${oneLine(reason.advice, 1_000)}`)
}
