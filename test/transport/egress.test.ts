import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { type EgressRules, parseEgressAllow } from "../../src/transport/guard.ts"
import type { BlockedDetail, TransportOptions } from "../../src/transport/http.ts"
import { answers, ok, type Receiver, receiver } from "../help/misbehaving.ts"
import { freshTransport, limits, post, saying, summary } from "../help/outbound.ts"
import { refusedUrls, unparsableUrls } from "../help/urls.ts"

const closing = answers("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", true)

function allowing(text: string, loopback = false): EgressRules {
  const reading = parseEgressAllow(text)
  assert.ok(reading.kind === "read")
  return { loopback, allow: reading.allow }
}

/** The same spelling of a URL, with a port where it can be written in. */
function onPort(url: string, port: number): string {
  return url.replace(/^(https?:\/\/(?:\[[^\]]*\]|[^/\\#:@[]+))(?=[/\\#])/, `$1:${port}`)
}

const nothingListed = allowing("")

/** A transport of a server that is bound to a public address. */
function guarded(options: Partial<TransportOptions> = {}): ReturnType<typeof freshTransport> {
  return freshTransport({ rules: nothingListed, ...options })
}

describe("nothing that is not public is reached", () => {
  /** Listening where the forbidden URLs lead, all on one port. */
  const canaries: Receiver[] = []
  let port = 0

  before(async () => {
    canaries.push(await receiver(ok()))
    port = canaries[0]?.port ?? 0
    for (const host of ["127.9.9.9", "::1"]) canaries.push(await receiver(ok(), { host, port }))
  })
  after(async () => {
    for (const canary of canaries) await canary.close()
  })

  function assertUntouched(): void {
    assert.deepEqual(
      canaries.map(canary => canary.accepted()),
      canaries.map(() => 0),
    )
  }

  test("no spelling of a forbidden URL opens a connection", async () => {
    await using transport = guarded()
    for (const [url, fault] of [...refusedUrls, ...unparsableUrls]) {
      for (const spelling of new Set([url, onPort(url, port)])) {
        const exchange = await transport.send(post(spelling), limits())
        const isNone = ["malformed", "scheme", "userinfo"].includes(fault)
        const expected = isNone ? "broken CONFIG_INVALID in send" : "broken EGRESS_BLOCKED in dns"
        assert.equal(summary(exchange), expected, spelling)
      }
    }
    assertUntouched()
  })

  test("the canaries would have noticed: where loopback is allowed, the same spellings reach them", async () => {
    await using canary = await receiver(ok())
    await using transport = guarded({ rules: allowing("", true) })
    let reached = 0
    for (const [url] of refusedUrls) {
      const exchange = await transport.send(post(onPort(url, canary.port)), limits())
      if (exchange.kind === "answered") reached++
    }
    assert.ok(canary.accepted() > 0)
    assert.ok(reached >= 15, `${reached} spellings reach loopback`)
  })

  const forbiddenNames: [what: string, addresses: string[]][] = [
    ["a loopback A record", ["127.0.0.1"]],
    ["a loopback AAAA record", ["::1"]],
    ["a mapped AAAA record", ["::ffff:127.0.0.1"]],
    ["an unspecified address", ["0.0.0.0"]],
    ["a private A record", ["10.0.0.1"]],
    ["the address of cloud metadata", ["169.254.169.254"]],
    ["a public and a private record", ["93.184.215.14", "127.0.0.1"]],
    ["a public A and a private AAAA record", ["93.184.215.14", "::1"]],
    ["100 records of which one is private", [...Array.from({ length: 99 }, (_, i) => `93.184.215.${i}`), "127.9.9.9"]],
    ["something that is no address", ["2130706433"]],
    ["an address with a zone", ["fe80::1%lo"]],
    ["a NAT64 address", ["64:ff9b::7f00:1"]],
  ]
  for (const [what, addresses] of forbiddenNames) {
    test(`a name that leads to ${what} is refused as a whole`, async () => {
      const blocked: BlockedDetail[] = []
      await using transport = guarded({ resolver: saying(() => addresses), onBlocked: detail => blocked.push(detail) })
      const exchange = await transport.send(post(`http://crm.example:${port}/`), limits())
      assert.equal(summary(exchange), "broken EGRESS_BLOCKED in dns")
      assertUntouched()
      assert.ok(exchange.kind === "broken")
      for (const address of addresses)
        assert.ok(!exchange.message.includes(address), "tenants do not learn the address")
      assert.match(exchange.message, /crm\.example/)
      assert.equal(blocked.length, 1)
      assert.ok(addresses.includes(blocked[0]?.address ?? ""), "the operator does")
      assert.equal(blocked[0]?.origin, `http://crm.example:${port}`)
    })
  }

  test("a name that leads elsewhere at each question never reaches the canary in 1,000 requests", async () => {
    await using allowed = await receiver(closing, { host: "127.0.0.2", port })
    const resolver = saying((_name, question) => (question % 2 === 0 ? ["127.0.0.1"] : ["127.0.0.2"]))
    await using transport = guarded({ rules: allowing("127.0.0.2"), resolver })
    const seen = new Map<string, number>()
    for (let round = 0; round < 100; round++) {
      const sent = Array.from({ length: 10 }, () => transport.send(post(`http://rebinding.example:${port}/`), limits()))
      for (const exchange of await Promise.all(sent))
        seen.set(summary(exchange), (seen.get(summary(exchange)) ?? 0) + 1)
    }
    assertUntouched()
    assert.equal(resolver.asked.length, 1_000, "each connection asked anew")
    assert.equal(allowed.accepted(), 500)
    assert.deepEqual(Object.fromEntries(seen), { "answered 200": 500, "broken EGRESS_BLOCKED in dns": 500 })
  })

  test("a list that changes after it was judged is not dialled", async () => {
    await using allowed = await receiver(ok(), { host: "127.0.0.2", port })
    const addresses = ["127.0.0.2"]
    const reads = { count: 0 }
    const lying = new Proxy(addresses, {
      get: (target, key) => (key === "0" && reads.count++ > 0 ? "127.0.0.1" : Reflect.get(target, key)),
    })
    await using transport = guarded({ rules: allowing("127.0.0.2"), resolver: saying(() => lying) })
    assert.equal(summary(await transport.send(post(`http://lying.example:${port}/`), limits())), "answered 200")
    assert.equal(allowed.accepted(), 1)
    assertUntouched()
  })
})

describe("the address that a socket is connected to", () => {
  test("is judged again before a byte is written", async () => {
    // 0.0.0.0 is a name for loopback on this system: what was judged and what is reached are not the same.
    await using canary = await receiver(ok())
    const blocked: BlockedDetail[] = []
    const rules = allowing("0.0.0.0")
    await using transport = guarded({ rules, onBlocked: detail => blocked.push(detail) })
    const exchange = await transport.send(post(`http://0.0.0.0:${canary.port}/`), limits())
    assert.equal(summary(exchange), "broken EGRESS_BLOCKED in connect")
    assert.deepEqual(blocked, [
      { origin: `http://0.0.0.0:${canary.port}`, address: "127.0.0.1", use: "loopback", phase: "connect" },
    ])
    assert.equal(canary.received().length, 0)
  })

  test("has to be one that a listed name was found to lead to", async () => {
    await using canary = await receiver(ok())
    await using transport = guarded({ rules: allowing("crm"), resolver: saying(() => ["0.0.0.0"]) })
    const exchange = await transport.send(post(`http://crm:${canary.port}/`), limits())
    assert.equal(summary(exchange), "broken EGRESS_BLOCKED in connect")
    assert.equal(canary.received().length, 0)
  })
})

describe("what is allowed is reached", () => {
  test("a listed name, by the system's resolver and whatever it leads to", async () => {
    await using endpoint = await receiver(ok())
    const resolver = saying(() => ["127.0.0.1"])
    await using transport = guarded({ rules: allowing("crm, *.corp.example"), resolver })
    for (const host of ["crm", "a.corp.example"]) {
      assert.equal(summary(await transport.send(post(`http://${host}:${endpoint.port}/`), limits())), "answered 200")
    }
    assert.deepEqual(resolver.asked, ["system crm", "system a.corp.example"])
  })

  test("a public name that leads into a listed range, by the DNS", async () => {
    await using endpoint = await receiver(ok())
    const resolver = saying(() => ["127.0.0.1"])
    await using transport = guarded({ rules: allowing("127.0.0.0/8"), resolver })
    assert.equal(summary(await transport.send(post(`http://crm.example:${endpoint.port}/`), limits())), "answered 200")
    assert.deepEqual(resolver.asked, ["dns crm.example"])
  })

  test("loopback and localhost names where the server is bound to loopback, without asking any resolver", async () => {
    await using endpoint = await receiver(ok())
    await using six = await receiver(ok(), { host: "::1" })
    const resolver = saying(() => "ENOTFOUND")
    await using transport = guarded({ rules: allowing("", true), resolver })
    for (const host of ["127.0.0.1", "localhost", "app.localhost", "[::ffff:127.0.0.1]"]) {
      assert.equal(
        summary(await transport.send(post(`http://${host}:${endpoint.port}/`), limits())),
        "answered 200",
        host,
      )
    }
    for (const host of ["[::1]", "localhost"]) {
      assert.equal(summary(await transport.send(post(`http://${host}:${six.port}/`), limits())), "answered 200", host)
    }
    assert.deepEqual(resolver.asked, [])
  })

  test("the next address of a name, where the first one refuses", async () => {
    await using endpoint = await receiver(ok(), { host: "127.0.0.3" })
    await using transport = guarded({
      rules: allowing("127.0.0.0/8"),
      resolver: saying(() => ["127.0.0.2", "127.0.0.3"]),
    })
    assert.equal(summary(await transport.send(post(`http://crm.example:${endpoint.port}/`), limits())), "answered 200")
  })
})

describe("the name itself", () => {
  test("is what the Host header says, never the address", async () => {
    await using endpoint = await receiver(ok())
    await using transport = guarded({ rules: allowing("127.0.0.1"), resolver: saying(() => ["127.0.0.1"]) })
    await transport.send(post(`http://crm.example:${endpoint.port}/hook?a=b`), limits())
    assert.match(
      endpoint.received().toString(),
      new RegExp(`^POST /hook\\?a=b HTTP/1.1\r\nhost: crm.example:${endpoint.port}\r\n`),
    )
  })

  for (const [code, expected] of [
    ["ENOTFOUND", "DNS_NOT_FOUND"],
    ["ENODATA", "DNS_NOT_FOUND"],
    ["ESERVFAIL", "DNS_TEMPORARY"],
    ["ETIMEOUT", "DNS_TEMPORARY"],
    ["EAI_AGAIN", "DNS_TEMPORARY"],
    ["ECONNREFUSED", "SENDER_FAULT"],
  ] as const) {
    test(`that is not resolved with ${code} is ${expected}`, async () => {
      await using transport = guarded({ resolver: saying(() => code) })
      const exchange = await transport.send(post("https://crm.example/"), limits())
      assert.equal(summary(exchange), `broken ${expected} in dns`)
      assert.ok(exchange.kind === "broken" && exchange.code === code)
      assert.match(exchange.message, /crm\.example/)
    })
  }
})
