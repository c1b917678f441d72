/** Tokens by OAuth 2.0 client credentials: fetched once, early, by one request at a time, and told of when there is none. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { Exchange, OutboundRequest, TokenGrant } from "../../src/domain/exchange.ts"
import { generateSecret } from "../../src/transport/sign.ts"
import { Endpoint } from "../help/endpoint.ts"
import { freshTransport, limits, post, saying, summary } from "../help/outbound.ts"
import { CLIENT, TokenServer } from "../help/token-server.ts"

const SECOND = 1_000

function withToken(
  url: string,
  server: { readonly url: string },
  changes: Partial<TokenGrant> = {},
  holder = "1/production",
): OutboundRequest {
  const grant: TokenGrant = {
    tokenUrl: server.url,
    clientId: CLIENT.id,
    clientSecret: CLIENT.secret,
    scope: null,
    audience: null,
    clientAuth: "basic",
    ...changes,
  }
  return post(url, { credentials: { holder, tls: null, grant } })
}

/** A transport whose clock a test turns. */
function turned(options: Parameters<typeof freshTransport>[0] = {}) {
  const clock = { at: Date.UTC(2026, 10, 21) }
  return { clock, transport: freshTransport({ now: () => clock.at, ...options }) }
}

function messageOf(exchange: Exchange): string {
  return exchange.kind === "broken" ? exchange.message : "answered"
}

describe("a token", () => {
  for (const clientAuth of ["basic", "post"] as const) {
    test(`is asked for with the client's own credentials by ${clientAuth}, and sent as Bearer`, async () => {
      const { transport } = turned()
      await using _ = transport
      await using server = await TokenServer.open()
      await using there = await Endpoint.open()
      const request = withToken(there.url(), server, { clientAuth, scope: "a b", audience: "https://crm.example" })
      const exchange = await transport.send(request, limits())
      assert.equal(summary(exchange), "answered 200")
      const [asked] = server.requests
      assert.deepEqual(
        [...(asked?.form ?? [])].filter(([name]) => !name.startsWith("client_")),
        [
          ["grant_type", "client_credentials"],
          ["scope", "a b"],
          ["audience", "https://crm.example"],
        ],
      )
      assert.equal(asked?.form.has("client_secret"), clientAuth === "post")
      assert.equal(asked?.headers["content-type"], "application/x-www-form-urlencoded")
      assert.ok(server.knows(there.requests[0]?.headers["authorization"]))
      const sent = exchange.sentHeaders.find(({ name }) => name === "authorization")
      assert.equal(sent?.secret, true, "so that it is written down nowhere")
    })
  }

  test("is fetched once for many requests, however many wait for it", async () => {
    const { transport } = turned()
    await using _ = transport
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    const sent = Array.from({ length: 50 }, () => transport.send(withToken(there.url(), server), limits()))
    for (const exchange of await Promise.all(sent)) assert.equal(summary(exchange), "answered 200")
    await transport.send(withToken(there.url(), server), limits())
    assert.equal(server.requests.length, 1)
  })

  test("is one holder's, and of today's credentials: others fetch their own", async () => {
    const { transport } = turned()
    await using _ = transport
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    await transport.send(withToken(there.url(), server), limits())
    await transport.send(withToken(there.url(), server, {}, "1/sandbox"), limits())
    await transport.send(withToken(there.url(), server, {}, "2/production"), limits())
    await transport.send(withToken(there.url(), server, { scope: "more" }), limits())
    assert.equal(server.requests.length, 4)
    assert.equal(new Set(there.requests.map(({ headers }) => headers["authorization"])).size, 4)
  })

  test("is fetched anew while the old one still holds, without keeping anybody waiting", async () => {
    const { clock, transport } = turned()
    await using _ = transport
    await using server = await TokenServer.open(100)
    await using there = await Endpoint.open()
    const send = () => transport.send(withToken(there.url(), server), limits())
    await send()
    // A fifth of its time is left at 80 s.
    clock.at += 79 * SECOND
    await send()
    assert.equal(server.requests.length, 1)
    clock.at += 2 * SECOND
    const { promise, resolve } = Promise.withResolvers<void>()
    server.answer(() => ({ after: promise, body: '{"access_token":"second","expires_in":100}' }))
    const meanwhile = await Promise.all([send(), send(), send()])
    for (const exchange of meanwhile) assert.equal(summary(exchange), "answered 200")
    resolve()
    // The next one waits for nothing either: it finds the new one sooner or later.
    while (there.requests.at(-1)?.headers["authorization"] !== "Bearer second") await send()
    assert.equal(server.requests.length, 2)
  })

  test("goes on being used until it has expired where the next one cannot be had", async () => {
    const { clock, transport } = turned()
    await using _ = transport
    await using server = await TokenServer.open(100)
    await using there = await Endpoint.open()
    const send = () => transport.send(withToken(there.url(), server), limits())
    await send()
    server.answer(() => ({ status: 503 }))
    clock.at += 90 * SECOND
    assert.equal(summary(await send()), "answered 200")
    clock.at += 11 * SECOND
    assert.equal(summary(await send()), "broken TOKEN_FAILED in body")
  })

  for (const [says, life, seconds] of [
    ["without expires_in is used for five minutes", null, 300],
    ["may tell its time as a text", "1000", 1_000],
    ["that never seems to expire is used for a day", 1e12, 86_400],
    ["of no time at all is used once", 0, 0],
    ["with a time that is none is used for five minutes", "soon", 300],
  ] as const) {
    test(says, async () => {
      const { clock, transport } = turned()
      await using _ = transport
      await using server = await TokenServer.open(life)
      await using there = await Endpoint.open()
      const send = () => transport.send(withToken(there.url(), server), limits())
      await send()
      const early = Math.min(60, seconds * 0.2)
      clock.at += Math.max(0, (seconds - early) * SECOND - 1)
      await send()
      assert.equal(server.requests.length, seconds === 0 ? 2 : 1)
      clock.at += (early + 1) * SECOND
      await send()
      assert.equal(server.requests.length, seconds === 0 ? 3 : 2)
    })
  }
})

describe("a 401 of the endpoint", () => {
  test("brings a new token and the same request again, at once and once", async () => {
    const { clock, transport } = turned()
    await using _ = transport
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    there.answer(({ headers }) => ({ status: server.knows(headers["authorization"]) ? 200 : 401 }))
    const send = () => transport.send(withToken(there.url(), server), limits())
    await send()
    server.revoke()
    clock.at += 60 * SECOND
    const exchange = await send()
    assert.deepEqual([summary(exchange), exchange.resent], ["answered 200", true])
    assert.deepEqual([server.requests.length, there.requests.length], [2, 3])
    assert.deepEqual(there.requests[1]?.body, there.requests[2]?.body)
  })

  test("to a token that is new already is the answer, and asks for no other", async () => {
    const { clock, transport } = turned()
    await using _ = transport
    await using server = await TokenServer.open()
    await using there = await Endpoint.open({ status: 401 })
    const send = () => transport.send(withToken(there.url(), server), limits())
    const first = await send()
    assert.deepEqual([summary(first), first.resent, server.requests.length], ["answered 401", false, 1])
    clock.at += 60 * SECOND
    const second = await send()
    assert.deepEqual([summary(second), second.resent, server.requests.length], ["answered 401", true, 2])
    assert.equal(there.requests.length, 3)
  })

  test("to many requests at once brings one new token for all of them", async () => {
    const { clock, transport } = turned()
    await using _ = transport
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    there.answer(({ headers }) => ({ status: server.knows(headers["authorization"]) ? 200 : 401 }))
    const send = () => transport.send(withToken(there.url(), server), limits())
    await send()
    server.revoke()
    clock.at += 60 * SECOND
    const all = await Promise.all(Array.from({ length: 20 }, send))
    for (const exchange of all) assert.equal(summary(exchange), "answered 200")
    assert.equal(server.requests.length, 2)
  })

  test("stays the answer where no new token can be had", async () => {
    const { clock, transport } = turned()
    await using _ = transport
    await using server = await TokenServer.open()
    await using there = await Endpoint.open({ status: 200 }, { status: 401 })
    const send = () => transport.send(withToken(there.url(), server), limits())
    await send()
    server.answer(() => ({ status: 500 }))
    clock.at += 60 * SECOND
    assert.equal(summary(await send()), "answered 401")
  })
})

describe("no token", () => {
  const rows: [
    what: string,
    reply: { status?: number; body?: string; headers?: Record<string, string> },
    cause: string,
    says: RegExp,
  ][] = [
    [
      "a refusal in the words of the standard",
      { status: 400, body: '{"error":"invalid_scope","error_description":"No such scope."}' },
      "refused",
      /answered 400 \(invalid_scope: No such scope\)\./,
    ],
    ["a 401 that says nothing", { status: 401, body: "" }, "refused", /answered 401\./],
    [
      "an error with a status of success",
      { body: '{"error":"invalid_client"}' },
      "refused",
      /answered 200 \(invalid_client\)/,
    ],
    ["an error of the server's own", { status: 502, body: "<html>" }, "unavailable", /answered 502\./],
    ["too many requests", { status: 429, headers: { "retry-after": "7" } }, "unavailable", /answered 429\./],
    [
      "a redirect, which is not followed",
      { status: 302, headers: { location: "https://elsewhere.example/" } },
      "unusable",
      /answered 302\./,
    ],
    ["no JSON", { body: "<html>Sign in</html>" }, "unusable", /no JSON object/],
    ["JSON that is no object", { body: '"token"' }, "unusable", /no JSON object/],
    ["an empty answer", { body: "" }, "unusable", /no JSON object/],
    ["JSON without a token", { body: '{"token":"x"}' }, "unusable", /no access_token/],
    ["a token that is no text", { body: '{"access_token":7}' }, "unusable", /no access_token/],
    ["a token with a line break", { body: '{"access_token":"a\\nx-evil: 1"}' }, "unusable", /no header can carry/],
    [
      "a token that is too long",
      { body: JSON.stringify({ access_token: "a".repeat(8_193) }) },
      "unusable",
      /longer than 8 KiB/,
    ],
    [
      "a token of another type",
      { body: '{"access_token":"a","token_type":"mac"}' },
      "unusable",
      /the type mac, not Bearer/,
    ],
    [
      "a huge answer",
      { body: JSON.stringify({ access_token: "a", more: "b".repeat(70_000) }) },
      "unusable",
      /more than 64 KiB/,
    ],
  ]
  for (const [what, reply, cause, says] of rows) {
    test(`where the token endpoint gives ${what}: ${cause}`, async () => {
      const { transport } = turned()
      await using _ = transport
      await using server = await TokenServer.open()
      await using there = await Endpoint.open()
      server.answer(() => reply)
      const exchange = await transport.send(withToken(there.url(), server), limits())
      assert.ok(exchange.kind === "broken")
      assert.deepEqual([exchange.class, exchange.token?.cause], ["TOKEN_FAILED", cause])
      assert.match(exchange.message, says)
      assert.equal(exchange.token?.host, new URL(server.url).host)
      assert.equal(exchange.token?.retryAfterMs, reply.status === 429 ? 7 * SECOND : null)
      assert.equal(there.requests.length, 0, "nothing goes out without one")
    })
  }

  test("where nobody listens at the token URL: unreachable, with the system's code", async () => {
    const { transport } = turned()
    await using _ = transport
    await using there = await Endpoint.open()
    const exchange = await transport.send(withToken(there.url(), { url: "http://127.0.0.1:9/token" }), limits())
    assert.ok(exchange.kind === "broken")
    assert.deepEqual(
      [exchange.class, exchange.code, exchange.token?.cause],
      ["TOKEN_FAILED", "ECONNREFUSED", "unreachable"],
    )
    assert.match(exchange.message, /^No token: 127\.0\.0\.1:9 refused the connection\.$/)
  })

  test("where the token endpoint takes too long: within the time limit of the attempt", async () => {
    const { transport } = turned()
    await using _ = transport
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    const never = Promise.withResolvers<void>()
    server.answer(() => ({ after: never.promise }))
    const exchange = await transport.send(withToken(there.url(), server), limits({ deadlineMs: 1_200 }))
    never.resolve()
    assert.ok(exchange.kind === "broken")
    assert.deepEqual([exchange.class, exchange.code], ["TOKEN_FAILED", "DEADLINE"])
  })

  test("repeats no secret of the client, whatever the token endpoint repeats", async () => {
    const { transport } = turned()
    await using _ = transport
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    const said = `wrong secret ${CLIENT.secret}`
    server.answer(() => ({ status: 401, body: JSON.stringify({ error: "invalid_client", error_description: said }) }))
    const exchange = await transport.send(withToken(there.url(), server), limits())
    assert.doesNotMatch(JSON.stringify(exchange), /correct horse/)
    assert.match(messageOf(exchange), /wrong secret \{secret\}/)
  })

  test("is not asked for again at once by each that waits, and is a second later", async () => {
    const { clock, transport } = turned()
    await using _ = transport
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    const send = () => transport.send(withToken(there.url(), server), limits())
    server.answer((_request, count) => (count === 1 ? { status: 503 } : null))
    for (let i = 0; i < 20; i++) assert.equal(summary(await send()), "broken TOKEN_FAILED in body")
    assert.equal(server.requests.length, 1)
    clock.at += SECOND
    assert.equal(summary(await send()), "answered 200")
  })

  test("comes from an address that is not public: the guard stands before token endpoints, too", async () => {
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    const resolver = saying(() => ["127.0.0.1"])
    const rules = { loopback: false, allow: [{ kind: "name", name: "crm.example" } as const] }
    const { transport } = turned({ rules, resolver })
    await using _ = transport
    const endpoint = `http://crm.example:${there.port}/hook`
    for (const url of [server.url, `http://rebound.example:${server.port}/token`]) {
      const exchange = await transport.send(withToken(endpoint, { url }, {}, url), limits())
      assert.ok(exchange.kind === "broken")
      assert.deepEqual([exchange.class, exchange.token?.cause], ["EGRESS_BLOCKED", "unreachable"])
      if (url !== server.url) assert.doesNotMatch(exchange.message, /127\.0\.0\.1/, "where the name leads is not told")
    }
    assert.deepEqual([server.requests.length, there.requests.length], [0, 0])
  })
})

test("a token that the endpoint sends back is not kept in what it answered", async () => {
  const { transport } = turned()
  await using _ = transport
  await using server = await TokenServer.open()
  await using there = await Endpoint.open()
  there.answer(({ headers }) => ({ body: JSON.stringify({ got: headers["authorization"] }) }))
  const keys = [{ scheme: "v1", secret: generateSecret("v1") }] as const
  const request = { ...withToken(there.url(), server), signature: { id: "evt_1", keys, form: "rfc9421" } } as const
  const exchange = await transport.send(request, limits())
  assert.ok(exchange.kind === "answered")
  assert.doesNotMatch(Buffer.from(exchange.answer.body).toString(), /tok-1/)
  const secret = exchange.sentHeaders.filter(header => header.secret === true).map(({ name }) => name)
  assert.deepEqual(secret, ["authorization"], "and nothing else of the request is hidden for it")
})
