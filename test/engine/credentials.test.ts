/** Tokens, client certificates and message signatures through the whole program: every way out, and what is told of each. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { authority, leaf } from "../help/certificates.ts"
import { Endpoint } from "../help/endpoint.ts"
import { checkMessage } from "../help/message-verifier.ts"
import { type Json, Program } from "../help/program.ts"
import { secureEndpoint } from "../help/secure-endpoint.ts"
import { CLIENT, TokenServer } from "../help/token-server.ts"

const SECOND = 1_000

function authOf(server: { readonly url: string }, more: object = {}) {
  return {
    kind: "oauth2",
    token_url: server.url,
    client_id: CLIENT.id,
    client_secret: CLIENT.secret,
    client_auth: "basic",
    ...more,
  }
}

async function integrate(program: Program, endpoint: object, more: object = {}): Promise<Json> {
  return program.call("POST", "/v1/integrations", { name: "CRM", config: { production: endpoint, ...more } })
}

describe("a token", () => {
  test("goes with every request: verification, test, delivery, retry, each with the one that is good", async () => {
    await using program = await Program.open()
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    there.answer(({ headers }) => ({ status: server.knows(headers["authorization"]) ? 200 : 403 }))
    const made = await integrate(program, { url: there.url(), auth: authOf(server) })
    assert.equal(made.verification?.production?.state, "verified")
    const tested = await program.call("POST", `/v1/integrations/${made.id}/test`)
    assert.equal(tested.status, "delivered")
    assert.deepEqual(
      (tested.request as unknown as { headers: { name: string; value: string | null }[] }).headers.find(
        ({ name }) => name === "authorization",
      ),
      { name: "authorization", value: null },
    )
    const event = await program.send({ type: "a" })
    await program.recorded(2)
    assert.equal((await program.delivery(String(made.id), event)).status, "delivered")
    assert.equal(server.requests.length, 1)
  })

  test("that the endpoint no longer takes is replaced within the attempt", async () => {
    await using program = await Program.open()
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    there.answer(({ headers }) => ({ status: server.knows(headers["authorization"]) ? 200 : 401 }))
    const made = await integrate(program, { url: there.url(), auth: authOf(server) })
    server.revoke()
    program.turn(60 * SECOND)
    const event = await program.send({ type: "a" })
    await program.recorded(1)
    const { status, attempts } = await program.delivery(String(made.id), event)
    assert.deepEqual([status, attempts, server.requests.length], ["delivered", 1, 2])
    const [refused, taken] = there.requests.slice(-2)
    assert.equal(refused?.headers["webhook-id"], taken?.headers["webhook-id"])
    assert.deepEqual(refused?.body, taken?.body)
  })

  test("that is refused is a reason of its own, tried again, and mended by a patch of the secret alone", async () => {
    await using program = await Program.open()
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    const wrong = authOf(server, { client_secret: "no such secret" })
    const made = await integrate(program, { url: there.url(), auth: wrong }, { verification: "none" })
    const event = await program.send({ type: "a" })
    await program.recorded(1)
    const row = await program.delivery(String(made.id), event)
    assert.deepEqual([row.status, row.reason], ["retrying", "no_token"])
    const { data } = await program.call("GET", "/v1/deliveries?reason=no_token")
    const shown = await program.call("GET", `/v1/deliveries/${data?.[0]?.id}`)
    const reason = shown.reason
    assert.match(String(reason?.title), /No access token: refused \(401\)/)
    assert.match(String(reason?.what), /The token endpoint 127\.0\.0\.1:\d+ gave no access token.*invalid_client/)
    assert.match(String(reason?.advice), /client_id, client_secret, scope and audience/)
    assert.deepEqual(reason?.links?.[0]?.pointer, "/config/production/auth")
    assert.equal(there.requests.length, 0)
    const changed = await program.call("PATCH", `/v1/integrations/${made.id}`, {
      config: { production: { auth: { client_secret: CLIENT.secret } } },
    })
    assert.deepEqual(changed.config?.production?.auth?.client_secret, { set: true })
    program.turn(10 * SECOND)
    await program.recorded(2)
    assert.equal((await program.delivery(String(made.id), event)).status, "delivered")
  })

  test("endpoint that is away keeps no lane: its deliveries are retried, and the status of it decides nothing", async () => {
    await using program = await Program.open()
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    // A 410 or a 404 of the endpoint itself would end things; of the token endpoint it must not.
    server.answer((_request, count) => (count === 1 ? { status: 410 } : count === 2 ? { status: 404 } : null))
    const made = await integrate(program, { url: there.url(), auth: authOf(server) }, { verification: "none" })
    await program.call("PATCH", `/v1/integrations/${made.id}`, { policy: { preset: "subscription" } })
    const event = await program.send({ type: "a" })
    for (const attempt of [1, 2]) {
      await program.recorded(attempt)
      const row = await program.delivery(String(made.id), event)
      assert.deepEqual([row.status, row.reason], ["retrying", "no_token"])
      program.turnTo(row.next_at ?? 0)
    }
    await program.recorded(3)
    assert.equal((await program.delivery(String(made.id), event)).status, "delivered")
    assert.equal((await program.call("GET", `/v1/integrations/${made.id}`)).enabled, true)
  })

  test("endpoint that asks to be left alone is, for as long as it asks", async () => {
    await using program = await Program.open()
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    server.answer(() => ({ status: 429, headers: { "retry-after": "7200" } }))
    const made = await integrate(program, { url: there.url(), auth: authOf(server) }, { verification: "none" })
    const event = await program.send({ type: "a" })
    await program.recorded(1)
    const row = await program.delivery(String(made.id), event)
    assert.ok((row.next_at ?? 0) >= program.now + 7_200 * SECOND)
  })

  test("endpoint at an address that is not public is asked by no way out", async () => {
    const names = { asked: [] as string[], isRebound: false }
    const resolver = {
      resolve: (name: string) => {
        names.asked.push(name)
        const addresses = name === "crm.example" || names.isRebound ? ["127.0.0.1"] : ["203.0.113.1"]
        return Promise.resolve({ kind: "found", addresses, ttlMs: 0 } as const)
      },
    }
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    await using program = await Program.open({ host: "0.0.0.0", egressAllow: "crm.example", resolver })
    const url = `http://crm.example:${there.port}/hook`
    for (const token_url of [server.url, "http://169.254.169.254/token", "http://auth.internal/token"]) {
      const config = { production: { url, auth: authOf({ url: token_url }) }, verification: "none" }
      const { status, body } = await program.ask("POST", "/v1/integrations", { name: "x", config })
      assert.deepEqual([status, body.errors?.[0]?.pointer], [422, "/config/production/auth/token_url"], token_url)
    }
    names.isRebound = true
    const auth = authOf({ url: `http://rebound.example:${server.port}/token` })
    const made = await integrate(program, { url, auth })
    assert.equal(made.verification?.production?.state, "failed")
    const tested = await program.call("POST", `/v1/integrations/${made.id}/test`)
    assert.deepEqual([tested.status, tested.reason?.code], ["failed", "blocked_address"])
    assert.match(String(tested.reason?.what), /token endpoint rebound\.example/)
    await program.call("PATCH", `/v1/integrations/${made.id}`, { config: { verification: "none" } })
    const event = await program.send({ type: "a" })
    await program.recorded(2)
    const row = await program.delivery(String(made.id), event)
    assert.deepEqual([row.status, row.reason], ["failed", "blocked_address"])
    assert.deepEqual([server.requests.length, there.requests.length], [0, 0])
    assert.doesNotMatch(JSON.stringify(tested), /127\.0\.0\.1/)
  })

  test("and the secrets of its client stand nowhere on the disk, nor in any answer", async () => {
    await using program = await Program.open()
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    there.answer(({ headers }) => ({ body: JSON.stringify({ got: headers["authorization"] }) }))
    const made = await integrate(program, { url: there.url(), auth: authOf(server) })
    await program.send({ type: "a" })
    await program.recorded(1)
    const texts = await Promise.all(
      ["", "/report", "/revisions", "/diagnosis"].map(
        async path => (await program.ask("GET", `/v1/integrations/${made.id}${path}`)).text,
      ),
    )
    const log = await program.ask("GET", "/v1/audit-log")
    const kept = await program.rows("select * from integration_secret")
    const [attempt] = await program.attempts(String(made.id))
    assert.ok(attempt !== undefined)
    const { request_headers: sent, response_body: got } = await program.exchange(attempt)
    const all = [...texts, log.text, JSON.stringify(kept), sent, Buffer.from(got ?? []).toString()].join("\n")
    assert.doesNotMatch(all, /tok-1|correct horse/)
  })
})

describe("auth", () => {
  test("as HTTP Basic goes with each request, and another kind takes its place whole", async () => {
    await using program = await Program.open()
    await using server = await TokenServer.open()
    await using there = await Endpoint.open()
    const auth = { kind: "basic", username: "key", password: "pä:ss" }
    const made = await integrate(program, { url: there.url(), auth }, { verification: "none" })
    assert.deepEqual(made.config?.production?.auth, { kind: "basic", username: "key", password: { set: true } })
    await program.send({ type: "a" })
    await program.recorded(1)
    const expected = `Basic ${Buffer.from("key:pä:ss").toString("base64")}`
    assert.equal(there.requests[0]?.headers["authorization"], expected)
    const path = `/v1/integrations/${made.id}`
    // What is not sent stays.
    await program.call("PATCH", path, { config: { production: { auth: { username: "other" } } } })
    const next = await program.call("PATCH", path, { config: { production: { auth: authOf(server) } } })
    assert.deepEqual(Object.keys(next.config?.production?.auth ?? {}).sort(), [
      ...["client_auth", "client_id", "client_secret", "kind", "token_url"],
    ])
    const both = await program.ask("PATCH", path, { config: { production: { authorization: "Token x" } } })
    assert.deepEqual([both.status, both.body.errors?.[0]?.pointer], [422, "/config/production/auth"])
    const gone = await program.call("PATCH", path, { config: { production: { authorization: "Token x", auth: null } } })
    assert.equal("auth" in (gone.config?.production ?? {}), false)
  })
})

describe("a client certificate", () => {
  test("is shown to endpoint and token endpoint, whose authority is the integration's own", async () => {
    const own = await authority("own")
    const clients = await authority("clients")
    const pair = await leaf("crm.example", { by: own, addresses: ["127.0.0.1"] })
    const anna = await leaf("anna", { by: clients })
    await using program = await Program.open({ now: Date.now })
    await using there = await secureEndpoint({
      pair,
      clients,
      answer: ({ path }) => ({ body: path === "/token" ? '{"access_token":"t","expires_in":600}' : "{}" }),
    })
    const tls = { certificate: anna.cert, key: anna.key, ca: own.cert }
    const auth = authOf({ url: there.url("/token") })
    const made = await integrate(program, { url: there.url(), auth, tls })
    assert.equal(made.verification?.production?.state, "verified")
    assert.deepEqual(made.config?.production?.tls, { certificate: anna.cert, key: { set: true }, ca: own.cert })
    const event = await program.send({ type: "a" })
    await program.recorded(1)
    assert.equal((await program.delivery(String(made.id), event)).status, "delivered")
    assert.deepEqual(
      there.requests.map(({ path, client }) => [path, client]),
      [
        ["/token", "anna"],
        ["/hook", "anna"],
        ["/hook", "anna"],
      ],
    )
    // Another integration has neither the certificate nor the authority.
    const other = await integrate(program, { url: there.url() })
    assert.equal(other.verification?.production?.answer?.class, "TLS_UNTRUSTED")
    const bare = await integrate(program, { url: there.url(), tls: { ca: own.cert } })
    assert.equal(bare.verification?.production?.answer?.class, "TLS_CLIENT_REFUSED")
    const tested = await program.call("POST", `/v1/integrations/${bare.id}/test`)
    assert.deepEqual([tested.reason?.code, tested.reason?.title], ["tls_failed", "Client certificate refused"])
    assert.equal(there.requests.length, 3)
  })

  test("that has run out, or fits no key, is refused with the field when it is saved", async () => {
    const clients = await authority("clients")
    const day = 86_400_000
    await using program = await Program.open()
    const expired = await leaf("anna", { by: clients, fromMs: program.now - 9 * day, untilMs: program.now - day })
    const other = await leaf("ben", { by: clients })
    for (const [tls, words] of [
      [{ certificate: expired.cert, key: expired.key }, /has expired on 2026-11-20/],
      [{ certificate: other.cert, key: expired.key }, /do not belong together/],
    ] as const) {
      const config = { production: { url: "https://crm.example/", tls }, verification: "none" }
      const { status, body } = await program.ask("POST", "/v1/integrations", { name: "x", config })
      assert.deepEqual([status, body.errors?.[0]?.pointer], [422, "/config/production/tls/certificate"])
      assert.match(String(body.detail), words)
    }
  })
})

describe("the signature rfc9421", () => {
  test("verifies with the key set of the integration, through a rotation and over retries", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open({ status: 500 }, { status: 200 })
    const signature = { scheme: "rfc9421" }
    const made = await integrate(program, { url: there.url() }, { signature, verification: "none" })
    const keySet = async () => {
      const response = await fetch(`${program.url}/v1/integrations/${made.id}/jwks`)
      assert.equal(response.headers.get("content-type"), "application/jwk-set+json; charset=utf-8")
      const { keys } = (await response.json()) as { keys: { kid: string; kty: string }[] }
      return Object.fromEntries(keys.map(key => [key.kid, key]))
    }
    const [first] = Object.keys(await keySet())
    assert.equal((made.signing_keys as unknown as Json[])[0]?.kid, first)
    const event = await program.send({ type: "a" })
    await program.recorded(1)
    await program.call("POST", `/v1/integrations/${made.id}/rotate-secret`, { grace_seconds: 3_600 })
    program.turn(10 * SECOND)
    await program.recorded(2)
    assert.equal((await program.delivery(String(made.id), event)).status, "delivered")
    const keys = await keySet()
    assert.equal(Object.keys(keys).length, 2)
    const verdicts = there.requests.map(({ method, path, rawHeaders, body }) =>
      checkMessage({ method, rawHeaders, body, targetUri: `http://127.0.0.1:${there.port}${path}` }, keys),
    )
    assert.deepEqual(
      verdicts.map(signatures => signatures.map(({ verified }) => verified)),
      [[true], [true, true]],
    )
    assert.deepEqual(there.requests[0]?.body, there.requests[1]?.body)
    assert.equal(there.requests[0]?.headers["webhook-id"], there.requests[1]?.headers["webhook-id"])
    program.turn(3_600 * SECOND)
    assert.equal(Object.keys(await keySet()).includes(String(first)), false)
  })

  test("publishes no symmetric key, and does not tell which integrations there are", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const symmetric = await integrate(
      program,
      { url: there.url() },
      { signature: { scheme: "rfc9421", algorithm: "hmac-sha256" }, verification: "none" },
    )
    const known = await fetch(`${program.url}/v1/integrations/${symmetric.id}/jwks`)
    const unknown = await fetch(`${program.url}/v1/integrations/int_00000000000/jwks`)
    const [one, other] = [await known.text(), await unknown.text()]
    assert.deepEqual([known.status, unknown.status], [404, 404])
    const without = (text: string, id: unknown) => text.replaceAll(String(id), "").replace(/"instance":"[^"]+"/, "")
    assert.equal(without(one, symmetric.id), without(other, "int_00000000000"))
  })

  for (const algorithm of ["ed25519", "hmac-sha256"]) {
    test(`is found valid by an inbox: ${algorithm}`, async () => {
      await using program = await Program.open()
      const made = await program.call("POST", "/v1/integrations", {
        name: "inbox",
        connector: "inbox",
        config: { signature: { scheme: "rfc9421", algorithm } },
      })
      await program.send({ type: "a" })
      await program.recorded(1)
      const { data } = await program.call("GET", `/v1/integrations/${made.id}/inbox`)
      assert.equal(data?.[0]?.signature?.verdict, "valid")
    })
  }
})
