/** The HTTP server as such: who may come in, what it says of itself, what it makes of requests that are none. */
import assert from "node:assert/strict"
import { once } from "node:events"
import { connect } from "node:net"
import { after, before, describe, test } from "node:test"
import { asProblem } from "../../src/api/server.ts"
import { StoreUnavailable } from "../../src/store/database.ts"
import { Program } from "../help/program.ts"
import { openSocket } from "../help/raw-post.ts"

let program: Program
before(async () => {
  program = await Program.open()
})
after(() => program[Symbol.asyncDispose]())

/** Says something on a connection of its own, and gives what is said back until it ends or `pattern` has been heard. */
async function say(text: string, pattern = /\}$/): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: Number(new URL(program.url).port) })
  socket.on("error", () => {})
  socket.end(text, "latin1")
  let heard = ""
  socket.setEncoding("utf8").on("data", piece => {
    heard += piece
  })
  while (!pattern.test(heard) && !socket.destroyed) await Promise.race([once(socket, "data"), once(socket, "close")])
  socket.destroy()
  return heard
}

/** A request without a body. */
function request(line: string, ...headers: string[]): string {
  return [`${line} HTTP/1.1`, "host: x", ...headers, "", ""].join("\r\n")
}

describe("without a good API key", () => {
  const wrong: [what: string, authorization: string | null][] = [
    ["none at all", null],
    ["an empty one", ""],
    ["another scheme", `Basic ${Buffer.from("a:b").toString("base64")}`],
    ["the scheme alone", "Bearer"],
    ["a key that is not known", "Bearer wb_live_000000000000000000000000000000000000"],
    ["a key with something behind it", "Bearer wb_test_000000000000000000000000 x"],
    ["a key of ten thousand characters", `Bearer wb_${"x".repeat(10_000)}`],
  ]
  for (const [what, authorization] of wrong) {
    test(`with ${what}, nothing is told but that one is needed`, async () => {
      for (const [method, path] of [
        ["POST", "/v1/events"],
        ["GET", "/v1/events"],
        ["GET", "/v1/integrations/int_0000000000a"],
        ["DELETE", "/v1/api-keys/key_0000000000a"],
        ["GET", "/metrics"],
      ] as const) {
        const headers: Record<string, string> = authorization === null ? {} : { authorization }
        const answer = await fetch(program.url + path, { method, headers })
        assert.equal(answer.status, 401, `${method} ${path}`)
        assert.equal(answer.headers.get("www-authenticate"), "Bearer")
        assert.equal(answer.headers.get("content-type"), "application/problem+json; charset=utf-8")
        assert.equal(((await answer.json()) as { code: string }).code, "unauthorized")
      }
    })
  }

  test("the scheme's letters may be of any case", async () => {
    const answer = await fetch(`${program.url}/v1/events`, { headers: { authorization: `bEARER ${program.key}` } })
    assert.equal(answer.status, 200)
  })
})

describe("the id of a request", () => {
  test("is the caller's where it can stand in a log, and stands in the answer and its problem", async () => {
    for (const id of ["a", "req-1_B", "x".repeat(64)]) {
      const answer = await program.ask("GET", "/v1/deliveries/none", undefined, { "x-request-id": id })
      assert.deepEqual([answer.headers.get("x-request-id"), answer.body.instance], [id, id])
    }
  })

  test("is one of ours where the caller's cannot", async () => {
    for (const id of ["", "x".repeat(65), "a b", "a\tb", "a/b", "{}", "é"]) {
      const answer = await program.ask("GET", "/v1/events", undefined, { "x-request-id": id })
      assert.match(answer.headers.get("x-request-id") ?? "", /^[0-9a-f]{8}-[0-9a-f-]{27}$/)
    }
  })
})

describe("an answer", () => {
  test("may be neither guessed at nor kept by a browser", async () => {
    for (const path of ["/v1/events", "/livez", "/nowhere"]) {
      const { headers } = await program.ask("GET", path)
      assert.deepEqual([headers.get("x-content-type-options"), headers.get("cache-control")], ["nosniff", "no-store"])
    }
  })

  test("to a call that does not exist says so, with where all calls stand", async () => {
    for (const [method, path] of [
      ["GET", "/v1/nothing?secret=1"],
      ["PUT", "/v1/events"],
      ["DELETE", "/"],
    ] as const) {
      const answer = await program.ask(method, path)
      assert.deepEqual([answer.status, answer.body.code], [404, "not_found"])
      assert.match(String(answer.body.detail), /openapi\.json/)
      assert.doesNotMatch(answer.text, /secret/)
    }
  })

  test("to an id of another kind, or of nothing here, is the same as to one of another project", async () => {
    for (const id of ["int_0000000000a", "evt_0000000000a", "0", "int_", "..", "%00", "int_zzzzzzzzzzzzzzzzzzzz"]) {
      const answer = await program.ask("GET", `/v1/integrations/${encodeURIComponent(id)}`)
      assert.ok(answer.status === 404 || answer.status === 422, `${id}: ${answer.status}`)
    }
  })
})

describe("a request that is none", () => {
  const rows: [what: string, text: string, status: number][] = [
    ["no HTTP", "EHLO example\r\n\r\n", 400],
    ["a header without a colon", "GET /livez HTTP/1.1\r\nhost x\r\n\r\n", 400],
    ["two lengths that differ", request("POST /v1/events", "content-length: 1", "content-length: 2"), 400],
    ["length and chunks together", request("POST /v1/events", "content-length: 1", "transfer-encoding: chunked"), 400],
    ["headers of 17 KiB", request("GET /livez", `x-long: ${"x".repeat(17_000)}`), 431],
    ["an address of 9 KiB", request(`GET /v1/events?type=${"x".repeat(9_000)}`), 414],
    ["an id in the path that is longer than any", request(`GET /v1/event-types/${"x".repeat(400)}`), 414],
    ["a path that is no path", request("GET /v1/event-types/%zz"), 400],
  ]
  for (const [what, text, status] of rows) {
    test(`for ${what} is answered with ${status} as a problem document`, async () => {
      const answer = await say(text)
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), answer)
      assert.match(answer, /content-type: application\/problem\+json/)
      const document = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4)) as Record<string, unknown>
      assert.equal(document["status"], status)
    })
  }

  test("leaves the server as it was", async () => {
    assert.equal((await fetch(`${program.url}/livez`)).status, 200)
  })
})

describe("a body of configuration", () => {
  test("is refused with a reason where it is no JSON, no UTF-8, nested too deep, too long or of another type", async () => {
    const rows: [body: string | Uint8Array, status: number, type?: string][] = [
      ["{", 400],
      ["", 422],
      ["[]", 422],
      ["null", 422],
      ['"text"', 422],
      [Buffer.from("7b22ff", "hex"), 400],
      [`{"name":${"[".repeat(65)}${"]".repeat(65)}}`, 400],
      [`{"name":"${"x".repeat(1_048_576)}"}`, 413],
      ["name=x", 415, "application/x-www-form-urlencoded"],
      ["{}", 415, "text/plain"],
    ]
    for (const [body, status, type = "application/json"] of rows) {
      const answer = await program.ask("POST", "/v1/integrations", body, { "content-type": type })
      assert.equal(answer.status, status, `${String(body).slice(0, 30)}: ${answer.text}`)
      assert.ok(String(answer.body.detail).length > 10)
    }
    assert.equal((await program.rows("select 1 from integration")).length, 0)
  })

  test("may hold the names of prototypes, which change nothing", async () => {
    const text = '{"name":"x","config":{"production":{"url":"https://a.example/"},"__proto__":{"polluted":1}}}'
    const answer = await program.ask("POST", "/v1/integrations", text)
    assert.equal(answer.status, 422)
    assert.equal(({} as { polluted?: unknown }).polluted, undefined)
  })
})

test("a request that is under way when Waybill stops is told so, and when to come again", async () => {
  await using stopping = await Program.open()
  const socket = await openSocket(Number(new URL(stopping.url).port))
  let heard = ""
  socket.setEncoding("utf8").on("data", piece => {
    heard += piece
  })
  // Half of its head is enough for the connection not to be idle.
  await new Promise(resolve => socket.write("GET /v1/events HTTP/1.1\r\nhost: x\r\n", resolve))
  await fetch(`${stopping.url}/livez`)
  const stopped = stopping[Symbol.asyncDispose]()
  await untilRefused(stopping.url)
  const ended = once(socket, "close")
  socket.write("\r\n")
  await ended
  await stopped
  assert.match(heard, /^HTTP\/1\.1 503 /)
  assert.match(heard, /retry-after: 2\r\n/)
  assert.match(heard, /connection: close\r\n/)
  assert.match(heard, /application\/problem\+json[\s\S]*Waybill is stopping\. Send the request again/)
})

test("a connection that a client keeps after its last answer does not hold a stop up", async () => {
  await using stopping = await Program.open()
  const socket = await openSocket(Number(new URL(stopping.url).port))
  let heard = ""
  socket.setEncoding("utf8").on("data", piece => {
    heard += piece
  })
  const body = JSON.stringify({ type: "a", data: {} })
  const head = [
    ...["POST /v1/events HTTP/1.1", "host: x", `authorization: Bearer ${stopping.key}`],
    ...["content-type: application/json", `content-length: ${body.length}`, "", ""],
  ]
  // Its head has been read before the stop begins, so that its answer keeps the connection open.
  await new Promise(resolve => socket.write(head.join("\r\n"), resolve))
  await fetch(`${stopping.url}/livez`)
  const from = performance.now()
  const stopped = stopping.stop()
  await new Promise(setImmediate)
  const ended = once(socket, "close")
  socket.write(body)
  await Promise.all([ended, stopped])
  const tookMs = performance.now() - from
  assert.match(heard, /^HTTP\/1\.1 202 /)
  assert.ok(tookMs < 10_000, `the stop took ${Math.round(tookMs)} ms`)
})

/** Resolves when nothing listens there any more. */
async function untilRefused(url: string): Promise<void> {
  for (;;) {
    const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port) })
    const isOpen = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "close").then(() => false),
    ]).catch(() => false)
    socket.destroy()
    if (!isOpen) return
  }
}

test("who sent a batch that the database did not take whole is not told that nothing was stored, but how to send it again", () => {
  for (const reason of ["full", "read_only", "standby", "old_primary", "unavailable"] as const) {
    for (const mayBeDone of [false, true]) {
      const error = new StoreUnavailable(reason, undefined, mayBeDone)
      const problem = asProblem(error, "batch")
      assert.deepEqual([problem.status, problem.code, problem.retryAfterSeconds], [503, "unavailable", 5])
      assert.match(
        problem.message,
        /Some events of this batch may be stored\. Send it again whole, with the same ids or/,
      )
      assert.equal(problem.message.includes("Nothing was stored"), false)
      assert.equal(asProblem(error).message.includes("Nothing was stored"), !mayBeDone, "one event is stored or is not")
    }
  }
})
