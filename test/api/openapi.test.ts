import assert from "node:assert/strict"
import { test } from "node:test"
import { writtenOut } from "../../scripts/reference/schema.ts"
import { Program } from "../help/program.ts"

interface Document {
  readonly components: { readonly schemas: Readonly<Record<string, object>> }
}

test("each shape that has a name stands in the document once, and whatever has it points there", async () => {
  await using program = await Program.open()
  const document = (await program.call("GET", "/openapi.json")) as unknown as Document
  const text = JSON.stringify(document)
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    assert.ok(text.includes(`{"$ref":"#/components/schemas/${name}"}`), `nothing points to ${name}`)
    assert.equal(text.split(JSON.stringify(schema)).length - 1, 1, `${name} is written out somewhere else`)
  }
  // Throws where something is pointed to that is not there.
  assert.ok(JSON.stringify(writtenOut(document)).length > text.length)
})
