/**
 * Receivers that do what real ones do on a bad day: drip, stall, reset, hang up, lie about lengths, speak no HTTP.
 * Real sockets on loopback; each behaviour is a function of an accepted socket.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"
import { createServer as createTlsServer, type TlsOptions } from "node:tls"

/** What a receiver does with each connection that it accepts. */
export type Behaviour = (socket: Socket) => void

/** A receiver that runs, and ends with the block that it was made in: `await using there = await receiver(…)`. */
export interface Receiver extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** `http://host:port/hook`, or https. */
  readonly url: string
  /** Connections accepted so far. */
  readonly accepted: () => number
  /** Connections that are open now. */
  readonly open: () => number
  /** Bytes that came in, over all connections. */
  readonly received: () => Buffer
  readonly close: () => Promise<void>
}

/** Starts a receiver on loopback. With `tls`, over TLS with that certificate; `name` is the host in its URL. */
export async function receiver(
  behaviour: Behaviour,
  options: { readonly host?: string; readonly port?: number; readonly tls?: TlsOptions; readonly name?: string } = {},
): Promise<Receiver> {
  const sockets = new Set<Socket>()
  const chunks: Buffer[] = []
  let accepted = 0
  const watch = (socket: Socket): void => {
    accepted++
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    socket.on("error", () => {})
  }
  const behave = (socket: Socket): void => {
    socket.on("error", () => {})
    // As a listener of its own, so that a behaviour that never reads really does not.
    socket.on("data", (chunk: Buffer) => chunks.push(chunk))
    behaviour(socket)
  }
  const server: Server = options.tls === undefined ? createServer(behave) : createTlsServer(options.tls, behave)
  server.on("connection", watch)
  server.on("tlsClientError", () => {})
  server.listen(options.port ?? 0, options.host ?? "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  const host = options.host ?? "127.0.0.1"
  const name = options.name ?? (host.includes(":") ? `[${host}]` : host)
  return {
    host,
    port,
    url: `${options.tls === undefined ? "http" : "https"}://${name}:${port}/hook`,
    accepted: () => accepted,
    open: () => sockets.size,
    received: () => Buffer.concat(chunks),
    ...ending(async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, "close")
    }),
  }
}

/** Two names for the same end, which comes once. */
function ending(end: () => Promise<void>): Pick<Receiver, "close" | typeof Symbol.asyncDispose> {
  let ended: Promise<void> | null = null
  const close = (): Promise<void> => {
    ended ??= end()
    return ended
  }
  return { close, [Symbol.asyncDispose]: close }
}

/** Calls `act` for each complete request of a connection, with its bytes. */
export function eachRequest(socket: Socket, act: (request: Buffer, count: number) => void): void {
  let pending = Buffer.alloc(0)
  let count = 0
  socket.on("data", (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    for (let end = endOfRequest(pending); end > 0; end = endOfRequest(pending)) {
      const request = pending.subarray(0, end)
      pending = pending.subarray(end)
      act(request, ++count)
    }
  })
}

function endOfRequest(bytes: Buffer): number {
  const head = bytes.indexOf("\r\n\r\n")
  if (head < 0) return 0
  const length = /^content-length: (\d+)\r$/im.exec(bytes.toString("latin1", 0, head + 2))?.[1] ?? "0"
  const end = head + 4 + Number(length)
  return bytes.length >= end ? end : 0
}

/** Answers each request with these bytes as they are; then hangs up if `close` is set. */
export function answers(text: string | Buffer, close = false): Behaviour {
  return socket => eachRequest(socket, () => (close ? socket.end(text) : socket.write(text)))
}

/** A plain 200 with a body. */
export function ok(body = "ok"): Behaviour {
  return answers(
    `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

/** Takes the request and never answers. */
export const silent: Behaviour = () => {}

/** Takes the connection and reads nothing from it. */
export const deaf: Behaviour = socket => {
  socket.pause()
}

/** Sends a text byte by byte, one every `everyMs`, for ever: its last byte is repeated. */
export function drips(start: string, text: string, everyMs = 20): Behaviour {
  return socket =>
    eachRequest(socket, () => {
      let at = 0
      socket.write(start)
      every(socket, everyMs, () => socket.write(text[Math.min(at++, text.length - 1)] ?? ""))
    })
}

/** Sends `103 Early Hints` for ever and no answer. */
export const hintsForEver: Behaviour = socket =>
  eachRequest(socket, () => every(socket, 20, () => socket.write("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")))

/** Resets the connection when `bytes` have been sent after a request; at once, without a request, if null. */
export function resets(bytes: string | null): Behaviour {
  return socket => {
    if (bytes === null) socket.resetAndDestroy()
    else if (bytes === "") eachRequest(socket, () => socket.resetAndDestroy())
    // Only when the other side has seen them, or the reset would overtake them.
    else eachRequest(socket, () => socket.write(bytes, () => setTimeout(() => socket.resetAndDestroy(), 30)))
  }
}

/** Hangs up in an orderly way when `bytes` have been sent after a request. */
export function hangsUp(bytes: string): Behaviour {
  return answers(bytes, true)
}

/** A good head and a body without end, as fast as it is taken. */
export function infiniteBody(head = "HTTP/1.1 200 OK\r\n\r\n"): Behaviour {
  const piece = Buffer.alloc(65_536, "x")
  return socket =>
    eachRequest(socket, () => {
      const pour = (): void => {
        while (!socket.destroyed && socket.write(piece)) {}
      }
      socket.on("drain", pour)
      socket.write(head)
      pour()
    })
}

/** Repeats something for as long as the connection is there. */
function every(socket: Socket, everyMs: number, act: () => void): void {
  const timer = setInterval(act, everyMs)
  socket.on("close", () => clearInterval(timer))
}

/** A receiver that answers 200 while this process is busy with something else; with each answer a file grows by a byte. */
export function receiverInItsOwnProcess(answered: string): Promise<Receiver> {
  const note = `() => require("node:fs").appendFileSync(${JSON.stringify(answered)}, ".")`
  return inItsOwnProcess(`require("node:http").createServer((request, response) => response.end("ok", ${note}))
    .listen(0, "127.0.0.1", function () { require("node:fs").writeSync(1, String(this.address().port)) })`)
}

/**
 * A port that takes up no connection: the queue of a listener that never accepts is full, so that further SYNs are
 * dropped (standards F-30). Addresses that "do not answer" do answer in some networks.
 */
export async function unanswering(): Promise<Receiver> {
  const listener = await inItsOwnProcess(`require("node:net").createServer()
    .listen({ port: 0, host: "127.0.0.1", backlog: 1 }, function () {
      require("node:fs").writeSync(1, String(this.address().port))
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })`)
  const fillers = Array.from({ length: 4 }, () => connect(listener.port, "127.0.0.1").on("error", () => {}))
  await Promise.all(fillers.slice(0, 2).map(filler => once(filler, "connect")))
  return {
    ...listener,
    ...ending(async () => {
      for (const filler of fillers) filler.destroy()
      await listener.close()
    }),
  }
}

/** Runs a script that prints the port on which it listens. What it receives is not seen here. */
async function inItsOwnProcess(script: string): Promise<Receiver> {
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] })
  const [told] = await once(child.stdout, "data")
  const port = Number(String(told))
  return {
    host: "127.0.0.1",
    port,
    url: `http://127.0.0.1:${port}/hook`,
    accepted: () => 0,
    open: () => 0,
    received: () => Buffer.alloc(0),
    ...ending(async () => {
      child.kill("SIGKILL")
      await once(child, "exit")
    }),
  }
}
