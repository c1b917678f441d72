/** A webhook receiver in this process that answers as the test says, and keeps what it was sent. */
import { once } from "node:events"
import { createServer, type IncomingHttpHeaders, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import type { TestContext } from "node:test"

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

export interface ScriptedReceiver {
  /** `http://127.0.0.1:port/hook` */
  readonly url: string
  readonly received: Received[]
  /** What the next requests are answered with, as long as it is not said anew. May take its time. */
  answer: (request: Received) => Reply | Promise<Reply>
}

/** Starts one; it ends with the test. */
export async function scriptedReceiver(t: TestContext, reply: Reply = { status: 200 }): Promise<ScriptedReceiver> {
  const receiver: { -readonly [K in keyof ScriptedReceiver]: ScriptedReceiver[K] } = {
    url: "",
    received: [],
    answer: () => reply,
  }
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", async () => {
      const received = { headers: request.headers, body: Buffer.concat(chunks).toString() }
      receiver.received.push(received)
      const { status, headers = {}, body = "" } = await receiver.answer(received)
      response.writeHead(status, headers).end(body)
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return receiver
}
