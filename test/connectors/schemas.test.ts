import assert from "node:assert/strict"
import { test } from "node:test"
import { bodyAjv } from "../../src/api/validation.ts"
import { connectors } from "../../src/connectors/index.ts"

type Field = readonly [path: string, schema: Readonly<Record<string, unknown>>]

/** All fields that a schema describes, the values of maps too. */
function fieldsOf(schema: unknown, path = ""): Field[] {
  if (!isObject(schema)) return []
  const branches = Array.isArray(schema["oneOf"]) ? schema["oneOf"] : []
  const inner = [
    ...Object.entries(isObject(schema["properties"]) ? schema["properties"] : {}),
    ...(isObject(schema["additionalProperties"]) ? [["*", schema["additionalProperties"]] as const] : []),
  ]
  return [
    [path, schema],
    ...inner.flatMap(([name, field]) => fieldsOf(field, `${path}/${name}`)),
    ...branches.flatMap(branch => fieldsOf(branch, path)),
  ]
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

for (const { name, settings } of connectors) {
  test(`${name}: every field has a title and a description, since form and documents come from them`, () => {
    const fields = fieldsOf(settings)
    assert.ok(fields.length > 1)
    for (const [path, schema] of fields) {
      assert.match(String(schema["title"]), /^[A-Z]/, path)
      assert.match(String(schema["description"]), /^[A-Z].*\.$/s, path)
    }
  })

  test(`${name}: objects take no unknown fields`, () => {
    for (const [path, schema] of fieldsOf(settings)) {
      // Of alternatives each says so itself.
      if (schema["type"] === "object" && schema["oneOf"] === undefined)
        assert.notEqual(schema["additionalProperties"] ?? true, true, path)
    }
  })

  test(`${name}: its schema is plain JSON that the validator of the API takes`, () => {
    assert.doesNotThrow(() => bodyAjv.compile(JSON.parse(JSON.stringify(settings)) as object))
  })
}

test("names of connectors are unique", () => {
  assert.equal(new Set(connectors.map(({ name }) => name)).size, connectors.length)
})

test("the webhook's secrets are Authorization, all header values, passwords and keys, and nothing else", () => {
  const webhook = connectors.find(({ name }) => name === "webhook")
  const secret = fieldsOf(webhook?.settings).filter(([, schema]) => schema["secret"] === true)
  assert.deepEqual(
    secret.map(([path]) => path),
    ["production", "sandbox"].flatMap(environment =>
      ["authorization", "headers/*", "auth/password", "auth/client_secret", "tls/key"].map(
        field => `/${environment}/${field}`,
      ),
    ),
  )
})
