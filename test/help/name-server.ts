/** A name server on loopback that says what the test wants: real datagrams, and TCP for answers that are too long. */
import { createSocket } from "node:dgram"
import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"

/** What a name has: addresses of the family asked for, an error code of the DNS, or silence. */
export type Said =
  | { readonly addresses: readonly string[]; readonly ttlSeconds?: number; readonly afterMs?: number }
  | { readonly error: "SERVFAIL" | "NXDOMAIN" | "REFUSED" }
  | "silence"

export interface NameServer {
  /** As `setServers` takes it. */
  readonly address: string
  /** `A crm.example`, `AAAA crm.example`, …: the questions so far. */
  readonly asked: readonly string[]
  readonly close: () => Promise<void>
}

const TYPES: Readonly<Record<number, "A" | "AAAA">> = { 1: "A", 28: "AAAA" }
const CODES = { SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 }
const MAX_DATAGRAM = 512

/** Starts a name server that answers each question with what `say` returns. */
export async function nameServer(say: (name: string, type: "A" | "AAAA") => Said): Promise<NameServer> {
  const asked: string[] = []
  const timers = new Set<NodeJS.Timeout>()
  const answer = (query: Buffer, isDatagram: boolean, reply: (bytes: Buffer) => void): void => {
    const { name, type, end } = questionOf(query)
    asked.push(`${type} ${name}`)
    const said = say(name, type)
    if (said === "silence") return
    const bytes = answerTo(query.subarray(0, end), type, said, isDatagram)
    const afterMs = "addresses" in said ? (said.afterMs ?? 0) : 0
    if (afterMs === 0) reply(bytes)
    else timers.add(setTimeout(reply, afterMs, bytes))
  }

  const streams = createServer(socket => {
    socket.on("error", () => {})
    socket.on("data", (bytes: Buffer) => {
      answer(bytes.subarray(2), false, reply => {
        const length = Buffer.alloc(2)
        length.writeUInt16BE(reply.length)
        socket.end(Buffer.concat([length, reply]))
      })
    })
  }).listen(0, "127.0.0.1")
  await once(streams, "listening")
  const { port } = streams.address() as AddressInfo
  const datagrams = createSocket("udp4")
  datagrams.on("message", (query, from) => {
    answer(query, true, reply => datagrams.send(reply, from.port, from.address))
  })
  datagrams.bind(port, "127.0.0.1")
  await once(datagrams, "listening")
  return {
    address: `127.0.0.1:${port}`,
    asked,
    close: async () => {
      for (const timer of timers) clearTimeout(timer)
      datagrams.close()
      streams.close()
      await once(streams, "close")
    },
  }
}

function questionOf(query: Buffer): { name: string; type: "A" | "AAAA"; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join("."), type: TYPES[query.readUInt16BE(at + 1)] ?? "A", end: at + 5 }
}

/** @param question The query up to the end of its question. */
function answerTo(question: Buffer, type: "A" | "AAAA", said: Exclude<Said, "silence">, isDatagram: boolean): Buffer {
  const records =
    "addresses" in said ? said.addresses.map(address => recordOf(type, address, said.ttlSeconds ?? 60)) : []
  const length = records.reduce((sum, record) => sum + record.length, question.length)
  const isCut = isDatagram && length > MAX_DATAGRAM
  const head = Buffer.from(question)
  head.writeUInt16BE(0x8180 | (isCut ? 0x0200 : 0) | ("error" in said ? CODES[said.error] : 0), 2)
  head.writeUInt16BE(isCut ? 0 : records.length, 6)
  head.writeUInt32BE(0, 8)
  return isCut ? head : Buffer.concat([head, ...records])
}

function recordOf(type: "A" | "AAAA", address: string, ttlSeconds: number): Buffer {
  const data =
    type === "A"
      ? Buffer.from(address.split(".").map(Number))
      : Buffer.from(
          address
            .split(":")
            .map(group => group.padStart(4, "0"))
            .join(""),
          "hex",
        )
  const record = Buffer.alloc(12)
  record.writeUInt16BE(0xc00c, 0)
  record.writeUInt16BE(type === "A" ? 1 : 28, 2)
  record.writeUInt16BE(1, 4)
  record.writeUInt32BE(ttlSeconds, 6)
  record.writeUInt16BE(data.length, 10)
  return Buffer.concat([record, data])
}
