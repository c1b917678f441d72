/** The types of problems: each is an address, and what stands there explains it. */
import assert from "node:assert/strict"
import { connect } from "node:net"
import { text } from "node:stream/consumers"
import { test } from "node:test"
import { problems } from "../../src/api/problem.ts"
import { items } from "../help/items.ts"
import { Program } from "../help/program.ts"

test("the type of a problem leads, without a key, to what the table says of it", async () => {
  await using program = await Program.open()
  const { body } = await program.ask("POST", "/v1/integrations", {})
  assert.equal(body.type, `${program.url}/problems/invalid`)
  const answer = await fetch(String(body.type))
  assert.equal(answer.status, 200)
  const { status, title, advice } = problems.invalid
  assert.deepEqual(await answer.json(), { type: body.type, code: "invalid", status, title, advice })
  assert.equal(body.title, title)
})

test("every problem has its page, and nothing else has", async () => {
  await using program = await Program.open()
  for (const code of Object.keys(problems)) {
    const { status, body } = await program.ask("GET", `/problems/${code}`)
    assert.deepEqual([status, body.code], [200, code])
  }
  for (const code of ["nothing", "constructor", "__proto__", "INVALID"]) {
    const { status, body } = await program.ask("GET", `/problems/${code}`)
    assert.deepEqual([status, body.code], [404, "not_found"], code)
  }
})

test("with a public address every problem's type begins with it: in a batch and on a broken request, too", async () => {
  const publicUrl = "https://hub.example/waybill"
  await using program = await Program.open({ publicUrl })
  const refused = await program.ask("GET", "/v1/events/none")
  assert.equal(refused.body.type, `${publicUrl}/problems/not_found`)
  const batch = await program.ask("POST", "/v1/events/batch", { events: [{ type: "" }] })
  assert.equal(items(batch.body.results)[0]?.problem?.type, `${publicUrl}/problems/invalid`)
  const socket = connect({ host: "127.0.0.1", port: Number(new URL(program.url).port) })
  socket.end("EHLO example\r\n\r\n")
  assert.match(await text(socket), /"type":"https:\/\/hub\.example\/waybill\/problems\/malformed"/)
  assert.equal((await program.call("GET", "/problems/malformed")).type, `${publicUrl}/problems/malformed`)
})
