/** The catalogue that forms are drawn from. */
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { connectors } from "../../src/connectors/index.ts"
import { policyToJson, presetNames, presets, presetVerification, presetWords } from "../../src/domain/policy.ts"
import { items } from "../help/items.ts"
import { type Json, Program } from "../help/program.ts"

let program: Program
before(async () => {
  program = await Program.open()
})
after(() => program[Symbol.asyncDispose]())

test("the catalogue shows each connector with the schema that its settings are held against", async () => {
  const { data } = await program.call("GET", "/v1/connectors")
  const expected = connectors.map(connector => {
    const { name, title } = connector
    const settings = JSON.parse(JSON.stringify(connector.settings)) as Json
    const docs = `docs/reference/connectors.md#${name}`
    return { name, title, description: settings.description, docs, verifies: name === "webhook", settings }
  })
  assert.deepEqual(data, expected)
})

test("the schemas say which fields are secret, and which values are not built", async () => {
  const { data } = await program.call("GET", "/v1/connectors")
  const [webhook] = items(data)
  const fields = webhook?.settings?.properties
  assert.equal(fields?.production?.properties?.authorization?.secret, true)
  assert.equal(fields?.production?.properties?.headers?.additionalProperties?.secret, true)
  assert.equal(fields?.production?.properties?.url?.secret, undefined)
  assert.match(String(fields?.format?.["x-not-yet"]?.adapty), /not built yet/)
})

test("the presets stand there with their words and all of their numbers, the default first", async () => {
  const { presets: shown } = await program.call("GET", "/v1/connectors")
  const expected = presetNames.map(name => ({
    name,
    ...presetWords[name],
    verification: presetVerification[name],
    policy: policyToJson(presets[name]),
  }))
  assert.deepEqual(shown, expected)
})

test("a preset's policy may be sent back as it stands there", async () => {
  const { presets: shown } = await program.call("GET", "/v1/connectors")
  for (const { name, policy } of items(shown)) {
    const config = { production: { url: "http://127.0.0.1:9/" }, verification: "none" }
    const made = await program.call("POST", "/v1/integrations", { name: String(name), config, policy })
    assert.deepEqual(made.policy, policy)
  }
})
