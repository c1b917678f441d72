/** Revisions of an integration with a thousand names: many of them are more than one answer should hold. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Program } from "../help/program.ts"

const SAVES = 40

test("a page of large revisions ends early, and the pages together show each of them once", async () => {
  await using program = await Program.open()
  const id = await program.integrate("http://127.0.0.1:9/hook")
  const types = Object.fromEntries(
    Array.from({ length: 1_000 }, (_, i) => [`order.number_${i}`, { enabled: true, name: `${"x".repeat(250)}${i}` }]),
  )
  await program.call("PATCH", `/v1/integrations/${id}`, { events: { types } })
  for (let i = 0; i < SAVES; i++) await program.call("PATCH", `/v1/integrations/${id}`, { name: `hook ${i}` })
  const pages: number[][] = []
  for (let cursor = ""; pages.length < 10; ) {
    const path = `/v1/integrations/${id}/revisions?limit=200${cursor === "" ? "" : `&cursor=${cursor}`}`
    const { data, next_cursor } = await program.call("GET", path)
    pages.push(Object.values(data ?? {}).map(each => Number(each?.revision)))
    if (next_cursor === null) break
    cursor = String(next_cursor)
  }
  assert.ok(pages.length > 1, "more than one page")
  assert.deepEqual(
    pages.flat(),
    Array.from({ length: SAVES + 2 }, (_, i) => SAVES + 2 - i),
  )
})
