/** `GET /v1/roles`: what the page of people and the form of a key are made of. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { roleNames, roles, scopeNames } from "../../src/domain/scope.ts"
import { Browser } from "../help/browser.ts"
import { items } from "../help/items.ts"
import { join, setUp } from "../help/people.ts"
import { Program } from "../help/program.ts"

test("each role and each scope is told with a sentence, to whoever belongs to the project", async () => {
  await using program = await Program.open()
  const viewer = await join(await setUp(program), program, "vic@shop.example", "viewer")
  const told = await viewer.call("GET", "/v1/roles")
  assert.deepEqual(
    items(told.roles).map(({ name, may }) => [name, may]),
    roleNames.map(name => [name, roles[name].may]),
  )
  assert.deepEqual(
    items(told.scopes).map(({ name }) => name),
    scopeNames,
  )
  const whole = items(told.scopes).flatMap(({ name, whole: isWhole }) => (String(isWhole) === "true" ? [name] : []))
  assert.deepEqual(whole, ["integrations:write", "secrets:read", "metrics:read", "admin"])
  assert.equal((await new Browser(program).ask("GET", "/v1/roles")).status, 401)
})
