/** CloudEvents through the whole program: in by each of their modes, out by both, attributes and data unchanged. */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { Endpoint, type Received } from "../help/endpoint.ts"
import { type Answer, numberOf, Program } from "../help/program.ts"

type Attributes = Readonly<Record<string, string | number | boolean | null>>

/** A case that says the same in all modes. `data` is text, and JSON where the type says so; null: none. */
interface TwoModes {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly data: string | null
}
interface OneEvent {
  readonly name: string
  readonly event: Attributes
  /** Of an invalid one: where its fault lies. */
  readonly pointer?: string
}

function golden<Case>(name: string): Case[] {
  return JSON.parse(readFileSync(join(import.meta.dirname, `../golden/cloudevents/${name}.json`), "utf8")) as Case[]
}

const STRUCTURED = "application/cloudevents+json"
const BATCH = "application/cloudevents-batch+json"

let program: Program
let structured: Endpoint
let binary: Endpoint
before(async () => {
  program = await Program.open()
  ;[structured, binary] = await Promise.all([Endpoint.open(), Endpoint.open()])
  for (const [endpoint, mode] of [
    [structured, "structured"],
    [binary, "binary"],
  ] as const) {
    const url = endpoint.url()
    await program.integrate(url, { config: { sandbox: { url }, format: "cloudevents", cloudevents_mode: mode } })
  }
})
after(async () => {
  await program[Symbol.asyncDispose]()
  await Promise.all([structured.close(), binary.close()])
})

function post(type: string, body: string | Uint8Array, headers: Record<string, string> = {}): Promise<Answer> {
  return program.ask("POST", "/v1/events", body, { "content-type": type, ...headers })
}

/** The request that brought an event, when it has come. */
async function brought(endpoint: Endpoint, answer: Answer): Promise<Received> {
  assert.equal(answer.status, 202, answer.text)
  for (;;) {
    const found = endpoint.requests.find(({ headers }) => headers["webhook-id"] === answer.body.id)
    if (found !== undefined) return found
    await endpoint.received(endpoint.requests.length + 1)
  }
}

/** What stands in an event that went out in binary mode. */
function readBinary({ headers, body }: Received): { attributes: Record<string, unknown>; data: string } {
  const attributes = Object.entries(headers).flatMap(([name, value]) =>
    name.startsWith("ce-") ? [[name.slice(3), decodeURIComponent(value ?? "")]] : [],
  )
  if (headers["content-type"] !== undefined) attributes.push(["datacontenttype", headers["content-type"]])
  return { attributes: Object.fromEntries(attributes) as Record<string, unknown>, data: body.toString() }
}

/** The same of one in structured mode; its data as the text that stands there. */
function readStructured({ headers, body }: Received): { attributes: Record<string, unknown>; data: string | null } {
  assert.equal(headers["content-type"], "application/cloudevents+json; charset=utf-8")
  const text = body.toString()
  const { data, ...attributes } = JSON.parse(text) as Record<string, unknown>
  const at = text.indexOf(',"data":')
  return { attributes, data: data === undefined && at < 0 ? null : text.slice(at + ',"data":'.length, -1) }
}

describe("a conformance case comes out as it went in", () => {
  const plain = (value: string) => Buffer.from(value.replaceAll("%", "%25")).toString("latin1")
  for (const { name, attributes, data } of golden<TwoModes>("both-modes")) {
    const { datacontenttype = "", ...others } = attributes
    const isJson = /[/+]json/.test(datacontenttype)
    const written = data === null ? null : isJson ? data : JSON.stringify(data)
    const json = (id: string) => {
      const head = JSON.stringify({ ...attributes, id }).slice(0, -1)
      return written === null ? `${head}}` : `${head},"data":${written}}`
    }
    const inHeaders = (id: string, encode: (value: string) => string) =>
      Object.fromEntries(Object.entries({ ...others, id }).map(([key, value]) => [`ce-${key}`, encode(value)]))
    const modes: Record<string, (id: string) => Promise<Answer>> = {
      structured: id => post(STRUCTURED, json(id)),
      binary: id => post(datacontenttype, data ?? "", inHeaders(id, encodeURIComponent)),
      "binary-plain": id => post(datacontenttype, data ?? "", inHeaders(id, plain)),
      batch: async id => {
        const answer = await post(BATCH, `[${json(id)}]`)
        const [result] = Object.values(answer.body.results ?? {})
        return { ...answer, body: result ?? {} }
      },
    }
    for (const [mode, send] of Object.entries(modes)) {
      test(`${name}, in as ${mode}`, async () => {
        const id = `${attributes.id}/${mode}`
        const answer = await send(id)
        assert.equal(answer.body.external_id, id, answer.text)
        if (attributes.historical === "true") return
        const expected = { environment: "production", ...attributes, id }
        const asHeaders = readBinary(await brought(binary, answer))
        assert.deepEqual(asHeaders, { attributes: expected, data: data ?? "" })
        const asJson = readStructured(await brought(structured, answer))
        assert.deepEqual(asJson, { attributes: expected, data: written })
      })
    }
  }
})

describe("data", () => {
  const frame = { specversion: "1.0", source: "/shop", type: "shop.test" }

  test("as base64 comes out as its bytes, in binary mode without a type that nobody gave", async () => {
    const bytes = Buffer.from([0, 255, 10, 128])
    const answer = await post(STRUCTURED, JSON.stringify({ ...frame, id: "64", data_base64: bytes.toString("base64") }))
    const { headers, body } = await brought(binary, answer)
    assert.deepEqual([body, headers["content-type"]], [bytes, undefined])
    const out = JSON.parse((await brought(structured, answer)).body.toString()) as Record<string, unknown>
    assert.deepEqual(
      [out["data_base64"], "data" in out, "datacontenttype" in out],
      [bytes.toString("base64"), false, false],
    )
  })

  test("of no type is JSON, and says so when it goes out in another mode", async () => {
    const answer = await post(STRUCTURED, JSON.stringify({ ...frame, id: "string", data: "I'm just a string" }))
    const { headers, body } = await brought(binary, answer)
    assert.deepEqual([headers["content-type"], body.toString()], ["application/json", `"I'm just a string"`])
  })

  test("of 65,536 bytes and an event of as many pass through, in both modes (CE-20)", async () => {
    const bytes = Buffer.alloc(65_536, "x")
    const inBinary = await post("text/plain", bytes, {
      "ce-specversion": "1.0",
      "ce-id": "64k",
      "ce-source": "/",
      "ce-type": "t",
    })
    assert.deepEqual((await brought(binary, inBinary)).body, bytes)
    const text = JSON.stringify({ ...frame, id: "64k", data: "" })
    const whole = text.replace('""', `"${"y".repeat(65_536 - text.length)}"`)
    assert.equal(whole.length, 65_536)
    const inStructured = await post(STRUCTURED, whole)
    assert.equal((await brought(structured, inStructured)).body.includes("y".repeat(65_000)), true)
    assert.equal((await brought(binary, inStructured)).body.length, 65_536 - text.length + 2)
  })
})

describe("the mode", () => {
  const event = { specversion: "1.0", id: "mode", source: "/shop", type: "shop.test", data: 1 }
  const headers = { "ce-specversion": "1.0", "ce-id": "other", "ce-source": "/other", "ce-type": "other" }

  test("follows from the Content-Type, whatever its letters and parameters", async () => {
    for (const [i, type] of [
      "APPLICATION/CloudEvents+JSON; charset=UTF-8",
      "application/cloudevents+json",
      'application/cloudevents+json; a=b; charset="utf-8"',
    ].entries()) {
      const answer = await post(type, JSON.stringify({ ...event, id: `mode-${i}` }))
      assert.deepEqual([answer.status, answer.body.external_id], [202, `mode-${i}`], type)
    }
  })

  test("is structured where both stand there, and the body counts", async () => {
    const answer = await post(STRUCTURED, JSON.stringify({ ...event, id: "both" }), headers)
    assert.equal(answer.body.external_id, "both")
  })

  test("of a format that is not known here is refused with 415", async () => {
    for (const type of [
      "application/cloudevents+avro",
      "application/cloudevents-batch+xml",
      `${STRUCTURED}; charset=utf-16`,
    ]) {
      const answer = await post(type, JSON.stringify(event))
      assert.deepEqual([answer.status, answer.body.code], [415, "unsupported_media_type"], type)
    }
  })

  test("is binary as soon as one of the mandatory headers is there, and says which are missing", async () => {
    const { "ce-id": _, ...rest } = headers
    const answer = await post("application/json", "{}", rest)
    assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [400, "header/ce-id"])
  })

  test("batch has a result for each event, takes none and a thousand, and no more", async () => {
    const many = (count: number) =>
      JSON.stringify(Array.from({ length: count }, (_, i) => ({ ...event, id: `many-${i}`, historical: true })))
    assert.deepEqual((await post(BATCH, "[]")).body, { accepted: 0, refused: 0, results: [] })
    assert.equal((await post(BATCH, many(1_000))).body.accepted, 1_000)
    assert.equal((await post(BATCH, many(1_001))).status, 413)
    const mixed = await post(BATCH, JSON.stringify([{ ...event, id: "good" }, { ...event, id: "" }, 7]))
    assert.deepEqual([mixed.status, mixed.body.accepted, mixed.body.refused], [202, 1, 2])
    const pointers = Object.values(mixed.body.results ?? {}).map(result => result?.problem?.errors?.[0]?.pointer)
    assert.deepEqual(pointers, [undefined, "/1/id", "/2"])
  })
})

describe("one and the same", () => {
  const event = (id: string, source: string, data: unknown) =>
    post(STRUCTURED, JSON.stringify({ specversion: "1.0", id, source, type: "shop.test", data }))

  test("is an event of one source and id: the second is a repeat, of another source it is another (CE-16)", async () => {
    const first = await event("same", "/a", 1)
    const again = await event("same", "/a", 1)
    assert.deepEqual([again.body.id, again.body.duplicate], [first.body.id, true])
    assert.equal((await event("same", "/b", 1)).body.duplicate, false)
    assert.equal((await event("same", "/a", 2)).status, 409)
  })

  test("goes to the receivers of our own format as well, with its id, source and data", async () => {
    await using there = await Endpoint.open()
    const events = { default: "off", types: { "shop.native": { enabled: true } } }
    const integration = await program.integrate(there.url(), { events })
    const body = '{"specversion":"1.0","id":"n-1","source":"/shop","type":"shop.native","data":{"n":1.0}}'
    const answer = await post(STRUCTURED, body)
    const {
      id,
      received_at: _,
      timestamp: __,
      ...rest
    } = JSON.parse((await there.request(1)).body.toString()) as Record<string, unknown>
    assert.equal(id, answer.body.id)
    assert.deepEqual(rest, {
      type: "shop.native",
      data: { n: 1 },
      source: "/shop",
      environment: "production",
      external_id: "n-1",
    })
    assert.match(there.requests[0]?.body.toString() ?? "", /"data":\{"n":1\.0\}/)
    await program.call("DELETE", `/v1/integrations/${integration}`)
  })
})

describe("what the rules of CloudEvents allow and forbid", () => {
  test("each valid case is taken", async () => {
    for (const { name, event } of golden<OneEvent>("valid")) {
      const answer = await post(STRUCTURED, JSON.stringify(event))
      assert.equal(answer.status, 202, `${name}: ${answer.text}`)
      const [row] = await program.rows<{ external_id: string }>(
        "select external_id from event where id = ?",
        numberOf("evt", answer.body.id),
      )
      assert.equal(row?.external_id, event.id)
    }
  })

  test("each invalid case is refused with the attribute that is wrong, and nothing of it is stored", async () => {
    const count = async () => (await program.rows<{ n: number }>("select count(*) as n from event"))[0]?.n
    const before = await count()
    for (const { name, event, pointer } of golden<OneEvent>("invalid")) {
      const answer = await post(STRUCTURED, JSON.stringify(event))
      assert.ok(answer.status === 400 || answer.status === 422, `${name}: ${answer.text}`)
      assert.equal(answer.body.errors?.[0]?.pointer, pointer, name)
    }
    assert.equal(await count(), before)
  })
})
