/** Events in: kept byte for byte, answered when they are on disk, each repeat known for what it is. */
import assert from "node:assert/strict"
import { once } from "node:events"
import { type IncomingMessage, request } from "node:http"
import { text } from "node:stream/consumers"
import { after, before, describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { engine } from "../help/engines.ts"
import { type Answer, type Json, MORNING, numberOf, Program } from "../help/program.ts"
import { assertWithin } from "../help/punctual.ts"

let program: Program
before(async () => {
  program = await Program.open()
})
after(() => program[Symbol.asyncDispose]())

/** Counts of what a test adds, whatever others have added. */
async function counting(text = "select count(*) as n from event"): Promise<() => Promise<number>> {
  const count = async () => (await program.rows<{ n: number }>(text))[0]?.n ?? 0
  const before = await count()
  return async () => (await count()) - before
}

function post(body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  return program.ask("POST", "/v1/events", body, headers)
}

function firstError({ body }: Answer): unknown[] {
  return [body.status, body.code, body.errors?.[0]?.pointer]
}

describe("data", () => {
  const texts = [
    "1.0",
    "1e2",
    "-0",
    "1E+400",
    "12345678901234567890",
    '{"n":0.10000000000000000555}',
    '{"a":1,"b":2,"a":3}',
    '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
    '"\\u0041\\ud83d\\ude00\\/\\b"',
    '"\\ud800"',
    '"Grüße 😀 \u2028"',
    '{ "spaces" : [ 1 ,\t2 ] }',
    "null",
    '""',
    `${"[".repeat(63)}1${"]".repeat(63)}`,
    '{"</script>":"<!--"}',
  ]

  test("arrives at the receiver in the very bytes in which it was sent, alone and in a batch", async () => {
    await using there = await Endpoint.open()
    const events = { default: "off", types: { exact: { enabled: true } } }
    const integration = await program.integrate(there.url(), { events })
    const bodies = texts.map((text, i) => `{"type":"exact","id":"exact-${i}","data":  ${text}  }`)
    for (const body of bodies) assert.equal((await post(body)).status, 202)
    const batch = bodies.map(body => body.replace("exact-", "batch-"))
    const answer = await program.ask("POST", "/v1/events/batch", `{"events":[${batch.join(" ,\n")}]}`)
    assert.equal(answer.body.accepted, texts.length)
    await there.received(2 * texts.length)
    for (const [i, text] of texts.entries()) {
      for (const kind of ["exact", "batch"]) {
        const sent = there.requests.find(({ body }) => body.includes(`"external_id":"${kind}-${i}"`))?.body.toString()
        assert.ok(sent?.includes(`,"data":${text},"received_at":`), `${text} went out as ${sent}`)
      }
    }
    assert.equal(({} as { polluted?: unknown }).polluted, undefined)
    await program.call("DELETE", `/v1/integrations/${integration}`)
  })

  test("may be nested 64 levels deep, and no level more", async () => {
    const nested = (levels: number) => `{"type":"a","data":${"[".repeat(levels)}${"]".repeat(levels)}}`
    assert.equal((await post(nested(64))).status, 202)
    const answer = await post(nested(65))
    assert.deepEqual(firstError(answer).slice(0, 2), [400, "malformed"])
    assert.match(String(answer.body.detail), /64 levels/)
  })

  test("that is nested a hundred thousand levels deep is refused in a moment", async () => {
    const startedAt = performance.now()
    assert.equal((await post(`{"type":"a","data":${"[".repeat(100_000)}`)).status, 400)
    assertWithin(performance.now() - startedAt, 1_000)
  })
})

describe("an event", () => {
  test("is answered with its id and the sender's own, and keeps every field of its envelope", async () => {
    const answer = await post({
      type: "subscription_renewed",
      data: { plan: "pro" },
      id: "order-1842-renewal-3",
      occurred_at: "2026-11-21T09:59:58.5+00:00",
      environment: "sandbox",
      app: "ios",
      profile_id: "p-1",
      device_id: "d-1",
      source_record: "order-1842",
      ordering_key: "k-1",
    })
    assert.equal(answer.status, 202)
    const { id, ...rest } = answer.body
    assert.deepEqual(rest, { external_id: "order-1842-renewal-3", status: "received", duplicate: false })
    const [row] = await program.rows<Record<string, unknown>>("select * from event where id = ?", numberOf("evt", id))
    const { type, source, external_id, environment, profile_id, device_id, source_record, ordering_key } = row ?? {}
    assert.deepEqual(
      { type, source, external_id, environment, profile_id, device_id, source_record, ordering_key },
      {
        type: "subscription_renewed",
        source: "api",
        external_id: "order-1842-renewal-3",
        environment: "sandbox",
        profile_id: "p-1",
        device_id: "d-1",
        source_record: "order-1842",
        ordering_key: "k-1",
      },
    )
    assert.deepEqual([row?.["occurred_at"], row?.["received_at"]], [MORNING - 1_500, MORNING])
  })

  const wrong: [
    what: string,
    event: string,
    status: number,
    code: string,
    pointer: string | undefined,
    says: RegExp,
  ][] = [
    ["no JSON", '{"type":"a"', 400, "malformed", "", /not valid JSON/],
    ["no object", "[]", 422, "invalid", "", /is an object/],
    ["a member twice", '{"type":"a","type":"b"}', 400, "malformed", "/type", /stands there twice/],
    ["no type", "{}", 422, "invalid", "/type", /type is missing/],
    ["an unknown field", '{"type":"a","occured_at":"x"}', 422, "invalid", "/occured_at", /did you mean "occurred_at"/],
    ["a field far from any", '{"type":"a","zzz":1}', 422, "invalid", "/zzz", /what is your own goes into data/],
    ["a type of Waybill's own", '{"type":"waybill.test"}', 422, "invalid", "/type", /Waybill's own/],
    ["a type with a space", '{"type":"a b"}', 422, "invalid", "/type", /printable ASCII/],
    ["a type of 129 characters", `{"type":"${"a".repeat(129)}"}`, 422, "invalid", "/type", /128/],
    ["a time that is none", '{"type":"a","occurred_at":"yesterday"}', 422, "invalid", "/occurred_at", /RFC 3339/],
    [
      "a time before 1970",
      '{"type":"a","occurred_at":"1969-12-31T23:59:59Z"}',
      422,
      "invalid",
      "/occurred_at",
      /before 1970/,
    ],
    [
      "a time two days ahead",
      '{"type":"a","occurred_at":"2026-11-23T10:00:00Z"}',
      422,
      "invalid",
      "/occurred_at",
      /24 hours ahead/,
    ],
    [
      "an environment of its own",
      '{"type":"a","environment":"staging"}',
      422,
      "invalid",
      "/environment",
      /"production" or "sandbox"/,
    ],
    ["an app with a slash", '{"type":"a","app":"a/b"}', 422, "invalid", "/app", /1 to 64/],
    ["a number for an id", '{"type":"a","id":7}', 422, "invalid", "/id", /has to be a string/],
    ["an id with a line break", '{"type":"a","id":"a\\nb"}', 422, "invalid", "/id", /control character/],
  ]
  for (const [what, event, status, code, pointer, says] of wrong) {
    test(`with ${what} is refused with the field and a sentence, and nothing of it is stored`, async () => {
      const added = await counting()
      const answer = await post(event)
      assert.deepEqual(firstError(answer), [status, code, pointer], answer.text)
      assert.equal(answer.headers.get("content-type"), "application/problem+json; charset=utf-8")
      assert.match(String(answer.body.errors?.[0]?.message), says)
      assert.equal(await added(), 0)
    })
  }

  test("tells of all that is wrong with it at once", async () => {
    const { body } = await post({ type: "a b", app: "a/b", historical: 1, colour: "red" })
    const pointers = Object.values(body.errors ?? {}).map(error => error?.pointer)
    assert.deepEqual(pointers, ["/type", "/app", "/historical", "/colour"])
  })

  test("makes its app the first time that one is named, and only once however many name it at the same moment", async () => {
    const added = await counting("select count(*) as n from app")
    await Promise.all(Array.from({ length: 20 }, () => post({ type: "a", app: "fresh-app" })))
    assert.equal(await added(), 1)
    const apps = await program.call("GET", "/v1/apps")
    assert.equal(apps.data?.[0]?.name, "fresh-app")
  })
})

describe("an event's own id", () => {
  test("makes a repeat harmless: the first one's id, marked as a duplicate, and nothing more stored or sent", async () => {
    await using there = await Endpoint.open()
    const events = { default: "off", types: { own: { enabled: true } } }
    const integration = await program.integrate(there.url(), { events })
    const added = await counting()
    const first = await post('{"type":"own","id":"o-1","data":{"n":1.0}}')
    // The same content, written down in another way.
    const again = await post('{ "data": {"n":1.0}, "id":"o\\u002d1", "type":"own" }')
    assert.deepEqual([first.body.duplicate, again.status, again.body.duplicate], [false, 202, true])
    assert.equal(again.body.id, first.body.id)
    assert.equal(await added(), 1)
    await there.received(1)
    assert.equal((await program.deliveries(integration)).length, 1)
    await program.call("DELETE", `/v1/integrations/${integration}`)
  })

  test("with other content is a conflict that names the earlier event", async () => {
    const first = await post('{"type":"own","id":"o-2","data":{"n":1}}')
    for (const other of [
      '{"type":"own","id":"o-2","data":{"n":1.0}}',
      '{"type":"own","id":"o-2","data":{"n":2}}',
      '{"type":"own","id":"o-2"}',
      '{"type":"own","id":"o-2","data":{"n":1},"profile_id":"p"}',
    ]) {
      const answer = await post(other)
      assert.deepEqual(firstError(answer), [409, "conflict", "/id"], other)
      assert.equal(answer.body.event, first.body.id)
      assert.match(String(answer.body.detail), new RegExp(String(first.body.id)))
    }
  })

  test("is unique per source, so that a CloudEvent of another source may have it too", async () => {
    await post({ type: "own", id: "o-3" })
    const cloud = (source: string) =>
      post(JSON.stringify({ specversion: "1.0", id: "o-3", source, type: "own" }), {
        "content-type": "application/cloudevents+json",
      })
    assert.deepEqual([(await cloud("/a")).body.duplicate, (await cloud("/b")).body.duplicate], [false, false])
    assert.equal((await cloud("/a")).body.duplicate, true)
  })

  test("makes one event of fifty requests at the same moment", async () => {
    const added = await counting()
    const answers = await Promise.all(Array.from({ length: 50 }, () => post({ type: "own", id: "o-4" })))
    assert.equal(await added(), 1)
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([202]))
    assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1)
    assert.equal(answers.filter(({ body }) => body.duplicate as unknown as boolean).length, 49)
  })

  test("is known after a restart", async () => {
    const first = await post({ type: "own", id: "o-5", data: 1 })
    await program.restart()
    const again = await post({ type: "own", id: "o-5", data: 1 })
    assert.deepEqual([again.body.id, again.body.duplicate], [first.body.id, true])
    assert.equal((await post({ type: "own", id: "o-5", data: 2 })).status, 409)
  })
})

describe("an Idempotency-Key", () => {
  test("makes a repeat harmless, in quotes or bare", async () => {
    const first = await post({ type: "a", data: 1 }, { "idempotency-key": '"key-1"' })
    assert.equal(first.headers.get("idempotency-replayed"), null)
    for (const key of ['"key-1"', "key-1"]) {
      const again = await post({ type: "a", data: 1 }, { "idempotency-key": key })
      assert.deepEqual([again.status, again.body.id, again.body.duplicate], [202, first.body.id, true])
      assert.equal(again.headers.get("idempotency-replayed"), "true")
    }
  })

  test("of another request is refused, with the event that it was used for", async () => {
    const first = await post({ type: "a", data: 1 }, { "idempotency-key": "key-2" })
    const answer = await post({ type: "a", data: 2 }, { "idempotency-key": "key-2" })
    assert.deepEqual(firstError(answer), [422, "idempotency_mismatch", "header/idempotency-key"])
    assert.equal(answer.body.event, first.body.id)
  })

  test("makes one event of fifty requests at the same moment, delivered once", async () => {
    await using there = await Endpoint.open()
    const events = { default: "off", types: { keyed: { enabled: true } } }
    const integration = await program.integrate(there.url(), { events })
    const added = await counting()
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => post({ type: "keyed" }, { "idempotency-key": '"key-3"' })),
    )
    assert.equal(await added(), 1)
    assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1)
    await there.received(1)
    assert.equal((await program.deliveries(integration)).length, 1)
    await program.call("DELETE", `/v1/integrations/${integration}`)
  })

  test("is the same however it is written", async () => {
    const first = await post({ type: "a" }, { "idempotency-key": String.raw`"say \"hi\" \\ bye"` })
    const bare = await post({ type: "a" }, { "idempotency-key": String.raw`say "hi" \ bye` })
    assert.deepEqual([bare.body.id, bare.body.duplicate], [first.body.id, true])
  })

  test("that cannot be one is refused, and nothing is stored", async () => {
    const added = await counting()
    for (const key of ["", '""', "x".repeat(256), '"no end', '"a"b"', String.raw`"a\b"`, "caf\u00e9"]) {
      const answer = await post({ type: "a" }, { "idempotency-key": key })
      assert.deepEqual(firstError(answer), [400, "malformed", "header/idempotency-key"], key)
    }
    assert.equal(await added(), 0)
  })
})

/** Sends a batch past the fetch that holds answers against the document: what is our own error stands nowhere in it. */
async function outsideTheDocument(body: string): Promise<{ readonly status: number | undefined; readonly body: Json }> {
  const headers = { authorization: `Bearer ${program.key}`, "content-type": "application/json" }
  const sent = request(`${program.url}/v1/events/batch`, { method: "POST", headers }).end(body)
  const [answer] = (await once(sent, "response")) as [IncomingMessage]
  return { status: answer.statusCode, body: JSON.parse(await text(answer)) as Json }
}

describe("a batch", () => {
  const send = (body: unknown, headers: Record<string, string> = {}) =>
    program.ask("POST", "/v1/events/batch", body, headers)

  test("has a result for each of its events, in their order, and the good ones are kept", async () => {
    const added = await counting()
    const answer = await send({
      events: [{ type: "a", id: "b-1" }, { type: "" }, { type: "b" }, 7, { type: "a", id: "b-1" }],
    })
    assert.equal(answer.status, 202)
    assert.deepEqual([answer.body.accepted, answer.body.refused, await added()], [3, 2, 2])
    const results = Object.values(answer.body.results ?? {})
    assert.deepEqual(
      results.map(result => [result?.index, result?.problem?.status, result?.problem?.errors?.[0]?.pointer]),
      [
        [0, undefined, undefined],
        [1, 422, "/events/1/type"],
        [2, undefined, undefined],
        [3, 422, "/events/3"],
        [4, undefined, undefined],
      ],
    )
    assert.deepEqual([results[4]?.id, results[4]?.duplicate], [results[0]?.id, true])
  })

  test("may have a thousand events and no more", async () => {
    const events = Array.from({ length: 1_000 }, (_, i) => ({ type: "a", data: i }))
    const added = await counting()
    assert.equal((await send({ events })).body.accepted, 1_000)
    const answer = await send({ events: [...events, { type: "a" }] })
    assert.deepEqual(firstError(answer), [413, "too_large", "/events"])
    assert.equal(await added(), 1_000)
    assert.deepEqual((await send({ events: [] })).body, { accepted: 0, refused: 0, results: [] })
  })

  test("sent again with its key has the same results, each a duplicate", async () => {
    const events = [{ type: "a", data: 1 }, { type: "a", data: 1 }, { type: "b" }]
    const added = await counting()
    const first = await send({ events }, { "idempotency-key": '"batch-1"' })
    const again = await send({ events }, { "idempotency-key": "batch-1" })
    const ids = (answer: Answer) => Object.values(answer.body.results ?? {}).map(result => result?.id)
    const duplicates = (answer: Answer) => Object.values(answer.body.results ?? {}).map(result => result?.duplicate)
    assert.equal(new Set(ids(first)).size, 3)
    assert.deepEqual(ids(again), ids(first))
    assert.deepEqual([duplicates(first), duplicates(again)], [Array(3).fill(false), Array(3).fill(true)])
    assert.equal(await added(), 3)
  })

  test("that is no batch is refused whole", async () => {
    for (const [body, pointer] of [
      ["[]", ""],
      ["{}", "/events"],
      ['{"events":{}}', "/events"],
      ['{"events":[],"more":1}', "/more"],
    ] as const) {
      assert.deepEqual(firstError(await send(body)), [422, "invalid", pointer], body)
    }
  })

  test("of which one event meets an error of ours says that others may be stored, and is sent again without a second of any", async () => {
    // An event that no commit takes, whichever others share it.
    await program.leave(
      engine === "sqlite"
        ? "create trigger spoilt before insert on event when new.type = 'spoilt' begin select raise(abort, 'spoilt'); end"
        : "alter table event add constraint spoilt check (type <> 'spoilt') not valid",
    )
    const events = [
      { type: "a", id: "s-1" },
      { type: "spoilt", id: "s-2" },
      { type: "a", id: "s-3" },
    ]
    const added = await counting()
    const { status, body } = await outsideTheDocument(JSON.stringify({ events }))
    assert.deepEqual([status, body.code], [500, "internal"])
    assert.match(
      String(body.detail),
      /Some events of this batch may be stored\. Send it again whole, with the same ids/,
    )
    await program.until("the others are stored", async () => (await added()) === 2)
    await program.leave(engine === "sqlite" ? "drop trigger spoilt" : "alter table event drop constraint spoilt")
    const again = await send({ events })
    assert.deepEqual(
      Object.values(again.body.results ?? {}).map(result => result?.duplicate),
      [true, false, true],
    )
    assert.equal(await added(), 3)
  })

  test("refuses an event over the limit and keeps its neighbours", async () => {
    const events = [{ type: "a" }, { type: "a", data: "x".repeat(262_144) }, { type: "a" }]
    const answer = await send({ events })
    assert.deepEqual([answer.body.accepted, answer.body.results?.[1]?.problem?.status], [2, 413])
  })
})

describe("a request that is refused", () => {
  test("is not remembered where it came without a good key", async () => {
    const remembered = async (body: string) => {
      const rows = await program.rows<{ body: Uint8Array }>("select body from rejection")
      return rows.filter(row => Buffer.from(row.body).toString() === body).length
    }
    const answer = await fetch(`${program.url}/v1/events`, { method: "POST", body: "nobody's" })
    assert.equal(answer.status, 401)
    await post("somebody's")
    await program.until("the later one is remembered", async () => (await remembered("somebody's")) === 1)
    assert.equal(await remembered("nobody's"), 0)
  })
})
