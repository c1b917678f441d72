/**
 * A receiver that does next to nothing: it reads a request to its end, answers 204 and counts. Where nginx is installed
 * it is used for throughput; this one is for machines without it, and for latency, because it notes when events arrive.
 *
 *     bench/receiver.ts --port <number> [--latency]
 *
 * `GET /count` tells how many requests came; `GET /latency` gives the percentiles since it was asked last.
 */
import { createServer, type Socket } from "node:net"
import { parseArgs } from "node:util"
import { nowUs, STAMP_DIGITS, STAMP_MARK } from "./events.ts"
import { Framing } from "./framing.ts"

/** How long events took from the generator to here. */
export interface Latency {
  readonly samples: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

const GET = 0x47
const ANSWER = Buffer.from("HTTP/1.1 204 No Content\r\n\r\n")
const MARK = Buffer.from(STAMP_MARK)

const { values } = parseArgs({ options: { port: { type: "string" }, latency: { type: "boolean", default: false } } })
const samplesUs: number[] = []
let count = 0

const server = createServer({ noDelay: true }, socket => {
  const framing = new Framing()
  socket.on("data", (chunk: Buffer) => framing.push(chunk, message => receive(socket, message)))
  // A sender that goes away in the middle is the sender's to explain.
  socket.on("error", () => socket.destroy())
})
server.listen(Number(values.port), "127.0.0.1", 1_024)
process.on("SIGTERM", () => process.exit(0))

function receive(socket: Socket, message: Buffer): void {
  if (message[0] === GET) {
    const wantsLatency = message.toString("latin1", 0, 13) === "GET /latency "
    sendJson(socket, wantsLatency ? takeLatency() : { count })
    return
  }
  count++
  if (values.latency) noteArrival(message)
  socket.write(ANSWER)
}

function noteArrival(message: Buffer): void {
  const at = message.indexOf(MARK) + MARK.length
  const sentUs = Number(message.toString("latin1", at, at + STAMP_DIGITS))
  if (sentUs > 0) samplesUs.push(nowUs() - sentUs)
}

function takeLatency(): Latency {
  const sorted = samplesUs.splice(0).sort((a, b) => a - b)
  const at = (share: number): number => (sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN) / 1_000
  return { samples: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}

function sendJson(socket: Socket, value: unknown): void {
  const body = JSON.stringify(value)
  socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
}
