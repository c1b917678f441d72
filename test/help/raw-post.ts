/** Posts of events on sockets of their own, so that a test knows what has left and whether anything came back. */
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { testKey } from "./waybill.ts"

/** A connection to a server on this machine, open. */
export async function openSocket(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true })
  await once(socket, "connect")
  return socket
}

/** Resolves when a post of this JSON text is in the system's hands; nobody waits for an answer. */
export function writePost(socket: Socket, body: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
  const head = [
    "POST /v1/events HTTP/1.1",
    "host: localhost",
    `authorization: Bearer ${testKey}`,
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  return new Promise(resolve => socket.write(`${head.join("\r\n")}\r\n\r\n${body}`, () => resolve()))
}

/** Whether anything comes back before the connection ends. */
export function isAnswered(socket: Socket): Promise<boolean> {
  return new Promise(resolve => {
    socket.on("data", () => resolve(true))
    socket.on("error", () => {})
    socket.on("close", () => resolve(false))
  })
}
