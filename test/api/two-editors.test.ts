/** ETags: of two editors the second does not undo, unseen, what the first has done. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { type Answer, Program } from "../help/program.ts"

const etagOf = ({ headers }: Answer): string => headers.get("etag") ?? ""

/** Something that can be changed: where it is, and two changes of it. */
interface Editable {
  readonly path: string
  readonly method: string
  readonly changes: readonly [object, object]
}

async function editables(program: Program): Promise<Editable[]> {
  const integration = await program.integrate("http://127.0.0.1:9/a")
  await program.call("PUT", "/v1/event-types/a.b", { description: "known" })
  const project = (await program.call("GET", "/v1/projects")).data?.[0]?.id
  return [
    { path: `/v1/integrations/${integration}`, method: "PATCH", changes: [{ name: "One" }, { name: "Two" }] },
    { path: "/v1/event-types/a.b", method: "PUT", changes: [{ description: "One" }, { description: "Two" }] },
    { path: `/v1/projects/${project}`, method: "PATCH", changes: [{ name: "One" }, { name: "Two" }] },
  ]
}

describe("what two people edit at a time", () => {
  test("keeps the first change, and the second editor is told that it is stale", async () => {
    await using program = await Program.open()
    for (const { path, method, changes } of await editables(program)) {
      const read = etagOf(await program.ask("GET", path))
      assert.match(read, /^"[^"]+"$/, "a strong tag")
      program.turn(1_000)
      const first = await program.ask(method, path, changes[0], { "if-match": read })
      assert.equal(first.status, 200)
      const second = await program.ask(method, path, changes[1], { "if-match": read })
      assert.deepEqual([second.status, second.body.code], [412, "stale"], path)
      assert.match((await program.ask("GET", path)).text, /One/)
      const again = await program.ask(method, path, changes[1], { "if-match": `"other", ${etagOf(first)}` })
      assert.equal(again.status, 200)
      assert.equal((await program.ask(method, path, changes[0])).status, 200, "without If-Match nothing is held")
      assert.equal((await program.ask(method, path, changes[0], { "if-match": "*" })).status, 200)
    }
  })

  test("is changed by one of many who read the same", async () => {
    await using program = await Program.open()
    for (const { path, method, changes } of await editables(program)) {
      const read = etagOf(await program.ask("GET", path))
      program.turn(1_000)
      const body = (i: number) => Object.fromEntries(Object.keys(changes[0]).map(field => [field, `Editor ${i}`]))
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, i) => program.ask(method, path, body(i), { "if-match": read })),
      )
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(7).fill(412)], path)
    }
  })

  test("is not removed by who has not seen the last change", async () => {
    await using program = await Program.open()
    const [integration, type] = await editables(program)
    for (const { path, method, changes } of [integration, type] as Editable[]) {
      const read = etagOf(await program.ask("GET", path))
      program.turn(1_000)
      const changed = await program.ask(method, path, changes[0])
      assert.equal((await program.ask("DELETE", path, undefined, { "if-match": read })).status, 412)
      assert.equal((await program.ask("DELETE", path, undefined, { "if-match": etagOf(changed) })).status, 204)
    }
  })

  test("is read again only where it has changed", async () => {
    await using program = await Program.open()
    for (const { path, method, changes } of await editables(program)) {
      const read = etagOf(await program.ask("GET", path))
      for (const known of [read, `W/${read}`, `"other", ${read}`, "*"]) {
        const answer = await program.ask("GET", path, undefined, { "if-none-match": known })
        assert.deepEqual([answer.status, answer.text, etagOf(answer)], [304, "", read])
      }
      program.turn(1_000)
      await program.ask(method, path, changes[0])
      assert.equal((await program.ask("GET", path, undefined, { "if-none-match": read })).status, 200)
    }
  })

  test("does not become stale by the events that pass, though its ETag tells that they wait", async () => {
    await using program = await Program.open()
    await using endpoint = await Endpoint.open({ status: 500 })
    const path = `/v1/integrations/${await program.integrate(endpoint.url())}`
    const before = await program.ask("GET", path)
    await program.send({ type: "a" })
    await program.recorded(1)
    const after = await program.ask("GET", path)
    assert.notEqual(after.text, before.text)
    assert.notEqual(etagOf(after), etagOf(before))
    assert.equal((await program.ask("PATCH", path, { name: "new" }, { "if-match": etagOf(before) })).status, 200)
  })

  test("a type is added only where there is none, if the call says so", async () => {
    await using program = await Program.open()
    const onlyNew = { "if-none-match": "*" }
    const put = (headers: Record<string, string>) => program.ask("PUT", "/v1/event-types/new.one", {}, headers)
    assert.equal((await put({ "if-match": "*" })).status, 412, "there is nothing yet")
    assert.equal((await put(onlyNew)).status, 200)
    assert.equal((await put(onlyNew)).status, 412)
  })

  test("a tag that a proxy has weakened, or that is none, is refused with what to do", async () => {
    await using program = await Program.open()
    const path = `/v1/integrations/${await program.integrate("http://127.0.0.1:9/a")}`
    const read = etagOf(await program.ask("GET", path))
    const patch = (tag: string) => program.ask("PATCH", path, { name: "x" }, { "if-match": tag })
    const weak = await patch(`W/${read}`)
    assert.equal(weak.status, 412)
    assert.match(String(weak.body.detail), /proxy on the way .* Send it without the W\/\./)
    const bare = await patch("abc")
    assert.deepEqual([bare.status, bare.body.errors?.[0]?.pointer], [400, "header/if-match"])
  })
})
