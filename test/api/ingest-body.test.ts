/** Bodies of ingest: how long, how packed, of which type and in which letters they may be; and when there is room for them. */
import assert from "node:assert/strict"
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { after, before, describe, test } from "node:test"
import { gzipSync } from "node:zlib"
import { type Answer, Program } from "../help/program.ts"

const EVENT_LIMIT = 262_144
const BATCH_LIMIT = 5_242_880

let program: Program
before(async () => {
  program = await Program.open()
})
after(() => program[Symbol.asyncDispose]())

async function events(): Promise<number> {
  return (await program.rows<{ n: number }>("select count(*) as n from event"))[0]?.n ?? 0
}

function post(body: unknown, headers: Record<string, string> = {}, path = "/v1/events"): Promise<Answer> {
  return program.ask("POST", path, body, headers)
}

/** An event of so many bytes. */
function eventOf(bytes: number): string {
  const frame = '{"type":"a","data":""}'
  return frame.replace('""', `"${"x".repeat(bytes - frame.length)}"`)
}

/** A batch of so many bytes, each of its events well within its own limit. */
function batchOf(bytes: number): string {
  const events = Array.from({ length: 20 }, () => eventOf(250_000))
  const text = `{"events":[${events.join()}]}`
  return `${text.slice(0, -2)},${eventOf(bytes - text.length - 1)}]}`
}

/** Sends text in pieces, so that nobody can know its length beforehand. */
function streamed(text: string): ReadableStream {
  const pieces = text.match(/.{1,50000}/gs) ?? []
  return new ReadableStream({
    pull: controller => {
      const piece = pieces.shift()
      if (piece === undefined) controller.close()
      else controller.enqueue(Buffer.from(piece))
    },
  })
}

/** A connection of our own, on which anything may be said. */
async function line(): Promise<Socket & { heard(pattern: RegExp): Promise<string> }> {
  const socket = connect({ host: "127.0.0.1", port: Number(new URL(program.url).port) })
  await once(socket, "connect")
  let text = ""
  socket.setEncoding("utf8").on("data", piece => {
    text += piece
  })
  socket.on("error", () => {})
  // Ends with the connection at the latest: what has come by then is what there is.
  const heard = async (pattern: RegExp): Promise<string> => {
    while (!pattern.test(text) && !socket.destroyed) await Promise.race([once(socket, "data"), once(socket, "close")])
    return text
  }
  return Object.assign(socket, { heard })
}

function head(path: string, ...more: string[]): string {
  const lines = [
    `POST ${path} HTTP/1.1`,
    "host: x",
    `authorization: Bearer ${program.key}`,
    "content-type: application/json",
  ]
  return [...lines, ...more, "", ""].join("\r\n")
}

describe("a body", () => {
  for (const [what, path, limit, make] of [
    ["an event", "/v1/events", EVENT_LIMIT, eventOf],
    ["a batch", "/v1/events/batch", BATCH_LIMIT, batchOf],
  ] as const) {
    test(`of ${what} may be ${limit} bytes long and no byte longer, told beforehand, not told, and unpacked`, async () => {
      for (const [bytes, status] of [
        [limit - 1, 202],
        [limit, 202],
        [limit + 1, 413],
      ] as const) {
        const text = make(bytes)
        assert.equal(Buffer.byteLength(text), bytes)
        const told = await post(text, {}, path)
        const untold = await post(streamed(text), {}, path)
        const packed = await post(gzipSync(text), { "content-encoding": "gzip" }, path)
        const all = [told, untold, packed].map(answer => [answer.status, answer.body.code])
        assert.deepEqual(all, Array(3).fill([status, status === 413 ? "too_large" : undefined]), `${bytes} bytes`)
      }
    })
  }

  test("that says less of its length than is true, or more, leaves nothing", async () => {
    const before = await events()
    const short = await line()
    short.write(`${head("/v1/events", "content-length: 5")}{"type":"a"}`)
    assert.match(await short.heard(/HTTP\/1\.1 400 Bad Request.*HTTP\/1\.1 400/s), /"code":"malformed"/)
    const long = await line()
    long.end(`${head("/v1/events", "content-length: 500")}{"type":"a"}`)
    await once(long, "close")
    assert.equal((await post({ type: "b" })).status, 202)
    assert.equal(await events(), before + 1)
  })

  test("that breaks off leaves nothing, and what follows on other connections is taken", async () => {
    const before = await events()
    const text = eventOf(100_000)
    for (const headers of [[`content-length: ${text.length}`], ["transfer-encoding: chunked"]]) {
      const socket = await line()
      const body = headers[0]?.startsWith("content") ? text.slice(0, 50_000) : `c350\r\n${text.slice(0, 50_000)}\r\n`
      await new Promise(resolve => socket.write(head("/v1/events", ...headers) + body, resolve))
      socket.resetAndDestroy()
    }
    assert.equal((await post({ type: "b" })).status, 202)
    assert.equal(await events(), before + 1)
  })

  test("has to be UTF-8", async () => {
    for (const bytes of ["c328", "a0a1", "eda080", "c0af", "f4908080", "ff"]) {
      const body = Buffer.concat([Buffer.from('{"type":"a","data":"'), Buffer.from(bytes, "hex"), Buffer.from('"}')])
      const answer = await post(body)
      assert.deepEqual([answer.status, answer.body.code], [400, "malformed"], bytes)
      assert.match(String(answer.body.detail), /UTF-8/)
    }
  })
})

describe("gzip", () => {
  test("is unpacked, by each of its names", async () => {
    for (const name of ["gzip", "GZIP", "x-gzip"]) {
      assert.equal((await post(gzipSync('{"type":"a"}'), { "content-encoding": name })).status, 202)
    }
  })

  test("of a bomb is refused without being unpacked any further than the limit", async () => {
    const bomb = gzipSync(Buffer.alloc(200_000_000))
    const cloud = { "content-type": "application/cloudevents-batch+json" }
    const before = process.memoryUsage().rss
    let peak = 0
    for (const [path, headers] of [
      ["/v1/events", {}],
      ["/v1/events/batch", {}],
      ["/v1/events", cloud],
    ] as const) {
      const sent = Array.from({ length: 4 }, () => post(bomb, { ...headers, "content-encoding": "gzip" }, path))
      for (const { status } of await Promise.all(sent)) assert.equal(status, 413)
      peak = Math.max(peak, process.memoryUsage().rss)
    }
    assert.ok(peak - before < 100_000_000, `${Math.round((peak - before) / 1e6)} MB more`)
  })

  test("takes no more memory, a hundred at a time, than all requests together may", async () => {
    // No JSON, so that nothing of it is kept.
    const packed = gzipSync(Buffer.alloc(5_000_000, " "))
    const before = process.memoryUsage().rss
    let peak = 0
    const sent = Array.from({ length: 100 }, async () => {
      const { status } = await post(packed, { "content-encoding": "gzip" }, "/v1/events/batch")
      peak = Math.max(peak, process.memoryUsage().rss)
      return status
    })
    const statuses = new Set(await Promise.all(sent))
    assert.deepEqual([...statuses].toSorted(), [400, 503], "some found no room")
    assert.ok(peak - before < 250_000_000, `${Math.round((peak - before) / 1e6)} MB more`)
  })

  test("of several members is unpacked as one, whatever the last says of its length", async () => {
    const event = JSON.stringify({ type: "a", data: { text: "x".repeat(5_000) } })
    const packed = Buffer.concat([gzipSync(event.slice(0, 4_000)), gzipSync(event.slice(4_000))])
    assert.equal((await post(packed, { "content-encoding": "gzip" })).status, 202)
  })

  test("that is none, or ends too soon, is malformed", async () => {
    const good = gzipSync('{"type":"a"}')
    for (const body of [Buffer.from("no gzip"), good.subarray(0, -1), good.subarray(0, 5), Buffer.alloc(0)]) {
      const answer = await post(body, { "content-encoding": "gzip" })
      assert.deepEqual([answer.status, answer.body.code], [400, "malformed"])
    }
  })

  test("is the only coding, and only once; the answer says so", async () => {
    for (const coding of ["gzip, gzip", "br", "deflate", "zstd", "aes128gcm"]) {
      const answer = await post(gzipSync('{"type":"a"}'), { "content-encoding": coding })
      assert.deepEqual([answer.status, answer.body.code], [415, "unsupported_media_type"], coding)
      assert.equal(answer.headers.get("accept-encoding"), "gzip")
    }
    assert.equal((await post('{"type":"a"}', { "content-encoding": "identity" })).status, 202)
  })
})

describe("a Content-Type", () => {
  const good = [
    "application/json",
    "APPLICATION/JSON",
    "application/json; charset=utf-8",
    'application/json ;charset="UTF-8"',
    "application/json;",
    "application/json; charset=us-ascii; version=1",
  ]
  const bad = [
    "text/plain",
    "text/json",
    "application/jsonp",
    "application/json5",
    "application/json-seq",
    "application/x-ndjson",
    "application/vnd.api+json",
    "application/json, text/plain",
    "application/json\ta",
    "application/json a",
    "application/json/x",
    "application/json; charset=utf-16",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/cloudevents+avro",
    "application/cloudevents+xml",
    "json",
    "/",
    "undefined",
  ]

  test("that says JSON in UTF-8 is taken, for one event and for many", async () => {
    for (const type of good) {
      assert.equal((await post('{"type":"a"}', { "content-type": type })).status, 202, type)
      assert.equal((await post('{"events":[]}', { "content-type": type }, "/v1/events/batch")).status, 202, type)
    }
  })

  test("that says anything else is refused, for one event and for many", async () => {
    const before = await events()
    for (const type of bad) {
      for (const [path, body] of [
        ["/v1/events", '{"type":"a"}'],
        ["/v1/events/batch", '{"events":[{"type":"a"}]}'],
      ] as const) {
        const answer = await post(body, { "content-type": type }, path)
        assert.deepEqual([answer.status, answer.body.code], [415, "unsupported_media_type"], `${type} at ${path}`)
      }
    }
    assert.equal(await events(), before)
  })

  test("has to be there", async () => {
    const socket = await line()
    const lines = ["POST /v1/events HTTP/1.1", "host: x", `authorization: Bearer ${program.key}`, "content-length: 12"]
    socket.write(`${[...lines, "", '{"type":"a"}'].join("\r\n")}`)
    assert.match(await socket.heard(/\r\n\r\n\{.*\}/), /^HTTP\/1\.1 415.*Content-Type is missing/s)
    socket.destroy()
  })
})

describe("more bodies than there is room for", () => {
  /** Announces a dozen of the longest batches and sends none of them: 60 of the 64 MiB that there are. */
  async function fill(): Promise<Socket[]> {
    const lines = await Promise.all(Array.from({ length: 12 }, line))
    for (const socket of lines) {
      socket.write(head("/v1/events/batch", `content-length: ${BATCH_LIMIT}`, "expect: 100-continue"))
      assert.match(await socket.heard(/\r\n\r\n/), /^HTTP\/1\.1 100 /)
    }
    return lines
  }

  /** Lets go of them, and resolves when the server knows. */
  async function release(lines: readonly Socket[]): Promise<void> {
    for (const socket of lines) socket.destroy()
    const text = batchOf(BATCH_LIMIT)
    while ((await post(text, {}, "/v1/events/batch")).status === 503);
  }

  test("are turned away before they are read, with the time to wait, and taken again when there is room", async () => {
    const lines = await fill()
    const before = await events()
    const late = await line()
    late.write(head("/v1/events/batch", `content-length: ${BATCH_LIMIT}`))
    const answer = await late.heard(/\}$/)
    assert.match(answer, /^HTTP\/1\.1 503 .*\r\nretry-after: 1\r\n.*"code":"overloaded"/s)
    assert.equal((await post({ type: "a" })).status, 202, "one event still has room")
    assert.equal(await events(), before + 1)
    await release([...lines, late])
  })

  test("count with the most that they may be where they do not say how long they are", async () => {
    const lines = await fill()
    const untold = await line()
    untold.write(head("/v1/events/batch", "transfer-encoding: chunked"))
    assert.match(await untold.heard(/\}$/), /^HTTP\/1\.1 503 /)
    await release([...lines, untold])
  })

  test("count with what they are once unpacked", async () => {
    const small = gzipSync(batchOf(BATCH_LIMIT))
    assert.ok(small.length < 100_000)
    const lines = await fill()
    const before = await events()
    const answer = await post(small, { "content-encoding": "gzip" }, "/v1/events/batch")
    assert.deepEqual([answer.status, answer.body.code, answer.headers.get("retry-after")], [503, "overloaded", "1"])
    assert.equal(await events(), before)
    await release(lines)
    assert.equal((await post(small, { "content-encoding": "gzip" }, "/v1/events/batch")).status, 202)
  })
})
