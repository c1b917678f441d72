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
