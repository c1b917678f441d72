/** Inboxes: what they show, what they answer, who may see them. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { type SignedHeaders, sign } from "../../src/transport/sign.ts"
import { headersOf, makeInbox, requestsOf, secret, urlOf } from "../help/inboxes.ts"
import { items } from "../help/items.ts"
import { numberOf, Program } from "../help/program.ts"
import { assertWithin } from "../help/punctual.ts"

const DAY_MS = 86_400_000

describe("an inbox answers as it was told", () => {
  test("with status, headers and body, which the attempt then shows", async () => {
    await using program = await Program.open()
    const inbox = await makeInbox(program, {
      status: 422,
      headers: { "Content-Type": "text/plain", "X-Why": "email" },
      body: "no such email: ä",
    })
    const event = await program.send({ type: "a" })
    await program.recorded(1)
    const delivery = await program.delivery(inbox, event)
    assert.deepEqual([delivery.status, delivery.reason], ["retrying", "rejected"])
    const [attempt] = await program.attempts(inbox)
    assert.ok(attempt)
    assert.deepEqual([attempt.status, attempt.url], [422, `inbox.waybill.internal/${inbox}`])
    const { response_headers, response_body } = await program.exchange(attempt)
    assert.equal(Buffer.from(response_body ?? []).toString(), "no such email: ä")
    assert.match(response_headers ?? "", /\["content-type","text\/plain"\].*\["x-why","email"\]/)
    const [request] = await requestsOf(program, inbox)
    assert.deepEqual(request?.answer, { status: 422, delay_ms: 0, state: "sent" })
  })

  test("with 500, 500, 200 in turn, so that the delivery is done at its third try", async () => {
    await using program = await Program.open()
    const inbox = await makeInbox(program, { script: "500, 500, 200" }, { policy: { preset: "device" } })
    const event = await program.send({ type: "a" })
    await program.recorded(1)
    assert.equal((await program.delivery(inbox, event)).status, "retrying")
    program.turn(30_000)
    await program.recorded(2)
    assert.equal((await program.delivery(inbox, event)).status, "retrying")
    program.turn(60_000)
    await program.recorded(3)
    assert.equal((await program.delivery(inbox, event)).status, "delivered")
    const requests = await requestsOf(program, inbox)
    assert.deepEqual(
      requests.map(({ attempt, answer }) => [attempt, answer?.status]),
      [
        [3, 200],
        [2, 500],
        [1, 500],
      ],
    )
    assert.equal(new Set(requests.map(request => request.body)).size, 1, "each try brought the same bytes")
    assert.equal(new Set(requests.map(request => request.event)).size, 1)
  })

  test("from the next request on when it is told otherwise; another script, and an emptied inbox, begin anew", async () => {
    await using program = await Program.open()
    const inbox = await makeInbox(program, { script: "500, 200" })
    const url = await urlOf(program, inbox)
    const ask = async () => (await fetch(url, { method: "POST" })).status
    const tell = (answer: object) => program.call("PATCH", `/v1/integrations/${inbox}`, { config: { answer } })
    assert.deepEqual([await ask(), await ask(), await ask()], [500, 200, 200])
    await tell({ body: "[]" })
    assert.equal(await ask(), 200, "what is told of the body leaves the script where it is")
    await tell({ script: "503,404" })
    assert.deepEqual([await ask(), await ask()], [503, 404])
    await program.call("DELETE", `/v1/integrations/${inbox}/inbox`)
    assert.deepEqual([await ask(), await ask()], [503, 404])
    await tell({ script: null, status: 418 })
    assert.deepEqual([await ask(), await ask()], [418, 418])
    await tell({ status: 204 })
    assert.equal(await ask(), 204)
  })

  test("late, where that is what it was told, until its sender has had enough", async () => {
    await using program = await Program.open()
    const inbox = await makeInbox(program, { delay_ms: 60_000 }, { policy: { timeout_ms: 2_000 } })
    const event = await program.send({ type: "a" })
    await program.until(
      "the request is there, and waits for its answer",
      async () => ((await requestsOf(program, inbox))[0]?.answer?.state as unknown) === "waiting",
    )
    await program.recorded(1)
    assert.equal((await program.delivery(inbox, event)).reason, "timeout_response")
    const isOver = async () =>
      (await program.rows("select 1 from inbox_request where answer = 'not_sent'")).length === 1
    await program.until("it is known that the answer was not sent", isOver)
    const soon = await makeInbox(program, { delay_ms: 300 })
    const startedAt = performance.now()
    assert.equal((await fetch(await urlOf(program, soon))).status, 200)
    assert.ok(performance.now() - startedAt >= 299)
    const isSent = async () => (await program.rows("select 1 from inbox_request where answer = 'sent'")).length === 1
    await program.until("it is known that the answer was sent", isSent)
  })

  test("but no stop waits for that, and none is charged to the delivery", async () => {
    await using program = await Program.open()
    const inbox = await makeInbox(program, { delay_ms: 60_000 }, { policy: { timeout_ms: 90_000 } })
    const url = await urlOf(program, inbox)
    await program.send({ type: "a" })
    const other = fetch(url, { method: "POST" }).then(
      () => "answered",
      () => "cut off",
    )
    await program.until("both are there", async () => (await program.rows("select 1 from inbox_request")).length === 2)
    const startedAt = performance.now()
    await program.stop()
    assertWithin(performance.now() - startedAt, 5_000)
    assert.equal(await other, "cut off")
    assert.deepEqual(
      (await program.rows("select outcome from attempt")).map(row => ({ ...(row as object) })),
      [{ outcome: "sender_fault" }],
    )
    assert.deepEqual(
      (await program.rows<{ charged: number }>("select charged from delivery")).map(({ charged }) => charged),
      [0],
    )
    const states = (await program.rows<{ answer: string }>("select answer from inbox_request")).map(
      ({ answer }) => answer,
    )
    assert.deepEqual(states, ["not_sent", "not_sent"])
  })

  test("unless that cannot be an answer: then it is not saved, and the sentence says which part is wrong", async () => {
    await using program = await Program.open()
    const wrong: [answer: object, pointer: string][] = [
      [{ status: 103 }, "/config/answer/status"],
      [{ status: 600 }, "/config/answer/status"],
      [{ delay_ms: 60_001 }, "/config/answer/delay_ms"],
      [{ script: "200, never" }, "/config/answer/script"],
      [{ body: "ä".repeat(40_000) }, "/config/answer/body"],
      [{ headers: { Connection: "close" } }, "/config/answer/headers/Connection"],
      [{ url: "http://127.0.0.1/" }, "/config/answer/url"],
    ]
    for (const [answer, pointer] of wrong) {
      const made = await program.ask("POST", "/v1/integrations", {
        name: "x",
        connector: "inbox",
        config: { answer },
      })
      assert.deepEqual([made.status, made.body.errors?.[0]?.pointer], [422, pointer])
    }
    const config = { production: { url: "https://crm.example/" } }
    const withUrl = await program.ask("POST", "/v1/integrations", { name: "x", connector: "inbox", config })
    assert.deepEqual([withUrl.status, withUrl.body.errors?.[0]?.pointer], [422, "/config/production/url"])
  })
})

describe("the verdict on a signature", () => {
  test("names the rule that was missed", async () => {
    await using program = await Program.open()
    const inbox = await makeInbox(program)
    const url = await urlOf(program, inbox)
    const other = `whsec_${Buffer.alloc(32, 8).toString("base64")}`
    const now = Math.floor(program.now / 1_000)
    const body = '{"n":1}'
    const signed = (at: number, by = secret): SignedHeaders => ({
      id: "msg_1",
      timestamp: String(at),
      signature: sign({ id: "msg_1", timestampSeconds: at, body, keys: [{ scheme: "v1", secret: by }] }),
    })
    const cases: [verdict: string, headers: SignedHeaders, body: string, says: RegExp][] = [
      ["valid", signed(now), body, /valid/],
      ["valid", signed(now - 300), body, /valid/],
      ["header_missing", { ...signed(now), id: undefined }, body, /webhook-id is missing/],
      ["header_missing", { ...signed(now), timestamp: undefined }, body, /webhook-timestamp is missing/],
      ["header_missing", { ...signed(now), signature: undefined }, body, /webhook-signature is missing/],
      ["timestamp_unreadable", { ...signed(now), timestamp: "today" }, body, /no number of seconds/],
      ["timestamp_too_old", signed(now - 301), body, /301 s old; 300 s are allowed/],
      ["timestamp_too_new", signed(now + 301), body, /301 s ahead/],
      ["no_match", signed(now), '{"n":2}', /changed on the way/],
      ["no_match", signed(now, other), body, /another secret/],
    ]
    for (const [verdict, { id, timestamp, signature }, content, says] of cases) {
      const headers = Object.entries({
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature,
      }).filter((entry): entry is [string, string] => entry[1] !== undefined)
      await fetch(url, { method: "POST", headers, body: content })
      const [request] = await requestsOf(program, inbox)
      assert.equal(request?.signature?.verdict, verdict)
      assert.match(String(request.signature.message), says)
      assert.equal(request.event, null, "msg_1 is no event of Waybill's")
    }
  })

  test("is about the keys that signed when the request came: also an old one in its grace", async () => {
    await using program = await Program.open()
    const inbox = await makeInbox(program)
    const url = await urlOf(program, inbox)
    const post = async () => {
      const timestampSeconds = Math.floor(program.now / 1_000)
      const keys = [{ scheme: "v1", secret }] as const
      const signature = sign({ id: "msg_1", timestampSeconds, body: "{}", keys })
      const headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": String(timestampSeconds),
        "webhook-signature": signature,
      }
      await fetch(url, { method: "POST", headers, body: "{}" })
    }
    await program.call("POST", `/v1/integrations/${inbox}/rotate-secret`, { grace_seconds: 60 })
    await post()
    program.turn(61_000)
    await post()
    await program.send({ type: "a" })
    await program.recorded(1)
    const verdicts = (await requestsOf(program, inbox)).map(({ signature }) => signature?.verdict)
    assert.deepEqual(verdicts, ["valid", "no_match", "valid"])
  })

  test("says so where the integration signs nothing", async () => {
    await using program = await Program.open()
    const inbox = await makeInbox(program, {}, { config: { signature: { scheme: "none" } } })
    await program.send({ type: "a" })
    await program.recorded(1)
    const [request] = await requestsOf(program, inbox)
    assert.equal(request?.signature?.verdict, "not_signed")
    assert.match(String(request.event), /^evt_/)
  })
})

describe("an inbox shows", () => {
  test("requests of any method and kind, their headers in order, bytes that are no text as base64", async () => {
    await using program = await Program.open()
    const inbox = await makeInbox(program)
    const url = await urlOf(program, inbox)
    const bytes = Uint8Array.from([0xff, 0x00, 0xfe])
    await fetch(url, { method: "PUT", body: bytes, headers: { "content-type": "no media type", "X-One": "1" } })
    await fetch(`${url}?a=b`, { method: "HEAD" })
    const [head, put] = await requestsOf(program, inbox)
    assert.deepEqual([head?.method, head?.body, head?.body_bytes], ["HEAD", "", 0])
    assert.deepEqual(
      [put?.method, put?.body, put?.body_encoding, put?.body_bytes, put?.body_truncated],
      ["PUT", Buffer.from(bytes).toString("base64"), "base64", 3, false],
    )
    assert.equal(headersOf(put).get("x-one"), "1")
    assert.equal(headersOf(put).get("content-type"), "no media type")
  })

  test("the first MiB of a body, and how long it was", async () => {
    await using program = await Program.open()
    const inbox = await makeInbox(program)
    const url = await urlOf(program, inbox)
    for (const bytes of [1_048_576, 1_048_577, 3_000_000]) {
      await fetch(url, { method: "POST", body: "x".repeat(bytes) })
      const [request] = await requestsOf(program, inbox)
      assert.equal(request?.body, "x".repeat(1_048_576))
      assert.deepEqual([request.body_bytes, request.body_truncated], [bytes, bytes > 1_048_576])
    }
  })

  test("no more in one page than can be answered at once, and all of it page by page", async () => {
    await using program = await Program.open()
    const inbox = await makeInbox(program)
    const url = await urlOf(program, inbox)
    const body = "x".repeat(1_048_576)
    for (let i = 0; i < 6; i++) await fetch(url, { method: "POST", body })
    for (const method of ["PUT", "PATCH"]) await fetch(url, { method })
    const methods: unknown[] = []
    const lengths: number[] = []
    for (let cursor = ""; cursor !== "null"; ) {
      const query = cursor === "" ? "" : `&cursor=${cursor}`
      const page = await program.call("GET", `/v1/integrations/${inbox}/inbox?limit=7${query}`)
      methods.push(...items(page.data).map(request => request.method))
      lengths.push(items(page.data).length)
      cursor = String(page.next_cursor)
    }
    assert.deepEqual(methods, ["PATCH", "PUT", ...Array(6).fill("POST")])
    assert.deepEqual(lengths, [6, 2])
    const two = await program.call("GET", `/v1/integrations/${inbox}/inbox?limit=2`)
    assert.equal(items(two.data).length, 2)
  })

  test("what came in the last 7 days, also after a restart, at the same address and with its script where it was", async () => {
    await using program = await Program.open()
    const inbox = await makeInbox(program, { script: "500, 503, 200" })
    const path = new URL(await urlOf(program, inbox)).pathname
    const ask = async () => (await fetch(program.url + path, { method: "POST", body: "{}" })).status
    assert.equal(await ask(), 500)
    const before = await requestsOf(program, inbox)
    await program.restart()
    assert.deepEqual(await requestsOf(program, inbox), before)
    assert.equal(new URL(await urlOf(program, inbox)).pathname, path)
    assert.equal(await ask(), 503)
    program.turn(7 * DAY_MS - 1)
    assert.equal((await requestsOf(program, inbox)).length, 2)
    program.turn(1)
    assert.deepEqual(await requestsOf(program, inbox), [])
  })

  test("nothing any more once it was emptied, and is gone with all that it got when it is removed", async () => {
    await using program = await Program.open()
    const [inbox, other] = [await makeInbox(program), await makeInbox(program)]
    const url = await urlOf(program, inbox)
    for (let i = 0; i < 45; i++) await fetch(url, { method: "POST" })
    await fetch(await urlOf(program, other), { method: "POST" })
    assert.equal((await program.ask("DELETE", `/v1/integrations/${inbox}/inbox`)).status, 204)
    assert.deepEqual(await requestsOf(program, inbox), [])
    assert.equal((await requestsOf(program, other)).length, 1)
    await fetch(url, { method: "POST" })
    await program.call("DELETE", `/v1/integrations/${inbox}`)
    assert.equal((await fetch(url, { method: "POST" })).status, 404)
    const left = await program.rows<{ integration_id: number }>("select integration_id from inbox_request")
    assert.deepEqual(
      left.map(row => row.integration_id),
      [numberOf("int", other)],
    )
  })

  test("only to its project, and to nobody without a key", async () => {
    await using program = await Program.open()
    const inbox = await makeInbox(program)
    const response = await fetch(`${program.url}/v1/integrations/${inbox}/inbox`)
    assert.equal(response.status, 401)
  })
})

describe("the address of an inbox", () => {
  test("is the only one that opens it: every other one reads the same, and keeps nothing", async () => {
    await using program = await Program.open()
    const [inbox, second] = [await makeInbox(program), await makeInbox(program)]
    const webhook = await program.integrate("https://crm.example/")
    const token = new URL(await urlOf(program, inbox)).pathname.slice("/inbox/".length)
    const [id, mark] = [token.slice(0, 11), token.slice(11)]
    assert.ok(mark.length >= 43, "as hard to guess as a key")
    assert.notEqual(new URL(await urlOf(program, second)).pathname.slice("/inbox/".length + 11), mark)
    const wrong = [
      `${id}${mark.slice(0, -1)}${mark.endsWith("A") ? "B" : "A"}`,
      `${id}${mark}A`,
      `${id}${mark.slice(0, -1)}`,
      `${second.slice(4)}${mark}`,
      `${webhook.slice(4)}${mark}`,
      `${"0".repeat(11)}${mark}`,
      id,
      "x",
      "%00",
      "ü".repeat(60),
    ]
    const answers = await Promise.all(
      wrong.map(async text => {
        const response = await fetch(`${program.url}/inbox/${text}`, { method: "POST", body: "{}" })
        const { instance: _, ...problem } = (await response.json()) as Readonly<Record<string, unknown>>
        return [response.status, problem]
      }),
    )
    for (const answer of answers) assert.deepEqual(answer, answers[0])
    assert.equal(answers[0]?.[0], 404)
    assert.equal((await program.rows("select 1 from inbox_request")).length, 0)
    assert.equal((await fetch(`${program.url}/inbox/${token}`)).status, 200)
  })
})
