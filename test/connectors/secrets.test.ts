import assert from "node:assert/strict"
import { test } from "node:test"
import Type from "typebox"
import type { Settings } from "../../src/connectors/connector.ts"
import { changedSecrets, joinSecrets, splitSecrets } from "../../src/connectors/secrets.ts"
import { webhookSettings } from "../../src/connectors/webhook-settings.ts"

const url = "https://crm.example/hook"
const set = { set: true }
const config: Settings = {
  production: { url, authorization: "Token abc", headers: { "x-team": "growth", "x~y": "" } },
  sandbox: { url },
  verification: "json",
}

test("secrets are kept apart, and read as set", () => {
  const { shown, secrets } = splitSecrets(webhookSettings, config)
  assert.deepEqual(shown, {
    production: { url, authorization: set, headers: { "x-team": set, "x~y": set } },
    sandbox: { url },
    verification: "json",
  })
  assert.deepEqual(
    [...secrets],
    [
      ["/production/authorization", "Token abc"],
      ["/production/headers/x-team", "growth"],
      ["/production/headers/x~0y", ""],
    ],
  )
})

test("settings taken apart and put together again are the same, in the same order", () => {
  const { shown, secrets } = splitSecrets(webhookSettings, config)
  const { settings, faults } = joinSecrets(webhookSettings, shown, secrets)
  assert.deepEqual(faults, [])
  assert.equal(JSON.stringify(settings), JSON.stringify(config))
})

test("an update keeps what it sends back as set, and takes what it sends as text", () => {
  const { secrets } = splitSecrets(webhookSettings, config)
  const update = {
    production: { url: "https://new.example", authorization: set, headers: { "x-team": "sales" } },
    sandbox: { url, authorization: "Token def" },
  }
  const { settings, faults } = joinSecrets(webhookSettings, update, secrets)
  assert.deepEqual(faults, [])
  assert.deepEqual(settings, {
    production: { url: "https://new.example", authorization: "Token abc", headers: { "x-team": "sales" } },
    sandbox: { url, authorization: "Token def" },
  })
  assert.deepEqual(changedSecrets(secrets, splitSecrets(webhookSettings, settings).secrets), [
    "/production/headers/x-team",
    "/production/headers/x~0y",
    "/sandbox/authorization",
  ])
  assert.deepEqual(changedSecrets(secrets, secrets), [])
})

test("a value that was never kept cannot be kept", () => {
  const { secrets } = splitSecrets(webhookSettings, config)
  const update = { sandbox: { url, authorization: set, headers: { "x-new": set } } }
  assert.deepEqual(
    joinSecrets(webhookSettings, update, secrets).faults.map(({ pointer }) => pointer),
    ["/sandbox/authorization", "/sandbox/headers/x-new"],
  )
})

test("only exactly { set: true } stands for the value that is kept", () => {
  const secrets = new Map([["/production/authorization", "Token abc"]])
  for (const authorization of [{ set: false }, { set: "true" }, { set: true, value: "x" }, {}, [], null, 7, true]) {
    const { settings } = joinSecrets(webhookSettings, { production: { url, authorization } }, secrets)
    assert.deepEqual(settings, { production: { url, authorization } }, JSON.stringify(authorization))
  }
})

test("secrets that did not pass the schema are not kept", () => {
  assert.throws(() => splitSecrets(webhookSettings, { production: { url, authorization: set } }), /production/)
})

test("secrets are found at any depth, in lists, maps, patterns and alternatives", () => {
  const secret = Type.String({ secret: true })
  const schema = Type.Object({
    list: Type.Array(Type.Object({ key: secret, name: Type.String() })),
    map: Type.Record(Type.String(), secret),
    either: Type.Union([Type.Object({ token: secret }), Type.Object({ user: Type.String(), password: secret })]),
    both: Type.Intersect([Type.Object({ a: secret }), Type.Object({ b: Type.String() })]),
    plain: Type.String(),
  })
  const settings = {
    list: [
      { key: "k0", name: "n0" },
      { key: "k1", name: "n1" },
    ],
    map: { x: "m" },
    either: { user: "u", password: "p" },
    both: { a: "a", b: "b" },
    plain: "plain",
  }
  const { shown, secrets } = splitSecrets(schema, settings)
  assert.deepEqual(
    [...secrets],
    [
      ["/list/0/key", "k0"],
      ["/list/1/key", "k1"],
      ["/map/x", "m"],
      ["/either/password", "p"],
      ["/both/a", "a"],
    ],
  )
  assert.deepEqual(shown, {
    list: [
      { key: set, name: "n0" },
      { key: set, name: "n1" },
    ],
    map: { x: set },
    either: { user: "u", password: set },
    both: { a: set, b: "b" },
    plain: "plain",
  })
  assert.deepEqual(joinSecrets(schema, shown, secrets).settings, settings)
})

test("a header called __proto__ is a header", () => {
  const settings = JSON.parse(`{"production":{"url":"${url}","headers":{"__proto__":"s3cret"}}}`) as Settings
  const { shown, secrets } = splitSecrets(webhookSettings, settings)
  assert.equal(JSON.stringify(shown), `{"production":{"url":"${url}","headers":{"__proto__":{"set":true}}}}`)
  assert.deepEqual([...secrets], [["/production/headers/__proto__", "s3cret"]])
  assert.equal(JSON.stringify(joinSecrets(webhookSettings, shown, secrets).settings), JSON.stringify(settings))
  assert.equal("set" in Object.prototype, false)
})

test("what is given is not changed", () => {
  const before = JSON.stringify(config)
  const { shown, secrets } = splitSecrets(webhookSettings, config)
  const given = JSON.stringify(shown)
  joinSecrets(webhookSettings, shown, secrets)
  assert.equal(JSON.stringify(config), before)
  assert.equal(JSON.stringify(shown), given)
})
