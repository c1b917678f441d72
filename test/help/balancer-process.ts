/** The process behind balancer.ts. */
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { setTimeout as wait } from "node:timers/promises"
import { Pool, request } from "undici"
import type { BalancerQuestion, BalancerSetup, BalancerState } from "./balancer.ts"
import { answerQuestions, helperOptions } from "./helper-process.ts"

const CHECK_LIMIT_MS = 1_000
const ANSWER_LIMIT_MS = 30_000
/** Of one connection, not of what goes on behind it. */
const hopByHop = ["connection", "keep-alive", "transfer-encoding"]

const { upstreams, everyMs } = helperOptions<BalancerSetup>()
const pools = new Map(
  upstreams.map(url => [url, new Pool(url, { connections: 32, pipelining: 1, keepAliveTimeout: 60_000 })]),
)
const ready = new Set<string>()
const answered = new Map(upstreams.map(url => [url, 0]))
const broken: string[] = []
let turn = 0

const server = createServer((incoming, response) => void forward(incoming, response))
// It closes no connection that its clients keep.
server.keepAliveTimeout = 0
server.listen(0, "127.0.0.1")
await once(server, "listening")
for (const url of upstreams) void check(url)

answerQuestions(async (question: BalancerQuestion): Promise<unknown> => {
  switch (question.kind) {
    case "address": {
      const address = server.address()
      return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`
    }
    case "state":
      return { ready: [...ready], answered: Object.fromEntries(answered), broken } satisfies BalancerState
  }
})

/** Asks one of them for /readyz again and again. */
async function check(url: string): Promise<void> {
  for (;;) {
    if (await isReady(url)) ready.add(url)
    else ready.delete(url)
    await wait(everyMs)
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const answer = await request(`${url}/readyz`, { reset: true, signal: AbortSignal.timeout(CHECK_LIMIT_MS) })
    await answer.body.dump()
    return answer.statusCode === 200
  } catch {
    return false
  }
}

async function forward(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const there = upstreams.filter(url => ready.has(url))
  const url = there[turn++ % there.length] ?? ""
  const pool = pools.get(url)
  if (pool === undefined) {
    broken.push("no process takes requests")
    response.writeHead(503).end()
    return
  }
  try {
    const answer = await pool.request({
      method: incoming.method as "POST",
      path: incoming.url ?? "/",
      headers: withoutHops(incoming.headers),
      body: Buffer.concat(chunks),
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    })
    const body = await answer.body.text()
    answered.set(url, (answered.get(url) ?? 0) + 1)
    response.writeHead(answer.statusCode, withoutHops(answer.headers)).end(body)
  } catch (error) {
    broken.push(`${url}: ${error}`)
    response.writeHead(502).end()
  }
}

function withoutHops(headers: IncomingMessage["headers"]): Record<string, string | string[] | undefined> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.includes(name)))
}
