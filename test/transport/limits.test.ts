import assert from "node:assert/strict"
import { statSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { gzipSync } from "node:zlib"
import { Transport } from "../../src/transport/http.ts"
import {
  answers,
  type Behaviour,
  drips,
  hintsForEver,
  infiniteBody,
  ok,
  receiver,
  receiverInItsOwnProcess,
  silent,
} from "../help/misbehaving.ts"
import { freshTransport, limits, meet, post, saying, summary } from "../help/outbound.ts"
import { assertAround, assertWithin } from "../help/punctual.ts"
import { temporaryFolder } from "../help/waybill.ts"

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"

let transport: Transport

before(() => {
  transport = new Transport({ rules: { loopback: true, allow: [] }, now: Date.now })
})
after(() => transport.close(0))

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
      const exchanges = await Promise.all(deadlines.map(deadlineMs => meet(transport, behaviour, { deadlineMs })))
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
      const exchange = await meet(transport, ok(body.toString()), { keepBytes })
      assert.ok(exchange.kind === "answered")
      assert.deepEqual(Buffer.from(exchange.answer.body), body.subarray(0, keepBytes))
      assert.equal(exchange.answer.truncated, size > keepBytes)
      assert.equal(exchange.answer.incomplete, false)
    }
  })

  test("is kept whole when it comes in many small chunks", async () => {
    const chunks = Array.from({ length: 5_000 }, (_, i) => `1\r\n${i % 10}\r\n`).join("")
    const exchange = await meet(transport, answers(`${HEAD}transfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`))
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
        transport,
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
  test("does not call an answer late that came in time while this process was busy", async t => {
    const answered = join(temporaryFolder(t), "answered")
    await using there = await receiverInItsOwnProcess(answered)
    await transport.send(post(there.url), limits())
    const sent = transport.send(post(there.url), limits({ deadlineMs: 100 }))
    // Two turns of the loop: an idle connection is looked at once more before it is written to.
    for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
    const busyFrom = performance.now()
    const busyMs = () => performance.now() - busyFrom
    const isAnswered = () => (statSync(answered, { throwIfNoEntry: false })?.size ?? 0) >= 2
    while (busyMs() < 150 || (!isAnswered() && busyMs() < 5_000)) {}
    assert.equal(summary(await sent), "answered 200")
  })
})
