/** The headers that every answer has, whatever it is (API-28): of each operation, and of what never becomes a request. */
import assert from "node:assert/strict"
import { connect } from "node:net"
import { text } from "node:stream/consumers"
import { describe, test } from "node:test"
import { answerHeaderFault, isBrowserHeader } from "../../src/connectors/header-rules.ts"
import { operationsOf } from "../help/document.ts"
import { Program } from "../help/program.ts"

const expected = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "accelerometer=(), camera=(), geolocation=(), gyroscope=(), microphone=(), payment=(), usb=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
}
const names = [...Object.keys(expected), "strict-transport-security"]

/** Those of an answer that are of them all. */
function chosen(headers: { get(name: string): string | null }): Record<string, string> {
  return Object.fromEntries(
    names.flatMap(name => [[name, headers.get(name)] as const].filter(([, v]) => v !== null)),
  ) as Record<string, string>
}

/** What is answered to bytes that need be no request. */
async function say(program: Program, bytes: string): Promise<{ readonly status: number; readonly headers: Headers }> {
  const socket = connect({ host: "127.0.0.1", port: Number(new URL(program.url).port) })
  socket.end(bytes)
  const [head = ""] = (await text(socket)).split("\r\n\r\n")
  const [first = "", ...lines] = head.split("\r\n")
  const pairs = lines.map(line => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()] as const)
  return { status: Number(first.split(" ")[1]), headers: new Headers(pairs.map(([name, value]) => [name, value])) }
}

describe("every answer tells a browser to make nothing of it", () => {
  test("of every operation, with a key and without", async () => {
    await using program = await Program.open()
    const operations = operationsOf(await program.call("GET", "/openapi.json"))
    assert.ok(operations.length > 50)
    for (const { id, method, path } of operations) {
      const address = program.url + path.replace(/\{\w+\}/g, "int_00000000000")
      for (const authorization of [`Bearer ${program.key}`, "Bearer nonsense"]) {
        const abort = new AbortController()
        const response = await fetch(address, { method, headers: { authorization }, signal: abort.signal })
        assert.deepEqual(chosen(response.headers), expected, `${id} → ${response.status}`)
        abort.abort()
      }
    }
  })

  test("of what no route is for, what is no request, and what the parser refuses", async () => {
    await using program = await Program.open()
    const type = { "content-type": "application/json" }
    const answers = [
      [404, await program.ask("GET", "/nowhere")],
      [404, await program.ask("OPTIONS", "/v1/integrations")],
      [400, await program.ask("POST", "/v1/apps", "{", type)],
      [415, await program.ask("POST", "/v1/apps", "<a/>", { "content-type": "text/xml" })],
      [413, await program.ask("POST", "/v1/apps", `{"name":"${"x".repeat(1_100_000)}"}`, type)],
      [414, await program.ask("GET", `/v1/apps?${"x".repeat(9_000)}`)],
      [400, await say(program, "GET /%c0%ae HTTP/1.1\r\nhost: x\r\n\r\n")],
      [400, await say(program, "nonsense\r\n\r\n")],
      [431, await say(program, `GET / HTTP/1.1\r\nhost: x\r\nx: ${"x".repeat(20_000)}\r\n\r\n`)],
    ] as const
    for (const [status, answer] of answers) {
      assert.equal(answer.status, status)
      assert.deepEqual(chosen(answer.headers), expected, `${status}`)
    }
  })

  test("of a 304, and of a stream", async () => {
    await using program = await Program.open()
    const path = `/v1/integrations/${await program.integrate("http://127.0.0.1:9/")}`
    const { headers } = await program.ask("GET", path)
    const unchanged = await program.ask("GET", path, undefined, { "if-none-match": headers.get("etag") ?? "" })
    assert.equal(unchanged.status, 304)
    assert.deepEqual(chosen(unchanged.headers), expected)
    const abort = new AbortController()
    const authorization = `Bearer ${program.key}`
    const stream = await fetch(`${program.url}/v1/stream`, { headers: { authorization }, signal: abort.signal })
    assert.equal(stream.status, 200)
    assert.deepEqual(chosen(stream.headers), expected)
    abort.abort()
  })

  test("and to come back by TLS only, where that is how it is reached", async () => {
    await using program = await Program.open({ publicUrl: "https://hub.example" })
    const all = { ...expected, "strict-transport-security": "max-age=15552000" }
    assert.deepEqual(chosen((await program.ask("GET", "/livez")).headers), all)
    assert.deepEqual(chosen((await say(program, "nonsense\r\n\r\n")).headers), all)
  })

  test("also of an inbox, whose owner has no say in it", async () => {
    await using program = await Program.open()
    const made = await program.call("POST", "/v1/integrations", {
      name: "inbox",
      connector: "inbox",
      config: {
        answer: { headers: { "Content-Type": "text/html", "X-Mine": "1" }, body: "<script>alert(1)</script>" },
      },
    })
    const inbox = await program.call("GET", `/v1/integrations/${made.id}/inbox`)
    const answer = await fetch(String(inbox.url), { method: "POST", body: "{}" })
    assert.deepEqual([answer.status, answer.headers.get("x-mine")], [200, "1"])
    assert.deepEqual(chosen(answer.headers), expected)
    for (const name of [...names, "Set-Cookie", "Clear-Site-Data"]) {
      assert.match(answerHeaderFault(name, "x") ?? "", /has no say in/, name)
    }
  })

  test("and no inbox has a browser report, keep or change anything for the whole of this server", async () => {
    const kept =
      "NEL Report-To Reporting-Endpoints Alt-Svc Accept-CH Critical-CH Service-Worker-Allowed Clear-Site-Data " +
      "Strict-Transport-Security Public-Key-Pins Expect-CT Set-Login Use-As-Dictionary Origin-Agent-Cluster"
    for (const name of kept.split(" ")) {
      assert.match(answerHeaderFault(name, "x") ?? "", /has no say in/, name)
      assert.equal(isBrowserHeader(name), true, name)
    }
    await using program = await Program.open()
    const headers = { NEL: '{"report_to":"there","max_age":2592000}' }
    const config = { answer: { headers } }
    const made = await program.ask("POST", "/v1/integrations", { name: "x", connector: "inbox", config })
    assert.deepEqual([made.status, made.body.errors?.[0]?.pointer], [422, "/config/answer/headers/NEL"])
    assert.equal(answerHeaderFault("Retry-After", "5"), null)
  })

  test("nor with a header that it was given when that was still taken", async () => {
    await using program = await Program.open()
    const config = { answer: { headers: { "X-Later-NEL": "{}", "X-Mine": "1" } } }
    const { id } = await program.call("POST", "/v1/integrations", { name: "x", connector: "inbox", config })
    const { url } = await program.call("GET", `/v1/integrations/${id}/inbox`)
    await program.stop()
    await program.leave("update integration set snapshot = replace(snapshot, 'X-Later-NEL', 'NEL')")
    await program.restart()
    const answer = await fetch(program.url + new URL(String(url)).pathname, { method: "POST", body: "{}" })
    assert.deepEqual([answer.status, answer.headers.get("x-mine"), answer.headers.get("nel")], [200, "1", null])
  })
})
