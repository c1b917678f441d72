import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { Transport } from "../../src/transport/http.ts"
import type { Resolution } from "../../src/transport/resolve.ts"
import {
  answers,
  type Behaviour,
  deaf,
  drips,
  hangsUp,
  hintsForEver,
  infiniteBody,
  ok,
  receiver,
  resets,
  silent,
  unanswering,
} from "../help/misbehaving.ts"
import { freshTransport, limits, meet, post, summary } from "../help/outbound.ts"
import { assertAround } from "../help/punctual.ts"

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
const DEADLINE_MS = 1_000

let transport: Transport

before(() => {
  transport = new Transport({ rules: { loopback: true, allow: [] }, now: Date.now })
})
after(() => transport.close(0))

interface Row {
  readonly what: string
  readonly behaviour: Behaviour
  readonly comesTo: string
  /** It ends with the deadline, which is a short one here. */
  readonly waits?: true
  readonly code?: string
  /** The answer's body and its marks. */
  readonly body?: string
  readonly marks?: "incomplete" | "truncated" | "none"
}

describe("what the other side does, and what it comes to", { concurrency: 8 }, () => {
  const rows: Row[] = [
    {
      what: "a connection that is never answered",
      waits: true,
      behaviour: silent,
      comesTo: "broken ESOCKETTIMEDOUT in headers",
      code: "DEADLINE",
    },
    {
      what: "a head that drips",
      waits: true,
      behaviour: drips("HTTP/1.1 2", "00 OK\r\nx: y"),
      comesTo: "broken ETIMEDOUT in headers",
      code: "DEADLINE",
    },
    {
      what: "a head that drips from its first byte",
      waits: true,
      behaviour: drips("", "HTTP/1.1 200 OK\r\nx: y"),
      comesTo: "broken ETIMEDOUT in headers",
    },
    {
      what: "early hints for ever",
      waits: true,
      behaviour: hintsForEver,
      comesTo: "broken ETIMEDOUT in headers",
      code: "DEADLINE",
    },
    {
      what: "a body that drips",
      waits: true,
      behaviour: drips(`${HEAD}content-length: 100000\r\n\r\nabc`, "."),
      comesTo: "answered 200",
      marks: "incomplete",
    },
    {
      what: "a body that stalls",
      waits: true,
      behaviour: answers(`${HEAD}content-length: 10\r\n\r\nabc`),
      comesTo: "answered 200",
      body: "abc",
      marks: "incomplete",
    },
    {
      what: "a 500 whose body stalls",
      waits: true,
      behaviour: answers("HTTP/1.1 500 No\r\ncontent-length: 10\r\n\r\nabc"),
      comesTo: "answered 500",
      body: "abc",
      marks: "incomplete",
    },
    {
      what: "a reset on accept",
      behaviour: resets(null),
      comesTo: "broken ECONNRESET in headers|broken ECONNRESET in connect|broken ECONNRESET in send",
    },
    {
      what: "a reset after the request",
      behaviour: resets(""),
      comesTo: "broken ECONNRESET in headers",
      code: "ECONNRESET",
    },
    {
      what: "a reset within the head",
      behaviour: resets("HTTP/1.1 200 OK\r\nx"),
      comesTo: "broken ECONNRESET in headers",
      code: "ECONNRESET",
    },
    {
      what: "a reset within the body",
      behaviour: resets(`${HEAD}content-length: 10\r\n\r\nabc`),
      comesTo: "answered 200",
      body: "abc",
      marks: "incomplete",
    },
    {
      what: "a hang-up without an answer",
      behaviour: hangsUp(""),
      comesTo: "broken ECONNRESET in headers",
      code: "UND_ERR_SOCKET",
    },
    {
      what: "a hang-up on accept",
      behaviour: socket => socket.end(),
      comesTo: "broken ECONNRESET in headers",
      code: "UND_ERR_SOCKET",
    },
    {
      what: "a hang-up within the head",
      behaviour: hangsUp("HTTP/1.1 200 OK\r\nx: y"),
      comesTo: "broken ECONNRESET in headers",
      code: "UND_ERR_SOCKET",
    },
    {
      what: "a hang-up within the body",
      behaviour: hangsUp(`${HEAD}content-length: 10\r\n\r\nabc`),
      comesTo: "answered 200",
      body: "abc",
      marks: "incomplete",
    },
    {
      what: "a hang-up within a chunked body",
      behaviour: hangsUp(`${HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`),
      comesTo: "answered 200",
      body: "abc",
      marks: "incomplete",
    },
    {
      what: "a body that ends with the connection",
      behaviour: hangsUp(`${HEAD}connection: close\r\n\r\nabc`),
      comesTo: "answered 200",
      body: "abc",
      marks: "none",
    },
    {
      what: "a content-length that is too short",
      behaviour: hangsUp(`${HEAD}content-length: 3\r\n\r\nabcdef`),
      comesTo: "answered 200",
      body: "abc",
      marks: "none",
    },
    {
      what: "two content-lengths that differ",
      behaviour: answers(`${HEAD}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd`),
      comesTo: "broken PROTOCOL_ERROR in headers",
    },
    {
      what: "a content-length that is no number",
      behaviour: answers(`${HEAD}content-length: 3x\r\n\r\nabc`),
      comesTo: "broken PROTOCOL_ERROR in headers",
    },
    {
      what: "content-length and chunks together",
      behaviour: answers(`${HEAD}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`),
      comesTo: "broken PROTOCOL_ERROR in headers",
    },
    {
      what: "a broken chunk",
      behaviour: answers(`${HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n`),
      comesTo: "answered 200",
      body: "abc",
      marks: "incomplete",
    },
    {
      what: "a head of 40 KB",
      behaviour: answers(`${HEAD}x-long: ${"x".repeat(40_000)}\r\n\r\n`),
      comesTo: "broken PROTOCOL_ERROR in headers",
      code: "UND_ERR_HEADERS_OVERFLOW",
    },
    {
      what: "2,000 headers",
      behaviour: answers(`${HEAD}${"x: yyyyyyyy\r\n".repeat(2_000)}\r\n`),
      comesTo: "broken PROTOCOL_ERROR in headers",
      code: "UND_ERR_HEADERS_OVERFLOW",
    },
    {
      what: "a NUL in a header",
      behaviour: answers(`${HEAD}x-nul: a\0b\r\ncontent-length: 0\r\n\r\n`),
      comesTo: "broken PROTOCOL_ERROR in headers",
    },
    {
      what: "a header without a name",
      behaviour: answers(`${HEAD}: b\r\ncontent-length: 0\r\n\r\n`),
      comesTo: "broken PROTOCOL_ERROR in headers",
    },
    {
      what: "something that is no HTTP",
      behaviour: answers("220 mail.example ESMTP\r\n"),
      comesTo: "broken PROTOCOL_ERROR in headers",
    },
    {
      what: "HTTP/2 where HTTP/1.1 was asked for",
      behaviour: answers(Buffer.from("000000040000000000", "hex")),
      comesTo: "broken PROTOCOL_ERROR in headers",
    },
    {
      what: "100 Continue",
      behaviour: answers("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
      comesTo: "broken PROTOCOL_ERROR in headers",
      code: "UND_ERR_SOCKET",
    },
    {
      what: "101 Switching Protocols",
      behaviour: answers("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
      comesTo: "broken PROTOCOL_ERROR in headers",
      code: "UND_ERR_SOCKET",
    },
    {
      what: "a status of two digits",
      behaviour: answers("HTTP/1.1 99 What\r\ncontent-length: 0\r\n\r\n"),
      comesTo: "broken PROTOCOL_ERROR in headers",
    },
    {
      what: "status 099",
      behaviour: answers("HTTP/1.1 099 What\r\ncontent-length: 0\r\n\r\n"),
      comesTo: "broken PROTOCOL_ERROR in headers",
    },
    {
      what: "status 999",
      behaviour: answers("HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n"),
      comesTo: "answered 999",
      body: "",
      marks: "none",
    },
    {
      what: "103 and then an answer",
      behaviour: answers(`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${HEAD}content-length: 3\r\n\r\nabc`),
      comesTo: "answered 200",
      body: "abc",
      marks: "none",
    },
    {
      what: "a 204 with a body",
      behaviour: answers("HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\nabc"),
      comesTo: "answered 204",
      body: "",
      marks: "none",
    },
    {
      what: "an HTTP/1.0 answer",
      behaviour: hangsUp("HTTP/1.0 200 OK\r\n\r\nabc"),
      comesTo: "answered 200",
      body: "abc",
      marks: "none",
    },
    {
      what: "a redirect",
      behaviour: answers("HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"),
      comesTo: "answered 302",
      body: "",
      marks: "none",
    },
    { what: "a body that never ends", behaviour: infiniteBody(), comesTo: "answered 200", marks: "truncated" },
    {
      what: "a length of 1 GB",
      behaviour: infiniteBody(`${HEAD}content-length: 1000000000\r\n\r\n`),
      comesTo: "answered 200",
      marks: "truncated",
    },
  ]
  for (const row of rows) {
    test(`${row.what}: ${row.comesTo}`, async () => {
      const exchange = await meet(transport, row.behaviour, row.waits ? { deadlineMs: DEADLINE_MS } : {})
      assert.ok(row.comesTo.split("|").includes(summary(exchange)), summary(exchange))
      if (row.code !== undefined) assert.equal(exchange.kind === "broken" && exchange.code, row.code)
      if (exchange.kind === "broken") assert.match(exchange.message, /127\.0\.0\.1:\d+/, "a person learns which host")
      if (exchange.kind === "answered") {
        const { body, truncated, incomplete } = exchange.answer
        if (row.body !== undefined) assert.equal(Buffer.from(body).toString(), row.body)
        assert.deepEqual(
          { truncated, incomplete },
          { truncated: row.marks === "truncated", incomplete: row.marks === "incomplete" },
        )
      }
    })
  }

  test("a connection that nobody takes up ends with the limit for connecting, or with the deadline if that is sooner", async () => {
    await using there = await unanswering()
    await using patient = freshTransport({ connectTimeoutMs: 200 })
    const limited = await patient.send(post(there.url), limits())
    assert.equal(summary(limited), "broken ETIMEDOUT in connect")
    assert.ok(limited.kind === "broken" && limited.code === "ETIMEDOUT")
    assertAround(limited.timings.totalMs, 200)
    const hurried = await transport.send(post(there.url), limits({ deadlineMs: 150 }))
    assert.equal(summary(hurried), "broken ETIMEDOUT in connect")
    assert.ok(hurried.kind === "broken" && hurried.code === "DEADLINE")
    assertAround(hurried.timings.totalMs, 150)
    assertAround(hurried.timings.connectMs ?? 0, 150)
  })

  test("a port on which nothing listens: ECONNREFUSED", async () => {
    await using there = await receiver(ok())
    await there.close()
    assert.equal(summary(await transport.send(post(there.url), limits())), "broken ECONNREFUSED in connect")
    const byName = await transport.send(post(there.url.replace("127.0.0.1", "localhost")), limits())
    assert.equal(summary(byName), "broken ECONNREFUSED in connect", "the same where several addresses are tried")
  })

  test("a request that is not taken ends while it is being sent", async () => {
    await using there = await receiver(deaf)
    const big = post(there.url, { body: Buffer.alloc(16_000_000) })
    const exchange = await transport.send(big, limits({ deadlineMs: DEADLINE_MS }))
    assert.equal(summary(exchange), "broken ESOCKETTIMEDOUT in send")
  })

  test("a name that is resolved too late ends in the DNS", async () => {
    await using there = await receiver(ok())
    const late = Promise.withResolvers<Resolution>()
    await using waiting = freshTransport({ resolver: { resolve: () => late.promise } })
    const exchange = await waiting.send(post(`http://crm.example:${there.port}/`), limits({ deadlineMs: 100 }))
    assert.equal(summary(exchange), "broken DNS_TEMPORARY in dns")
    assertAround(exchange.timings.dnsMs ?? 0, 100)
    late.resolve({ kind: "found", addresses: ["127.0.0.1"], ttlMs: 0 })
    await transport.send(post(there.url), limits())
    assert.equal(there.accepted(), 1, "what came too late is not dialled")
  })
})
