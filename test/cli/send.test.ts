/** `waybill send`: one event or many, byte for byte, each refusal with its sentence, and repeats that do no harm. */
import assert from "node:assert/strict"
import { once } from "node:events"
import { mkdirSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { join } from "node:path"
import test from "node:test"
import { jsonLines, linesOf, runCli, waybillForFile } from "../help/cli.ts"
import { call, stablePort, temporaryFolder, testKey } from "../help/waybill.ts"

const waybill = waybillForFile()

interface SentLine {
  readonly place: string
  readonly id?: string
  readonly external_id?: string | null
  readonly duplicate?: boolean
  readonly problem?: { readonly code: string; readonly detail: string }
}

/** The JSON text of an event, in which numbers are as they were sent. */
async function eventText(id: string): Promise<string> {
  const response = await fetch(`${waybill.url}/v1/events/${id}`, {
    headers: { authorization: `Bearer ${waybill.key}` },
  })
  return response.text()
}

test("one event goes with its data byte for byte, and a repeat is known", async () => {
  const data = '{"n": 1.0, "big": 12345678901234567890, "n": 1e2, "__proto__": {}}'
  const args = [
    "send",
    "--type",
    "order.created",
    "--data",
    data,
    "--id",
    "o-1",
    "--app",
    "ios",
    "--environment",
    "sandbox",
  ]
  const first = await runCli(args, { at: waybill })
  assert.equal(first.code, 0, first.stderr)
  const [, id = ""] = /^1 event accepted \((evt_\w+)\)\.\n$/.exec(first.stdout) ?? []
  const text = await eventText(id)
  assert.ok(text.includes(`"payload":${data}`), text)
  assert.match(text, /"external_id":"o-1","type":"order\.created","source":"api","environment":"sandbox","app":"ios"/)

  const second = await runCli(args, { at: waybill })
  assert.equal(second.stdout, `1 event accepted (${id}), known from before.\n`)
})

test("lines from a pipe go in batches; each refused one is named with its line and why", async () => {
  const input = [
    '{"type":"a","id":"l-1","data":1.0}',
    '{"type":"b c"}',
    "",
    "{broken",
    '{"type":"a","id":"l-5","mood":"good"}',
    '{"type":"a","id":"l-6"}',
  ].join("\n")
  const { code, stdout, stderr } = await runCli(["send"], { at: waybill, input })
  assert.equal(code, 1)
  assert.equal(stdout, "")
  const [line2, line4, line5, summary] = linesOf(stderr)
  assert.match(line2 ?? "", /^line 2: type has to be 1 to 128 printable ASCII characters without space/)
  assert.match(line4 ?? "", /^line 4: This is not JSON: column 2: b cannot stand here\.$/)
  assert.match(line5 ?? "", /^line 5: .*mood/)
  assert.equal(summary, "2 events accepted, 3 refused: mend those and send them again.")

  const asJson = await runCli(["send", "--json"], { at: waybill, input })
  assert.deepEqual(
    jsonLines<SentLine>(asJson.stdout).map(sent => [
      sent.place,
      sent.external_id ?? sent.problem?.code,
      sent.duplicate,
    ]),
    [
      ["line 1", "l-1", true],
      ["line 2", "invalid", undefined],
      ["line 4", "unreadable", undefined],
      ["line 5", "invalid", undefined],
      ["line 6", "l-6", true],
    ],
  )
})

test("1,200 events from a list, and events from several files, are all accepted", async t => {
  const folder = temporaryFolder(t)
  const list = Array.from({ length: 1_200 }, (_, i) => ({ type: "many", id: `many-${i}` }))
  writeFileSync(join(folder, "list.json"), JSON.stringify(list, null, 1))
  writeFileSync(join(folder, "more.jsonl"), '{"type":"many","id":"more-1"}\n{"type":"x y"}\n')
  const { code, stdout, stderr } = await runCli(["send", "list.json", "more.jsonl", "--json"], {
    at: waybill,
    cwd: folder,
  })
  assert.equal(code, 1)
  const sent = jsonLines<SentLine>(stdout)
  assert.equal(new Set(sent.flatMap(({ id }) => id ?? [])).size, 1_201)
  assert.equal(sent[1_199]?.place, "list.json, event 1200")
  assert.match(stderr, /^more\.jsonl, line 2: type has to be/m)
  const found = (await call(waybill, "GET", "/v1/events?external_id=many-1199")) as { data: readonly unknown[] }
  assert.equal(found.data.length, 1)
})

test("an event that is too large for any request is refused, and the others go", async () => {
  const input = `{"type":"a"}\n{"type":"a","data":"${"x".repeat(300_000)}"}\n{"type":"a","data":"${"x".repeat(5_300_000)}"}\n{"type":"a"}`
  const { code, stderr } = await runCli(["send"], { at: waybill, input })
  assert.equal(code, 1)
  assert.match(stderr, /^line 2: .*262144/m)
  assert.match(stderr, /^line 3: The body is larger than this address takes/m)
  assert.match(stderr, /^2 events accepted, 2 refused/m)
})

test("a batch that is turned away, or whose answer is lost, is sent again with the same key", async t => {
  const requests: { readonly key: string; readonly body: string }[] = []
  const server = await listen(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    requests.push({ key: String(request.headers["idempotency-key"]), body })
    const { events } = JSON.parse(body) as { events: readonly unknown[] }
    switch (requests.length) {
      case 1:
        response.writeHead(503, { "retry-after": "1" }).end("busy")
        return
      case 2:
        response.writeHead(429, { "retry-after": "0" }).end("slow down")
        return
      case 4:
        response.destroy()
        return
      default: {
        const results = events.map((_, index) => ({ index, id: `evt_${index}`, external_id: null, duplicate: false }))
        response.writeHead(202, { "content-type": "application/json" }).end(JSON.stringify({ results }))
      }
    }
  })
  t.after(() => server.close())
  const at = { url: urlOf(server), key: testKey }
  const startedAt = performance.now()
  // Two batches: the first is turned away twice, the answer to the second is lost.
  const input = '{"type":"a","data":1.0}\n'.repeat(501)
  const { code, stdout, stderr } = await runCli(["send"], { at, input })
  assert.equal(code, 0, stderr)
  assert.equal(stdout, "501 events accepted.\n")
  assert.ok(performance.now() - startedAt >= 1_000, "Retry-After was obeyed")
  const [first, second, third, fourth, fifth, ...more] = requests
  assert.deepEqual(more, [])
  assert.deepEqual([second, third], [first, first])
  assert.deepEqual(fifth, fourth)
  assert.notEqual(fourth?.key, first?.key)
  assert.ok(first?.body.startsWith('{"events":[{"type":"a","data":1.0},'))
})

test("a server that stays busy ends it, with what had been accepted until then", async t => {
  const server = await listen(async (_request, response) => void response.writeHead(503).end())
  t.after(() => server.close())
  const at = { url: urlOf(server), key: testKey }
  const { code, stderr } = await runCli(["send", "--type", "a", "--data", "1", "--retries", "1"], { at })
  assert.equal(code, 1)
  const [until, why] = linesOf(stderr)
  assert.equal(until, "Stopped before the end. Until then: 0 events accepted.")
  assert.match(why ?? "", /answered 503, not in Waybill's way/)
})

test("what cannot be sent at all is answered with what to type instead", async t => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, "sub"))
  const cases: readonly [readonly string[], string | undefined, RegExp, number][] = [
    [["--data", "1"], undefined, /^--data is the data of an event: say of which type with --type\.$/m, 2],
    [["--type", "a", "--data", "{a}"], undefined, /^--data: This is not JSON: .*A text stands in double quotes/m, 2],
    [["--type", "a", "--data", "1", "file"], undefined, /^Give files or --data, not both\.$/m, 2],
    [["none.json"], undefined, /^There is no file none\.json\.$/m, 1],
    [["sub"], undefined, /^sub is a folder: name the files in it\.$/m, 1],
    [["--type", "a", "--id", "x"], "1\n2\n", /^--id is the id of one event, but there are 2/m, 2],
    [["--retries", "-1", "x"], undefined, /Give a number from 0 to 1000\./, 2],
  ]
  await Promise.all(
    cases.map(async ([args, input, sentence, expected]) => {
      const { code, stderr } = await runCli(["send", ...args], {
        at: waybill,
        cwd: folder,
        ...(input === undefined ? {} : { input }),
      })
      assert.match(stderr, sentence)
      assert.equal(code, expected, stderr)
    }),
  )
})

test("a wrong address, a wrong key, no key and something else than Waybill are told apart", async t => {
  const stranger = await listen(async (_request, response) => {
    response.writeHead(302, { location: "https://hub.example/" }).end()
  })
  t.after(() => stranger.close())
  const page = await listen(async (_request, response) => void response.end("<h1>Welcome</h1>"))
  t.after(() => page.close())
  const { url } = waybill
  const nobody = `http://127.0.0.1:${await stablePort()}`
  const cases: readonly [{ url: string; key: string }, RegExp, number][] = [
    [
      { url: nobody, key: testKey },
      /^Nothing listens on http:\/\/127\.0\.0\.1:\d+\. Start Waybill there \(npm start\), or name another/,
      1,
    ],
    [{ url, key: "wb_wrong" }, /^The API key is not known.*\nGive a valid key with --key or WAYBILL_API_KEY\./m, 1],
    [{ url, key: "" }, /^An API key is needed: set WAYBILL_API_KEY or give --key/, 2],
    [{ url: "127.0.0.1", key: testKey }, /^WAYBILL_URL=127\.0\.0\.1 must be an http or https URL such as/, 2],
    [
      { url: urlOf(stranger), key: testKey },
      /answered 302, not in Waybill's way\. It points to https:\/\/hub\.example\//,
      1,
    ],
  ]
  await Promise.all(
    cases.map(async ([at, sentence, expected]) => {
      const { code, stderr, stdout } = await runCli(["events"], { at })
      assert.match(stderr, sentence)
      assert.equal(code, expected, stderr)
      assert.equal(stdout, "")
    }),
  )
})

async function listen(take: (request: IncomingMessage, response: ServerResponse) => Promise<void>): Promise<Server> {
  const server = createServer((request, response) => void take(request, response)).listen(0, "127.0.0.1")
  await once(server, "listening")
  return server
}

function urlOf(server: Server): string {
  const address = server.address()
  return typeof address === "object" && address !== null ? `http://127.0.0.1:${address.port}` : ""
}
