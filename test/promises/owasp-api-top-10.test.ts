/**
 * The OWASP API Security Top 10 (2023), row by row: each is tried for real, and says how it is met. docs/security.md tells
 * the same to operators.
 */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { test } from "node:test"
import { gzipSync } from "node:zlib"
import { operationsOf } from "../help/document.ts"
import { Endpoint } from "../help/endpoint.ts"
import { type Answer, Program } from "../help/program.ts"

const nowhere = "http://127.0.0.1:9/hook"

const as = (key: unknown) => ({ authorization: `Bearer ${key}` })

/** A key of the program's project with these scopes. */
async function keyWith(program: Program, scopes: readonly string[], more: object = {}): Promise<string> {
  return String((await program.call("POST", "/v1/api-keys", { name: "narrow", scopes, ...more })).key)
}

function refusal({ status, body }: Answer): string {
  return `${status} ${body.code}`
}

test("API1 object level: whatever is another project's reads as if it were not there, and stays as it is", async () => {
  await using program = await Program.open()
  const integration = await program.integrate(nowhere)
  const event = await program.call("POST", "/v1/events", { type: "a", data: { secret: "theirs" } })
  const deliveries = await program.call("GET", "/v1/deliveries")
  const project = (await program.call("GET", "/v1/projects")).data?.[0]?.id
  const stranger = as((await program.call("POST", "/v1/projects", { name: "stranger" })).key)
  const before = await program.call("GET", `/v1/integrations/${integration}`)
  const tries: [string, string, object?][] = [
    ["GET", `/v1/integrations/${integration}`],
    ["PATCH", `/v1/integrations/${integration}`, { name: "taken over" }],
    ["POST", `/v1/integrations/${integration}/rotate-secret`, {}],
    ["DELETE", `/v1/integrations/${integration}`],
    ["GET", `/v1/events/${event.id}`],
    ["GET", `/v1/deliveries/${deliveries.data?.[0]?.id}`],
    ["POST", `/v1/deliveries/${deliveries.data?.[0]?.id}/retry`],
    ["PATCH", `/v1/projects/${project}`, { name: "taken over" }],
  ]
  for (const [method, path, body] of tries) {
    const answer = await program.ask(method, path, body, stranger)
    assert.equal(refusal(answer), "404 not_found", `${method} ${path}`)
    assert.doesNotMatch(answer.text, /theirs|CRM/)
  }
  const after = await program.call("GET", `/v1/integrations/${integration}`)
  assert.deepEqual([after.name, after.revision, after.enabled], [before.name, before.revision, before.enabled])
})

test("API2 authentication: keys that are wrong, cut short, revoked or over open nothing, and a stolen database holds none", async () => {
  await using program = await Program.open()
  const { id, key } = await program.call("POST", "/v1/api-keys", { name: "one", scopes: ["events:read"] })
  const good = String(key)
  assert.equal((await program.ask("GET", "/v1/events", undefined, as(good))).status, 200)
  const other = good.at(-1) === "0" ? "1" : "0"
  for (const wrong of [
    good.slice(0, -1),
    `${good.slice(0, -1)}${other}`,
    good.toLowerCase(),
    "",
    "null",
    `${good} x`,
  ]) {
    assert.equal(refusal(await program.ask("GET", "/v1/events", undefined, as(wrong))), "401 unauthorized", wrong)
  }
  assert.equal((await fetch(`${program.url}/v1/events?api_key=${good}`)).status, 401, "in an address it is no key")
  const rows = await program.rows<object>("select * from api_key")
  assert.ok(!JSON.stringify(rows).includes(good))
  await program.call("DELETE", `/v1/api-keys/${id}`)
  assert.equal(refusal(await program.ask("GET", "/v1/events", undefined, as(good))), "401 unauthorized")
  const expires_at = new Date(program.now + 60_000).toISOString()
  const short = await keyWith(program, ["events:read"], { expires_at })
  program.turn(60_000)
  assert.equal(refusal(await program.ask("GET", "/v1/events", undefined, as(short))), "401 unauthorized")
})

test("API3 object property level: nobody sets what is not theirs to set, or reads what they have no scope for", async () => {
  await using program = await Program.open()
  const made = await program.call("POST", "/v1/integrations", {
    name: "CRM",
    config: { production: { url: nowhere, authorization: "Bearer very-secret" }, verification: "none" },
  })
  const path = `/v1/integrations/${made.id}`
  for (const field of ["id", "project", "project_id", "revision", "created_at", "verification", "signing_keys"]) {
    assert.equal(refusal(await program.ask("PATCH", path, { [field]: "mine" })), "422 invalid", field)
  }
  assert.equal(
    refusal(await program.ask("POST", "/v1/events", { type: "a", project: "prj_00000000000" })),
    "422 invalid",
  )
  assert.doesNotMatch((await program.ask("GET", path)).text, /very-secret|whsec_/)
  const event = await program.call("POST", "/v1/events", { type: "a", data: { card: "4242" } })
  const reader = as(await keyWith(program, ["events:read"]))
  for (const address of [`/v1/events/${event.id}`, "/v1/events"]) {
    const answer = await program.ask("GET", address, undefined, reader)
    assert.equal(answer.status, 200)
    assert.doesNotMatch(answer.text, /4242/, "a payload needs payloads:read")
  }
})

test("API4 resource consumption: size, depth, number, time and rate are bounded", async () => {
  await using program = await Program.open()
  const long = "x".repeat(300_000)
  assert.equal(refusal(await program.ask("POST", "/v1/events", { type: "a", data: long })), "413 too_large")
  assert.equal(refusal(await program.ask("POST", "/v1/apps", { name: long.repeat(4) })), "413 too_large")
  const bomb = gzipSync(`{"type":"a","data":"${"x".repeat(10_000_000)}"}`)
  const packed = { "content-type": "application/json", "content-encoding": "gzip" }
  assert.equal(refusal(await program.ask("POST", "/v1/events", bomb, packed)), "413 too_large")
  const deep = `{"type":"a","data":${"[".repeat(5_000)}${"]".repeat(5_000)}}`
  assert.equal((await program.ask("POST", "/v1/events", deep, { "content-type": "application/json" })).status, 400)
  assert.equal(refusal(await program.ask("GET", "/v1/events?limit=100000")), "422 invalid")
  const slow = as(await keyWith(program, ["events:read"], { max_requests_per_minute: 2 }))
  const asked = await Promise.all(Array.from({ length: 5 }, () => program.ask("GET", "/v1/apps", undefined, slow)))
  const refused = asked.filter(({ status }) => status === 429)
  assert.ok(refused.length >= 2)
  assert.match(refused[0]?.headers.get("retry-after") ?? "", /^\d+$/)
})

test("API5 function level: a key reaches what its scope is for, and no more", async () => {
  await using program = await Program.open()
  const operations = operationsOf(await program.call("GET", "/openapi.json"))
  const sender = as(await keyWith(program, ["ingest"]))
  let tried = 0
  for (const { id, method, path, raw } of operations) {
    const scopes = ((raw["security"] ?? []) as Record<string, string[]>[]).flatMap(({ key = [] }) => key)
    if (scopes.length === 0 || scopes.includes("any") || scopes.includes("ingest")) continue
    tried++
    const address = path.replace(/\{\w+\}/g, "int_00000000000")
    assert.equal(
      refusal(await program.ask(method, address, method === "GET" ? undefined : {}, sender)),
      "403 forbidden",
      id,
    )
  }
  assert.ok(tried > 40)
})

test("API6 business flows: sending again is bounded, and a repeat is carried out once", async () => {
  await using program = await Program.open()
  const integrations = await program.integrate(nowhere)
  await program.send({ type: "a" })
  await program.call("POST", `/v1/integrations/${integrations}/pause`)
  const ask = { from: new Date(program.now - 60_000).toISOString(), integrations, statuses: ["missing"] }
  const later = await program.integrate(nowhere)
  await program.call("POST", `/v1/integrations/${later}/pause`)
  const once = { "idempotency-key": "same" }
  const first = await program.ask("POST", "/v1/recoveries", { ...ask, integrations: later }, once)
  const again = await program.ask("POST", "/v1/recoveries", { ...ask, integrations: later }, once)
  assert.deepEqual([first.status, again.status, again.body.id], [201, 201, first.body.id])
  assert.equal((await program.rows("select id from recovery")).length, 1)
  const many = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      program.ask("POST", "/v1/recoveries", { ...ask, integrations: later, event_types: [`none.${i}`, "a"] }),
    ),
  )
  assert.ok(
    many.some(answer => refusal(answer) === "409 conflict"),
    "so many at a time and no more",
  )
})

test("API7 server-side request forgery: an integration leads to no private address, however it is written", async () => {
  await using program = await Program.open()
  for (const url of [
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://192.168.1.1/admin",
    "http://[::ffff:10.0.0.1]/",
    "http://[fd00::1]/",
    "http://0xa000001/",
    "http://167772161/",
    "http://metadata.google.internal/",
    "http://printer.local/",
    "http://127.0.0.1:6379/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:70/",
    "http://user:pass@10.0.0.1/",
  ]) {
    const body = { name: "x", config: { production: { url }, verification: "none" } }
    assert.equal(refusal(await program.ask("POST", "/v1/integrations", body)), "422 invalid", url)
  }
  await using inside = await Endpoint.open()
  await using lure = await Endpoint.open({ status: 302, headers: { location: inside.url("/inner") } })
  const integration = await program.integrate(lure.url(), { policy: { retry_delays_ms: [] } })
  await program.send({ type: "a" })
  await program.recorded(1)
  assert.equal(inside.requests.length, 0, "redirects are not followed")
  assert.equal((await program.deliveries(integration))[0]?.status, "failed")
})

test("API8 misconfiguration: nothing is open by default, answers are for programs, and errors say nothing of the inside", async () => {
  await using program = await Program.open()
  const operations = operationsOf(await program.call("GET", "/openapi.json"))
  const open = operations.filter(({ raw }) => JSON.stringify(raw["security"] ?? null) === "[]").map(({ path }) => path)
  // Ways in, what balancers ask, public keys, and what is asked for by a token of its own.
  const meant =
    /^\/(livez|readyz|problems\/|v1\/(session|sign-in|password-resets|setup|invitations\/accept|removals\/)|v1\/integrations\/\{id\}\/jwks$)/
  assert.deepEqual(
    open.filter(path => !meant.test(path)),
    [],
  )
  const answer = await program.ask("OPTIONS", "/v1/events", undefined, { origin: "https://evil.example" })
  assert.equal(answer.headers.get("access-control-allow-origin"), null)
  assert.equal(answer.headers.get("x-powered-by") ?? answer.headers.get("server"), null)
  assert.match(answer.headers.get("content-security-policy") ?? "", /default-src 'none'/)
  const socket = connect({ host: "127.0.0.1", port: Number(new URL(program.url).port) })
  socket.end("TRACE / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer canary\r\n\r\n")
  assert.doesNotMatch(await text(socket), /canary/)
  for (const body of ["{", '{"name":{}}', '{"__proto__":{"admin":true},"name":"a"}']) {
    const { text: told } = await program.ask("POST", "/v1/apps", body, { "content-type": "application/json" })
    assert.doesNotMatch(told, /\bat \S+ \(|node:|\.ts:\d/)
  }
})

test("API9 inventory: what answers is in the document, under one version, and the document is the one that is published", async () => {
  await using program = await Program.open()
  const document = await program.call("GET", "/openapi.json")
  const operations = operationsOf(document)
  for (const { path } of operations) assert.match(path, /^\/(v1\/|\.well-known\/|livez$|readyz$|metrics$|problems\/)/)
  const published = operationsOf(
    JSON.parse(readFileSync(join(import.meta.dirname, "../../docs/reference/openapi.json"), "utf8")),
  )
  assert.deepEqual(operations.map(({ id }) => id).sort(), published.map(({ id }) => id).sort())
  for (const path of ["/", "/v0/events", "/v2/events", "/admin", "/debug", "/v1", "/.env", "/swagger", "/docs"]) {
    assert.equal((await program.ask("GET", path)).status, 404, path)
  }
})

test("API10 consuming other APIs: what an endpoint answers is bounded, unpacked by nobody, and shown as data", async () => {
  await using program = await Program.open()
  const script = "<script>alert(document.cookie)</script>"
  await using hostile = await Endpoint.open({
    status: 200,
    headers: { "content-type": "text/html", "set-cookie": "a=b", "content-encoding": "gzip" },
    body: Buffer.concat([Buffer.from(script), gzipSync("x".repeat(5_000_000)), Buffer.alloc(2_000_000, "y")]),
  })
  const integration = await program.integrate(hostile.url())
  await program.send({ type: "a" })
  await program.recorded(1)
  const [attempt] = await program.attempts(integration)
  assert.ok(attempt !== undefined)
  const { response_body } = await program.exchange(attempt)
  assert.ok(response_body !== null && response_body.length <= 16_384, "16 KiB are kept")
  const delivery = (await program.call("GET", `/v1/deliveries?integration=${integration}`)).data?.[0]?.id
  const shown = await program.ask("GET", `/v1/deliveries/${delivery}`)
  assert.match(shown.headers.get("content-type") ?? "", /^application\/json/)
  assert.equal(shown.headers.get("set-cookie"), null)
  assert.equal(shown.headers.get("x-content-type-options"), "nosniff")
})
