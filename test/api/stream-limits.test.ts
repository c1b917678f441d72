/** What a stream does as time goes by, and how many there may be: on its own server, with limits that a test can wait for. */
import assert from "node:assert/strict"
import type { AddressInfo } from "node:net"
import { type TestContext, test } from "node:test"
import Fastify, { type FastifyInstance } from "fastify"
import { asProblem, sendProblem } from "../../src/api/server.ts"
import { type StreamLimits, streamRoutes } from "../../src/api/stream.ts"
import { Directory } from "../../src/engine/directory.ts"
import { Feed } from "../../src/engine/feed.ts"
import { Keyring } from "../../src/engine/keyring.ts"
import { openLog } from "../../src/log.ts"
import { insertKey, revokeKey } from "../../src/store/keys.ts"
import { type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { StreamListener } from "../help/stream-listener.ts"
import type { Reachable } from "../help/waybill.ts"

const secret = "wb_test_111111111111111111111111"

interface Streams extends Reachable {
  readonly filled: FilledStore
  readonly server: FastifyInstance
  readonly keyring: Keyring
  readonly keyId: number
}

async function openStreams(t: TestContext, limits: Partial<StreamLimits>): Promise<Streams> {
  const filled = openFilledStore(t)
  const { store } = filled
  const log = openLog("silent")
  const directory = new Directory(store)
  await directory.load()
  const now = () => filled.now
  const keyring = new Keyring({ db: store.db, reads: store.reads, now, log })
  const keyId = store.ids.next()
  const key = { id: keyId, project: filled.project, name: "key", secret, scopes: ["admin"], at: filled.now }
  await insertKey(store.db, { ...key, expiresAt: null, createdBy: null })
  const server = Fastify()
  server.decorateRequest("apiKey", null)
  server.addHook("onRequest", async request => {
    request.apiKey = (await keyring.find(secret)) ?? null
  })
  server.setErrorHandler((error, request, reply) => sendProblem(reply, request, asProblem(error)))
  const context = { store, directory, engine: { lanes: () => [] }, feed: new Feed(), keyring, log, now }
  streamRoutes(server, context, {
    perProject: 3,
    unsentMessages: 1_000,
    unsentBytes: 1_048_576,
    stalledMs: 10_000,
    keepAliveMs: 60_000,
    checkKeyMs: 60_000,
    ...limits,
  })
  await server.listen({ host: "127.0.0.1", port: 0 })
  t.after(() => server.close())
  const { port } = server.server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, key: secret, filled, server, keyring, keyId }
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
  using second = await StreamListener.open(streams)
  const refused = await fetch(`${streams.url}/v1/stream`)
  assert.equal(refused.status, 429)
  assert.ok(Number(refused.headers.get("retry-after")) > 0)
  const problem = (await refused.json()) as { code: string; detail: string }
  assert.equal(problem.code, "too_many_requests")
  assert.match(problem.detail, /2 streams/)
  first.close()
  await first.ended
  for (;;) {
    const again = await fetch(`${streams.url}/v1/stream`)
    await again.body?.cancel()
    if (again.status === 200) break
  }
  second.close()
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

test("closing the server ends every stream with a last message", async t => {
  const streams = await openStreams(t, {})
  using one = await StreamListener.open(streams)
  using other = await StreamListener.open(streams)
  await streams.server.close()
  await Promise.all([one.ended, other.ended])
  for (const listener of [one, other]) assert.equal(listener.messages.at(-1)?.data["reason"], "stopping")
})
