/** An address that leads to one server, and from a moment on to another: what a cluster manager moves at a failover. */
import { connect, createServer, type Socket } from "node:net"
import type { TestContext } from "node:test"

export interface MovingAddress {
  /** A server's URL, through this address. */
  through(url: string): string
  /** Leads to another server from now on; connections to the one before are cut. */
  moveTo(url: string): void
}

/** Opens an address that leads to a server. It is closed with the test. */
export async function startAddress(t: TestContext, url: string): Promise<MovingAddress> {
  let to = Number(new URL(url).port)
  const open = new Set<Socket>()
  const server = createServer(near => {
    const far = connect(to, "127.0.0.1")
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one)
      one.on("error", () => undefined)
      one.on("close", () => {
        open.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve))
  const cut = () => {
    for (const socket of open) socket.destroy()
  }
  t.after(() => {
    server.close()
    cut()
  })
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return {
    through: other => {
      const own = new URL(other)
      own.port = String(port)
      return own.href
    },
    moveTo: other => {
      to = Number(new URL(other).port)
      cut()
    },
  }
}
