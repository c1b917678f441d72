/**
 * Characters that not every database can hold: NUL, and halves of characters. On both engines an identifier with one is
 * refused with a sentence, data keeps its bytes, and what the other side said is kept without harm.
 */
import assert from "node:assert/strict"
import { createServer } from "node:http"
import test, { type TestContext } from "node:test"
import { testDatabase } from "../help/postgres.ts"
import { type Json, Program } from "../help/program.ts"

for (const engine of ["sqlite", "postgres"] as const) {
  test(`on ${engine} an identifier with NUL or half a character is refused with a sentence`, async () => {
    await using program = await open(engine)
    for (const bad of ["a\\u0000b", "a\\ud800b"]) {
      for (const field of ["type", "id", "app", "profile_id", "device_id", "source_record", "ordering_key"]) {
        const type = field === "type" ? "" : '"type":"t",'
        const { status, body } = await post(program, "/v1/events", `{${type}"${field}":"${bad}"}`)
        assert.equal(status, 422, field)
        assert.match(String(body["detail"]), new RegExp(`${field} `), field)
      }
      for (const [path, text] of [
        ["/v1/projects", `{"name":"${bad}"}`],
        ["/v1/api-keys", `{"name":"${bad}"}`],
        ["/v1/apps", `{"name":"shop","title":"${bad}"}`],
        ["/v1/integrations", `{"name":"${bad}","config":{"production":{"url":"http://127.0.0.1:1/"}}}`],
        ["/v1/integrations", `{"name":"x","config":{"production":{"url":"http://127.0.0.1:1/\\u0000"}}}`],
        ["/v1/integrations", `{"name":"x","events":{"types":{"t":{"name":"${bad}"}}}}`],
      ] as const) {
        const { status, text: said } = await post(program, path, text)
        assert.ok(status === 400 || status === 422, `${path} ${text}: ${status} ${said}`)
      }
      const described = await ask(program, "PUT", "/v1/event-types/t", `{"description":"${bad}"}`)
      assert.equal(described.status, 422, described.text)
      assert.match(described.text, /must hold no NUL/)
    }
    for (const path of ["/v1/events?profile_id=a%00b", "/v1/deliveries?record=%00", "/v1/events?type=%00"]) {
      const { status, text } = await ask(program, "GET", path)
      assert.equal(status, 422, path)
      assert.match(text, /The query holds a NUL/)
    }
    const places = [
      ["/v1/events/evt_%00", 404],
      ["/v1/event-types/%00", 422],
    ] as const
    for (const [path, expected] of places) assert.equal((await ask(program, "GET", path)).status, expected, path)
  })

  test(`on ${engine} data keeps its bytes, whatever they are`, async () => {
    await using program = await open(engine)
    const data = '{"nul":"\\u0000","half":"\\ud800","key\\u0000":1}'
    const { body } = await post(program, "/v1/events", `{"type":"t","data":${data}}`)
    const id = String(body["id"])
    const { text } = await ask(program, "GET", `/v1/events/${id}`)
    assert.ok(text.includes(data), text)
    const example = await ask(program, "PUT", "/v1/event-types/t", `{"examples":[{"a":"\\u0000"}]}`)
    assert.ok(example.status < 300, example.text)
    const read = await ask(program, "GET", "/v1/event-types/t")
    assert.match(read.text, /\\u0000/)
  })

  test(`on ${engine} an answer with NUL and broken UTF-8 is kept, and its delivery goes on`, async t => {
    await using program = await open(engine)
    const url = await strangeReceiver(t)
    const made = await post(
      program,
      "/v1/integrations",
      JSON.stringify({
        name: "strange",
        config: { production: { url }, verification: "none" },
        policy: { retry_delays_ms: [] },
      }),
    )
    assert.equal(made.status, 201, made.text)
    const { body } = await post(program, "/v1/events", '{"type":"t","data":{}}')
    await program.recorded(1)
    const found = await ask(program, "GET", `/v1/deliveries?event=${body["id"]}`)
    const [delivery] = found.body["data"] as unknown as readonly Json[]
    assert.equal(delivery?.["status"], "failed", found.text)
    const whole = await ask(program, "GET", `/v1/deliveries/${delivery?.["id"]}`)
    assert.equal(whole.status, 200, whole.text)
    assert.match(whole.text, /"YnJva2VuIA/, "no text, so in base64")
    const failures = await ask(program, "GET", `/v1/integrations/${made.body["id"]}/failures`)
    assert.equal(failures.status, 200, failures.text)
  })
}

/** Answers 422 with a text that no database likes. */
async function strangeReceiver(t: TestContext): Promise<string> {
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(422, { "content-type": "text/plain; charset=utf-8", "x-strange": "caf\u00e9" })
    response.end(Buffer.concat([Buffer.from("broken \0 "), Buffer.from([0xff, 0xed, 0xa0, 0x80])]))
  })
  server.listen(0, "127.0.0.1")
  t.after(() => server.close())
  await new Promise(resolve => server.once("listening", resolve))
  const address = server.address()
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`
}

async function open(engine: "sqlite" | "postgres"): Promise<Program> {
  if (engine === "sqlite") return Program.open()
  return Program.open({ settings: { databaseUrl: await testDatabase(), allowUnsafeDatabase: "yes" } })
}

function post(program: Program, path: string, text: string) {
  return ask(program, "POST", path, text)
}

async function ask(program: Program, method: string, path: string, text?: string) {
  const response = await fetch(program.url + path, {
    method,
    headers: {
      authorization: `Bearer ${program.key}`,
      ...(text === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(text === undefined ? {} : { body: text }),
  })
  const said = await response.text()
  return { status: response.status, text: said, body: JSON.parse(said) as Json }
}
