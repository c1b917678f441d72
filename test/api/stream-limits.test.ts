/** What a stream does as time goes by, and how many there may be: on its own server, with limits that a test can wait for. */
import assert from "node:assert/strict"
import { once } from "node:events"
import type { ServerResponse } from "node:http"
import { type AddressInfo, connect, type Socket } from "node:net"
import { type TestContext, test } from "node:test"
import Fastify, { type FastifyInstance } from "fastify"
import { callerWithKey } from "../../src/api/access.ts"
import { asProblem, sendProblem } from "../../src/api/server.ts"
import type { StreamLimits } from "../../src/api/stream.ts"
import { streamRoutes } from "../../src/api/stream-routes.ts"
import { compileForRoute } from "../../src/api/validation.ts"
import { formatId } from "../../src/domain/id.ts"
import { unlimited } from "../../src/domain/limits.ts"
import { Directory } from "../../src/engine/directory.ts"
import { Feed } from "../../src/engine/feed.ts"
import { Keyring } from "../../src/engine/keyring.ts"
import { openLog } from "../../src/log.ts"
import { sql } from "../../src/store/database.ts"
import { insertKey, revokeKey } from "../../src/store/keys.ts"
import { type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { assertWithin } from "../help/punctual.ts"
import { StreamListener } from "../help/stream-listener.ts"
import type { Reachable } from "../help/waybill.ts"

const secret = "wb_test_111111111111111111111111"

interface Streams extends Reachable {
  readonly filled: FilledStore
  readonly feed: Feed
  readonly server: FastifyInstance
  readonly keyring: Keyring
  readonly keyId: number
}

async function openStreams(t: TestContext, limits: Partial<StreamLimits>): Promise<Streams> {
  const filled = await openFilledStore(t)
  const { store } = filled
  const log = openLog("silent")
  const directory = new Directory(store)
  await directory.load()
  const now = () => filled.now
  const keyring = new Keyring({ db: store.db, reads: store.reads, now, log })
  const keyId = store.ids.next()
  const key = { id: keyId, project: filled.project, name: "key", secret, scopes: ["admin"], at: filled.now }
  const rest = { limits: unlimited, maxRequestsPerMinute: null, expiresAt: null, createdBy: null }
  await insertKey(store.db, { ...key, ...rest })
  const server = Fastify()
  server.setValidatorCompiler(({ schema }) => compileForRoute({ schema, httpPart: "querystring" }))
  server.decorateRequest("caller", null)
  server.addHook("onRequest", async request => {
    const found = await keyring.find(secret)
    request.caller = found === undefined ? null : callerWithKey(found)
  })
  server.setErrorHandler((error, request, reply) =>
    sendProblem({ publicUrl: () => "http://waybill" }, request, reply, asProblem(error)),
  )
  const feed = new Feed()
  const people = { holds: async () => undefined }
  const context = { store, directory, engine: { lanes: () => [] }, feed, keyring, people, log, now }
  streamRoutes(server, context, {
    perProject: 3,
    perApp: 3,
    perToken: 3,
    unsentMessages: 1_000,
    unsentBytes: 1_048_576,
    stalledMs: 30_000,
    goodbyeMs: 30_000,
    keepAliveMs: 60_000,
    checkKeyMs: 60_000,
    ...limits,
  })
  await server.listen({ host: "127.0.0.1", port: 0 })
  t.after(() => server.close())
  const { port } = server.server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, key: secret, filled, feed, server, keyring, keyId }
}

/** Asks until there is room for one more stream. */
async function untilAdmitted({ url }: Streams): Promise<void> {
  for (;;) {
    const answer = await fetch(`${url}/v1/stream`)
    await answer.body?.cancel()
    if (answer.status === 200) return
  }
}

test("a quiet stream is kept alive, and its position moves on with what its filter leaves out", async t => {
  const streams = await openStreams(t, { keepAliveMs: 30 })
  using listener = await StreamListener.open(streams, { query: "?type=rare" })
  await listener.until(() => listener.raw.includes(": keep-alive\n"))
  await streams.filled.accept({ type: "often" })
  // No feed tells of it here: the stream finds it by itself.
  await listener.until(() => /: keep-alive\nid: evt_\w+\n\n/.test(listener.raw))
  assert.deepEqual(listener.messages, [])
})

test("a project has no more streams than it may have: 429 that says when to come back, until one ends", async t => {
  const streams = await openStreams(t, { perProject: 2 })
  const first = await StreamListener.open(streams)
  using _second = await StreamListener.open(streams)
  const refused = await fetch(`${streams.url}/v1/stream`)
  assert.equal(refused.status, 429)
  assert.ok(Number(refused.headers.get("retry-after")) > 0)
  const problem = (await refused.json()) as { code: string; detail: string }
  assert.equal(problem.code, "too_many_requests")
  assert.match(problem.detail, /2 streams/)
  first.close()
  await first.ended
  await untilAdmitted(streams)
})

test("a stream whose key is revoked ends, and says why", async t => {
  const streams = await openStreams(t, { checkKeyMs: 20 })
  using listener = await StreamListener.open(streams)
  const { filled, keyring, keyId } = streams
  await revokeKey(filled.store.db, filled.project, keyId, filled.now)
  keyring.forget()
  await listener.ended
  assert.deepEqual(
    listener.messages.map(message => [message.name, message.data["reason"]]),
    [["bye", "unauthorized"]],
  )
})

test("more at a time than a stream may hold back is told all the same where the listener takes it", async t => {
  const streams = await openStreams(t, { unsentMessages: 5, unsentBytes: 4_096 })
  using listener = await StreamListener.open(streams)
  const ids: number[] = []
  for (let i = 0; i < 300; i++) ids.push((await streams.filled.accept()).id)
  await listener.until(() => listener.messages.length >= 300)
  assert.equal(listener.messages.length, 300)
  assert.deepEqual(
    listener.messages,
    listener.messages.toSorted((a, b) => ((a.id ?? "") < (b.id ?? "") ? -1 : 1)),
  )
})

/** A listener that takes nothing after its first bytes, until it is told to. */
class StuckListener {
  #text = ""
  readonly #socket: Socket
  readonly #closed: Promise<unknown>

  static async open(at: Streams, lastEventId = ""): Promise<StuckListener> {
    const socket = connect(Number(new URL(at.url).port), "127.0.0.1")
    socket.write(`GET /v1/stream HTTP/1.1\r\nhost: localhost\r\nlast-event-id: ${lastEventId}\r\n\r\n`)
    const [first] = await once(socket, "data")
    socket.pause()
    return new StuckListener(socket, String(first))
  }

  private constructor(socket: Socket, first: string) {
    this.#socket = socket
    this.#text = first
    this.#closed = once(socket, "close")
  }

  /** Takes everything up to the end of the connection. */
  async readOn(): Promise<string> {
    this.#socket.on("data", chunk => {
      this.#text += chunk
    })
    this.#socket.resume()
    await this.#closed
    return this.#text
  }
}

const large = () => ({ payload: { kind: "json", text: `"${"x".repeat(1_000_000)}"` } }) as const

test("a listener that lets more than a MiB pile up is let go with a last message, and goes on where it stopped", async t => {
  const streams = await openStreams(t, {})
  using watcher = await StreamListener.open(streams)
  const stuck = await StuckListener.open(streams)
  // One after another, so that it is the listener that keeps up or does not; more than any system buffers.
  for (let i = 1; i <= 20; i++) {
    const event = await streams.filled.accept(large())
    streams.feed.accepted(event, [], {})
    await watcher.until(() => watcher.messages.length >= i)
  }
  const text = await stuck.readOn()
  assert.match(text, /event: bye\ndata: \{"reason":"slow_reader","detail":"[^"]+"\}/)
  const last = [...text.matchAll(/^id: (\S+)$/gm)].at(-1)?.[1] ?? ""
  using again = await StreamListener.open(streams, { lastEventId: last })
  const missed = watcher.messages.slice(watcher.messages.findIndex(message => message.id === last) + 1)
  assert.ok(missed.length > 0)
  await again.until(() => again.messages.length >= missed.length)
  assert.deepEqual(
    again.messages.map(message => message.id),
    missed.map(message => message.id),
  )
})

test("a listener that comes back for old messages and takes none of them is let go after a while", async t => {
  const streams = await openStreams(t, { perProject: 1, stalledMs: 100 })
  const first = await streams.filled.accept()
  for (let i = 0; i < 20; i++) await streams.filled.accept(large())
  const stuck = await StuckListener.open(streams, formatId("evt", first.id))
  await untilAdmitted(streams)
  assert.match(await stuck.readOn(), /event: bye\ndata: \{"reason":"slow_reader"/)
})

test("a listener that takes nothing does not hold up the end of the server", async t => {
  const streams = await openStreams(t, {})
  const first = await streams.filled.accept()
  for (let i = 0; i < 20; i++) await streams.filled.accept(large())
  await StuckListener.open(streams, formatId("evt", first.id))
  const startedAt = performance.now()
  await streams.server.close()
  assertWithin(performance.now() - startedAt, 2_000)
})

test("a listener that hangs up while its stream is being opened leaves nothing behind", async t => {
  const streams = await openStreams(t, { perProject: 1 })
  // The store has something else to do, so that opening waits for it.
  const busy = streams.filled.store.reads.query(sql`
    with recursive n (i) as (select 1 union all select i + 1 from n where i < 2000000) select count(*) as n from n`)
  const socket = connect(Number(new URL(streams.url).port), "127.0.0.1")
  const [request] = await Promise.all([
    once(streams.server.server, "request"),
    new Promise(resolve => socket.write("GET /v1/stream HTTP/1.1\r\nhost: localhost\r\n\r\n", resolve)),
  ])
  const [, response] = request as [unknown, ServerResponse]
  socket.destroy()
  await once(response, "close")
  await busy
  await untilAdmitted(streams)
})

test("closing the server ends every stream with a last message", async t => {
  const streams = await openStreams(t, {})
  using one = await StreamListener.open(streams)
  using other = await StreamListener.open(streams)
  await streams.server.close()
  await Promise.all([one.ended, other.ended])
  for (const listener of [one, other]) assert.equal(listener.messages.at(-1)?.data["reason"], "stopping")
})
