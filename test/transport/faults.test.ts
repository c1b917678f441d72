import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { gzipSync } from "node:zlib"
import type { Exchange } from "../../src/domain/exchange.ts"
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
  receiverInItsOwnProcess,
  resets,
  silent,
  unanswering,
} from "../help/misbehaving.ts"
import { freshTransport, limits, post, saying, summary } from "../help/outbound.ts"
import { assertAround, assertWithin } from "../help/punctual.ts"

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
const DEADLINE_MS = 300

let transport: Transport

before(() => {
  transport = new Transport({ rules: { loopback: true, allow: [] }, now: Date.now })
})
after(() => transport.close(0))

/** One request to a receiver that behaves like this, with a short deadline. */
async function meet(behaviour: Behaviour, changes: Partial<ReturnType<typeof limits>> = {}): Promise<Exchange> {
  await using there = await receiver(behaviour)
  return await transport.send(post(there.url), limits({ deadlineMs: DEADLINE_MS, ...changes }))
}

interface Row {
  readonly what: string
  readonly behaviour: Behaviour
  readonly comesTo: string
  readonly code?: string
  /** The answer's body and its marks. */
  readonly body?: string
  readonly marks?: "incomplete" | "truncated" | "none"
}

describe("what the other side does, and what it comes to", { concurrency: 8 }, () => {
  const rows: Row[] = [
    {
      what: "a connection that is never answered",
      behaviour: silent,
      comesTo: "broken ESOCKETTIMEDOUT in headers",
      code: "DEADLINE",
    },
    {
      what: "a head that drips",
      behaviour: drips("HTTP/1.1 2", "00 OK\r\nx: y"),
      comesTo: "broken ETIMEDOUT in headers",
      code: "DEADLINE",
    },
    {
      what: "a head that drips from its first byte",
      behaviour: drips("", "HTTP/1.1 200 OK\r\nx: y"),
      comesTo: "broken ETIMEDOUT in headers",
    },
    { what: "early hints for ever", behaviour: hintsForEver, comesTo: "broken ETIMEDOUT in headers", code: "DEADLINE" },
    {
      what: "a body that drips",
      behaviour: drips(`${HEAD}content-length: 100000\r\n\r\nabc`, "."),
      comesTo: "answered 200",
      marks: "incomplete",
    },
    {
      what: "a body that stalls",
      behaviour: answers(`${HEAD}content-length: 10\r\n\r\nabc`),
      comesTo: "answered 200",
      body: "abc",
      marks: "incomplete",
    },
    {
      what: "a 500 whose body stalls",
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
      const exchange = await meet(row.behaviour)
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

describe("the deadline", { concurrency: 4 }, () => {
  const slow: [what: string, behaviour: Behaviour][] = [
    ["no answer", silent],
    ["a head that drips", drips("H", "TTP/1.1 200 OK\r\nx: y")],
    ["early hints", hintsForEver],
    ["a body that drips", drips(`${HEAD}\r\n`, ".")],
  ]
  for (const [what, behaviour] of slow) {
    test(`is kept within 50 ms with ${what}, though other timers would never fire`, async () => {
      const deadlines = [100, 400, 1_100]
      const exchanges = await Promise.all(deadlines.map(deadlineMs => meet(behaviour, { deadlineMs })))
      exchanges.forEach((exchange, i) => {
        assertAround(exchange.timings.totalMs, deadlines[i] ?? 0)
      })
    })
  }
})

describe("the answer's body", () => {
  test("is kept to the byte, up to what was asked for", async () => {
    for (const [size, keepBytes] of [
      [0, 0],
      [1, 0],
      [10, 10],
      [11, 10],
      [131_072, 131_072],
      [200_000, 131_072],
    ] as const) {
      const body = Buffer.alloc(size, "abcdefghij")
      const exchange = await meet(ok(body.toString()), { keepBytes, deadlineMs: 5_000 })
      assert.ok(exchange.kind === "answered")
      assert.deepEqual(Buffer.from(exchange.answer.body), body.subarray(0, keepBytes))
      assert.equal(exchange.answer.truncated, size > keepBytes)
      assert.equal(exchange.answer.incomplete, false)
    }
  })

  test("is kept whole when it comes in many small chunks", async () => {
    const chunks = Array.from({ length: 5_000 }, (_, i) => `1\r\n${i % 10}\r\n`).join("")
    const exchange = await meet(answers(`${HEAD}transfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`))
    assert.ok(exchange.kind === "answered")
    assert.equal(Buffer.from(exchange.answer.body).toString(), "0123456789".repeat(500))
  })

  test("is never decompressed, and nothing asks for compression", async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000))
    const head = `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n`
    await using there = await receiver(answers(Buffer.concat([Buffer.from(head), bomb])))
    const before = process.memoryUsage().rss
    const exchange = await transport.send(post(there.url), limits({ keepBytes: 131_072 }))
    assert.ok(process.memoryUsage().rss - before < 20_000_000)
    assert.ok(exchange.kind === "answered")
    assert.deepEqual(Buffer.from(exchange.answer.body), bomb)
    assert.doesNotMatch(there.received().toString(), /accept-encoding/i)
  })

  test("costs no memory beyond what is kept, however much is poured", async () => {
    await using there = await receiver(infiniteBody())
    const before = process.memoryUsage().arrayBuffers
    const sent = Array.from({ length: 50 }, () =>
      transport.send(post(there.url), limits({ keepBytes: 1_024, connections: 50 })),
    )
    for (const exchange of await Promise.all(sent)) assert.equal(summary(exchange), "answered 200")
    assert.ok(process.memoryUsage().arrayBuffers - before < 20_000_000)
  })

  test("that is a little too long does not cost the connection, one that is much too long does", async () => {
    for (const [size, connections] of [
      [30_000, 1],
      [300_000, 3],
    ] as const) {
      await using there = await receiver(ok("x".repeat(size)))
      for (let i = 0; i < 3; i++) {
        const exchange = await transport.send(post(there.url), limits({ keepBytes: 100, connections: 1 }))
        assert.equal(summary(exchange), "answered 200")
      }
      assert.equal(there.accepted(), connections)
    }
  })
})

describe("where requests lead", () => {
  test("no redirect is followed", async () => {
    await using canary = await receiver(ok())
    for (const status of [301, 302, 303, 307, 308]) {
      const exchange = await meet(
        answers(`HTTP/1.1 ${status} Moved\r\nlocation: ${canary.url}\r\ncontent-length: 0\r\n\r\n`),
      )
      assert.equal(summary(exchange), `answered ${status}`)
      assert.ok(exchange.kind === "answered")
      assert.deepEqual(exchange.answer.headers, [
        ["location", canary.url],
        ["content-length", "0"],
      ])
    }
    assert.equal(canary.accepted(), 0)
  })

  test("slow names do not delay others", async () => {
    await using there = await receiver(ok())
    const resolver = saying(() => ["127.0.0.1"])
    const ask = resolver.resolve
    resolver.resolve = (name, source) => (name.startsWith("slow") ? new Promise(() => {}) : ask(name, source))
    await using sender = freshTransport({ resolver })
    const slow = Array.from({ length: 10 }, (_, i) =>
      sender.send(post(`http://slow${i}.example:${there.port}/`), limits({ deadlineMs: 400 })),
    )
    const quick = await sender.send(post(`http://quick.example:${there.port}/`), limits())
    assert.equal(summary(quick), "answered 200")
    assertWithin(quick.timings.totalMs, 300)
    for (const exchange of await Promise.all(slow)) assert.equal(summary(exchange), "broken DNS_TEMPORARY in dns")
  })
})

describe("a process that is busy", () => {
  test("does not call an answer late that came in time while this process was busy", async () => {
    await using there = await receiverInItsOwnProcess()
    await transport.send(post(there.url), limits())
    const sent = transport.send(post(there.url), limits({ deadlineMs: 100 }))
    // Two turns of the loop: an idle connection is looked at once more before it is written to.
    for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
    const busyUntil = performance.now() + 250
    while (performance.now() < busyUntil) {}
    assert.equal(summary(await sent), "answered 200")
  })
})
