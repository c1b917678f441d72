import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { Webhook } from "standardwebhooks"
import type { Header, OutboundRequest } from "../../src/domain/exchange.ts"
import { Transport } from "../../src/transport/http.ts"
import { generateSecret } from "../../src/transport/sign.ts"
import {
  answers,
  drips,
  eachRequest,
  hangsUp,
  infiniteBody,
  ok,
  receiver,
  resets,
  silent,
} from "../help/misbehaving.ts"
import { freshTransport, limits, post, summary } from "../help/outbound.ts"
import { assertWithin } from "../help/punctual.ts"

const rules = { loopback: true, allow: [] }
let nowMs = 1_764_000_000_000
let transport: Transport

before(() => {
  transport = new Transport({ rules, now: () => nowMs, userAgent: "Waybill/0.1.0" })
})
after(() => transport.close(0))

/** The header lines of a request as they came, names and order included. */
function headersOf(received: Buffer): Header[] {
  const lines = received.toString("latin1").split("\r\n\r\n")[0]?.split("\r\n").slice(1) ?? []
  return lines.map(line => ({ name: line.slice(0, line.indexOf(":")), value: line.slice(line.indexOf(":") + 2) }))
}

describe("a request that is held back when its connection is there", () => {
  test("goes once it is known that it may", async () => {
    await using there = await receiver(ok())
    // Over a new connection, and over one that is kept.
    for (let i = 0; i < 2; i++) {
      const known = Promise.withResolvers<boolean>()
      const asked = Promise.withResolvers<void>()
      let isFirst = true
      const mayGo = () => {
        asked.resolve()
        return isFirst ? known.promise : true
      }
      const sent = transport.send(post(there.url), limits({ mayGo }))
      const before = there.received().length
      await asked.promise
      assert.equal(there.received().length, before)
      isFirst = false
      known.resolve(true)
      assert.equal(summary(await sent), "answered 200")
      assert.ok(there.received().length > before)
    }
  })

  test("is not written where another process sends it by now, and that is nobody's fault but ours", async () => {
    await using there = await receiver(ok())
    const answers = [true, false, Promise.resolve(false)]
    const mayGo = () => answers.shift() ?? true
    assert.equal(summary(await transport.send(post(there.url), limits({ mayGo }))), "answered 200")
    const before = there.received().length
    for (let i = 0; i < 2; i++) {
      const exchange = await transport.send(post(there.url), limits({ mayGo }))
      assert.equal(summary(exchange), "broken SENDER_FAULT in send")
      assert.match(exchange.kind === "broken" ? exchange.message : "", /^Waybill itself could not send: .*another one/)
    }
    assert.equal(there.received().length, before)
    assert.equal(summary(await transport.send(post(there.url), limits({ mayGo }))), "answered 200")
  })
})

describe("what goes out", () => {
  const requests: [what: string, changes: Partial<OutboundRequest>][] = [
    ["a POST with a body", { body: '{"a":1}' }],
    ["a POST without a body", { body: "" }],
    ["a PUT with bytes", { method: "PUT", body: Buffer.from([0, 255, 128]) }],
    ["a PATCH without a body", { method: "PATCH", body: "" }],
    ["a DELETE without a body", { method: "DELETE", body: "" }],
    ["a DELETE with a body", { method: "DELETE", body: "x" }],
    ["a GET", { method: "GET", body: "" }],
    ["an OPTIONS", { method: "OPTIONS", body: "" }],
    ["a body that is longer in bytes than in letters", { body: "Žluťoučký kůň 🐎" }],
    [
      "headers as they are written",
      {
        headers: [
          { name: "Authorization", value: 'Token  a b\té"x"', secret: true },
          { name: "X-Team", value: "" },
          { name: "x-team", value: "twice" },
          { name: "User-Agent", value: "own" },
        ],
      },
    ],
    ["a signature", { signature: { id: "evt_1", keys: [{ scheme: "v1", secret: generateSecret() }] } }],
  ]
  for (const [what, changes] of requests) {
    test(`is what is reported: ${what}`, async () => {
      await using there = await receiver(ok())
      const request = post(`${there.url}?a=b%20c`, changes)
      const exchange = await transport.send(request, limits())
      assert.equal(summary(exchange), "answered 200")
      const received = there.received()
      assert.match(received.toString("latin1"), new RegExp(`^${request.method} /hook\\?a=b%20c HTTP/1.1\r\n`))
      assert.deepEqual(
        headersOf(received),
        exchange.sentHeaders.map(({ name, value }) => ({ name, value })),
      )
      assert.deepEqual(received.subarray(received.indexOf("\r\n\r\n") + 4), Buffer.from(request.body))
    })
  }

  test("secrets are reported in clear and marked", async () => {
    await using there = await receiver(ok())
    const headers = [{ name: "Authorization", value: "Bearer geheim", secret: true }]
    const exchange = await transport.send(post(there.url, { headers }), limits())
    assert.deepEqual(
      exchange.sentHeaders.filter(header => header.secret),
      headers,
    )
  })

  test("a retry has the time of its own attempt, the same id and the same bytes, and the public library verifies both", async () => {
    await using there = await receiver(ok())
    nowMs = Date.now()
    const secret = generateSecret()
    const body = '{"n":1.0,"m":1e2}\n'
    const request = post(there.url, { body, signature: { id: "evt_1", keys: [{ scheme: "v1", secret }] } })
    const headersOfAttempts: Record<string, string>[] = []
    for (let attempt = 0; attempt < 2; attempt++, nowMs += 2_000) {
      const { sentHeaders } = await transport.send(request, limits())
      headersOfAttempts.push(Object.fromEntries(sentHeaders.map(header => [header.name, header.value])))
    }
    const [one = {}, two = {}] = headersOfAttempts
    assert.equal(Number(two["webhook-timestamp"]) - Number(one["webhook-timestamp"]), 2)
    assert.equal(one["webhook-id"], two["webhook-id"])
    for (const headers of headersOfAttempts) {
      assert.doesNotThrow(() => new Webhook(secret).verify(body, headers, { jsonParse: false }))
    }
  })

  const impossible: [what: string, changes: Partial<OutboundRequest>][] = [
    ...[
      "Host",
      "content-length",
      "Transfer-Encoding",
      "Connection",
      "Keep-Alive",
      "TE",
      "Trailer",
      "Upgrade",
      "Expect",
    ].map((name): [string, Partial<OutboundRequest>] => [`the header ${name}`, { headers: [{ name, value: "1" }] }]),
    ["a second signature", { headers: [{ name: "Webhook-Id", value: "1" }], signature: { id: "e", keys: [] } }],
    ["a line break in a value", { headers: [{ name: "x-a", value: "a\r\nx-b: c" }] }],
    ["a NUL in a value", { headers: [{ name: "x-a", value: "a\0b" }] }],
    ["letters beyond Latin-1 in a value", { headers: [{ name: "x-a", value: "🐎" }] }],
    ["a name that is none", { headers: [{ name: "x a", value: "1" }] }],
    ["a signing key that is none", { signature: { id: "e", keys: [{ scheme: "v1", secret: "whsec_geheim" }] } }],
    ["an id with a dot", { signature: { id: "a.b", keys: [{ scheme: "v1", secret: generateSecret() }] } }],
    ["a URL that is none", { url: "crm.example/hook" }],
    ["a URL with a password", { url: "http://u:geheim@127.0.0.1/" }],
  ]
  for (const [what, changes] of impossible) {
    test(`no request leaves with ${what}`, async () => {
      await using there = await receiver(ok())
      const exchange = await transport.send(post(there.url, changes), limits())
      assert.equal(summary(exchange), "broken CONFIG_INVALID in send")
      assert.ok(exchange.kind === "broken" && !exchange.message.includes("geheim"))
      assert.equal(there.received().length, 0)
    })
  }
})

describe("what comes back", () => {
  test("headers are kept in order, in lower case, repeated ones repeated", async () => {
    const head = "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nX-One: é\r\nset-cookie: b\r\n__proto__: c\r\n7: d\r\nX-One:\r\n"
    await using there = await receiver(answers(Buffer.from(`${head}content-length: 0\r\n\r\n`, "latin1")))
    const exchange = await transport.send(post(there.url), limits())
    assert.ok(exchange.kind === "answered")
    assert.deepEqual(exchange.answer.headers, [
      ["set-cookie", "a"],
      ["x-one", "é"],
      ["set-cookie", "b"],
      ["__proto__", "c"],
      ["7", "d"],
      ["x-one", ""],
      ["content-length", "0"],
    ])
  })

  test("the parts of a first request are timed, and a later one on the same connection has none for opening it", async () => {
    await using there = await receiver(ok())
    const first = (await transport.send(post(there.url), limits())).timings
    assert.equal(first.dnsMs, null)
    assert.equal(first.tlsMs, null)
    assert.ok(first.connectMs !== null && first.waitMs !== null && first.bodyMs !== null)
    assert.ok(first.connectMs + first.waitMs + first.bodyMs <= first.totalMs + 0.05)
    const second = (await transport.send(post(there.url), limits())).timings
    assert.equal(second.connectMs, null)
    assert.ok(second.waitMs !== null)
    assert.equal(there.accepted(), 1)
  })
})

describe("a connection that had been closed while it was idle", () => {
  /** Answers the first request of each connection, and does something else at the second. */
  function second(act: (socket: Parameters<typeof eachRequest>[0]) => void): Parameters<typeof receiver>[0] {
    return socket =>
      eachRequest(socket, (_request, count) => {
        if (count === 1) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        else act(socket)
      })
  }

  for (const [what, act] of [
    ["closed", (socket: Parameters<typeof eachRequest>[0]) => socket.end()],
    ["reset", (socket: Parameters<typeof eachRequest>[0]) => socket.resetAndDestroy()],
  ] as const) {
    test(`costs nothing: the request goes out once more when it was ${what}, within the same exchange`, async () => {
      await using there = await receiver(second(act))
      const exchanges = []
      for (let i = 0; i < 100; i++) exchanges.push(await transport.send(post(there.url), limits()))
      assert.deepEqual([...new Set(exchanges.map(summary))], ["answered 200"])
      assert.equal(exchanges.filter(exchange => exchange.resent).length, 99)
      assert.ok(exchanges.every(exchange => exchange.timings.connectMs !== null))
    })
  }

  test("also by a server whose keep-alive is shorter than the pause between requests", async () => {
    await using there = await receiver(socket => {
      eachRequest(socket, () => {
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        setTimeout(() => socket.end(), 10)
      })
    })
    for (let i = 0; i < 100; i++) {
      assert.equal(summary(await transport.send(post(there.url), limits())), "answered 200")
      // The pause is the point: it ends about when the server hangs up.
      await new Promise(resolve => setTimeout(resolve, 9 + (i % 3)))
    }
  })

  test("is tried once more, not twice", async () => {
    let connections = 0
    await using there = await receiver(socket => {
      if (++connections === 1) second(again => again.end())(socket)
      else eachRequest(socket, () => socket.end())
    })
    await transport.send(post(there.url), limits())
    const exchange = await transport.send(post(there.url), limits())
    assert.equal(summary(exchange), "broken ECONNRESET in headers")
    assert.equal(exchange.resent, true)
    assert.equal(connections, 2)
  })

  test("is not tried again where a byte of an answer came, or where the connection was new", async () => {
    await using began = await receiver(second(socket => socket.end("HTTP/1.1 2")))
    await transport.send(post(began.url), limits())
    const exchange = await transport.send(post(began.url), limits())
    assert.equal(summary(exchange), "broken ECONNRESET in headers")
    assert.equal(exchange.resent, false)
    await using fresh = await receiver(hangsUp(""))
    assert.equal((await transport.send(post(fresh.url), limits())).resent, false)
    assert.equal(fresh.accepted(), 1)
  })
})

describe("connections", () => {
  test("are opened as they are needed, and no more are kept than were asked for", async () => {
    await using there = await receiver(ok())
    const sent = Array.from({ length: 50 }, () => transport.send(post(there.url), limits({ connections: 3 })))
    for (const exchange of await Promise.all(sent)) assert.equal(summary(exchange), "answered 200")
    assert.equal(there.accepted(), 50)
    while (there.open() > 3) await new Promise(resolve => setImmediate(resolve))
    for (let i = 0; i < 10; i++) await transport.send(post(there.url), limits({ connections: 3 }))
    assert.equal(there.accepted(), 50)
    assert.equal(there.open(), 3)
  })

  test("to a host that answers one path slowly do not hold up another path", async () => {
    await using there = await receiver(socket => {
      eachRequest(socket, request => {
        if (!request.includes("/slow")) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
      })
    })
    const slow = Array.from({ length: 20 }, () =>
      transport.send(post(`${there.url}/slow`), limits({ connections: 1, deadlineMs: 500 })),
    )
    const quick = await transport.send(post(there.url), limits({ connections: 1 }))
    assert.equal(summary(quick), "answered 200")
    assertWithin(quick.timings.totalMs, 400)
    for (const exchange of await Promise.all(slow)) assert.equal(summary(exchange), "broken ESOCKETTIMEDOUT in headers")
  })

  test("are not used for ever", async () => {
    await using there = await receiver(ok())
    for (let i = 0; i < 1_001; i++)
      assert.equal(summary(await transport.send(post(there.url), limits())), "answered 200")
    assert.equal(there.accepted(), 2)
  })

  test("never lose a request, and leave no socket behind, whatever the other sides do", {
    timeout: 20_000,
  }, async () => {
    const sockets = (): number => process.getActiveResourcesInfo().filter(kind => kind === "TCPSocketWrap").length
    const openBefore = sockets()
    await using all = new AsyncDisposableStack()
    const own = all.use(freshTransport())
    const behaviours = [ok(), ok("x".repeat(200_000)), silent, resets(""), resets(null), hangsUp(""), infiniteBody()]
    const more = [
      hangsUp("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"),
      drips("HTTP/1.1 200", "x"),
      answers("nonsense"),
    ]
    const receivers = await Promise.all([...behaviours, ...more].map(behaviour => receiver(behaviour)))
    for (const there of receivers) all.use(there)
    const seen = new Set<string>()
    for (let round = 0; round < 5; round++) {
      const sent = Array.from({ length: 200 }, (_, i) =>
        own.send(
          post(receivers[i % receivers.length]?.url ?? ""),
          limits({ deadlineMs: 300 + (i % 7), keepBytes: 1_000 }),
        ),
      )
      for (const exchange of await Promise.all(sent)) seen.add(summary(exchange))
    }
    assert.ok(seen.has("answered 200") && seen.has("broken ECONNRESET in headers"), [...seen].join(", "))
    await own.close(0)
    const isOpen = (): boolean => receivers.some(there => there.open() > 0)
    while (isOpen()) await new Promise(resolve => setImmediate(resolve))
    await Promise.all(receivers.map(there => there.close()))
    while (sockets() > openBefore) await new Promise(resolve => setImmediate(resolve))
  })
})

describe("closing", () => {
  test("waits for what is under way, takes nothing new, and ends what outlasts the grace", async () => {
    await using slow = await receiver(socket => {
      eachRequest(socket, () => setTimeout(() => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), 100))
    })
    await using never = await receiver(silent)
    await using own = freshTransport()
    const [finishes, outlasts] = [own.send(post(slow.url), limits()), own.send(post(never.url), limits())]
    const startedAt = performance.now()
    const closed = own.close(300)
    const late = await own.send(post(slow.url), limits())
    assert.ok(late.kind === "broken" && late.class === "SENDER_FAULT" && late.code === "TRANSPORT_CLOSED")
    assert.equal(summary(await finishes), "answered 200")
    await closed
    assert.ok(performance.now() - startedAt >= 295)
    const cut = await outlasts
    assert.ok(cut.kind === "broken" && cut.class === "SENDER_FAULT" && cut.code === "TRANSPORT_CLOSED")
  })

  test("waits no longer than needed", async () => {
    await using there = await receiver(drips("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", "ok"))
    await using own = freshTransport()
    const sent = own.send(post(there.url), limits())
    const startedAt = performance.now()
    await own.close(10_000)
    assert.equal(summary(await sent), "answered 200")
    assertWithin(performance.now() - startedAt, 1_000)
  })
})
