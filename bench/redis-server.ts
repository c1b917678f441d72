/** A Redis of the bench's own, with an append-only file that is synced at each write or once a second. */
import { spawnSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { type Child, freePort, searchPath, startChild, waitFor } from "./children.ts"

export interface RedisServer {
  readonly pid: number
  readonly url: string
  stop(): Promise<void>
}

/** When what was written is on the disk: before it is answered, or up to a second later. */
export type Fsync = "always" | "everysec"

const START_LIMIT_MS = 10_000

/** `Redis 7.0.15`, or null where redis-server is not installed. */
export function redisVersion(): string | null {
  const { error, stdout } = spawnSync("redis-server", ["--version"], { encoding: "utf8", env: { PATH: searchPath } })
  return error === undefined ? `Redis ${/v=(\S+)/.exec(stdout)?.[1] ?? ""}` : null
}

/** Starts one on a new folder below `folder`. Without evictions, as BullMQ asks for; snapshots beside the file are off. */
export async function startRedis(folder: string, name: string, fsync: Fsync): Promise<RedisServer> {
  const home = join(folder, name)
  mkdirSync(home)
  const port = await freePort()
  const child: Child = startChild({
    command: "redis-server",
    args: [
      ...["--bind", "127.0.0.1", "--port", String(port), "--dir", home, "--save", ""],
      ...["--appendonly", "yes", "--appendfsync", fsync, "--maxmemory-policy", "noeviction"],
    ],
    log: join(folder, `${name}.log`),
  })
  await waitFor(child, "answer from Redis", START_LIMIT_MS, () => answers(port))
  return { pid: child.pid, url: `redis://127.0.0.1:${port}`, stop: () => child.stop() }
}

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"))
    socket.setTimeout(1_000, () => socket.destroy())
    socket.once("data", chunk => {
      resolve(chunk.toString().startsWith("+PONG"))
      socket.destroy()
    })
    socket.on("error", () => {})
    socket.once("close", () => resolve(false))
  })
}
