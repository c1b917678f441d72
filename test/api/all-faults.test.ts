/** What is wrong with a request is told at once, however much it is: a form is filled in twice, not ten times. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Program } from "../help/program.ts"

const refused = async (program: Program, path: string, body: unknown) => {
  const answer = await program.ask("POST", path, body)
  assert.equal(answer.status, 422, answer.text)
  return Object.values(answer.body.errors ?? {}).map(fault => `${fault?.pointer} ${fault?.message}`)
}

test("every field of a configuration that is wrong is named in one answer, each once", async () => {
  await using program = await Program.open()
  const faults = await refused(program, "/v1/integrations", {
    name: "",
    apps: "shop",
    config: { production: { url: 7, authorization: "" }, verification: "maybe" },
    policy: { timeout_ms: "soon", max_concurrent: 0 },
    colour: "blue",
  })
  assert.deepEqual(faults.map(fault => fault.split(" ", 1)[0]).toSorted(), [
    "/apps",
    "/colour",
    "/name",
    "/policy/max_concurrent",
    "/policy/timeout_ms",
  ])
})

test("a body of very many parts that are all wrong is answered with the first of its faults", async () => {
  await using program = await Program.open()
  const types = Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`type_${i}`, { enabled: "yes" }]))
  const faults = await refused(program, "/v1/integrations", { name: "x", events: { types } })
  assert.ok(faults.length > 0 && faults.length <= 50, `${faults.length} faults`)
})
