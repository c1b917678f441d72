/** TLS identities: who Waybill is to an endpoint and whom it believes there, and that one's is never another's. */
import assert from "node:assert/strict"
import { before, describe, test } from "node:test"
import { identityOf } from "../../src/connectors/tls-settings.ts"
import type { Credentials, OutboundRequest } from "../../src/domain/exchange.ts"
import { authority, leaf, type Pair } from "../help/certificates.ts"
import { freshTransport, limits, post, summary } from "../help/outbound.ts"
import { type SecureOptions, secureEndpoint } from "../help/secure-endpoint.ts"

let own: Pair
let clients: Pair
let server: Pair
let anna: Pair
let ben: Pair

before(async () => {
  own = await authority("an authority of one's own")
  clients = await authority("an authority of clients")
  server = await leaf("crm.example", { by: own, addresses: ["127.0.0.1"] })
  anna = await leaf("anna", { by: clients })
  ben = await leaf("ben", { by: clients })
})

function asking(options: Partial<SecureOptions> = {}) {
  return secureEndpoint({ pair: server, clients, ...options })
}

/** A request of a holder, with a client certificate and with one's own authority unless told otherwise. */
function of(holder: string, url: string, pair: Pair | null, ca: string | null = own.cert): OutboundRequest {
  const client = pair === null ? {} : { certificate: pair.cert, key: pair.key }
  const tls = identityOf({ ...client, ...(ca === null ? {} : { ca }) })
  const credentials: Credentials = { holder, tls, grant: null }
  return post(url, { credentials })
}

describe("an authority of one's own", () => {
  test("is trusted for its integration alone, beside those that everybody trusts", async () => {
    await using transport = freshTransport()
    await using there = await secureEndpoint({ pair: server })
    assert.equal(summary(await transport.send(post(there.url()), limits())), "broken TLS_UNTRUSTED in tls")
    assert.equal(summary(await transport.send(of("1/production", there.url(), null), limits())), "answered 200")
    // The connection is open and idle now, and is nobody else's.
    assert.equal(summary(await transport.send(post(there.url()), limits())), "broken TLS_UNTRUSTED in tls")
    const stranger = await authority("somebody")
    const wrong = of("2/production", there.url(), null, stranger.cert)
    assert.equal(summary(await transport.send(wrong, limits())), "broken TLS_UNTRUSTED in tls")
    assert.equal(there.requests.length, 1)
  })

  test("may be several, one after the other", async () => {
    await using transport = freshTransport()
    await using there = await secureEndpoint({ pair: server })
    const request = of("1/production", there.url(), null, `${clients.cert}\n${own.cert}`)
    assert.equal(summary(await transport.send(request, limits())), "answered 200")
  })

  test("takes nothing away of what else is checked: a certificate for another name is refused", async () => {
    await using transport = freshTransport()
    await using there = await secureEndpoint({ pair: await leaf("other.example", { by: own }) })
    const exchange = await transport.send(of("1/production", there.url(), null), limits())
    assert.equal(summary(exchange), "broken TLS_NAME_MISMATCH in tls")
  })
})

for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
  describe(`a client certificate over ${maxVersion}`, () => {
    test("is shown to an endpoint that asks for one", async () => {
      await using transport = freshTransport()
      await using there = await asking({ maxVersion })
      assert.equal(summary(await transport.send(of("1/production", there.url(), anna), limits())), "answered 200")
      assert.deepEqual(
        there.requests.map(request => request.client),
        ["anna"],
      )
    })

    test("that is missing is said to be what the endpoint asks for", async () => {
      await using transport = freshTransport()
      await using there = await asking({ maxVersion })
      const exchange = await transport.send(of("1/production", there.url(), null), limits())
      assert.ok(exchange.kind === "broken")
      // Before 1.3 a server says no more than that the handshake failed.
      assert.equal(exchange.class, maxVersion === "TLSv1.3" ? "TLS_CLIENT_REFUSED" : "TLS_ERROR")
      assert.equal(there.requests.length, 0)
    })

    test("of another authority gets nothing through", async () => {
      await using transport = freshTransport()
      await using there = await asking({ maxVersion })
      const stranger = await leaf("eve", { by: await authority("somebody") })
      const exchange = await transport.send(of("1/production", there.url(), stranger), limits())
      assert.equal(exchange.kind, "broken")
      assert.equal(there.requests.length, 0)
    })

    test("is one integration's: no other goes over its connections or goes on with its sessions", async () => {
      await using transport = freshTransport()
      for (const closes of [false, true]) {
        await using there = await asking({ maxVersion, closes, asks: true })
        const rounds: [holder: string, pair: Pair][] = [
          ["1/production", anna],
          ["2/production", ben],
          ["1/production", anna],
          ["2/production", ben],
          // The same certificate in other hands is another identity, too.
          ["3/production", anna],
        ]
        for (const [holder, pair] of rounds) {
          assert.equal(summary(await transport.send(of(holder, there.url(), pair), limits())), "answered 200")
        }
        assert.deepEqual(
          there.requests.map(request => request.client),
          ["anna", "ben", "anna", "ben", "anna"],
        )
        if (closes) {
          assert.deepEqual(
            there.requests.map(request => request.resumed),
            [false, false, true, true, false],
            "each goes on with its own session",
          )
        }
      }
    })

    test("that was changed is shown from the next request on", async () => {
      await using transport = freshTransport()
      await using there = await asking({ maxVersion })
      for (const pair of [anna, ben]) {
        assert.equal(summary(await transport.send(of("1/production", there.url(), pair), limits())), "answered 200")
      }
      assert.deepEqual(
        there.requests.map(request => request.client),
        ["anna", "ben"],
      )
    })
  })
}

test("a certificate that no TLS can use is told as such, and nothing is thrown", async () => {
  await using transport = freshTransport()
  await using there = await asking()
  const credentials: Credentials = {
    holder: "1/production",
    tls: { digest: "x", client: { certificate: anna.cert, key: ben.key }, authorities: null },
    grant: null,
  }
  const exchange = await transport.send(post(there.url(), { credentials }), limits())
  assert.equal(summary(exchange), "broken CONFIG_INVALID in tls")
  assert.doesNotMatch(JSON.stringify(exchange), /PRIVATE KEY/)
})
