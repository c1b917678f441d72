/** `waybill send`: sends one event or many from files, a pipe or the command line, and says of each refused one why. */
import { createReadStream, statSync } from "node:fs"
import { SingleBar } from "cli-progress"
import type { Command } from "commander"
import { clientOf, type ServerFlags, withServer } from "./client.ts"
import { type EventText, eventText, eventTexts, type Making } from "./event-texts.ts"
import { CommandFault, misuse } from "./fault.ts"
import { batchesOf, bytesOf, Sender } from "./sender.ts"
import type { Terminal } from "./terminal.ts"
import { readNumber } from "./values.ts"

/** Files are read in pieces of this size: about a thousand events of 1 KiB, two batches. */
const READ_BYTES = 1_048_576

/** Options that become members of the event: the member, the option, the name that commander gives it. */
const memberOptions = [
  ["type", "type", "--type <type>", "its type; each value that is read is the data of one event then"],
  ["id", "id", "--id <id>", "your own id of the event, by which a repeat is recognised"],
  ["app", "app", "--app <name>", "the app it belongs to"],
  ["environment", "environment", "--environment <name>", "production or sandbox"],
  ["profile_id", "profileId", "--profile-id <id>", "the customer behind it"],
  ["device_id", "deviceId", "--device-id <id>", "the device it came from"],
  ["source_record", "sourceRecord", "--source-record <id>", "the record in your own system"],
  ["ordering_key", "orderingKey", "--ordering-key <key>", "events with the same key belong in one order"],
  ["occurred_at", "occurredAt", "--occurred-at <time>", "when it happened, such as 2026-11-21T10:00:00Z"],
  ["historical", "historical", "--historical", "imported history: kept for search, delivered nowhere"],
] as const

type MemberFlags = Readonly<Partial<Record<(typeof memberOptions)[number][1], string | true>>>

interface SendFlags extends ServerFlags, MemberFlags {
  readonly data?: string
  readonly retries: number
}

export function addSend(program: Command, terminal: Terminal): void {
  const command = program
    .command("send")
    .summary("send one event or many")
    .description(
      'Sends events from files, standard input or --data: JSON, JSON lines or a JSON list. Each value is an event, { "type": …, "data": … }, and the options below fill in what it lacks; with --type each value is the data of an event of that type. Data is sent as it is written, byte for byte.',
    )
    .argument("[files...]", "files to read; - is standard input")
    .option("--data <json>", "the data of one event, instead of files")
  for (const [, , option, sentence] of memberOptions) command.option(option, sentence)
  const retries = "how often a batch is sent again when Waybill is busy or gone for a moment"
  withServer(command)
    .option("--retries <number>", retries, readNumber(0, 1_000), 10)
    .addHelpText(
      "after",
      `
Examples:
  $ waybill send --type order.created --data '{"order": 1842}' --id order-1842
  $ waybill send events.jsonl
  $ tail -f orders.jsonl | waybill send --type order.created`,
    )
    .action((files: readonly string[], flags: SendFlags) => send(files, flags, terminal))
}

async function send(files: readonly string[], flags: SendFlags, terminal: Terminal): Promise<void> {
  const sources = sourcesOf(files, flags)
  const sender = new Sender(clientOf(flags, terminal), flags.retries, sent => {
    if (flags.json) terminal.printJson(sent)
  })
  const progress = new Progress(sources)
  try {
    for (const { name, read } of sources) {
      for await (const texts of read()) {
        const placed = sources.length > 1 ? texts.map(text => ({ ...text, place: `${name}, ${text.place}` })) : texts
        for (const batch of batchesOf(placed)) {
          await sender.send(batch)
          progress.sent(batch)
        }
      }
    }
  } catch (error) {
    progress.stop()
    if (error instanceof CommandFault) terminal.note(`Stopped before the end. Until then: ${sender.summary()}`)
    throw error
  }
  progress.stop()
  if (sender.complaints.length > 0) throw new CommandFault([...sender.complaints, sender.summary()])
  if (!flags.json) terminal.print(sender.summary())
}

/** Where events come from; `bytes` where that is known beforehand. */
interface Source {
  readonly name: string
  readonly bytes: number | undefined
  readonly read: () => AsyncIterable<readonly EventText[]>
}

function sourcesOf(files: readonly string[], flags: SendFlags): Source[] {
  const making = makingOf(flags)
  if (flags.data !== undefined) return [sourceOfData(flags.data, files, making)]
  if (files.length === 0 && process.stdin.isTTY) {
    throw misuse("There is nothing to send: name a file, give --type and --data, or pipe events into this command.")
  }
  return (files.length === 0 ? ["-"] : files).map(name => {
    const bytes = name === "-" ? undefined : sizeOf(name)
    const read = () => {
      const input = name === "-" ? process.stdin : createReadStream(name, { highWaterMark: READ_BYTES })
      const texts = eventTexts(input, making)
      return flags.id === undefined ? texts : onlyOne(texts)
    }
    return { name, bytes, read }
  })
}

function sourceOfData(data: string, files: readonly string[], making: Making): Source {
  if (files.length > 0) throw misuse("Give files or --data, not both.")
  if (making.kind === "events") throw misuse("--data is the data of an event: say of which type with --type.")
  const text = eventText(data, "--data", making)
  if (text.kind === "unreadable") throw misuse(`--data: ${text.message} A text stands in double quotes: '"text"'.`)
  return { name: "--data", bytes: bytesOf(text), read: () => inOne([text]) }
}

async function* inOne(texts: readonly EventText[]): AsyncGenerator<readonly EventText[]> {
  yield texts
}

/** An own id belongs to one event: a second one would be taken for a repeat of the first with other content. */
async function* onlyOne(found: AsyncIterable<readonly EventText[]>): AsyncGenerator<readonly EventText[]> {
  const all: EventText[] = []
  for await (const texts of found) all.push(...texts)
  if (all.length > 1) {
    throw misuse(`--id is the id of one event, but there are ${all.length}: give each an \`id\` of its own.`)
  }
  yield all
}

function makingOf(flags: SendFlags): Making {
  const members = memberOptions.flatMap(([member, flag]) => {
    const value = flags[flag]
    return value === undefined ? [] : [[member, value] as const]
  })
  return { kind: flags.type === undefined ? "events" : "data", members: Object.fromEntries(members) }
}

function sizeOf(name: string): number {
  const stats = statSync(name, { throwIfNoEntry: false })
  if (stats === undefined) throw new CommandFault(`There is no file ${name}.`)
  if (stats.isDirectory()) throw new CommandFault(`${name} is a folder: name the files in it.`)
  return stats.size
}

/** A bar on a terminal, nothing elsewhere. */
class Progress {
  readonly #bar: SingleBar | undefined
  #bytes = 0
  #events = 0

  constructor(sources: readonly Source[]) {
    if (!process.stderr.isTTY) return
    const sizes = sources.map(({ bytes }) => bytes ?? Number.NaN)
    const total = sizes.reduce((sum, bytes) => sum + bytes, 0)
    const format = Number.isNaN(total) ? "{events} events sent" : "{bar} {percentage} % · {events} events sent"
    this.#bar = new SingleBar({ format, stream: process.stderr, clearOnComplete: true, barsize: 30, fps: 5 })
    this.#bar.start(Number.isNaN(total) ? 0 : total, 0, { events: 0 })
  }

  sent(batch: readonly EventText[]): void {
    this.#events += batch.length
    for (const text of batch) this.#bytes += bytesOf(text)
    // What was filled in makes events larger than the file that they came from.
    this.#bar?.update(Math.min(this.#bytes, this.#bar.getTotal()), { events: this.#events })
  }

  stop(): void {
    this.#bar?.stop()
  }
}
