import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { getCACertificates, setDefaultCACertificates, TLSSocket } from "node:tls"
import { Transport } from "../../src/transport/http.ts"
import { authority, leaf, type Pair } from "../help/certificates.ts"
import { answers, type Behaviour, ok, type Receiver, receiver, resets, silent } from "../help/misbehaving.ts"
import { freshTransport, limits, post, saying, summary } from "../help/outbound.ts"
import { assertAround } from "../help/punctual.ts"

const DAY_MS = 86_400_000
const NAME = "crm.example"

let trusted: Pair
let good: Pair
const resolver = saying(() => ["127.0.0.1"])
let transport: Transport

before(async () => {
  trusted = await authority("an authority that is trusted")
  setDefaultCACertificates([...getCACertificates("default"), trusted.cert])
  good = await leaf(NAME, { by: trusted })
  transport = new Transport({ rules: { loopback: true, allow: [] }, now: Date.now, resolver })
})
after(() => transport.close(0))

/** A receiver at https://crm.example:… with this certificate. */
function over(pair: Pair, behaviour: Behaviour = ok(), more: object = {}): Promise<Receiver> {
  return receiver(behaviour, { tls: { ...pair, ...more }, name: NAME })
}

/** A receiver that speaks no TLS, at an https URL. */
async function plain(behaviour: Behaviour): Promise<Receiver> {
  const there = await receiver(behaviour)
  return { ...there, url: there.url.replace("http:", "https:") }
}

/** Looks at the TLS of a connection before it is served. */
function noting(note: (socket: TLSSocket) => void, serve: Behaviour = ok()): Behaviour {
  return socket => {
    assert.ok(socket instanceof TLSSocket)
    note(socket)
    serve(socket)
  }
}

describe("TLS", () => {
  test("is spoken with the name of the URL, and HTTP/1.1 alone is offered", async () => {
    const offers: string[][] = []
    const names: unknown[] = []
    await using there = await over(
      good,
      noting(socket => names.push(socket.servername)),
      {
        ALPNCallback: ({ protocols }: { protocols: string[] }) => {
          offers.push(protocols)
          return protocols[0]
        },
      },
    )
    const exchange = await transport.send(post(there.url), limits())
    assert.equal(summary(exchange), "answered 200")
    assert.deepEqual(offers, [["http/1.1"]])
    assert.deepEqual(names, [NAME])
    const { dnsMs, connectMs, tlsMs, waitMs } = exchange.timings
    for (const part of [dnsMs, connectMs, tlsMs, waitMs]) assert.ok(part !== null && part <= exchange.timings.totalMs)
  })

  test("with an address is checked against the addresses of the certificate, without a server name", async () => {
    const pair = await leaf("other.example", { by: trusted, addresses: ["127.0.0.1"] })
    const names: unknown[] = []
    const behaviour = noting(socket => names.push(socket.servername))
    await using there = await receiver(behaviour, { tls: pair })
    assert.equal(summary(await transport.send(post(there.url), limits())), "answered 200")
    assert.deepEqual(names, [false])
  })

  for (const maxVersion of ["TLSv1.3", "TLSv1.2"] as const) {
    test(`${maxVersion} goes on with the session of an earlier connection`, async () => {
      const resumed: boolean[] = []
      const serve = answers("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", true)
      const behaviour = noting(socket => resumed.push(socket.isSessionReused()), serve)
      await using there = await over(good, behaviour, { maxVersion })
      for (let i = 0; i < 2; i++) assert.equal(summary(await transport.send(post(there.url), limits())), "answered 200")
      assert.deepEqual(resumed, [false, true])
    })
  }
})

describe("a certificate is refused", () => {
  const rows: [what: string, pair: () => Promise<Pair>, comesTo: string, code: string][] = [
    ["that is signed by itself", () => leaf(NAME, {}), "TLS_UNTRUSTED", "DEPTH_ZERO_SELF_SIGNED_CERT"],
    [
      "of an authority that is not known",
      async () => leaf(NAME, { by: await authority("somebody") }),
      "TLS_UNTRUSTED",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    ],
    [
      "of an authority that is not known and comes along",
      async () => {
        const stranger = await authority("somebody")
        const pair = await leaf(NAME, { by: stranger })
        return { key: pair.key, cert: `${pair.cert}\n${stranger.cert}` }
      },
      "TLS_UNTRUSTED",
      "SELF_SIGNED_CERT_IN_CHAIN",
    ],
    [
      "that has expired",
      () => leaf(NAME, { by: trusted, fromMs: Date.now() - 9 * DAY_MS, untilMs: Date.now() - DAY_MS }),
      "TLS_EXPIRED",
      "CERT_HAS_EXPIRED",
    ],
    [
      "that is not valid yet",
      () => leaf(NAME, { by: trusted, fromMs: Date.now() + DAY_MS, untilMs: Date.now() + 9 * DAY_MS }),
      "TLS_EXPIRED",
      "CERT_NOT_YET_VALID",
    ],
    [
      "for another name",
      () => leaf("other.example", { by: trusted }),
      "TLS_NAME_MISMATCH",
      "ERR_TLS_CERT_ALTNAME_INVALID",
    ],
  ]
  for (const [what, pair, comesTo, code] of rows) {
    test(`${what}: ${comesTo}, at the first connection and at every later one`, async () => {
      await using there = await over(await pair())
      for (let i = 0; i < 3; i++) {
        const exchange = await transport.send(post(there.url), limits())
        assert.equal(summary(exchange), `broken ${comesTo} in tls`)
        assert.ok(exchange.kind === "broken" && exchange.code === code)
        assert.match(exchange.message, /crm\.example/)
      }
      assert.equal(there.received().length, 0, "nothing was sent")
    })
  }

  test("for another name also where an older TLS tells its session before the certificate is checked", async () => {
    await using there = await over(await leaf("other.example", { by: trusted }), ok(), { maxVersion: "TLSv1.2" })
    for (let i = 0; i < 3; i++) {
      assert.equal(summary(await transport.send(post(there.url), limits())), "broken TLS_NAME_MISMATCH in tls")
    }
  })

  test("whatever the environment says about checking", async () => {
    await using there = await over(await leaf(NAME, {}))
    const warn = process.emitWarning
    process.emitWarning = () => {}
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0"
    try {
      assert.equal(summary(await transport.send(post(there.url), limits())), "broken TLS_UNTRUSTED in tls")
    } finally {
      delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"]
      process.emitWarning = warn
    }
  })
})

describe("a handshake that does not come about", () => {
  test("ends with the limit for connecting where it stalls, or with the deadline if that is sooner", async () => {
    await using there = await plain(silent)
    await using impatient = freshTransport({ resolver, connectTimeoutMs: 300 })
    const limited = await impatient.send(post(there.url), limits())
    assert.equal(summary(limited), "broken ETIMEDOUT in tls")
    assert.ok(limited.kind === "broken" && limited.code === "ETIMEDOUT")
    assertAround(limited.timings.totalMs, 300)
    const hurried = await transport.send(post(there.url), limits({ deadlineMs: 150 }))
    assert.equal(summary(hurried), "broken ETIMEDOUT in tls")
    assert.ok(hurried.kind === "broken" && hurried.code === "DEADLINE")
    assert.ok((hurried.timings.tlsMs ?? 0) > 0)
  })

  const rows: [what: string, behaviour: Behaviour, comesTo: string][] = [
    [
      "a port that speaks HTTP",
      socket => void socket.on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
      "TLS_ERROR",
    ],
    [
      "a port that greets as a mail server does",
      socket => void socket.write("220 mail.example ESMTP\r\n"),
      "TLS_ERROR",
    ],
    ["a hang-up", socket => void socket.on("data", () => socket.end()), "TLS_ERROR"],
    ["a reset", socket => void socket.on("data", () => socket.resetAndDestroy()), "ECONNRESET"],
  ]
  for (const [what, behaviour, comesTo] of rows) {
    test(`${what}: ${comesTo}`, async () => {
      await using there = await plain(behaviour)
      assert.equal(summary(await transport.send(post(there.url), limits())), `broken ${comesTo} in tls`)
    })
  }

  for (const version of ["TLSv1", "TLSv1.1"] as const) {
    test(`a server that speaks ${version} at most: TLS_ERROR`, async () => {
      const older = { minVersion: version, maxVersion: version, ciphers: "DEFAULT@SECLEVEL=0" }
      await using there = await over(good, ok(), older)
      assert.equal(summary(await transport.send(post(there.url), limits())), "broken TLS_ERROR in tls")
    })
  }

  test("an http URL at a port that speaks TLS is an answer that is no HTTP", async () => {
    await using there = await over(good)
    const exchange = await transport.send(post(there.url.replace("https:", "http:")), limits())
    assert.ok(exchange.kind === "broken")
    assert.ok(["PROTOCOL_ERROR", "ECONNRESET"].includes(exchange.class), exchange.class)
  })

  test("a connection that is reset between TCP and TLS", async () => {
    await using there = await plain(resets(null))
    const exchange = await transport.send(post(there.url), limits())
    assert.ok(exchange.kind === "broken" && exchange.class === "ECONNRESET", summary(exchange))
  })
})
