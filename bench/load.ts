/**
 * A load generator on plain sockets, in a process of its own, for what wrk cannot do (a fixed rate) and for machines
 * without wrk. One request at a time on a connection, prepared bytes out, answers found by their length.
 *
 *     bench/load.ts --url <url> --key <API key> --events <file> --connections <n> --seconds <n>
 *                   [--rate <n> [--warm-up <seconds>]]
 *
 * Without a rate the loop is closed: each answer is followed by the next request. With one it is open: requests leave
 * when they are due whatever has been answered, and an event's time is when it was due, even where all connections were
 * busy then, so that a slow moment counts for all whom it would have kept waiting. Events of the warm-up carry no time:
 * this process is slow until its own code is compiled. Ends with one line of JSON.
 */
import { readFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { parseArgs } from "node:util"
import { EVENT_COUNT, nowUs, STAMP_DIGITS, STAMP_MARK } from "./events.ts"
import { Framing } from "./framing.ts"

/** What became of the requests of one run. */
export interface Load {
  /** Answered, whatever the answer. */
  readonly answered: number
  /** Answered with a status of 400 or more. */
  readonly refused: number
  /** Not answered: the connection broke or could not be made, or no answer came in time. */
  readonly broken: number
  /** From the first request to the last answer. */
  readonly seconds: number
}

/** A prepared request, and where the time stands in it. */
interface Prepared {
  readonly bytes: Buffer
  readonly stampAt: number
}

/** How long answers may take that are outstanding at the end. */
const GRACE_MS = 10_000
const FOUR = "4".charCodeAt(0)

const { values } = parseArgs({
  options: {
    url: { type: "string", default: "" },
    key: { type: "string", default: "" },
    events: { type: "string", default: "" },
    connections: { type: "string", default: "64" },
    seconds: { type: "string", default: "10" },
    rate: { type: "string" },
    "warm-up": { type: "string", default: "0" },
  },
})
const url = new URL(values.url)
const connections = Math.min(Number(values.connections), EVENT_COUNT)
const warmUpUs = Number(values["warm-up"]) * 1e6
const seconds = Number(values.seconds) + warmUpUs / 1e6
const rate = values.rate === undefined ? undefined : Number(values.rate)

const requests = readFileSync(values.events, "utf8").trimEnd().split("\n").map(prepare)
const tally = { sent: 0, answered: 0, refused: 0, broken: 0 }
const free: Caller[] = []
let startUs = 0
let isOver = false

/** One connection, with at most one request under way. */
class Caller {
  readonly #socket: Socket
  readonly #framing = new Framing()
  #isWaiting = false

  constructor(onOpen: () => void) {
    this.#socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true }, onOpen)
    this.#socket.on("data", (chunk: Buffer) => this.#framing.push(chunk, answer => this.#receive(answer)))
    // What follows from an error is the close after it.
    this.#socket.on("error", () => {})
    this.#socket.on("close", () => this.#lose())
  }

  send(prepared: Prepared, dueUs: number): void {
    prepared.bytes.write(String(Math.trunc(dueUs)).padStart(STAMP_DIGITS, "0"), prepared.stampAt, "latin1")
    this.#isWaiting = true
    this.#socket.write(prepared.bytes)
  }

  #receive(answer: Buffer): void {
    this.#isWaiting = false
    tally.answered++
    // "HTTP/1.1 202": the tenth byte is the status's first digit.
    if ((answer[9] ?? 0) >= FOUR) tally.refused++
    makeFree(this)
  }

  /** Another takes its place, unless this one could not even be made. */
  #lose(): void {
    if (this.#isWaiting || this.#socket.bytesWritten === 0) tally.broken++
    const index = free.indexOf(this)
    if (index >= 0) free.splice(index, 1)
    if (!isOver && this.#socket.bytesWritten > 0) {
      const caller: Caller = new Caller(() => makeFree(caller))
    }
  }
}

await Promise.all(Array.from({ length: connections }, openFirst))
startUs = nowUs()
if (rate === undefined) for (const caller of free.splice(0)) makeFree(caller)
else tick()
setTimeout(end, seconds * 1_000)

function openFirst(): Promise<void> {
  return new Promise(resolve => {
    const caller: Caller = new Caller(() => {
      free.push(caller)
      resolve()
    })
  })
}

/** Closed loop: the next request goes out at once. Open loop: the oldest that is due, if there is one. */
function makeFree(caller: Caller): void {
  if (rate === undefined && !isOver) sendNext(caller, nowUs())
  else {
    free.push(caller)
    if (rate !== undefined) sendDue(rate)
  }
}

/** Every millisecond, so that what is sent is late by half of that on average; it counts as latency. */
function tick(): void {
  if (rate === undefined || isOver) return
  sendDue(rate)
  setTimeout(tick, 1)
}

function sendDue(perSecond: number): void {
  const due = Math.min(((nowUs() - startUs) * perSecond) / 1e6, seconds * perSecond)
  while (tally.sent < due) {
    const caller = free.pop()
    if (caller === undefined) return
    const dueUs = (tally.sent * 1e6) / perSecond
    sendNext(caller, dueUs < warmUpUs ? 0 : startUs + dueUs)
  }
}

function sendNext(caller: Caller, dueUs: number): void {
  const prepared = requests[tally.sent % requests.length]
  if (prepared === undefined) throw new Error(`There are no events in ${values.events}.`)
  tally.sent++
  caller.send(prepared, dueUs)
}

/** Gives what is outstanding, or was due and could not be sent, time to be answered; then says what became of it all. */
function end(): void {
  isOver = true
  const deadlineUs = nowUs() + GRACE_MS * 1_000
  const settle = (): void => {
    if (rate !== undefined) sendDue(rate)
    const missing = tally.sent - tally.answered - tally.broken
    if (missing > 0 && nowUs() < deadlineUs) {
      setTimeout(settle, 1)
      return
    }
    const { answered, refused } = tally
    const load: Load = { answered, refused, broken: tally.broken + missing, seconds: (nowUs() - startUs) / 1e6 }
    process.stdout.write(`${JSON.stringify(load)}\n`, () => process.exit(0))
  }
  settle()
}

function prepare(body: string): Prepared {
  const length = Buffer.byteLength(body)
  const head = [
    `POST ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    "Content-Type: application/json",
    `Authorization: Bearer ${values.key}`,
    `Content-Length: ${length}`,
  ]
  const bytes = Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`)
  return { bytes, stampAt: bytes.indexOf(STAMP_MARK) + STAMP_MARK.length }
}
