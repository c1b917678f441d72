/** The stream as the SDK follows it: nothing is missed over breaks, and no connection is trusted that has fallen silent. */
import assert from "node:assert/strict"
import { getEventListeners, once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { type TestContext, test } from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { follow, type StreamMessage } from "../sdk/src/stream.ts"
import { waybillForFile } from "./help/cli.ts"
import { call } from "./help/waybill.ts"

const waybill = waybillForFile()

/** Far more than any of it takes. */
const PATIENCE_MS = 20_000

test("an event that came while the connection was broken is there afterwards, though none had come before", async t => {
  const road = await roadTo(t, waybill.url)
  const { url } = road
  const news = follow({ url, key: waybill.key, query: { type: "order.*" }, signal: AbortSignal.timeout(PATIENCE_MS) })
  const first = news.next()
  await road.hasCarried(/^id: \w+\n\n/m)
  road.close()
  const { id } = (await call(waybill, "POST", "/v1/events", { type: "order.paid" })) as { id: string }
  road.open()
  const { value } = (await first) as { value: StreamMessage | undefined }
  assert.equal(value?.id, id)
  await news.return(undefined)
})

test("a connection that has fallen silent is given up, and the stream goes on after the last keep-alive's position", async t => {
  const asked: unknown[] = []
  const url = await server(t, (request, response) => {
    asked.push(request.headers["last-event-id"])
    response.writeHead(200, { "content-type": "text/event-stream" })
    // It never ends: as where a laptop slept, or a firewall has forgotten the connection.
    if (asked.length === 1) response.write("retry: 2000\n\nid: evt_1\n\n: keep-alive\nid: evt_2\n\n")
    else response.write('id: evt_3\nevent: event\ndata: {"n":3}\n\n')
  })
  const states: unknown[] = []
  const onState = (state: unknown) => states.push(state instanceof Error ? state.message : state)
  const news = follow({ url, key: "wb_x", signal: AbortSignal.timeout(PATIENCE_MS), silenceMs: 200, onState })
  const { value } = await news.next()
  assert.deepEqual(value, { id: "evt_3", event: "event", data: { n: 3 } })
  assert.deepEqual(asked, [undefined, "evt_2"])
  assert.deepEqual(states, ["open", "The stream broke off; it is opened again.", "open"])
  await news.return(undefined)
})

test("a server that takes the request and says nothing at all is asked again", async t => {
  let asked = 0
  const url = await server(t, (_, response) => {
    if (++asked > 1) response.end("data: {}\n\n")
  })
  const news = follow({ url, key: "wb_x", signal: AbortSignal.timeout(PATIENCE_MS), silenceMs: 200 })
  assert.equal((await news.next()).done, false)
  await news.return(undefined)
})

test("whoever takes longer over a message than a silence may last loses no connection by it", async t => {
  let asked = 0
  const answers: ServerResponse[] = []
  const url = await server(t, (_, response) => {
    asked++
    answers.push(response)
    response.write("id: evt_1\ndata: {}\n\n")
  })
  const news = follow({ url, key: "wb_x", signal: AbortSignal.timeout(PATIENCE_MS), silenceMs: 100 })
  await news.next()
  await wait(200)
  answers[0]?.write("id: evt_2\ndata: {}\n\n")
  assert.equal(((await news.next()) as { value: StreamMessage }).value.id, "evt_2")
  assert.equal(asked, 1)
  await news.return(undefined)
})

test("however often the connection breaks, nothing is left on the signal; whoever stops following leaves no connection open", async t => {
  const closed = Promise.withResolvers<void>()
  let asked = 0
  const url = await server(t, (request, response) => {
    response.write("data: {}\n\n")
    if (++asked < 4) response.end()
    else request.once("close", closed.resolve)
  })
  const leaving = new AbortController()
  const news = follow({ url, key: "wb_x", signal: leaving.signal })
  for (let n = 0; n < 4; n++) await news.next()
  assert.equal(getEventListeners(leaving.signal, "abort").length, 1, "that of the connection which is open")
  await news.return(undefined)
  await closed.promise
  assert.equal(getEventListeners(leaving.signal, "abort").length, 0)
})

async function server(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const made = createServer(answer)
  made.listen(0, "127.0.0.1")
  await once(made, "listening")
  t.after(() => {
    made.close()
    made.closeAllConnections()
  })
  return `http://127.0.0.1:${(made.address() as AddressInfo).port}`
}

/** A road to a Waybill. Closed, it ends what it carries after all that was sent, and turns away what comes. */
async function roadTo(t: TestContext, to: string) {
  let isOpen = true
  let carried = ""
  let hear = () => {}
  const ends = new Set<() => void>()
  const url = await server(t, async (request, response) => {
    if (!isOpen) return response.writeHead(503).end()
    const leaving = new AbortController()
    const headers = Object.entries(request.headers).filter(([name]) => /^(authorization|last-event-id)$/.test(name))
    const there = await fetch(`${to}${request.url}`, {
      headers: Object.fromEntries(headers) as Record<string, string>,
      signal: leaving.signal,
    })
    const end = () => {
      leaving.abort()
      response.end()
    }
    ends.add(end)
    response.once("close", end)
    response.writeHead(there.status, { "content-type": "text/event-stream" })
    try {
      for await (const text of there.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        response.write(text)
        carried += text
        hear()
      }
    } catch {
      // It was closed.
    }
    return response.end()
  })
  return {
    url,
    hasCarried: (pattern: RegExp) =>
      new Promise<void>(resolve => {
        hear = () => {
          if (pattern.test(carried)) resolve()
        }
        hear()
      }),
    close: () => {
      isOpen = false
      for (const end of ends) end()
    },
    open: () => {
      isOpen = true
    },
  }
}
