/** A client that begins a request and never ends it. */
import { connect } from "node:net"
import { text } from "node:stream/consumers"
import type { Operation } from "./document.ts"

/** What is answered to a request of which no more comes than its first lines. */
export async function askWithoutEnd(
  url: string,
  { method, path }: Operation,
): Promise<{ readonly status: number; readonly contentType: string; readonly body: string }> {
  const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port) })
  socket.write(`${method} ${path.replace(/[{}]/g, "")} HTTP/1.1\r\nhost: waybill\r\n`)
  const [head = "", body = ""] = (await text(socket)).split("\r\n\r\n")
  const contentType = /^content-type: (.*)$/im.exec(head)?.[1] ?? ""
  return { status: Number(head.split(" ")[1]), contentType, body }
}
