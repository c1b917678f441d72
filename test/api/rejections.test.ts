import assert from "node:assert/strict"
import { test } from "node:test"
import { items } from "../help/items.ts"
import { Program } from "../help/program.ts"

const DAY_MS = 86_400_000

test("a request that ingest refused is listed with its problem, its key and the beginning of its body, for 7 days", async () => {
  await using program = await Program.open()
  const body = `{"type":"a b","data":"${"x".repeat(2_000)}"}`
  const refused = await program.ask("POST", "/v1/events", body)
  assert.equal(refused.status, 422)
  await program.until(
    "the refused request is kept",
    async () => (await program.rows("select id from rejection")).length === 1,
  )
  const list = await program.call("GET", "/v1/rejections")
  const [rejection] = items(list.data)
  assert.equal(rejection?.status, 422)
  assert.equal(rejection.code, refused.body.code)
  assert.equal(rejection.detail, refused.body.detail)
  assert.deepEqual(rejection.errors, refused.body.errors)
  assert.equal(rejection.request, "POST /v1/events")
  assert.equal(rejection.body, body.slice(0, 1_024))
  assert.equal(rejection.body_bytes, body.length)
  assert.match(String(rejection.key), /^key_/)
  program.turn(7 * DAY_MS)
  assert.deepEqual(items((await program.call("GET", "/v1/rejections")).data), [])
})

test("refused requests are listed newest first, page by page", async () => {
  await using program = await Program.open()
  for (const type of ["a a", "b b", "c c"]) {
    await program.ask("POST", "/v1/events", { type })
    await program.until("it is kept", async () =>
      (await program.rows<{ body: Uint8Array }>("select body from rejection")).some(row =>
        Buffer.from(row.body).includes(type),
      ),
    )
  }
  const first = await program.call("GET", "/v1/rejections?limit=2")
  const second = await program.call("GET", `/v1/rejections?limit=2&cursor=${first.next_cursor}`)
  const bodies = [first, second].flatMap(page => items(page.data).map(rejection => rejection.body))
  assert.deepEqual(bodies, ['{"type":"c c"}', '{"type":"b b"}', '{"type":"a a"}'])
  assert.equal(second.next_cursor, null)
})

test("a batch is one refused request, so that it pushes out no other: how many, the first mistakes, the first event", async () => {
  await using program = await Program.open()
  await program.ask("POST", "/v1/events", { type: "a a" })
  const good = { type: "paid", id: "o-1" }
  const bad = Array.from({ length: 997 }, (_, n) => ({ type: "b b", id: `o-${n}` }))
  const events = [good, ...bad, { ...good, data: 1 }, { type: "paid" }]
  const answer = await program.ask("POST", "/v1/events/batch", { events })
  assert.deepEqual([answer.body.accepted, answer.body.refused], [2, 998])
  await program.until("the batch is kept", async () => (await program.rows("select id from rejection")).length >= 2)
  const [batch, single, ...more] = items((await program.call("GET", "/v1/rejections")).data)
  assert.deepEqual(more, [])
  assert.equal(single?.body, '{"type":"a a"}')
  assert.deepEqual([batch?.status, batch?.code, batch?.request], [422, "invalid", "POST /v1/events/batch"])
  assert.match(
    String(batch?.detail),
    /^998 of the 1000 events of this batch were refused, the first at index 1\. type has to be /,
  )
  assert.deepEqual(
    items(batch?.errors).map(({ pointer }) => pointer),
    Array.from({ length: 20 }, (_, n) => `/events/${n + 1}/type`),
  )
  assert.deepEqual([batch?.body, batch?.body_bytes], ['{"type":"b b","id":"o-0"}', 25])
  assert.equal((await program.call("GET", "/v1/usage")).total?.["refused"], 999, "each event counts")
})

test("of a batch of CloudEvents the event that was refused is shown, with its place, and what is private of it masked", async () => {
  await using program = await Program.open()
  const [project] = items((await program.call("GET", "/v1/projects")).data)
  await program.call("PATCH", `/v1/projects/${project?.id}`, { private_fields: ["/email"] })
  const event = { specversion: "1.0", source: "/shop", type: "paid", data: { email: "a@b.example" } }
  const batch = [
    { ...event, id: "1" },
    { ...event, id: "1", data: { email: "c@d.example" } },
  ]
  const answer = await program.ask("POST", "/v1/events", batch, {
    "content-type": "application/cloudevents-batch+json",
  })
  assert.deepEqual([answer.body.accepted, answer.body.refused], [1, 1])
  await program.until("the batch is kept", async () => (await program.rows("select id from rejection")).length === 1)
  const [kept] = items((await program.call("GET", "/v1/rejections")).data)
  assert.match(
    String(kept?.detail),
    /^1 of the 2 events of this batch was refused: that at index 1\. The id "1" was used/,
  )
  assert.deepEqual(
    items(kept?.errors).map(({ pointer }) => pointer),
    ["/1/id"],
  )
  assert.match(
    String(kept?.body),
    /"id":"1","data":\{"email":"\[private\]"\}|"data":\{"email":"\[private\]"\},"id":"1"/,
  )
  assert.ok(!String(kept?.body).includes("@"))
})
